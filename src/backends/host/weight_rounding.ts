/**
 * What the kernels' float32 may have done to the weights of a row, proven, with u = 2^−24.
 *
 * A score is a chain of d multiply-adds, each of which rounds at most twice, times the rounded scale, perhaps
 * capped with the errors of a few operations, and added to a bias. With S = |scale|·‖q‖·max ‖k‖ it is off by
 * at most u·((d + 2)·S + 24·min(S, c)), and with a bias by u·|s| more; where the bias is added before the
 * cap, by u·((d + 2)·S + 25·c). exp is off by 2u·(1 + |s|/2¹¹) of itself up to
 * |s| = 22,000, and beyond by 4u·|s| more, since the whole powers that it takes off are then no longer exact.
 *
 * Keys whose score is more than 40 below the row's log-sum-exp L are no more than 2^−50 of its mass each,
 * computed or exact; for the others |s| ≤ |L| + 40. So all weights that matter are off by factors within
 * e^±δ, and their distribution by at most tanh(δ/2) in total variation. Where L is not known, |s| ≤ S + B, with B the
 * largest bias of a pair that is not forbidden.
 */

import { hasBias, isBiasCapped, largestCapped, type ScoreRule } from "../../numerics/score_rule.ts";

const FLOAT32_ROUNDING = 2 ** -24;
/**
 * What a key that does not matter has of its row's mass at most, and how far below the log-sum-exp its score
 * is.
 */
const UNNOTICED = 2 ** -50;
const NOTICED_DEPTH = 40;
/** Largest |score| up to which the exponential's whole powers are exact. */
const EXACT_POWERS = 22_000;
/** Up to it, e^δ − 1 ≤ δ(1 + δ) and tanh(δ/2) ≤ δ/2 are tight. */
const SMALL = 2 ** -10;
/** Covers the terms of higher order. */
const SLACK = 1.01;

/** What computing scores and weights may have done to a state before they were summed. */
export interface WeightRounding {
  /** The mass is off by at most this share of itself. */
  readonly mass: number;
  /** The weights are off by at most this total variation. */
  readonly variation: number;
  /** Whether that is known only since the scores were looked at one by one. */
  readonly isDoubtful?: boolean;
}

/** The rounding of weights in float64, which is below everything that is charged in any case. */
export const NO_WEIGHT_ROUNDING: WeightRounding = { mass: 0, variation: 0 };

/** The rounding of weights about which nothing else is known. */
export const UNKNOWN_WEIGHTS: WeightRounding = { mass: Infinity, variation: 1, isDoubtful: true };

/** A row whose weights the kernels computed. */
export interface RoundedRow {
  readonly logSumExp: number;
  /** S: the largest |scale|·|q·k| that its keys may have. */
  readonly largestProduct: number;
  /** At least the number of its keys. */
  readonly keyCount: number;
  /** No key that the row sees has a larger bias either way; not given where that is not known. */
  readonly largestBias?: number;
}

/** Bounds on what computing the weights of a row did to them. */
export function weightRounding(
  { logSumExp, largestProduct, keyCount, largestBias = Infinity }: RoundedRow,
  rule: ScoreRule,
  headDim: number,
  maskHeads: number,
): WeightRounding {
  const isBiased = hasBias(rule, maskHeads), capped = largestCapped(largestProduct, rule);
  const depth = Math.abs(logSumExp) + NOTICED_DEPTH;
  const size = Math.min(depth, largestProduct + (isBiased ? largestBias : 0));
  const ofBias = isBiased ? (isBiasCapped(rule) ? capped : size) : 0;
  const ofScore = (headDim + 2) * largestProduct + 24 * capped + ofBias;
  const ofExponential = 2 * (1 + size / 2048) + (size > EXACT_POWERS ? 4 * size : 0);
  const exponent = SLACK * FLOAT32_ROUNDING * (ofScore + ofExponential);
  const unnoticed = 4 * keyCount * UNNOTICED;
  // Most exponents are small, and the functions take most of the time of a bound.
  if (exponent < SMALL) {
    return { mass: exponent * (1 + exponent) + unnoticed, variation: exponent / 2 + unnoticed };
  }
  return { mass: Math.expm1(exponent) + unnoticed, variation: Math.tanh(exponent / 2) + unnoticed };
}
