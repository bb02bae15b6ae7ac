// Measures the log of a cluster on servers of NATS on this machine: `deno task bench:nats`. How long an acknowledgement takes, how many
// rows a second are kept, how soon a follower has a record, a request and its reply, and how long it takes until writes go on after a
// kill; on one server that does not sync, on one that does, and on three. --quick for a first look.

import { quantile } from "simple-statistics";
import { type ClusterLog, connect, LogError, type LogSession } from "../src/cluster/mod.ts";
import { natsLog } from "../src/cluster/nats/nats_log.ts";
import type { NatsDurability } from "../src/cluster/nats/nats_options.ts";
import { openWithin } from "../testing/cluster/log_writers.ts";
import { leaderOf } from "../testing/cluster/nats_admin.ts";
import { findNatsServer, NATS_REMEDY, NatsServers, versionOfServer } from "../testing/cluster/nats_server.ts";
import { type Running, runProcess } from "../testing/cluster/run_process.ts";
import { Random } from "../testing/random.ts";
import { formatTable } from "./display/tables.ts";

const ROW = 512, ROWS = 64, REPLY = 64 << 10;
const isQuick = Deno.args.includes("--quick");
const SINGLE = isQuick ? 200 : 1000, BATCHES = isQuick ? 60 : 300, ASKED = isQuick ? 100 : 500;
/** Keys of the memory. */
const KEYS = isQuick ? 1000 : 10_000;
const KILLS = isQuick ? 1 : 3;

interface Place {
  readonly name: string;
  readonly durability: NatsDurability;
  readonly count: number;
  readonly isSynced: boolean;
}

const PLACES: readonly Place[] = [
  { name: "one server, not synced", durability: "memory", count: 1, isSynced: false },
  { name: "one server, each write synced", durability: "disk", count: 1, isSynced: true },
  { name: "three servers, each write synced", durability: "replicated", count: 3, isSynced: true },
];

/** Milliseconds of each of `count` calls, `width` at a time. */
async function timesOf(
  count: number,
  width: number,
  call: (at: number) => Promise<unknown>,
): Promise<number[]> {
  const times: number[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < count) {
      const at = next++, start = performance.now();
      await call(at);
      times.push(performance.now() - start);
    }
  }));
  return times;
}

async function rateOf(session: LogSession, subject: string, width: number): Promise<number> {
  const body = new Uint8Array(ROW * ROWS), start = performance.now();
  await timesOf(BATCHES, width, () => session.append(subject, body, { timeoutMs: 20_000 }));
  return BATCHES * ROWS / (performance.now() - start) * 1000;
}

/** From the call of `append` until a follower in another session has the record. */
async function timesUntilFollowed(writer: LogSession, reader: LogSession): Promise<number[]> {
  const stop = new AbortController(), arrivals = new Map<number, number>();
  let wake = () => {};
  const from = await writer.append("followed", new Uint8Array(ROW));
  const following = (async () => {
    for await (const records of reader.follow("followed", from, { signal: stop.signal })) {
      for (const { sequence } of records) arrivals.set(sequence, performance.now());
      wake();
    }
  })();
  const times: number[] = [];
  for (let at = 0; at < ASKED; at++) {
    const start = performance.now(), sequence = await writer.append("followed", new Uint8Array(ROW));
    while (!arrivals.has(sequence)) await new Promise<void>((resolve) => wake = resolve);
    times.push((arrivals.get(sequence) ?? NaN) - start);
  }
  stop.abort();
  await following;
  return times;
}

/** From a SIGKILL of the server, or of the leader of three, until the next append is acknowledged. */
async function timesOfKills(servers: NatsServers, session: LogSession): Promise<number[]> {
  const times: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const server = servers.servers.length === 1
      ? servers.servers[0]
      : await leaderOf(servers, "attune_bench");
    const start = performance.now();
    await server.end("SIGKILL");
    if (servers.servers.length === 1) await server.start();
    for (let isKept = false; !isKept;) {
      try {
        await session.append("kills", new Uint8Array(ROW), { id: `kill ${kill}`, timeoutMs: 20_000 });
        isKept = true;
      } catch (error) {
        if (!(error instanceof LogError) || !error.isPassing) throw error;
      }
    }
    times.push(performance.now() - start);
    if (servers.servers.length > 1) await server.start();
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  return times;
}

