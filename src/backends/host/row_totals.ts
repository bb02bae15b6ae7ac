/**
 * The totals of a head row: its sums, its heavy keys and its sink, brought to one shift. Output, log-sum-exp
 * and trust are computed from them.
 *
 * A sink has weight and no value: only the mass contains it. It is in no state, so states, patches and their
 * rounding are the same with and without one.
 */

import { LARGEST_FLOAT32 } from "../../numerics/attention_state.ts";
import { type HeadLayout, keyHeadOf } from "../../numerics/head_layout.ts";
import { exponentOf, powerOfTwo, shiftedExp, shiftedLog } from "../../numerics/power_shift.ts";
import { isTrusted } from "../../numerics/rounding_ledger.ts";
import type { Work } from "../backend.ts";
import { valueOffset } from "./key_block.ts";
import type { KeysAt } from "./keys_at.ts";
import { HEAVY_KEYS, type RowStates } from "./row_states.ts";

/** The totals of the row taken last. */
export class RowTotals {
  readonly #layout: HeadLayout;
  readonly #work: Work;
  /** Whether o is computed as u · (1 / l), as kernels do, or as u / l. */
  readonly #multiplies: boolean;
  /** By head, the logits of sinks; undefined without any. */
  readonly #sinks: Float64Array | undefined;
  /** Σ a_j (v_j, 1, ‖v_j‖∞) over all keys, with a_j = exp(s_j) · 2^−shift. */
  readonly sums: Float64Array;
  shift = -Infinity;
  /** The shift without the sink. */
  keyShift = -Infinity;
  /** Bounds on the rounding errors of the sums, under the same shift. */
  massError = 0;
  sumError = 0;

  constructor(layout: HeadLayout, work: Work, multiplies = false, sinks?: Float64Array) {
    this.#layout = layout;
    this.#sinks = sinks;
    this.#work = work;
    this.#multiplies = multiplies;
    this.sums = new Float64Array(layout.valueDim + 2);
  }

  /** The mass l. */
  get mass(): number {
    return this.sums[this.sums.length - 2];
  }

  /** Takes the state of a head row, whose heavy keys are among `keys`. */
  take(states: RowStates, row: number, keys: KeysAt, head: number): void {
    const { high, low, heavyCount, heavySlots, heavyScores, width } = states, { sums } = this;
    const first = row * HEAVY_KEYS, end = first + heavyCount[row];
    const sink = this.#sinks === undefined ? -Infinity : this.#sinks[head];
    let shift = states.shift[row];
    for (let at = first; at < end; at++) shift = Math.max(shift, exponentOf(heavyScores[at]));
    this.keyShift = shift;
    if (sink > -Infinity) shift = Math.max(shift, exponentOf(sink));
    const factor = shift === states.shift[row] ? 1 : powerOfTwo(states.shift[row] - shift);
    this.shift = shift;
    this.massError = states.massError[row] * factor;
    this.sumError = states.sumError[row] * factor;
    for (let c = 0; c < width; c++) sums[c] = (high[row * width + c] + low[row * width + c]) * factor;

    const keyHead = keyHeadOf(this.#layout, head);
    for (let at = first; at < end; at++) {
      const place = keys.find(heavySlots[at]);
      if (!place) continue;
      const { values } = place.block, offset = valueOffset(place.block, place.row, keyHead);
      const a = shiftedExp(heavyScores[at], shift);
      for (let c = 0; c < width; c++) sums[c] += a * values[offset + c];
    }
    if (sink > -Infinity) {
      sums[width - 2] += shiftedExp(sink, shift);
      this.#work.exponentials++;
    }
    this.#work.multiplyAdds += (end - first) * width;
    this.#work.exponentials += end - first;
  }

  /** Wipes the row that was taken last. */
  wipe(): void {
    this.sums.fill(0);
  }

  /**
   * Whether the row may be read by its ledger. A row without mass is trusted only if it has no keys, since
   * its shift may not fit the next key.
   */
  isTrusted(tolerance: number): boolean {
    if (this.mass === 0) return this.shift === -Infinity;
    return isTrusted(this.massError, this.mass, this.sumError, this.sums[this.sums.length - 1], tolerance);
  }

  /**
   * Writes o = u / l, dv numbers from `offset` on; zeros for a row without mass. It never writes −0. A mean of
   * values lies between them, also where rounding takes u / l beyond what float32 holds.
   */
  writeOutput(target: Float32Array | Float64Array, offset: number): void {
    const { sums, mass } = this, hasMass = mass > 0;
    const share = this.#multiplies ? 1 / mass : 0;
    for (let c = 0; c < sums.length - 2; c++) {
      const o = hasMass ? (this.#multiplies ? sums[c] * share : sums[c] / mass) + 0 : 0;
      target[offset + c] = o > LARGEST_FLOAT32
        ? LARGEST_FLOAT32
        : o < -LARGEST_FLOAT32
        ? -LARGEST_FLOAT32
        : o;
    }
  }

  /** Natural log of Σ_j exp s_j; −∞ for a row without mass. */
  logSumExp(): number {
    return shiftedLog(this.mass, this.shift);
  }
}
