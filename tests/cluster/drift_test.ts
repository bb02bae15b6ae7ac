// Rows that are given again with a certificate of how far they have moved: the bound holds for any edits, and
// it saves bytes.

import { assert, assertGreater, assertLess, assertLessOrEqual } from "../../testing/assert.ts";
import { lateRecords, seenReplies } from "../../testing/cluster/changed_log.ts";
import { Random } from "../../testing/random.ts";
import { type ClusterEdit, connect, host, memoryLog } from "../../src/cluster/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";

const HEADS = 2, DIM = 3, VALUE_DIM = 4;

Deno.test("cluster: a row that has moved is within its bound of the oracle, whatever was edited", async () => {
  let certified = 0, tightest = Infinity;
  for (let seed = 1; seed <= 8; seed++) {
    const random = new Random(seed), log = memoryLog(), size = random.pick([0.3, 1, 4]);
    await using _host = await host(log);
    await using memory = await connect(log, {
      create: {
        dim: DIM,
        valueDim: VALUE_DIM,
        partitions: 1 + seed % 3,
        heads: HEADS,
        kvHeads: 1 + seed % 2,
        scale: size,
      },
    });
    const kvHeads = 1 + seed % 2, keys = new Map<string, { key: Float32Array; value: Float32Array }>();
    const edit = (): ClusterEdit => {
      const id = `k${random.below(40)}`, old = keys.get(id);
      if (random.next() < 0.2) {
        keys.delete(id);
        return { kind: "delete", id };
      }
      const key = old && random.next() < 0.5 ? old.key : random.row(kvHeads * DIM, random.pick([0.1, 1, 3]));
      const value = random.row(kvHeads * VALUE_DIM, random.pick([0, 0.1, 1, 100]));
      keys.set(id, { key, value });
      return { kind: "set", id, key, value };
    };
    const query = random.row(HEADS * DIM);
    await memory.setQuery("q", query);
    await memory.setQuery("other", random.row(HEADS * DIM));
    await memory.edit(Array.from({ length: 60 }, edit));
    await memory.read(["q"]);
    for (let step = 0; step < 60; step++) {
      if (random.next() < 0.1) await memory.read(["q"]);
      if (random.next() < 0.05) keys.forEach((_, id) => keys.delete(id) && random.next());
      const live = [...keys.keys()];
      const gone = live.length === 0
        ? Array.from({ length: 40 }, (_, at): ClusterEdit => ({ kind: "delete", id: `k${at}` }))
        : [];
      await memory.edit([...gone, ...Array.from({ length: 1 + random.below(3) }, edit)]);
      // Hosts have all of it then, and the kept row of the query is the old one.
      await memory.read(["other"]);
      const before = memory.status().reads;
      const { output, bounds } = await memory.peek(["q"], { maxError: random.pick([1, 1e3, 1e9]) });
      const isKept = memory.status().reads === before, all = [...keys.values()];
      const { output: [expected] } = referenceAttention({
        query: [query],
        key: all.map(({ key }) => key),
        value: all.map(({ value }) => value),
        ...{ scale: size, valueDim: VALUE_DIM, heads: HEADS, kvHeads },
      });
      const error = Math.hypot(...expected.map((o, c) => o - output.data[c]));
      assertLessOrEqual(error, bounds[0], `seed ${seed}, step ${step}`);
      if (!isKept) continue;
      certified++;
      if (error > 0) tightest = Math.min(tightest, bounds[0] / error);
    }
  }
  assertGreater(certified, 150);
  console.log(
    `${certified} rows were given again; the tightest bound is ${tightest.toFixed(2)} times the error`,
  );
});

Deno.test("cluster: what a certificate takes does not grow with the value's numbers", async () => {
  const bytes: number[] = [];
  for (const valueDim of [8, 512]) {
    const inner = memoryLog();
    let received = 0;
    const log = seenReplies(inner, (reply) => {
      received += reply.length;
    });
    await using _host = await host(inner);
    await using memory = await connect(log, { create: { dim: 1, valueDim, partitions: 2 } });
    await memory.edit([{ kind: "set", id: "a", key: [1], value: new Float32Array(valueDim).fill(1) }]);
    await memory.setQuery("q", [1]);
    await memory.read(["q"]);
    await memory.edit([{ kind: "set", id: "b", key: [-9], value: new Float32Array(valueDim) }]);
    await memory.logSumExp(["q"]);
    received = 0;
    const { bounds } = await memory.peek(["q"], { maxError: 1 });
    assert(bounds[0] > 1e-6 && bounds[0] < 1);
    bytes.push(received);
  }
  assertLess(Math.abs(bytes[1] - bytes[0]), 64);
});

Deno.test("cluster: the age of an answer includes the way of the reply, for rows that are given again, too", async () => {
  const inner = memoryLog(), LATE_MS = 60;
  const log = seenReplies(inner, () => new Promise((resolve) => setTimeout(resolve, LATE_MS)));
  await using _host = await host(inner);
  await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 3 } });
  await using writer = await connect(inner);
  await memory.setQuery("q", [1]);
  // Hosts look once a second how far the log reaches.
  for (let age = Infinity; age > 10;) {
    const { partitions } = await writer.read(["q"]);
    age = Math.max(...partitions.map(({ ageMs }) => ageMs));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const reading = memory.read(["q"]);
  await new Promise((resolve) => setTimeout(resolve, LATE_MS / 2));
  // The reply is on its way, and does not have this one.
  const { partitions: written } = await writer.edit([{ kind: "set", id: "a", key: [1], value: [2] }]);
  const acknowledged = performance.now();
  for (const maxAgeMs of [null, 60_000]) {
    const answer = maxAgeMs === null ? await reading : await memory.peek(["q"], { maxAgeMs });
    const now = performance.now(), [partition] = Object.keys(written).map(Number);
    assertLess(answer.partitions[partition].sequence, written[partition]);
    for (const { ageMs } of answer.partitions) assertGreater(ageMs, LATE_MS - 5);
    assertGreater(answer.partitions[partition].ageMs, now - acknowledged - 5);
  }
});

Deno.test("cluster: a host that begins does not say that it has what came while it was loading", async () => {
  const inner = memoryLog(), LATE_MS = 80;
  const slow = lateRecords(inner, LATE_MS);
  await using memory = await connect(inner, { create: { dim: 1, valueDim: 1, partitions: 1 } });
  await using writer = await connect(inner);
  await memory.edit([{ kind: "set", id: "a", key: [0], value: [1] }]);
  await memory.setQuery("q", [1]);
  await using _host = await host(slow);
  // Records go on coming, so that some are there when it is ready, and it has not all of them.
  const acknowledged: { readonly sequence: number; readonly at: number }[] = [];
  for (let checked = 0; checked < 10;) {
    const { partitions } = await writer.edit([{
      kind: "set",
      id: "b",
      key: [0],
      value: [acknowledged.length],
    }]);
    acknowledged.push({ sequence: partitions[0], at: performance.now() });
    const answer = await memory.peek(["q"], { timeoutMs: 20 }).catch(() => null), now = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 7));
    if (answer === null) continue;
    checked++;
    const [{ sequence, ageMs }] = answer.partitions;
    const missed = acknowledged.find((one) => one.sequence > sequence);
    if (missed) assertGreater(ageMs, now - missed.at - 5, `record ${missed.sequence} is missing`);
  }
});
