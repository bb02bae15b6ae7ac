/**
 * The states of standing queries in float64, one row per head row: its *sums* in two floats with a rounding
 * ledger, and its *heavy keys*, which are not in the sums.
 *
 * The sums of a row are `width = dv + 2` numbers, Σ_j a_ij (v_j, 1, ‖v_j‖∞) with a_ij = exp(s_ij) · 2^−shift:
 * the weighted sum u, then the mass l at column dv, then the magnitude at dv + 1, which bounds the terms of
 * u. The value of a sum is `high + low`. Sums over no keys have shift −∞ and are zero.
 *
 * A key whose weight is far above the sums would leave a large rounding error behind when it is subtracted.
 * Such a key is recorded by slot and score instead, and added when the row is read, so that adding and
 * removing it takes no work and leaves no error.
 */

/** The number of heavy keys that a row can record. */
export const HEAVY_KEYS = 8;

/** States by the number of their head row, slot · H + head. */
export class RowStates {
  readonly width: number;
  /** Powers of two; −∞ for sums over no keys. */
  shift: Float64Array;
  /** `width` numbers per row. */
  high: Float64Array;
  low: Float64Array;
  /** A bound on the rounding error of the mass. */
  massError: Float64Array;
  /** A bound on the rounding error of each column of the weighted sum and of the magnitude. */
  sumError: Float64Array;
  heavyCount: Uint8Array;
  /** HEAVY_KEYS numbers per row, of which the first `heavyCount` are used. */
  heavySlots: Uint32Array;
  heavyScores: Float64Array;

  constructor(width: number, capacity = 0) {
    this.width = width;
    this.shift = new Float64Array(capacity).fill(-Infinity);
    this.high = new Float64Array(capacity * width);
    this.low = new Float64Array(capacity * width);
    this.massError = new Float64Array(capacity);
    this.sumError = new Float64Array(capacity);
    this.heavyCount = new Uint8Array(capacity);
    this.heavySlots = new Uint32Array(capacity * HEAVY_KEYS);
    this.heavyScores = new Float64Array(capacity * HEAVY_KEYS);
  }

  /** Makes room for rows below `size`. If memory is refused it throws, and nothing has changed. */
  reserve(size: number): void {
    const capacity = this.shift.length;
    if (size <= capacity) return;
    const grown = new RowStates(this.width, Math.max(size, 2 * capacity));
    grown.shift.set(this.shift);
    grown.high.set(this.high);
    grown.low.set(this.low);
    grown.massError.set(this.massError);
    grown.sumError.set(this.sumError);
    grown.heavyCount.set(this.heavyCount);
    grown.heavySlots.set(this.heavySlots);
    grown.heavyScores.set(this.heavyScores);
    Object.assign(this, grown);
  }

  /** Makes `row` the state over no keys, without any error. */
  clear(row: number): void {
    const start = row * this.width;
    this.shift[row] = -Infinity;
    this.high.fill(0, start, start + this.width);
    this.low.fill(0, start, start + this.width);
    this.massError[row] = 0;
    this.sumError[row] = 0;
    this.heavyCount[row] = 0;
    this.heavyScores.fill(0, row * HEAVY_KEYS, (row + 1) * HEAVY_KEYS);
  }

  /** Copies the state of `row` of `source` to row `to`. */
  copyFrom(source: RowStates, row: number, to = 0): void {
    const start = row * this.width, toStart = to * this.width;
    this.shift[to] = source.shift[row];
    this.massError[to] = source.massError[row];
    this.sumError[to] = source.sumError[row];
    for (let c = 0; c < this.width; c++) {
      this.high[toStart + c] = source.high[start + c];
      this.low[toStart + c] = source.low[start + c];
    }
    this.heavyCount[to] = source.heavyCount[row];
    for (let at = 0; at < source.heavyCount[row]; at++) {
      this.heavySlots[to * HEAVY_KEYS + at] = source.heavySlots[row * HEAVY_KEYS + at];
      this.heavyScores[to * HEAVY_KEYS + at] = source.heavyScores[row * HEAVY_KEYS + at];
    }
  }

  /** Records a heavy key; false if there is no room. */
  addHeavy(row: number, slot: number, score: number): boolean {
    if (this.heavyCount[row] === HEAVY_KEYS) return false;
    const at = row * HEAVY_KEYS + this.heavyCount[row]++;
    this.heavySlots[at] = slot;
    this.heavyScores[at] = score;
    return true;
  }

  /** Removes a heavy key; false if the slot's key is not among the heavy ones, but in the sums. */
  removeHeavy(row: number, slot: number): boolean {
    const start = row * HEAVY_KEYS;
    for (let at = start; at < start + this.heavyCount[row]; at++) {
      if (this.heavySlots[at] !== slot) continue;
      const last = start + --this.heavyCount[row];
      this.heavySlots[at] = this.heavySlots[last];
      this.heavyScores[at] = this.heavyScores[last];
      this.heavyScores[last] = 0;
      return true;
    }
    return false;
  }

  bytes(): number {
    return this.bytesOf(this.shift.length);
  }

  /** Bytes of `capacity` rows: shift, sums in two floats, two bounds and the heavy keys. */
  bytesOf(capacity: number): number {
    return capacity * (8 + 16 * this.width + 16 + 1 + 12 * HEAVY_KEYS);
  }
}
