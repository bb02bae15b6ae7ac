// A memory on machines of which one is cut off again and again, while a client on it and a client outside edit and
// read: `cut_network.ts SERVERS ROUNDS`, in a network of its own (`machines.ts`). It writes a summary, and ends with 1
// where an answer is wrong, an acknowledged edit is lost, a call takes longer than it may, or nothing goes on
// afterwards.

import { connect, natsLog } from "../../src/cluster/mod.ts";
import { Random } from "../random.ts";
import { type CutCall, CutJudge } from "./cut_calls.ts";
import { openWithin, readAll } from "./log_writers.ts";
import { type CutDirection, type Machine, Machines } from "./machines.ts";
import { QUERIES, QUERY_IDS, SHAPE } from "./memory_stream.ts";
import { leaderOf } from "./nats_admin.ts";
import { AUTH, sleep } from "./nats_scene.ts";
import { findNatsServer, NatsServers } from "./nats_server.ts";
import { type Running, runProcess } from "./run_process.ts";

const NAME = "cut", MACHINES = 3, PATIENCE_MS = 60_000;
const DIRECTIONS: readonly CutDirection[] = ["both", "from", "to"];
/** A call may end so much later than it was told to. */
const LATE_MS = 1500, LONGEST_MS = 2800;
/** Errors that say that it does not work now; others would blame what is whole. */
const PASSING: readonly string[] = ["missing", "unknown", "unsent", "timeout", "unreachable"];

/** A client in a process of its own. */
class Client {
  readonly name: string;
  readonly #process: Running;
  readonly calls: CutCall[] = [];
  readonly #reading: Promise<void>;

  constructor(name: string, process: Running) {
    this.name = name;
    this.#process = process;
    this.#reading = this.#read();
  }

  /** Waits until it has edited and read with success, in calls that were made after this one. */
  async succeeds(): Promise<void> {
    const from = this.calls.length + 1;
    for (const until = performance.now() + PATIENCE_MS;;) {
      const good = this.calls.slice(from).filter(({ fault }) => fault === undefined);
      if (good.some(({ kind }) => kind === "edit") && good.some(({ kind }) => kind !== "edit")) return;
      if (performance.now() > until) {
        throw new Error(`client ${this.name} does not go on: ${JSON.stringify(this.calls.at(-1))}`);
      }
      await sleep(20);
    }
  }

  async end(): Promise<void> {
    await this.#process.kill();
    await this.#reading;
  }

  async #read(): Promise<void> {
    for (let line = await this.#process.next(); line !== null; line = await this.#process.next()) {
      this.calls.push(JSON.parse(line));
    }
  }
}

/** The calls in the words of a summary, and what is wrong with them. */
function judge(judge: CutJudge, { name, calls }: Client): string[] {
  const faults: string[] = [], counts = new Map<string, number>();
  let answered = 0;
  for (const call of calls) {
    const { fault, ms = 0, kind, detail } = call;
    if (ms > LONGEST_MS + LATE_MS) faults.push(`${kind} took ${ms} ms`);
    if (fault !== undefined) {
      counts.set(fault, (counts.get(fault) ?? 0) + 1);
      if (!PASSING.includes(fault)) faults.push(`${kind}: ${fault}: ${detail}`);
      continue;
    }
    answered++;
    const found = judge.faultOf(name, call);
    if (found !== null) faults.push(`${kind}: ${found}`);
  }
  console.log(
    `  client ${name}: ${answered} calls answered, ${
      [...counts].map(([fault, count]) => `${count} "${fault}"`).join(", ") || "none refused"
    }`,
  );
  return faults.map((fault) => `client ${name}: ${fault}`);
}

/** The machine of the server that leads the records, where several replicate. */
async function leaderAmong(servers: NatsServers, machines: readonly Machine[]): Promise<Machine> {
  const { place } = await leaderOf(servers, `attune_${NAME}`);
  return machines.find(({ address }) => address === place.address) ?? machines[0];
}

const [serverCount, rounds] = Deno.args.map(Number), random = new Random(101);
const durability = serverCount === 1 ? "disk" : "replicated";
await using network = await Machines.start(MACHINES);
const { machines } = network, folder = await Deno.makeTempDir();
// Where there is one server, it is on a machine that is never cut off.
const victims = serverCount === 1 ? machines.slice(1) : machines, inside = victims[0];
await using servers = await NatsServers.start({
  program: findNatsServer() ?? "",
  count: serverCount,
  places: machines.slice(0, serverCount),
});
const near = serverCount === 1 ? servers.addresses : servers.addresses.slice(0, 1);
const log = natsLog({ servers: servers.addresses, name: NAME, auth: AUTH, durability });
await (await openWithin(log, PATIENCE_MS)).close();
await using memory = await connect(log, { create: { ...SHAPE, replicas: MACHINES }, timeoutMs: PATIENCE_MS });
for (const [at, row] of QUERIES.entries()) await memory.setQuery(QUERY_IDS[at], row);
const hosts: Running[] = [];
for (const { command } of machines) {
  const one = runProcess(
    "memory_process.ts",
    ["host", servers.addresses.join(), NAME, durability, "0"],
    command,
  );
  hosts.push(one);
  await one.expect("ready");
}
const startClient = (name: string, addresses: readonly string[], other: string, command: readonly string[]) =>
  new Client(
    name,
    runProcess("cut_client.ts", [name, addresses.join(), NAME, durability, folder, other], command),
  );
const clients = [
  startClient("c1", near, "c2", inside.command),
  startClient("c2", servers.addresses, "c1", []),
];
const faults: string[] = [];
try {
  await Promise.all(clients.map((client) => client.succeeds()));
  for (let round = 0; round < rounds; round++) {
    const victim = round % 3 < 2
      ? inside
      : serverCount > 1
      ? await leaderAmong(servers, machines)
      : victims[1];
    const direction = DIRECTIONS[Math.floor(round / 2) % 3], ms = 1000 + random.below(8000);
    await network.cut(victim, direction);
    await sleep(ms);
    await network.heal(victim);
    const since = performance.now();
    await Promise.all(clients.map((client) => client.succeeds()));
    console.log(
      `  ${victim.name} was cut off, ${direction}, for ${ms} ms; all goes on after ${
        (performance.now() - since).toFixed(0)
      } ms`,
    );
  }
} finally {
  await Promise.all(clients.map((client) => client.end()));
}
const judging = await CutJudge.of((subject) => readAll(log, subject));
for (const client of clients) faults.push(...judge(judging, client));
console.log(
  `  ${judging.repeated} records came twice and counted once; worst error ${judging.worst.toExponential(1)}`,
);
for (const fault of faults.slice(0, 20)) console.log(`  FAULT ${fault}`);
await Promise.all(hosts.map((one) => one.kill()));
await Deno.remove(folder, { recursive: true });
if (faults.length > 0) Deno.exitCode = 1;
