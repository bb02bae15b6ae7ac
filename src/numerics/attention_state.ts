/**
 * The algebra of partial attention. The state of a head row over a set of keys is its output o = Σ a_j v_j /
 * Σ a_j and its natural log-sum-exp L = ln Σ a_j, with a_j = exp s_j; it stands for (shift, mass, weighted
 * sum) = (L, 1, o), a choice that cannot overflow. States over disjoint keys form a commutative monoid:
 *
 *     identity        o = 0, L = −∞                                the row over no key
 *     merge(A, B)     L = ln(e^L_A + e^L_B),  o = (e^L_A o_A + e^L_B o_B) / e^L
 *     unmerge(T, P)   L_R = L_T + ln(1 − r),  o_R = (o_T − r o_P) / (1 − r),    r = exp(L_P − L_T)
 *
 * Only differences of log-sum-exps are exponentiated, none of them above 0, so no L is too large, too small
 * or too far from another. Merging averages outputs, which magnifies no error. Taking a part out divides by
 * the remaining share 1 − r and so magnifies errors, which is why `unmerge` gives a bound.
 *
 * **The bound of `unmerge`.** Let every number of T and P be an exact one (*) rounded to float32: its
 * relative error is at most u = 2⁻²⁴, or its absolute error 2⁻¹⁵⁰ if it is subnormal. ‖·‖ is the largest
 * absolute number of a row. With ε = u (|L_T| + |L_P|), the share r that the numbers give and the exact r*
 * differ by
 * |r − r*| ≤ r (e^ε − 1), so
 * that κ = r (e^ε − 1) / (1 − r) bounds the relative change of 1 − r. From o_T* = r* o_P* + (1 − r*) o_R*,
 *
 *     ô − o_R* = [ (o_T − o_T*) − r (o_P − o_P*) + (r* − r) (o_P* − o_R*) ] / (1 − r),
 *     e = ‖ô − o_R*‖ ≤ [ u ‖o_T‖ + r u ‖o_P‖ ] / (1 − r) + κ ‖o_P* − o_R*‖,
 *
 * and since ‖o_P* − o_R*‖ ≤ ‖o_P − ô‖ + u ‖o_P‖ + e, the exact rows drop out:
 *
 *     e ≤ [ (u ‖o_T‖ + r u ‖o_P‖) / (1 − r) + κ (‖o_P − ô‖ + u ‖o_P‖) ] / (1 − κ)      while κ < 1.
 *
 * Rounding ô adds u ‖ô‖, and ‖o_R*‖ ≥ ‖ô‖ − e makes it relative. The relative error of the remaining mass
 * e^L_R is at most |r − r*| / (1 − r*) ≤ κ / (1 − κ), plus the roundings of L_T and L_R. The bound is the
 * larger of the two; both grow like ε / (1 − r). The same holds, with the errors of P left out, when T is
 * `merge(P, R)` rounded and R is to be recovered.
 */

/** The state of one head row over a set of keys. */
export interface RowState {
  /** o, dv numbers; they have no meaning if no key is allowed. */
  readonly output: ArrayLike<number>;
  /** L, natural log; −∞ if no key is allowed. */
  readonly logSumExp: number;
}

/** The state that remains after a part was taken out, and a bound on its error. */
export interface Remainder {
  /** The head row over the remaining keys. */
  readonly state: RowState;
  /**
   * A bound on the relative errors of the output and of the mass e^L; the output's is relative to the largest
   * number of the row, or to the smallest normal float32 if that is larger. Infinity when nothing is known.
   */
  readonly bound: number;
}

// The factor 1 + 2^-20 covers the float64 arithmetic of the state and of the bound.
const ROUNDING = 2 ** -24 * (1 + 2 ** -20);
const SUBNORMAL_ROUNDING = 2 ** -150;
const SMALLEST_NORMAL = 2 ** -126;
// The rounding of exp and of its argument, a difference that can be as large as 745 before exp is 0.
const EXP_ROUNDING = 2 ** -42;

/** The largest float32. */
export const LARGEST_FLOAT32 = 2 ** 128 - 2 ** 104;

/** Whether float32 can hold a log-sum-exp. It can hold −∞, which stands for no key. */
export function fitsFloat32(logSumExp: number): boolean {
  return logSumExp === -Infinity || Number.isFinite(Math.fround(logSumExp));
}

/**
 * Log-sum-exps as float32. One below the range of float32 becomes the lowest finite number, since −∞ means
 * that no key is allowed; one above the range becomes +∞, which has no other meaning.
 */
export function toFloat32Logs(logSumExps: Float64Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(logSumExps, (L) => L === -Infinity ? L : Math.max(L, -LARGEST_FLOAT32));
}

/** The state over no key, the identity of `merge`. */
export function identity(valueDim: number): RowState {
  return { output: new Float64Array(valueDim), logSumExp: -Infinity };
}

/** The state over the keys of both, which must be disjoint. The order of the two changes no bit. */
export function merge(a: RowState, b: RowState): RowState {
  const [larger, smaller] = a.logSumExp >= b.logSumExp ? [a, b] : [b, a];
  if (smaller.logSumExp === -Infinity) return larger;
  const share = Math.exp(smaller.logSumExp - larger.logSumExp);
  const mass = 1 + share;
  const output = new Float64Array(larger.output.length);
  for (let c = 0; c < output.length; c++) {
    output[c] = (larger.output[c] + share * smaller.output[c]) / mass;
  }
  return { output, logSumExp: larger.logSumExp + Math.log1p(share) };
}

/** A bound on the error of the difference of two log-sum-exps that were rounded to float32. */
export function distanceRounding(a: number, b: number): number {
  return ROUNDING * (Math.abs(a) + Math.abs(b)) + EXP_ROUNDING;
}

/**
 * The state over the keys of `total` without those of `part`. The log-sum-exp of `part` must not be larger
 * than that of `total`.
 */
export function unmerge(total: RowState, part: RowState): Remainder {
  if (part.logSumExp === -Infinity) return { state: total, bound: 0 };
  const distance = part.logSumExp - total.logSumExp;
  const share = Math.exp(distance);
  const left = -Math.expm1(distance);
  if (!(left > 0)) return { state: total, bound: Infinity };

  const output = new Float64Array(total.output.length);
  let size = 0, totalSize = 0, partSize = 0, separation = 0;
  for (let c = 0; c < output.length; c++) {
    const o = (total.output[c] - share * part.output[c]) / left;
    output[c] = o;
    size = Math.max(size, Math.abs(o));
    totalSize = Math.max(totalSize, Math.abs(total.output[c]));
    partSize = Math.max(partSize, Math.abs(part.output[c]));
    separation = Math.max(separation, Math.abs(part.output[c] - o));
  }
  const state = { output, logSumExp: total.logSumExp + Math.log(left) };

  const doubt = distanceRounding(total.logSumExp, part.logSumExp);
  // Above 1 the product could be 0 · ∞; the sum is then an upper bound of it.
  const shareError = doubt < 1 ? share * Math.expm1(doubt) : Math.exp(distance + doubt);
  const change = shareError / left;
  if (!(change < 1)) return { state, bound: Infinity };
  const totalError = ROUNDING * totalSize + SUBNORMAL_ROUNDING;
  const partError = ROUNDING * partSize + SUBNORMAL_ROUNDING;
  const error = ((totalError + share * partError) / left + change * (separation + partError)) / (1 - change);
  const scale = Math.max(size - error, SMALLEST_NORMAL);
  const outputBound = (error + ROUNDING * size + SUBNORMAL_ROUNDING) / scale;
  return { state, bound: Math.max(outputBound, change / (1 - change)) };
}
