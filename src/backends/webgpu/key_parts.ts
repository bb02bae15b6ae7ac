/**
 * Cuts the keys of a head row into parts, each of which is summed in a state of its own before the states are
 * merged. A sum in parts has other bits than one without parts, so the cuts depend on the number of key slots
 * alone, and not on how many rows are computed together.
 */

/** The least number of key slots of a part: whole tiles, a power of two of them. */
export const PART_TERMS = 512;
/** The largest number of parts of a row. */
export const MOST_PARTS = 64;

/** The parts of a row: part p sums the key slots from p · `terms` on. */
export interface KeyParts {
  readonly count: number;
  readonly terms: number;
}

/**
 * Cuts key slots into at most `most` parts. The size of parts only doubles, so slots that are appended and
 * emptied again change no sum until there are twice as many slots.
 */
export function partsOf(slots: number, most: number = MOST_PARTS): KeyParts {
  let terms = PART_TERMS;
  while (slots > terms * most) terms *= 2;
  return { count: Math.max(1, Math.ceil(slots / terms)), terms };
}
