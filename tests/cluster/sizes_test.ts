// Messages that fit: whatever is asked, of however many partitions and with however long ids, is asked in
// parts that a log takes, and gives what one engine would.

import { assert, assertEquals, assertLessOrEqual } from "../../testing/assert.ts";
import { narrowLog } from "../../testing/cluster/narrow_log.ts";
import { type ClusterEdit, connect, host, memoryLog } from "../../src/cluster/mod.ts";
import { partitionOf } from "../../src/cluster/cluster_config.ts";
import { HeavyLists } from "../../src/cluster/heavy_lists.ts";
import type { HeavyAnswer, TopQuestion } from "../../src/cluster/messages.ts";
import { decodePlan, encodePlan, nextPlan } from "../../src/cluster/plan.ts";
import { decodeReport, encodeReport, hostKey, type SubjectReport } from "../../src/cluster/members.ts";
import { LARGEST_VALUE } from "../../src/cluster/log.ts";

const NARROW = 512 << 10;
/** The longest ids there are: 512 characters, of three bytes each in UTF-8. */
const longId = (at: number) => `${at}`.padStart(512, "€");

function keys(count: number): ClusterEdit[] {
  return Array.from({ length: count }, (_, at) => {
    return { kind: "set", id: longId(at), key: [at / count], value: [at] };
  });
}

Deno.test("cluster: keys of many long ids are set, given, and found by weight, in messages that fit", async () => {
  const { log, traffic } = narrowLog(NARROW), count = 3000;
  await using _host = await host(log);
  await using memory = await connect(log, {
    create: { dim: 1, valueDim: 1, partitions: 3 },
    timeoutMs: 30_000,
  });
  await memory.edit(keys(count));
  const ids = Array.from({ length: count }, (_, at) => longId(at));
  const found = await memory.getKeys([...ids, longId(count)]);
  assertEquals(found.map((row) => row?.value[0]), [...ids.map((_, at) => at), undefined]);
  await memory.setQuery("q", [1]);
  for (const many of [0, 1, 2900, 4096]) {
    const top = await memory.topKeys("q", many);
    const heaviest = Array.from({ length: Math.min(many, count) }, (_, at) => longId(count - 1 - at));
    assertEquals(top.map(({ id }) => id), heaviest);
    if (many > 1) assert(top[0].weight > top[top.length - 1].weight);
  }
  assertLessOrEqual(traffic.largest, NARROW);
});

Deno.test("cluster: many passing queries with positions and a mask of a long id are asked in messages that fit", async () => {
  const { log, traffic } = narrowLog(NARROW), count = 5000;
  await using _host = await host(log);
  const create = { dim: 64, valueDim: 1, partitions: 2, causal: true, editableMask: true };
  await using memory = await connect(log, { create, timeoutMs: 30_000 });
  await memory.edit([{ kind: "set", id: "a", key: new Float32Array(64), value: [7], position: count / 2 }]);
  const rows = Array.from({ length: count }, () => new Float32Array(64));
  const { output } = await memory.attend(rows, { positions: rows.map((_, at) => at), maskOf: longId(1) });
  assertEquals(output.data.findIndex((o) => o === 7), count / 2);
  assertEquals(output.data.filter((o) => o === 7).length, count / 2);
  assertLessOrEqual(traffic.largest, NARROW);
});

