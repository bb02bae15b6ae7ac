/**
 * The softcap as float32 kernels take it.
 */

/**
 * Below it a capped score is less than the rounding of exp(0) even in float64; above it capping changes no
 * score in range.
 */
const LEAST = 2 ** -60, MOST = 2 ** 60;

/**
 * A softcap that float32 holds with room to spare and that weighs keys as `softcap` does; 0 stands for none.
 *
 * c·tanh(s/c) lies within ±c. Where c is below 2^−60, it is less than a rounding of any weight, as it is for
 * c = 2^−60; float32 would make such a c subnormal, or 0, which means none. Where c is above 2^60,
 * c·tanh(s/c) is s to the last bit of float64 for |s| ≤ 2^33, and beyond |s| = 2^19 kernels are not asked for
 * answers.
 */
export function kernelSoftcap(softcap: number): number {
  if (softcap === 0 || softcap > MOST) return 0;
  return Math.max(softcap, LEAST);
}
