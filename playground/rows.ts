/**
 * From places to the rows of attention. Two heads look at the same buoys:
 *
 * - head 0, what is near: k = (x, y, x² + y², 1) and q = (2x, 2y, −1, −(x² + y²)), so that q·k = −|place − place|²;
 * - head 1, what lies in the same direction: k = (x, y, 0, 0) and q = (x, y, 0, 0), the plain product, from the middle.
 *
 * Both answer with the temperature.
 */

import type { Buoy, Place } from "./sea.ts";

/** H, d and dv. */
export const HEADS = 2, HEAD_DIM = 4, VALUE_DIM = 1;
/** The names of the heads. */
export const HEAD_NAMES: readonly string[] = ["0: what is near", "1: what lies the same way"];

/** A row of K. */
export function keyRow({ x, y }: Place): number[] {
  return [x, y, x * x + y * y, 1, x, y, 0, 0];
}

/** A row of Q. */
export function queryRow({ x, y }: Place): number[] {
  return [2 * x, 2 * y, -1, -(x * x + y * y), x, y, 0, 0];
}

/** A row of V. */
export function valueRow({ temperature }: Buoy): number[] {
  return [temperature, temperature];
}

/** Products of computing all from scratch: m·n·H·(d + dv). */
export function scratchWork(queryCount: number, keyCount: number): number {
  return queryCount * keyCount * HEADS * (HEAD_DIM + VALUE_DIM);
}
