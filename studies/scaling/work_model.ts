// A model of the work: multiply-adds, bytes moved, and the number of edits that take as long as a peer's
// recomputing.
//
// m rows, n keys, d = dv numbers a key and a value. Beside its dv columns a sum of values has two more: mass,
// and the magnitude that the ledger of rounding goes by.

/** Multiply-adds of every row from scratch. */
export function rebuildFormula(queryCount: number, keyCount: number, headDim: number): number {
  return queryCount * keyCount * (headDim + columnsOf(headDim));
}

/** The kinds of edits. */
export type Changed = "keys" | "keys and values";

/**
 * Multiply-adds of exchanging a number of keys in every row: old contributions are subtracted, new ones
 * added.
 */
export function patchFormula(
  queryCount: number,
  changes: number,
  headDim: number,
  changed: Changed = "keys and values",
): number {
  // Two scores; of a value that stays, the difference of two weights is added once.
  const sums = (changed === "keys" ? 1 : 2) * columnsOf(headDim);
  return queryCount * changes * (2 * headDim + sums);
}

/**
 * Changed keys from which a peer that computes from scratch `faster` times as fast as the engine is cheaper.
 */
export function foretoldBreakEven(
  keyCount: number,
  headDim: number,
  faster: number,
  changed: Changed,
): number {
  return rebuildFormula(1, keyCount, headDim) / patchFormula(1, 1, headDim, changed) / faster;
}

/** Rows whose sums the kernels keep side by side. */
const BLOCK = 8;
const FLOAT = 4;

/**
 * Bytes that a patch of keys alone moves for each row, in float32: its query; its sums, in two floats each,
 * read and written; and of each changed key two rows and a value for every eight rows.
 */
export function patchBytes(changes: number, headDim: number): number {
  const sums = 2 * 2 * columnsOf(headDim), terms = changes * 3 * headDim / BLOCK;
  return FLOAT * (headDim + sums + terms);
}

function columnsOf(valueDim: number): number {
  return valueDim + 2;
}
