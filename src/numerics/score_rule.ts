/**
 * The score of a pair in natural-log units: s_ij = scale · q_i·k_j, capped to c·tanh(s/c) when there is a softcap
 * c, plus a bias; a pair that its positions forbid scores −∞. This is its one definition: whatever computes a
 * score calls it, so a pair has the same bits in a rebuild, a patch, an overlay and alone.
 */

/** What turns a query and a key into a score, apart from the mask. */
export interface ScoreRule {
  /** Multiplies q·k. */
  readonly scale: number;
  /** c, or 0 for none. */
  readonly softcap: number;
  /** A key may lie at most so far before the query; Infinity where nothing limits it. */
  readonly before: number;
  /** A key may lie at most so far after the query (negative: it must lie before it by as much). */
  readonly after: number;
}

/** Whether a rule looks at positions at all. */
export function looksAtPositions({ before, after }: ScoreRule): boolean {
  return before < Infinity || after < Infinity;
}

/** Whether a key at `keyPosition` may be seen from `queryPosition`. */
export function isInReach({ before, after }: ScoreRule, queryPosition: number, keyPosition: number): boolean {
  const ahead = keyPosition - queryPosition;
  return -before <= ahead && ahead <= after;
}

/**
 * The capped score of a query with the key row that starts at `keyOffset`, before the bias.
 *
 * The query is widened to float64 once a row, which spares a conversion a product and changes no bit. The order
 * of accumulation is fixed, four interleaved partial sums and then (0 + 1) + (2 + 3): it keeps the processor busy
 * and depends on nothing but `headDim`.
 */
export function score(
  query: Float64Array,
  key: Float32Array,
  keyOffset: number,
  headDim: number,
  scale: number,
  softcap: number,
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
  const scaled = scale * ((sum0 + sum1) + (sum2 + sum3));
  return softcap > 0 ? softcap * Math.tanh(scaled / softcap) : scaled;
}
