/**
 * A bias that is a rule of the distance of a pair, keyPosition − queryPosition: it is computed from the
 * positions whenever a score is, and takes no memory for a pair.
 *
 *     ALiBi    b(h, distance) = −slope_h · |distance|
 *     table    b(h, distance) = values[h][distance − from], the first and the last entry beyond the ends
 *
 * Source: Press, Smith and Lewis, "Train Short, Test Long", arXiv 2108.12409, §3, for ALiBi and its slopes;
 * Raffel et al., arXiv 1910.10683, §2.1, for a table of distances.
 */

/** Slopes of ALiBi, by query head. */
export interface SlopeBias {
  readonly kind: "slopes";
  /** H finite numbers ≥ 0. */
  readonly slopes: Float64Array;
}

/** A table by whole distances; positions must then be whole numbers. */
export interface TableBias {
  readonly kind: "table";
  /** The distance of the first entry. */
  readonly from: number;
  /** Entries of a head. */
  readonly count: number;
  /** 1 where all heads share a table, else H. */
  readonly heads: number;
  /** `heads` · `count` numbers of float32 range; −∞ forbids a pair. */
  readonly values: Float32Array;
  /** By head, the largest entry. */
  readonly largest: Float64Array;
}

/** A bias by distance. */
export type DistanceBias = SlopeBias | TableBias;

/** Positions of a table are whole numbers below this, so that every backend takes the same entry. */
export const MOST_PLACE = 2 ** 46;

/** A table of the numbers of all heads, one head after the other. */
export function toTableBias(from: number, heads: number, values: Float32Array): TableBias {
  const count = values.length / heads, largest = new Float64Array(heads).fill(-Infinity);
  values.forEach((bias, at) => {
    const head = Math.floor(at / count);
    if (bias > largest[head]) largest[head] = bias;
  });
  return { kind: "table", from, count, heads, values, largest };
}

/** The bias of a head for a pair at a distance, keyPosition − queryPosition. */
export function biasAt(bias: DistanceBias, head: number, distance: number): number {
  if (bias.kind === "slopes") return -bias.slopes[head] * Math.abs(distance);
  const { from, count, heads, values } = bias;
  const at = Math.min(Math.max(distance - from, 0), count - 1);
  return values[(heads > 1 ? head * count : 0) + at];
}

/** The largest bias that a head can have; 0 without any. */
export function largestDistanceBias(bias: DistanceBias | undefined, head: number): number {
  if (bias === undefined || bias.kind === "slopes") return 0;
  return bias.largest[bias.heads > 1 ? head : 0];
}

/**
 * The slopes of ALiBi for H heads: 2^(−8/H), 2^(−16/H), …, 2^−8 where H is a power of two; else those of the
 * power of two below H, and then every other one of the next power of two.
 */
export function alibiSlopes(heads: number): Float64Array {
  const below = 2 ** Math.floor(Math.log2(heads));
  return Float64Array.from({ length: heads }, (_, head) => {
    return head < below ? 2 ** (-8 * (head + 1) / below) : 2 ** (-4 * (2 * (head - below) + 1) / below);
  });
}
