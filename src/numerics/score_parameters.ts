/**
 * The parameters of a score, and what follows from them without computing one (`score_rule.ts` does).
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
