// How a cost grows: y = factor · x^exponent, as the straight line that fits best on logarithmic scales.

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
