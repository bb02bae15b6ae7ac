/**
 * What float64 may have done to the weights of a row that is computed in it, proven, with u = 2^−53.
 *
 * A score is a chain of d multiply-adds, each of which rounds at most twice, times the scale, perhaps capped
 * with the errors of a few operations, and added to a bias. With S = |scale|·‖q‖·max ‖k‖ it is off by at most
 * u·((d + 2)·S + 8·min(S, c)), and with a bias by u·|s| more, or, where that is added before the cap, by
 * 9·u·c in place of both; a bias by distance, of at most |s| + S, rounds twice. exp is off by 2u·(2 + |s|) of
 * itself, also that of a sink. A bias of −10⁹ on all keys of a row leaves their scores seven digits after the
 * point, and weights as many.
 *
 * Keys whose score is more than 80 below the row's log-sum-exp L are no more than 2^−115 of its mass each,
 * computed or exact; for the others |s| ≤ |L| + 80. So all weights that matter are off by factors within
 * e^±δ, and their distribution by at most tanh(δ/2) in total variation.
 *
 * With scores beyond some 10¹³ a δ of 1/16 says nothing any more: whether a key wins is decided by the digits
 * that float64 has, and bounds are those for scores as float64 computes them.
 */

import { hasBias, isBiasCapped, largestCapped, type ScoreRule } from "../../numerics/score_rule.ts";
import { NO_WEIGHT_ROUNDING, type WeightRounding } from "./host_certifier.ts";
import type { RoundedRow } from "./weight_rounding.ts";

const FLOAT64_ROUNDING = 2 ** -53;
/**
 * What a key that does not matter has of its row's mass at most, and how far below the log-sum-exp its score
 * is.
 */
const UNNOTICED = 2 ** -115, NOTICED_DEPTH = 80;
/** A larger exponent is not charged. */
const LARGEST = 1 / 16;
/** Covers the terms of higher order. */
const SLACK = 1.01;

/** Bounds on what rounding its scores did to a row. */
export function scoreRounding(
  { logSumExp, largestProduct, keyCount }: RoundedRow,
  rule: ScoreRule,
  headDim: number,
  maskHeads: number,
  sink: number,
): WeightRounding {
  const isBiased = hasBias(rule, maskHeads), capped = largestCapped(largestProduct, rule);
  const depth = Math.abs(logSumExp) + NOTICED_DEPTH;
  const size = isBiased || sink > -Infinity ? depth : Math.min(depth, largestProduct);
  const ofBias = isBiased ? (isBiasCapped(rule) ? capped : depth) : 0;
  const ofDistance = rule.distanceBias === undefined ? 0 : 2 * (depth + largestProduct);
  const ofScore = (headDim + 2) * largestProduct + 8 * capped + ofBias + ofDistance;
  const exponent = SLACK * FLOAT64_ROUNDING * (ofScore + 2 * (2 + size));
  if (!(exponent < LARGEST)) return NO_WEIGHT_ROUNDING;
  const unnoticed = 4 * keyCount * UNNOTICED;
  return { mass: Math.expm1(exponent) + unnoticed, variation: Math.tanh(exponent / 2) + unnoticed };
}
