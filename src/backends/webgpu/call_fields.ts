/**
 * The layout of a *call*, the record of a kernel's parameters. The shaders and the code that fills calls both
 * use this file, so that they cannot disagree. A word has 32 bits.
 */

/** Bytes between two calls: the largest alignment that a device may ask of uniforms. */
export const CALL_BYTES = 256;

/** The kinds of biases by distance. */
export const SLOPES = 1, TABLE = 2;

const FIELDS = {
  /** 0, a value that compilers cannot know: see `opaque` in `kernels/two_floats.ts`. */
  zero: "u32",
  headDim: "u32",
  kvHeads: "u32",
  heads: "u32",
  /** dv + 2. */
  width: "u32",
  /** The scale, in two floats. */
  scale: "f32",
  scaleLow: "f32",
  /** The softcap c and 1/c, in two floats each; 0 for none. */
  softcap: "f32",
  softcapLow: "f32",
  inverseSoftcap: "f32",
  inverseSoftcapLow: "f32",
  tolerance: "f32",
  looksAtPositions: "u32",
  /** Keys that come before this place are never too far before a query. */
  keepHigh: "u32",
  keepLow: "u32",
  /** 1 where biases are added before the softcap. */
  biasFirst: "u32",
  /** The kind of the bias by distance: none, slopes, or a table that begins at a distance. */
  distanceKind: "u32",
  firstDistance: "f32",
  distanceCount: "u32",
  distanceHeads: "u32",
  /**
   * Blocks of positions: where their biases begin, how many blocks of queries and keys, and of heads; 0 for
   * none.
   */
  blockFirst: "u32",
  blockRows: "u32",
  blockColumns: "u32",
  blockHeads: "u32",
  maskHeads: "u32",
  /** The words of a key's record, and the places at which its parts begin. */
  keyWords: "u32",
  valueStart: "u32",
  placeStart: "u32",
  biasStart: "u32",
  queryWords: "u32",
  queryPlaceStart: "u32",
  stateWords: "u32",
  /** The query slot of the first record of the page. */
  slotBase: "u32",
  /** The place of the list, its length, and the distance between the parts of two heads. */
  listFirst: "u32",
  listCount: "u32",
  listStride: "u32",
  /** The distance between the flagged rows of two heads. */
  flaggedStride: "u32",
  /** Whether the list is that of flagged rows, with its lengths before it. */
  isFlagged: "u32",
  /** The first row of this batch in the list, and the largest number of rows of a batch. */
  rowFirst: "u32",
  batchRows: "u32",
  /** `plan`: the number of batches. */
  batches: "u32",
  /** The number of parts into which the keys of a row are cut. */
  partCount: "u32",
  /**
   * The parts that this dispatch computes: the first, one more than the last, and the number of parts that
   * there are workgroups for.
   */
  partFirst: "u32",
  partEnd: "u32",
  parts: "u32",
  /** The number of terms of a part, and the largest number of them in this dispatch. */
  partTerms: "u32",
  windowTerms: "u32",
  /** The records of keys: the first one of the first part here, and the end of the last part. */
  termFirst: "u32",
  termEnd: "u32",
  /** The number of pairs with one score, which are the first terms. */
  pairs: "u32",
  /** Whether the sums of a row or of a part begin, or end, in this dispatch. */
  isFirst: "u32",
  isLast: "u32",
  /** Whether every product is summed without its rounding error. */
  isExact: "u32",
  /** The place of scores in the output. */
  outFirst: "u32",
  /** The number of words to move. */
  words: "u32",
  head: "u32",
} as const;

/** Names of the fields. */
export type CallField = keyof typeof FIELDS;

/** The values of a call; fields that are left out are 0. */
export type Call = Partial<Record<CallField, number>>;

const NAMES = Object.keys(FIELDS) as CallField[];

/** The record as a struct for shaders. */
export function callStruct(): string {
  const fields = NAMES.map((name) => `  ${name}: ${FIELDS[name]},`);
  return `struct Call {\n${fields.join("\n")}\n}\n`;
}

/** Writes a call to an upload, from word `at` on. */
export function writeCall(words: Uint32Array, numbers: Float32Array, at: number, call: Call): void {
  NAMES.forEach((name, field) => {
    const value = call[name] ?? 0;
    if (FIELDS[name] === "f32") numbers[at + field] = value;
    else words[at + field] = value;
  });
}
