/**
 * What a row holds altogether: its sums and its heavy keys brought to one shift. From here come output, log-sum-exp
 * and trust.
 */

import { exponentOf, powerOfTwo, shiftedExp, shiftedLog } from "../../numerics/power_shift.ts";
import { isTrusted } from "../../numerics/rounding_ledger.ts";
import type { KeyBlock, KeyExchange } from "./key_block.ts";
import { HEAVY_KEYS, type RowStates } from "./row_states.ts";

/** The totals of the row taken last. */
export class RowTotals {
  readonly #width: number;
  /** Σ a_j (v_j, 1, ‖v_j‖∞) over all keys, with a_j = exp(s_j) · 2^−shift. */
  readonly sums: Float64Array;
  shift = -Infinity;
  /** Bounds on the rounding errors of the sums, on the same shift. */
  massError = 0;
  sumError = 0;

  constructor(width: number) {
    this.#width = width;
    this.sums = new Float64Array(width);
  }

  /** l. */
  get mass(): number {
    return this.sums[this.#width - 2];
  }

  /**
   * Takes a row. Its heavy keys are those of `stored`, or those before `exchange` where that changed them; a value
   * starts at `valueStart` in a key's `valueStride` numbers.
   */
  take(
    states: RowStates,
    row: number,
    stored: KeyBlock,
    exchange: KeyExchange | null,
    valueStart: number,
    valueStride: number,
  ): void {
    const { high, low, heavyCount, heavySlots, heavyScores } = states;
    const { sums } = this;
    const width = this.#width;
    const first = row * HEAVY_KEYS, end = first + heavyCount[row];
    let shift = states.shift[row];
    for (let at = first; at < end; at++) shift = Math.max(shift, exponentOf(heavyScores[at]));
    const factor = shift === states.shift[row] ? 1 : powerOfTwo(states.shift[row] - shift);
    this.shift = shift;
    this.massError = states.massError[row] * factor;
    this.sumError = states.sumError[row] * factor;
    for (let c = 0; c < width; c++) sums[c] = (high[row * width + c] + low[row * width + c]) * factor;

    for (let at = first; at < end; at++) {
      const a = shiftedExp(heavyScores[at], shift);
      const t = exchange ? exchange.slots.indexOf(heavySlots[at]) : -1;
      const values = exchange && t >= 0 ? exchange.before.values : stored.values;
      const offset = (exchange && t >= 0 ? exchange.kept[t] : heavySlots[at]) * valueStride + valueStart;
      for (let c = 0; c < width; c++) sums[c] += a * values[offset + c];
    }
  }

  /** Whether the ledger lets the row be read. Without mass only a row of no keys is: its shift says nothing of the next key. */
  isTrusted(tolerance: number): boolean {
    if (this.mass === 0) return this.shift === -Infinity;
    return isTrusted(this.massError, this.mass, this.sumError, this.sums[this.#width - 1], tolerance);
  }

  /** Writes o = u / l, dv numbers from `offset` on; zeros for a row without mass. */
  writeOutput(target: Float32Array | Float64Array, offset: number): void {
    const { sums, mass } = this;
    for (let c = 0; c < this.#width - 2; c++) target[offset + c] = mass > 0 ? sums[c] / mass : 0;
  }

  /** Natural log of Σ_j exp s_j; −∞ for a row without mass. */
  logSumExp(): number {
    return shiftedLog(this.mass, this.shift);
  }
}
