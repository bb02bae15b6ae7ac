/**
 * The derivatives of attention for one head row, in float64.
 *
 * With scores s_j = cap(scale · q·k_j) + b_j, weights p_j = exp(s_j) / Σ exp(s), output o = Σ_j p_j v_j and a
 * loss L of which g = ∂L/∂o is known,
 *
 *     ∂L/∂v_j = p_j g
 *     ∂L/∂s_j = ∂L/∂b_j = p_j g·(v_j − o)                          since ∂p_k/∂s_j = p_k ([k = j] − p_j)
 *     ∂L/∂q   = scale Σ_j cap'_j ∂L/∂s_j k_j
 * ∂L/∂k_j = scale cap'_j ∂L/∂s_j q                             cap(s) = c·tanh(s/c), cap' = 1 − (cap(s)/c)²
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

/** One head of a query. */
export interface HeadQuery {
  /** `headDim` numbers. */
  readonly row: Float64Array;
  readonly position: number;
  readonly head: number;
}

/**
 * T keys with their values, rows `[key | value]` of `stride` numbers, and the columns of them that one head
 * reads.
 */
export interface HeadKeys {
  readonly rows: Float32Array;
  /** T positions. */
  readonly positions: Float64Array;
  /** T. */
  readonly count: number;
  readonly stride: number;
  readonly keyOffset: number;
  readonly valueOffset: number;
  readonly headDim: number;
  readonly valueDim: number;
}

/** T numbers each of one head row: scores as the cap left them, and weights. */
export interface HeadScores {
  readonly capped: Float64Array;
  readonly weights: Float64Array;
}

/** o and g of one head row, `valueDim` numbers each from `offset` on. */
export interface HeadOutput {
  readonly output: Float64Array;
  readonly gradient: Float64Array;
  readonly offset: number;
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

/** The bias of a query and the `t`-th key: `said`, that of a mask, and those of their positions. */
export function biasOfPair(
  { position, head }: HeadQuery,
  { positions }: HeadKeys,
  t: number,
  { distanceBias, blocks }: ScoreRule,
  said: number,
): number {
  let bias = said;
  if (distanceBias !== undefined) bias += biasAt(distanceBias, head, positions[t] - position);
  if (blocks !== undefined) bias += blockBiasAt(blocks, head, position, positions[t]);
  return bias;
}

/** The score of a query and the `t`-th key as the cap leaves it; `inner` is added before the cap. */
export function cappedScore(
  { row }: HeadQuery,
  { rows, stride, keyOffset, headDim }: HeadKeys,
  t: number,
  { scale, softcap }: ScoreRule,
  inner: number,
): number {
  return score(row, rows, t * stride + keyOffset, headDim, scale, softcap, inner);
}

/**
 * Writes the capped scores of one head of a query with T keys, and, where its weights go, their scores with
 * biases; both −∞ where the pair is forbidden. `biases` are those of a mask; null without one.
 */
export function scoreKeys(
  query: HeadQuery,
  keys: HeadKeys,
  rule: ScoreRule,
  biases: ArrayLike<number> | null,
  { capped, weights: scores }: HeadScores,
): void {
  const isInner = isBiasCapped(rule);
  for (let t = 0; t < keys.count; t++) {
    const bias = biasOfPair(query, keys, t, rule, biases === null ? 0 : biases[t]);
    if (bias === -Infinity || !isInReach(rule, query.position, keys.positions[t])) {
      capped[t] = scores[t] = -Infinity;
      continue;
    }
    capped[t] = cappedScore(query, keys, t, rule, isInner ? bias : 0);
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

/** Adds the derivatives of one head row. */
export function addHeadGradient(
  query: HeadQuery,
  keys: HeadKeys,
  { capped, weights }: HeadScores,
  { output, gradient, offset }: HeadOutput,
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
      product += gradient[offset + c] * (rows[valueBase + c] - output[offset + c]);
    }
    const byScore = weight * product;
    const tanh = softcap > 0 ? capped[t] / softcap : 0, slope = 1 - tanh * tanh;
    if (scores) scores[scoreOffset + t] += isInner ? slope * byScore : byScore;
    const byProduct = scale * slope * byScore;
    const keyBase = t * stride + keyOffset;
    for (let c = 0; c < headDim; c++) querySums[queryOffset + c] += byProduct * rows[keyBase + c];
    if (!rowSums) continue;
    for (let c = 0; c < headDim; c++) rowSums[keyBase + c] += byProduct * query.row[c];
    for (let c = 0; c < valueDim; c++) rowSums[valueBase + c] += weight * gradient[offset + c];
  }
}
