/**
 * The layout of a *call*, the record by which a kernel is told what to do. Written into the shaders and read
 * by what fills the records, so the two cannot drift apart. Numbers of words are of 32 bits.
 */

/** Bytes between two calls: the largest alignment that a device may ask of uniforms. */
export const CALL_BYTES = 256;

const FIELDS = {
  /** 0, which no compiler knows: see `opaque` in `kernels/two_floats.ts`. */
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
  maskHeads: "u32",
  /** Words of a record of a key, and where in it the parts begin. */
  keyWords: "u32",
  valueStart: "u32",
  biasStart: "u32",
  queryWords: "u32",
  stateWords: "u32",
  /** Query slot of the first record of the page. */
  slotBase: "u32",
  /** Where the list begins, its length, and the distance of a head's part from the last one's. */
  listFirst: "u32",
  listCount: "u32",
  listStride: "u32",
  /** The distance of a head's flagged rows from the last one's. */
  flaggedStride: "u32",
  /** Whether the list is that of flagged rows, which has its lengths before it. */
  isFlagged: "u32",
  /** Of the rows of a list, the first of this batch, and how many a batch has at most. */
  rowFirst: "u32",
  batchRows: "u32",
  /** `plan`: how many batches there are. */
  batches: "u32",
  /** Into how many parts the keys of a row are cut. */
  partCount: "u32",
  /**
   * The parts that are computed here: the first, one more than the last, and for how many there are
   * workgroups.
   */
  partFirst: "u32",
  partEnd: "u32",
  parts: "u32",
  /** Of how many terms a part is, and how many of them it takes here at most. */
  partTerms: "u32",
  windowTerms: "u32",
  /** Records of keys: the first one of the first part here, and the end of the last one. */
  termFirst: "u32",
  termEnd: "u32",
  /** How many of them, from the first on, are pairs with one score. */
  pairs: "u32",
  /** Whether the sums of a row or of a part begin or end here. */
  isFirst: "u32",
  isLast: "u32",
  /** Whether every product counts to the last bit. */
  isExact: "u32",
  /** Where scores go. */
  outFirst: "u32",
  /** Words of what is moved. */
  words: "u32",
  head: "u32",
} as const;

/** Names of the fields. */
export type CallField = keyof typeof FIELDS;

/** Numbers of a call; what is left out is 0. */
export type Call = Partial<Record<CallField, number>>;

const NAMES = Object.keys(FIELDS) as CallField[];

/** The record as shaders know it. */
export function callStruct(): string {
  const fields = NAMES.map((name) => `  ${name}: ${FIELDS[name]},`);
  return `struct Call {\n${fields.join("\n")}\n}\n`;
}

/** Writes a call at a word of an upload. */
export function writeCall(words: Uint32Array, numbers: Float32Array, at: number, call: Call): void {
  NAMES.forEach((name, field) => {
    const value = call[name] ?? 0;
    if (FIELDS[name] === "f32") numbers[at + field] = value;
    else words[at + field] = value;
  });
}
