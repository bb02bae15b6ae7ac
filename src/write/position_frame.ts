/**
 * The origin that the positions of an engine's rows are held by: a row at position p is held at p − origin.
 *
 * Rules compare positions by their differences alone, unless a window keeps its first keys. So a context
 * shift, which moves most rows and leaves a few, can move the origin and those few in place of the others.
 *
 * Invariant: while the origin is not 0, it and all positions, those that rows to come take included, are whole
 * numbers within ±`most`, so that no sum and no difference is rounded.
 */

import type { ScoreRule } from "../numerics/score_rule.ts";

/** The origin of one engine's positions. */
export class PositionFrame {
  origin: number;
  /** Holds all rows by the origin 0; the engine sets it. */
  settle: () => void = () => {};
  readonly #most: number;

  constructor({ distanceBias }: ScoreRule, origin = 0) {
    this.origin = origin;
    this.#most = distanceBias === undefined ? MOST_WHOLE : MOST_DISTANT;
  }

  /** Whether an origin, or a position beside one that is not 0, is held and told without rounding. */
  isExact(position: number): boolean {
    return Number.isInteger(position) && Math.abs(position) < this.#most;
  }

  /** What a position is held as; `admit` comes before it. */
  held(position: number): number {
    return position - this.origin;
  }

  /** The position of a row that is held so. */
  position(held: number): number {
    return held + this.origin;
  }

  /** Makes the frame ready for positions that may not be whole. */
  admit(positions: Iterable<number>): void {
    if (this.origin === 0) return;
    for (const position of positions) {
      if (this.isExact(position)) continue;
      this.settle();
      return;
    }
  }
}

/** Sums and differences of numbers below are whole and exact. */
export const MOST_WHOLE = 2 ** 50;
/** Beside a bias by distance what is held must lie within ±2^46, too. */
const MOST_DISTANT = 2 ** 44;
