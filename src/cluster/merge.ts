/**
 * States of queries over partitions become answers.
 *
 * For a head row, partition p has M_p · 2^(m_p) = Σ a_j and U_p · 2^(u_p) = Σ a_j v_j. With the largest
 * shifts m and u,
 *
 *     M = Σ_p M_p 2^(m_p − m),     U = Σ_p U_p 2^(u_p − u),     o = (U / M) 2^(u − m),     L = ln M + m ln 2
 *
 * in float64 and in the order of the partitions; behind them M has the weight of the sink, where the head has
 * one.
 *
 * Invariant: the bits of an answer depend on the states alone, not on who sent them or in which order they
 * came.
 *
 * **The bound.** Let S bound |s_j|, K and R the norms of keys and values, n the number of keys, and ε = 2⁻⁵².
 * A score is off by at most ε (d + 8) |scale| ‖q‖ K, a weight of it by (S + 16) ε more, so the weights of a
 * head row are off by factors within exp(±δ) of 1 and its output by at most 2 tanh(δ) R ≤ 2 δ R. A term is
 * rounded to 2⁻⁶² of its grid, the mass is at least 2^(m − 9): it is off by n 2⁻⁵³ of itself, and each number
 * of the sums by n 2^(u − 62). Sums over partitions add (P + 8) ε of R, and rounding to float32 2⁻²⁴ ‖o‖.
 *
 * A bias b of a pair is off by 2 ε |b|, and so is its sum with a score. With biases, keys whose scores are
 * below L − 100 have at most n e^−100 of the weight, and all others have |s_j| ≤ |L| + 100, which then stands
 * for S; |b| ≤ S + |scale| ‖q‖ K. Where c·tanh(x/c) caps x = s + b, its slope is at most 4 exp(−2|x|/c), so
 * that the score is off by at most 12 ε (|scale| ‖q‖ K + c) on account of b; and where c is above 2 S, x is at
 * most 1.1 S, as without a cap. A sink within 800 of L is off by (|sink| + 16) ε, and weighs nothing, or all,
 * elsewhere.
 */

import { LARGEST_FLOAT32 } from "../numerics/attention_state.ts";
import { exponentOf, powerOfTwo, shiftedExp, shiftedLog } from "../numerics/power_shift.ts";
import { hasBias, isBiasCapped, sinkOf } from "../numerics/score_rule.ts";
import type { ClusterKey } from "./cluster_answers.ts";
import type { HeavyAnswer } from "./messages.ts";
import { GRID_ROUNDING, NO_PRODUCTS, type Scoring } from "./exact_sums.ts";

const EPSILON = 2 ** -52;
/** Scores and sinks that are further from the log-sum-exp than this have no weight, or all of it. */
const FAR = 100, FAR_SINK = 800;

/** States of some queries over one partition; for each a version, a norm, and its state. */
export interface PartitionStates {
  readonly states: Float64Array;
  readonly keys: number;
  readonly keyNorm: number;
  readonly valueNorm: number;
}

/** Answers of some queries. */
export interface Merged {
  readonly output: Float32Array<ArrayBuffer>;
  readonly logSumExp: Float64Array<ArrayBuffer>;
  readonly bounds: Float64Array<ArrayBuffer>;
}

