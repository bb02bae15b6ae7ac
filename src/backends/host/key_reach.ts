/**
 * Bounds on the norms of keys and values that any state includes, by key head, and on the biases of a mask. A head row that may exceed the
 * range in which float32 is accurate is *steep*: it is answered in float64 from its keys instead of from its
 * sums, since products and sums could overflow and the kernels clamp scores to ±2²¹. The bounds grow with new
 * rows. They are computed anew when nothing is retained: when all states are computed from scratch, and when
 * the traces of deleted rows are erased.
 */

import type { HeadLayout } from "../../numerics/head_layout.ts";

/** Keys and values with known norms. */
export interface MeasuredKeys {
  /** One more than the largest slot. */
  readonly size: number;
  /** ‖k‖₂ by slot and key head. */
  readonly norms: ArrayLike<number>;
  isLive(slot: number): boolean;
  /** ‖v‖∞ of a live value. */
  magnitude(slot: number, keyHead: number): number;
  /** The largest bias, either way, of a live key with a live query that is not forbidden; 0 without any. */
  largestBias(): number;
}

/** A head row whose largest score is at least this far from 0 is steep. */
export const STEEP_SCORE = 2 ** 19;
/** A head row is steep if |scale|·‖q‖·‖k‖, ‖q‖·‖k‖ or ‖v‖∞ may reach this. */
const STEEP_NUMBER = 2 ** 100;
/** The range of |scale| in which what float32 loses below its range is less than a rounding of any score. */
const LEAST_SCALE = 2 ** -100, MOST_SCALE = 2 ** 60;

/** Whether products with this scale stay within the range of float32 for all rows that are not steep. */
export function isScaleInRange(scale: number): boolean {
  return scale === 0 || (Math.abs(scale) >= LEAST_SCALE && Math.abs(scale) <= MOST_SCALE);
}

/** Largest ‖k‖₂ and ‖v‖∞ of each key head. */
export class KeyReach {
  readonly #layout: HeadLayout;
  readonly #scale: number;
  readonly norms: Float64Array;
  readonly magnitudes: Float64Array;
  /** No pair that is not forbidden has a larger bias of the mask either way. */
  largestBias = 0;
  /** Whether a row that determined a bound has been deleted or replaced. */
  #isOutdated = false;

  constructor(layout: HeadLayout, scale: number) {
    this.#layout = layout;
    this.#scale = Math.abs(scale);
    this.norms = new Float64Array(layout.kvHeads);
    this.magnitudes = new Float64Array(layout.kvHeads);
  }

  /** Computes the bounds from the live keys of a table. */
  refit(table: MeasuredKeys): void {
    this.#isOutdated = false;
    this.norms.fill(0);
    this.magnitudes.fill(0);
    for (let slot = 0; slot < table.size; slot++) this.include(table, slot);
    this.refitBiases(table);
  }

  /** Computes the bound on biases from the live pairs of a table. */
  refitBiases(table: MeasuredKeys): void {
    if (this.largestBias > 0) this.largestBias = table.largestBias();
  }

  /** Lets the bound on biases grow until it holds these; pairs with −∞ are forbidden. */
  includeBiases(biases: Float32Array | null): void {
    if (biases !== null) {
      this.largestBias = Math.max(this.largestBias, largestFinite(biases, 0, biases.length));
    }
  }

  /** Notes that a key of a table, if it is live, is about to be replaced or deleted. */
  release(table: MeasuredKeys, slot: number): void {
    if (this.#isOutdated || !table.isLive(slot)) return;
    for (let head = 0; head < this.#layout.kvHeads; head++) {
      const setsNorm = table.norms[slot * this.#layout.kvHeads + head] >= this.norms[head];
      if (setsNorm || table.magnitude(slot, head) >= this.magnitudes[head]) this.#isOutdated = true;
    }
  }

  /**
   * Computes the bounds anew if a row that determined one has been deleted or replaced. Nothing may be
   * retained.
   */
  forget(table: MeasuredKeys): void {
    if (this.#isOutdated) this.refit(table);
    else this.refitBiases(table);
  }

  /** Lets the bounds grow until they hold one key of a table, if it is live. */
  include(table: MeasuredKeys, slot: number): void {
    if (!table.isLive(slot)) return;
    for (let head = 0; head < this.#layout.kvHeads; head++) {
      this.norms[head] = Math.max(this.norms[head], table.norms[slot * this.#layout.kvHeads + head]);
      this.magnitudes[head] = Math.max(this.magnitudes[head], table.magnitude(slot, head));
    }
  }

  /** Restores saved bounds. */
  restore(norms: Float64Array, magnitudes: Float64Array): void {
    this.norms.set(norms);
    this.magnitudes.set(magnitudes);
    this.#isOutdated = false;
  }

  /** The largest |scale|·|q·k| that a query of this norm can have. */
  largestScore(queryNorm: number, keyHead: number): number {
    return this.#scale * queryNorm * this.norms[keyHead];
  }

  /** Whether a head row of a query of this norm is steep whatever its scores. */
  isSteep(queryNorm: number, keyHead: number): boolean {
    const fits = this.largestScore(queryNorm, keyHead) < STEEP_NUMBER &&
      queryNorm * this.norms[keyHead] < STEEP_NUMBER && this.magnitudes[keyHead] < STEEP_NUMBER;
    return !fits;
  }
}

/** The largest size of `count` numbers from `first` on that are not infinite; 0 where all are. */
export function largestFinite(numbers: Float32Array, first: number, count: number): number {
  let largest = 0;
  for (let at = first; at < first + count; at++) {
    const size = Math.abs(numbers[at]);
    if (size > largest && size < Infinity) largest = size;
  }
  return largest;
}
