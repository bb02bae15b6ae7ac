/**
 * The public face of the engine: it checks arguments and gives answers their form. Edits and questions go to
 * the core (`engine_core.ts`), which passes them through the pipeline (`schedule/edit_pipeline.ts`) to a
 * backend.
 */

import { OUTPUT_ALONE, WHOLE } from "../backends/wanted.ts";
import { type BackendName, selectBackend, type ThreadCount } from "../backends/select.ts";
import { describe, InputError } from "../base/errors.ts";
import type { JsonValue } from "../base/json.ts";
import { allocate, checkArray, lengthOf, reading, typedArrayKind } from "../base/lists.ts";
import type { Matrix, MatrixInput, VectorInput } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import type { PassingMask } from "./passing_mask.ts";
import { DISPLAY, INSPECT, type MimeBundle, NODE_INSPECT } from "../display/mime_bundle.ts";
import { shownMatrix } from "../display/shown_matrix.ts";
import { toFloat32Logs } from "../numerics/attention_state.ts";
import { type HeadLayout, outputColumns } from "../numerics/head_layout.ts";
import type { AnyEdit, Edit } from "../write/edits.ts";
import type { MaskEntry, MaskMatrix } from "../write/mask.ts";
import type { RowKind } from "../write/newest_rows.ts";
import type { RowId } from "../write/row_ids.ts";
import type { DynamicAttentionStats, RankedKey, StaleOutput, WeightedKey, WeightTensor } from "./answers.ts";
import type { EngineCore } from "./engine_core.ts";
import {
  type AnyEngineOptions,
  type DynamicAttentionOptions,
  type LoadOptions,
  toEngineProblem,
  toLoadProblem,
} from "./options.ts";
import type { FollowedAttention, FollowOptions } from "./followed_attention.ts";

/** Options of `insert` and `insertQuery`. */
export interface InsertOptions<Id extends RowId = number> {
  /** For rules that look at positions; one more than the largest so far unless given. */
  readonly position?: number;
  /** The id of the row, if rows have ids of the caller's. */
  readonly id?: Id;
}

/** The type of all ids like those in a literal list; every id for an empty list. */
export type AnyOf<Id extends RowId> = [Id] extends [never] ? RowId
  : Id extends string ? string
  : Id extends number ? number
  : bigint;

/**
 * Attention of standing queries that stays current while keys, values and queries change.
 *
 * It holds o_i = Σ_j w_ij v_j with w_ij = exp(s_ij) / Σ_k exp(s_ik), for m queries over n keys and for each
 * of H heads. A score s_ij is scale · q_i·k_j, then c·tanh(s/c) with a softcap c, then plus the mask's bias;
 * a pair that `causal` or `window` excludes scores −∞. Matrices are row-major float32, one row per token,
 * head h in columns [h·d, (h+1)·d); logarithms are natural. The output of a query without any allowed key is
 * 0, its log-sum-exp −∞.
 *
 * | operation | cost |
 * |---|---|
 * | `create`, `rebuild` | O(m n (d + dv)) |
 * | an edit | O(d + dv), synchronous |
 * | `read` of r queries after T changed keys | O(r T (d + dv)), or from scratch if cheaper |
 * | `read` of a changed query | O(n (d + dv)) |
 * | `peek` of r queries after T changed keys | O(r (T + dv)), and once O(r (d + dv)) for each key |
 * | `weights`, `topKeys` | O(n d) and, for k keys, O(n log k) |
 * | `attend` of r queries | O(r n (d + dv)) |
 *
 * **Slots.** A key with its value has a *key slot*, a standing query with all its heads a *query slot*. Slots
 * are numbered 0, 1, 2, … at creation. A row keeps its slot until it is deleted; an insert returns the slot
 * that it took, which may be a freed one. With `keyIds` or `queryIds` rows have ids of the caller's, which
 * methods take and return instead of slots; "auto" ids are never given out twice.
 *
 * **Order.** Edits are synchronous, answers asynchronous. An exact answer includes exactly the edits made
 * before the call, however many follow before it arrives. Arrays of an answer belong to the caller.
 *
 * **Positions** matter to `causal`, `window`, `alibi`, `distanceBias`, `blockMask` and `rotary`; without one of
 * them all are 0.
 *
 * **Errors.** Bad input throws an {@link InputError} ({@link SlotError}, {@link IdError}) before anything
 * changes. Arguments are read once, before the engine is touched: edits that their getters make happen before
 * the call, and errors that they throw become the `cause` of an {@link InputError}. If a backend fails, the
 * next answer rejects with a {@link BackendError}; the edits stay pending and are applied later. After
 * `dispose` every method throws {@link DisposedError}.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { assertEquals } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({
 *   query: [[0, 0]],
 *   key: [[1, 2], [3, 4]],
 *   value: [[10], [20]],
 *   lazyThreshold: 8,
 * });
 * live.setValue(1, [40]);
 * assertEquals((await live.peek()).output.data[0], 15); // stale: as of the last update
 * assertEquals((await live.read()).data[0], 25); // exact
 * ```
 *
 * Source: Brand, Song, Zhou, "Algorithm and Hardness for Dynamic Attention Maintenance in Large Language
 * Models", arXiv 2304.02207, §1.2, for lazy updates of an attention matrix.
 */
