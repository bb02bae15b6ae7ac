/**
 * Merging of partial attention: the states of some queries over disjoint parts of the keys become the state
 * over all keys, and a part can be taken out again.
 */

import {
  distanceRounding,
  identity,
  LARGEST_FLOAT32,
  merge,
  type RowState,
  unmerge,
} from "../numerics/attention_state.ts";
import { shownMatrix } from "../display/shown_matrix.ts";
import { AccuracyError, describe, InputError } from "../base/errors.ts";
import { allocate, FLOAT32, type List, reading, takeList, toNumber } from "../base/lists.ts";
import { checkSize, isShaped, type Matrix, type ShapedList, takeMatrix, takeShape } from "../base/matrix.ts";
import { checkNames, takeOptions } from "../base/names.ts";
import { checkTolerance } from "./options.ts";

/**
 * Attention of m queries over some keys, with the log-sum-exp that merging it with attention over other keys
 * needs.
 */
export interface AttentionState {
  /** o, m × H·dv: head h in columns [h·dv, (h+1)·dv). */
  readonly output: Matrix;
  /**
   * ln Σ_j exp s_ij, m × H: **natural log**; −∞ if no key is allowed. The numbers of `output` in such a row
   * are ignored, even NaN.
   */
  readonly logSumExp: Matrix;
}

/** The default tolerance of `unmergeState`. */
const TOLERANCE = 1e-4;

/**
 * Attention over the keys of all states, from attention over disjoint parts of them. For each query and head,
 *
 *     L = ln Σ_p exp(L_p),     o = Σ_p exp(L_p − L) o_p
 *
 * where p numbers the states and L is `logSumExp`, **natural log** (multiply log-sum-exps in base 2 by ln 2
 * first). The order of the states changes at most the last bit. A row without allowed keys, −∞, is the
 * identity: merging it changes no bit, and merging only such rows gives −∞ and zeros. Costs O(k m H dv) for k
 * states, computed in float64.
 *
 * Errors of at most δ in the log-sum-exps change the output by at most tanh(δ/2) times the largest distance
 * between the outputs of states; rounding L to float32 is an error of up to |L| · 2⁻²⁴.
 *
 * @param states k ≥ 1 states of equal shapes, `output` m × H·dv and `logSumExp` m × H, over disjoint keys.
 * @returns The state over all the keys, in matrices that the caller owns.
 * @throws {InputError} When there is no state, since the shape is unknown then; when shapes differ; when an
 * output is not finite or a log-sum-exp is neither finite nor −∞.
 *
 * @example A long memory in three parts
 * ```ts
 * import { attention, attentionState, mergeStates } from "@attune/attention";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const query = [[1, 0.5], [-1, 2]];
 * const key = Array.from({ length: 90 }, (_, j) => [Math.sin(j), Math.cos(3 * j)]);
 * const value = Array.from({ length: 90 }, (_, j) => [j, -j]);
 *
 * const parts = await Promise.all([0, 30, 60].map((start) =>
 *   attentionState({ query, key: key.slice(start, start + 30), value: value.slice(start, start + 30) })
 * ));
 * const { output } = mergeStates(parts);
 * const whole = await attention({ query, key, value });
 * whole.data.forEach((o, at) => assertAlmostEquals(output.data[at], o, 1e-4));
 * ```
 *
 * Source: Ye et al., "FlashInfer", arXiv 2501.01005, §2.2, and its tutorial on recursive attention (its
 * kernels keep base 2); Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv
 * 1805.02867, §3.1.
 */
export function mergeStates(states: readonly AttentionState[]): AttentionState {
  const operation = "mergeStates";
  const checked = reading(operation, () => toStates(operation, states));
  checked.forEach((state, at) => checkShapes(operation, `states[${at}]`, state, "states[0]", checked[0]));
  const result = emptyLike(checked[0]);
  for (let row = 0; row < result.logSumExp.data.length; row++) {
    writeRow(result, row, checked.reduce((merged, state) => merge(merged, rowOf(state, row)), identity(0)));
  }
  return result;
}