/** Merges the states of `count` queries over partitions, which are in ascending order. */
export function mergePartitions(scoring: Scoring, count: number, parts: readonly PartitionStates[]): Merged {
  const { layout, scale, softcap, rule, isMasked = false } = scoring, { heads, valueDim, headDim } = layout;
  const isBiased = isMasked || (rule !== undefined && hasBias(rule, 0));
  const isCapped = isBiased && rule !== undefined && isBiasCapped(rule);
  const stride = 2 + heads * (valueDim + 3), columns = heads * valueDim;
  const output = new Float32Array(count * columns), logSumExp = new Float64Array(count * heads);
  const bounds = new Float64Array(count), sums = new Float64Array(valueDim);
  let keys = 0, keyNorm = 0, valueNorm = 0;
  for (const part of parts) {
    keys += part.keys;
    keyNorm = Math.max(keyNorm, part.keyNorm);
    valueNorm = Math.max(valueNorm, part.valueNorm);
  }
  for (let query = 0; query < count; query++) {
    let norm = 0, squares = 0, grid = 0, reached = 0;
    for (const { states } of parts) norm = Math.max(norm, states[query * stride + 1]);
    for (let head = 0; head < heads; head++) {
      const at = query * stride + 2 + head * (valueDim + 3);
      const sink = rule === undefined ? -Infinity : sinkOf(rule, head);
      let massShift = sink === -Infinity ? -Infinity : exponentOf(sink), valueShift = -Infinity;
      for (const { states } of parts) {
        if (states[at + 1] <= 0) continue;
        massShift = Math.max(massShift, states[at]);
        if (states[at + 2] !== NO_PRODUCTS) valueShift = Math.max(valueShift, states[at + 2]);
      }
      let mass = 0;
      sums.fill(0);
      for (const { states } of parts) {
        if (states[at + 1] <= 0) continue;
        mass += states[at + 1] * powerOfTwo(states[at] - massShift);
        // Values that are all 0 have exact sums, whose grid is nobody's.
        if (states[at + 2] === NO_PRODUCTS) continue;
        const power = powerOfTwo(states[at + 2] - valueShift);
        for (let c = 0; c < valueDim; c++) sums[c] += states[at + 3 + c] * power;
      }
      if (sink > -Infinity) mass += shiftedExp(sink, massShift);
      const total = shiftedLog(mass, massShift === -Infinity ? 0 : massShift);
      logSumExp[query * heads + head] = total;
      if (mass === 0 || valueShift === -Infinity) continue;
      if (isBiased) reached = Math.max(reached, Math.abs(total) + FAR);
      if (Math.abs(sink - total) < FAR_SINK) reached = Math.max(reached, Math.abs(sink));
      const power = powerOfTwo(Math.min(1023, valueShift - massShift));
      for (let c = 0; c < valueDim; c++) {
        // A mean of float32 values lies within their range, but rounding may put it outside.
        const o = Math.max(-LARGEST_FLOAT32, Math.min(LARGEST_FLOAT32, sums[c] / mass * power));
        output[query * columns + head * valueDim + c] = o;
        squares += o * o;
      }
      grid += Math.sqrt(valueDim) * keys * GRID_ROUNDING * power / mass;
    }
    const reach = Math.abs(scale) * norm * keyNorm, product = softcap > 0 ? Math.min(reach, softcap) : reach;
    const largest = isBiased ? 0 : product, capped = Math.min(softcap, 2 * reached);
    const ofBias = isCapped ? 12 * (reach + capped) : isBiased ? 4 * (reach + reached) : 0;
    const doubt = EPSILON * ((headDim + 8) * reach + 4 * Math.max(largest, reached) + ofBias + 32);
    const relative = 2 * doubt + keys * 2 ** -53 + (parts.length + 8) * EPSILON;
    const size = Math.sqrt(heads) * valueNorm;
    bounds[query] = Math.min(2 * size, relative * size + grid) +
      2 ** -24 * (1 + 2 ** -20) * Math.sqrt(squares) + 2 ** -149 * Math.sqrt(columns);
  }
  return { output, logSumExp, bounds };
}

/** The heaviest keys of all partitions, the heaviest first, equal ones by id; `sink` is that of their head. */
export function mergeHeavy(
  parts: readonly HeavyAnswer[],
  count: number,
  sink = -Infinity,
): ClusterKey[] {
  const least = sink === -Infinity ? sink : exponentOf(sink);
  const shift = parts.reduce((most, part) => part.mass > 0 ? Math.max(most, part.shift) : most, least);
  const scaled = (mass: number, from: number) => mass * powerOfTwo(from - shift);
  const ofSink = sink === -Infinity ? 0 : shiftedExp(sink, shift);
  const total = parts.reduce(
    (sum, part) => part.mass > 0 ? sum + scaled(part.mass, part.shift) : sum,
    ofSink,
  );
  return parts
    .flatMap((part) => part.keys.map(({ id, mass }) => ({ id, weight: scaled(mass, part.shift) / total })))
    .sort((a, b) => b.weight - a.weight || (a.id < b.id ? -1 : 1))
    .slice(0, count);
}
