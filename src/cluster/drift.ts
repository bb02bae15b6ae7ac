/**
 * A bound on how far an answer that was given before is from the one that hosts would give now, without its
 * numbers being sent.
 *
 * Let o be the exact output of a head row over the keys that some records leave, and let keys change by later
 * records: key j from weight a_j and value v_j to a'_j and v'_j (weight 0 where it was not there, or is no
 * more). With u − o M = 0 before, and M' the mass after,
 *
 *     M' (o' − o) = u' − o M' = Σ_j [ a'_j (v'_j − o) − a_j (v_j − o) ]
 *                 = Σ_j [ (a'_j − a_j) (w_j − o) + min(a_j, a'_j) (v'_j − v_j) ],    w_j the value of the larger weight,
 *
 * so that ‖o' − o‖ ≤ ( (R + ‖o‖) Σ |a'_j − a_j| + Σ min(a_j, a'_j) ‖v'_j − v_j‖ ) / M', with R the largest
 * norm of a value. Hosts send the two sums and the mass; they are scaled by 2^−shift. A key that changed more
 * than once counts each time. A key has the weight 0 where positions forbid it, and a key that moves changes
 * its weight. The weight of a sink, which does not change, is in M and M'.
 */

import type { HeadLayout } from "../numerics/head_layout.ts";
import { exponentOf, powerOfTwo, shiftedExp } from "../numerics/power_shift.ts";
import { sinkOf } from "../numerics/score_rule.ts";
import type { Scoring } from "./exact_sums.ts";
import { DRIFT_COLUMNS } from "./partition.ts";

/** Covers the rounding of weights and of the sums. */
const SLACK = 1 + 2 ** -20;
/** Covers weights that differ by less than their rounding. */
const ROUNDING = 2 ** -36;
const MOST_SINK = 2 ** 30;

/**
 * The answer of a partition: for each query a version, 1 if the changes are all known, and four numbers for
 * each head.
 */
export interface PartitionDrift {
  readonly numbers: Float64Array;
  readonly valueNorm: number;
}

/** Numbers of a query in the answer of a partition. */
export function driftColumns({ heads }: HeadLayout): number {
  return 2 + heads * DRIFT_COLUMNS;
}

/**
 * The bound of a query whose output was `row`; Infinity where a partition does not know all changes, or its
 * query is another.
 *
 * @param version The version of the query whose output it was.
 */
export function driftBound(
  scoring: Scoring,
  parts: readonly PartitionDrift[],
  query: number,
  version: number,
  row: Float32Array,
): number {
  const { layout, rule } = scoring, { heads, valueDim } = layout, from = query * driftColumns(layout);
  if (parts.some(({ numbers }) => numbers[from] !== version || numbers[from + 1] !== 1)) return Infinity;
  const largest = parts.reduce((most, { valueNorm }) => Math.max(most, valueNorm), 0);
  let squares = 0;
  for (let head = 0; head < heads; head++) {
    const at = from + 2 + head * DRIFT_COLUMNS;
    let shift = -Infinity, mass = 0, moved = 0, shifted = 0;
    for (const { numbers } of parts) {
      const isThere = numbers[at + 1] > 0 || numbers[at + 2] > 0 || numbers[at + 3] > 0;
      if (isThere) shift = Math.max(shift, numbers[at]);
    }
    if (shift === -Infinity) continue;
    for (const { numbers } of parts) {
      const power = powerOfTwo(numbers[at] - shift);
      mass += numbers[at + 1] * power;
      moved += numbers[at + 2] * power;
      shifted += numbers[at + 3] * power;
    }
    if (moved === 0 && shifted === 0) continue;
    const sink = rule === undefined ? -Infinity : sinkOf(rule, head);
    // A mass that is left out makes the bound larger: a weight that underflows, or is out of range.
    if (sink > -Infinity && exponentOf(sink) - shift < 1000) mass += shiftedExp(sink, shift);
    let norm = 0;
    for (let c = 0; c < valueDim; c++) norm += row[head * valueDim + c] ** 2;
    // Without a key the output is 0; otherwise it is a mean of values.
    const most = largest + Math.sqrt(norm), bound = (most * moved + shifted) / mass + ROUNDING * most;
    // The rounding of the weight of such a sink would be more than the slack.
    const isVague = Math.abs(sink) > MOST_SINK && sink > -Infinity;
    squares += (Number.isNaN(bound) || isVague ? most : Math.min(bound, most)) ** 2;
  }
  return Math.sqrt(squares) * SLACK;
}
