/**
 * The origin that the positions of an engine's rows are held by: a row at position p is held at p − origin.
 *
 * Rules compare positions by their differences alone, unless a window keeps its first keys. So a context
 * shift, which moves most rows and leaves a few, can move the origin and those few in place of the others.
 *
 * Invariant: while the origin is not 0, it and all positions are whole numbers, so that no difference is
 * rounded.
 */

/** The origin of one engine's positions. */
export class PositionFrame {
  origin: number;
  /** Holds all rows by the origin 0; the engine sets it. */
  settle: () => void = () => {};

  constructor(origin = 0) {
    this.origin = origin;
  }

  /** What a position is held as. While the origin is not 0, it must be whole. */
  held(position: number): number {
    return position - this.origin;
  }

  /** The position of a row that is held so. */
  position(held: number): number {
    return held + this.origin;
  }

  /** Makes the frame ready for positions of callers, which may not be whole. */
  admit(positions: Iterable<number>): void {
    if (this.origin === 0) return;
    for (const position of positions) {
      if (Number.isInteger(position) && Math.abs(position) < MOST_WHOLE) continue;
      this.settle();
      return;
    }
  }
}

/** Sums and differences of numbers below are whole and exact. */
export const MOST_WHOLE = 2 ** 50;
