/**
 * The engine: validate → log → plan → backend → result. This file is its public face; the way of an edit and the
 * order of what runs are in `lazy/edit_pipeline.ts`, the arithmetic in a backend.
 */

import type { Backend } from "../backends/backend.ts";
import { MovableBackend } from "../backends/movable_backend.ts";
import { type BackendName, selectBackend, type ThreadCount } from "../backends/select.ts";
import type { DynamicAttentionStats, StaleOutput, WeightedKey } from "./answers.ts";
import { toFloat32Logs } from "../numerics/attention_state.ts";
import { outputColumns } from "../numerics/head_layout.ts";
import { heaviestOf } from "../numerics/heaviest.ts";
import { engineText } from "./engine_text.ts";
import { DISPLAY, INSPECT, type MimeBundle } from "../display/mime_bundle.ts";
import { shownMatrix } from "../display/shown_matrix.ts";
import { describe, DisposedError, InputError, ReentryError } from "../base/errors.ts";
import { EditPipeline, type Turn } from "../schedule/edit_pipeline.ts";
import { checkColumn, checkEdit, checkEdits, type Edit, performEdit } from "../write/edits.ts";
import { copyNewest, type RowKind } from "../write/newest_rows.ts";
import { SlotTable } from "../write/slot_table.ts";
import { checkArray, isCount, reading, type RowInput, typedArrayKind } from "../base/lists.ts";
import type { Matrix, MatrixInput } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import type { EngineParts } from "./engine_snapshot.ts";
import { statsOf } from "./engine_stats.ts";
import { fillBackend, makeBackend } from "./fill_backend.ts";
import { type DynamicAttentionOptions, type LoadOptions, toEngineProblem, toLoadProblem } from "./options.ts";
import { toHead, toPassing, toRows, toSwitch } from "./question_options.ts";

/** What only this module can pass to the constructor. */
const CONSTRUCTION = Symbol("construction");
/** Lets `createEngine` construct without a public constructor. */
let construct: (parts: EngineParts, backend: Backend, wrap?: WrapBackend) => DynamicAttention;

/** A notebook is told the largest bound over so many queries: it should not wait for a picture of what it has. */
const SHOWN_BOUNDS = 1024;

/** What a module of the library that builds on an engine may see of it. */
export interface EngineInside {
  readonly parts: EngineParts;
  /** As {@link EditPipeline.ask}. */
  ask<T>(operation: string, rows: Uint32Array, ask: (turn: Turn) => Promise<T>): Promise<T>;
}

let lookInside: (operation: string, live: DynamicAttention) => EngineInside;

/** Puts something between an engine and a backend. */
type WrapBackend = (backend: Backend) => Backend;

/**
 * Attention of standing queries that stays current while keys, values and queries change.
 *
 * It holds o_i = Σ_j w_ij v_j with w_ij = exp(s_ij) / Σ_k exp(s_ik), for m queries over n keys and for each of H
 * heads. A score s_ij is scale · q_i·k_j, then c·tanh(s/c) with a softcap c, then plus what the mask says; a pair
 * out of `causal` reach or `window` scores −∞. Matrices are row-major float32, a row a token, head h in columns
 * [h·d, (h+1)·d); logarithms are natural. A row without any allowed key is 0, its log-sum-exp −∞.
 *
 * | operation | cost |
 * |---|---|
 * | `create`, `rebuild` | O(m n (d + dv)) |
 * | an edit | O(d + dv), synchronous |
 * | `read` of r rows that have missed T changed keys | O(r T (d + dv)), or from scratch if that is cheaper |
 * | `read` of a changed query | O(n (d + dv)) |
 * | `peek` of r rows that have missed T changed keys | O(r (T + dv)), and once O(r (d + dv)) for each of them |
 * | `weights`, `topKeys` | O(n d) and, for k keys, O(n log k) |
 * | `attend` of r queries | O(r n (d + dv)) |
 *
 * **Slots.** Keys and queries live in numbered slots, 0, 1, 2, … at creation. A slot keeps its number until its
 * row is deleted; an insert returns the number it took, which may be a freed one.
 *
 * **Order.** Edits are synchronous, what answers is asynchronous. An answer knows exactly the edits made before
 * the call, however many follow before it arrives, and belongs to the caller.
 *
 * **Errors.** Bad input throws an {@link InputError} or {@link SlotError} before anything changes. Arguments are read once,
 * before the engine is touched: what getters of theirs do to it has happened before the call, and what they throw is the
 * `cause` of an {@link InputError}. A backend that fails rejects the next answer with a {@link BackendError}; the edits stay pending and are tried again. After
 * `dispose` everything throws {@link DisposedError}.
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
 * assertEquals((await live.peek()).output.data[0], 15); // stale: the row as it was last brought up to date
 * assertEquals((await live.read()).data[0], 25); // exact
 * ```
 *
 * Source: Brand, Song, Zhou, "Algorithm and Hardness for Dynamic Attention Maintenance in Large Language Models",
 * arXiv 2304.02207, §1.2, for lazy updates of an attention matrix.
 */
