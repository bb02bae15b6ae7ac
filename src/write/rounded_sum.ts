/**
 * Additions to single numbers of rows, in float32 and where rows are rounded by heads.
 */

import { InputError } from "../base/errors.ts";
import type { HeadLayout } from "../numerics/head_layout.ts";
import { headAt, roundedCopy } from "../numerics/row_storage.ts";
import type { RowErrors } from "./row_errors.ts";

/** `number + delta`, rounded to float32, as a row of one. */
export function sumOf(operation: string, number: number, delta: number): Float32Array {
  const result = Float32Array.of(number + delta);
  if (!Number.isFinite(result[0])) {
    throw new InputError(operation, `${number} + ${delta} is beyond float32`, "a sum below 3.4e38");
  }
  return result;
}

/** A head after an addition. */
export interface RoundedSum {
  /** The first column of the head. */
  readonly column: number;
  /** The head before it is rounded, and as it is kept. */
  readonly given: Float32Array;
  readonly kept: Float32Array;
  /** A bound on how far `given` is from what it would be if nothing had been rounded before. */
  readonly carried: number;
}

/** Twice the rounding of a number to float32, as a share. */
const FLOAT32_ROUNDING = 2 ** -23;

/**
 * Adds to one number of a row that is rounded by heads, which may change the others of its head.
 *
 * @throws {InputError} When the sum is beyond float32 or the format.
 */
export function roundedSum(
  operation: string,
  layout: HeadLayout,
  { rows, errors }: {
    readonly rows: { element(slot: number, column: number): number };
    readonly errors: RowErrors;
  },
  { slot, column: at, delta }: { readonly slot: number; readonly column: number; readonly delta: number },
): RoundedSum {
  const [column, width] = headAt(layout, at);
  const given = Float32Array.from({ length: width }, (_, c) => rows.element(slot, column + c));
  const sum = sumOf(operation, given[at - column], delta), before = errors.at(slot, at);
  given.set(sum, at - column);
  // Two sums are rounded to float32: this one, and that of the row as it was given.
  const rounding = before === 0 ? 0 : FLOAT32_ROUNDING * (Math.abs(sum[0]) + before) + 2 ** -149;
  return { column, given, kept: roundedCopy(operation, layout, given, column), carried: before + rounding };
}
