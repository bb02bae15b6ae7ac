// Answers that were computed in float64 and rounded to float32 once: those of clusters, and of engines on
// `array`.

import { assertLessOrEqual } from "../assert.ts";

/** The share that sums in float64 may lose. */
const SUMS = 1e-9;

/** Checks that numbers are exact ones rounded to float32. */
export function assertRounded(found: ArrayLike<number>, exact: ArrayLike<number>, where = ""): void {
  assertApart(found, exact, 2 ** -24, where);
}

/** Checks that numbers are the same but for float32's next one, on which sides of which the exact ones may lie. */
export function assertNeighbours(found: ArrayLike<number>, other: ArrayLike<number>, where = ""): void {
  assertApart(found, other, 2 ** -23, where);
}

function assertApart(found: ArrayLike<number>, other: ArrayLike<number>, unit: number, where: string): void {
  for (let at = 0; at < Math.max(found.length, other.length); at++) {
    const most = unit * Math.max(Math.abs(found[at]), Math.abs(other[at])) + SUMS;
    assertLessOrEqual(Math.abs(found[at] - other[at]), most, `${where}, number ${at}`);
  }
}
