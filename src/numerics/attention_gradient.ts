/**
 * The derivatives of attention for one head row, in float64.
 *
 * With scores s_j = cap(scale · q·k_j) + b_j, weights p_j = exp(s_j) / Σ exp(s), output o = Σ_j p_j v_j and a
 * loss L of which g = ∂L/∂o is known,
 *
 *     ∂L/∂v_j = p_j g
 *     ∂L/∂s_j = ∂L/∂b_j = p_j g·(v_j − o)                          since ∂p_k/∂s_j = p_k ([k = j] − p_j)
 *     ∂L/∂q   = scale Σ_j cap'_j ∂L/∂s_j k_j
 *     ∂L/∂k_j = scale cap'_j ∂L/∂s_j q                             cap(s) = c·tanh(s/c), cap' = 1 − (cap(s)/c)²
 *
 * A sink takes part in Σ exp(s) and has no value: the formulas stay. Where biases are added before the cap,
 * cap(scale · q·k_j + b_j), ∂L/∂b_j = cap'_j ∂L/∂s_j.
 *
 * A key with the weight 0 contributes nothing, whether it is forbidden or its weight has underflowed; a head
 * row without an allowed key has no derivatives. The product g·(v_j − o) is computed as it stands here, since
 * g·v_j − g·o would lose the digits of a small difference of large values.
 *
 * Source: the Jacobian of softmax as in Dao, Fu, Ermon, Rudra, Ré, "FlashAttention", arXiv 2205.14135,
 * appendix B.2, whose D_i = g·o is put inside the product here; the softcap follows by the chain rule.
 */

import { blockBiasAt } from "./block_bias.ts";
import { biasAt } from "./distance_bias.ts";
import { isBiasCapped, isInReach, score, type ScoreRule } from "./score_rule.ts";

/**
 * T keys with their values, rows `[key | value]` of `stride` numbers, and the columns of them that one head
 * reads.
 */
export interface HeadKeys {
  readonly rows: Float32Array;
  /** T. */
  readonly count: number;
  readonly stride: number;
  readonly keyOffset: number;
  readonly valueOffset: number;
  readonly headDim: number;
  readonly valueDim: number;
}

/** Arrays to which derivatives are added; rows are laid out as those of the keys. */
export interface GradientSums {
  /** H·d numbers for the query; this head has `headDim` of them, from `queryOffset` on. */
  readonly query: Float64Array;
  readonly queryOffset: number;
  /** T rows `[key | value]` of the keys' stride; null if they are not wanted. */
  readonly rows: Float64Array | null;
  /**
   * T numbers for this head row, from `scoreOffset` on: the derivatives by biases, ∂L/∂b_j; null if they are
   * not wanted.
   */
  readonly scores: Float64Array | null;
  readonly scoreOffset: number;
}

/**
 * Writes the capped scores of one head of a query with T keys, and their scores with biases; both −∞ where
 * the pair is forbidden. `biases` are those of a mask; null without one.
 */
export function scoreKeys(
  query: Float64Array,
  queryPosition: number,
  keys: HeadKeys,
  positions: Float64Array,
  rule: ScoreRule,
  head: number,
  biases: ArrayLike<number> | null,
  capped: Float64Array,
  scores: Float64Array,
): void {
  const { rows, count, stride, keyOffset, headDim } = keys;
  const { scale, softcap, distanceBias, blocks } = rule, isInner = isBiasCapped(rule);
  for (let t = 0; t < count; t++) {
    let bias = biases === null ? 0 : biases[t];
    if (distanceBias !== undefined) bias += biasAt(distanceBias, head, positions[t] - queryPosition);
    if (blocks !== undefined) bias += blockBiasAt(blocks, head, queryPosition, positions[t]);
    if (bias === -Infinity || !isInReach(rule, queryPosition, positions[t])) {
      capped[t] = scores[t] = -Infinity;
      continue;
    }
    capped[t] = score(query, rows, t * stride + keyOffset, headDim, scale, softcap, isInner ? bias : 0);
    scores[t] = isInner ? capped[t] : capped[t] + bias;
  }
}

/**
 * Replaces the first `count` scores, biases included, by weights that sum to 1 with that of the sink; all are
 * 0 if no key is allowed.
 */
export function toWeights(scores: Float64Array, count: number, sink = -Infinity): void {
  let largest = -Infinity;
  for (let t = 0; t < count; t++) if (scores[t] > largest) largest = scores[t];
  if (largest === -Infinity) return void scores.fill(0, 0, count);
  largest = Math.max(largest, sink);
  let mass = Math.exp(sink - largest);
  for (let t = 0; t < count; t++) mass += scores[t] = Math.exp(scores[t] - largest);
  for (let t = 0; t < count; t++) scores[t] /= mass;
}

/** Writes o = Σ_j p_j v_j, `valueDim` numbers from `offset` on. */
export function weighValues(
  keys: HeadKeys,
  weights: Float64Array,
  output: Float64Array,
  offset: number,
): void {
  const { rows, count, stride, valueOffset, valueDim } = keys;
  output.fill(0, offset, offset + valueDim);
  for (let t = 0; t < count; t++) {
    const weight = weights[t];
    if (weight === 0) continue;
    const base = t * stride + valueOffset;
    for (let c = 0; c < valueDim; c++) output[offset + c] += weight * rows[base + c];
  }
}

/**
 * Adds the derivatives of one head row. `capped` are its scores as the cap left them, `weights` its weights; `output` and `outputGradient` are o and g, `valueDim` numbers from `offset` on.
 */
export function addHeadGradient(
  query: Float64Array,
  keys: HeadKeys,
  capped: Float64Array,
  weights: Float64Array,
  output: Float64Array,
  outputGradient: Float64Array,
  offset: number,
  rule: ScoreRule,
  sums: GradientSums,
): void {
  const { rows, count, stride, keyOffset, valueOffset, headDim, valueDim } = keys;
  const { query: querySums, queryOffset, rows: rowSums, scores, scoreOffset } = sums;
  const { scale, softcap } = rule, isInner = isBiasCapped(rule);
  for (let t = 0; t < count; t++) {
    const weight = weights[t];
    if (weight === 0) continue;
    const valueBase = t * stride + valueOffset;
    let product = 0;
    for (let c = 0; c < valueDim; c++) {
      product += outputGradient[offset + c] * (rows[valueBase + c] - output[offset + c]);
    }
    const byScore = weight * product;
    const tanh = softcap > 0 ? capped[t] / softcap : 0, slope = 1 - tanh * tanh;
    if (scores) scores[scoreOffset + t] += isInner ? slope * byScore : byScore;
    const byProduct = scale * slope * byScore;
    const keyBase = t * stride + keyOffset;
    for (let c = 0; c < headDim; c++) querySums[queryOffset + c] += byProduct * rows[keyBase + c];
    if (!rowSums) continue;
    for (let c = 0; c < headDim; c++) rowSums[keyBase + c] += byProduct * query[c];
    for (let c = 0; c < valueDim; c++) rowSums[valueBase + c] += weight * outputGradient[offset + c];
  }
}
