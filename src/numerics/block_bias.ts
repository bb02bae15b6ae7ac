/**
 * A bias that is a rule of the blocks of positions in which a query and a key lie: a block-sparse mask takes
 * memory for its blocks, and none for pairs.
 *
 *     b(h, p, r) = values[h][⌊p / querySize⌋][⌊r / keySize⌋]      −∞ where there is no such block
 *
 * for a query at position p and a key at position r.
 */

/** The biases of blocks. */
export interface BlockBias {
  /** Positions of a block of queries, and of one of keys. */
  readonly querySize: number;
  readonly keySize: number;
  /** 1 where all heads share the blocks, else H. */
  readonly heads: number;
  /** Blocks of queries and of keys. */
  readonly rows: number;
  readonly columns: number;
  /** `heads` · `rows` · `columns` numbers of float32 range; −∞ forbids a pair. */
  readonly values: Float32Array;
  /** By head, the largest of them. */
  readonly largest: Float64Array;
}

/** Biases of blocks, from those of all heads, one head after the other. */
export function toBlockBias(blocks: Omit<BlockBias, "largest">): BlockBias {
  const { heads, values } = blocks, count = values.length / heads;
  const largest = new Float64Array(heads).fill(-Infinity);
  values.forEach((bias, at) => {
    const head = Math.floor(at / count);
    if (bias > largest[head]) largest[head] = bias;
  });
  return { ...blocks, largest };
}

/** The number of the block in which a position lies; −1 if it lies in none of `count`. */
export function blockOf(position: number, size: number, count: number): number {
  const block = Math.floor(position / size);
  return block >= 0 && block < count ? block : -1;
}

/** The bias of a pair in a head. */
export function blockBiasAt(
  { querySize, keySize, heads, rows, columns, values }: BlockBias,
  head: number,
  queryPosition: number,
  keyPosition: number,
): number {
  const row = blockOf(queryPosition, querySize, rows), column = blockOf(keyPosition, keySize, columns);
  if (row < 0 || column < 0) return -Infinity;
  return values[((heads > 1 ? head : 0) * rows + row) * columns + column];
}

/** The largest bias that a pair of a head can have; 0 without blocks. */
export function largestBlockBias(blocks: BlockBias | undefined, head: number): number {
  return blocks === undefined ? 0 : blocks.largest[blocks.heads > 1 ? head : 0];
}