export class DynamicAttention<KeyId extends RowId = number, QueryId extends RowId = number> {
  readonly #core: EngineCore;

  private constructor(core: EngineCore) {
    if (typeof core?.faceOf !== "function") {
      const expected = "await DynamicAttention.create(options), or load(bytes)";
      throw new InputError("DynamicAttention", "constructed with new", expected);
    }
    this.#core = core;
    core.faceOf(this);
  }

  /**
   * Makes an engine and computes its first states, O(m n (d + dv)).
   *
   * @param options Q (m × H·d), K (n × Hkv·d) and V (n × Hkv·dv), where m and n may be 0; see the types for
   * the rest.
   * @throws {InputError} When shapes do not fit, a number is not finite, or an option is unknown or out of
   * range.
   */
  static async create<KeyId extends RowId = number, QueryId extends RowId = number>(
    options: DynamicAttentionOptions<KeyId, QueryId>,
  ): Promise<DynamicAttention<AnyOf<KeyId>, AnyOf<QueryId>>>;
  /** As above, of an engine without ids. */
  static async create(options: DynamicAttentionOptions): Promise<DynamicAttention>;
  static async create(options: AnyEngineOptions): Promise<DynamicAttention<RowId, RowId>> {
    const operation = "DynamicAttention.create";
    // Options are read before anything is awaited.
    const problem = toEngineProblem(operation, options);
    const { EngineCore } = await import("./engine_core.ts");
    return new DynamicAttention(await EngineCore.create(operation, problem));
  }

  /**
   * Makes an engine of the bytes that {@link DynamicAttention.save} returned, with ids of the same types. It
   * answers every later call with the bits that the saved engine would have answered, unless the time at
   * which edits are applied depends on a clock (`ageMs`, or a threshold on a backend that works in the
   * background). On another backend than that of the saved engine it computes its first states anew, and its
   * answers are equal up to rounding. Counters and the epoch start at 0.
   *
   * The file is checked in time and memory proportional to its size: its checksum, and whether an engine can
   * have written it. States are compared with sums over the keys, all states in small files, and in larger
   * ones a random sample that fits that time. States of queries whose scores reach some 10⁵, which float32
   * resolves poorly, are computed anew on `wasm` and `webgpu`.
   *
   * @param options `mask` and `lazyThreshold`, which are required if they were functions in the saved engine,
   * and `backend` and `threads`.
   * @throws {FormatError} When the bytes are damaged, not a snapshot, a snapshot of an unknown format
   * version, or one that no engine can have written.
   * @throws {InputError} When a function is missing, or an option is unknown or out of range.
   */
  static async load<KeyId extends RowId = number, QueryId extends RowId = number>(
    bytes: Uint8Array,
    options: LoadOptions<KeyId, QueryId> = {},
  ): Promise<DynamicAttention<KeyId, QueryId>> {
    const operation = "DynamicAttention.load";
    // The caller may change the array after the first await, so the bytes are copied before.
    const copy = reading(operation, () => {
      if (typedArrayKind(bytes) !== "Uint8Array") {
        throw new InputError(operation, `bytes are ${describe(bytes)}`, "a Uint8Array");
      }
      checkArray(operation, "bytes", bytes);
      return allocate(operation, "bytes", lengthOf(bytes), () => new Uint8Array(bytes));
    });
    const problem = toLoadProblem(operation, options);
    const { EngineCore } = await import("./engine_core.ts");
    return new DynamicAttention(await EngineCore.load(operation, copy, problem));
  }

  /** Writes the key in `slot`: `key` is Hkv·d numbers. O(d + dv). */
  setKey(slot: KeyId, key: VectorInput): void {
    this.#edit({ kind: "setKey", slot, key });
  }

  /** Writes the value in `slot`: `value` is Hkv·dv numbers. O(d + dv). */
  setValue(slot: KeyId, value: VectorInput): void {
    this.#edit({ kind: "setValue", slot, value });
  }

  /** Writes key and value in `slot`. O(d + dv). */
  set(slot: KeyId, key: VectorInput, value: VectorInput): void {
    this.#edit({ kind: "set", slot, key, value });
  }

  /** Adds `delta` to one number of the key in `slot`; the sum is rounded to float32. O(d + dv). */
  addToKey(slot: KeyId, column: number, delta: number): void {
    this.#edit({ kind: "addToKey", slot, column, delta });
  }

  /** Adds `delta` to one number of the value in `slot`; the sum is rounded to float32. O(d + dv). */
  addToValue(slot: KeyId, column: number, delta: number): void {
    this.#edit({ kind: "addToValue", slot, column, delta });
  }

  /**
   * Adds a key of Hkv·d numbers with its value of Hkv·dv and returns the slot it took, or its id. O(d + dv).
   *
   * @param options `position` of the key; by default one more than the largest so far. `id` of the key, which
   * an engine with `keyIds` of the caller's needs.
   * @throws {InputError} Also when the mask is a matrix that does not cover the slot, or the id names a live
   * key.
   */
  insert(key: VectorInput, value: VectorInput, options: InsertOptions<KeyId> = {}): KeyId {
    const operation = "DynamicAttention.insert";
    const given = this.#options(operation, options, ["position", "id"]);
    return this.#edit({ kind: "insert", key, value, ...given }) as KeyId;
  }

