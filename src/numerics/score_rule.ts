/**
 * The score of a pair in natural-log units: s_ij = scale · q_i·k_j, capped to c·tanh(s/c) when there is a
 * softcap c, plus a bias, or with the bias added before the cap; a pair that its positions forbid scores −∞.
 * This is the one definition in float64. All code that computes a score in float64 calls it, so that the
 * score of a pair has the same bits in a rebuild, in a patch and alone.
 */

export {
  hasBias,
  isBiasCapped,
  isInReach,
  isPlainRule,
  isRelative,
  largestCapped,
  looksAtPositions,
  type ScoreRule,
  sinkOf,
} from "./score_parameters.ts";

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
