// Derivatives of L = Σ g·o by central differences of the float64 oracle, of fourth order: what attention's
// exact derivatives are held against.

import { referenceAttention, type ReferenceCase } from "../src/numerics/reference.ts";

/** Derivatives by every number, one row per query or key. */
export interface Differences {
  readonly query: number[][];
  readonly key: number[][];
  readonly value: number[][];
}

/**
 * How much a score moves in a step: small against 1, large against the rounding of scores in the hundreds.
 */
const STEP = 2e-3;

/** L for an output gradient g with one row per query. */
export function lossOf(question: ReferenceCase, g: readonly ArrayLike<number>[]): number {
  let sum = 0;
  referenceAttention(question).output.forEach((row, i) => row.forEach((o, c) => sum += g[i][c] * o));
  return sum;
}

/** All derivatives, numerically. */
export function differencesOf(question: ReferenceCase, g: readonly ArrayLike<number>[]): Differences {
  const query = copyOf(question.query), key = copyOf(question.key), value = copyOf(question.value);
  const moved = { ...question, query, key, value };
  const byScore = (partners: readonly ArrayLike<number>[]) =>
    STEP / Math.max(1e-3, Math.abs(question.scale) * largestOf(partners));
  const differentiate = (rows: Float64Array[], step: number) =>
    rows.map((row) =>
      Array.from(row, (x, c) => {
        const at = (delta: number) => {
          row[c] = x + delta;
          return lossOf(moved, g);
        };
        // The steps that are taken, not those that were meant: x + step is rounded.
        const near = (x + step) - x;
        const difference = (8 * (at(near) - at(-near)) - (at(2 * near) - at(-2 * near))) / (12 * near);
        row[c] = x;
        return difference;
      })
    );
  return {
    query: differentiate(query, byScore(question.key)),
    key: differentiate(key, byScore(question.query)),
    value: differentiate(value, 1),
  };
}

/** The largest magnitude in some rows; 0 where there are none. */
export function largestOf(rows: readonly ArrayLike<number>[]): number {
  return rows.reduce((most, row) => Math.max(most, ...Array.from(row, Math.abs)), 0);
}

function copyOf(rows: readonly ArrayLike<number>[]): Float64Array[] {
  return rows.map((row) => Float64Array.from(row));
}
