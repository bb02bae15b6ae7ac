// Hosts and clients over the logs that need no server: equal to one engine, read-your-writes, hosts that come
// and go.

import { assert, assertEquals, assertLessOrEqual, assertRejects } from "../../testing/assert.ts";
import { lateRecords } from "../../testing/cluster/changed_log.ts";
import { Random } from "../../testing/random.ts";
import { DynamicAttention, IdError } from "../../mod.ts";
import { ClusterError, type ClusterMemory, connect, host, memoryLog } from "../../src/cluster/mod.ts";
import type { HostReport } from "../../src/cluster/members.ts";
import { QUERY_SUBJECT } from "../../src/cluster/cluster_config.ts";
import { decodePlan, PLAN, renewPlan } from "../../src/cluster/plan.ts";

interface Model {
  readonly keys: Map<string, { readonly key: Float32Array; readonly value: Float32Array }>;
}

/** Random edits, which the model makes, too. */
function randomEdits(random: Random, model: Model, count: number, ids: number) {
  return Array.from({ length: count }, () => {
    const id = `key ${random.below(ids)}`;
    if (random.next() < 0.25) {
      model.keys.delete(id);
      return { kind: "delete", id } as const;
    }
    const key = random.row(8), value = random.row(6);
    model.keys.set(id, { key, value });
    return { kind: "set", id, key, value } as const;
  });
}

/** The answers of one engine over the same keys. */
async function ofOneEngine(model: Model, queries: readonly Float32Array[], heads: number) {
  const all = [...model.keys.values()];
  await using engine = await DynamicAttention.create({
    query: queries,
    key: { data: all.flatMap(({ key }) => [...key]), shape: [all.length, 8] },
    value: { data: all.flatMap(({ value }) => [...value]), shape: [all.length, 6] },
    heads,
    backend: "array",
  });
  return (await engine.read()).data;
}

async function assertLikeOneEngine(memory: ClusterMemory, model: Model, queries: readonly Float32Array[]) {
  const { output, bounds, missing } = await memory.read(queries.map((_, at) => `query ${at}`));
  assertEquals(missing, []);
  const expected = await ofOneEngine(model, queries, 2);
  expected.forEach((o, at) => {
    const error = Math.abs(o - output.data[at]);
    assertLessOrEqual(error, Math.max(1e-7, 2 * bounds[Math.floor(at / 6)]), `number ${at}`);
  });
  return output.data;
}

/** Waits until so many hosts share the partitions, two of them each. */
async function whenShared(memory: ClusterMemory, hosts: number): Promise<void> {
  const isShared = () => {
    const { partitions } = memory.status(), names = partitions.flatMap(({ ready }) => ready);
    return new Set(names).size === hosts &&
      partitions.every(({ ready }) => ready.length === Math.min(2, hosts));
  };
  while (!isShared()) await new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("cluster: three hosts answer like one engine while keys are set and deleted and hosts come and go", async () => {
  const random = new Random(7), model: Model = { keys: new Map() }, log = memoryLog();
  const hosts = [await host(log), await host(log)];
  await using memory = await connect(log, {
    create: { dim: 4, valueDim: 3, partitions: 5, heads: 2, replicas: 2 },
  });
  const queries = random.rows(4, 8);
  for (const [at, row] of queries.entries()) await memory.setQuery(`query ${at}`, row);
  for (let round = 0; round < 6; round++) {
    await memory.edit(randomEdits(random, model, 40, 60));
    await assertLikeOneEngine(memory, model, queries);
    if (round === 0) await whenShared(memory, 2);
    if (round === 1) {
      hosts.push(await host(log));
      await whenShared(memory, 3);
    }
    if (round === 3) await hosts.shift()?.dispose();
    if (round === 4) {
      await whenShared(memory, 2);
      assertEquals(await hosts[0].drain(), true);
    }
  }
  const { hosts: names, partitions } = memory.status();
  assertEquals(names.length, 2);
  assert(partitions.every(({ ready }) => ready.length > 0));
  assert(memory.metrics().includes("attune_partition_keys{"));
  for (const one of hosts) await one.dispose();
});

Deno.test("cluster: a memory built anew from the log answers with the same bits", async () => {
  const random = new Random(3), model: Model = { keys: new Map() }, log = memoryLog();
  await using memory = await connect(log, { create: { dim: 4, valueDim: 3, partitions: 3, heads: 2 } });
  const queries = random.rows(3, 8);
  const first = await host(log);
  for (const [at, row] of queries.entries()) await memory.setQuery(`query ${at}`, row);
  await assertRejects(() => memory.read(["nobody"]), IdError);
  for (let round = 0; round < 5; round++) {
    await memory.edit(randomEdits(random, model, 30, 40));
    await assertLikeOneEngine(memory, model, queries);
  }
  const before = await assertLikeOneEngine(memory, model, queries);
  await first.dispose();
  const error = await assertRejects(() => memory.read(["query 0"], { timeoutMs: 300 }), ClusterError);
  assertEquals([error.fault, error.partitions], ["missing", [0, 1, 2]]);
  await using _second = await host(log);
  assertEquals(await assertLikeOneEngine(memory, model, queries), before);
});

Deno.test("cluster: a host whose name another one has waits until that one has ended", async () => {
  const log = memoryLog();
  await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 1 } });
  const one = await host(log, { name: "twin" });
  await memory.setQuery("q", [1]);
  await memory.read(["q"]);
  await using other = await host(log, { name: "twin" });
  while (!other.status().failure.includes("is served")) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assertEquals(other.status().partitions, []);
  await one.dispose();
  assertEquals([...(await memory.read(["q"])).output.data], [0]);
  assertEquals(other.status().partitions.map(({ phase }) => phase), ["ready"]);
});

