// Full suite: it kills hosts of a cluster and the servers of its log with SIGKILL, and freezes them.
// Limit: 20 minutes.
//
// Whole clusters over real servers: three host processes, a client that sets keys and one that reads under its tokens. After each fault
// answers go on, every acknowledged edit is there once, and an answer is that of attention from scratch over the keys.

import { ClusterError, type ClusterMemory, connect, LogError } from "../../../src/cluster/mod.ts";
import { natsLog } from "../../../src/cluster/nats/nats_log.ts";
import { referenceAttention } from "../../../src/numerics/reference.ts";
import { assert, assertEquals, assertGreater, assertLessOrEqual } from "../../../testing/assert.ts";
import { findNatsServer, NATS_REMEDY, NatsServers } from "../../../testing/cluster/nats_server.ts";
import { LineProcess } from "../../../testing/cluster/processes.ts";
import { Random } from "../../../testing/random.ts";
import { IS_LONG, requires } from "../../../testing/requirements.ts";

const program = findNatsServer();
const availability = requires("nats-server", program, NATS_REMEDY);
const TIMES = IS_LONG ? 20 : 2;
const DIM = 3, KEYS = 40, NAME = "whole", QUERY = [0.5, -1, 2];
const auth = { user: "app", password: "app" };
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What was asked of a key since its last acknowledged edit, that one first. */
type Asked = Map<string, number[]>;

/** Whether an error says that nothing is answered or acknowledged for now. */
function isPassing(error: unknown): boolean {
  return (error instanceof ClusterError && (error.fault === "missing" || error.fault === "unknown")) ||
    (error instanceof LogError && error.isPassing);
}

interface Cluster {
  readonly servers: NatsServers;
  readonly hosts: LineProcess[];
  startHost(at: number): Promise<void>;
}

const rowOf = (number: number) => [Math.sin(number), Math.cos(2 * number), Math.sin(3 * number + 1)];

async function write(memory: ClusterMemory, asked: Asked, signal: AbortSignal): Promise<number> {
  const random = new Random(5);
  let acknowledged = 0;
  for (let number = 1; !signal.aborted; number++) {
    const id = `k${random.below(KEYS)}`, before = asked.get(id) ?? [];
    asked.set(id, [...before, number]);
    try {
      await memory.edit([{ kind: "set", id, key: rowOf(number), value: [number] }], { timeoutMs: 30_000 });
      asked.set(id, [number]);
      acknowledged++;
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    await sleep(2);
  }
  return acknowledged;
}

/** Reads one after another; how many were answered, and the longest time without an answer. */
async function read(memory: ClusterMemory, signal: AbortSignal) {
  let answered = 0, longest = 0;
  for (let since = performance.now(); !signal.aborted;) {
    try {
      const { missing } = await memory.read(["q"], { timeoutMs: 30_000 });
      assertEquals(missing, []);
      answered++;
      longest = Math.max(longest, performance.now() - since);
      since = performance.now();
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    await sleep(5);
  }
  return { answered, longest };
}

async function check(memory: ClusterMemory, asked: Asked): Promise<void> {
  const ids = [...asked.keys()], rows = await memory.getKeys(ids, { timeoutMs: 60_000 });
  ids.forEach((id, at) => {
    const may = asked.get(id) ?? [], found = rows[at]?.value[0];
    assert(found !== undefined && may.includes(found), `${id} is ${found}, expected one of ${may}`);
    assertEquals([...rows[at]?.key ?? []], rowOf(found).map(Math.fround));
  });
  const live = rows.filter((row) => row !== null),
    { output, bounds } = await memory.read(["q"], { timeoutMs: 60_000 });
  const { output: [[expected]] } = referenceAttention({
    ...{ query: [QUERY], key: live.map(({ key }) => key), value: live.map(({ value }) => value) },
    ...{ scale: 1 / Math.sqrt(DIM), valueDim: 1 },
  });
  assertLessOrEqual(Math.abs(output.data[0] - expected), bounds[0]);
  assertLessOrEqual(bounds[0], 1e-6 * Math.abs(expected) + 1e-3);
}

/** Writes and reads go on while `fault` happens `TIMES` times; then everything is as it was acknowledged. */
async function survive(count: 1 | 3, fault: (cluster: Cluster, at: number) => Promise<void>): Promise<void> {
  await using servers = await NatsServers.start({ program: program ?? "", count });
  const durability = count === 1 ? "disk" : "replicated";
  const log = natsLog({ servers: servers.addresses, name: NAME, auth, durability });
  const hosts: LineProcess[] = [];
  const cluster: Cluster = {
    servers,
    hosts,
    async startHost(at) {
      const args = [servers.addresses.join(","), NAME, durability, `host${at}`];
      hosts[at] = LineProcess.start("tools/cluster/host_process.ts", args);
      await hosts[at].atLeast(1);
    },
  };
  try {
    await using memory = await connect(log, {
      create: { dim: DIM, valueDim: 1, partitions: 4, replicas: 2 },
      timeoutMs: 60_000,
    });
    await using reader = await connect(log, { timeoutMs: 60_000 });
    for (let at = 0; at < 3; at++) await cluster.startHost(at);
    await reader.read(["q"], { after: await memory.setQuery("q", QUERY) });
    const asked: Asked = new Map(), stop = new AbortController();
    const writing = write(memory, asked, stop.signal), reading = read(reader, stop.signal);
    await sleep(4000);
    for (let at = 0; at < TIMES; at++) {
      await fault(cluster, at);
      await sleep(3000);
    }
    stop.abort();
    const [acknowledged, { answered, longest }] = await Promise.all([writing, reading]);
    await check(memory, asked);
    assertGreater(acknowledged, 50);
    assertGreater(answered, 50);
    console.log(
      `${TIMES} faults: ${acknowledged} edits acknowledged, ${answered} reads answered, the longest wait ${
        longest.toFixed(0)
      } ms`,
    );
  } finally {
    for (const host of hosts) await host?.kill();
  }
}

Deno.test(
  "cluster on NATS: hosts that are killed",
  availability,
  () =>
    survive(1, async ({ hosts, startHost }, at) => {
      await hosts[at % 3].kill();
      await sleep(1000);
      await startHost(at % 3);
    }),
);

Deno.test(
  "cluster on NATS: hosts that are frozen for longer than they count as alive",
  availability,
  () =>
    survive(1, async ({ hosts }, at) => {
      hosts[at % 3].signal("SIGSTOP");
      await sleep(4500);
      hosts[at % 3].signal("SIGCONT");
    }),
);

Deno.test("cluster on NATS: a server that is killed", availability, () =>
  survive(1, async ({ servers }) => {
    await servers.servers[0].end("SIGKILL");
    await sleep(500);
    await servers.servers[0].start();
  }));

Deno.test(
  "cluster on NATS: all hosts and the server killed at once",
  availability,
  () =>
    survive(1, async ({ servers, hosts, startHost }) => {
      await Promise.all([servers.servers[0].end("SIGKILL"), ...hosts.map((host) => host.kill())]);
      await servers.servers[0].start();
      for (let at = 0; at < 3; at++) await startHost(at);
    }),
);

Deno.test(
  "cluster on NATS: one server of three killed after another",
  availability,
  () =>
    survive(3, async ({ servers }, at) => {
      const server = servers.servers[at % 3];
      await server.end("SIGKILL");
      await sleep(5000);
      await server.start();
    }),
);
