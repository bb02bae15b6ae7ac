/**
 * The score of a pair, s_ij = scale · q_i·k_j, in natural-log units. This is its one definition: whatever
 * computes a score calls it, so a pair has the same bits in a rebuild, a patch, an overlay and alone.
 */

/**
 * `scale · Σ_c query[c] key[c]`, where the key's row starts at `keyOffset`.
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
  return scale * ((sum0 + sum1) + (sum2 + sum3));
}
