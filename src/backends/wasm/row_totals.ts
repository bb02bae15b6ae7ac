/**
 * What a row holds altogether, in float64: its sums and its heavy keys brought to one shift, or, for a steep row, all its
 * keys from scratch. From here come output and log-sum-exp.
 */

import type { Work } from "../backend.ts";
import { type HeadLayout, keyHeadOf } from "../../numerics/head_layout.ts";
import { exponentOf, powerOfTwo, shiftedExp, shiftedLog } from "../../numerics/power_shift.ts";
import { rebuildRounding } from "../../numerics/rounding_ledger.ts";
import { EMPTY_SHIFT } from "./job_fields.ts";
import { STEEP_SCORE } from "../host/key_reach.ts";
import type { KeyTable } from "./key_table.ts";
import type { Moment } from "./moment.ts";
import type { PairScores } from "./pair_scores.ts";
import type { Arena, RowBlocks } from "./row_blocks.ts";
import type { HeavyKey } from "./row_states.ts";

/** The totals of the row taken last. */
export class RowTotals {
  readonly #arena: Arena;
  readonly #layout: HeadLayout;
  readonly #scores: PairScores;
  readonly #work: Work;
  /** Σ a_j (v_j, 1, ‖v_j‖∞) over all keys, with a_j = exp(s_j) · 2^−shift. */
  readonly sums: Float64Array;
  shift = -Infinity;
  /** Bounds on the rounding errors of the sums, on the same shift. */
  massError = 0;
  sumError = 0;
  /** Whether scores and weights were float64. */
  isExact = false;

  constructor(arena: Arena, layout: HeadLayout, scores: PairScores, work: Work) {
    this.#arena = arena;
    this.#layout = layout;
    this.#scores = scores;
    this.#work = work;
    this.sums = new Float64Array(layout.valueDim + 2);
  }

  /** l. */
  get mass(): number {
    return this.sums[this.#layout.valueDim];
  }

  /** Takes a row of some blocks; its heavy keys are those of a moment. */
  take(blocks: RowBlocks, row: number, heavy: readonly HeavyKey[], moment: Moment, head: number): void {
    const { sums } = this;
    const rowShift = blocks.shift(row) === EMPTY_SHIFT ? -Infinity : blocks.shift(row);
    const [massError, sumError] = blocks.errors(row);
    let shift = rowShift;
    for (const { score } of heavy) shift = Math.max(shift, exponentOf(score));
    const factor = shift === rowShift ? 1 : powerOfTwo(rowShift - shift);
    blocks.readSums(row, sums);
    for (let c = 0; c < sums.length; c++) sums[c] *= factor;
    this.shift = shift;
    this.massError = massError * factor;
    this.sumError = sumError * factor;
    this.isExact = false;
    const keyHead = keyHeadOf(this.#layout, head);
    for (const { slot, score } of heavy) {
      const place = moment.find(slot);
      if (place) this.#add(shiftedExp(score, shift), place.table, place.row, keyHead);
    }
  }

  /** Whether the largest score is too far from 0 for the kernels. */
  get isSteep(): boolean {
    return this.mass > 0 && Math.abs(this.shift) >= STEEP_SCORE;
  }

  /** Takes all keys of a moment for the query that is selected. */
  takeSteep(moment: Moment, head: number): void {
    const { sums } = this;
    const keyHead = keyHeadOf(this.#layout, head);
    const scores = this.scoresOf(moment);
    let largest = -Infinity, added = 0;
    for (const score of scores) largest = Math.max(largest, score);
    this.shift = exponentOf(largest);
    this.isExact = true;
    sums.fill(0);
    for (let slot = 0; slot < scores.length; slot++) {
      if (scores[slot] === -Infinity) continue;
      const place = moment.find(slot);
      if (place) this.#add(shiftedExp(scores[slot], this.shift), place.table, place.row, keyHead);
      added++;
    }
    this.massError = rebuildRounding(added, this.mass);
    this.sumError = rebuildRounding(added, sums[sums.length - 1]);
  }

  /** Scores by slot of all keys of a moment with the selected query; −∞ where there is none. */
  scoresOf(moment: Moment): Float64Array {
    const scores = new Float64Array(moment.stored.size);
    for (let slot = 0; slot < scores.length; slot++) {
      const place = moment.find(slot);
      scores[slot] = place ? this.#scores.scoreWithBias(place.table, place.row) : -Infinity;
    }
    return scores;
  }

  /** Writes o = u / l, dv numbers from `offset` on; zeros for a row without mass, never −0. */
  writeOutput(target: Float32Array | Float64Array, offset: number): void {
    const { sums, mass } = this;
    const share = mass > 0 ? 1 / mass : 0;
    for (let c = 0; c < sums.length - 2; c++) target[offset + c] = sums[c] * share + 0;
  }

  /** Natural log of Σ_j exp s_j; −∞ for a row without mass. */
  logSumExp(): number {
    return shiftedLog(this.mass, this.shift);
  }

  #add(weight: number, table: KeyTable, row: number, keyHead: number): void {
    const { sums } = this, { numbers } = this.#arena;
    const start = table.valueAddress(row, keyHead) / 4;
    for (let c = 0; c < sums.length; c++) sums[c] += weight * numbers[start + c];
    this.#work.multiplyAdds += sums.length;
    this.#work.exponentials++;
  }
}
