// Measures a large memory over a log in memory, in one process, and over one server of NATS that syncs each
// write, with host processes; for several numbers of partitions, beside one engine. Times are of one run on
// one machine, to be compared with each other.
//
//     --keys=1000000  --partitions=16 (or a list: 4,16,64)  --logs=memory,nats  --hosts=2  --rounds=200  --no-engine

import { parseArgs } from "node:util";
import { DynamicAttention } from "../../mod.ts";
import {
  type ClusterLog,
  type ClusterMemory,
  connect,
  host,
  memoryLog,
  natsLog,
} from "../../src/cluster/mod.ts";
import { findNatsServer, NATS_REMEDY, NatsServers } from "../../testing/cluster/nats_server.ts";
import { computedSeconds, QuickRandom, residentBytes, seconds, summary, timed } from "./measures.ts";

const DIM = 64, QUERIES = 16, BATCH = 4000, PATIENCE_MS = 600_000;

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000" },
    partitions: { type: "string", default: "16" },
    logs: { type: "string", default: "memory,nats" },
    hosts: { type: "string", default: "2" },
    rounds: { type: "string", default: "200" },
    "no-engine": { type: "boolean", default: false },
  },
});
const keys = Number(values.keys), hostCount = Number(values.hosts), rounds = Number(values.rounds);
const ids = Array.from({ length: QUERIES }, (_, at) => `q${at}`);

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

function randomEdit(random: QuickRandom, id: number) {
  return { kind: "set", id: `k${id}`, key: random.row(DIM), value: random.row(DIM) } as const;
}

async function load(memory: ClusterMemory, random: QuickRandom): Promise<void> {
  for (let from = 0; from < keys; from += BATCH) {
    const count = Math.min(BATCH, keys - from);
    await memory.edit(Array.from({ length: count }, (_, at) => randomEdit(random, from + at)));
  }
}

async function measure(place: Place, partitions: number): Promise<string> {
  const random = new QuickRandom(1);
  await using memory = await connect(place.log, {
    create: { dim: DIM, valueDim: DIM, partitions },
    ...{ timeoutMs: PATIENCE_MS, maxUnacked: 64 << 20 },
  });
  const passing = () => memory.attend([random.row(DIM)]);
  const all = [Deno.pid, ...place.others], before = await sum(all, computedSeconds);
  const [loaded] = await seconds(() => load(memory, random));
  const [applied] = await seconds(() => memory.getKeys(ids.map((_, at) => `k${keys - 1 - at}`)));
  const computed = await sum(all, computedSeconds) - before;
  for (const id of ids) await memory.setQuery(id, random.row(DIM));
  const [built] = await seconds(() => memory.read(ids));
  const session = await place.log.open("client"), { bytes } = await session.facts();
  await session.close();
  const held = await sum(place.hosts, residentBytes);
  const reads = await timed(rounds, () => memory.read(ids));
  const both = await timed(rounds, async () => {
    const after = await memory.edit([randomEdit(random, random.below(keys))]);
    await memory.read(ids, { after });
  });
  const attends = await timed(Math.min(20, rounds), passing);
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)}`;
  return `| ${place.name} | ${partitions} | ${loaded.toFixed(1)} + ${applied.toFixed(1)} | ${
    computed.toFixed(1)
  } | ` +
    `${(keys / (loaded + applied)).toFixed(0)} | ${megabytes(Number(bytes))} | ${megabytes(held)} | ${
      built.toFixed(2)
    } | ` +
    `${summary(reads)} | ${summary(both)} | ${summary(attends)} |`;
}

async function ofEngine(): Promise<string> {
  const random = new QuickRandom(1), row = () => random.row(keys * DIM);
  const before = await computedSeconds(Deno.pid);
  const [loaded, engine] = await seconds(() =>
    DynamicAttention.create({
      query: ids.map(() => random.row(DIM)),
      key: { data: row(), shape: [keys, DIM] },
      value: { data: row(), shape: [keys, DIM] },
    })
  );
  const computed = await computedSeconds(Deno.pid) - before;
  const [built] = await seconds(() => engine.read());
  const reads = await timed(rounds, () => engine.read());
  const both = await timed(rounds, async () => {
    const { key, value } = randomEdit(random, 0), slot = random.below(keys);
    engine.setKey(slot, key);
    engine.setValue(slot, value);
    await engine.read();
  });
  const attends = await timed(Math.min(20, rounds), () => engine.attend([random.row(DIM)]));
  const { backend } = engine.stats(), held = await residentBytes(Deno.pid);
  await engine.dispose();
  return `| one engine (${backend}) |  | ${loaded.toFixed(1)} | ${computed.toFixed(1)} | ${
    (keys / loaded).toFixed(0)
  } |  | ` +
    `${(held / 1e6).toFixed(0)} | ${built.toFixed(2)} | ${summary(reads)} | ${summary(both)} | ${
      summary(attends)
    } |`;
}

console.log(
  `${keys} keys of ${DIM} + ${DIM} numbers, ${QUERIES} standing queries; milliseconds as median, 99th percentile`,
);
console.log(
  "| log | partitions | load + applied, s | computed, s | rows/s | log, MB | hosts, MB | first answer, s | read | edit and read | passing query |",
);
console.log(`| ${Array(11).fill("---").join(" | ")} |`);
for (const name of values.logs.split(",")) {
  for (const partitions of values.partitions.split(",").map(Number)) {
    await using place = await (name === "memory" ? inMemory() : onServer());
    console.log(await measure(place, partitions));
  }
}
if (!values["no-engine"]) console.log(await ofEngine());
Deno.exit(0);
