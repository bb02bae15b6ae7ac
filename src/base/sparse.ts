/**
 * Rows and matrices of which most numbers are 0, by those that are not. They are written out when they come
 * in: what an engine holds is dense.
 */

import { describe, InputError } from "./errors.ts";
import { allocate, isCount, type List, type RowInput, takeList, toNumbers } from "./lists.ts";
import { checkNames } from "./names.ts";

/**
 * A row by its numbers that are not 0: number `values[t]` is in column `indices[t]`, in any order and none
 * twice.
 */
export interface SparseRow {
  /** Columns. */
  readonly indices: ArrayLike<number>;
  /** As many numbers. */
  readonly values: ArrayLike<number>;
}

/** A row as it is, or by its numbers that are not 0. */
export type VectorInput = RowInput | SparseRow;

/**
 * A matrix by its numbers that are not 0, as SciPy's `csr_matrix` names them: those of row i are `data[t]` in
 * column `indices[t]` for t from `indptr[i]` to `indptr[i + 1] − 1`, in any order and none twice.
 */
export interface CsrMatrix {
  /** The numbers. */
  readonly data: ArrayLike<number>;
  /** The column of each. */
  readonly indices: ArrayLike<number>;
  /** The index at which each row begins, and finally the end of the last one: one more number than rows. */
  readonly indptr: ArrayLike<number>;
  /** Rows, then columns. */
  readonly shape: readonly [rows: number, columns: number];
}

/** Rows by their numbers that are not 0, beside the shape that says how many columns there are. */
export interface SparseRows {
  /** `shape[0]` rows, which may also be lists of `shape[1]` numbers. */
  readonly data: ArrayLike<VectorInput>;
  /** Rows, then columns. */
  readonly shape: readonly [rows: number, columns: number];
}

/** Whether `input` is a sparse row, as far as its names go. */
export function isSparseRow(input: unknown): input is SparseRow {
  return typeof input === "object" && input !== null && !ArrayBuffer.isView(input) && !Array.isArray(input) &&
    "indices" in input;
}

/** Whether `input` is a sparse matrix, as far as its names go. */
export function isCsr(input: unknown): input is CsrMatrix {
  return typeof input === "object" && input !== null && "indptr" in input;
}

/** Writes out a sparse row of `length` numbers; `meaning` says in the message what the length stands for. */
export function fromSparseRow(
  operation: string,
  name: string,
  input: SparseRow,
  length: number,
  meaning: string,
): Float32Array<ArrayBuffer> {
  checkNames(operation, input, ["indices", "values"], `${name} field`);
  const columns = takeList(operation, `${name}.indices`, input.indices);
  const list = takeList(operation, `${name}.values`, input.values);
  checkLengths(operation, `${name}.indices`, columns, `${name}.values`, list);
  const values = toNumbers(operation, `${name}.values`, list);
  const row = new Float32Array(length), isSet = new Uint8Array(length);
  for (let t = 0; t < columns.length; t++) {
    const column = takeColumn(operation, `${name}.indices`, columns.entries[t], t, length, meaning);
    if (isSet[column] === 1) {
      throw new InputError(operation, `${name}.indices has ${column} twice`, "each column once");
    }
    isSet[column] = 1;
    row[column] = values[t];
  }
  return row;
}

/** Writes out a sparse matrix whose shape has been checked. */
export function fromCsr(
  operation: string,
  name: string,
  input: Omit<CsrMatrix, "shape">,
  [rows, columns]: readonly [rows: number, columns: number],
): Float32Array<ArrayBuffer> {
  const list = takeList(operation, `${name}.data`, input.data);
  const indices = takeList(operation, `${name}.indices`, input.indices);
  const starts = takeList(operation, `${name}.indptr`, input.indptr);
  checkLengths(operation, `${name}.indices`, indices, `${name}.data`, list);
  if (starts.length !== rows + 1) {
    throw new InputError(operation, `${name}.indptr has ${starts.length} numbers`, `${rows + 1} (rows + 1)`);
  }
  const values = toNumbers(operation, `${name}.data`, list);
  const dense = allocate(operation, name, rows * columns, () => new Float32Array(rows * columns));
  // For each column this is the last row that had a number in it.
  const lastRow = allocate(operation, name, columns, () => new Int32Array(columns).fill(-1));
  let start = takeStart(operation, name, starts.entries[0], 0, 0, 0);
  for (let row = 0; row < rows; row++) {
    const end = takeStart(operation, name, starts.entries[row + 1], row + 1, start, values.length);
    for (let t = start; t < end; t++) {
      const column = takeColumn(operation, `${name}.indices`, indices.entries[t], t, columns, "columns");
      if (lastRow[column] === row) {
        const expected = "each column once, as sum_duplicates() makes it";
        throw new InputError(operation, `${name}.indices has ${column} twice in row ${row}`, expected);
      }
      lastRow[column] = row;
      dense[row * columns + column] = values[t];
    }
    start = end;
  }
  if (start !== values.length) {
    throw new InputError(
      operation,
      `${name}.indptr ends with ${start}`,
      `${values.length} (numbers of data)`,
    );
  }
  return dense;
}

function checkLengths(operation: string, aName: string, a: List, bName: string, b: List): void {
  if (a.length === b.length) return;
  throw new InputError(operation, `${aName} has ${a.length} numbers`, `${b.length} (as ${bName})`);
}

function takeColumn(
  operation: string,
  name: string,
  entry: unknown,
  at: number,
  length: number,
  meaning: string,
): number {
  if (isCount(entry) && entry < length) return entry;
  const expected = `integers from 0 to ${length - 1} (below ${meaning})`;
  throw new InputError(operation, `${name} has ${describe(entry)} at index ${at}`, expected);
}

function takeStart(
  operation: string,
  name: string,
  entry: unknown,
  at: number,
  least: number,
  most: number,
): number {
  if (isCount(entry) && entry >= least && entry <= most) return entry;
  const expected = most === least ? `${least}` : `an integer from ${least} to ${most}`;
  throw new InputError(operation, `${name}.indptr has ${describe(entry)} at index ${at}`, expected);
}
