/**
 * What one changed key can do to the output of one row, in float64: the terms of
 * `numerics/staleness_bound.ts`. Stores without kernels for certificates use nothing else; the others use it
 * for rows that float32 does not suffice for.
 *
 * With w the weight before, Δ the difference of the scores and c = w(e^Δ − 1), the change moves the output by
 * c(v − o) + u(v' − v), divided by the new mass; u = w + c. Where only few or small numbers of the key
 * differ, Δ is computed from the differences, so that a small change has a small error.
 */

import { exponentOf, shiftedExp } from "../../numerics/power_shift.ts";
import { NO_ROW } from "../since.ts";
import { KNOWN_DISTANCE, KNOWN_SCORE, type PairSums } from "./certified_tile.ts";
import type { KeyBlock } from "./key_block.ts";
import type { KeyEdit } from "./key_edits.ts";
import type { Kernels } from "./kernels.ts";
import type { KeysAt } from "./keys_at.ts";

/** What a state holds altogether, with bounds on the rounding of its sums. */
export interface CertifiedTotals {
  readonly shift: number;
  readonly mass: number;
  readonly massError: number;
  readonly sumError: number;
  writeOutput(target: Float64Array, offset: number): void;
  logSumExp(): number;
}

/** The row that is being certified, and the keys that it is compared with. */
export interface RowAtHand {
  readonly totals: CertifiedTotals;
  /** o. */
  readonly output: Float64Array;
  readonly keys: KeysAt;
  readonly keyHead: number;
  /** Values lie within it of one another. */
  readonly diameter: number;
}

/** Beyond it a weight counts as infinite. */
const HIGHEST_POWER = 900;
const FLOAT64_ROUNDING = 2 ** -52;
/** Below it a weight has lost digits, or itself, to underflow: a change is no longer a factor of it. */
const SMALLEST_FACTOR = 2 ** -900;
/** Larger changes of a score are the difference of both scores. */
const LARGE = 1;

/** Measures pairs of the selected row. */
export class PairTerms implements PairSums {
  moved = 0;
  change = 0;
  shifted = 0;
  doubt = 0;
  scoreBefore = NaN;
  distanceBefore = NaN;
  readonly #kernels: Kernels;
  readonly #headDim: number;

  constructor(kernels: Kernels, headDim: number) {
    this.#kernels = kernels;
    this.#headDim = headDim;
  }

  /**
   * Measures the changed key of a slot for the selected row. `known` are the parts that the key has in the
   * row already, if any.
   */
  measure(
    slot: number,
    edit: KeyEdit,
    { totals, output, keys, keyHead, diameter }: RowAtHand,
    known: Float64Array | null,
  ): void {
    const kernels = this.#kernels, { retained, isLive, valueShift, difference } = edit;
    const wasLive = retained !== NO_ROW;
    let scoreBefore = known ? known[KNOWN_SCORE] : NaN;
    if (Number.isNaN(scoreBefore)) {
      scoreBefore = wasLive ? kernels.scoreWithBias(keys.retained, retained) : -Infinity;
    }
    const weight = toWeight(scoreBefore, totals);
    this.scoreBefore = scoreBefore;
    this.distanceBefore = known ? known[KNOWN_DISTANCE] : NaN;
    if (weight > 0) kernels.work.exponentials++;
    let after = 0, change = -weight, scoreAfter = -Infinity, ofDifference = 0, isDirect = false;
    if (isLive) {
      kernels.work.exponentials++;
      if (
        difference !== null && weight >= SMALLEST_FACTOR &&
        kernels.hasSameBias(keys.retained, retained, keys.stored, slot)
      ) {
        const delta = kernels.productWith(difference.columns, difference.deltas);
        if (Math.abs(delta) <= LARGE) {
          isDirect = true;
          change = weight * Math.expm1(delta);
          after = weight + change;
          scoreAfter = scoreBefore;
          ofDifference = (difference.columns.length + 2) * kernels.termSize;
        }
      }
      if (!isDirect) {
        scoreAfter = kernels.scoreWithBias(keys.stored, slot);
        after = toWeight(scoreAfter, totals);
        change = after - weight;
      }
    }
    if (scoreBefore === -Infinity && scoreAfter === -Infinity) {
      this.moved =
        this.change =
        this.shifted =
        this.doubt =
          0;
      return;
    }
    // Scores carry a relative rounding, which exp makes an absolute one of their size.
    const sizes = (scoreBefore > -Infinity ? Math.abs(scoreBefore) : 0) +
      (scoreAfter > -Infinity ? Math.abs(scoreAfter) : 0);
    const scale = Math.abs(totals.logSumExp()) + this.#headDim + 16 + sizes, size = Math.abs(change);
    const doubt = FLOAT64_ROUNDING *
      (isDirect ? scale * size + ofDifference * after : scale * (after + weight));
    const stays = scoreBefore > -Infinity && scoreAfter > -Infinity;
    const shift = stays ? valueShift[keyHead] : 0;
    const base = scoreBefore > -Infinity ? keys.retained : keys.stored;
    const baseRow = scoreBefore > -Infinity ? retained : slot;
    const distance = shift > 0
      ? kernels.movedDistance(output, change, after, keys, retained, slot)
      : size * this.#distance(output, base, baseRow, scoreBefore > -Infinity);
    const rounded = (doubt + FLOAT64_ROUNDING * 8 * (size + after)) * diameter;
    this.moved = distance + rounded + FLOAT64_ROUNDING * scale * (after + weight) * shift;
    this.change = change;
    this.shifted = after * shift;
    this.doubt = doubt;
  }

  /** The distance of a value from o; that of a key before is remembered. */
  #distance(output: Float64Array, block: KeyBlock, row: number, isBefore: boolean): number {
    if (isBefore && !Number.isNaN(this.distanceBefore)) return this.distanceBefore;
    const distance = this.#kernels.distanceToValue(output, block, row);
    if (isBefore) this.distanceBefore = distance;
    return distance;
  }
}

/** exp(score) over the mass of a row. */
function toWeight(score: number, { shift, mass }: CertifiedTotals): number {
  if (score === -Infinity) return 0;
  return exponentOf(score) - shift > HIGHEST_POWER ? Infinity : shiftedExp(score, shift) / mass;
}
