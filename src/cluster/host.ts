/**
 * A host: it holds partitions, answers questions about them, and keeps snapshots.
 *
 * Invariant: what it holds is a cache of the log. It may stop at any moment without anything being lost, and
 * it takes edits from the log alone.
 */

import { answerRequest, refuseAll } from "./answers.ts";
import { type ClusterSeams, SYSTEM_SEAMS } from "./clock.ts";
import {
  type ClusterConfig,
  CONFIG,
  keySubject,
  QUERY_SUBJECT,
  readConfig,
  rowColumns,
} from "./cluster_config.ts";
import { patiently, pause, waitUntil } from "./deadline.ts";
import { HeavyLists } from "./heavy_lists.ts";
import { HeldPartitions } from "./held_partitions.ts";
import { HostFolder } from "./host_folder.ts";
import { type CheckedHostOptions, type HostOptions, toDrainTime, toHostOptions } from "./host_options.ts";
import type { HostStatus } from "./host_status.ts";
import { checkLog, type ClusterLog, LogError, type LogSession } from "./log.ts";
import { BEAT_MS, DEAD_MS, encodeReport, hostKey, type HostReport, Members } from "./members.ts";
import type { Partition } from "./partition.ts";
import { fetchPeerState } from "./peer_state.ts";
import { type Plan, renewPlan } from "./plan.ts";
import type { QueryTable } from "./query_table.ts";
import { Replica } from "./replica.ts";
import { type AnyReplica, ReplicaComparison } from "./replica_comparison.ts";
import { emptyPartition, emptyQueries } from "./snapshot.ts";
import { SharedAnswers } from "./shared_answers.ts";
import { SnapshotDuty } from "./snapshot_duty.ts";
import { StateCopies } from "./state_copies.ts";
import { keepWarm } from "./warm_states.ts";
import { encodeReplica } from "./snapshot_keeper.ts";

const OPERATION = "host";
const RETRY_MS = 200, PLAN_LOOK_MS = 500;
/** A beat that comes so late means that the process was stopped. */
const STOPPED_MS = DEAD_MS - BEAT_MS;
const OPEN_MS = 10_000;

