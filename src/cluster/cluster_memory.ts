/**
 * A client of a cluster: edits go to the log, questions to hosts.
 *
 * Invariant: an answer includes every edit that this client has had acknowledged, and every one that the caller's token names;
 * and it is over all partitions, or says which are missing.
 */

import { DisposedError, IdError, InputError } from "../base/errors.ts";
import { describe } from "../base/errors.ts";
import { isCount, reading } from "../base/lists.ts";
import { type Matrix, type MatrixInput, toMatrix, toRow, type VectorInput } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { shownMatrix } from "../display/shown_matrix.ts";
import { outputColumns, queryColumns } from "../numerics/head_layout.ts";
import { powerOfTwo } from "../numerics/power_shift.ts";
import type { RowEdit } from "./batch.ts";
import { Changes } from "./changes.ts";
import type { ClusterSeams } from "./clock.ts";
import { type ClusterConfig, keySubject, partitionOf, QUERY_SUBJECT, rowColumns } from "./cluster_config.ts";
import { ClusterError, Damage } from "./cluster_error.ts";
import type { ClusterStatus, PartitionStatus } from "./cluster_status.ts";
import { metricsText } from "./cluster_status.ts";
import { waitUntil } from "./deadline.ts";
import { stateColumns } from "./exact_sums.ts";
import { type Gathered, Gatherer, type Wanted } from "./gather.ts";
import type { ClusterLog, LogSession } from "./log.ts";
import { Members } from "./members.ts";
import {
  type CheckedRead,
  type ClusterEdit,
  type EditOptions,
  type ReadOptions,
  toEdits,
  toId,
  toIds,
  type TopKeysOptions,
  toReadOptions,
  toTimeout,
} from "./memory_options.ts";
import { type Merged, mergePartitions } from "./merge.ts";
import {
  decodeHeavy,
  decodeRows,
  decodeStates,
  type PartitionAnswer,
  type Question,
  REPLY_BYTES,
} from "./messages.ts";
import { SubjectWriter } from "./subject_writer.ts";
import { type ClusterToken, joinTokens } from "./token.ts";

/** Reads whose times are kept. */
const TIMED_READS = 1024;
const AGAIN_MS = 10;

/** Where an answer stands in a partition. */
export interface PartitionPlace {
  /** The number of the partition. */
  readonly partition: number;
  /** The newest record that the answer includes. */
  readonly sequence: number;
  /** At most so many milliseconds before the answer, these were all records that the log had. */
  readonly ageMs: number;
}

/** Attention over all keys of a cluster. */
export interface ClusterOutput {
  /** One row for each query, H·dv columns; zeros if there is no key. */
  readonly output: Matrix;
  /**
   * For each row, an upper bound on its Euclidean distance from exact attention over the keys as of `partitions`, rounding
   * included.
   */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** The records that the answer includes, for each partition that answered. */
  readonly partitions: readonly PartitionPlace[];
  /** Partitions that are left out, which happens with `partial: true` only. */
  readonly missing: readonly number[];
}

/** A key and its weight for a query. */
export interface ClusterKey {
  /** The id of the key. */
  readonly id: string;
  /** w = exp(s) / Σ exp(s) over all partitions, from 0 to 1. */
  readonly weight: number;
}

/** A key with its value, as it is stored. */
export interface StoredKey {
  /** Hkv·d numbers. */
  readonly key: Float32Array<ArrayBuffer>;
  /** Hkv·dv numbers. */
  readonly value: Float32Array<ArrayBuffer>;
}

/** What a connection is made of. */
interface MemoryParts {
  readonly log: ClusterLog;
  readonly session: LogSession;
  readonly config: ClusterConfig;
  readonly seams: ClusterSeams;
  readonly timeoutMs: number;
  readonly maxUnacked: number;
}

