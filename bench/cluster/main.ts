// Measures a cluster on one machine beside one engine: acknowledgements, reads of what was just written,
// passing queries, and the time to answer again after a kill, with 1, 2, 4 and 8 host processes over a log of
// SQLite. Times are of one run on one machine, to be compared with each other.
//
//     --keys=100000  --hosts=1,2,4,8  --quick (20,000 keys; 1 and 2 hosts)

import { parseArgs } from "node:util";
import { type ClusterMemory, connect, sqliteLog } from "../../src/cluster/mod.ts";
import { LineProcess } from "../../testing/cluster/processes.ts";
import { Random } from "../../testing/random.ts";
import { summary, timed } from "./measures.ts";
import { bothSummary, EngineBeside } from "./one_engine.ts";

const DIM = 64, QUERIES = 16, PARTITIONS = 16, ROUNDS = 200;

const { values } = parseArgs({
  options: {
    keys: { type: "string" },
    hosts: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});
const keys = Number(values.keys ?? (values.quick ? 20_000 : 100_000));
const hostCounts = (values.hosts ?? (values.quick ? "1,2" : "1,2,4,8")).split(",").map(Number);
const random = new Random(1);

const ids = Array.from({ length: QUERIES }, (_, at) => `q${at}`);

async function whenReady(memory: ClusterMemory, hosts: number): Promise<void> {
  for (;;) {
    const { partitions, hosts: alive } = memory.status();
    const counts = new Map<string, number>();
    for (const { ready } of partitions) {
      for (const name of ready) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const isEven = alive.length === hosts &&
      partitions.every(({ ready, others }) => ready.length === Math.min(2, hosts) && others.length === 0);
    if (isEven && counts.size === hosts) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

await using beside = await EngineBeside.create(keys, QUERIES, DIM, random);
const folder = await Deno.makeTempDir();
const hosts: LineProcess[] = [];
const startHost = async () => {
  const process = LineProcess.start("testing/cluster/host_process.ts", [folder, `h${hosts.length}`]);
  await process.atLeast(1);
  hosts.push(process);
};
const lines: string[] = [];
try {
  await using memory = await connect(sqliteLog(folder), {
    create: { dim: DIM, valueDim: DIM, partitions: PARTITIONS, replicas: 2 },
    timeoutMs: 120_000,
  });
  const since = performance.now();
  await beside.load(memory);
  const loadSeconds = (performance.now() - since) / 1000;
  console.log(
    `${keys} keys of ${DIM} + ${DIM} numbers, ${QUERIES} standing queries, ${PARTITIONS} partitions, 2 replicas`,
  );
  console.log(`loaded: ${(keys / loadSeconds).toFixed(0)} rows a second acknowledged, on disk`);
  for (const count of hostCounts) {
    const begun = performance.now();
    while (hosts.length < count) await startHost();
    await whenReady(memory, count);
    const ready = (performance.now() - begun) / 1000;
    await beside.firstAnswers(memory);
    // States are built on the second replicas, too.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const acks = await timed(ROUNDS, () => {
      const slot = random.below(keys), key = random.row(DIM), value = random.row(DIM);
      beside.engine.set(slot, key, value);
      return memory.edit([{ kind: "set", id: `k${slot}`, key, value }]);
    });
    const reads = await beside.editsAndReads(memory, ROUNDS), passing = await beside.attends(memory, 20);
    let again = "";
    if (count > 1) {
      const victim = hosts.pop();
      const killed = performance.now();
      await victim?.kill();
      await memory.read(ids);
      again = `${(performance.now() - killed).toFixed(0)}`;
    }
    lines.push(
      `| ${count} | ${summary(acks)} | ${bothSummary(reads)} | ${bothSummary(passing)} | ${again} |`,
    );
    console.log(`${lines[lines.length - 1]}   (ready after ${ready.toFixed(1)} s)`);
  }
  const { hedges, requests, failures } = memory.status();
  console.log(`${requests} requests, ${hedges} hedged, ${failures} failed`);
} finally {
  for (const one of hosts) await one.kill();
  await Deno.remove(folder, { recursive: true });
}
console.log(
  `\nmilliseconds as median, 99th percentile; of the cluster / of one engine (${beside.backend}) with the same keys, in turns`,
);
console.log(
  "| hosts | acknowledged edit | edit and read of 16 queries | a passing query | answers again after a kill |",
);
console.log("| --- | --- | --- | --- | --- |");
for (const line of lines) console.log(line);
console.log(beside.verdict());
