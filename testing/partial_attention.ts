// Attention over some of the keys of a case, as states and as the oracle's rows.

import fc from "fast-check";
import { type AttentionState, attentionState, type Matrix } from "../mod.ts";
import type { RowState } from "../src/numerics/attention_state.ts";
import { referenceAttention, type ReferenceCase } from "../src/numerics/reference.ts";
import { largestDifference, matrixOf } from "./accuracy.ts";
import type { Random } from "./random.ts";

export const NO = -Infinity;
export const ROUNDING = 2 ** -24;

/** Attention over some of the keys of a case. */
export interface Part {
  readonly state: AttentionState;
  readonly truth: ReferenceCase;
}

export interface Sizes {
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  /** Standard deviation of queries and keys. */
  readonly size: number;
}

export function caseOf(random: Random, sizes: Sizes, bias: ReferenceCase["bias"] = () => 0): ReferenceCase {
  const { queries, keys, heads, kvHeads, headDim, valueDim, size } = sizes;
  return {
    query: random.rows(queries, heads * headDim, size),
    key: random.rows(keys, kvHeads * headDim, size),
    value: random.rows(keys, kvHeads * valueDim),
    scale: 1 / Math.sqrt(headDim),
    valueDim,
    heads,
    kvHeads,
    bias,
  };
}

/** The same question about the keys `chosen` alone. */
export function restrict(truth: ReferenceCase, chosen: readonly number[]): ReferenceCase {
  const { key, value, bias = () => 0 } = truth;
  return {
    ...truth,
    key: chosen.map((j) => key[j]),
    value: chosen.map((j) => value[j]),
    bias: (i, j, head) => Math.fround(bias(i, chosen[j], head)),
  };
}

export async function partOf(whole: ReferenceCase, chosen: readonly number[]): Promise<Part> {
  const truth = restrict(whole, chosen);
  const { query, key, value, scale, valueDim, heads = 1, kvHeads = heads, bias = () => 0 } = truth;
  const state = await attentionState({
    query: query as Float32Array[],
    key: matrixOf(key, whole.key[0].length),
    value: matrixOf(value, kvHeads * valueDim),
    scale,
    heads,
    kvHeads,
    mask: bias,
  });
  return { state, truth };
}

export const all = ({ key }: ReferenceCase) => key.map((_, j) => j);

/** Numbers that differ in no bit; `assertEquals` of typed arrays takes 0 for −0. */
export function bitsOf({ output, logSumExp }: AttentionState): unknown {
  const bits = ({ data, shape }: Matrix) => [[...new Uint32Array(data.buffer)], shape];
  return [bits(output), bits(logSumExp)];
}

export function rowOf({ output, logSumExp }: AttentionState, row: number): RowState {
  const valueDim = output.shape[1] / logSumExp.shape[1];
  return {
    output: output.data.subarray(row * valueDim, (row + 1) * valueDim),
    logSumExp: logSumExp.data[row],
  };
}

/** The oracle's answer by head row. */
export function trueRows(truth: ReferenceCase): RowState[] {
  const { output, logSumExp } = referenceAttention(truth);
  const { valueDim } = truth;
  return logSumExp.flatMap((logarithms, i) =>
    logarithms.map((L, head) => ({
      output: output[i].slice(head * valueDim, (head + 1) * valueDim),
      logSumExp: L,
    }))
  );
}

export const norm = (row: ArrayLike<number>) =>
  Array.from(row).reduce((most, o) => Math.max(most, Math.abs(o)), 0);

export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return largestDifference([a], [b]);
}

export const LAYOUTS = [
  { heads: 1, kvHeads: 1, headDim: 4, valueDim: 3 },
  { heads: 3, kvHeads: 3, headDim: 2, valueDim: 2 },
  { heads: 4, kvHeads: 2, headDim: 3, valueDim: 1 },
];

/** A state of one head: a row [L, …o] each. */
export function stateOf(...rows: number[][]): AttentionState {
  return {
    output: matrixOf(rows.map(([, ...o]) => o), rows[0].length - 1),
    logSumExp: matrixOf(rows.map(([L]) => [L]), 1),
  };
}

/** Uniform in [−size, size]; fast-check's own doubles are mostly next to 0. */
export function uniform(size: number): fc.Arbitrary<number> {
  return fc.integer({ min: -1_000_000, max: 1_000_000 }).map((whole) => size * whole / 1_000_000);
}
