/**
 * A bound on the distance between a stale output of a head row and its exact output with the pending keys.
 *
 * Let o be the row's applied output, w_j the applied weight of a pending key (0 if it is new), u_j its weight
 * after the edit on the same scale, exp(s'_j) / Σ_applied exp(s) (0 if it is deleted), v_j and v'_j its
 * values. Then, exactly,
 *
 *     o' − o = Σ_j [ u_j (v'_j − o) − w_j (v_j − o) ] / Z,     Z = 1 + Σ_j (u_j − w_j),
 *
 * where the sums run over the pending keys alone; the triangle inequality on it is the first bound. The
 * second is that o and o' are means of values, whose weights differ in total variation by at most Σ(u−w)₊/Z
 * if Z ≥ 1, else by at most Σ(w−u)₊. `docs/internals/certificates.md` derives both.
 */

// Covers the rounding of sums of some hundred terms; the bounds of the terms are part of the arguments.
const SLACK = 2 ** -40;

/** Upper bounds of sums over the pending keys of a row. */
export interface ChangeSums {
  /** An upper bound of Σ ‖u_j (v'_j − o) − w_j (v_j − o)‖. */
  readonly moved: number;
  /** An upper bound of Σ (u_j − w_j)₊. */
  readonly gained: number;
  /** An upper bound of Σ (w_j − u_j)₊. */
  readonly lost: number;
  /** An upper bound of Σ u_j ‖v'_j − v_j‖ over the keys that stay. */
  readonly shifted: number;
  /** `gained` − `lost` may be off from Σ (u_j − w_j) by as much. */
  readonly doubt: number;
}

/**
 * An upper bound of ‖o' − o‖₂. Every value, applied and pending, lies within `diameter` of every other;
 * `outputNorm` = ‖o‖.
 */
export function stalenessBound(
  { moved, gained, lost, shifted, doubt }: ChangeSums,
  diameter: number,
  outputNorm: number,
): number {
  const least = 1 + gained - lost - doubt - SLACK * (1 + gained + lost);
  // If all the mass may be gone, o' is a mean of other values, or 0 if no key is left.
  if (!(least > 0)) return Math.max(diameter, outputNorm);
  // Rounding may hide which case of the second bound holds, so the larger one counts.
  const variation = Math.min(1, Math.max(Math.min(gained, gained / least), lost));
  return Math.min(moved / least, variation * diameter + shifted / least, diameter);
}
