/**
 * A client of a cluster: edits go to the log, questions to hosts.
 *
 * Invariant: an answer includes every acknowledged edit of this client, every record of its earlier answers,
 * and the records of the caller's token. It is over all partitions, or names the missing ones.
 */

import { DisposedError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";
import { type MatrixInput, toRow, type VectorInput } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { queryColumns } from "../numerics/head_layout.ts";
import type { RowEdit } from "./batch.ts";
import type { ClusterSeams } from "./clock.ts";
import type { ClusterKey, ClusterOutput, StoredKey } from "./cluster_answers.ts";
import { type ClusterConfig, type MadeShape, shapeOf } from "./cluster_config.ts";
import { type ClusterEdit, groupsOf, toEdits } from "./cluster_edits.ts";
import { ClusterReader } from "./cluster_reader.ts";
import { placesOf } from "./exact_sums.ts";
import { type ClusterStatus, metricsText, partitionStatuses } from "./cluster_status.ts";
import { ClusterWriter } from "./cluster_writer.ts";
import { toId, toIds } from "./ids.ts";
import type { ClusterLog, LogSession } from "./log.ts";
import { Members } from "./members.ts";
import {
  type EditOptions,
  type PassingOptions,
  type PeekOptions,
  type QueryOptions,
  type ReadOptions,
  type ShiftOptions,
  toNamedShift,
  toPassing,
  toPeek,
  type TopKeysOptions,
  toPosition,
  toReadOptions,
  toTimeout,
  toTopKeys,
} from "./memory_options.ts";
import type { ClusterToken } from "./token.ts";

/** The parts of a connection. */
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
  readonly #members: Members;
  readonly #reader: ClusterReader;
  readonly #writer: ClusterWriter;
  readonly #end = new AbortController();
  readonly #following: Promise<void>;
  #edits = 0;
  #disposal: Promise<void> | null = null;

  private constructor(parts: MemoryParts) {
    const { session, config, maxUnacked, seams: { clock, newName } } = parts, { signal } = this.#end;
    this.#parts = parts;
    this.#members = new Members(session, clock);
    const members = this.#members, shared = { session, config, clock, members, signal };
    this.#writer = new ClusterWriter({ ...shared, client: newName(), maxUnacked });
    this.#reader = new ClusterReader({
      ...shared,
      checkLive: (operation) => this.#checkLive(operation),
    });
    this.#following = this.#members.run(this.#end.signal);
  }

  /** The shape of the cluster: with all that was left out when it was made, and its rules in their shortest form. */
  get shape(): MadeShape {
    return shapeOf(this.#parts.config);
  }

  /**
   * Sets and deletes keys. It resolves when the log has acknowledged every one of them, as durable as the log
   * is. Edits of one key happen in the order in which they were given, over all calls of this connection;
   * each happens once, whatever the network does. A call is not one transaction: a reader may see the edits
   * of one partition before those of another, unless it carries the token.
   *
   * When more than `maxUnacked` bytes wait for the log, the call waits before it takes its edits. Costs a
   * message for each partition and 480 KiB.
   *
   * @param edits `{ kind: "set", id, key, value }` and `{ kind: "delete", id }`; where a rule looks at
   * positions, `{ kind: "set", id, key, value, position }` and `{ kind: "setPosition", id, position }`, too;
   * with `editableMask`, `{ kind: "setMask", entry, keys, queries, head }`, or with `entries`, a block.
   * @returns The token with which a read includes them.
   * @throws {InputError} When an edit is malformed; nothing was sent.
   * @throws {ClusterError} "unsent" when the time was over before any of them was sent: none is kept.
   * "full" when the log has no room for them, "refused" when the connection may not write there: none is kept.
   * "unknown" when the log did not acknowledge all of
   * them in time, or had room for some alone: some or all may be kept, also later.
   * Setting the same keys again is right in any case.
   */
  async edit(edits: readonly ClusterEdit[], options: EditOptions = {}): Promise<ClusterToken> {
    const operation = "ClusterMemory.edit", { config, timeoutMs } = this.#parts;
    const { checked, wait } = this.#given(operation, () => ({
      checked: toEdits(operation, edits, config),
      wait: toTimeout(operation, takeOptions(operation, options, ["timeoutMs"]).timeoutMs, timeoutMs),
    }));
    const token = await this.#writer.write(operation, wait, {
      keys: groupsOf(checked, config.partitions),
      queries: [],
    });
    this.#edits += checked.length;
    this.#reader.note(token);
    return token;
  }

  /**
   * Sets a standing query, H·d numbers, on all hosts; they keep its state current.
   *
   * @param options `position`, where a rule looks at positions; `timeoutMs`.
   * @returns The token with which a read sees it.
   * @throws {ClusterError} As `edit`.
   */
  async setQuery(id: string, row: VectorInput, options: QueryOptions = {}): Promise<ClusterToken> {
    const operation = "ClusterMemory.setQuery",
      { scoring } = this.#parts.config,
      isPlaced = placesOf(scoring);
    return await this.#editQuery(operation, options, isPlaced !== null, (position) => ({
      id: toId(operation, "id", id),
      row: toRow(operation, "row", row, queryColumns(scoring.layout), "heads × dim"),
      ...(isPlaced ? { position: toPosition(operation, "position", position, scoring) } : {}),
    }));
  }

  /**
   * Moves a standing query to another position; nothing happens if there is none. Where positions decide alone
   * which keys it may attend to, as for `causal` and `window`, its state costs O(n / P) comparisons on each
   * partition and what an edit costs for each key that comes or goes; elsewhere it is built anew.
   *
   * @throws {InputError} When no rule looks at positions.
   * @throws {ClusterError} As `edit`.
   */
  async setQueryPosition(id: string, position: number, options: EditOptions = {}): Promise<ClusterToken> {
    const operation = "ClusterMemory.setQueryPosition", { scoring } = this.#parts.config;
    return await this.#editQuery(operation, options, false, () => ({
      ...{ id: toId(operation, "id", id), row: null },
      position: toPosition(operation, "position", position, scoring),
    }));
  }

  /**
   * Adds `by` to the positions of all keys and of all standing queries from `from` on and before `to`: a
   * context shift. Each partition moves its keys, and each host the queries, by a record of its own, so that
   * a reader may see some moved and others not, unless it carries the token. A partition moves rows once for
   * each name: when the call fails, calling it again with the same `name`, `by`, `from` and `to` finishes it,
   * and moves nothing twice. A row that would leave the positions that a rule takes, ±2^46 for biases by
   * distance, stays at their end.
   *
   * Costs a record in each partition and O(n + m) on hosts, with what an edit costs for each row that moves;
   * where more than 4,096 keys of a partition move, its sums are built anew.
   *
   * @param by A finite number, whole where positions are.
   * @param options `from`, −∞ unless given; `to`, which is not included, Infinity unless given; `name`, see
   * {@link ShiftOptions}; `timeoutMs`.
   * @returns The token with which a read sees all of them moved.
   * @throws {InputError} When no rule looks at positions.
   * @throws {ClusterError} As `edit`; then some partitions may have moved their rows, and others not.
   *
   * @example The oldest half of a window goes, and the rest moves up
   * ```ts
   * import { connect, host, memoryLog } from "@attune/attention/cluster";
   * import { assertEquals } from "@std/assert";
   *
   * const log = memoryLog();
   * await using _host = await host(log);
   * await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 2, causal: true } });
   * const key = (id: string, position: number) => ({ kind: "set", id, key: [0], value: [position], position } as const);
   * await memory.edit([key("a", 0), key("b", 3), key("c", 4)]);
   * await memory.setQuery("q", [0], { position: 3 });
   * const after = await memory.shiftPositions(-2, { from: 3, name: "first" });
   * await memory.shiftPositions(-2, { from: 3, name: "first" }); // a move of this name is made once
   * assertEquals((await memory.getKeys(["a", "b", "c"], { after })).map((key) => key?.position), [0, 1, 2]);
   * assertEquals(await memory.getQueryPositions(["q"]), [1]);
   * ```
   */
  async shiftPositions(by: number, options: ShiftOptions = {}): Promise<ClusterToken> {
    const operation = "ClusterMemory.shiftPositions", { config, seams, timeoutMs: most } = this.#parts;
    const { shift, wait } = this.#given(operation, () => {
      const { timeoutMs, ...range } = takeOptions(operation, options, ["from", "to", "name", "timeoutMs"]);
      const shift = toNamedShift(operation, by, range, config.scoring, seams.newName);
      return { shift, wait: toTimeout(operation, timeoutMs, most) };
    });
    const edits: readonly RowEdit[] = [{ id: "", row: null, shift }];
    const token = await this.#writer.write(operation, wait, {
      keys: groupsOf(edits, config.partitions),
      queries: edits,
    });
    this.#reader.noteMoved(token);
    return token;
  }

  /** Removes a standing query; nothing happens if there is none. */
  async deleteQuery(id: string, options: EditOptions = {}): Promise<ClusterToken> {
    const operation = "ClusterMemory.deleteQuery";
    const take = () => ({ id: toId(operation, "id", id), row: null });
    return await this.#editQuery(operation, options, false, take);
  }

  /**
   * Attention of standing queries over all keys. For query i, o_i = Σ_j exp(s_ij) v_j / Σ_j exp(s_ij) over
   * the live keys j of all partitions. Partitions are merged in float64 in their order, so that the answer
   * has the same bits whichever replicas gave it. It includes every acknowledged edit of this connection,
   * every record of its earlier answers, and the records of `after`.
   *
   * Costs a request to each host, and O(d + dv) there for each query and key that has changed since it was
   * last asked for.
   *
   * @param ids Ids of standing queries.
   * @returns `output`, a row for each id, with `bounds`.
   * @throws {IdError} When an id is that of no standing query.
   * @throws {ClusterError} "missing" when partitions do not answer in time, "damaged" when they refuse to.
   * There is no answer over fewer keys unless `partial` is true.
   */
  async read(ids: ArrayLike<string>, options: ReadOptions = {}): Promise<ClusterOutput> {
    const operation = "ClusterMemory.read";
    const { wanted, checked } = this.#givenRead(operation, ids, options, true);
    return await this.#reader.read(operation, wanted, checked);
  }

  /**
   * An answer that may be old, and says how old it is. Hosts answer with the records that they have, without
   * waiting for others. With `maxAgeMs`, rows that `read` or `peek` gave before are given again while they
   * are young enough; such a row takes no message. With `maxError`, an older row is given again if hosts
   * certify that its distance from the exact answer is no larger; exact means here: over the records that the
   * hosts have at that moment.
   *
   * `partitions` says how old the answer is: `ageMs` milliseconds ago it included all records of the
   * partition, it includes them up to `sequence`, and `newest` is the newest record that this connection
   * knows of. `bounds` are for the records up to `sequence`.
   *
   * @param options `maxAgeMs`, the largest age of a row that is given again; 0, for none, unless given.
   * `maxError`, see {@link PeekOptions}.
   *
   * @example
   * ```ts
   * import { connect, host, memoryLog } from "@attune/attention/cluster";
   * import { assertEquals, assertLess } from "@std/assert";
   *
   * const log = memoryLog();
   * await using _host = await host(log);
   * await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 2 } });
   * await memory.edit([{ kind: "set", id: "a", key: [0], value: [7] }]);
   * await memory.setQuery("q", [1]);
   * await memory.read(["q"]);
   * const { output, partitions } = await memory.peek(["q"], { maxAgeMs: 60_000 });
   * assertEquals([...output.data], [7]);
   * assertLess(Math.max(...partitions.map(({ ageMs }) => ageMs)), 60_000);
   * ```
   */
  async peek(ids: ArrayLike<string>, options: PeekOptions = {}): Promise<ClusterOutput> {
    const operation = "ClusterMemory.peek";
    const { limits, read } = this.#given(operation, () => toPeek(operation, options));
    const { wanted, checked } = this.#givenRead(operation, ids, read, true);
    return await this.#reader.peek(operation, wanted, limits, checked);
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
    return await this.#reader.logSumExp(operation, wanted, checked);
  }

  /**
   * Attention of passing queries, r × H·d, over all keys. Costs O(n (d + dv)) for each, over all hosts
   * together.
   *
   * @param options `positions`, one per query, where a rule looks at positions; `maskOf`, the standing query
   * whose mask they have, or null, with `editableMask`; see {@link PassingOptions}.
   * @throws {ClusterError} As `read`.
   */
  async attend(queries: MatrixInput, options: PassingOptions = {}): Promise<ClusterOutput> {
    const operation = "ClusterMemory.attend", { config, timeoutMs } = this.#parts;
    const { passing, checked } = this.#given(operation, () => {
      return toPassing(operation, queries, options, config, timeoutMs);
    });
    return await this.#reader.attend(operation, passing, checked);
  }

  /**
   * The keys with the largest weights of a standing query over all partitions, the heaviest first, equal ones
   * by id.
   *
   * Costs O(n d) over all hosts together.
   *
   * @param count How many; all if there are fewer.
   * @throws {IdError} When the id is that of no standing query.
   */
  async topKeys(id: string, count: number, options: TopKeysOptions = {}): Promise<ClusterKey[]> {
    const operation = "ClusterMemory.topKeys", { config, timeoutMs } = this.#parts;
    const { asked, checked } = this.#given(operation, () => {
      return toTopKeys(operation, id, count, options, config, timeoutMs);
    });
    return await this.#reader.heaviest(operation, asked, checked);
  }

  /**
   * The keys of ids with their values, as stored; null for an id that is not there.
   *
   * A `ClusterLearner` takes its steps from them: it reads rows, computes new ones, and edits.
   */
  async getKeys(
    ids: ArrayLike<string>,
    options: Omit<ReadOptions, "partial"> = {},
  ): Promise<(StoredKey | null)[]> {
    const operation = "ClusterMemory.getKeys";
    const { wanted, checked } = this.#givenRead(operation, ids, options);
    return await this.#reader.storedKeys(operation, wanted, checked);
  }

  /** The rows of standing queries, H·d numbers each; null for an id that is not there. */
  async getQueries(
    ids: ArrayLike<string>,
    options: Omit<ReadOptions, "partial"> = {},
  ): Promise<(Float32Array<ArrayBuffer> | null)[]> {
    const operation = "ClusterMemory.getQueries";
    const { wanted, checked } = this.#givenRead(operation, ids, options);
    const rows = await this.#reader.standingRows(operation, wanted, checked);
    return rows.map((one) => one && one.row);
  }

  /** The positions of standing queries; null for an id that is not there. 0 where no rule looks at positions. */
  async getQueryPositions(
    ids: ArrayLike<string>,
    options: Omit<ReadOptions, "partial"> = {},
  ): Promise<(number | null)[]> {
    const operation = "ClusterMemory.getQueryPositions";
    const { wanted, checked } = this.#givenRead(operation, ids, options);
    const rows = await this.#reader.standingRows(operation, wanted, checked);
    return rows.map((one) => one && (one.position ?? 0));
  }

  /** The hosts and partitions that this connection knows of, and counts of its own calls. */
  status(): ClusterStatus {
    this.#checkLive("ClusterMemory.status");
    const { config, log } = this.#parts, alive = this.#members.alive();
    return {
      cluster: config.cluster,
      log: log.description,
      hosts: alive.map(({ name }) => name),
      partitions: partitionStatuses(config.partitions, alive, this.#reader.known),
      unackedBytes: this.#writer.bytes,
      edits: this.#edits,
      reads: this.#reader.reads,
      ...this.#reader.counts,
      readMs: this.#reader.readMs,
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
    await this.#writer.close();
    this.#end.abort();
    this.#members.changes.close();
    await this.#parts.session.close();
    await this.#following;
  }

  async #editQuery(
    operation: string,
    options: QueryOptions,
    takesPosition: boolean,
    take: (position: unknown) => RowEdit,
  ): Promise<ClusterToken> {
    const { edit, wait } = this.#given(operation, () => {
      const names = ["timeoutMs", ...takesPosition ? ["position"] as const : []] as const;
      const { timeoutMs, position } = takeOptions(operation, options, names);
      return { edit: take(position), wait: toTimeout(operation, timeoutMs, this.#parts.timeoutMs) };
    });
    const token = await this.#writer.write(operation, wait, { keys: new Map(), queries: [edit] });
    this.#reader.note(token, [edit.id]);
    return token;
  }

  #givenRead(operation: string, ids: ArrayLike<string>, options: ReadOptions, mayLack = false) {
    return this.#given(operation, () => ({
      wanted: toIds(operation, "ids", ids),
      checked: toReadOptions(operation, options, this.#parts.config, this.#parts.timeoutMs, mayLack),
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
