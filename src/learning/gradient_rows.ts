/**
 * The rows that a question for derivatives is about, side by side: queries, standing or passing, and the keys that they
 * are held against, as scores see both.
 *
 * Invariant: rows are copies, turned by their positions where the rule has rotary positions; derivatives by them are
 * turned back before anybody sees them.
 */

import type { Backend, PassingBias, PassingQueries, RowSource } from "../backends/backend.ts";
import type { HeadKeys, HeadQuery } from "../numerics/attention_gradient.ts";
import {
  type HeadLayout,
  keyColumns,
  keyHeadOf,
  queryColumns,
  valueColumns,
} from "../numerics/head_layout.ts";
import { Turner } from "../numerics/rotary.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import type { EditRules } from "../write/edits.ts";

/** The queries whose outputs are differentiated: standing or passing ones. */
export type GradientRows =
  | { readonly kind: "standing"; readonly slots: Uint32Array }
  | { readonly kind: "passing"; readonly queries: PassingQueries };

/** The key slots and the sizes of both tables as of a call. */
export interface AsOfCall {
  /** Live key slots. */
  readonly slots: Uint32Array<ArrayBuffer>;
  readonly keySize: number;
  readonly querySize: number;
}

interface QueryRows {
  readonly count: number;
  readonly rows: Float32Array;
  readonly positions: Float64Array;
  /** null for passing ones. */
  readonly slots: Uint32Array | null;
  /** The mask of passing ones. */
  readonly bias: PassingBias | null;
}

/** The bias of the mask for a query by its number in the question, a key slot and a head. */
export type BiasReader = (query: number, key: number, head: number) => number;

/** The queries of a question. */
export class QuestionQueries {
  readonly count: number;
  /** Their slots; null for passing ones. */
  readonly slots: Uint32Array | null;
  readonly positions: Float64Array;
  readonly #rows: Float32Array;
  readonly #bias: PassingBias | null;
  readonly #layout: HeadLayout;
  /** One head of one query. */
  readonly #head: { readonly row: Float64Array; position: number; head: number };

  constructor(asked: GradientRows, backend: Backend, { layout, rule }: EditRules) {
    const { count, rows, positions, slots, bias } = queriesOf(asked, backend, layout);
    this.count = count;
    this.slots = slots;
    this.positions = positions;
    this.#rows = rule.rotary ? rows.slice() : rows;
    this.#bias = bias;
    this.#layout = layout;
    this.#head = { row: new Float64Array(layout.headDim), position: 0, head: 0 };
    turnAll(this.#rows, positions, rule, layout, { heads: layout.heads, stride: queryColumns(layout) });
  }

  /** How many numbers they have altogether. */
  get length(): number {
    return this.#rows.length;
  }

  /** One head of a query, until the next call. */
  head(query: number, head: number): HeadQuery {
    const { headDim } = this.#layout, own = this.#head;
    const from = query * queryColumns(this.#layout) + head * headDim;
    for (let c = 0; c < headDim; c++) own.row[c] = this.#rows[from + c];
    own.position = this.positions[query];
    own.head = head;
    return own;
  }

  /** Reads the biases of the mask; null without one. */
  biases({ mask }: EditRules, backend: Backend, { keySize, querySize }: AsOfCall): BiasReader | null {
    const slots = this.slots;
    if (this.#bias) {
      const { heads, keySize: stride, numbers } = this.#bias;
      return (i, j, head) => numbers[(i * stride + j) * heads + (heads === 1 ? 0 : head)];
    }
    if (!mask || !slots) return null;
    // A mask matrix never changes; the backend holds the answers of a mask function.
    const said = mask.isFunction || mask.isEditable ? backend.bias(keySize, querySize) : null;
    return (i, j, head) => {
      const maskHead = mask.heads === 1 ? 0 : head;
      return said
        ? said[(j * querySize + slots[i]) * mask.heads + maskHead]
        : mask.bias(slots[i], j, maskHead);
    };
  }
}

/** Keys of a question with their values. */
export class QuestionKeys {
  readonly slots: Uint32Array<ArrayBuffer>;
  /** A row `[key | value]` for each. */
  readonly rows: Float32Array;
  readonly positions: Float64Array;
  readonly #layout: HeadLayout;

  constructor(source: RowSource, slots: Uint32Array<ArrayBuffer>, { layout, rule }: EditRules) {
    const stride = keyColumns(layout) + valueColumns(layout);
    this.slots = slots;
    this.rows = new Float32Array(slots.length * stride);
    this.positions = new Float64Array(slots.length);
    this.#layout = layout;
    for (let t = 0; t < slots.length; t++) {
      source.copyRow(slots[t], this.rows, t * stride);
      this.positions[t] = source.position(slots[t]);
    }
    turnAll(this.rows, this.positions, rule, layout, { heads: layout.kvHeads, stride });
  }

  /** The columns that a head reads. */
  head(head: number): HeadKeys {
    const { headDim, valueDim } = this.#layout, keyHead = keyHeadOf(this.#layout, head);
    return {
      rows: this.rows,
      positions: this.positions,
      count: this.slots.length,
      stride: keyColumns(this.#layout) + valueColumns(this.#layout),
      keyOffset: keyHead * headDim,
      valueOffset: keyColumns(this.#layout) + keyHead * valueDim,
      headDim,
      valueDim,
    };
  }
}

/** Makes derivatives by turned rows derivatives by rows. */
export function turnBack(
  { query, rows }: { readonly query: Float64Array; readonly rows: Float64Array },
  queries: QuestionQueries,
  keys: QuestionKeys,
  { layout, rule: { rotary } }: EditRules,
): void {
  if (!rotary) return;
  const turner = new Turner(rotary, layout), width = keyColumns(layout) + valueColumns(layout);
  queries.positions.forEach((position, i) => {
    turner.turnBack(query, i * queryColumns(layout), layout.heads, position);
  });
  if (rows.length === 0) return;
  keys.positions.forEach((position, t) => turner.turnBack(rows, t * width, layout.kvHeads, position));
}

function turnAll(
  rows: Float32Array,
  positions: Float64Array,
  { rotary }: ScoreRule,
  layout: HeadLayout,
  { heads, stride }: { readonly heads: number; readonly stride: number },
): void {
  if (!rotary) return;
  const turner = new Turner(rotary, layout);
  positions.forEach((position, at) => turner.turn(rows, at * stride, heads, position));
}

function queriesOf(rows: GradientRows, backend: Backend, layout: HeadLayout): QueryRows {
  if (rows.kind === "passing") return { ...rows.queries, slots: null };
  const { slots } = rows;
  const width = queryColumns(layout);
  const queries = new Float32Array(slots.length * width);
  slots.forEach((slot, i) => backend.queries.copyRow(slot, queries, i * width));
  const positions = Float64Array.from(slots, (slot) => backend.queries.position(slot));
  return { count: slots.length, rows: queries, positions, slots, bias: null };
}
