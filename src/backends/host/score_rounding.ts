/**
 * What float64 may have done to the weights of a row that is computed in it, proven, with u = 2^−53.
 *
 * Products of two float32 are exact. A score adds them in four sums and these to one, with r(d) additions that round, and
 * multiplies that by the scale; perhaps it is capped with the errors of a few operations, and added to a bias. With S =
 * |scale|·‖q‖·max ‖k‖ it is off by at most u·((r(d) + 1)·S + 8·min(S, c)), and with a bias by u·|s| more, or, where that
 * is added before the cap, by 9·u·c in place of both; a bias by distance, of at most |s| + S, rounds twice. exp is off by
 * 2u·(2 + |s|) of itself, also that of a sink. A bias of −10⁹ on all keys of a row leaves their scores seven digits
 * after the point, and weights as many.
 *
 * Keys whose score is more than 80 below the row's log-sum-exp L are no more than 2^−115 of its mass each,
 * computed or exact; for the others |s| ≤ |L| + 80. So all weights that matter are off by factors within
 * e^±δ, and their distribution by at most tanh(δ/2) in total variation.
 *
 * With scores beyond some 10¹³, as where a mask of −3·10³⁸ is added to all of them, δ is 1/16 and more: whether a
 * key wins is decided by digits that float64 does not have. `ScoreDoubt` looks at the keys one by one then.
 */

import { hasBias, isBiasCapped, largestCapped, type ScoreRule } from "../../numerics/score_rule.ts";
import { type RoundedRow, UNKNOWN_WEIGHTS, type WeightRounding } from "./weight_rounding.ts";

const FLOAT64_ROUNDING = 2 ** -53;
/**
 * What a key that does not matter has of its row's mass at most, and how far below the log-sum-exp its score
 * is.
 */
const UNNOTICED = 2 ** -115;
export const NOTICED_DEPTH = 80;
/** From such an exponent on nothing is known of the weights. */
const LARGEST = 1 / 16;
/** Covers the terms of higher order. */
const SLACK = 1.01;

/** The scores of a head row: its rule, d, and how many heads the mask has. */
export interface ScoreKind {
  readonly rule: ScoreRule;
  readonly headDim: number;
  readonly maskHeads: number;
}

/** r(d) + 1: how often a scaled product of d numbers is rounded, in the order of additions that `score` has. */
export function productRoundings(headDim: number): number {
  return headDim < 4 ? headDim : Math.floor(headDim / 4) + headDim % 4 + 2;
}

/**
 * δ of scores of up to `size` whose products are up to `largestProduct`; `ofProduct` is what those are off by, in
 * roundings of 1: (r(d) + 1)·S unless given.
 */
export function scoreExponent(
  { rule, headDim, maskHeads }: ScoreKind,
  largestProduct: number,
  size: number,
  ofProduct = productRoundings(headDim) * largestProduct,
): number {
  const capped = largestCapped(largestProduct, rule);
  const ofBias = hasBias(rule, maskHeads) ? (isBiasCapped(rule) ? capped : size) : 0;
  const ofDistance = rule.distanceBias === undefined ? 0 : 2 * (size + largestProduct);
  const ofScore = ofProduct + 8 * capped + ofBias + ofDistance;
  return SLACK * FLOAT64_ROUNDING * (ofScore + 2 * (2 + size));
}

/** Bounds on what rounding its scores did to a row. */
export function scoreRounding(
  { logSumExp, largestProduct, keyCount }: RoundedRow,
  kind: ScoreKind,
  sink: number,
): WeightRounding {
  const depth = Math.abs(logSumExp) + NOTICED_DEPTH, { rule, maskHeads } = kind;
  const isDeep = hasBias(rule, maskHeads) || sink > -Infinity;
  const size = isDeep ? depth : Math.min(depth, largestProduct);
  return roundingBy(scoreExponent(kind, largestProduct, size), keyCount);
}

/** What factors within e^±δ did to the weights of a row of so many keys. */
export function roundingBy(exponent: number, keyCount: number): WeightRounding {
  if (!(exponent < LARGEST)) return UNKNOWN_WEIGHTS;
  const unnoticed = 4 * keyCount * UNNOTICED;
  return { mass: Math.expm1(exponent) + unnoticed, variation: Math.tanh(exponent / 2) + unnoticed };
}
