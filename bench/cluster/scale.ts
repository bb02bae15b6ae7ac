// Measures a large memory over a log in memory, in one process, and over one server of NATS that syncs each
// write, with host processes; for several numbers of partitions, beside one engine with the same keys, whose
// answers must be the same. Times are of one run on one machine, to be compared with each other.
//
//     --keys=1000000  --partitions=16 (or a list: 4,16,64)  --logs=memory,nats  --hosts=2  --rounds=200

import { parseArgs } from "node:util";
import { type ClusterLog, connect, host, memoryLog, natsLog } from "../../src/cluster/mod.ts";
import { findNatsServer, NATS_REMEDY, NatsServers } from "../../testing/cluster/nats_server.ts";
import { computedSeconds, QuickRandom, residentBytes, seconds } from "./measures.ts";
import { bothSummary, EngineBeside } from "./one_engine.ts";

const DIM = 64, QUERIES = 16, PATIENCE_MS = 600_000;

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000" },
    partitions: { type: "string", default: "16" },
    logs: { type: "string", default: "memory,nats" },
    hosts: { type: "string", default: "2" },
    rounds: { type: "string", default: "200" },
  },
});
const keys = Number(values.keys), hostCount = Number(values.hosts), rounds = Number(values.rounds);

/** A log with hosts. */
interface Place extends AsyncDisposable {
  readonly log: ClusterLog;
  readonly name: string;
  /** The processes of the hosts. */
  readonly hosts: readonly number[];
  /** All processes but this one. */
  readonly others: readonly number[];
}

async function inMemory(): Promise<Place> {
  const log = memoryLog(), one = await host(log);
  return {
    ...{ log, name: "memory, one process", hosts: [Deno.pid], others: [] },
    [Symbol.asyncDispose]: () => one.dispose(),
  };
}

async function onServer(): Promise<Place> {
  const program = findNatsServer();
  if (program === undefined) throw new Error(`there is no nats-server: ${NATS_REMEDY}`);
  const servers = await NatsServers.start({ program }), { addresses } = servers;
  const log = natsLog({ servers: addresses, name: "memory", auth: { user: "app", password: "app" } });
  const hostProgram = new URL("../../testing/cluster/memory_process.ts", import.meta.url);
  const children = Array.from({ length: hostCount }, () =>
    new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--allow-all", "--no-check", "--quiet", hostProgram.href],
        ...["host", addresses.join(), "memory", "disk", "0"],
      ],
      ...{ stdin: "null", stdout: "null" },
    }).spawn());
  const pids = children.map(({ pid }) => pid);
  return {
    ...{ log, name: `NATS, each write synced, ${hostCount} host processes` },
    ...{ hosts: pids, others: [...pids, ...servers.servers.map(({ pid }) => pid)] },
    [Symbol.asyncDispose]: async () => {
      for (const child of children) {
        child.kill("SIGKILL");
        await child.status;
      }
      await servers[Symbol.asyncDispose]();
    },
  };
}

/** The sum of a measure over several processes. */
async function sum(pids: readonly number[], of: (pid: number) => Promise<number>): Promise<number> {
  return (await Promise.all(pids.map(of))).reduce((sum, one) => sum + one, 0);
}

async function measure(place: Place, partitions: number, beside: EngineBeside): Promise<string> {
  await using memory = await connect(place.log, {
    create: { dim: DIM, valueDim: DIM, partitions },
    ...{ timeoutMs: PATIENCE_MS, maxUnacked: 64 << 20 },
  });
  const all = [Deno.pid, ...place.others], before = await sum(all, computedSeconds);
  const [loaded] = await seconds(() => beside.load(memory));
  const [applied] = await seconds(() => memory.getKeys(beside.ids.map((_, at) => `k${keys - 1 - at}`)));
  const computed = await sum(all, computedSeconds) - before;
  const built = await beside.firstAnswers(memory);
  const session = await place.log.open("client"), { bytes } = await session.facts();
  await session.close();
  const held = await sum(place.hosts, residentBytes);
  const reads = await beside.reads(memory, rounds), both = await beside.editsAndReads(memory, rounds);
  const attends = await beside.attends(memory, Math.min(20, rounds));
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)}`;
  return `| ${place.name} | ${partitions} | ${loaded.toFixed(1)} + ${applied.toFixed(1)} | ${
    computed.toFixed(1)
  } | ` +
    `${(keys / (loaded + applied)).toFixed(0)} | ${megabytes(Number(bytes))} | ${megabytes(held)} | ${
      bothSummary(built)
    } | ` +
    `${bothSummary(reads)} | ${bothSummary(both)} | ${bothSummary(attends)} |`;
}

const before = await residentBytes(Deno.pid);
const [made, beside] = await seconds(() => EngineBeside.create(keys, QUERIES, DIM, new QuickRandom(1)));
const ofEngine = (await residentBytes(Deno.pid) - before) / 1e6;
console.log(
  `${keys} keys of ${DIM} + ${DIM} numbers, ${QUERIES} standing queries; milliseconds as median, 99th percentile, ` +
    `of the cluster / of one engine (${beside.backend}) that has the same keys: each call is made of both, in turns`,
);
console.log(`the engine was made in ${made.toFixed(1)} s, and takes ${ofEngine.toFixed(0)} MB`);
console.log(
  "| log | partitions | load + applied, s | computed, s | rows/s | log, MB | hosts, MB | first answer | read | edit and read | passing query |",
);
console.log(`| ${Array(11).fill("---").join(" | ")} |`);
for (const name of values.logs.split(",")) {
  for (const partitions of values.partitions.split(",").map(Number)) {
    await using place = await (name === "memory" ? inMemory() : onServer());
    console.log(await measure(place, partitions, beside));
  }
}
console.log(beside.verdict());
Deno.exit(0);