export class DynamicAttention {
  readonly #backend: MovableBackend;
  readonly #pipeline: EditPipeline;
  readonly #rules: EngineParts;
  readonly #wrap: WrapBackend;
  /** Why it computes on its backend, in words. */
  #disposal: Promise<void> | null = null;

  static {
    construct = (parts, backend, wrap) => new DynamicAttention(CONSTRUCTION, parts, backend, wrap);
    lookInside = (operation, live) => {
      if (typeof live !== "object" || live === null || !(#pipeline in live)) {
        throw new InputError(operation, `engine is ${describe(live)}`, "a DynamicAttention");
      }
      live.#checkCall(operation);
      return { parts: live.#rules, ask: live.#pipeline.ask.bind(live.#pipeline) };
    };
  }

  private constructor(
    key: typeof CONSTRUCTION,
    parts: EngineParts,
    backend: Backend,
    wrap: WrapBackend = (backend) => backend,
  ) {
    if (key !== CONSTRUCTION) {
      const expected = "await DynamicAttention.create(options), or load(bytes)";
      throw new InputError("DynamicAttention", "constructed with new", expected);
    }
    this.#wrap = wrap;
    this.#backend = new MovableBackend(parts.layout, backend);
    this.#rules = parts;
    this.#pipeline = new EditPipeline({ ...parts, backend: this.#backend });
  }

  /**
   * Makes an engine and computes its first state, O(m n (d + dv)).
   *
   * @param options Q (m × H·d), K (n × Hkv·d) and V (n × Hkv·dv), where m and n may be 0; see the types for the rest.
   * @throws {InputError} When shapes do not fit, a number is not finite, or an option is unknown or out of range.
   */
  static create(options: DynamicAttentionOptions): Promise<DynamicAttention> {
    return createEngine(options);
  }

  /**
   * Makes an engine of what {@link DynamicAttention.save} wrote. From then on it answers every call as the saved one
   * would have, to the last bit, unless time has a say in when edits are applied (`ageMs`, a threshold on a backend
   * that works in the background); on another backend than it was saved on it answers within rounding, and computes
   * its first state anew. Counters and the epoch start at 0.
   *
   * The file is checked, in time and memory of the order of its bytes: its checksum, and whether an engine can have written
   * it. States are compared with the rows that they are sums of, all of them in small files, and in larger ones as many as
   * that time allows, drawn at random. Rows whose scores reach some 10⁵, of which float32 knows little, are computed anew on
   * `wasm` and `webgpu`.
   *
   * @param options `mask` and `lazyThreshold`, which are needed where the saved engine has functions, and `backend`
   * and `threads`.
   * @throws {FormatError} When the bytes are damaged, not a snapshot, one of an unknown version, or one that no engine can
   * have written.
   * @throws {InputError} When a function is missing, or an option is unknown or out of range.
   */
  static load(bytes: Uint8Array, options: LoadOptions = {}): Promise<DynamicAttention> {
    return loadEngine(bytes, options);
  }

  /** Writes the key in `slot`: `key` is Hkv·d numbers. O(d + dv). */
  setKey(slot: number, key: RowInput): void {
    this.#edit({ kind: "setKey", slot, key });
  }

  /** Writes the value in `slot`: `value` is Hkv·dv numbers. O(d + dv). */
  setValue(slot: number, value: RowInput): void {
    this.#edit({ kind: "setValue", slot, value });
  }

  /** Writes key and value in `slot`. O(d + dv). */
  set(slot: number, key: RowInput, value: RowInput): void {
    this.#edit({ kind: "set", slot, key, value });
  }

  /** Adds `delta` to one number of the key in `slot`; the sum is rounded to float32. O(d + dv). */
  addToKey(slot: number, column: number, delta: number): void {
    this.#edit({ kind: "addToKey", slot, column, delta });
  }

  /** Adds `delta` to one number of the value in `slot`; the sum is rounded to float32. O(d + dv). */
  addToValue(slot: number, column: number, delta: number): void {
    this.#edit({ kind: "addToValue", slot, column, delta });
  }

  /**
   * Adds a key of Hkv·d numbers with its value of Hkv·dv and returns the slot it took. O(d + dv).
   *
   * @param options `position` of the key, for `causal` and `window`; one more than the largest so far unless given.
   * @throws {InputError} Also when the mask is a matrix that does not cover the slot.
   */
  insert(key: RowInput, value: RowInput, options: { readonly position?: number } = {}): number {
    const operation = "DynamicAttention.insert";
    const take = () => takeOptions(operation, options, ["position"]);
    return this.#edit({ kind: "insert", key, value, ...reading(operation, take) });
  }

  /** Deletes the key in `slot` with its value. O(1). */
  delete(slot: number): void {
    this.#edit({ kind: "delete", slot });
  }

  /** Writes the query in `slot`: `query` is H·d numbers. Its row is computed anew when next asked for. */
  setQuery(slot: number, query: RowInput): void {
    this.#edit({ kind: "setQuery", slot, query });
  }

  /** Adds a standing query of H·d numbers and returns the slot it took; `options` as for `insert`. */
  insertQuery(query: RowInput, options: { readonly position?: number } = {}): number {
    const operation = "DynamicAttention.insertQuery";
    const take = () => takeOptions(operation, options, ["position"]);
    return this.#edit({ kind: "insertQuery", query, ...reading(operation, take) });
  }

  /** Deletes the standing query in `slot`. */
  deleteQuery(slot: number): void {
    this.#edit({ kind: "deleteQuery", slot });
  }

  /**
   * Performs edits in order, all or none: when one of them is refused, none has happened.
   *
   * @returns The slot that each edit was of; for an insert, the one it took.
   * @throws {InputError} Names the edit by its number, `DynamicAttention.edit[2].setKey`.
   *
   * @example A window that slides
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
  edit(edits: readonly Edit[]): number[] {
    const operation = "DynamicAttention.edit";
    const { keySlots, querySlots, layout } = this.#rules;
    const checked = this.#read(operation, () => checkEdits(operation, edits, layout));
    const perform = () => {
      return this.#pipeline.atomically((layer) => {
        return checked.map((edit) => performEdit(edit, layer, this.#rules));
      });
    };
    const slots = keySlots.atomically(() => querySlots.atomically(perform));
    this.#pipeline.noteEdits(slots.length);
    return slots;
  }

  /** A copy of the key in `slot`, Hkv·d numbers, as of the newest edit. Synchronous, O(d + dv). */
  getKey(slot: number): Float32Array<ArrayBuffer> {
    return this.#newestRow("DynamicAttention.getKey", "key", slot);
  }

  /** A copy of the value in `slot`, Hkv·dv numbers, as of the newest edit. Synchronous, O(d + dv). */
  getValue(slot: number): Float32Array<ArrayBuffer> {
    return this.#newestRow("DynamicAttention.getValue", "value", slot);
  }

  /** A copy of the standing query in `slot`, H·d numbers, as of the newest edit. Synchronous, O(d). */
  getQuery(slot: number): Float32Array<ArrayBuffer> {
    return this.#newestRow("DynamicAttention.getQuery", "query", slot);
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
    this.#checkLive("DynamicAttention.keySlots");
    return this.#rules.keySlots.liveSlots();
  }

  /** The slots of live standing queries in ascending order, as of the newest edit. O(m). */
  querySlots(): Uint32Array<ArrayBuffer> {
    this.#checkLive("DynamicAttention.querySlots");
    return this.#rules.querySlots.liveSlots();
  }

  /**
   * Attention of standing queries, exact as of the edits made before the call.
   *
   * @param rows Query slots, in the order wanted; all live ones in slot order unless given.
   * @returns o, a row a query and H·dv columns.
   * @throws {SlotError} When a row is not live.
   */
  async read(rows?: ArrayLike<number>): Promise<Matrix> {
    const slots = this.#toRows("DynamicAttention.read", rows);
    const { output } = await this.#pipeline.read("DynamicAttention.read", slots);
    return shownMatrix(output, [slots.length, outputColumns(this.#rules.layout)]);
  }

  /** One number of the attention of a standing query, exact: column `column` of the row of query `slot`. */
  async readEntry(slot: number, column: number): Promise<number> {
    const operation = "DynamicAttention.readEntry";
    const slots = this.#toRows(operation, [slot]);
    const place = checkColumn(operation, column, outputColumns(this.#rules.layout), "heads × valueDim");
    const { output } = await this.#pipeline.read(operation, slots);
    return output[place];
  }

  /**
   * The rows as they were last brought up to date, with a certificate: keys and values that changed since are not seen,
   * but it is proven how far each row can be from exact. No row is older than the last flush by a threshold, or
   * further off than `error`: what would be is brought up to date first, and so is a query that was inserted or
   * changed, and a row that has missed so much that nothing of it is kept.
   *
   * @param rows Query slots, in the order wanted; all live ones in slot order unless given.
   * @param options `bounds: false` measures none and promises nothing: all are Infinity.
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
    rows?: ArrayLike<number>,
    options: { readonly bounds?: boolean } = {},
  ): Promise<StaleOutput> {
    const operation = "DynamicAttention.peek";
    const certified = this.#read(operation, () => toSwitch(operation, "bounds", options));
    const slots = this.#toRows(operation, rows);
    const answer = await this.#pipeline.peek(operation, slots, certified);
    const { output, bounds, pending, epoch } = answer;
    const shape = [slots.length, outputColumns(this.#rules.layout)] as const;
    return { output: shownMatrix(output, shape), bounds, pending, epoch };
  }

  /**
   * The weights w_ij of one head of query `slot`, exact: one number a key slot, 0 where no key is live; they sum to
   * 1 unless no key is allowed.
   *
   * @param options `head`, 0 unless given.
   */
  async weights(slot: number, options: { readonly head?: number } = {}): Promise<Float32Array<ArrayBuffer>> {
    const operation = "DynamicAttention.weights";
    const head = this.#read(operation, () => toHead(operation, options, this.#rules.layout));
    const [row] = this.#toRows(operation, [slot]);
    return await this.#pipeline.weights(operation, row, head);
  }

  /**
   * ln Σ_j exp s_ij, exact: a row a query, a column a head; natural log, −∞ where no key is allowed and nowhere else. Beyond
   * the range of float32 it is +∞ or the lowest float32; such rows cannot be merged.
   */
  async logSumExp(rows?: ArrayLike<number>): Promise<Matrix> {
    const slots = this.#toRows("DynamicAttention.logSumExp", rows);
    const { logSumExp } = await this.#pipeline.read("DynamicAttention.logSumExp", slots);
    return shownMatrix(toFloat32Logs(logSumExp), [slots.length, this.#rules.layout.heads]);
  }

  /**
   * The `count` keys with the largest weights for one head of query `slot`, the heaviest first and by slot number
   * where weights are equal; all live keys if there are fewer.
   *
   * @param options `head`, 0 unless given.
   */
  async topKeys(
    slot: number,
    count: number,
    options: { readonly head?: number } = {},
  ): Promise<WeightedKey[]> {
    const operation = "DynamicAttention.topKeys";
    const head = this.#read(operation, () => toHead(operation, options, this.#rules.layout));
    const [row] = this.#toRows(operation, [slot]);
    if (!isCount(count)) throw new InputError(operation, `count is ${describe(count)}`, "an integer ≥ 0");
    const live = this.#rules.keySlots.liveSlots();
    const weights = await this.#pipeline.weights(operation, row, head);
    return Array.from(heaviestOf(live, weights, count), (key) => ({ slot: key, weight: weights[key] }));
  }

  /**
   * Attention of passing queries, r × H·d, over the current keys; nothing of them is kept.
   *
   * @param options `positions` of the queries, for `causal` and `window`; from one more than the largest standing
   * query's on unless given.
   * @throws {InputError} Also on an engine with a mask: a mask knows standing queries alone.
   */
  async attend(
    queries: MatrixInput,
    options: { readonly positions?: ArrayLike<number> } = {},
  ): Promise<Matrix> {
    const operation = "DynamicAttention.attend";
    const passing = this.#read(operation, () => {
      const { positions } = takeOptions(operation, options, ["positions"]);
      return toPassing(operation, queries, positions, this.#rules);
    });
    const { output } = await this.#pipeline.attend(operation, passing);
    return shownMatrix(output, [passing.count, outputColumns(this.#rules.layout)]);
  }

  /** Brings every row up to date, in the way that `onThreshold` says. Reads do so for the rows that they are of. */
  async flush(): Promise<void> {
    this.#checkCall("DynamicAttention.flush");
    await this.#pipeline.flush("DynamicAttention.flush");
  }

  /** Computes every row from scratch, with all edits. */
  async rebuild(): Promise<void> {
    this.#checkCall("DynamicAttention.rebuild");
    await this.#pipeline.flush("DynamicAttention.rebuild", "rebuild");
  }

  /**
   * Brings every row up to date, as `flush` does, and writes down all that the engine holds as of the call. An engine
   * to which nothing happens writes the same bytes again.
   *
   * The bytes are a safetensors file with a checksum. For m query slots and n key slots, freed ones included, it has
   * m·H·(4 d + 8 dv + 105) + 4 n·Hkv·(d + dv) + 8 (m + n) bytes, on `array` m·H·(8 dv + 48) more for sums in float64 and
   * on `webgpu` m·H·(8 dv + 56), 4
   * for each freed slot, 4 for each number of a mask (n·m·H of a mask function), and some 3,000 more.
   *
   * @throws {BackendError} When the rows cannot be brought up to date.
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
  async save(): Promise<Uint8Array<ArrayBuffer>> {
    const operation = "DynamicAttention.save";
    this.#checkCall(operation);
    const { keySlots, querySlots } = this.#rules;
    const slots = { keys: keySlots.save(), queries: querySlots.save() };
    const take = async () => {
      const { takeSnapshot } = await loadSnapshots();
      return await takeSnapshot(this.#rules, slots, this.#backend);
    };
    const snapshot = await this.#pipeline.whenCurrent(operation, take);
    return await (await loadSnapshots()).encodeSnapshot(operation, snapshot);
  }

  /**
   * Goes on with another backend, in the order of calls: what was asked before is answered by the present one. Edits
   * that are pending stay pending, and stored rows are taken along with the bits they have, also from a backend that
   * failed. All rows are then computed there from scratch, O(m n (d + dv)), so that no answer is older than the move;
   * counters count on. When the other backend cannot be had, everything stays as it is.
   *
   * @param backend Its name; "auto" is the fastest one that runs here.
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
    const { threads } = this.#read(operation, () => takeOptions(operation, options, ["threads"]));
    const factory = selectBackend(operation, backend, threads);
    const { layout, rule, mask, tolerance, keySlots, querySlots } = this.#rules;
    await this.#pipeline.move(operation, async () => {
      const sizes = { queryCount: querySlots.count, keyCount: keySlots.count };
      const maskHeads = mask?.heads ?? 0;
      const successor = this.#wrap(
        await makeBackend(operation, factory, { layout, rule, maskHeads, tolerance, sizes }),
      );
      await this.#backend.moveTo(successor, { keys: keySlots.size, queries: querySlots.size });
    });
  }

  /** Sizes, versions and counted work, as of now. */
  stats(): DynamicAttentionStats {
    this.#checkLive("DynamicAttention.stats");
    return statsOf(this.#rules, this.#pipeline, this.#backend);
  }

  /** Waits for what was asked before and gives back what the engine holds; calling it again does nothing. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#pipeline.dispose();
    return this.#disposal;
  }

  /** As `dispose`, at the end of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** What a terminal shows: sizes, backend, what waits and what was done, a line each. */
  [INSPECT](): string {
    if (this.#disposal) return "DynamicAttention (disposed)";
    return engineText({ stats: this.stats(), bound: null });
  }

  /**
   * What a notebook shows: the same as a table, with the largest bound of a stale answer over the first 1,024 queries,
   * for which it peeks.
   */
  async [DISPLAY](): Promise<MimeBundle> {
    if (this.#disposal) return { "text/plain": "DynamicAttention (disposed)" };
    const slots = this.#rules.querySlots.liveSlots().subarray(0, SHOWN_BOUNDS);
    // Before the peek, which may bring rows up to date.
    const stats = this.stats();
    const { bounds } = await this.peek(slots);
    const { engineBundle } = await import("./engine_bundle.ts");
    return engineBundle({
      stats,
      bound: { largest: Math.max(0, ...bounds), rows: slots.length },
    });
  }

  #edit(edit: Edit): number {
    const operation = `DynamicAttention.${edit.kind}`;
    const checked = this.#read(operation, () => checkEdit(operation, edit, this.#rules.layout));
    const slot = performEdit(checked, this.#pipeline.newest, this.#rules);
    this.#pipeline.noteEdits(1);
    return slot;
  }

  #newestRow(operation: string, what: RowKind, slot: number): Float32Array<ArrayBuffer> {
    this.#checkLive(operation);
    return copyNewest(operation, what, slot, this.#pipeline.newest, this.#rules);
  }

  #toRows(operation: string, rows: ArrayLike<number> | undefined): Uint32Array {
    return this.#read(operation, () => toRows(operation, rows, this.#rules.querySlots));
  }

  /**
   * Reads what a call was passed, before anything of the engine is touched. It may run code of the caller's: what that does
   * to the engine has happened before the call.
   */
  #read<T>(operation: string, read: () => T): T {
    this.#checkCall(operation);
    const given = reading(operation, read);
    this.#checkCall(operation);
    return given;
  }

  /** Refuses what edits or asks the engine while it asks a function of the caller's. */
  #checkCall(operation: string): void {
    this.#checkLive(operation);
    const { mask, threshold } = this.#rules;
    if (mask?.isAsked) throw new ReentryError(operation, "mask");
    if (threshold.isAsked) throw new ReentryError(operation, "lazyThreshold");
  }

  #checkLive(operation: string): void {
    if (this.#disposal) throw new DisposedError(operation);
  }
}

/**
 * What is behind an engine, for modules that build on it. It is valid for one question, which must be asked before
 * anything is waited for.
 *
 * @throws {InputError} When `live` is no engine.
 * @throws {DisposedError} When it is disposed.
 */
export function insideOf(operation: string, live: DynamicAttention): EngineInside {
  return lookInside(operation, live);
}

/** Makes an engine with something between it and its backend: for tests of how it treats one. */
export async function createEngine(
  options: DynamicAttentionOptions,
  wrap?: WrapBackend,
): Promise<DynamicAttention> {
  const operation = "DynamicAttention.create";
  const problem = toEngineProblem(operation, options);
  const { layout, rule, mask, threshold, policy, tolerance } = problem;
  const keySlots = new SlotTable(problem.keyPositions);
  const querySlots = new SlotTable(problem.queryPositions);
  const parts = { layout, rule, mask, threshold, policy, tolerance, keySlots, querySlots };
  const backend = await fillBackend(operation, problem, wrap);
  return construct(parts, backend, wrap);
}

/** As `createEngine`, of a snapshot. */
export async function loadEngine(
  bytes: Uint8Array,
  options: LoadOptions = {},
  wrap?: WrapBackend,
): Promise<DynamicAttention> {
  const operation = "DynamicAttention.load";
  if (typedArrayKind(bytes) !== "Uint8Array") {
    throw new InputError(operation, `bytes are ${describe(bytes)}`, "a Uint8Array");
  }
  checkArray(operation, "bytes", bytes);
  // Before anything is waited for: afterwards they are the caller's again.
  const copy = new Uint8Array(bytes);
  const given = toLoadProblem(operation, options);
  const { restoreEngine } = await loadSnapshots();
  const { parts, backend } = await restoreEngine(operation, copy, given, wrap);
  return construct(parts, backend, wrap);
}

/** Most engines are neither saved nor loaded. */
function loadSnapshots() {
  return import("./engine_snapshot.ts");
}