/**
 * Starts a host: a process may have several, and a cluster as many as there are. It takes the partitions that
 * the hosts' common plan gives it, follows the log, and answers; it needs nothing else from anybody. It may
 * be started before the cluster is made.
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
  checkLog(OPERATION, log);
  const folder = checked.folder === null ? null : await HostFolder.open(OPERATION, checked.folder);
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
  readonly #comparison = new ReplicaComparison();
  readonly #stateCopies = new StateCopies();
  readonly #duty: SnapshotDuty;
  readonly #work: Promise<unknown>[] = [];
  readonly #held = new HeldPartitions((partition) => this.#replicaOf(partition));
  #config: ClusterConfig | null = null;
  #queries: Replica<QueryTable> | null = null;
  #plan: Plan = { owners: [] };
  #isLeaving = false;
  #beat = 0;
  /** The message of the last call of the log, if it failed; "" after one that succeeded. */
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
    this.#duty = new SnapshotDuty({
      ...{ name: this.#name, session, clock: seams.clock, members: this.#members },
      snapshotBytes: options.snapshotBytes,
      replicas: () => this.#replicas(),
      keep: async (subject, bytes) => await folder?.write(subject, bytes),
      quietly: (act) => this.#quietly(act),
    });
    this.#work.push(this.#run());
  }

  /** Its name. */
  get name(): string {
    return this.#name;
  }

  /** The partitions that it holds, and how far it is with them. */
  status(): HostStatus {
    return {
      name: this.#name,
      log: this.#log.description,
      cluster: this.#config?.cluster ?? null,
      partitions: this.#held.status(),
      queries: this.#queries?.state.size ?? 0,
      snapshots: this.#duty.written,
      failure: this.#failure,
    };
  }

  /**
   * Gives its partitions to other hosts and waits until they answer; nothing is unanswered meanwhile. Dispose
   * it afterwards.
   *
   * @param options `timeoutMs`, 30,000 unless given.
   * @throws {InputError} When an option is unknown or has a wrong value.
   * @returns Whether others have taken over everything; false when the time is over, as where no other host is
   * left.
   */
  async drain(options: { readonly timeoutMs?: number } = {}): Promise<boolean> {
    const ms = toDrainTime("ClusterHost.drain", options), { changes } = this.#held;
    this.#isLeaving = true;
    changes.tell();
    const isGone = () => this.#held.size === 0;
    return await waitUntil(this.#seams.clock, changes, ms, isGone, this.#end.signal);
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
    const ended = this.#held.end();
    await this.#quietly(() => this.#session.remove(hostKey(this.#name), { isVolatile: true }));
    await this.#session.close();
    await Promise.allSettled([...this.#work, ended]);
  }

  async #saveToFolder(): Promise<void> {
    const folder = this.#folder;
    if (!folder) return;
    for (const replica of this.#replicas()) {
      if (replica.phase === "ready") await folder.write(replica.subject, await encodeReplica(replica));
    }
  }

  /** Waits for the cluster and for its own address, then does everything until the host ends. */
  async #run(): Promise<void> {
    const { signal } = this.#end;
    const [config] = await Promise.all([this.#findConfig(), this.#serve()]);
    if (signal.aborted || config === null) return;
    this.#plan = { owners: Array.from({ length: config.partitions }, () => []) };
    const queries = this.#queries = this.#followQueries(config);
    this.#config = config;
    this.#work.push(queries.run(signal), this.#members.run(signal));
    await Promise.all([
      this.#beats(),
      this.#probes(),
      this.#plans(config),
      this.#duty.run(signal),
      keepWarm(this.#seams.clock, () => this.#queries, () => this.#held.replicas, this.#end.signal),
    ]);
  }

  /** The config, as soon as the cluster is made; null when the host ends before. */
  async #findConfig(): Promise<ClusterConfig | null> {
    const { signal } = this.#end, { clock } = this.#seams;
    const look = async () => {
      const found = await readConfig(OPERATION, this.#session);
      if (found !== null) return found;
      for await (const _ of this.#session.watch(CONFIG, { signal })) break;
      return await readConfig(OPERATION, this.#session);
    };
    while (!signal.aborted) {
      let config: ClusterConfig | null = null;
      await this.#quietly(async () => config = await look());
      if (config !== null) return config;
      await clock.sleep(RETRY_MS, signal);
    }
    return null;
  }

  #followQueries(config: ClusterConfig): Replica<QueryTable> {
    const of = { config, kind: "queries", partition: 0 } as const;
    return new Replica<QueryTable>({
      session: this.#session,
      clock: this.#seams.clock,
      subject: QUERY_SUBJECT,
      of,
      make: () => emptyQueries(config),
      kept: async () => await this.#folder?.read(QUERY_SUBJECT, of) ?? null,
      peer: () => Promise.resolve(null),
      onGone: (ids) => {
        for (const { state } of this.#held.replicas) for (const id of ids) state.forget(id);
      },
    });
  }

  /** Serves the host's address, as soon as no other one of its name does. */
  async #serve(): Promise<void> {
    const { signal } = this.#end, { clock } = this.#seams, shared = new SharedAnswers();
    const kept = { heavyLists: new HeavyLists(), stateCopies: this.#stateCopies };
    const replica = (partition: number) => this.#held.get(partition);
    const answer = (bytes: Uint8Array<ArrayBuffer>) => {
      const config = this.#config, queries = this.#queries;
      if (!config || !queries) return refuseAll("the host has found no cluster yet");
      const parts = { clock, config, queries, replica, signal, ...kept };
      return shared.answer(bytes, () => answerRequest(parts, bytes));
    };
    while (!signal.aborted) {
      try {
        await this.#session.serve(hostKey(this.#name), answer);
        return;
      } catch (error) {
        if (!(error instanceof LogError) || error.reason === "closed") return;
        this.#failure = error.message;
        await this.#seams.clock.sleep(RETRY_MS, signal);
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
      const said = this.#phases();
      await waitUntil(clock, this.#held.changes, BEAT_MS, () => this.#phases() !== said, signal);
    }
  }

  /**
   * Learns once a second how far the log reaches. Heartbeats do not wait for that, since a log that is slow
   * is slow here first.
   */
  async #probes(): Promise<void> {
    const { clock } = this.#seams, { signal } = this.#end;
    while (!signal.aborted) {
      const all = this.#replicas().map((replica) => replica.probe());
      await Promise.all(all.map((probed) => this.#quietly(() => probed)));
      this.#stateCopies.forgetOld(clock.now());
      await clock.sleep(BEAT_MS, signal);
    }
  }

  #report(): HostReport {
    return {
      name: this.#name,
      takesAny: this.#options.partitions === "any",
      isLeaving: this.#isLeaving,
      beat: ++this.#beat,
      partitions: new Map(this.#held.all.map(([partition, replica]) => [partition, replica.report])),
      queries: (this.#queries as Replica<QueryTable>).report,
    };
  }

  #phases(): string {
    return `${this.#isLeaving} ${this.#held.phases}`;
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
      await this.#quietly(async () => this.#plan = await this.#renewPlan(config));
      this.#held.follow(
        {
          ...{ name: this.#name, plan: this.#plan, isLeaving: this.#isLeaving },
          partitions: this.#options.partitions,
        },
        this.#members,
      );
      this.#compare();
      await pause(clock, PLAN_LOOK_MS, [this.#members.changes, this.#held.changes], signal);
    }
  }

  async #renewPlan({ partitions, replicas }: ClusterConfig): Promise<Plan> {
    const isSeen = this.#members.get(this.#name) !== null;
    const alive = this.#members.alive().filter(({ name }) => name !== this.#name || !this.#isLeaving);
    return await renewPlan(this.#session, OPERATION, { partitions, replicas, alive: isSeen ? alive : [] });
  }

  #replicaOf(partition: number): Replica<Partition> {
    const subject = keySubject(partition), config = this.#config as ClusterConfig;
    const of = { config, kind: "keys", partition } as const;
    const peers = {
      session: this.#session,
      rowBytes: 4 * rowColumns(config.scoring.layout),
      others: () => this.#members.alive().filter(({ name }) => name !== this.#name),
    };
    return new Replica<Partition>({
      session: this.#session,
      clock: this.#seams.clock,
      subject,
      of,
      make: () => emptyPartition(config, partition),
      kept: async () => await this.#folder?.read(subject, of) ?? null,
      peer: (after, signal) => fetchPeerState(peers, partition, after, signal),
      onGone: () => {},
    });
  }

  #compare(): void {
    const queries = this.#queries as Replica<QueryTable>;
    const others = this.#members.alive().filter(({ name }) => name !== this.#name);
    this.#comparison.compare({ queries, get: (partition) => this.#held.get(partition) }, others);
  }

  /** All replicas, that of the queries first. */
  #replicas(): AnyReplica[] {
    return [...this.#queries ? [this.#queries] : [], ...this.#held.replicas];
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
