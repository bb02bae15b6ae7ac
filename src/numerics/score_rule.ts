/**
 * The score of a pair in natural-log units: s_ij = scale · q_i·k_j, capped to c·tanh(s/c) when there is a
 * softcap c, plus a bias, or with the bias added before the cap; a pair that its positions forbid scores −∞.
 * This is the one definition in float64. All code that computes a score in float64 calls it, so that the
 * score of a pair has the same bits in a rebuild, in a patch and alone.
 */

import type { BlockBias } from "./block_bias.ts";
import type { DistanceBias } from "./distance_bias.ts";
import type { Rotary } from "./rotary.ts";

/** The parameters of a score, apart from the mask. */
export interface ScoreRule {
  /** Multiplies q·k. */
  readonly scale: number;
  /** c, or 0 for none. */
  readonly softcap: number;
  /** The largest distance of a key before the query; Infinity for no limit. */
  readonly before: number;
  /**
   * The largest distance of a key after the query. A negative one asks for keys that lie before the query by
   * as much.
   */
  readonly after: number;
  /** Keys at positions below this are never too far before a query; none unless given. */
  readonly keepBefore?: number;
  /** A bias by the distance of key and query; none unless given. */
  readonly distanceBias?: DistanceBias;
  /** A bias by the blocks of positions in which key and query lie; none unless given. */
  readonly blocks?: BlockBias;
  /** Whether biases are added before the softcap; after it unless given. */
  readonly biasFirst?: boolean;
  /** By query head, a logit that takes weight and has no value; −∞ for none. No head has one unless given. */
  readonly sinks?: Float64Array;
  /** Turns rows by their positions before they are multiplied; none unless given. */
  readonly rotary?: Rotary;
}

/** Whether positions matter to a rule. */
export function looksAtPositions(rule: ScoreRule): boolean {
  const { before, after, distanceBias, blocks, rotary } = rule;
  return before < Infinity || after < Infinity || distanceBias !== undefined || blocks !== undefined ||
    rotary !== undefined;
}

/** Whether a rule compares positions with one another alone, so that moving all rows changes nothing. */
export function isRelative({ keepBefore, blocks }: ScoreRule): boolean {
  return keepBefore === undefined && blocks === undefined;
}

/** Whether a query at `queryPosition` may attend to a key at `keyPosition`. */
export function isInReach(
  { before, after, keepBefore = -Infinity }: ScoreRule,
  queryPosition: number,
  keyPosition: number,
): boolean {
  const ahead = keyPosition - queryPosition;
  return ahead <= after && (-before <= ahead || keyPosition < keepBefore);
}

/**
 * Whether a rule has nothing but a scale, a softcap and a window; certificates of kernels know of nothing
 * else.
 */
export function isPlainRule(rule: ScoreRule): boolean {
  const { keepBefore, distanceBias, biasFirst = false, sinks, rotary, blocks } = rule;
  const others = [keepBefore, distanceBias, sinks, rotary, blocks];
  return !biasFirst && others.every((one) => one === undefined);
}

/** Whether scores have a bias: of the mask, by distance or by blocks. */
export function hasBias({ distanceBias, blocks }: ScoreRule, maskHeads: number): boolean {
  return maskHeads > 0 || distanceBias !== undefined || blocks !== undefined;
}

/** Whether biases are added before a softcap. */
export function isBiasCapped({ softcap, biasFirst = false }: ScoreRule): boolean {
  return biasFirst && softcap > 0;
}

/** A bound on what the softcap lets through of products of up to this size; 0 without a softcap. */
export function largestCapped(largestProduct: number, rule: ScoreRule): number {
  if (rule.softcap === 0) return 0;
  return isBiasCapped(rule) ? rule.softcap : Math.min(largestProduct, rule.softcap);
}

/** The logit of a head's sink; −∞ without one. */
export function sinkOf({ sinks }: ScoreRule, head: number): number {
  return sinks === undefined ? -Infinity : sinks[head];
}

/**
 * The capped score of a query with the key row that starts at `keyOffset`; `inner` is added before the cap.
 *
 * The caller widens the query to float64 once per row, which saves a conversion per product and changes no
 * bit. The order of accumulation is fixed, four interleaved partial sums and then (0 + 1) + (2 + 3): it lets
 * the processor overlap additions and depends on nothing but `headDim`. Its seven parameters are numbers in
 * registers: it is called for each pair of a query and a key.
 */
export function score(
  query: Float64Array,
  key: Float32Array,
  keyOffset: number,
  headDim: number,
  scale: number,
  softcap: number,
  inner = 0,
): number {
  let sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
  let c = 0;
  for (; c + 3 < headDim; c += 4) {
    sum0 += query[c] * key[keyOffset + c];
    sum1 += query[c + 1] * key[keyOffset + c + 1];
    sum2 += query[c + 2] * key[keyOffset + c + 2];
    sum3 += query[c + 3] * key[keyOffset + c + 3];
  }
  for (; c < headDim; c++) sum0 += query[c] * key[keyOffset + c];
  const scaled = scale * ((sum0 + sum1) + (sum2 + sum3)) + inner;
  return softcap > 0 ? softcap * Math.tanh(scaled / softcap) : scaled;
}

/**
 * A score that is capped below LEAST_SOFTCAP is less than the rounding of exp(0) even in float64; a cap above
 * MOST_SOFTCAP changes no score in range.
 */
const LEAST_SOFTCAP = 2 ** -60, MOST_SOFTCAP = 2 ** 60;

/**
 * A softcap well within the range of float32 that gives keys the same weights as `softcap`; 0 stands for
 * none.
 *
 * c·tanh(s/c) lies within ±c. Where c is below 2^−60, it is less than a rounding of any weight, as it is for
 * c = 2^−60; float32 would make such a c subnormal, or 0, which means none. Where c is above 2^60,
 * c·tanh(s/c) is s to the last bit of float64 for |s| ≤ 2^33, and rows with scores beyond |s| = 2^19 are not
 * answered by kernels.
 */
export function kernelSoftcap(softcap: number): number {
  if (softcap === 0 || softcap > MOST_SOFTCAP) return 0;
  return Math.max(softcap, LEAST_SOFTCAP);
}