/**
 * A memory that spans machines; `connect` makes it.
 *
 * @example
 * ```ts
 * import { connect, host, memoryLog } from "@attune/attention/cluster";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 *
 * const log = memoryLog();
 * await using _host = await host(log);
 * await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 3 } });
 * await memory.edit([
 *   { kind: "set", id: "a", key: [0], value: [1] },
 *   { kind: "set", id: "b", key: [Math.log(3)], value: [5] },
 * ]);
 * await memory.setQuery("q", [1]);
 * assertAlmostEquals((await memory.read(["q"])).output.data[0], 4, 1e-6);
 * assertEquals((await memory.topKeys("q", 1))[0].id, "b");
 * await memory.edit([{ kind: "delete", id: "b" }]);
 * assertAlmostEquals((await memory.attend([[1]])).output.data[0], 1, 1e-6);
 * ```
 */
export class ClusterMemory {
  readonly #parts: MemoryParts;
  readonly #client: string;
  readonly #members: Members;
  readonly #gatherer: Gatherer;
  readonly #writers = new Map<string, SubjectWriter>();
  readonly #acknowledged = new Changes();
  readonly #end = new AbortController();
  readonly #following: Promise<void>;
  readonly #readMs: number[] = [];
  #own: ClusterToken = { partitions: {}, query: 0 };
  /** Calls of `edit` take their places in this order. */
  #admission: Promise<unknown> = Promise.resolve();
  #edits = 0;
  #reads = 0;
  #disposal: Promise<void> | null = null;

  private constructor(parts: MemoryParts) {
    const { session, seams } = parts;
    this.#parts = parts;
    this.#client = seams.newName();
    this.#members = new Members(session, seams.clock);
    this.#gatherer = new Gatherer(session, seams.clock, this.#members);
    this.#following = this.#members.run(this.#end.signal);
  }

