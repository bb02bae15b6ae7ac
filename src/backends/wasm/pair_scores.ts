/**
 * Scores of single pairs in float64, for what the kernels' float32 is not good enough: certificates and steep rows.
 */

import type { Work } from "../backend.ts";
import { type HeadLayout, keyHeadOf } from "../../core/head_layout.ts";
import { isInReach, looksAtPositions, score, type ScoreRule } from "../../core/score_rule.ts";
import type { KeyTable } from "./key_table.ts";
import type { Arena } from "./row_blocks.ts";

/** Scores of the query selected last. */
export class PairScores {
  readonly #arena: Arena;
  readonly #layout: HeadLayout;
  readonly #rule: ScoreRule;
  readonly #work: Work;
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
    this.#work = work;
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

  /** The score of a live key; −∞ for a pair that is forbidden. */
  scoreOf(table: KeyTable, row: number): number {
    const { scale, softcap } = this.#rule, { headDim } = this.#layout;
    if (this.#looksAtPositions && !isInReach(this.#rule, this.#position, table.position(row))) {
      return -Infinity;
    }
    const bias = table.bias(row, this.#maskHead, this.#slot);
    if (bias === -Infinity) return bias;
    this.#work.multiplyAdds += headDim;
    if (softcap > 0) this.#work.exponentials++;
    const start = table.keyAddress(row, this.#keyHead) / 4;
    return score(this.#query, this.#arena.numbers, start, headDim, scale, softcap) + bias;
  }
}
