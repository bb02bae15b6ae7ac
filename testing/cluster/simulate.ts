// A simulated run of a cluster: a list of actions, made from a seed, whose answers `sim_judge.ts` judges.

import { startHost } from "../../src/cluster/host.ts";
import { connectWith } from "../../src/cluster/connect.ts";
import type {
  ClusterEdit,
  ClusterHost,
  ClusterMemory,
  ClusterOutput,
  ClusterShape,
  ClusterToken,
  NamedMask,
} from "../../src/cluster/mod.ts";
import { ClusterError, LogError } from "../../src/cluster/mod.ts";
import { IdError } from "../../mod.ts";
import type { BatchForms } from "../../src/cluster/batch.ts";
import { toConfig } from "../../src/cluster/cluster_config.ts";
import { formsOf } from "../../src/cluster/exact_sums.ts";
import { joinTokens } from "../../src/cluster/token.ts";
import type { ModelRule } from "../memory_model.ts";
import { Random } from "../random.ts";
import { ONE_HEAD_RULES, PLAIN_RULE, randomPlace, ruleOptions, twoHeads } from "./ruled_model.ts";
import { Fault, MOST_BOUND, SimJudge } from "./sim_judge.ts";
import { type Asked, LastChecks } from "./sim_last_checks.ts";
import type { Action, Run } from "./sim_run.ts";
import { CALM, type SimNode, SimWorld, type Weather } from "./sim_world.ts";

const DIM = PLAIN_RULE.headDim, VALUE_DIM = PLAIN_RULE.valueDim, QUERIES = 3;

/** What happened in a run. */
export interface Outcome {
  readonly edits: number;
  readonly acknowledged: number;
  readonly reads: number;
  readonly refused: number;
  readonly snapshots: number;
  readonly milliseconds: number;
  readonly timers: number;
}

interface Client {
  readonly node: SimNode;
  readonly memory: ClusterMemory;
  /** Keys of this client's own, with what was asked of each in order. */
  readonly keys: Map<string, Asked[]>;
  /** How far its answers have seen. */
  seen: ClusterToken;
}

/**
 * Runs a run; throws a {@link Fault} when an answer is wrong, an edit is lost, or nothing answers in calm
 * weather.
 */
export async function simulate(run: Run): Promise<Outcome> {
  // A run goes on by promises alone. Without a turn of the event loop the process keeps all that weak
  // references were followed to meanwhile, as those of joined signals are: a megabyte a run.
  await new Promise((resolve) => setTimeout(resolve, 0));
  return await new Simulation(run).run();
}

class Simulation {
  readonly #run: Run;
  readonly #rule: ModelRule;
  readonly #forms: BatchForms;
  readonly #world: SimWorld;
  readonly #hosts: { readonly node: SimNode; readonly host: ClusterHost }[] = [];
  readonly #clients: Client[] = [];
  readonly #old: Client[] = [];
  /** Calls that were not answered yet, and whose they are. */
  readonly #pending = new Map<Promise<void>, SimNode>();
  readonly #faults: unknown[] = [];
  /** Moves of all rows that were acknowledged. */
  readonly #shifts: string[] = [];
  #token: ClusterToken = { partitions: {}, query: 0 };
  #counts = { edits: 0, acknowledged: 0, refused: 0, snapshots: 0 };
  readonly #judge: SimJudge;

  constructor(run: Run) {
    this.#run = run;
    const rule = run.rule === null ? PLAIN_RULE : ONE_HEAD_RULES[run.rule];
    this.#rule = run.heads === 2 ? twoHeads(rule) : rule;
    this.#forms = formsOf(toConfig("simulate", this.#shape, "c").scoring);
    this.#world = new SimWorld(run.seed);
    this.#world.altered = run.altered;
    this.#judge = new SimJudge(this.#world, run.partitions, this.#rule, this.#forms, this.#firstMask);
  }

