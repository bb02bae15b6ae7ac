// A plain model of the content of an engine: rows by slot, each with its position and a label that its mask
// goes by. It knows nothing of logs, layers or thresholds; every expected answer is computed from scratch by
// the oracle.

import type { AttentionOptions, Matrix, RowId } from "../mod.ts";
import type { RowStorage } from "../src/numerics/row_format.ts";
import { referenceAttention, type ReferenceCase, type ReferenceResult } from "../src/numerics/reference.ts";
import { matrixOf } from "./accuracy.ts";
import { roundedRow } from "./rounded_rows.ts";

/** Rules that most engines do not have. */
export interface ModelExtras {
  /** What is kept of keys and values. */
  readonly storage?: RowStorage;
  /** Keys at positions below this are never too far left of a window. */
  readonly keepFirst?: number;
  /** A logit for each head. */
  readonly sinks?: readonly number[];
  /** A slope for each head. */
  readonly alibi?: readonly number[];
  /** Biases by whole distances, of all heads or a list for each. */
  readonly distances?: { readonly from: number; readonly values: readonly (readonly number[])[] };
  readonly biasBeforeSoftcap?: boolean;
  readonly rotary?: { readonly base: number; readonly dims: number; readonly interleaved: boolean };
  /** Entries by blocks of positions, of all heads or a matrix for each. */
  readonly blocks?: {
    readonly size: readonly [number, number];
    readonly entries: readonly (readonly (readonly (number | boolean)[])[])[];
  };
}

/** The options of a model's engine. */
export interface ModelRule extends ModelExtras {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly scale: number;
  readonly softcap: number;
  readonly causal: boolean | { readonly offset: number };
  readonly window: readonly [number, number];
  /** The bias of a pair by the labels of its rows; null for no mask. */
  readonly maskOf: ((queryLabel: number, keyLabel: number, head: number) => number | boolean) | null;
}

/** A live key. */
export interface ModelKey {
  key: Float32Array;
  value: Float32Array;
  position: number;
  readonly label: number;
}

/** A live query. */
export interface ModelQuery {
  query: Float32Array;
  position: number;
  readonly label: number;
}

/** Keys, values and queries by slot. */
export class MemoryModel {
  readonly rule: ModelRule;
  /** What an engine calls the rows with a label; null where it calls them by their slots. */
  names: { key(label: number): RowId; query(label: number): RowId } | null = null;
  readonly keys = new Map<number, ModelKey>();
  readonly queries = new Map<number, ModelQuery>();
  #nextKeyPosition = 0;
  #nextQueryPosition = 0;
  #nextLabel = 0;

  constructor(rule: ModelRule) {
    this.rule = rule;
  }

  /** Live key slots in ascending order. */
  get keySlots(): number[] {
    return [...this.keys.keys()].sort((a, b) => a - b);
  }

  /** Live query slots in ascending order. */
  get querySlots(): number[] {
    return [...this.queries.keys()].sort((a, b) => a - b);
  }

  /** Adds a key; it has a label of its own, also when the slot had a key before. */
  insertKey(
    slot: number,
    key: ArrayLike<number>,
    value: ArrayLike<number>,
    position = this.#nextKeyPosition,
  ): void {
    this.#nextKeyPosition = Math.max(this.#nextKeyPosition, position + 1);
    const label = this.#nextLabel++;
    const held = { key: Float32Array.from(key), value: Float32Array.from(value), position, label };
    this.keys.set(slot, held);
    this.round(held);
  }

  /** Makes of a key that was written what is kept of it. */
  round(held: ModelKey): void {
    const { storage, headDim, valueDim } = this.rule;
    held.key = roundedRow(held.key, headDim, storage, "keys");
    held.value = roundedRow(held.value, valueDim, storage, "values");
  }