Deno.test("cluster: pages of heavy keys are of one state, also while keys are set", async () => {
  const { log } = narrowLog(NARROW), count = 1200;
  await using _host = await host(log);
  await using memory = await connect(log, {
    create: { dim: 1, valueDim: 1, partitions: 2 },
    timeoutMs: 30_000,
  });
  await memory.edit(keys(count));
  await memory.setQuery("q", [1]);
  // The lightest key becomes the heaviest and the other way round, so that pages of two states would have it
  // twice or never.
  let isOver = false;
  const editing = (async () => {
    for (let at = 0; !isOver; at++) {
      await memory.edit([{ kind: "set", id: longId(0), key: [at % 2 ? 9 : -9], value: [0] }]);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  })();
  try {
    for (let round = 0; round < 10; round++) {
      const top = await memory.topKeys("q", 4096);
      assertEquals(new Set(top.map(({ id }) => id)).size, count);
      assertEquals(top.length, count);
    }
  } finally {
    isOver = true;
    await editing;
  }
});

Deno.test("cluster: parts of a list are of one list, and a list that is forgotten begins anew where it has changed", () => {
  const lists = new HeavyLists(), names = ["a", "b", "c", "d", "e"];
  let made = 0;
  const makeAt = (sequence: number) => () => {
    made++;
    return {
      ...{ version: 3, sequence, shift: 0, mass: 1 },
      keys: names.map((id) => ({ id: id + sequence, mass: 1 })),
    };
  };
  const question: TopQuestion = {
    ...{ kind: "top", id: "q", head: 0, count: 5, skip: 0, sequence: 0, room: 44 },
  };
  const told = (
    part: HeavyAnswer,
  ) => [part.sequence, part.before, part.behind, part.keys.map(({ id }) => id).join("")];
  assertEquals(told(lists.part(0, question, makeAt(7))), [7, 0, 3, "a7b7"]);
  // The partition has gone on, and the list has not; another question is of another list.
  assertEquals(told(lists.part(0, { ...question, skip: 2, sequence: 7 }, makeAt(8))), [7, 2, 1, "c7d7"]);
  assertEquals(made, 1);
  for (const other of [{ head: 1 }, { count: 4 }, { id: "r" }, { sequence: 6 }]) {
    const part = lists.part(0, { ...question, skip: 2, sequence: 7, ...other }, makeAt(8));
    assertEquals(told(part), [8, 0, 3, "a8b8"]);
  }
  assertEquals(told(lists.part(1, { ...question, skip: 2, sequence: 7 }, makeAt(8))), [8, 0, 3, "a8b8"]);
  assertEquals(told(lists.part(0, { ...question, skip: 4, sequence: 7 }, makeAt(8))), [7, 4, 0, "e7"]);
  // It was given as a whole, and is made anew: from where it was where it is the same, from its beginning where not.
  assertEquals(told(lists.part(0, { ...question, skip: 4, sequence: 7 }, makeAt(7))), [7, 4, 0, "e7"]);
  assertEquals(told(lists.part(0, { ...question, skip: 4, sequence: 7 }, makeAt(8))), [8, 0, 3, "a8b8"]);
  // One key comes in any case.
  assertEquals(told(lists.part(0, { ...question, room: 1 }, makeAt(9))), [9, 0, 4, "a9"]);
  for (let at = 0; at < 40; at++) lists.part(0, { ...question, id: `q${at}` }, makeAt(9));
  const before = made;
  lists.part(0, { ...question, skip: 2, sequence: 8 }, makeAt(9));
  assertEquals(made, before + 1);
});

Deno.test("cluster: a partition that has most of the heaviest keys gives more of them than its part of a message", async () => {
  const { log } = narrowLog(NARROW), heavy: string[] = [], light: string[] = [];
  await using _host = await host(log);
  await using memory = await connect(log, {
    create: { dim: 1, valueDim: 1, partitions: 2 },
    timeoutMs: 30_000,
  });
  for (let at = 0; heavy.length < 250 || light.length < 250; at++) {
    const id = longId(at), list = partitionOf(id, 2) === 0 ? heavy : light;
    if (list.length < 250) list.push(id);
  }
  await memory.edit(
    [...heavy, ...light].map((id, at) => ({ kind: "set", id, key: [-at / 100], value: [at] })),
  );
  await memory.setQuery("q", [1]);
  assertEquals((await memory.topKeys("q", 240)).map(({ id }) => id), heavy.slice(0, 240));
});

Deno.test("cluster: many standing queries of long ids are read and peeked at in messages that fit", async () => {
  const { log, traffic } = narrowLog(NARROW), count = 500;
  await using _host = await host(log);
  await using memory = await connect(log, {
    create: { dim: 1, valueDim: 1, partitions: 40 },
    timeoutMs: 30_000,
  });
  const ids = Array.from({ length: count }, (_, at) => longId(at));
  await Promise.all(ids.map((id) => memory.setQuery(id, [1])));
  await memory.edit([{ kind: "set", id: "a", key: [1], value: [5] }]);
  assertEquals(new Set((await memory.read(ids)).output.data), new Set([5]));
  const { reads } = memory.status();
  await memory.edit([{ kind: "set", id: "b", key: [1], value: [5] }]);
  await memory.getKeys(["b"]);
  assertEquals((await memory.peek(ids, { maxError: 100 })).output.data.length, count);
  assertEquals(memory.status().reads, reads);
  assertLessOrEqual(traffic.largest, NARROW);
});

Deno.test("cluster: certificates of queries of many heads over many partitions fit into messages", async () => {
  const { log, traffic } = narrowLog(NARROW), heads = 64, partitions = 512;
  await using _host = await host(log);
  await using memory = await connect(log, {
    create: { dim: 1, valueDim: 1, partitions, heads, kvHeads: 1 },
    timeoutMs: 60_000,
  });
  await memory.setQuery("q", new Float32Array(heads).fill(1));
  await memory.edit([{ kind: "set", id: "a", key: [1], value: [5] }]);
  await memory.read(["q"]);
  const { reads } = memory.status();
  assertEquals((await memory.peek(["q"], { maxError: 100 })).output.data.length, heads);
  assertEquals(memory.status().reads, reads);
  assertLessOrEqual(traffic.largest, NARROW);
});

Deno.test("cluster: a host may hold all of 1,024 partitions, and the plan of many hosts fits into a value", async () => {
  const log = memoryLog();
  await using one = await host(log);
  await using memory = await connect(log, {
    create: { dim: 1, valueDim: 1, partitions: 1024 },
    timeoutMs: 30_000,
  });
  await memory.edit([{ kind: "set", id: "a", key: [1], value: [5] }]);
  await memory.setQuery("q", [1]);
  assertEquals([...(await memory.read(["q"])).output.data], [5]);
  assertEquals([one.status().partitions.length, one.status().failure], [1024, ""]);

  const names = Array.from({ length: 128 }, (_, at) => `host-${at}`.padEnd(64, "x"));
  const plan = nextPlan(decodePlan("test", null, 1024), names, 8), bytes = encodePlan(plan);
  assertLessOrEqual(bytes.length, LARGEST_VALUE);
  assertEquals(decodePlan("test", bytes, 1024), plan);
  const subject: SubjectReport = {
    ...{
      phase: "ready",
      sequence: 2 ** 50,
      chain: "ab".repeat(16),
      keys: 2 ** 22,
      bytes: 2 ** 40,
      tail: 2 ** 30,
    },
  };
  const report = {
    ...{ name: names[0], takesAny: true, isLeaving: false, beat: 2 ** 50, queries: subject },
    partitions: new Map(Array.from({ length: 1024 }, (_, at) => [at, subject])),
  };
  const value = encodeReport(report);
  assertLessOrEqual(value.length, LARGEST_VALUE);
  assertEquals(decodeReport({ key: hostKey(names[0]), value, revision: 1 }), report);
});
