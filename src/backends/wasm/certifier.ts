/**
 * Certificates on the `wasm` backend. The terms of `core/staleness_bound.ts` are computed in float64, anew each time;
 * what float32 may have done to the state is bounded on top, u = 2^−24:
 *
 * The score of a pair is a chain of d multiply-adds, a multiplication with the rounded scale, perhaps a capping whose
 * errors are those of a few operations, and the addition of a bias. With S = |scale|·‖q‖·max ‖k‖ it is off by at most
 * u·((d + 4)·S + 24·min(S, c) + |s|), and exp is off by 2u·(1 + |s|/2¹¹) of itself. Keys whose score is more than 40
 * below the row's log-sum-exp L are no more than 2^−50 of its mass each, computed or exact; for the others
 * |s| ≤ |L| + 40. So all weights that matter are off by factors within e^±δ, and their distribution by at most
 * tanh(δ/2) in total variation, which moves the output by at most as much of the diameter of the values.
 */

import { type HeadLayout, keyHeadOf } from "../../core/head_layout.ts";
import { exponentOf, shiftedExp } from "../../core/power_shift.ts";
import type { ScoreRule } from "../../core/score_rule.ts";
import { stalenessBound } from "../../core/staleness_bound.ts";
import type { Work } from "../backend.ts";
import { distance, type ValueSpread } from "../value_spread.ts";
import type { KeyReach } from "./key_reach.ts";
import type { KeyPlace, Moment } from "./moment.ts";
import type { PairScores } from "./pair_scores.ts";
import type { Arena } from "./row_blocks.ts";
import type { RowTotals } from "./row_totals.ts";

const FLOAT64_ROUNDING = 2 ** -52;
const FLOAT32_ROUNDING = 2 ** -24;
/** Beyond it a weight counts as infinite. */
const HIGHEST_POWER = 900;
/** What a key that does not matter has of its row's mass at most. */
const UNNOTICED = 2 ** -50;
const NOTICED_DEPTH = 40;

/** What the bounds are made of. */
export interface CertifierParts {
  readonly arena: Arena;
  readonly layout: HeadLayout;
  readonly rule: ScoreRule;
  readonly scores: PairScores;
  readonly spread: ValueSpread;
  readonly reach: KeyReach;
  readonly work: Work;
}

/** Bounds on how far states are from what they would be with the stored keys. */
export class Certifier {
  readonly #parts: CertifierParts;
  /** o of the row at hand. */
  readonly #output: Float64Array;

  constructor(parts: CertifierParts) {
    this.#parts = parts;
    this.#output = new Float64Array(parts.layout.valueDim);
  }

  /** Bound of the row whose totals these are, of the query that is selected. */
  bound(totals: RowTotals, moment: Moment, head: number, queryNorm: number): number {
    const { layout, spread } = this.#parts;
    const keyHead = keyHeadOf(layout, head);
    if (totals.mass === 0) return this.#farthestValue(moment, keyHead);

    const output = this.#output;
    totals.writeOutput(output, 0);
    const norm = Math.hypot(...output);
    const diameter = 2 * spread.radius(keyHead);
    const keyCount = moment.stored.count + moment.since.slots.length;
    const doubt = totals.isExact ? 0 : this.#weightDoubt(totals, queryNorm, keyHead);
    const moved = totals.isExact ? 0 : Math.tanh(doubt / 2) + 4 * keyCount * UNNOTICED;
    const massError = totals.massError / totals.mass;
    // What rounding may have done to o: in its weights, in its sums and in the division.
    const ledger = moved * diameter +
      2 * (Math.sqrt(layout.valueDim) * totals.sumError / totals.mass + norm * massError) +
      4 * FLOAT64_ROUNDING * norm;
    const massDoubt = Math.expm1(doubt) + 2 * massError + 4 * keyCount * UNNOTICED;

    const stale = moment.since.slots.length === 0
      ? 0
      : this.#stale(totals, moment, keyHead, ledger, massDoubt, diameter, norm);
    return (stale + ledger) * (1 + FLOAT32_ROUNDING) + 2 * FLOAT32_ROUNDING * norm;
  }

