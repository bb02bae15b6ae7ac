// `deno task cluster`: a log, four hosts and a client on this machine. It loads a memory, kills a host, and
// shows that answers go on; then it goes on until it is stopped, with a page of its status.
//
//     --server=FILE   the server of NATS; one that is found unless given; without any the log is in memory, in one process
//     --servers=3     three servers that replicate
//     --hosts=4  --keys=20000  --port=0  --seconds=0 (until Ctrl-C)

import { takeArguments } from "../../studies/command_line.ts";
import { type ClusterMemory, connect, host } from "../../src/cluster/mod.ts";
import { servePage } from "./status_page.ts";
import { type StartedLog, startLog } from "./start_log.ts";

const DIM = 64, PARTITIONS = 16, QUERIES = 16, NAME = "memory";

/** A host that can be killed. */
interface Runner {
  readonly name: string;
  kill(): Promise<void>;
}

const { values } = takeArguments({
  task: "cluster",
  about:
    "A cluster on this machine: servers where it finds them, hosts, of which one is killed, and a page of status.",
  options: {
    server: { type: "string", value: "FILE", about: "the program nats-server; looked for unless given" },
    servers: { type: "string", value: "N", default: "1", about: "how many servers, 1 or 3" },
    hosts: { type: "string", value: "N", default: "4", about: "how many hosts" },
    keys: { type: "string", value: "N", default: "20000", about: "how many keys" },
    port: { type: "string", value: "N", default: "0", about: "the port of the page, 0 for any" },
    seconds: { type: "string", value: "N", default: "0", about: "when to end, 0 for at Ctrl+C" },
  },
});
const lines: string[] = [], startedAt = performance.now();

function say(line: string): void {
  lines.push(`${((performance.now() - startedAt) / 1000).toFixed(1)} s  ${line}`);
  console.log(lines[lines.length - 1]);
}

async function startHost(started: StartedLog, durability: string, name: string): Promise<Runner> {
  if (started.servers === null) {
    const running = await host(started.log, { name });
    return { name, kill: () => running.dispose() };
  }
  const program = new URL("host_process.ts", import.meta.url).href;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--no-check",
      "--quiet",
      program,
      started.servers.addresses.join(","),
      NAME,
      durability,
      name,
    ],
    stdout: "null",
    stdin: "null",
  }).spawn();
  return {
    name,
    kill: async () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await child.status;
    },
  };
}

function randomRow(length: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => 2 * Math.random() - 1);
}

async function load(memory: ClusterMemory, keys: number): Promise<void> {
  const since = performance.now();
  for (let from = 0; from < keys; from += 2000) {
    await memory.edit(
      Array.from({ length: Math.min(2000, keys - from) }, (_, at) => {
        return { kind: "set", id: `key-${from + at}`, key: randomRow(DIM), value: randomRow(DIM) };
      }),
      { timeoutMs: 60_000 },
    );
  }
  const seconds = (performance.now() - since) / 1000;
  say(`${keys} keys of ${DIM} + ${DIM} numbers are acknowledged, ${(keys / seconds).toFixed(0)} a second`);
}

/** Edits and reads as fast as one caller does; says when nothing was answered for long. */
async function keepReading(memory: ClusterMemory, keys: number, signal: AbortSignal): Promise<void> {
  const ids = Array.from({ length: QUERIES }, (_, at) => `reader-${at}`);
  while (!signal.aborted) {
    const since = performance.now();
    try {
      const id = `key-${Math.floor(Math.random() * keys)}`;
      const after = await memory.edit([{ kind: "set", id, key: randomRow(DIM), value: randomRow(DIM) }]);
      await memory.read(ids, { after });
    } catch (error) {
      if (!signal.aborted) say(error instanceof Error ? error.message : String(error));
    }
    const ms = performance.now() - since;
    if (ms > 500) say(`an edit and a read of it took ${ms.toFixed(0)} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const count = values.servers === "3" ? 3 : 1, keys = Number(values.keys), hostCount = Number(values.hosts);
const durability = count === 3 ? "replicated" : "disk";
await using started = await startLog({
  count,
  name: NAME,
  ...values.server !== undefined && { server: values.server },
});
say(started.word);
const hosts = await Promise.all(
  Array.from({ length: hostCount }, (_, at) => startHost(started, durability, `host-${at + 1}`)),
);
const end = new AbortController();
try {
  await using memory = await connect(started.log, {
    create: { dim: DIM, valueDim: DIM, partitions: PARTITIONS, replicas: Math.min(2, hostCount) },
    timeoutMs: 30_000,
  });
  await using page = servePage(memory, { lines }, Number(values.port));
  say(`status: http://127.0.0.1:${page.addr.port}/  (/metrics, /status)`);
  for (let at = 0; at < QUERIES; at++) await memory.setQuery(`reader-${at}`, randomRow(DIM));
  await load(memory, keys);
  const since = performance.now();
  await memory.read(["reader-0"], { timeoutMs: 60_000 });
  say(`the first answer over all partitions came after ${(performance.now() - since).toFixed(0)} ms`);
  const reading = keepReading(memory, keys, end.signal);
  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      end.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  Deno.addSignalListener("SIGINT", () => end.abort());
  await wait(5000);
  const before = memory.status();
  if (hosts.length > 1 && !end.signal.aborted) {
    const victim = hosts.shift();
    say(`${victim?.name} is killed`);
    await victim?.kill();
    await wait(5000);
    const after = memory.status();
    say(
      `${after.reads - before.reads} reads were answered in the five seconds after that, ${
        after.failures - before.failures
      } requests failed`,
    );
  }
  say("it goes on until Ctrl-C");
  const seconds = Number(values.seconds);
  while (!end.signal.aborted && (seconds === 0 || performance.now() - startedAt < 1000 * seconds)) {
    await wait(500);
  }
  end.abort();
  await reading;
  const { readMs } = memory.status();
  say(
    `reads: median ${readMs[readMs.length >> 1]?.toFixed(1)} ms, 99th percentile ${
      readMs[Math.floor(readMs.length * 0.99)]?.toFixed(1)
    } ms`,
  );
} finally {
  end.abort();
  await Promise.all(hosts.map((one) => one.kill()));
}
Deno.exit(0);
