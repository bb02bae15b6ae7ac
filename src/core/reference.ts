/**
 * The float64 oracle: attention as the formula says it, one loop a symbol, from scratch. It judges everything
 * else and therefore shares no code with it.
 */

/** What the oracle is asked: matrices as arrays of rows, in any precision. */
export interface ReferenceCase {
  /** m rows of d numbers. */
  readonly query: readonly ArrayLike<number>[];
  /** n rows of d numbers. */
  readonly key: readonly ArrayLike<number>[];
  /** n rows of dv numbers. */
  readonly value: readonly ArrayLike<number>[];
  /** Multiplies q·k; there is no default. */
  readonly scale: number;
  /** dv, which an empty `value` does not tell. */
  readonly valueDim: number;
}

/** What the oracle answers, a row a query. */
export interface ReferenceResult {
  /** o_i = Σ_j w_ij v_j; zeros where there is no key. */
  readonly output: number[][];
  /** ln Σ_j exp s_ij; −∞ where there is no key. */
  readonly logSumExp: number[];
  /** w_ij = exp(s_ij) / Σ_j exp(s_ij). */
  readonly weights: number[][];
}

/** softmax(scale · Q Kᵀ) V in float64. */
export function referenceAttention({ query, key, value, scale, valueDim }: ReferenceCase): ReferenceResult {
  const output: number[][] = [];
  const logSumExp: number[] = [];
  const weights: number[][] = [];
  for (const q of query) {
    const scores = key.map((k) => {
      let dot = 0;
      for (let c = 0; c < q.length; c++) dot += q[c] * k[c];
      return scale * dot;
    });
    const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const exponentials = scores.map((s) => Math.exp(s - largest));
    const total = exponentials.reduce((a, b) => a + b, 0);
    const w = exponentials.map((e) => e / total);
    const o = new Array<number>(valueDim).fill(0);
    w.forEach((weight, j) => {
      for (let c = 0; c < valueDim; c++) o[c] += weight * value[j][c];
    });
    output.push(o);
    logSumExp.push(key.length === 0 ? -Infinity : largest + Math.log(total));
    weights.push(w);
  }
  return { output, logSumExp, weights };
}
