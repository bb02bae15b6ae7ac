/**
 * Proven bounds on the errors of weights that the kernels compute in float32, with u = 2^−24.
 *
 * A product q·k is a chain of d multiply-adds, each of which rounds at most twice; with S = |scale|·‖q‖·max
 * ‖k‖ it makes a score off by at most (d + 1)·u·S. The softcap c·tanh is off by 1.5u of itself; it, the scale
 * and the bias are two floats and add less than u of a weight. exp is off by 1.5u of itself up to |s| =
 * 22,000, beyond which no row's largest score is that is answered from its state. `check_numbers.ts` asks
 * every device for these.
 *
 * Keys whose score is more than 40 below the row's log-sum-exp are no more than 2^−50 of its mass each,
 * computed or exact. All weights that matter are off by factors within e^±δ, and their distribution by at
 * most tanh(δ/2) in total variation.
 */

import type { ScoreRule } from "../../numerics/score_rule.ts";
import type { WeightRounding } from "../host/certifier.ts";
import type { RoundedRow } from "../host/weight_rounding.ts";

const FLOAT32_ROUNDING = 2 ** -24;
/** Largest share of a row's mass that a key has which does not matter. */
const UNNOTICED = 2 ** -50;
/** Covers the terms of higher order. */
const SLACK = 1.01;

/** Bounds on what computing the weights of a row did to them. */
export function weightDoubt(
  { largestProduct, keyCount }: RoundedRow,
  { softcap }: ScoreRule,
  headDim: number,
): WeightRounding {
  const ofCap = softcap > 0 ? 1.5 * Math.min(largestProduct, softcap) : 0;
  const exponent = SLACK * FLOAT32_ROUNDING * ((headDim + 1) * largestProduct + ofCap + 3);
  const unnoticed = 4 * keyCount * UNNOTICED;
  return { mass: Math.expm1(exponent) + unnoticed, variation: Math.tanh(exponent / 2) + unnoticed };
}
