/**
 * A host: it holds partitions, answers questions about them, and keeps snapshots.
 *
 * Invariant: what it holds is a cache of the log. It may stop at any moment without anything being lost, and it takes edits from
 * the log alone.
 */

import { InputError } from "../base/errors.ts";
import { queryColumns } from "../numerics/head_layout.ts";
import { answerRequest } from "./answers.ts";
import { Changes } from "./changes.ts";
import { type ClusterSeams, SYSTEM_SEAMS } from "./clock.ts";
import { type ClusterConfig, keySubject, QUERY_SUBJECT, readConfig } from "./cluster_config.ts";
import { patiently, pause, waitUntil } from "./deadline.ts";
import { HeavyLists } from "./heavy_lists.ts";
import { HostFolder } from "./host_folder.ts";
import { type CheckedHostOptions, type HostOptions, toHostOptions } from "./host_options.ts";
import { toHex } from "./json_value.ts";
import { type ClusterLog, LogError, type LogSession } from "./log.ts";
import {
  BEAT_MS,
  DEAD_MS,
  encodeReport,
  hostKey,
  type HostReport,
  Members,
  type SubjectReport,
} from "./members.ts";
import type { Partition } from "./partition.ts";
import { decodePlan, encodePlan, isSamePlan, nextPlan, PLAN, type Plan } from "./plan.ts";
import { writeMark } from "./pointers.ts";
import { QueryTable } from "./query_table.ts";
import { Replica } from "./replica.ts";
import { emptyPartition } from "./snapshot.ts";
import { keepWarm } from "./warm_states.ts";
import { encodeReplica, SnapshotKeeper } from "./snapshot_keeper.ts";

const OPERATION = "host";
const RETRY_MS = 200, PLAN_LOOK_MS = 500, DRAIN_MS = 30_000;
/** A beat that comes so late means that the process was stopped. */
const STOPPED_MS = DEAD_MS - BEAT_MS;
const FORGOTTEN_MS = 60_000, OPEN_MS = 10_000;

/** A partition on a host. */
interface Held {
  readonly replica: Replica<Partition>;
  readonly end: AbortController;
  readonly done: Promise<void>;
}

/** What a host says of itself. */
export interface HostStatus {
  /** Its name. */
  readonly name: string;
  /** The log that it follows. */
  readonly log: string;
  /** The name of the cluster; null until one was made in the log. */
  readonly cluster: string | null;
  /** Its partitions, by number. */
  readonly partitions: readonly HostedPartition[];
  /** Standing queries. */
  readonly queries: number;
  /** Snapshots that it has written to the log. */
  readonly snapshots: number;
  /** What the log said when it last failed; "" once it answers again. */
  readonly failure: string;
}

/** A partition on a host. */
export interface HostedPartition {
  /** Its number. */
  readonly partition: number;
  /** Whether it catches up, answers, or refuses to since something is damaged. */
  readonly phase: "loading" | "ready" | "damaged";
  /** Why it refuses; "" while it does not. */
  readonly failure: string;
  /** The newest record that it has. */
  readonly sequence: number;
  /** Live keys. */
  readonly keys: number;
  /** Bytes of rows and states. */
  readonly bytes: number;
}

/**
 * Starts a host: a process may have several, and a cluster as many as there are. It takes the partitions that the hosts' common
 * plan gives it, follows the log, and answers; it needs nothing else from anybody. It may be started before the cluster is made.
 *
 * @param log The log of the cluster: `memoryLog()`, `sqliteLog(folder)` or `natsLog(…)`.
 * @param options `folder`, `partitions`, `name`, `snapshotBytes`, as {@link HostOptions} says.
 * @throws {InputError} When an option is unknown or has a wrong value.
 * @throws {LogError} When the log cannot be opened, or is weaker than asked for.
 *
 * @example
 * ```ts
 * import { connect, host, memoryLog } from "@attune/attention/cluster";
 * import { assertEquals } from "@std/assert";
 *
 * const log = memoryLog();
 * await using one = await host(log);
 * await using _two = await host(log);
 * await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 2 } });
 * await memory.edit([{ kind: "set", id: "a", key: [0], value: [7] }]);
 * await memory.setQuery("q", [1]);
 * assertEquals([...(await memory.read(["q"])).output.data], [7]);
 * assertEquals(one.status().log, "memory");
 * ```
 */