  /**
   * Writes the key with an id and its value, or inserts them where no key has the id. O(d + dv).
   *
   * @param options `position` of the key. By default an existing key keeps its position, and a new key takes
   * the next one.
   * @throws {InputError} Also when the engine has no `keyIds` of the caller's.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using films = await DynamicAttention.create({
   *   query: [[0]],
   *   queryIds: ["ann"],
   *   key: [[1], [2]],
   *   value: [[10], [20]],
   *   keyIds: ["Alien", "Brazil"],
   * });
   * films.upsert("Alien", [1], [30]); // is there
   * films.upsert("Casablanca", [3], [40]); // is new
   * films.delete("Brazil");
   * assertEquals(films.keyIds(), ["Alien", "Casablanca"]);
   * assertEquals((await films.read(["ann"])).data[0], 35);
   * ```
   */
  upsert(
    id: KeyId,
    key: VectorInput,
    value: VectorInput,
    options: { readonly position?: number } = {},
  ): void {
    const operation = "DynamicAttention.upsert";
    const given = this.#options(operation, options, ["position"]);
    this.#edit({ kind: "upsert", id, key, value, ...given });
  }

  /** Deletes the key in `slot` with its value. O(1). */
  delete(slot: KeyId): void {
    this.#edit({ kind: "delete", slot });
  }

  /**
   * Writes the query in `slot`: `query` is H·d numbers. Its state is computed from scratch when it is next
   * asked for.
   */
  setQuery(slot: QueryId, query: VectorInput): void {
    this.#edit({ kind: "setQuery", slot, query });
  }

  /**
   * Adds a standing query of H·d numbers and returns the slot it took, or its id; `options` as for `insert`.
   */
  insertQuery(query: VectorInput, options: InsertOptions<QueryId> = {}): QueryId {
    const operation = "DynamicAttention.insertQuery";
    const given = this.#options(operation, options, ["position", "id"]);
    return this.#edit({ kind: "insertQuery", query, ...given }) as QueryId;
  }

  /** Writes the standing query with an id, or inserts it; as {@link DynamicAttention.upsert}. */
  upsertQuery(id: QueryId, query: VectorInput, options: { readonly position?: number } = {}): void {
    const operation = "DynamicAttention.upsertQuery";
    const given = this.#options(operation, options, ["position"]);
    this.#edit({ kind: "upsertQuery", id, query, ...given });
  }

  /** Deletes the standing query in `slot`. */
  deleteQuery(slot: QueryId): void {
    this.#edit({ kind: "deleteQuery", slot });
  }

  /**
   * Moves the key in `slot` to another position; its row stays. O(d + dv). Where no rule looks at positions,
   * nothing happens.
   */
  setPosition(slot: KeyId, position: number): void {
    this.#edit({ kind: "setPosition", slot, position });
  }

  /**
   * Moves the standing query in `slot` to another position; its state is computed from scratch when it is
   * next asked for.
   */
  setQueryPosition(slot: QueryId, position: number): void {
    this.#edit({ kind: "setQueryPosition", slot, position });
  }

  /**
   * The position of the key in `slot`, as of the newest edit; 0 where no rule looks at positions. O(1).
   */
  getPosition(slot: KeyId): number {
    return this.#position("DynamicAttention.getPosition", "key", slot);
  }

  /** The position of the standing query in `slot`, likewise. O(1). */
  getQueryPosition(slot: QueryId): number {
    return this.#position("DynamicAttention.getQueryPosition", "query", slot);
  }

