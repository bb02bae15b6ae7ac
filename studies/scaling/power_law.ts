// How a cost grows: y = factor · x^exponent, as the straight line that fits best on logarithmic scales; and
// where it reaches a limit.

import { linearRegression } from "simple-statistics";

/** A fit. */
export interface PowerLaw {
  readonly exponent: number;
  readonly factor: number;
  /** The largest |ln y − ln fit|: 0 where the points lie on the line. */
  readonly deviation: number;
}

/** A size and what it costs. */
export interface ScalePoint {
  readonly x: number;
  readonly y: number;
}

/**
 * The line of least squares through (ln x, ln y).
 *
 * @throws {RangeError} When there are fewer than two different x, or a number is not above 0.
 */
export function fitPowerLaw(points: readonly ScalePoint[]): PowerLaw {
  const logs = points.map(({ x, y }) => {
    if (!(x > 0 && y > 0 && x < Infinity && y < Infinity)) {
      throw new RangeError(`fitPowerLaw: a point is (${x}, ${y}), expected numbers above 0`);
    }
    return [Math.log(x), Math.log(y)];
  });
  if (new Set(logs.map(([x]) => x)).size < 2) {
    throw new RangeError("fitPowerLaw: all x are the same, expected two different ones");
  }
  const { m: exponent, b: offset } = linearRegression(logs);
  return {
    exponent,
    factor: Math.exp(offset),
    deviation: Math.max(...logs.map(([x, y]) => Math.abs(y - offset - exponent * x))),
  };
}

/** Edits and the milliseconds of them with the read after them. */
export interface CostPoint {
  readonly edits: number;
  readonly ms: number;
}

/**
 * The edits at which the cost reaches `limitMs`, between two points on logarithmic scales; null above the
 * last.
 */
export function crossing(points: readonly CostPoint[], limitMs: number): number | null {
  const sorted = points.toSorted((a, b) => a.edits - b.edits);
  const above = sorted.findIndex(({ ms }) => ms > limitMs);
  if (above === -1) return null;
  // Dearer with the fewest edits already.
  if (above === 0) return sorted[0].edits;
  const left = sorted[above - 1], right = sorted[above];
  const share = Math.log(limitMs / left.ms) / Math.log(right.ms / left.ms);
  return left.edits * (right.edits / left.edits) ** share;
}
