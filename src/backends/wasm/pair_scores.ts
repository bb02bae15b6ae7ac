/**
 * Scores of single pairs in float64, for what the kernels' float32 is not good enough: certificates and steep rows.
 */

import type { Work } from "../backend.ts";
import { type HeadLayout, keyHeadOf } from "../../numerics/head_layout.ts";
import { isInReach, looksAtPositions, score, type ScoreRule } from "../../numerics/score_rule.ts";
import type { PairMeasures } from "../host/certifier.ts";
import { distance } from "../host/value_spread.ts";
import type { KeyTable } from "./key_table.ts";
import type { Arena } from "./row_blocks.ts";

/** Scores and distances of the query selected last. */
export class PairScores implements PairMeasures<KeyTable> {
  readonly #arena: Arena;
  readonly #layout: HeadLayout;
  readonly #rule: ScoreRule;
  readonly work: Work;
  readonly #looksAtPositions: boolean;
  readonly #maskHeads: number;
  readonly #query: Float64Array;
  #keyHead = 0;
  #maskHead = 0;
  #slot = 0;
  #position = 0;

  constructor(arena: Arena, layout: HeadLayout, rule: ScoreRule, maskHeads: number, work: Work) {
    this.#arena = arena;
    this.#layout = layout;
    this.#rule = rule;
    this.work = work;
    this.#looksAtPositions = looksAtPositions(rule);
    this.#maskHeads = maskHeads;
    this.#query = new Float64Array(layout.headDim);
  }

  /** Takes one head of a query; `slot` is its place in a mask. */
  select(rows: Float32Array, offset: number, head: number, position: number, slot: number): void {
    const { headDim } = this.#layout;
    for (let c = 0; c < headDim; c++) this.#query[c] = rows[offset + head * headDim + c];
    this.#keyHead = keyHeadOf(this.#layout, head);
    this.#maskHead = this.#maskHeads > 1 ? head : 0;
    this.#position = position;
    this.#slot = slot;
  }

  /** Wipes the query that was taken last. */
  forgetQuery(): void {
    this.#query.fill(0);
  }

  /** The score of a live key; −∞ for a pair that is forbidden. */
  scoreWithBias(table: KeyTable, row: number): number {
    const { scale, softcap } = this.#rule, { headDim } = this.#layout;
    const bias = this.#biasOf(table, row);
    if (bias === -Infinity) return bias;
    this.work.multiplyAdds += headDim;
    if (softcap > 0) this.work.exponentials++;
    const start = table.keyAddress(row, this.#keyHead) / 4;
    return score(this.#query, this.#arena.numbers, start, headDim, scale, softcap) + bias;
  }
  hasSameBias(table: KeyTable, row: number, other: KeyTable, otherRow: number): boolean {
    return this.#biasOf(table, row) === this.#biasOf(other, otherRow);
  }

  productWith(columns: readonly number[], deltas: readonly number[]): number {
    const { headDim } = this.#layout;
    let sum = 0;
    for (let at = 0; at < columns.length; at++) {
      const c = columns[at] - this.#keyHead * headDim;
      if (c >= 0 && c < headDim) sum += this.#query[c] * deltas[at];
    }
    this.work.multiplyAdds += columns.length;
    return this.#rule.scale * sum;
  }

  distanceToValue(point: Float64Array, table: KeyTable, row: number): number {
    const { valueDim } = this.#layout;
    this.work.multiplyAdds += valueDim;
    return distance(point, 0, this.#arena.numbers, table.valueAddress(row, this.#keyHead) / 4, valueDim);
  }

  /** What is added to the score of a key; −∞ for one that is out of reach or masked. */
  #biasOf(table: KeyTable, row: number): number {
    if (this.#looksAtPositions && !isInReach(this.#rule, this.#position, table.position(row))) {
      return -Infinity;
    }
    return table.bias(row, this.#maskHead, this.#slot);
  }
}
