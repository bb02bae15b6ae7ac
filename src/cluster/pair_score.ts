/**
 * The score of a pair under a rule that looks at positions.
 *
 * Invariant: it is a function of the pair alone, so that a term that is taken out has the bits that were added.
 */

import { blockBiasAt } from "../numerics/block_bias.ts";
import { biasAt } from "../numerics/distance_bias.ts";
import { isInReach, score, type ScoreRule } from "../numerics/score_rule.ts";

/** A head of a query. */
export interface PlacedHead {
  readonly head: number;
  /** d numbers, turned where rows are. */
  readonly query: Float64Array;
  readonly position: number;
}

/** What is added to the score of a pair; −∞ where the pair is forbidden. */
export function pairBias(rule: ScoreRule, head: number, queryPosition: number, keyPosition: number): number {
  if (!isInReach(rule, queryPosition, keyPosition)) return -Infinity;
  const { distanceBias, blocks } = rule;
  let bias = distanceBias === undefined ? 0 : biasAt(distanceBias, head, keyPosition - queryPosition);
  if (blocks !== undefined) bias += blockBiasAt(blocks, head, queryPosition, keyPosition);
  return bias;
}

/**
 * The score of a head with the key at `start` of `rows`; −∞ where the pair is forbidden. `said` is its bias by
 * a mask.
 */
export function pairScore(
  rule: ScoreRule,
  { head, query, position }: PlacedHead,
  rows: Float32Array,
  start: number,
  keyPosition: number,
  said = 0,
): number {
  const bias = pairBias(rule, head, position, keyPosition) + said;
  if (bias === -Infinity) return bias;
  const { scale, softcap, biasFirst } = rule, headDim = query.length;
  if (biasFirst) return score(query, rows, start, headDim, scale, softcap, bias);
  return bias + score(query, rows, start, headDim, scale, softcap);
}

/**
 * Whether positions decide alone which pairs there are, and no pair's score: a query that moves then keeps its
 * pairs but for those that leave its reach or come into it.
 */
export function isReachAlone({ distanceBias, blocks, rotary }: ScoreRule): boolean {
  return distanceBias === undefined && blocks === undefined && rotary === undefined;
}