  async run(): Promise<Outcome> {
    const { time } = this.#world;
    this.#judge.follow();
    for (let at = 0; at < this.#run.hosts; at++) await this.#startHost();
    for (let at = 0; at < this.#run.clients; at++) await this.#connect();
    for (let at = 0; at < QUERIES; at++) {
      const placed = this.#placed(9 * at);
      await time.until(
        this.#clients[0].memory.setQuery(`q${at}`, this.#queryRow(new Random(at)), placed),
        10_000,
      );
    }
    for (const action of this.#run.actions) {
      await time.runTo(time.now + action.after);
      await this.#act(action);
      this.#throwFault();
    }
    await this.#recover();
    this.#throwFault();
    const outcome = {
      ...this.#counts,
      reads: this.#judge.answers,
      milliseconds: time.now,
      timers: time.fired,
    };
    await this.#end();
    return outcome;
  }

  get #shape(): ClusterShape {
    const { partitions, replicas, isMasked, heads } = this.#run, mask = this.#firstMask;
    const editableMask = isMasked && heads === 2 ? "heads" : isMasked;
    return {
      ...ruleOptions(this.#rule),
      partitions,
      replicas,
      editableMask,
      ...(mask === undefined ? {} : { mask }),
    };
  }

  /** The mask that the cluster is made with, of the keys of its first client. */
  get #firstMask(): NamedMask | undefined {
    const { hasFirstMask, heads, hosts, seed } = this.#run;
    if (!hasFirstMask) return undefined;
    const random = new Random(seed), queries = Array.from({ length: QUERIES }, (_, at) => `q${at}`);
    const keys = Array.from({ length: 8 }, (_, at) => `client${2 * hosts + 1} ${at}`);
    const matrix = () => queries.map(() => keys.map(() => random.pick([0, 0, -Infinity, 0.5])));
    return { queries, keys, entries: Array.from({ length: heads }, matrix) };
  }

  /** A row of a query. */
  #queryRow(random: Random): Float32Array<ArrayBuffer> {
    return random.row(DIM * this.#rule.heads);
  }

  /** A position as an option, where rows have one. */
  #placed(position: number): { readonly position?: number } {
    return this.#forms.places === null ? {} : { position };
  }

