/**
 * How large the rows of keys and values are that any state holds, by key head. Beyond float32's comfort a row is *steep*
 * and answered in float64 from its keys instead of from its sums: products and sums must not overflow, and the kernels take
 * scores beyond ±2²¹ for ±2²¹, which matters where the largest one is. The bounds grow as rows come, and are measured anew
 * when nothing is kept: where all states are computed from scratch, and where rows that set a bound have to be forgotten.
 */

import type { HeadLayout } from "../../numerics/head_layout.ts";

/** Keys and values of which the size is known. */
export interface MeasuredKeys {
  /** One more than the largest slot. */
  readonly size: number;
  /** ‖k‖₂ by slot and key head. */
  readonly norms: ArrayLike<number>;
  isLive(slot: number): boolean;
  /** ‖v‖∞ of a live value. */
  magnitude(slot: number, keyHead: number): number;
}

/** A row whose largest score is as far from 0 is steep. */
export const STEEP_SCORE = 2 ** 19;
/** |scale|·‖q‖·‖k‖, ‖q‖·‖k‖, or ‖v‖∞, from which on a row is steep. */
const STEEP_NUMBER = 2 ** 100;

/** Largest ‖k‖₂ and ‖v‖∞ of each key head. */
export class KeyReach {
  readonly #layout: HeadLayout;
  readonly #scale: number;
  readonly norms: Float64Array;
  readonly magnitudes: Float64Array;
  /** Whether a row is gone that set a bound. */
  #isOutdated = false;

  constructor(layout: HeadLayout, scale: number) {
    this.#layout = layout;
    this.#scale = Math.abs(scale);
    this.norms = new Float64Array(layout.kvHeads);
    this.magnitudes = new Float64Array(layout.kvHeads);
  }

  /** Measures the live keys of a table alone. */
  refit(table: MeasuredKeys): void {
    this.#isOutdated = false;
    this.norms.fill(0);
    this.magnitudes.fill(0);
    for (let slot = 0; slot < table.size; slot++) this.include(table, slot);
  }

  /** Notes that a key of a table, if it is live, is about to be replaced or deleted. */
  release(table: MeasuredKeys, slot: number): void {
    if (this.#isOutdated || !table.isLive(slot)) return;
    for (let head = 0; head < this.#layout.kvHeads; head++) {
      const setsNorm = table.norms[slot * this.#layout.kvHeads + head] >= this.norms[head];
      if (setsNorm || table.magnitude(slot, head) >= this.magnitudes[head]) this.#isOutdated = true;
    }
  }

  /** Measures anew if a row is gone that set a bound; nothing is kept. */
  forget(table: MeasuredKeys): void {
    if (this.#isOutdated) this.refit(table);
  }

  /** Lets the bounds grow until they hold one key of a table, if it is live. */
  include(table: MeasuredKeys, slot: number): void {
    if (!table.isLive(slot)) return;
    for (let head = 0; head < this.#layout.kvHeads; head++) {
      this.norms[head] = Math.max(this.norms[head], table.norms[slot * this.#layout.kvHeads + head]);
      this.magnitudes[head] = Math.max(this.magnitudes[head], table.magnitude(slot, head));
    }
  }

  /** Takes bounds that were saved. */
  restore(norms: Float64Array, magnitudes: Float64Array): void {
    this.norms.set(norms);
    this.magnitudes.set(magnitudes);
    this.#isOutdated = false;
  }

  /** Largest |scale|·|q·k| that a query of this norm can have. */
  largestScore(queryNorm: number, keyHead: number): number {
    return this.#scale * queryNorm * this.norms[keyHead];
  }

  /** Whether the rows of a query of this norm are steep, whatever their scores. */
  isSteep(queryNorm: number, keyHead: number): boolean {
    const fits = this.largestScore(queryNorm, keyHead) < STEEP_NUMBER &&
      queryNorm * this.norms[keyHead] < STEEP_NUMBER && this.magnitudes[keyHead] < STEEP_NUMBER;
    return !fits;
  }
}