  /**
   * Sets and deletes keys. It resolves when the log has acknowledged every one of them, as durable as the log is. Edits of one key
   * happen in the order in which they were given, over all calls of this connection; each happens once, whatever the network
   * does. A call is not one transaction: a reader may see the edits of one partition before those of another, unless it carries
   * the token.
   *
   * When more than `maxUnacked` bytes wait for the log, the call waits before it takes its edits. Costs a message for each
   * partition and 480 KiB.
   *
   * @param edits `{ kind: "set", id, key, value }` and `{ kind: "delete", id }`.
   * @returns The token with which a read includes them.
   * @throws {InputError} When an edit is malformed; nothing was sent.
   * @throws {ClusterError} "unknown" when the log did not acknowledge them in time: they may be kept, also later. Setting the
   * same keys again is right in any case.
   */
  async edit(edits: readonly ClusterEdit[], options: EditOptions = {}): Promise<ClusterToken> {
    const operation = "ClusterMemory.edit", { config, timeoutMs } = this.#parts;
    const { checked, wait } = this.#given(operation, () => ({
      checked: toEdits(operation, edits, config.scoring.layout),
      wait: toTimeout(operation, takeOptions(operation, options, ["timeoutMs"]).timeoutMs, timeoutMs),
    }));
    const groups = new Map<number, RowEdit[]>();
    for (const edit of checked) {
      const partition = partitionOf(edit.id, config.partitions), group = groups.get(partition);
      if (group) group.push(edit);
      else groups.set(partition, [edit]);
    }
    const written = await this.#admit(
      operation,
      wait,
      (until) =>
        [...groups].map(async ([partition, group]) => {
          return [partition, await this.#writer(partition).write(operation, group, until)] as const;
        }),
    );
    const partitions: Record<number, number> = {};
    for (const [partition, sequence] of written) partitions[partition] = sequence;
    this.#edits += checked.length;
    return this.#note({ partitions, query: 0 });
  }

  /**
   * Sets a standing query, H·d numbers, on all hosts; they keep its state current.
   *
   * @returns The token with which a read sees it.
   * @throws {ClusterError} As `edit`.
   */
  async setQuery(id: string, row: VectorInput, options: EditOptions = {}): Promise<ClusterToken> {
    const operation = "ClusterMemory.setQuery";
    return await this.#editQuery(operation, options, () => ({
      id: toId(operation, "id", id),
      row: toRow(operation, "row", row, queryColumns(this.#parts.config.scoring.layout), "heads × dim"),
    }));
  }

  /** Removes a standing query; nothing happens if there is none. */
  async deleteQuery(id: string, options: EditOptions = {}): Promise<ClusterToken> {
    const operation = "ClusterMemory.deleteQuery";
    return await this.#editQuery(operation, options, () => ({ id: toId(operation, "id", id), row: null }));
  }

  /**
   * Attention of standing queries over all keys. For query i, o_i = Σ_j exp(s_ij) v_j / Σ_j exp(s_ij) over the live keys j of all
   * partitions. Partitions are merged in float64 in their order, so that the answer has the same bits whichever replicas gave
   * it. It includes all that this connection has had acknowledged, and what `after` names.
   *
   * Costs a request to each host, and O(d + dv) there for each query and key that has changed since it was last asked for.
   *
   * @param ids Ids of standing queries.
   * @returns `output`, a row for each id, with `bounds`.
   * @throws {IdError} When an id is that of no standing query.
   * @throws {ClusterError} "missing" when partitions do not answer in time, "damaged" when they refuse to. There is no answer over
   * fewer keys unless `partial` is true.
   */
  async read(ids: ArrayLike<string>, options: ReadOptions = {}): Promise<ClusterOutput> {
    const operation = "ClusterMemory.read";
    const { wanted, checked } = this.#givenRead(operation, ids, options);
    return this.#toOutput(wanted.length, await this.#readStates(operation, wanted, checked, true));
  }

  /**
   * As `read`, but without waiting for any record: an answer as of what the replicas have now, which `partitions` tells, with the
   * age of each.
   */
  async peek(ids: ArrayLike<string>, options: Omit<ReadOptions, "after"> = {}): Promise<ClusterOutput> {
    const operation = "ClusterMemory.peek";
    const { wanted, checked } = this.#givenRead(operation, ids, options);
    return this.#toOutput(wanted.length, await this.#readStates(operation, wanted, checked, false));
  }

  /**
   * Natural log of Σ_j exp s_ij over all keys, H numbers for each standing query, −∞ where there is no key.
   *
   * @returns r × H numbers, row-major.
   */
  async logSumExp(
    ids: ArrayLike<string>,
    options: Omit<ReadOptions, "partial"> = {},
  ): Promise<Float64Array<ArrayBuffer>> {
    const operation = "ClusterMemory.logSumExp";
    const { wanted, checked } = this.#givenRead(operation, ids, options);
    return (await this.#readStates(operation, wanted, checked, true)).merged.logSumExp;
  }

  /**
   * Attention of passing queries, r × H·d, over all keys. Costs O(n (d + dv)) for each, over all hosts together.
   *
   * @throws {ClusterError} As `read`.
   */
  async attend(queries: MatrixInput, options: ReadOptions = {}): Promise<ClusterOutput> {
    const operation = "ClusterMemory.attend", { layout } = this.#parts.config.scoring;
    const { rows, checked } = this.#given(operation, () => ({
      rows: toMatrix(operation, "queries", queries),
      checked: toReadOptions(operation, options, this.#parts.config, this.#parts.timeoutMs),
    }));
    const [count, columns] = rows.shape;
    if (columns !== queryColumns(layout)) {
      throw new InputError(
        operation,
        `queries has ${columns} columns`,
        `${queryColumns(layout)} (heads × dim)`,
      );
    }
    const ask = (from: number, to: number): Question => ({
      kind: "attend",
      rows: rows.data.subarray(from * columns, to * columns),
    });
    return this.#toOutput(count, await this.#askStates(operation, count, ask, checked, true, 4 * columns));
  }

  /**
   * The keys with the largest weights of a standing query over all partitions, the heaviest first, equal ones by id.
   *
   * Costs O(n d) over all hosts together.
   *
   * @param count How many; all if there are fewer.
   * @throws {IdError} When the id is that of no standing query.
   */
  async topKeys(id: string, count: number, options: TopKeysOptions = {}): Promise<ClusterKey[]> {
    const operation = "ClusterMemory.topKeys", { config, timeoutMs, seams: { clock } } = this.#parts;
    const given = this.#given(operation, () => {
      const { head = 0, ...read } = takeOptions(operation, options, ["head", "after", "timeoutMs"]);
      if (!isCount(head) || head >= config.scoring.layout.heads) {
        throw new InputError(
          operation,
          `head is ${describe(head)}`,
          `a head below ${config.scoring.layout.heads}`,
        );
      }
      if (!isCount(count) || count > 4096) {
        throw new InputError(operation, `count is ${describe(count)}`, "a whole number up to 4096");
      }
      return { head, id: toId(operation, "id", id), read: toReadOptions(operation, read, config, timeoutMs) };
    });
    const question: Question = { kind: "top", id: given.id, head: given.head, count };
    const until = clock.now() + given.read.timeoutMs;
    const answers = await this.#askSame(
      operation,
      question,
      given.read,
      until,
      (answer) => [decodeHeavy(answer).version],
      [given.id],
    );
    const parts = answers.map(({ answer }) => decodeHeavy(answer));
    const shift = parts.reduce((most, part) => part.mass > 0 ? Math.max(most, part.shift) : most, -Infinity);
    const scaled = (mass: number, from: number) => mass * powerOfTwo(from - shift);
    const total = parts.reduce((sum, part) => part.mass > 0 ? sum + scaled(part.mass, part.shift) : sum, 0);
    return parts.flatMap((part) =>
      part.keys.map(({ id, mass }) => ({ id, weight: scaled(mass, part.shift) / total }))
    )
      .sort((a, b) => b.weight - a.weight || (a.id < b.id ? -1 : 1))
      .slice(0, count);
  }

  /**
   * The keys of ids with their values, as stored; null for an id that is not there.
   *
   * A learner takes its step from them: read rows, compute new ones, and `edit`.
   */
  async getKeys(
    ids: ArrayLike<string>,
    options: Omit<ReadOptions, "partial"> = {},
  ): Promise<(StoredKey | null)[]> {
    const operation = "ClusterMemory.getKeys", { config, session, seams: { clock } } = this.#parts;
    const { wanted, checked } = this.#givenRead(operation, ids, options);
    const { layout } = config.scoring,
      width = rowColumns(layout),
      keys = width - layout.kvHeads * layout.valueDim;
    const until = clock.now() + checked.timeoutMs,
      rows = new Array<StoredKey | null>(wanted.length).fill(null);
    const groups = new Map<number, number[]>();
    wanted.forEach((id, at) => {
      const partition = partitionOf(id, config.partitions), group = groups.get(partition);
      if (group) group.push(at);
      else groups.set(partition, [at]);
    });
    const most = Math.max(1, Math.floor((session.largestMessage - REPLY_BYTES) / (4 * width + 8)) - 1);
    const token = this.#tokenOf(checked, true);
    await Promise.all([...groups].map(async ([partition, places]) => {
      for (let from = 0; from < places.length; from += most) {
        const part = places.slice(from, from + most), ids = part.map((at) => wanted[at]);
        const one = { partition, sequence: token.partitions[partition] ?? 0, querySequence: 0 };
        const gathered = await this.#gatherer.ask(
          operation,
          { kind: "rows", ids },
          [one],
          until,
          this.#end.signal,
        );
        this.#checkLive(operation);
        const answer = gathered.answers.get(partition);
        if (!answer) throw Gatherer.failure(operation, gathered);
        this.#decoded(operation, partition, () => decodeRows(answer.answer, part.length, width)).forEach(
          (row, at) => {
            if (row) rows[part[at]] = { key: row.slice(0, keys), value: row.slice(keys) };
          },
        );
      }
    }));
    return rows;
  }

  /** What is known of hosts and partitions, and what this connection has done, as of now. */
  status(): ClusterStatus {
    this.#checkLive("ClusterMemory.status");
    const { config, log } = this.#parts, alive = this.#members.alive();
    const partitions = Array.from({ length: config.partitions }, (_, partition): PartitionStatus => {
      const told = alive.flatMap(({ name, partitions }) => {
        const report = partitions.get(partition);
        return report ? [{ name, ...report }] : [];
      });
      const newest = told.reduce<typeof told[number] | null>(
        (best, one) => best === null || one.sequence > best.sequence ? one : best,
        null,
      );
      const needed = this.#own.partitions[partition] ?? 0;
      return {
        partition,
        ready: told.filter(({ phase }) => phase === "ready").map(({ name }) => name),
        others: told.filter(({ phase }) => phase !== "ready").map(({ name }) => name),
        sequence: newest?.sequence ?? 0,
        isCurrent: told.some(({ phase, sequence }) => phase === "ready" && sequence >= needed),
        keys: newest?.keys ?? 0,
        bytes: newest?.bytes ?? 0,
      };
    });
    return {
      cluster: config.cluster,
      log: log.description,
      hosts: alive.map(({ name }) => name),
      partitions,
      unackedBytes: this.#unacked,
      edits: this.#edits,
      reads: this.#reads,
      ...this.#gatherer.counts,
      readMs: Float64Array.from(this.#readMs).sort(),
    };
  }

  /** `status()` as metrics in Prometheus' text form. */
  metrics(): string {
    return metricsText(this.status());
  }

  /** Waits for the acknowledgement of all edits, or until they are given up, and ends the connection. */
  dispose(): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  /** Calls `dispose` at the end of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #dispose(): Promise<void> {
    await Promise.all([...this.#writers.values()].map((writer) => writer.close()));
    this.#end.abort();
    this.#acknowledged.close();
    this.#members.changes.close();
    await this.#parts.session.close();
    await this.#following;
  }

  get #unacked(): number {
    let bytes = 0;
    for (const writer of this.#writers.values()) bytes += writer.bytes;
    return bytes;
  }

  async #editQuery(operation: string, options: EditOptions, take: () => RowEdit): Promise<ClusterToken> {
    const { edit, wait } = this.#given(operation, () => ({
      edit: take(),
      wait: toTimeout(
        operation,
        takeOptions(operation, options, ["timeoutMs"]).timeoutMs,
        this.#parts.timeoutMs,
      ),
    }));
    const [query] = await this.#admit(operation, wait, (until) => [
      this.#writer(null).write(operation, [edit], until),
    ]);
    return this.#note({ partitions: {}, query });
  }

  /** Lets edits to their writers in the order of calls, when there is room. */
  async #admit<T>(
    operation: string,
    wait: number,
    write: (until: number) => readonly Promise<T>[],
  ): Promise<T[]> {
    const { seams: { clock }, maxUnacked } = this.#parts, until = clock.now() + wait;
    const admitted = this.#admission.then(async () => {
      const hasRoom = () => this.#unacked < maxUnacked;
      if (!await waitUntil(clock, this.#acknowledged, until - clock.now(), hasRoom, this.#end.signal)) {
        this.#checkLive(operation);
        throw new ClusterError(operation, "unknown", "the log is too slow; the edits were not sent");
      }
      return { writes: Promise.all(write(until)) };
    });
    this.#admission = admitted.catch(() => {});
    const { writes } = await admitted;
    return await writes;
  }

  #writer(partition: number | null): SubjectWriter {
    const { session, seams: { clock } } = this.#parts;
    const subject = partition === null ? QUERY_SUBJECT : keySubject(partition);
    let writer = this.#writers.get(subject);
    if (writer) return writer;
    const known = () => {
      let most = 0;
      for (const { partitions, queries } of this.#members.alive()) {
        const report = partition === null ? queries : partitions.get(partition);
        if (report?.phase === "ready") most = Math.max(most, report.sequence);
      }
      return most;
    };
    const kind = partition === null ? "queries" : "keys";
    writer = new SubjectWriter({ session, clock, client: this.#client, subject, kind, partition, known });
    this.#writers.set(subject, writer);
    this.#tellAcknowledged(writer);
    return writer;
  }

  async #tellAcknowledged(writer: SubjectWriter): Promise<void> {
    while (!this.#end.signal.aborted) {
      await writer.acknowledged.next(this.#end.signal);
      this.#acknowledged.tell();
    }
  }

  #note(token: ClusterToken): ClusterToken {
    this.#own = joinTokens(this.#own, token);
    return token;
  }

  #tokenOf({ after }: CheckedRead, isExact: boolean): ClusterToken {
    return isExact ? joinTokens(this.#own, after) : { partitions: {}, query: 0 };
  }

  #readStates(operation: string, ids: readonly string[], checked: CheckedRead, isExact: boolean) {
    const ask = (from: number, to: number): Question => ({ kind: "read", ids: ids.slice(from, to) });
    const longest = ids.reduce((most, id) => Math.max(most, 3 * id.length + 8), 0);
    return this.#askStates(operation, ids.length, ask, checked, isExact, longest, ids);
  }

  /** Asks for states in parts whose messages are not too large, and merges them. */
  async #askStates(
    operation: string,
    count: number,
    ask: (from: number, to: number) => Question,
    checked: CheckedRead,
    isExact: boolean,
    bytesEach: number,
    ids?: readonly string[],
  ): Promise<{ merged: Merged; places: PartitionPlace[]; missing: number[] }> {
    const { config: { scoring, partitions }, session, seams: { clock } } = this.#parts;
    const startedAt = clock.now(), until = startedAt + checked.timeoutMs;
    const columns = stateColumns(scoring.layout), stateBytes = 8 * (columns + 2);
    const room = session.largestMessage - REPLY_BYTES;
    const perRequest = Math.floor((room - 16 * partitions - 64) / Math.max(1, bytesEach));
    const step = Math.max(
      1,
      Math.min(perRequest, Math.floor((room / partitions - REPLY_BYTES) / stateBytes)),
    );
    const most = Math.max(1, Math.floor(room / (step * stateBytes + REPLY_BYTES)));
    const { heads, valueDim } = scoring.layout;
    const merged: Merged = {
      output: new Float32Array(count * heads * valueDim),
      logSumExp: new Float64Array(count * heads),
      bounds: new Float64Array(count),
    };
    const places = new Map<number, PartitionPlace>(), missing = new Set<number>();
    for (let from = 0; from < count; from += step) {
      const to = Math.min(count, from + step), rows = to - from;
      const decode = (answer: Uint8Array<ArrayBuffer>) => decodeStates(answer, rows, columns);
      const versions = (answer: Uint8Array<ArrayBuffer>) => {
        const states = decode(answer);
        return Array.from({ length: rows }, (_, at) => states[at * (columns + 2)]);
      };
      const answers = await this.#askSame(
        operation,
        ask(from, to),
        checked,
        until,
        versions,
        ids?.slice(from, to) ?? [],
        { waits: isExact, most },
        missing,
      );
      const part = mergePartitions(
        scoring,
        rows,
        answers.map(({ answer, keys, keyNorm, valueNorm }) => ({
          states: decode(answer),
          keys,
          keyNorm,
          valueNorm,
        })),
      );
      merged.output.set(part.output, from * heads * valueDim);
      merged.logSumExp.set(part.logSumExp, from * heads);
      merged.bounds.set(part.bounds, from);
      for (const { partition, sequence, age } of answers) {
        const before = places.get(partition);
        places.set(partition, {
          partition,
          sequence: Math.min(sequence, before?.sequence ?? Infinity),
          ageMs: Math.max(age, before?.ageMs ?? 0),
        });
      }
    }
    this.#noteRead(clock.now() - startedAt);
    return {
      merged,
      places: [...places.values()].sort((a, b) => a.partition - b.partition),
      missing: [...missing].sort((a, b) => a - b),
    };
  }

  /**
   * Asks all partitions until their answers are of the same version of each query; they come back in ascending order. Those
   * that are missing are put into `missing`, or throw.
   */
  async #askSame(
    operation: string,
    question: Question,
    checked: CheckedRead,
    until: number,
    versionsOf: (answer: Uint8Array<ArrayBuffer>) => number[],
    ids: readonly string[],
    how: { readonly waits: boolean; readonly most?: number } = { waits: true },
    missing = new Set<number>(),
  ): Promise<PartitionAnswer[]> {
    const { config: { partitions }, seams: { clock } } = this.#parts,
      token = this.#tokenOf(checked, how.waits);
    const found = new Map<number, PartitionAnswer>(), isStanding = ids.length > 0;
    let querySequence = isStanding ? token.query : 0;
    for (;;) {
      const wanted: Wanted[] = [];
      for (let partition = 0; partition < partitions; partition++) {
        if (found.has(partition)) continue;
        wanted.push({ partition, sequence: token.partitions[partition] ?? 0, querySequence });
      }
      const gathered: Gathered = await this.#gatherer.ask(
        operation,
        question,
        wanted,
        until,
        this.#end.signal,
        how,
      );
      this.#checkLive(operation);
      for (const [partition, answer] of gathered.answers) found.set(partition, answer);
      if (gathered.missing.size > 0) {
        if (!checked.partial || found.size === 0) throw Gatherer.failure(operation, gathered);
        for (const partition of gathered.missing.keys()) missing.add(partition);
      }
      const answers = [...found.values()].sort((a, b) => a.partition - b.partition);
      if (!isStanding) return answers;
      const versions = answers.map(({ partition, answer }) =>
        this.#decoded(operation, partition, () => versionsOf(answer))
      );
      const differing = ids.some((_, at) => versions.some((one) => one[at] !== versions[0][at]));
      if (!differing) {
        const absent = ids.findIndex((_, at) => versions[0][at] === 0);
        if (absent >= 0) throw new IdError(operation, "query", ids[absent], []);
        return answers;
      }
      // Those that are behind are asked again; where all have come as far, a query was set while they answered.
      querySequence = Math.max(querySequence, ...answers.map((answer) => answer.querySequence));
      const isBehind = answers.filter((answer) => answer.querySequence < querySequence);
      for (const { partition } of isBehind.length > 0 ? isBehind : answers) found.delete(partition);
      if (clock.now() >= until) {
        throw new ClusterError(operation, "missing", "hosts do not agree on the standing queries in time");
      }
      await clock.sleep(AGAIN_MS, this.#end.signal);
    }
  }

  #decoded<T>(operation: string, partition: number, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      throw new ClusterError(operation, "damaged", `partition ${partition}: ${error.message}`, [partition]);
    }
  }

  #noteRead(ms: number): void {
    this.#reads++;
    this.#readMs.push(ms);
    if (this.#readMs.length > TIMED_READS) this.#readMs.shift();
  }

  #toOutput(
    count: number,
    { merged: { output, bounds }, places, missing }: {
      readonly merged: Merged;
      readonly places: readonly PartitionPlace[];
      readonly missing: readonly number[];
    },
  ): ClusterOutput {
    const columns = outputColumns(this.#parts.config.scoring.layout);
    return { output: shownMatrix(output, [count, columns]), bounds, partitions: places, missing };
  }

  #givenRead(operation: string, ids: ArrayLike<string>, options: ReadOptions) {
    return this.#given(operation, () => ({
      wanted: toIds(operation, "ids", ids),
      checked: toReadOptions(operation, options, this.#parts.config, this.#parts.timeoutMs),
    }));
  }

  #given<T>(operation: string, read: () => T): T {
    this.#checkLive(operation);
    return reading(operation, read);
  }

  #checkLive(operation: string): void {
    if (this.#disposal) throw new DisposedError(operation);
  }
}