export function host(log: ClusterLog, options: HostOptions = {}): Promise<ClusterHost> {
  return startHost(log, options, SYSTEM_SEAMS);
}

/** As `host`, with the parts of a test. */
export async function startHost(
  log: ClusterLog,
  options: HostOptions,
  seams: ClusterSeams,
): Promise<ClusterHost> {
  const checked = toHostOptions(OPERATION, options);
  if (typeof log?.open !== "function") {
    throw new InputError(OPERATION, "log is no log", "memoryLog(), sqliteLog(folder) or natsLog(…)");
  }
  const folder = checked.folder === null ? null : await HostFolder.open(checked.folder);
  const session = await patiently(seams.clock, OPEN_MS, () => log.open("host"));
  const started: ClusterHost = Reflect.construct(ClusterHost, [log, session, checked, folder, seams]);
  return started;
}

/** A running host. */
export class ClusterHost {
  readonly #log: ClusterLog;
  readonly #session: LogSession;
  readonly #options: CheckedHostOptions;
  readonly #folder: HostFolder | null;
  readonly #seams: ClusterSeams;
  readonly #name: string;
  readonly #members: Members;
  readonly #end = new AbortController();
  readonly #held = new Map<number, Held>();
  readonly #keeper: SnapshotKeeper;
  readonly #work: Promise<unknown>[] = [];
  readonly #changes = new Changes();
  /** For each host and subject that differed the heartbeat that said so. */
  readonly #differed = new Map<string, number>();
  #config: ClusterConfig | null = null;
  #queries: Replica<QueryTable> | null = null;
  #plan: Plan = { owners: [] };
  #isLeaving = false;
  #beat = 0;
  #snapshots = 0;
  /** What a call of the log said that failed; "" once one succeeds. */
  #failure = "";
  #disposal: Promise<void> | null = null;

  private constructor(
    log: ClusterLog,
    session: LogSession,
    options: CheckedHostOptions,
    folder: HostFolder | null,
    seams: ClusterSeams,
  ) {
    this.#log = log;
    this.#session = session;
    this.#options = options;
    this.#folder = folder;
    this.#seams = seams;
    this.#name = options.name ?? seams.newName();
    this.#members = new Members(session, seams.clock);
    const keep = async (subject: string, bytes: Uint8Array<ArrayBuffer>) =>
      await folder?.write(subject, bytes);
    this.#keeper = new SnapshotKeeper({ session, clock: seams.clock, keep });
    this.#work.push(this.#run());
  }

  /** Its name. */
  get name(): string {
    return this.#name;
  }