  #throwFault(): void {
    const [fault] = this.#faults;
    if (fault !== undefined) throw fault;
  }

  async #startHost(): Promise<void> {
    const world = this.#world, node = world.node("host");
    const seams = { clock: world.clockOf(node), newName: world.newName };
    const { snapshotBytes } = this.#run;
    this.#hosts.push({ node, host: await startHost(world.logOf(node), { snapshotBytes }, seams) });
  }

  async #connect(): Promise<void> {
    const world = this.#world, node = world.node("client"), create = this.#shape;
    const seams = { clock: world.clockOf(node), newName: world.newName };
    const connecting = connectWith(world.logOf(node), { create, timeoutMs: 60_000 }, seams);
    const memory = await world.time.until(connecting, 100_000);
    this.#clients.push({ node, memory, keys: new Map(), seen: { partitions: {}, query: 0 } });
  }

  /** Begins an action; what it asks is judged when it is answered. */
  async #act({ kind, which, seed }: Action): Promise<void> {
    const world = this.#world, random = new Random(seed), { now } = world.time;
    const client = this.#clients[which % this.#clients.length];
    const host = this.#hosts[which % Math.max(1, this.#hosts.length)];
    const wait = 200 + random.next() * 8000;
    switch (kind) {
      case "edit":
        if (this.#run.hasShifts && this.#forms.places !== null && which % 5 === 0) {
          return this.#shift(client, random, wait);
        }
        return this.#edit(client, random);
      case "setQuery":
      case "deleteQuery": {
        const id = `q${random.below(QUERIES)}`, { memory } = client;
        const moves = this.#forms.places !== null && random.next() < 0.4, options = { timeoutMs: wait };
        const call = moves
          ? memory.setQueryPosition(id, randomPlace(random), options)
          : kind === "setQuery" || random.next() < 0.5
          ? memory.setQuery(id, this.#queryRow(random), {
            ...options,
            ...this.#placed(randomPlace(new Random(seed))),
          })
          : memory.deleteQuery(id, options);
        return this.#begin(client.node, call.then((token) => this.#note(token)));
      }
      case "read":
        return this.#read(client, random, wait);
      case "peek": {
        const limits = random.next() < 0.5 ? {} : { maxError: random.pick([0.1, 1, 100]) },
          id = `q${random.below(QUERIES)}`;
        return this.#begin(
          client.node,
          client.memory.peek([id], { ...limits, timeoutMs: wait }).then((answer) => {
            this.#judge.judge([id], answer, { partitions: {}, query: 0 }, limits.maxError ?? MOST_BOUND);
          }),
        );
      }
      case "attend":
        return this.#attend(client, random, wait);
      case "topKeys":
        return this.#begin(
          client.node,
          client.memory.topKeys("q0", 3, { timeoutMs: wait }).then((keys) => {
            if (keys.some(({ weight }) => !(weight >= 0 && weight <= 1 + 1e-9))) {
              throw new Fault(`weights are ${keys.map(({ weight }) => weight)}`);
            }
          }),
        );
      case "crash":
        if (host) this.#kill(host);
        return;
      case "stop":
        if (!host) return;
        this.#hosts.splice(this.#hosts.indexOf(host), 1);
        return this.#begin(host.node, host.host.dispose());
      case "drain":
        if (!host || this.#hosts.length < 2) return;
        this.#hosts.splice(this.#hosts.indexOf(host), 1);
        return this.#begin(host.node, host.host.drain({ timeoutMs: wait }).then(() => host.host.dispose()));
      case "start":
        if (this.#hosts.length < 4) await this.#startHost();
        return;
      case "freeze":
        if (host) host.node.frozenUntil = now + random.pick([0.1, 1, 6]) * wait;
        return;
      case "cut":
        if (host) host.node.cutUntil = now + random.pick([0.1, 1, 6]) * wait;
        return;
      case "alone":
        if (host) host.node.aloneUntil = now + random.pick([0.1, 1]) * wait;
        return;
      case "freezeClient":
        client.node.frozenUntil = now + random.pick([0.1, 1]) * wait;
        return;
      case "cutClient":
        client.node.cutUntil = now + random.pick([0.1, 1]) * wait;
        return;
      case "weather":
        world.weather = random.next() < 0.4 ? CALM : randomWeather(random);
        return;
      case "newClient":
        return await this.#renewClient(client);
    }
  }

  #kill(host: { readonly node: SimNode; readonly host: ClusterHost }): void {
    host.node.isDead = true;
    this.#hosts.splice(this.#hosts.indexOf(host), 1);
  }

  /** A client dies, and another one comes; what was open stays unknown. */
  async #renewClient(client: Client): Promise<void> {
    client.node.isDead = true;
    for (const asked of client.keys.values()) {
      for (const one of asked) if (one.state === "open") one.state = "unknown";
    }
    this.#old.push(client);
    this.#clients.splice(this.#clients.indexOf(client), 1);
    const before = this.#world.weather;
    this.#world.weather = CALM;
    await this.#connect();
    this.#world.weather = before;
  }

  #edit(client: Client, random: Random): void {
    const edits = Array.from({ length: 1 + random.below(6) }, () => {
      const id = `${client.node.name} ${random.below(8)}`, isGone = random.next() < 0.25;
      const moves = this.#forms.places !== null && !isGone && random.next() < 0.3;
      const position = this.#forms.places === null ? 0 : randomPlace(random);
      const row = isGone ? null : random.row(moves ? 0 : DIM + VALUE_DIM);
      const asked = client.keys.get(id) ?? [], one: Asked = { row, position, state: "open" };
      client.keys.set(id, [...asked, one]);
      return { id, row, position, one };
    });
    this.#counts.edits += edits.length;
    const masks = this.#run.isMasked && random.next() < 0.6 ? this.#masks(client, random) : [];
    const call = client.memory.edit(
      [
        ...masks,
        ...edits.map(({ id, row, position }) => {
          if (row === null) return { kind: "delete" as const, id };
          if (row.length === 0) return { kind: "setPosition" as const, id, position };
          const placed = this.#placed(position);
          return { kind: "set" as const, id, key: row.subarray(0, DIM), value: row.subarray(DIM), ...placed };
        }),
      ],
      { timeoutMs: 300 + random.next() * 20_000 },
    );
    this.#begin(
      client.node,
      call.then((token) => {
        for (const { one } of edits) one.state = "acknowledged";
        this.#counts.acknowledged += edits.length;
        this.#note(token);
      }, (error) => {
        for (const { one } of edits) if (one.state === "open") one.state = "unknown";
        throw error;
      }),
    );
  }

  /** What a client says of some pairs, of keys or of queries. */
  #masks(client: Client, random: Random): ClusterEdit[] {
    const some = (of: string, count: number) => {
      return Array.from({ length: 1 + random.below(3) }, () => `${of}${random.below(count)}`);
    };
    return Array.from({ length: 1 + random.below(3) }, () => {
      const kind = random.below(3), entry = random.pick<boolean | number>([false, false, true, 0.5, -1]);
      const keys = kind === 0 ? {} : { keys: some(`${client.node.name} `, 8) };
      const ofHead = this.#run.heads === 2 && random.next() < 0.6 ? { head: random.below(2) } : {};
      if (this.#run.heads === 2 && random.next() < 0.3) {
        const block = { keys: some(`${client.node.name} `, 8), queries: some("q", QUERIES) };
        const entries = block.queries.map(() => block.keys.map(() => random.pick([0, -Infinity, 0.5, -2])));
        return { kind: "setMask", entries, ...block, ...ofHead };
      }
      return {
        kind: "setMask",
        entry,
        ...keys,
        ...(kind === 1 ? {} : { queries: some("q", QUERIES) }),
        ...ofHead,
      };
    });
  }

  /** Moves all rows of a range; where that fails it may be tried again, under the same name. */
  #shift(client: Client, random: Random, timeoutMs: number): void {
    const name = `move ${this.#world.newName()}`, by = random.below(7) - 3, isTwice = random.next() < 0.5;
    const range = { from: random.pick([-Infinity, 10]), to: random.pick([Infinity, 25]) };
    const move = () => client.memory.shiftPositions(by, { ...range, name, timeoutMs });
    const call = move().then((token) => isTwice ? move() : token, (error) => {
      if (isTwice) return move();
      throw error;
    });
    this.#begin(
      client.node,
      call.then((token) => {
        this.#shifts.push(name);
        this.#note(token);
      }),
    );
  }

  #read(client: Client, random: Random, timeoutMs: number): void {
    const ids = Array.from({ length: QUERIES }, (_, at) => `q${at}`).filter(() => random.next() < 0.7);
    if (ids.length === 0) ids.push("q0");
    const after = random.next() < 0.7 ? this.#token : { partitions: {}, query: 0 }, { seen } = client;
    this.#begin(
      client.node,
      client.memory.read(ids, { after, timeoutMs }).then((answer) => {
        this.#judge.judge(ids, answer, after);
        // A later answer is never of less than an earlier one.
        this.#judge.checkPlaces(answer, seen);
        const places = answer.partitions.map(({ partition, sequence }) => [partition, sequence]);
        client.seen = joinTokens(client.seen, { partitions: Object.fromEntries(places), query: 0 });
      }),
    );
  }

  #attend(client: Client, random: Random, timeoutMs: number): void {
    const row = this.#queryRow(random), after = this.#token, position = randomPlace(random);
    const id = `q${random.below(QUERIES)}`, masked = this.#run.isMasked ? { maskOf: id } : {};
    const placed = { ...masked, ...(this.#forms.places === null ? {} : { positions: [position] }) };
    this.#begin(
      client.node,
      client.memory.attend([row], { after, timeoutMs, ...placed }).then((answer) => {
        this.#judge.judgeRows([{ row, position, id }], answer, after);
      }),
    );
  }

  /**
   * Judges a call when it ends; that it is refused in time is right, that it says something is damaged is so
   * only where objects come back altered.
   */
  #begin(node: SimNode, call: Promise<unknown>): void {
    const faults = ["missing", "unknown", "unsent", ...this.#run.altered > 0 ? ["damaged"] : []];
    const judged = call.then(() => {}, (error) => {
      const isRefusal = (error instanceof ClusterError && faults.includes(error.fault)) ||
        (error instanceof LogError && error.isPassing) || error instanceof IdError;
      if (isRefusal) this.#counts.refused++;
      else this.#faults.push(error);
    });
    this.#pending.set(judged, node);
    judged.then(() => this.#pending.delete(judged));
  }

  #note(token: ClusterToken): void {
    this.#token = joinTokens(this.#token, token);
  }

  /** In calm weather, with a host, everything is answered again, and every acknowledged edit is there. */
  async #recover(): Promise<void> {
    const world = this.#world, { time } = world;
    world.weather = CALM;
    world.altered = 0;
    for (const { frozenUntil, cutUntil, aloneUntil } of world.nodes) {
      const until = Math.max(frozenUntil, cutUntil, aloneUntil);
      if (until > time.now && until < time.now + 60_000) await time.runTo(until);
    }
    if (this.#hosts.length === 0) await this.#startHost();
    // Edits that were given up, and copies of messages, come late.
    await time.runTo(time.now + 5000);
    // What a process that died has asked is never answered.
    const open = [...this.#pending].filter(([, { isDead }]) => !isDead).map(([call]) => call);
    await time.until(Promise.all(open), 120_000);
    this.#throwFault();
    const { memory } = this.#clients[0], ids = Array.from({ length: QUERIES }, (_, at) => `q${at}`);
    for (const [at, id] of ids.entries()) {
      const placed = this.#placed(11 * at);
      this.#note(await time.until(memory.setQuery(id, this.#queryRow(new Random(100 + at)), placed), 60_000));
    }
    const after = this.#token;
    const answer = await time.until(memory.read(ids, { after, timeoutMs: 60_000 }), 100_000);
    this.#judge.judge(ids, answer, after);
    for (const name of this.#shifts) this.#judge.checkShift(name);
    const keys = this.#judge.keysAt(answer.partitions);
    const last = new LastChecks({ time, memory, after, keys, rule: this.#rule, run: this.#run });
    await last.checkQueries(ids.map((id, at) => {
      return { id, row: this.#queryRow(new Random(100 + at)), position: this.#placed(11 * at).position ?? 0 };
    }));
    for (const client of [...this.#old, ...this.#clients]) await last.checkKeys(client.keys);
    for (const { host } of this.#hosts) this.#counts.snapshots += host.status().snapshots;
    await this.#checkReplicas(memory, ids, after);
  }

  /** A host that is built anew from the log answers with the same bits. */
  async #checkReplicas(memory: ClusterMemory, ids: readonly string[], after: ClusterToken): Promise<void> {
    const { time } = this.#world;
    const one = await time.until(memory.read(ids, { after, timeoutMs: 60_000 }), 100_000);
    for (const host of [...this.#hosts]) this.#kill(host);
    await this.#startHost();
    const other = await time.until(memory.read(ids, { after, timeoutMs: 60_000 }), 100_000);
    const isSame = one.output.data.every((o, at) => Object.is(o, other.output.data[at])) &&
      one.bounds.every((bound, at) => Object.is(bound, other.bounds[at]));
    const places = ({ partitions }: ClusterOutput) => partitions.map(({ sequence }) => sequence).join();
    if (!isSame && places(one) === places(other)) throw new Fault("two replicas differ in a bit");
  }

  async #end(): Promise<void> {
    this.#judge.end();
    const ends = [...this.#clients.map(({ memory }) => memory), ...this.#hosts.map(({ host }) => host)];
    await this.#world.time.until(Promise.all(ends.map((one) => one.dispose())), 60_000);
  }
}

function randomWeather(random: Random): Weather {
  return {
    lost: random.pick([0, 0.02, 0.2]),
    doubled: random.pick([0, 0.1, 0.4]),
    delay: random.pick([2, 30, 300]),
  };
}
