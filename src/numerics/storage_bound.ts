/**
 * How far attention of kept rows may be from that of the rows that were given, where keeping rounds them;
 * docs/internals/certificates.md has the derivation.
 */

import { type HeadLayout, keyHeadOf } from "./head_layout.ts";

/** By key head, the largest ‖k − k'‖ and the largest ‖v − v'‖ of all live rows. */
export interface LargestErrors {
  readonly keys: Float64Array;
  readonly values: Float64Array;
}

/** What bounds of some queries depend on beside errors. */
export interface Extents {
  /** ‖q‖ by query and head. */
  readonly norms: Float64Array;
  /** By key head, a bound on the distance of any two values that are kept. */
  readonly diameters: Float64Array;
}

/** Covers what is rounded here and in what it is made of. */
const ROUNDING = 1 + 2 ** -40;

/**
 * For each query a bound on ‖o − o'‖ over all heads: a score moves by δ = |scale|·‖q‖·‖k − k'‖ at most, so
 * weights by a total variation of tanh(δ/2), and values by ‖v − v'‖:
 *
 *     ‖o − o'‖ ≤ tanh(δ/2)·D + max ‖v − v'‖
 */
export function storageBounds(
  layout: HeadLayout,
  scale: number,
  errors: LargestErrors,
  { norms, diameters }: Extents,
): Float64Array<ArrayBuffer> {
  const { heads } = layout, bounds = new Float64Array(norms.length / heads);
  for (let at = 0; at < bounds.length; at++) {
    let squared = 0;
    for (let head = 0; head < heads; head++) {
      const keyHead = keyHeadOf(layout, head);
      const moved = ROUNDING * Math.abs(scale) * norms[at * heads + head] * errors.keys[keyHead];
      // With errors beyond float64 weights may be anything; without an error 0 · ∞ is avoided.
      const variation = moved === 0 ? 0 : Math.tanh(moved / 2) * ROUNDING;
      const own = (variation === 0 ? 0 : variation * diameters[keyHead]) + errors.values[keyHead];
      squared += own * own;
    }
    bounds[at] = ROUNDING * Math.sqrt(squared);
  }
  return bounds;
}
