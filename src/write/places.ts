/**
 * Which positions a rule allows.
 */

import { InputError } from "../base/errors.ts";
import { MOST_PLACE } from "../numerics/distance_bias.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";

/**
 * Checks that a position suits a bias by distance, if there is one: only near enough to 0 do all backends
 * compute the same distances, and a table has whole distances.
 */
export function checkPlace(
  operation: string,
  name: string,
  position: number,
  { distanceBias }: ScoreRule,
): void {
  if (distanceBias === undefined) return;
  const isWhole = distanceBias.kind === "table";
  if (Math.abs(position) <= MOST_PLACE && (!isWhole || Number.isInteger(position))) return;
  const rule = isWhole ? "a whole number within ±2^46, for distanceBias" : "a number within ±2^46, for alibi";
  throw new InputError(operation, `${name} is ${position}`, rule);
}

/** As `checkPlace`, of some positions. */
export function checkPlaces(
  operation: string,
  name: string,
  positions: Float64Array,
  rule: ScoreRule,
): void {
  for (const position of positions) checkPlace(operation, name, position, rule);
}