interface MemoryCosts {
  /** From the call of `edit` until a `read` that includes it has answered. */
  readonly reads: number[];
  /** From a SIGKILL of one of two hosts until an edit and a read are through. */
  readonly kills: number[];
}

/** A memory of four partitions, two replicas each, in two processes; four queries stand. */
async function measureMemory(
  servers: NatsServers,
  log: ClusterLog,
  durability: NatsDurability,
): Promise<MemoryCosts> {
  const hosts: Running[] = [], random = new Random(1);
  const startHost = async () => {
    const one = runProcess("memory_process.ts", [
      "host",
      servers.addresses.join(","),
      "bench",
      durability,
      "0",
    ]);
    hosts.push(one);
    await one.next();
  };
  await using memory = await connect(log, { create: { dim: 64, valueDim: 64, partitions: 4, replicas: 2 } });
  try {
    await startHost();
    await startHost();
    const rows = Array.from({ length: KEYS }, (_, at) => ({
      kind: "set" as const,
      id: `key ${at}`,
      key: random.row(64),
      value: random.row(64),
    }));
    await memory.edit(rows);
    const queries = ["a", "b", "c", "d"];
    for (const query of queries) await memory.setQuery(query, random.row(64));
    const editAndRead = async (at: number) => {
      const after = await memory.edit([rows[at % KEYS]]);
      await memory.read(queries, { after });
    };
    await timesOf(ASKED / 5, 1, editAndRead);
    const reads = await timesOf(ASKED, 1, editAndRead), kills: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      // A host that was just started has to be seen, and to load, before the other one may go.
      await new Promise((resolve) => setTimeout(resolve, 4000));
      await hosts.shift()?.kill();
      kills.push(...await timesOf(1, 1, editAndRead));
      await startHost();
    }
    return { reads, kills };
  } finally {
    for (const one of hosts) await one.kill();
  }
}

async function measure(program: string, { name, durability, count, isSynced }: Place): Promise<string[]> {
  await using servers = await NatsServers.start({ program, count, isSynced });
  const auth = { user: "app", password: "app" };
  const log = natsLog({ servers: servers.addresses, name: "bench", auth, durability });
  await using writer = await openWithin(log, 20_000);
  await using reader = await openWithin(log, 20_000);
  await timesOf(50, 1, () => writer.append("warm", new Uint8Array(ROW)));
  const acks = await timesOf(SINGLE, 1, () => writer.append("acks", new Uint8Array(ROW)));
  const rates = [await rateOf(writer, "rows", 1), await rateOf(writer, "rows", 4)];
  const followed = await timesUntilFollowed(writer, reader);
  await using _served = await reader.serve("replies", () => new Uint8Array(REPLY));
  const replies = await timesOf(ASKED, 1, () => writer.request("replies", new Uint8Array(256)));
  const memory = await measureMemory(servers, log, durability);
  // What is in the memory of a server goes with it.
  const kills = durability === "memory" ? null : await timesOfKills(servers, writer);
  const ms = (times: readonly number[], share: number) =>
    quantile([...times], share).toFixed(share === 1 ? 0 : 2);
  return [
    name,
    ms(acks, 0.5),
    ms(acks, 0.99),
    ...rates.map((rate) => Math.round(rate).toLocaleString("en")),
    ms(followed, 0.5),
    ms(followed, 0.99),
    ms(replies, 0.5),
    ms(replies, 0.99),
    ms(memory.reads, 0.5),
    ms(memory.reads, 0.99),
    `${ms(memory.kills, 0.5)} (${ms(memory.kills, 1)})`,
    kills === null ? "all lost" : `${ms(kills, 0.5)} (${ms(kills, 1)})`,
  ];
}

const program = findNatsServer();
if (program === undefined) {
  console.error(`There is no nats-server here. To have one: ${NATS_REMEDY}.`);
  Deno.exit(1);
}
const rows: string[][] = [];
for (const place of PLACES) rows.push(await measure(program, place));
console.log(formatTable({
  title:
    `nats-server ${
      versionOfServer(program)
    }, ${navigator.hardwareConcurrency} cores, rows of ${ROW} bytes; ` +
    "times in ms, as median and 99th percentile",
  header: [
    "",
    "ack",
    "99 %",
    `rows/s by ${ROWS}`,
    "4 at once",
    "followed",
    "99 %",
    "64 KB asked",
    "99 %",
    "edit, read",
    "99 %",
    "host killed",
    "server killed",
  ],
  rows,
}));
