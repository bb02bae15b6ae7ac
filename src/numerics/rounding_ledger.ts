/**
 * What rounding can have done to a row, as a proven bound. A row's sums are kept as two floats, high and low:
 * an addition is error-free in the high part (Knuth's TwoSum) and what it drops goes to the low part, where
 * alone rounding happens. The bound of all of it is carried with the row; a row whose bound is no longer small
 * against what it holds is not trusted and must be rebuilt.
 *
 * With u = 2^−53 and P ≥ every partial sum of a batch of k additions, each leaves at most u·P for the low part,
 * so the low part never exceeds (k+1)·u·P and rounding it k times costs at most k(k+1)·u²·P. (Ogita, Rump,
 * Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26(6), 2005, §4.) The factors 2 below cover the
 * terms of higher order and the rounding of the bounds themselves.
 */

const UNIT_ROUNDOFF = 2 ** -53;

/** Bound on what `additions` compensated additions can do to a sum whose partial sums stay within `peak`. */
export function patchRounding(additions: number, peak: number): number {
  return 2 * additions * (additions + 1) * UNIT_ROUNDOFF * UNIT_ROUNDOFF * peak;
}

/** Bound on what `additions` plain additions can do to a sum of absolute values that ends at `peak`. */
export function rebuildRounding(additions: number, peak: number): number {
  return 2 * additions * UNIT_ROUNDOFF * peak;
}

/**
 * Whether a row may be read: the bounds on the error of its mass and of its weighted sum are within `tolerance`
 * of its mass l = Σ a_j and of its magnitude Σ a_j ‖v_j‖∞. Then the output is off by at most
 * 2 · tolerance · Σ w_j ‖v_j‖∞. False for NaN.
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
