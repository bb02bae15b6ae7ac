/**
 * The float64 oracle: attention from scratch by the formula, with one loop per symbol. Tests judge everything
 * else by it, so it shares no code with the rest.
 */

/** The input of the oracle: matrices as arrays of rows, in any precision. */
export interface ReferenceCase {
  /** m rows of H·d numbers. */
  readonly query: readonly ArrayLike<number>[];
  /** n rows of Hkv·d numbers. */
  readonly key: readonly ArrayLike<number>[];
  /** n rows of Hkv·dv numbers. */
  readonly value: readonly ArrayLike<number>[];
  /** Multiplies q·k; there is no default. */
  readonly scale: number;
  /** dv, which cannot be read off an empty `value`. */
  readonly valueDim: number;
  /** H; 1 unless given. */
  readonly heads?: number;
  /** Hkv; H unless given. */
  readonly kvHeads?: number;
  /** c in c·tanh(s/c); none unless given. */
  readonly softcap?: number;
  /** Whether biases are added before the cap; false unless given. */
  readonly biasFirst?: boolean;
  /** A logit for each head that takes weight and has no value; none unless given. */
  readonly sinks?: readonly number[];
  /** Added to the score of row i with row j in head h; −∞ forbids the pair. */
  readonly bias?: (i: number, j: number, head: number) => number;
}

/** The answer of the oracle. */
export interface ReferenceResult {
  /** o_i = Σ_j w_ij v_j, m rows of H·dv; zeros where no key is allowed. */
  readonly output: number[][];
  /** ln Σ_j exp s_ij, the sink's included, m rows of H; −∞ where no key is allowed and there is no sink. */
  readonly logSumExp: number[][];
  /** w_ij = exp(s_ij) / exp(logSumExp), by query, head and key. */
  readonly weights: number[][][];
}

/** softmax(score) V in float64. */
export function referenceAttention(question: ReferenceCase): ReferenceResult {
  const { query, key, value, scale, valueDim, softcap = 0, biasFirst = false, sinks } = question;
  const { bias = () => 0 } = question;
  const heads = question.heads ?? 1;
  const kvHeads = question.kvHeads ?? heads;
  const output: number[][] = [];
  const logSumExp: number[][] = [];
  const weights: number[][][] = [];
  query.forEach((q, i) => {
    const headDim = q.length / heads;
    output.push([]);
    logSumExp.push([]);
    weights.push([]);
    for (let h = 0; h < heads; h++) {
      const group = Math.floor(h / (heads / kvHeads));
      const scores = key.map((k, j) => {
        let dot = 0;
        for (let c = 0; c < headDim; c++) dot += q[h * headDim + c] * k[group * headDim + c];
        const added = bias(i, j, h);
        if (added === -Infinity) return added;
        const s = biasFirst ? scale * dot + added : scale * dot;
        const capped = softcap > 0 ? softcap * Math.tanh(s / softcap) : s;
        return biasFirst ? capped : capped + added;
      });
      const sink = sinks ? sinks[h] : -Infinity;
      const largest = scores.reduce((a, b) => Math.max(a, b), sink);
      const exponentials = scores.map((s) => largest === -Infinity ? 0 : Math.exp(s - largest));
      const ofSink = sink === -Infinity ? 0 : Math.exp(sink - largest);
      const total = exponentials.reduce((a, b) => a + b, 0) + ofSink;
      const w = exponentials.map((e) => total === 0 ? 0 : e / total);
      const o = new Array<number>(valueDim).fill(0);
      w.forEach((weight, j) => {
        for (let c = 0; c < valueDim; c++) o[c] += weight * value[j][group * valueDim + c];
      });
      output[i].push(...o);
      logSumExp[i].push(total === 0 ? -Infinity : largest + Math.log(total));
      weights[i].push(w);
    }
  });
  return { output, logSumExp, weights };
}