  /** δ: weights that matter are off by factors of at most e^±δ. */
  #weightDoubt(totals: RowTotals, queryNorm: number, keyHead: number): number {
    const { layout: { headDim }, rule: { softcap }, reach } = this.#parts;
    const largest = reach.largestScore(queryNorm, keyHead);
    const capped = softcap > 0 ? Math.min(largest, softcap) : 0;
    const depth = Math.abs(totals.logSumExp()) + NOTICED_DEPTH;
    const ofScores = (headDim + 4) * largest + 24 * capped + depth;
    return 1.01 * FLOAT32_ROUNDING * (ofScores + 2 * (1 + depth / 2048));
  }

  #stale(
    totals: RowTotals,
    moment: Moment,
    keyHead: number,
    ledger: number,
    massDoubt: number,
    diameter: number,
    norm: number,
  ): number {
    const { layout: { headDim }, scores, work } = this.#parts;
    const { shift, mass } = totals;
    const grown = 1 + massDoubt;
    const base = Math.abs(totals.logSumExp()) + headDim + 16;
    let moved = 0, gained = 0, lost = 0, shifted = 0, doubts = 0;
    for (const slot of moment.since.slots) {
      const before = moment.find(slot);
      const after = moment.stored.isLive(slot) ? { table: moment.stored, row: slot } : null;
      const scoreBefore = before ? scores.scoreOf(before.table, before.row) : -Infinity;
      const scoreAfter = after ? scores.scoreOf(after.table, after.row) : -Infinity;
      const w = toWeight(scoreBefore, shift, mass), u = toWeight(scoreAfter, shift, mass);
      work.exponentials += (before ? 1 : 0) + (after ? 1 : 0);

      const change = Math.abs(u - w);
      const sizes = base + (u > 0 ? Math.abs(scoreAfter) : 0) + (w > 0 ? Math.abs(scoreBefore) : 0);
      const doubt = FLOAT64_ROUNDING * sizes * (u + w);
      const fromBefore = w > 0 ? this.#distanceTo(before, keyHead) + ledger : 0;
      const fromAfter = u > 0 ? this.#distanceTo(after, keyHead) + ledger : 0;
      const valueShift = before && after ? this.#between(before, after, keyHead) : 0;
      const asExchange = (w * grown + doubt) * fromBefore + (u * grown + doubt) * fromAfter;
      const asEdit = before && w > 0
        ? (change * grown + doubt) * fromBefore + u * grown * valueShift
        : Infinity;
      moved += u > 0 ? Math.min(asEdit, asExchange) : asExchange;
      gained += (u > w ? change * grown : 0) + doubt;
      lost += (u < w ? change * grown : 0) + doubt;
      shifted += u * grown * valueShift;
      doubts += 2 * doubt + 2 * massDoubt * change;
    }
    return stalenessBound(moved, gained, lost, shifted, doubts, diameter, norm + ledger);
  }

  /** Bound of a row that no key of its state is allowed in: o = 0, and o' is a mean of changed values. */
  #farthestValue(moment: Moment, keyHead: number): number {
    this.#output.fill(0);
    let farthest = 0;
    for (const slot of moment.since.slots) {
      const place = moment.stored.isLive(slot) ? { table: moment.stored, row: slot } : null;
      if (!place || this.#parts.scores.scoreOf(place.table, place.row) === -Infinity) continue;
      farthest = Math.max(farthest, this.#distanceTo(place, keyHead));
    }
    return farthest * (1 + FLOAT32_ROUNDING);
  }

  /** ‖v − o‖ of a key's value. */
  #distanceTo(place: KeyPlace | null, keyHead: number): number {
    if (!place) return 0;
    const { arena, layout: { valueDim }, work } = this.#parts;
    work.multiplyAdds += valueDim;
    return distance(
      this.#output,
      0,
      arena.numbers,
      place.table.valueAddress(place.row, keyHead) / 4,
      valueDim,
    );
  }

  #between(a: KeyPlace, b: KeyPlace, keyHead: number): number {
    const { arena: { numbers }, layout: { valueDim } } = this.#parts;
    const from = a.table.valueAddress(a.row, keyHead) / 4, to = b.table.valueAddress(b.row, keyHead) / 4;
    return distance(numbers, from, numbers, to, valueDim);
  }
}

/** exp(score) over the mass of a row. */
function toWeight(score: number, shift: number, mass: number): number {
  if (score === -Infinity) return 0;
  return exponentOf(score) - shift > HIGHEST_POWER ? Infinity : shiftedExp(score, shift) / mass;
}