  /** Adds a query. */
  insertQuery(slot: number, query: ArrayLike<number>, position = this.#nextQueryPosition): void {
    this.#nextQueryPosition = Math.max(this.#nextQueryPosition, position + 1);
    this.queries.set(slot, { query: Float32Array.from(query), position, label: this.#nextLabel++ });
  }

  /** A row has moved to `position`. */
  reach(what: "key" | "query", position: number): void {
    if (what === "key") this.#nextKeyPosition = Math.max(this.#nextKeyPosition, position + 1);
    else this.#nextQueryPosition = Math.max(this.#nextQueryPosition, position + 1);
  }

  /** Moves all rows whose positions are in a range; rows to come follow those at its end. */
  shift(by: number, from: number, to: number): void {
    const move = (rows: Iterable<ModelKey | ModelQuery>, next: number): number => {
      let end = to === Infinity ? next + by : next;
      for (const row of rows) {
        if (from <= row.position && row.position < to) row.position += by;
        end = Math.max(end, row.position + 1);
      }
      return Math.max(0, end);
    };
    this.#nextKeyPosition = move(this.keys.values(), this.#nextKeyPosition);
    this.#nextQueryPosition = move(this.queries.values(), this.#nextQueryPosition);
  }

  /** The mask's entry for two slots, which the engine gets as its mask function. */
  mask(i: number, j: number, head: number): number | boolean {
    const { maskOf } = this.rule;
    const query = this.queries.get(i), key = this.keys.get(j);
    if (!maskOf || !query || !key) {
      throw new Error(`the mask is asked for (${i}, ${j}), of which one is not live`);
    }
    return maskOf(query.label, key.label, head);
  }

  /** A copy of what is held now. */
  snapshot(): MemoryModel {
    const copy = new MemoryModel(this.rule);
    copy.names = this.names;
    for (const [slot, held] of this.keys) {
      copy.keys.set(slot, { ...held, key: held.key.slice(), value: held.value.slice() });
    }
    for (const [slot, held] of this.queries) copy.queries.set(slot, { ...held, query: held.query.slice() });
    copy.#nextKeyPosition = this.#nextKeyPosition;
    copy.#nextQueryPosition = this.#nextQueryPosition;
    copy.#nextLabel = this.#nextLabel;
    return copy;
  }

  /** The rows as an engine is made with them, while the slots are 0, 1, 2, … */
  matrices(): { query: Matrix; key: Matrix; value: Matrix } {
    const { heads, kvHeads, headDim, valueDim } = this.rule;
    const keys = [...this.keys.values()];
    return {
      query: matrixOf([...this.queries.values()].map(({ query }) => query), heads * headDim),
      key: matrixOf(keys.map(({ key }) => key), kvHeads * headDim),
      value: matrixOf(keys.map(({ value }) => value), kvHeads * valueDim),
    };
  }

  /** The window, and the options that only some engines have. */
  options(): Pick<
    AttentionOptions,
    "window" | "sinks" | "alibi" | "distanceBias" | "biasBeforeSoftcap" | "rotary" | "blockMask" | "storage"
  > {
    const {
      storage,
      blocks,
      window: [left, right],
      keepFirst,
      sinks,
      alibi,
      distances,
      biasBeforeSoftcap,
      rotary,
    } = this.rule;
    return {
      window: keepFirst === undefined ? [left, right] : { left, right, keepFirst },
      ...(storage ? { storage } : {}),
      ...(sinks ? { sinks } : {}),
      ...(alibi ? { alibi } : {}),
      ...(distances ? { distanceBias: distances } : {}),
      ...(rotary ? { rotary } : {}),
      ...(blocks ? { blockMask: blocks } : {}),
      ...(biasBeforeSoftcap === undefined ? {} : { biasBeforeSoftcap }),
    };
  }

  /** The options of an engine with these rows under this rule; rows have the slots 0, 1, 2, …. */
  engineOptions(): AttentionOptions {
    const { heads, kvHeads, scale, softcap, causal, maskOf } = this.rule;
    const mask = (i: number, j: number, head: number) => this.mask(i, j, head);
    return {
      ...this.matrices(),
      ...{ heads, kvHeads, scale, softcap, causal },
      ...this.options(),
      ...(maskOf ? { mask } : {}),
    };
  }

  /** The question that the oracle is asked for these queries. */
  caseOf(queries: readonly Pick<ModelQuery, "query" | "position" | "label">[]): ReferenceCase {
    const keys = this.keySlots.map((slot) => this.keys.get(slot) as ModelKey);
    const { heads, kvHeads, valueDim, scale, softcap, maskOf, sinks, biasBeforeSoftcap } = this.rule;
    return {
      query: queries.map(({ query, position }) => this.#turned(query, position)),
      key: keys.map(({ key, position }) => this.#turned(key, position)),
      value: keys.map(({ value }) => value),
      heads,
      kvHeads,
      valueDim,
      scale,
      softcap,
      biasFirst: biasBeforeSoftcap === true && softcap > 0,
      ...(sinks ? { sinks } : {}),
      bias: (i, j, head) => {
        if (!this.#isInReach(queries[i].position, keys[j].position)) return -Infinity;
        const entry = maskOf ? maskOf(queries[i].label, keys[j].label, head) : 0;
        const ofMask = entry === true ? 0 : entry === false ? -Infinity : entry;
        return ofMask + this.#biasByDistance(keys[j].position - queries[i].position, head) +
          this.#biasByBlock(queries[i].position, keys[j].position, head);
      },
    };
  }

  /** A row with rotary positions, turned pair by pair as complex numbers are multiplied. */
  #turned(row: Float32Array, position: number): Float32Array {
    const { rotary, headDim } = this.rule;
    if (!rotary) return row;
    const { base, dims, interleaved } = rotary;
    return row.map((x, at) => {
      const c = at % headDim;
      if (c >= dims) return x;
      const pair = interleaved ? Math.floor(c / 2) : c % (dims / 2);
      const isFirst = interleaved ? c % 2 === 0 : c < dims / 2;
      const other = row[at + (isFirst ? 1 : -1) * (interleaved ? 1 : dims / 2)];
      const angle = position / base ** (2 * pair / dims);
      return x * Math.cos(angle) + (isFirst ? -1 : 1) * other * Math.sin(angle);
    });
  }

  #biasByBlock(queryPosition: number, keyPosition: number, head: number): number {
    const { blocks } = this.rule;
    if (!blocks) return 0;
    const { size: [rows, columns], entries } = blocks;
    const own = entries[entries.length === 1 ? 0 : head];
    const entry = own[Math.floor(queryPosition / rows)]?.[Math.floor(keyPosition / columns)] ?? false;
    return entry === true ? 0 : entry === false ? -Infinity : Math.fround(entry);
  }

  #biasByDistance(distance: number, head: number): number {
    const { alibi, distances } = this.rule;
    if (alibi) return -alibi[head] * Math.abs(distance);
    if (!distances) return 0;
    const own = distances.values[distances.values.length === 1 ? 0 : head];
    const at = distance - distances.from;
    return Math.fround(at < 0 ? own[0] : at >= own.length ? own[own.length - 1] : own[at]);
  }

  /** As `caseOf`, of standing queries. */
  standing(rows: readonly number[] = this.querySlots): ReferenceCase {
    return this.caseOf(rows.map((slot) => this.queries.get(slot) as ModelQuery));
  }

  /** As `caseOf`, of passing queries, which come after the standing ones. */
  passing(rows: readonly ArrayLike<number>[]): ReferenceCase {
    return this.caseOf(rows.map((row, at) => {
      return { query: Float32Array.from(row), position: this.#nextQueryPosition + at, label: -1 };
    }));
  }

  /** What the mask says of passing queries, whose label is −1, as a function of the number of each. */
  passingMask(rows: readonly unknown[]): (at: number, key: number, head: number) => number | boolean {
    const { maskOf } = this.rule;
    return (at, slot, head) => {
      const key = this.keys.get(slot);
      if (!maskOf || !key || !(at < rows.length)) throw new Error(`the mask is asked for (${at}, ${slot})`);
      return maskOf(-1, key.label, head);
    };
  }

  /** The oracle's answer for standing queries. */
  answer(rows: readonly number[] = this.querySlots): ReferenceResult {
    return referenceAttention(this.standing(rows));
  }

  #isInReach(queryPosition: number, keyPosition: number): boolean {
    const { causal, window: [left, right], keepFirst = -Infinity } = this.rule;
    // A difference of positions is rounded where their sum with a reach would be a whole step off.
    const ahead = keyPosition - queryPosition;
    const isAhead = causal === false || ahead <= (causal === true ? 0 : causal.offset);
    return isAhead && (ahead >= -left || keyPosition < keepFirst) && ahead <= right;
  }
}
