/**
 * The state of every standing query on the `array` backend: shift, sums in two floats, and the rounding ledger.
 *
 * The sums of a row are `width = dv + 2` numbers, Σ_j a_ij (v_j, 1, ‖v_j‖∞): the weighted sum u, then the mass l
 * at column dv, then the magnitude at dv + 1, which says how large the terms of u are. The value of a sum is
 * `high + low`. A row without keys has shift −∞ and zeros.
 */

import { isTrusted } from "../../core/rounding_ledger.ts";
import { powerOfTwo, shiftedLog } from "../../core/power_shift.ts";

/** States by row number. */
export class RowStates {
  readonly width: number;
  /** Powers of two; −∞ for a row without keys. */
  shift: Float64Array;
  /** width numbers a row. */
  high: Float64Array;
  low: Float64Array;
  /** Bound on the rounding error of the mass. */
  massError: Float64Array;
  /** Bound on the rounding error of each column of the weighted sum and of the magnitude. */
  sumError: Float64Array;

  constructor(width: number, capacity = 0) {
    this.width = width;
    this.shift = new Float64Array(capacity).fill(-Infinity);
    this.high = new Float64Array(capacity * width);
    this.low = new Float64Array(capacity * width);
    this.massError = new Float64Array(capacity);
    this.sumError = new Float64Array(capacity);
  }

  /** Makes room for rows below `size`; throws before anything changes when there is no memory. */
  reserve(size: number): void {
    const capacity = this.shift.length;
    if (size <= capacity) return;
    const grown = new RowStates(this.width, Math.max(size, 2 * capacity));
    grown.shift.set(this.shift);
    grown.high.set(this.high);
    grown.low.set(this.low);
    grown.massError.set(this.massError);
    grown.sumError.set(this.sumError);
    Object.assign(this, grown);
  }

  /** Makes `row` the state of no keys: nothing held, nothing rounded. */
  clear(row: number): void {
    const start = row * this.width;
    this.shift[row] = -Infinity;
    this.high.fill(0, start, start + this.width);
    this.low.fill(0, start, start + this.width);
    this.massError[row] = 0;
    this.sumError[row] = 0;
  }

  /** Copies the state of `row` of `source` to row 0. */
  copyFrom(source: RowStates, row: number): void {
    const start = row * this.width;
    this.shift[0] = source.shift[row];
    this.massError[0] = source.massError[row];
    this.sumError[0] = source.sumError[row];
    for (let c = 0; c < this.width; c++) {
      this.high[c] = source.high[start + c];
      this.low[c] = source.low[start + c];
    }
  }

  /** Moves a row that holds something to another shift, exactly. */
  moveShift(row: number, shift: number): void {
    const factor = powerOfTwo(this.shift[row] - shift);
    const start = row * this.width;
    for (let c = start; c < start + this.width; c++) {
      this.high[c] *= factor;
      this.low[c] *= factor;
    }
    this.massError[row] *= factor;
    this.sumError[row] *= factor;
    this.shift[row] = shift;
  }

  /** Whether the ledger lets the row be read. */
  isTrusted(row: number, tolerance: number): boolean {
    const mass = row * this.width + this.width - 2;
    return isTrusted(
      this.massError[row],
      this.high[mass] + this.low[mass],
      this.sumError[row],
      this.high[mass + 1] + this.low[mass + 1],
      tolerance,
    );
  }

  /** Writes o = u / l, dv numbers from `offset` on; zeros for a row without mass. */
  writeOutput(row: number, target: Float32Array, offset: number): void {
    const start = row * this.width;
    const valueDim = this.width - 2;
    const mass = this.high[start + valueDim] + this.low[start + valueDim];
    for (let c = 0; c < valueDim; c++) {
      target[offset + c] = mass > 0 ? (this.high[start + c] + this.low[start + c]) / mass : 0;
    }
  }

  /** Natural log of Σ_j exp s_ij. */
  logSumExp(row: number): number {
    const mass = row * this.width + this.width - 2;
    return shiftedLog(this.high[mass] + this.low[mass], this.shift[row]);
  }

  bytes(): number {
    return this.shift.byteLength + this.high.byteLength + this.low.byteLength + this.massError.byteLength +
      this.sumError.byteLength;
  }
}