  /** What it holds, as of now. */
  status(): HostStatus {
    const partitions = [...this.#held].sort(([a], [b]) => a - b).map(([partition, { replica }]) => {
      const { phase, sequence, keys, bytes } = replica.report;
      return { partition, phase, failure: replica.failure, sequence, keys, bytes };
    });
    return {
      name: this.#name,
      log: this.#log.description,
      cluster: this.#config?.cluster ?? null,
      partitions,
      queries: this.#queries?.state.size ?? 0,
      snapshots: this.#snapshots,
      failure: this.#failure,
    };
  }

  /**
   * Gives its partitions to other hosts and waits until they answer; nothing is unanswered meanwhile. Dispose it afterwards.
   *
   * @param options `timeoutMs`, 30,000 unless given.
   * @returns Whether others have taken over everything; false when the time is over, or no host is left.
   */
  async drain(options: { readonly timeoutMs?: number } = {}): Promise<boolean> {
    this.#isLeaving = true;
    const isGone = () => this.#held.size === 0;
    this.#changes.tell();
    return await waitUntil(
      this.#seams.clock,
      this.#changes,
      options.timeoutMs ?? DRAIN_MS,
      isGone,
      this.#end.signal,
    );
  }

  /** Ends the host; its partitions are answered by others. A second call does nothing more. */
  dispose(): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  /** Calls `dispose` at the end of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #dispose(): Promise<void> {
    // The folder is only a cache.
    await this.#quietly(() => this.#saveToFolder());
    this.#end.abort();
    this.#members.changes.close();
    this.#changes.close();
    for (const { end } of this.#held.values()) end.abort();
    await this.#quietly(() => this.#session.remove(hostKey(this.#name), { isVolatile: true }));
    await this.#session.close();
    await Promise.allSettled([...this.#work, ...[...this.#held.values()].map(({ done }) => done)]);
  }

  async #saveToFolder(): Promise<void> {
    const folder = this.#folder;
    if (!folder || !this.#queries) return;
    for (const replica of [this.#queries, ...this.#heldReplicas()]) {
      if (replica.phase === "ready") await folder.write(replica.subject, await encodeReplica(replica));
    }
  }

  /** Waits for the cluster, then does everything until the host ends. */
  async #run(): Promise<void> {
    const { signal } = this.#end, { clock } = this.#seams;
    while (!signal.aborted && this.#config === null) {
      await this.#quietly(async () => this.#config = await readConfig(OPERATION, this.#session));
      if (this.#config === null) await clock.sleep(RETRY_MS, signal);
    }
    if (signal.aborted || this.#config === null) return;
    const config = this.#config;
    this.#plan = decodePlan(OPERATION, null, config.partitions);
    this.#queries = this.#followQueries(config);
    this.#work.push(this.#queries.run(signal), this.#members.run(signal));
    await this.#serve(config);
    await Promise.all([
      this.#beats(),
      this.#plans(config),
      this.#snapshotsLoop(),
      keepWarm(this.#seams.clock, () => this.#queries, () => this.#heldReplicas(), this.#end.signal),
    ]);
  }

  #followQueries(config: ClusterConfig): Replica<QueryTable> {
    const of = { config, kind: "queries", partition: 0 } as const;
    return new Replica<QueryTable>({
      session: this.#session,
      clock: this.#seams.clock,
      subject: QUERY_SUBJECT,
      of,
      make: () => new QueryTable(queryColumns(config.scoring.layout)),
      kept: async () => await this.#folder?.read(QUERY_SUBJECT, of) ?? null,
      onGone: (ids) => {
        for (const { replica } of this.#held.values()) for (const id of ids) replica.state.forget(id);
      },
    });
  }

  async #serve(config: ClusterConfig): Promise<void> {
    const parts = {
      clock: this.#seams.clock,
      config,
      queries: this.#queries as Replica<QueryTable>,
      replica: (partition: number) => this.#held.get(partition)?.replica,
      heavyLists: new HeavyLists(),
      signal: this.#end.signal,
    };
    while (!this.#end.signal.aborted) {
      try {
        await this.#session.serve(hostKey(this.#name), (bytes) => answerRequest(parts, bytes));
        return;
      } catch (error) {
        if (!(error instanceof LogError) || error.reason === "closed") return;
        // The address may be that of a host of the same name, which has to end first.
        this.#failure = error.message;
        await this.#seams.clock.sleep(RETRY_MS, this.#end.signal);
      }
    }
  }

  /** Tells once a second, and after every change of phase, what the host holds. */
  async #beats(): Promise<void> {
    const { clock } = this.#seams, { signal } = this.#end;
    for (let before = clock.now(); !signal.aborted;) {
      const now = clock.now();
      if (now - before > STOPPED_MS) this.#members.renew();
      before = now;
      await this.#quietly(() =>
        this.#session.put(hostKey(this.#name), encodeReport(this.#report()), {
          isVolatile: true,
          timeoutMs: BEAT_MS,
        })
      );
      for (const { replica } of this.#held.values()) await this.#quietly(() => replica.probe());
      await this.#quietly(() => this.#queries?.probe());
      const said = this.#phases();
      await waitUntil(clock, this.#changes, BEAT_MS, () => this.#phases() !== said, signal);
    }
  }

  #report(): HostReport {
    return {
      name: this.#name,
      takesAny: this.#options.partitions === "any",
      isLeaving: this.#isLeaving,
      beat: ++this.#beat,
      partitions: new Map([...this.#held].map(([partition, { replica }]) => [partition, replica.report])),
      queries: (this.#queries as Replica<QueryTable>).report,
    };
  }

  #phases(): string {
    const partitions = [...this.#held].map(([partition, { replica }]) => `${partition} ${replica.phase}`);
    return `${this.#isLeaving} ${partitions.join(",")}`;
  }

  /** Keeps the plan, and holds what it says. */
  async #plans(config: ClusterConfig): Promise<void> {
    const { clock } = this.#seams, { signal } = this.#end;
    // Other hosts are given the time to be seen.
    await waitUntil(
      clock,
      this.#members.changes,
      PLAN_LOOK_MS,
      () => this.#members.get(this.#name) !== null,
      signal,
    );
    while (!signal.aborted) {
      await this.#quietly(() => this.#renewPlan(config));
      this.#hold(config);
      this.#compare();
      await pause(clock, PLAN_LOOK_MS, [this.#members.changes, this.#changes], signal);
    }
  }

  async #renewPlan(config: ClusterConfig): Promise<void> {
    const found = await this.#session.get(PLAN);
    this.#plan = decodePlan(OPERATION, found?.value ?? null, config.partitions);
    const hosts = this.#members.alive()
      .filter(({ takesAny, isLeaving, name }) =>
        takesAny && !isLeaving && (name !== this.#name || !this.#isLeaving)
      )
      .map(({ name }) => name);
    // A host that does not see itself knows nothing of the others.
    if (!this.#members.get(this.#name) || hosts.length === 0) return;
    const next = nextPlan(this.#plan, hosts, config.replicas);
    if (isSamePlan(next, this.#plan)) return;
    const revision = await this.#session.put(PLAN, encodePlan(next), { revision: found?.revision ?? 0 });
    if (revision !== null) this.#plan = next;
  }

  /** Begins to hold what the plan gives it, and ends what others answer for. */
  #hold(config: ClusterConfig): void {
    const { partitions } = this.#options;
    for (let partition = 0; partition < config.partitions; partition++) {
      const owners = this.#plan.owners[partition] ?? [];
      const isWanted = partitions === "any" ? owners.includes(this.#name) : partitions.includes(partition);
      const held = this.#held.get(partition);
      if (isWanted && !held && !this.#isLeaving) this.#begin(config, partition);
      if (held && partitions === "any" && !isWanted && this.#isTaken(partition, owners)) {
        this.#finish(partition, held);
      }
    }
  }

  /** Whether all owners of a partition answer for it. */
  #isTaken(partition: number, owners: readonly string[]): boolean {
    return owners.length > 0 &&
      owners.every((name) => this.#members.get(name)?.partitions.get(partition)?.phase === "ready");
  }

  #begin(config: ClusterConfig, partition: number): void {
    const end = new AbortController(), subject = keySubject(partition);
    const of = { config, kind: "keys", partition } as const;
    const replica = new Replica<Partition>({
      session: this.#session,
      clock: this.#seams.clock,
      subject,
      of,
      make: () => emptyPartition(config, partition),
      kept: async () => await this.#folder?.read(subject, of) ?? null,
      onGone: () => {},
    });
    this.#held.set(partition, { replica, end, done: replica.run(end.signal) });
    this.#work.push(this.#tellPhases(replica, end.signal));
    this.#changes.tell();
  }

  /** A heartbeat follows every change of phase. */
  async #tellPhases(replica: Replica<Partition>, signal: AbortSignal): Promise<void> {
    for (let phase = replica.phase; !signal.aborted && !this.#end.signal.aborted;) {
      await replica.changes.next(AbortSignal.any([signal, this.#end.signal]));
      if (replica.phase === phase) continue;
      phase = replica.phase;
      this.#changes.tell();
    }
  }

  #finish(partition: number, { end }: Held): void {
    end.abort();
    this.#held.delete(partition);
    this.#changes.tell();
  }

  /** Compares what this host has with what others say that they have. */
  #compare(): void {
    for (const report of this.#members.alive()) {
      if (report.name === this.#name) continue;
      for (const [partition, theirs] of report.partitions) {
        this.#compareWith(report, theirs, this.#held.get(partition)?.replica);
      }
      this.#compareWith(report, report.queries, this.#queries ?? undefined);
    }
  }

  /**
   * Two replicas with different records up to the same one both refuse to answer and begin anew, since nobody knows which is
   * right. So a report of one that refuses already counts, too, and each report once: the other one needs time as well.
   */
  #compareWith(
    { name, beat }: HostReport,
    theirs: SubjectReport,
    replica: Replica<Partition> | Replica<QueryTable> | undefined,
  ): void {
    if (!replica || replica.phase !== "ready" || theirs.sequence === 0) return;
    const chain = replica.state.ledger.chainAt(theirs.sequence), key = `${name} ${replica.subject}`;
    if (chain === null || toHex(chain) === theirs.chain || beat === this.#differed.get(key)) return;
    this.#differed.set(key, beat);
    replica.refuse(`host ${name} has other records up to ${theirs.sequence}`);
  }

  /** Writes marks and snapshots of the partitions for which it is the first owner that answers. */
  async #snapshotsLoop(): Promise<void> {
    const { clock } = this.#seams, { signal } = this.#end, marked = new Map<string, number>();
    while (!signal.aborted) {
      await clock.sleep(2 * BEAT_MS, signal);
      for (const [partition, replica] of this.#replicas()) {
        if (signal.aborted || replica.phase !== "ready" || !this.#isFirst(partition)) continue;
        await this.#quietly(async () => {
          const { sequence, chain } = replica.state.ledger;
          if (sequence > 0 && marked.get(replica.subject) !== sequence) {
            await writeMark(this.#session, replica.subject, { sequence, chain });
            marked.set(replica.subject, sequence);
          }
          if (replica.unsaved.bytes < this.#options.snapshotBytes) return;
          if (await this.#keeper.save(replica)) this.#snapshots++;
        });
      }
      await this.#quietly(() => this.#keeper.purge());
      await this.#quietly(() => this.#forgetDead());
    }
  }

  /** Removes the heartbeats of hosts that ended without doing so. */
  async #forgetDead(): Promise<void> {
    const now = this.#seams.clock.now();
    for (const { report: { name }, seenAt } of this.#members.all()) {
      if (now - seenAt > FORGOTTEN_MS) await this.#session.remove(hostKey(name), { isVolatile: true });
    }
  }

  #heldReplicas(): Replica<Partition>[] {
    return [...this.#held.values()].map(({ replica }) => replica);
  }

  #replicas(): [number, Replica<Partition> | Replica<QueryTable>][] {
    const all: [number, Replica<Partition> | Replica<QueryTable>][] = [];
    if (this.#queries) all.push([-1, this.#queries]);
    for (const [partition, { replica }] of this.#held) all.push([partition, replica]);
    return all;
  }

  /** Whether no host that answers for a partition comes before it by name; −1 stands for the queries. */
  #isFirst(partition: number): boolean {
    return !this.#members.alive().some(({ name, partitions, queries }) => {
      const report = partition === -1 ? queries : partitions.get(partition);
      return name < this.#name && report?.phase === "ready";
    });
  }

  /** Does something that may fail for a while, and is tried again by whoever calls. */
  async #quietly(act: () => unknown): Promise<void> {
    try {
      await act();
      this.#failure = "";
    } catch (error) {
      // The log is away or slow; nothing depends on this call.
      this.#failure = error instanceof Error ? error.message : String(error);
    }
  }
}
