/**
 * When pending edits are applied by themselves.
 */

import { describe, InputError } from "../errors.ts";

/**
 * How many changed slots may be pending before they are applied: an integer ≥ 1, or Infinity for never. Edits of
 * one slot count once, an edit that was undone does not count.
 */
export type LazyThreshold = number;

/** Whether edits of `pending` slots are to be applied now. */
export type ThresholdTest = (pending: number) => boolean;

/** Checks the option `lazyThreshold`. */
export function toThresholdTest(operation: string, threshold: LazyThreshold = 64): ThresholdTest {
  if (threshold !== Infinity && !(Number.isSafeInteger(threshold) && threshold >= 1)) {
    throw new InputError(
      operation,
      `lazyThreshold is ${describe(threshold)}`,
      "an integer ≥ 1, or Infinity",
    );
  }
  return (pending) => pending >= threshold;
}
