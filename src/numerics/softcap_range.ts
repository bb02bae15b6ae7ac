/**
 * The range of softcaps that float32 kernels can use.
 */

/**
 * A score that is capped below LEAST is less than the rounding of exp(0) even in float64; a cap above MOST
 * changes no score in range.
 */
const LEAST = 2 ** -60, MOST = 2 ** 60;

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
  if (softcap === 0 || softcap > MOST) return 0;
  return Math.max(softcap, LEAST);
}
