// The expected answers of a scene: the oracle, called as the documentation defines attention.

import type { Matrix } from "../mod.ts";
import { referenceAttention, type ReferenceCase } from "../src/numerics/reference.ts";
import { assert } from "./assert.ts";
import { assertAccurate, largestDifference, rowsOf } from "./accuracy.ts";
import type { Scene } from "./edited_into.ts";

export const NO = -Infinity;

/**
 * The question for the oracle; what rules say of a pair is said here anew, in the words of the documentation.
 */
export function truthOf(
  { layout, query, key, value, queryPositions, keyPositions, rules, mask }: Scene,
): ReferenceCase {
  const { heads, kvHeads, headDim, valueDim } = layout;
  const { causal = false, window } = rules;
  const offset = causal === false ? Infinity : causal === true ? 0 : causal.offset;
  const bias = (i: number, j: number, head: number) => {
    const ahead = keyPositions[j] - queryPositions[i];
    if (ahead > offset || (window && (ahead < -window[0] || ahead > window[1]))) return NO;
    const entry = mask ? mask(i, j, head) : 0;
    return typeof entry === "boolean" ? (entry ? 0 : NO) : Math.fround(entry);
  };
  const scale = rules.scale ?? 1 / Math.sqrt(headDim);
  return { query, key, value, scale, valueDim, heads, kvHeads, softcap: rules.softcap ?? 0, bias };
}

/** As the promise, and in any case within float32 of the largest value. */
export function assertRight(actual: Matrix, truth: ReferenceCase, what: string): void {
  assertAccurate(actual, truth, what);
  const largest = truth.value.reduce((most, row) => Math.max(most, ...Array.from(row, Math.abs)), 0);
  const error = largestDifference(rowsOf(actual), referenceAttention(truth).output);
  assert(error <= 1e-6 * largest, `${what} is off by ${error} at values up to ${largest}`);
}
