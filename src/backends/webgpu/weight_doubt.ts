/**
 * Proven bounds on the errors of weights that the kernels compute in float32, with u = 2^−24.
 *
 * A product q·k is a chain of d multiply-adds, each of which rounds at most twice; with S = |scale|·‖q‖·max
 * ‖k‖ the error of a score is at most (d + 1)·u·S. The relative error of the softcap c·tanh is 1.5u; softcap,
 * scale and bias are two floats and change a weight by less than u. The relative error of exp is 1.5u up to
 * |s| = 22,000; rows with larger scores are not answered from their states. `check_numbers.ts` checks these
 * properties on every device.
 *
 * The mass of a key whose score is more than 40 below the row's log-sum-exp is at most 2^−50 of the row's,
 * computed or exact. All other weights are off by factors within e^±δ, and their distribution by at most
 * tanh(δ/2) in total variation.
 */

import { largestCapped, type ScoreRule } from "../../numerics/score_rule.ts";
import type { RoundedRow, WeightRounding } from "../host/weight_rounding.ts";

const FLOAT32_ROUNDING = 2 ** -24;
/** The largest share of a row's mass at which a key is ignored. */
const UNNOTICED = 2 ** -50;
/** A factor that covers the terms of higher order. */
const SLACK = 1.01;

/** Bounds on the rounding errors of the weights of a head row. */
export function weightDoubt(
  { largestProduct, keyCount }: RoundedRow,
  rule: ScoreRule,
  headDim: number,
): WeightRounding {
  const ofCap = 1.5 * largestCapped(largestProduct, rule);
  const exponent = SLACK * FLOAT32_ROUNDING * ((headDim + 1) * largestProduct + ofCap + 3);
  const unnoticed = 4 * keyCount * UNNOTICED;
  return { mass: Math.expm1(exponent) + unnoticed, variation: Math.tanh(exponent / 2) + unnoticed };
}