/**
 * Attention over the keys of `total` without those of `part`: the inverse of {@link mergeStates}, as far as
 * its accuracy can be proven. For each query and head, with r = exp(L_part − L_total) the share of the
 * weights that is taken out,
 *
 *     L = L_total + ln(1 − r),     o = (o_total − r o_part) / (1 − r).
 *
 * The roundings of the inputs are magnified by 1 / (1 − r), so the call throws unless it is proven that, for
 * each query and head, the relative errors of the output and of exp(L) are at most `tolerance`, where the
 * output's error is relative to its largest number (or to 2⁻¹²⁶). The bound assumes that the numbers of both
 * states are exact ones rounded to float32, as `attentionState` gives them with its default backend, or that
 * `total` came from merging `part` with the rest. L itself has a further rounding of up to (|L| + |L_total|)
 * · 2⁻²⁴. `src/numerics/attention_state.ts` has the proof.
 *
 * A head row of `part` without allowed keys takes out nothing: that of `total` is copied. Costs O(m H dv).
 *
 * @param total The state over all the keys, `output` m × H·dv and `logSumExp` m × H, natural log.
 * @param part A state of the same shapes over some of these keys.
 * @param options `tolerance`, a number between 0 and 1; 1e-4 unless given.
 * @returns The state over the keys that remain, in matrices that the caller owns.
 * @throws {InputError} When shapes differ, a number is not one that {@link mergeStates} takes, or a
 * log-sum-exp of `part` is larger than that of `total` by more than rounding.
 * @throws {AccuracyError} When a bound is above `tolerance`, as it is when all keys of a query are taken out.
 * The error names the query and head with the largest bound.
 *
 * @example Taking out a document
 * ```ts
 * import { AccuracyError, attentionState, mergeStates, unmergeState } from "@attune/attention";
 * import { assertAlmostEquals, assertThrows } from "@std/assert";
 *
 * const query = [[1, 0], [0, 1]];
 * const [first, second] = await Promise.all([
 *   attentionState({ query, key: [[1, 2], [0, 1]], value: [[1], [2]] }),
 *   attentionState({ query, key: [[2, 0]], value: [[30]] }),
 * ]);
 * const total = mergeStates([first, second]);
 *
 * const { output } = unmergeState(total, second);
 * output.data.forEach((o, at) => assertAlmostEquals(o, first.output.data[at], 1e-4));
 *
 * assertThrows(() => unmergeState(total, total), AccuracyError);
 * ```
 */
export function unmergeState(
  total: AttentionState,
  part: AttentionState,
  options: { readonly tolerance?: number } = {},
): AttentionState {
  const operation = "unmergeState";
  const { tolerance, whole, taken } = reading(operation, () => {
    const { tolerance = TOLERANCE } = takeOptions(operation, options, ["tolerance"]);
    return {
      tolerance: checkTolerance(operation, tolerance),
      whole: toState(operation, "total", total),
      taken: toState(operation, "part", part),
    };
  });
  checkShapes(operation, "part", taken, "total", whole);
  const heads = whole.logSumExp.shape[1];
  const result = emptyLike(whole);
  let worst = 0, worstRow = 0;
  for (let row = 0; row < result.logSumExp.data.length; row++) {
    const from = rowOf(whole, row), out = rowOf(taken, row);
    checkIncluded(operation, from, out, row, heads);
    const { state, bound } = unmerge(from, out);
    if (bound > worst) [worst, worstRow] = [bound, row];
    writeRow(result, row, state);
  }
  if (worst > tolerance) {
    throw new AccuracyError(operation, Math.floor(worstRow / heads), worstRow % heads, worst, tolerance);
  }
  return result;
}

/** Copies and checks a list of states, at least one. */
function toStates(operation: string, states: readonly AttentionState[]): AttentionState[] {
  if (typeof states !== "object" || states === null || !("length" in states)) {
    throw new InputError(operation, `states are ${describe(states)}`, "an array");
  }
  const { length, entries } = takeList(operation, "states", states, "an array");
  if (length === 0) {
    const expected = "at least 1, since the shape is unknown without any";
    throw new InputError(operation, "there are 0 states", expected);
  }
  const checked: AttentionState[] = [];
  for (let at = 0; at < length; at++) checked.push(toState(operation, `states[${at}]`, entries[at]));
  return checked;
}

/** Copies and checks a state that a caller passes. */
function toState(operation: string, name: string, state: unknown): AttentionState {
  if (typeof state !== "object" || state === null) {
    throw new InputError(operation, `${name} is ${describe(state)}`, "{ output, logSumExp }");
  }
  checkNames(operation, state, ["output", "logSumExp"], `${name} field`);
  const { output: givenOutput, logSumExp: givenLogs } = state as Partial<Record<string, unknown>>;
  const output = takeMatrix(operation, `${name}.output`, givenOutput);
  const logSumExp = toLogSumExp(operation, name, givenLogs, output.shape);
  const [heads, columns] = [logSumExp.shape[1], output.shape[1]];
  // If no key is allowed, the output may hold any number.
  const isEmpty = (at: number) => {
    const head = Math.floor(at % columns / (columns / heads));
    return logSumExp.data[Math.floor(at / columns) * heads + head] === -Infinity;
  };
  return { output: toOutput(operation, `${name}.output`, output, isEmpty), logSumExp };
}

