// Accuracy as the project asks for it: the largest error against the float64 oracle is at most twice that of
// a from-scratch float32 computation of the same case, plus one rounding of the output.
//
// In a case of few numbers float32 may be right by luck, to a hundredth of a rounding, where another float32
// computation, as good, is not. An answer that is not below twice what float32 with rounding to nearest is
// off by is therefore held against float32 with stochastic rounding, of which the largest error of some runs
// counts.

import { referenceAttention, type ReferenceCase } from "../src/numerics/reference.ts";
import type { Matrix } from "../mod.ts";
import { assert, assertEquals } from "./assert.ts";
import { float32Attention, roundStochastically } from "./float32_attention.ts";
import { Random } from "./random.ts";

/** Half the gap between 1 and the next float32: a rounding is at most this share of the number. */
const ROUNDING = 2 ** -24;

/**
 * The allowance for an exact output of 0: a patch leaves some 2⁻¹⁰⁶ of values that were added and subtracted.
 */
const FLOOR = 1e-18;

/** Runs of float32 with stochastic rounding; two in a hundred are off by a whole rounding in some small cases. */
const RUNS = 64;

/** Errors of one answer. */
export interface Accuracy {
  /** Largest difference from the oracle. */
  readonly error: number;
  /** That of float32 from scratch; Infinity where it overflows. */
  readonly float32Error: number;
  /** The largest allowed `error`. */
  readonly allowed: number;
}

/** Compares an answer with the oracle's and with float32's. */
export function accuracyOf(actual: Matrix, truth: ReferenceCase): Accuracy {
  const { output } = referenceAttention(truth);
  assertEquals(actual.shape, [truth.query.length, (truth.heads ?? 1) * truth.valueDim]);
  const error = largestDifference(rowsOf(actual), output);
  let largest = 0;
  for (const row of output) for (const o of row) largest = Math.max(largest, Math.abs(o));
  const allowedBy = (float32Error: number) => 2 * float32Error + ROUNDING * largest + FLOOR;
  let float32Error = largestDifference(float32Attention(truth), output);
  const random = new Random(1);
  for (let run = 0; run < RUNS && error > allowedBy(float32Error); run++) {
    const rounded = float32Attention(truth, (x) => roundStochastically(x, random));
    float32Error = Math.max(float32Error, largestDifference(rounded, output));
  }
  return { error, float32Error, allowed: allowedBy(float32Error) };
}

/** Fails when an answer is less accurate than promised, NaN included. */
export function assertAccurate(
  actual: Matrix,
  truth: ReferenceCase,
  what = "output",
): Accuracy {
  const accuracy = accuracyOf(actual, truth);
  const { error, float32Error, allowed } = accuracy;
  assert(Number.isFinite(error), `${what} has an error of ${error}`);
  assert(error <= allowed, `${what} is off by ${error}, allowed are ${allowed} (float32: ${float32Error})`);
  return accuracy;
}

/** Infinity when a number is not finite where the truth is, so that no comparison passes by NaN. */
export function largestDifference(
  actual: readonly ArrayLike<number>[],
  truth: readonly ArrayLike<number>[],
): number {
  let largest = 0;
  truth.forEach((row, i) => {
    for (let c = 0; c < row.length; c++) {
      const difference = Math.abs(actual[i][c] - row[c]);
      largest = Math.max(largest, Number.isNaN(difference) ? Infinity : difference);
    }
  });
  return largest;
}

/** Rows as a matrix, also when there are none. */
export function matrixOf(rows: readonly ArrayLike<number>[], columns: number): Matrix {
  const data = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => data.set(row, i * columns));
  return { data, shape: [rows.length, columns] };
}

/** A matrix as rows. */
export function rowsOf({ data, shape: [rows, columns] }: Matrix): Float32Array[] {
  return Array.from({ length: rows }, (_, i) => data.subarray(i * columns, (i + 1) * columns));
}