  /**
   * Changes a block of the mask of an engine made with `editableMask`: the entries of some queries with some
   * keys, for example a row or a column. Entries of free slots do not change. O(q k) for a block of q queries
   * and k keys, and then the cost of k changed keys or of q changed queries, whichever is less.
   *
   * @param entries A boolean or number for all pairs, or a matrix of queries × keys, as of the option `mask`.
   * @param options `queries` and `keys`: all live ones in slot order, unless given. `head`: all heads, unless
   * given; a mask that heads share does not take it.
   * @throws {InputError} When the mask is not editable, or entries do not fit.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({
   *   query: [[0], [0]],
   *   key: [[0], [0], [0]],
   *   value: [[1], [2], [6]],
   *   mask: [[true, true, true], [true, true, true]],
   *   editableMask: true,
   * });
   * live.setMask(false, { keys: [2] }); // a column
   * live.setMask([[false, true, true]], { queries: [1] }); // a row
   * assertEquals([...(await live.read()).data], [1.5, 4]);
   * ```
   */
  setMask(
    entries: MaskEntry | MaskMatrix,
    options: {
      readonly queries?: ArrayLike<QueryId>;
      readonly keys?: ArrayLike<KeyId>;
      readonly head?: number;
    } = {},
  ): void {
    const operation = "DynamicAttention.setMask";
    const rules = this.#core.rules;
    this.#core.setMask(
      operation,
      this.#given(operation, () => this.#calls.toMaskChange(operation, entries, options, rules)),
    );
  }

  /**
   * Adds `by` to the positions of all keys and of all standing queries from `from` on and before `to`, all or
   * none: a context shift. Rows that are inserted later without a position follow. O(m + n), and what an edit
   * costs for each row that moves, or, if whole positions are compared with one another alone, for each row
   * that does not, whichever are fewer: a shift of all rows changes no answer.
   *
   * @param range `from`, −∞ unless given, and `to`, which is not included, Infinity unless given.
   * @returns How many rows moved.
   * @throws {InputError} When a position would not be finite.
   *
   * @example The oldest half of a window goes, and the rest moves up
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({
   *   query: [[0]],
   *   queryPositions: [3],
   *   key: [[1], [2], [3], [4]],
   *   value: [[1], [2], [3], [4]],
   *   causal: true,
   * });
   * live.edit([{ kind: "delete", slot: 1 }, { kind: "delete", slot: 2 }]); // the key at 0 stays
   * assertEquals(live.shiftPositions(-2, { from: 3 }), 2); // a key and the query
   * assertEquals([live.getPosition(3), live.getQueryPosition(0)], [1, 1]);
   * assertEquals((await live.read()).data[0], 2.5);
   * ```
   */
  shiftPositions(by: number, range: { readonly from?: number; readonly to?: number } = {}): number {
    const operation = "DynamicAttention.shiftPositions";
    const given = this.#given(operation, () => this.#calls.toShift(operation, by, range));
    return this.#core.shiftPositions(operation, given);
  }

  /**
   * Performs edits in order, all or none: if one of them is refused, nothing is changed.
   *
   * @returns The slot or id that each edit was of; for an insert, the one it took.
   * @throws {InputError} The error names the edit by its index, `DynamicAttention.edit[2].setKey`.
   *
   * @example A sliding window
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({ query: [[0]], key: [[1], [2]], value: [[1], [3]] });
   * const [, newest] = live.edit([
   *   { kind: "delete", slot: 0 },
   *   { kind: "insert", key: [3], value: [5] },
   * ]);
   * assertEquals(newest, 0); // the freed slot
   * assertEquals((await live.read()).data[0], 4);
   * ```
   */
  edit(edits: readonly Edit<KeyId, QueryId>[]): (KeyId | QueryId)[] {
    const operation = "DynamicAttention.edit";
    const checked = this.#given(
      operation,
      () => this.#calls.checkEdits(operation, edits, this.#core.rules),
    );
    return this.#core.editAll(operation, checked) as (KeyId | QueryId)[];
  }

  /** A copy of the key in `slot`, Hkv·d numbers, as of the newest edit. Synchronous, O(d + dv). */
  getKey(slot: KeyId): Float32Array<ArrayBuffer> {
    return this.#copyNewest("DynamicAttention.getKey", "key", slot);
  }

  /** A copy of the value in `slot`, Hkv·dv numbers, as of the newest edit. Synchronous, O(d + dv). */
  getValue(slot: KeyId): Float32Array<ArrayBuffer> {
    return this.#copyNewest("DynamicAttention.getValue", "value", slot);
  }

  /** A copy of the standing query in `slot`, H·d numbers, as of the newest edit. Synchronous, O(d). */
  getQuery(slot: QueryId): Float32Array<ArrayBuffer> {
    return this.#copyNewest("DynamicAttention.getQuery", "query", slot);
  }

  /**
   * The slots of live keys in ascending order, as of the newest edit. O(n).
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({ query: [[0]], key: [[1], [2]], value: [[5], [6]] });
   * live.delete(0);
   * live.addToKey(1, 0, 0.5);
   * assertEquals([...live.keySlots()], [1]);
   * assertEquals([...live.getKey(1), ...live.getValue(1)], [2.5, 6]);
   * ```
   */
  keySlots(): Uint32Array<ArrayBuffer> {
    return this.#live("keySlots").rules.keySlots.liveSlots();
  }

  /** The slots of live standing queries in ascending order, as of the newest edit. O(m). */
  querySlots(): Uint32Array<ArrayBuffer> {
    return this.#live("querySlots").rules.querySlots.liveSlots();
  }

  /** The ids of live keys in the order of `keySlots()`, or these slots if keys have no ids. O(n). */
  keyIds(): KeyId[] {
    return this.#live("keyIds").rules.keySlots.names() as KeyId[];
  }

  /**
   * The ids of live standing queries in the order of `querySlots()`, or these slots if queries have no ids.
   * O(m).
   */
  queryIds(): QueryId[] {
    return this.#live("queryIds").rules.querySlots.names() as QueryId[];
  }

  /** Whether a live key is in this slot, or has this id. O(1). */
  hasKey(slot: KeyId): boolean {
    return this.#live("hasKey").rules.keySlots.has(slot);
  }

  /** Whether a live standing query is in this slot, or has this id. O(1). */
  hasQuery(slot: QueryId): boolean {
    return this.#live("hasQuery").rules.querySlots.has(slot);
  }

  /**
   * Attention of standing queries, exact as of the edits made before the call.
   *
   * @param slots Query slots, in the order wanted; all live ones in slot order unless given.
   * @param options `into`: an array of the caller's, of slots · H·dv numbers, to which the answer is written
   * and which becomes its `data`. It saves a megabyte of garbage for each 4,096 rows of 64 columns.
   * @returns o, one row per query slot and H·dv columns.
   * @throws {SlotError} When a slot is not live.
   */
  async read(
    slots?: ArrayLike<QueryId>,
    options: { readonly into?: Float32Array<ArrayBuffer> } = {},
  ): Promise<Matrix> {
    const operation = "DynamicAttention.read";
    const { into } = this.#options(operation, options, ["into"]);
    const { queries, target } = this.#toAnswer(operation, slots, into);
    const { output } = await this.#core.read(operation, queries, { into: target, logs: false });
    return shownMatrix(output, [queries.length, outputColumns(this.#layout)]);
  }

  /** One number of the exact attention of a standing query: column `column` of the output of query `slot`. */
  async readEntry(slot: QueryId, column: number): Promise<number> {
    const operation = "DynamicAttention.readEntry";
    const slots = this.#toSlots(operation, [slot]);
    const place = this.#calls.checkColumn(
      operation,
      column,
      outputColumns(this.#layout),
      "heads × valueDim",
    );
    const { output } = await this.#core.read(operation, slots, OUTPUT_ALONE);
    return output[place];
  }

  /**
   * Attention of standing queries as of their last update, with a proven bound on the distance of each output
   * from the exact one. Changes of keys and values since that update are not included. A query is first
   * brought up to date if its state is older than the last flush at a threshold, if its bound is above
   * `error`, if the query was inserted or changed, if it has missed so many changes that its state was
   * dropped, or if, of 32 rows or more, bounds would take longer than exact answers (unless `onThreshold` is
   * a fixed plan). With `storage`, `error` is the distance from exact attention of the rows that are kept,
   * and bounds are larger by `storageBounds`.
   *
   * @param slots Query slots, in the order wanted; all live ones in slot order unless given.
   * @param options `bounds: false` computes no bounds: all are Infinity, unless `lazyThreshold` has an
   * `error`. `into` as for `read`.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assert } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({
   *   query: [[1, 0]],
   *   key: [[1, 0], [0, 1], [-1, 0]],
   *   value: [[1], [2], [3]],
   *   lazyThreshold: Infinity,
   * });
   * live.addToKey(1, 0, 0.25);
   * live.delete(2);
   * const { output, bounds } = await live.peek();
   * assert(Math.abs((await live.readEntry(0, 0)) - output.data[0]) <= bounds[0]);
   * ```
   */
  async peek(
    slots?: ArrayLike<QueryId>,
    options: { readonly bounds?: boolean; readonly into?: Float32Array<ArrayBuffer> } = {},
  ): Promise<StaleOutput> {
    const operation = "DynamicAttention.peek";
    const given = this.#options(operation, options, ["bounds", "into"]);
    const bounds = this.#calls.toSwitch(operation, "bounds", given.bounds);
    const { queries, target } = this.#toAnswer(operation, slots, given.into);
    const answer = await this.#core.peek(operation, queries, { bounds, into: target });
    const { output, pending, epoch, storage } = answer;
    const shape = [queries.length, outputColumns(this.#layout)] as const;
    const ofStorage = storage ? { storageBounds: storage } : {};
    return { output: shownMatrix(output, shape), bounds: answer.bounds, ...ofStorage, pending, epoch };
  }

  /**
   * Follows the attention of standing queries: `refresh` keeps an array of rows within `error` of exact, and
   * writes only the rows that have left it. It is the cheapest way to show many rows repeatedly during small
   * edits.
   *
   * @param slots Query slots, in the order wanted, none twice; all live ones in slot order unless given.
   * @param options `error`, the largest Euclidean distance of a row from the exact one, 0 unless given; and
   * `into`, an array of the caller's, of slots · H·dv numbers.
   * @throws {SlotError} When a slot is not live.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({
   *   query: [[1, 0], [0, 1]],
   *   key: [[1, 0], [0, 1]],
   *   value: [[1], [2]],
   * });
   * using followed = live.follow(undefined, { error: 0.1 });
   * assertEquals([...await followed.refresh()], [0, 1]); // the first time, all rows
   * live.addToKey(1, 0, 1e-6);
   * assertEquals([...await followed.refresh()], []); // less than a tenth of the error
   * live.setValue(0, [5]);
   * assertEquals([...await followed.refresh()], [0, 1]);
   * assertEquals(followed.data[0], (await live.read()).data[0]);
   * ```
   */
  follow(slots?: ArrayLike<QueryId>, options: FollowOptions = {}): FollowedAttention {
    const operation = "DynamicAttention.follow";
    const given = this.#options(operation, options, ["error", "into"]);
    const error = this.#calls.toError(operation, given.error);
    const { queries, target } = this.#toAnswer(operation, slots, given.into);
    const again = queries.length - new Set(queries).size;
    if (again > 0) throw new InputError(operation, `slots names ${again} query slots again`, "each once");
    const data = target ?? new Float32Array(queries.length * outputColumns(this.#layout));
    return new this.#calls.FollowedAttention(this.#core, queries.slice(), error, data);
  }

  /**
   * The exact weights w_ij of one head of query `slot`: one number per key slot, 0 for slots without a live
   * key. They sum to 1 unless no key is allowed.
   * {@link DynamicAttention.weightsOf} names the key of each.
   *
   * @param options `head`, 0 unless given.
   */
  async weights(slot: QueryId, options: { readonly head?: number } = {}): Promise<Float32Array<ArrayBuffer>> {
    const operation = "DynamicAttention.weights";
    const head = this.#given(operation, () => this.#calls.toHead(operation, options, this.#layout));
    const [query] = this.#toSlots(operation, [slot]);
    return await this.#core.weights(operation, query, head);
  }

  /**
   * The exact weights w_ij of some queries and heads over all live keys, with the ids or slots of queries and
   * keys. O(r H n d).
   *
   * @param rows Query slots or ids, in the order wanted; all live ones in slot order unless given.
   * @param options `heads`, in the order wanted; all unless given.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({
   *   query: [[0, 0]],
   *   key: [[1, 0], [0, 1]],
   *   value: [[1, 1], [2, 2]],
   *   keyIds: ["a", "b"],
   *   heads: 2,
   * });
   * const { data, shape, keys } = await live.weightsOf();
   * assertEquals([...shape], [1, 2, 2]); // query, heads, keys
   * assertEquals([keys, [...data]], [["a", "b"], [0.5, 0.5, 0.5, 0.5]]);
   * ```
   */
  async weightsOf(
    rows?: ArrayLike<QueryId>,
    options: { readonly heads?: ArrayLike<number> } = {},
  ): Promise<WeightTensor<KeyId, QueryId>> {
    const operation = "DynamicAttention.weightsOf";
    const heads = this.#given(operation, () => {
      return this.#calls.toHeads(
        operation,
        takeOptions(operation, options, ["heads"]).heads,
        this.#layout,
      );
    });
    const weights = await this.#core.rankings.weights(operation, this.#toSlots(operation, rows), heads);
    return weights as WeightTensor<KeyId, QueryId>;
  }

  /**
   * The exact log-sum-exp ln Σ_j exp s_ij, one row per query and one column per head; natural log. It is −∞
   * if and only if no key is allowed. Beyond the range of float32 it is +∞ or the lowest finite float32; such
   * states cannot be merged.
   */
  async logSumExp(slots?: ArrayLike<QueryId>): Promise<Matrix> {
    const queries = this.#toSlots("DynamicAttention.logSumExp", slots);
    const { logSumExp } = await this.#core.read("DynamicAttention.logSumExp", queries, WHOLE);
    return shownMatrix(toFloat32Logs(logSumExp), [queries.length, this.#layout.heads]);
  }

  /**
   * The `count` keys with the largest weights for one head of query `slot`, the heaviest first, keys of equal
   * weight in ascending order of slots; all live keys if there are fewer. Of an array of queries, such a list
   * for each.
   *
   * @param options `head`, 0 unless given.
   */
  async topKeys(
    slot: QueryId,
    count: number,
    options?: { readonly head?: number },
  ): Promise<WeightedKey<KeyId>[]>;
  /** As above, for each query of an array. */
  async topKeys(
    rows: readonly QueryId[] | Uint32Array,
    count: number,
    options?: { readonly head?: number },
  ): Promise<WeightedKey<KeyId>[][]>;
  async topKeys(
    rows: QueryId | readonly QueryId[] | Uint32Array,
    count: number,
    options: { readonly head?: number } = {},
  ): Promise<WeightedKey<KeyId>[] | WeightedKey<KeyId>[][]> {
    const operation = "DynamicAttention.topKeys";
    const head = this.#given(operation, () => this.#calls.toHead(operation, options, this.#layout));
    const isMany = typeof rows === "object" && rows !== null;
    const slots = this.#toSlots(operation, (isMany ? rows : [rows]) as readonly RowId[]);
    const wanted = this.#calls.toCount(operation, count);
    const found = await this.#core.rankings.topKeys(operation, slots, wanted, head);
    return (isMany ? found : found[0]) as WeightedKey<KeyId>[];
  }

  /**
   * The `count` keys whose values match the output of query `slot` best, exact: score_j = Σ_h o_h · v_j,
   * where v_j is the value that head h reads; the best first, keys of equal score in ascending order of
   * slots. If values are item vectors and the output is a taste, these are the items to recommend. O(n (H dv
   * + log count)) beside the read.
   *
   * @param options `exclude`, keys that are left out, such as those that were seen.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({
   *   query: [[4, 0]],
   *   key: [[1, 0], [0, 1], [0.5, 0.5]],
   *   value: [[1, 0], [0, 1], [0.5, 0.5]],
   *   keyIds: ["war", "love", "both"],
   * });
   * const best = await live.recommend(0, 2, { exclude: ["war"] });
   * assertEquals(best.map(({ slot }) => slot), ["both", "love"]);
   * ```
   */
  async recommend(
    slot: QueryId,
    count: number,
    options: { readonly exclude?: ArrayLike<KeyId> } = {},
  ): Promise<RankedKey<KeyId>[]> {
    const operation = "DynamicAttention.recommend";
    const excluded = this.#given(operation, () => {
      return this.#calls.toExcluded(
        operation,
        takeOptions(operation, options, ["exclude"]).exclude,
        this.#core.rules,
      );
    });
    const [row] = this.#toSlots(operation, [slot]);
    const wanted = this.#calls.toCount(operation, count);
    return await this.#core.rankings.recommend(operation, row, wanted, excluded) as RankedKey<KeyId>[];
  }

  /**
   * Exact attention of passing queries, r × H·d, over the current keys. The engine keeps nothing of them.
   *
   * @param options `positions` of the queries; by default they follow the largest position of the standing
   * queries. `mask` of these queries, in the forms of the option of `create`: a row per query and a column
   * per key slot, or a function of the number of the query, the key and the head, called before this returns.
   * An engine with a mask requires it, since its own speaks of standing queries only.
   * @throws {InputError} When shapes do not fit, or the mask is missing.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({
   *   query: [[0]],
   *   key: [[0], [0], [0]],
   *   value: [[1], [2], [6]],
   * });
   * const { data } = await live.attend([[0], [0]], { mask: [[true, true, false], [false, true, true]] });
   * assertEquals([...data], [1.5, 4]);
   * ```
   */
  async attend(
    queries: MatrixInput,
    options: { readonly positions?: ArrayLike<number>; readonly mask?: PassingMask<KeyId> } = {},
  ): Promise<Matrix> {
    const operation = "DynamicAttention.attend";
    const passing = this.#given(operation, () => {
      const { positions, mask } = takeOptions(operation, options, ["positions", "mask"]);
      const asked = this.#core.asking(mask);
      return this.#calls.toPassing(operation, queries, positions, this.#core.rules, asked);
    });
    const { output } = await this.#core.attend(operation, passing);
    return shownMatrix(output, [passing.count, outputColumns(this.#layout)]);
  }

  /**
   * Brings the states of all queries up to date, in the way that `onThreshold` says. A read does the same for
   * the queries that it asks for.
   */
  async flush(): Promise<void> {
    this.#core.checkCall("DynamicAttention.flush");
    await this.#core.flush("DynamicAttention.flush");
  }

  /** Computes the states of all queries from scratch, with all edits. */
  async rebuild(): Promise<void> {
    this.#core.checkCall("DynamicAttention.rebuild");
    await this.#core.flush("DynamicAttention.rebuild", "rebuild");
  }

  /**
   * Brings the states of all queries up to date, as `flush` does, and returns a snapshot of the engine as of
   * the call. Without an edit in between, a second call returns the same bytes.
   *
   * Rows are copied in parts of a few milliseconds, between which the event loop turns and edits and answers go
   * on; edits made meanwhile are not in the snapshot, and hold a copy of each row that they change until it is
   * written. States of queries, and in a browser the checksum, are made at once.
   *
   * The bytes are a safetensors file with a checksum. For m query slots and n key slots, freed ones included,
   * it has m·H·(4 d + 8 dv + 105) + 4 n·Hkv·(d + dv) + 8 (m + n) bytes, where keys or values of float16 and
   * int8 take 2 and 1 bytes for a number, and 4 or 8 more for a head, on `array` m·H·(8 dv + 48) more for
   * sums in float64 and on `webgpu` m·H·(8 dv + 56), 4 for each freed slot, 4 for each number of a mask
   * (n·m·H of a mask function), ids and metadata as JSON, and some 3,000 more.
   *
   * @param options `metadata`, plain data that go with the engine, as JSON: the version of a model, a name.
   * They stay until other ones are given, and take at most 8 MiB in the snapshot. `decodeSafetensors(bytes, { names: [] })` of
   * `@attune/attention/store` reads them without making an engine.
   *
   * @throws {BackendError} When the states cannot be brought up to date.
   * @throws {InputError} When `metadata` are no plain data, or take more; nothing has changed then.
   * @throws {CapacityError} When a table of biases has more entries than a snapshot can hold, some 3 million.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({ query: [[1]], key: [[1], [2]], value: [[1], [3]] });
   * live.setValue(0, [2]);
   * const bytes = await live.save(); // for Deno.writeFile("memory.safetensors", bytes)
   *
   * await using again = await DynamicAttention.load(bytes);
   * assertEquals(await again.read(), await live.read());
   * ```
   */
  async save(options: { readonly metadata?: JsonValue } = {}): Promise<Uint8Array<ArrayBuffer>> {
    const operation = "DynamicAttention.save";
    const metadata = this.#given(operation, () => {
      const { metadata } = takeOptions(operation, options, ["metadata"]);
      return metadata === undefined ? metadata : this.#calls.toMetadata(operation, "metadata", metadata);
    });
    if (metadata !== undefined) this.#core.setMetadata(operation, metadata);
    return await this.#core.save(operation);
  }

  /**
   * A copy of the `metadata` that `save` was last given, before or after a load; undefined if there are none.
   */
  get metadata(): JsonValue | undefined {
    return structuredClone(this.#core.metadata);
  }

  /**
   * How many edits were accepted since the engine was first made, over all loads: a snapshot holds the number
   * as of the call of `save`, so that a journal of numbered edits knows which of them the engine has.
   */
  get sequence(): number {
    return this.#core.sequence;
  }

  /**
   * Moves the engine to another backend, in the order of calls: the present backend answers the calls made
   * before. Pending edits stay pending, and stored rows are copied bit by bit, also from a backend that
   * failed. All states are then computed from scratch, O(m n (d + dv)), so that no answer is older than the
   * move. Counters continue. If the other backend cannot be made, nothing changes.
   *
   * @param backend The name of the backend; "auto" is the fastest one that runs here.
   * @param options `threads`, as in {@link DynamicAttentionOptions.threads}.
   * @throws {InputError} When the name or an option is unknown, or that backend does not run here.
   * @throws {BackendError} When the other backend fails.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({ query: [[0]], key: [[1], [2]], value: [[1], [3]] });
   * live.setValue(0, [2]); // pending, and still so after the move
   * await live.moveTo("array");
   * assertEquals(live.stats().backend, "array");
   * assertEquals((await live.read()).data[0], 2.5);
   * ```
   */
  async moveTo(backend: BackendName, options: { readonly threads?: ThreadCount } = {}): Promise<void> {
    const operation = "DynamicAttention.moveTo";
    const { threads } = this.#options(operation, options, ["threads"]);
    await this.#core.moveTo(operation, selectBackend(operation, backend, threads));
  }

  /** Sizes, counts of edits and counted work, as of now. */
  stats(): DynamicAttentionStats {
    return this.#live("stats").stats();
  }

  /**
   * Waits for the calls made before, then frees all memory, threads and device buffers of the engine. A
   * second call does nothing more.
   */
  dispose(): Promise<void> {
    return this.#core.dispose();
  }

  /** Calls `dispose` at the end of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /**
   * Sizes, backend and number of edits, which `JSON.stringify` writes; `save` writes the engine. `structuredClone`
   * copies nothing of it.
   */
  toJSON(): { readonly [fact: string]: JsonValue } {
    const type = "DynamicAttention";
    if (this.#core.isDisposed) return { type, disposed: true };
    return this.#calls.engineSummary(type, this.stats(), this.sequence);
  }

  /** What `util.inspect` and `console.log` of Node show: the same as Deno's. */
  [NODE_INSPECT](): string {
    return this[INSPECT]();
  }

  /**
   * The text that `Deno.inspect` and `console.log` show: sizes, backend, pending edits and counted work, one
   * per line.
   */
  [INSPECT](): string {
    if (this.#core.isDisposed) return "DynamicAttention (disposed)";
    return this.#calls.engineText({ stats: this.stats(), bound: null });
  }

  /**
   * The bundle that a notebook shows: the same facts as a table, with the largest bound of a stale answer
   * over the first 1,024 queries, for which it peeks.
   */
  async [DISPLAY](): Promise<MimeBundle> {
    if (this.#core.isDisposed) return { "text/plain": this[INSPECT]() };
    return await this.#calls.engineBundle(this as DynamicAttention<RowId, RowId>);
  }

  get #calls(): EngineCore["calls"] {
    return this.#core.calls;
  }

  get #layout(): HeadLayout {
    return this.#core.rules.layout;
  }

  #edit(edit: AnyEdit): RowId {
    const operation = `DynamicAttention.${edit.kind}`;
    return this.#core.edit(
      this.#given(operation, () => this.#calls.checkEdit(operation, edit, this.#core.rules)),
    );
  }

  #live(method: string): EngineCore {
    this.#core.checkLive(`DynamicAttention.${method}`);
    return this.#core;
  }

  #position(operation: string, what: "key" | "query", slot: RowId): number {
    this.#core.checkLive(operation);
    return this.#core.position(operation, what, slot);
  }

  #options<Options extends object>(
    operation: string,
    options: Options,
    known: readonly (keyof Options & string)[],
  ): Options {
    return this.#given(operation, () => takeOptions(operation, options, known));
  }

  #copyNewest(operation: string, kind: RowKind, slot: RowId): Float32Array<ArrayBuffer> {
    this.#core.checkLive(operation);
    return this.#core.copyNewest(operation, kind, slot);
  }

  #toSlots(operation: string, slots: ArrayLike<RowId> | undefined): Uint32Array {
    return this.#given(operation, () => {
      return this.#calls.toQuerySlots(operation, "slots", slots, this.#core.rules.querySlots);
    });
  }

  /** The query slots of an answer, and where it is written to. */
  #toAnswer(operation: string, slots: ArrayLike<RowId> | undefined, into: unknown) {
    const queries = this.#toSlots(operation, slots);
    return {
      queries,
      target: this.#calls.toTarget(operation, into, queries.length * outputColumns(this.#layout)),
    };
  }

  #given<T>(operation: string, read: () => T): T {
    return this.#core.given(operation, read);
  }
}
