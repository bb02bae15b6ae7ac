/**
 * The score of a pair in natural-log units: s_ij = scale · q_i·k_j, capped to c·tanh(s/c) when there is a
 * softcap c, plus a bias; a pair that its positions forbid scores −∞. This is the one definition in float64.
 * All code that computes a score in float64 calls it, so that the score of a pair has the same bits in a
 * rebuild, in a patch and alone.
 */

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
}

/** Whether positions matter to a rule. */
export function looksAtPositions({ before, after }: ScoreRule): boolean {
  return before < Infinity || after < Infinity;
}

/** Whether a query at `queryPosition` may attend to a key at `keyPosition`. */
export function isInReach({ before, after }: ScoreRule, queryPosition: number, keyPosition: number): boolean {
  const ahead = keyPosition - queryPosition;
  return -before <= ahead && ahead <= after;
}

/**
 * The capped score of a query with the key row that starts at `keyOffset`, before the bias.
 *
 * The caller widens the query to float64 once per row, which saves a conversion per product and changes no
 * bit. The order of accumulation is fixed, four interleaved partial sums and then (0 + 1) + (2 + 3): it lets
 * the processor overlap additions and depends on nothing but `headDim`.
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