Deno.test("cluster: a host that waits for a cluster asks the log for nothing meanwhile, and takes it up at once", async () => {
  const log = memoryLog();
  let gets = 0;
  const counted: typeof log = {
    ...log,
    open: async (role) => {
      const session = await log.open(role), { get } = session;
      session.get = (...args) => {
        gets++;
        return get.apply(session, args);
      };
      return session;
    },
  };
  await using one = await host(counted, { name: "one" });
  await new Promise((resolve) => setTimeout(resolve, 500));
  assertEquals([gets, one.status().cluster], [1, null]);
  // Its address is its own already.
  const session = await log.open("client");
  assertEquals((await session.request("host.one", new Uint8Array(4))).length > 0, true);
  await session.close();
  await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 2 } });
  await memory.setQuery("q", [1]);
  assertEquals([...(await memory.read(["q"])).output.data], [0]);
});

Deno.test("cluster: hosts that write the plan at the same time end with one that has all of them", async () => {
  const log = memoryLog(), session = await log.open("host"), { get } = session;
  const report = (name: string): HostReport => ({
    ...{ name, takesAny: true, isLeaving: false, beat: 1, partitions: new Map() },
    queries: { phase: "ready", sequence: 0, chain: "", keys: 0, bytes: 0, tail: 0 },
  });
  const view = (...names: string[]) => ({ partitions: 8, replicas: 1, alive: names.map(report) });
  let isRival = true;
  session.get = async (...args) => {
    const found = await get.apply(session, args);
    // Another host writes between the look and the write, and knows of itself alone.
    if (isRival) {
      isRival = false;
      await renewPlan(await log.open("host"), "test", view("b"));
    }
    return found;
  };
  const plan = await renewPlan(session, "test", view("a", "b"));
  assertEquals(new Set(plan.owners.flat()), new Set(["a", "b"]));
  assertEquals(decodePlan("test", (await session.get(PLAN))?.value ?? null, 8), plan);
  // A host that sees nobody changes nothing, and one that leaves is given nothing.
  assertEquals(await renewPlan(session, "test", view()), plan);
  const left = [report("a"), { ...report("b"), isLeaving: true }, { ...report("c"), takesAny: false }];
  const alone = await renewPlan(session, "test", { partitions: 8, replicas: 2, alive: left });
  assertEquals(alone.owners, Array.from({ length: 8 }, () => ["a"]));
  await session.close();
});

Deno.test("cluster: a host that is behind with the standing queries waits for them, and is not asked again and again", async () => {
  const inner = memoryLog(), LATE_MS = 150;
  const slow = lateRecords(inner, LATE_MS, (subject) => subject === QUERY_SUBJECT);
  await using one = await host(slow);
  await using memory = await connect(inner, { create: { dim: 1, valueDim: 1, partitions: 1 } });
  await memory.edit([{ kind: "set", id: "a", key: [0], value: [3] }]);
  await memory.setQuery("q", [1]);
  await memory.read(["q"]);
  assertEquals(one.status().snapshots, 0);
  for (let round = 0; round < 3; round++) {
    await memory.setQuery("q", [round]);
    const { requests } = memory.status();
    assertEquals((await memory.read(["q"])).output.data[0], 3);
    // One, and another one where the machine is slow.
    assertLessOrEqual(memory.status().requests - requests, 3);
  }
});
