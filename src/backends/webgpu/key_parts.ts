/**
 * How the keys of a row are cut into parts, each of which is summed in a state of its own before the states
 * are merged. A sum in parts has other bits than one in a single piece; so where the cuts are depends on the
 * number of key slots alone, and not on how many rows are computed together: a row has the same bits in any
 * company.
 */

/** Key slots of a part at least: a power of two of whole tiles. */
export const PART_TERMS = 512;
/** Parts of a row at most. */
export const MOST_PARTS = 64;

/** Parts of a row: part p sums the key slots from p · `terms` on. */
export interface KeyParts {
  readonly count: number;
  readonly terms: number;
}

/**
 * Cuts key slots into parts, `most` of them at most. Parts only ever double, so slots that are added behind
 * the others and are empty again change no sum until there are twice as many.
 */
export function partsOf(slots: number, most: number = MOST_PARTS): KeyParts {
  let terms = PART_TERMS;
  while (slots > terms * most) terms *= 2;
  return { count: Math.max(1, Math.ceil(slots / terms)), terms };
}