/** A float32 copy of finite numbers, with 0 for the numbers that are ignored. */
function toOutput(
  operation: string,
  name: string,
  { list: { length, entries }, shape }: ShapedList,
  isEmpty: (at: number) => boolean,
): Matrix {
  const data = allocate(operation, name, length, () => new Float32Array(length));
  for (let at = 0; at < length; at++) {
    if (isEmpty(at)) continue;
    data[at] = toNumber(operation, name, entries[at], at);
  }
  return { data, shape };
}

function toLogSumExp(
  operation: string,
  name: string,
  input: unknown,
  [rows, columns]: Matrix["shape"],
): Matrix {
  if (!isShaped(input)) {
    throw new InputError(operation, `${name}.logSumExp is ${describe(input)}`, "{ data, shape }");
  }
  checkNames(operation, input, ["data", "shape"], `${name}.logSumExp field`);
  const list = takeList(operation, `${name}.logSumExp.data`, input.data);
  const shape = takeShape(operation, `${name}.logSumExp.shape`, input.shape, 1, "heads");
  const [queries, heads] = shape;
  if (queries !== rows) {
    throw new InputError(operation, `${name}.logSumExp has ${queries} rows`, `${rows} (as its output)`);
  }
  if (columns % heads !== 0) {
    throw new InputError(
      operation,
      `${name}.output has ${columns} columns`,
      `a multiple of ${heads} (columns of its logSumExp)`,
    );
  }
  checkSize(operation, `${name}.logSumExp`, list, shape);
  return { data: toLogarithms(operation, `${name}.logSumExp`, list), shape };
}

/** A float32 copy of log-sum-exps, each of which must be −∞ or finite as a float32. */
function toLogarithms(
  operation: string,
  name: string,
  { length, entries }: List,
): Float32Array<ArrayBuffer> {
  const logarithms = allocate(operation, name, length, () => new Float32Array(length));
  for (let at = 0; at < length; at++) {
    const entry = entries[at];
    logarithms[at] = entry === -Infinity
      ? entry
      : toNumber(operation, name, entry, at, `${FLOAT32} or -Infinity`);
  }
  return logarithms;
}

function checkShapes(
  operation: string,
  name: string,
  state: AttentionState,
  modelName: string,
  model: AttentionState,
): void {
  for (const field of ["output", "logSumExp"] as const) {
    for (const [axis, what] of ["rows", "columns"].entries()) {
      const actual = state[field].shape[axis], expected = model[field].shape[axis];
      if (actual !== expected) {
        throw new InputError(
          operation,
          `${name}.${field} has ${actual} ${what}`,
          `${expected} (as ${modelName})`,
        );
      }
    }
  }
}

/** Throws when a part has more mass than the total, unless rounding may be the cause. */
function checkIncluded(operation: string, total: RowState, part: RowState, row: number, heads: number): void {
  const L = total.logSumExp, partL = part.logSumExp;
  if (partL <= L || (L > -Infinity && partL - L <= distanceRounding(L, partL))) return;
  throw new InputError(
    operation,
    `part.logSumExp is ${partL} in row ${Math.floor(row / heads)}, head ${row % heads}`,
    `at most ${L} (as total, which must have all keys of part)`,
  );
}

/** A state of the same shapes over no key. */
function emptyLike({ output, logSumExp }: AttentionState): AttentionState {
  return {
    output: shownMatrix(new Float32Array(output.data.length), output.shape),
    logSumExp: shownMatrix(new Float32Array(logSumExp.data.length).fill(-Infinity), logSumExp.shape),
  };
}

/** The state of one head row; `row` = query · H + head. */
function rowOf({ output, logSumExp }: AttentionState, row: number): RowState {
  const valueDim = output.shape[1] / logSumExp.shape[1];
  return {
    output: output.data.subarray(row * valueDim, (row + 1) * valueDim),
    logSumExp: logSumExp.data[row],
  };
}

function writeRow({ output, logSumExp }: AttentionState, row: number, state: RowState): void {
  if (state.logSumExp === -Infinity) return;
  logSumExp.data[row] = state.logSumExp;
  const start = row * state.output.length;
  for (let c = 0; c < state.output.length; c++) {
    // A mean of float32 values lies within their range, but rounding may put it outside.
    output.data[start + c] = Math.max(-LARGEST_FLOAT32, Math.min(LARGEST_FLOAT32, state.output[c]));
  }
}
