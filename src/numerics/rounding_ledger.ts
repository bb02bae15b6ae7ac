/**
 * Proven bounds on the rounding error of a head row's sums. A sum is kept as two floats, high and low: an
 * addition to the high part is error-free (Knuth's TwoSum), and its error term is added to the low part, the
 * only place where rounding happens. The row carries a bound on all rounding so far; a row whose bound is no
 * longer small relative to its sums is not trusted and must be rebuilt.
 *
 * With u = 2^−53 and P ≥ every partial sum of a batch of k additions, each addition adds at most u·P to the
 * low part, so the low part never exceeds (k+1)·u·P, and rounding it k times loses at most k(k+1)·u²·P.
 * (Ogita, Rump, Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26(6), 2005, §4.) The factors 2
 * below cover the terms of higher order and the rounding of the bounds themselves.
 */

const UNIT_ROUNDOFF = 2 ** -53;

/**
 * A bound on the error of `additions` compensated additions to a sum whose partial sums stay within `peak`.
 */
export function patchRounding(additions: number, peak: number): number {
  return 2 * additions * (additions + 1) * UNIT_ROUNDOFF * UNIT_ROUNDOFF * peak;
}

/** A bound on the error of `additions` plain additions to a sum of absolute values that ends at `peak`. */
export function rebuildRounding(additions: number, peak: number): number {
  return 2 * additions * UNIT_ROUNDOFF * peak;
}

/**
 * Whether a head row may be read: the bounds on the errors of its mass and of its weighted sum are at most
 * `tolerance` times its mass l = Σ a_j and its magnitude Σ a_j ‖v_j‖∞. The error of the output is then at
 * most 2 · tolerance · Σ w_j ‖v_j‖∞. False for NaN.
 */
export function isTrusted(
  massError: number,
  mass: number,
  sumError: number,
  magnitude: number,
  tolerance: number,
): boolean {
  return massError <= tolerance * mass && sumError <= tolerance * magnitude;
}
