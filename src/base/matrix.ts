/**
 * Matrices at the border of the library: row-major float32, one row per token.
 *
 * Invariant: input is copied first and checked afterwards, so that the numbers that are stored are those that
 * were checked.
 */

import { describe, InputError } from "./errors.ts";
import {
  allocate,
  isCount,
  type List,
  type RowInput,
  takeList,
  takePair,
  toNumber,
  toNumbers,
} from "./lists.ts";
import { checkNames } from "./names.ts";
import { fromStrided, type JoinedRows, type StridedMatrix } from "./strided.ts";
import {
  type CsrMatrix,
  fromCsr,
  fromSparseRow,
  isCsr,
  isSparseRow,
  type SparseRows,
  type VectorInput,
} from "./sparse.ts";

export { checkArray, isCount, type RowInput } from "./lists.ts";
export type { StridedMatrix } from "./strided.ts";
export type { CsrMatrix, SparseRow, SparseRows, VectorInput } from "./sparse.ts";

/**
 * A matrix of float32 numbers, row after row: the number in row `i` and column `c` is
 * `data[i * shape[1] + c]`.
 */
export interface Matrix {
  /** `shape[0] * shape[1]` numbers, row-major. */
  readonly data: Float32Array<ArrayBuffer>;
  /** Rows, then columns. */
  readonly shape: readonly [rows: number, columns: number];
}

/**
 * A matrix as callers may pass it: `{ data, shape }` and no other field, with any list of numbers as data, or
 * a list of rows of equal length. A matrix without rows must be given by its shape, `{ data: [], shape: [0,
 * columns] }`. A view of a larger array, or one of [heads, tokens, d], may be a {@link StridedMatrix}, and a
 * matrix of which most numbers are 0 a {@link CsrMatrix} or {@link SparseRows}. A list of sparse rows without a
 * shape is refused, since nothing says how many columns there are.
 */
export type MatrixInput =
  | ArrayLike<RowInput>
  | {
    /** `shape[0] * shape[1]` numbers, row-major. */
    readonly data: RowInput;
    /** Rows, then columns. */
    readonly shape: readonly [rows: number, columns: number];
  }
  | StridedMatrix
  | CsrMatrix
  | SparseRows;

/** The fields of a plain matrix. A third one is refused, since ignoring it could change the meaning. */
const FIELDS = ["data", "shape"];
const STRIDED_FIELDS = ["data", "shape", "strides", "offset"];
const EXPECTED = "{ data, shape } or an array of rows";

/** Data whose number of entries is that of its shape. */
export interface ShapedList {
  readonly list: List;
  readonly shape: readonly [rows: number, columns: number];
}

/** Copies and checks a matrix that a caller passes; error messages call it `name`. */
export function toMatrix(operation: string, name: string, input: MatrixInput): Matrix {
  const { data, shape } = toJoinedRows(operation, name, input);
  return { data, shape };
}

/** As `toMatrix`, with the number of heads where the shape says it. */
export function toJoinedRows(operation: string, name: string, input: MatrixInput): JoinedRows {
  if (isCsr(input)) {
    checkNames(operation, input, ["data", "indices", "indptr", "shape"], `${name} field`);
    const shape = takeShape(operation, `${name}.shape`, input.shape, 1);
    return { data: fromCsr(operation, name, input, shape), shape, heads: null };
  }
  if (!isShaped(input)) return { ...fromRows(operation, name, input), heads: null };
  checkNames(operation, input, STRIDED_FIELDS, `${name} field`);
  const { data, shape, strides, offset } = input as Partial<StridedMatrix>;
  const isView = strides !== undefined || offset !== undefined;
  if (Array.isArray(shape) && (isView || shape.length === 3)) {
    return fromStrided(operation, name, { data, shape, strides, offset });
  }
  const list = takeList(operation, `${name}.data`, data),
    size = takeShape(operation, `${name}.shape`, shape, 1);
  // An entry for each row may be that row. Each entry is read once.
  const isRows = list.kind === null && list.length === size[0];
  if (isRows) return { data: fromVectors(operation, name, list, size), shape: size, heads: null };
  checkSize(operation, name, list, size);
  return { data: toNumbers(operation, name, list), shape: size, heads: null };
}

/** Copies and checks a row of `length` numbers; `meaning` says in the message what the length stands for. */
export function toRow(
  operation: string,
  name: string,
  input: VectorInput,
  length: number,
  meaning: string,
): Float32Array<ArrayBuffer> {
  if (isSparseRow(input)) return fromSparseRow(operation, name, input, length, meaning);
  const list = takeList(operation, name, input);
  if (list.length !== length) {
    throw new InputError(operation, `${name} has ${list.length} numbers`, `${length} (${meaning})`);
  }
  return toNumbers(operation, name, list);
}

/** As `toMatrix`, but without a check of the entries; rows are joined to one list. */
export function takeMatrix(operation: string, name: string, input: unknown): ShapedList {
  if (isShaped(input)) return takeShaped(operation, name, input, 1);
  const entries: unknown[] = [];
  const shape = visitRows(operation, name, input, ({ length, entries: row }) => {
    for (let c = 0; c < length; c++) entries.push(row[c]);
  });
  return { list: { length: entries.length, entries, kind: null }, shape };
}

/** Whether `input` is `{ data, shape }`, as far as its names go. */
export function isShaped(input: unknown): input is { readonly data: unknown; readonly shape: unknown } {
  return typeof input === "object" && input !== null && "data" in input && "shape" in input;
}

/**
 * Checks the lengths of `{ data, shape }`, which must have `leastColumns` columns or more; entries are not
 * read.
 */
export function takeShaped(
  operation: string,
  name: string,
  input: { readonly data: unknown; readonly shape: unknown },
  leastColumns: 0 | 1,
): ShapedList {
  checkNames(operation, input, FIELDS, `${name} field`);
  const { data, shape: given } = input;
  const list = takeList(operation, `${name}.data`, data);
  const shape = takeShape(operation, `${name}.shape`, given, leastColumns);
  checkSize(operation, name, list, shape);
  return { list, shape };
}

/** Checks that a list has as many numbers as its shape says. */
export function checkSize(
  operation: string,
  name: string,
  list: List,
  [rows, columns]: Matrix["shape"],
): void {
  if (list.length === rows * columns) return;
  throw new InputError(
    operation,
    `${name}.data has ${list.length} numbers`,
    `${rows * columns} (shape ${rows} × ${columns})`,
  );
}

/** Rows of any form, or numbers where there is one column. */
function fromVectors(
  operation: string,
  name: string,
  list: List,
  [rows, columns]: Matrix["shape"],
): Float32Array<ArrayBuffer> {
  const data = allocate(operation, name, rows * columns, () => new Float32Array(rows * columns));
  for (let i = 0; i < rows; i++) {
    const row = list.entries[i];
    if (typeof row === "object" && row !== null) {
      const numbers = toRow(operation, `${name}.data[${i}]`, row as VectorInput, columns, "columns");
      data.set(numbers, i * columns);
      continue;
    }
    if (columns > 1) checkSize(operation, name, list, [rows, columns]);
    data[i] = toNumber(operation, name, row, i);
  }
  return data;
}

/** Copies and checks a shape of two lengths; error messages call the second one `columns`. */
export function takeShape(
  operation: string,
  name: string,
  input: unknown,
  leastColumns: 0 | 1,
  columns = "columns",
): readonly [rows: number, columns: number] {
  const [first, second] = takePair(input) ?? [];
  if (isCount(first) && isCount(second) && second >= leastColumns) return [first, second];
  const given = first === undefined ? input : [first, second];
  throw new InputError(
    operation,
    `${name} is ${describe(given)}`,
    `[rows ≥ 0, ${columns} ≥ ${leastColumns}]`,
  );
}

function fromRows(operation: string, name: string, input: unknown): Matrix {
  let data = new Float32Array(0);
  const shape = visitRows(operation, name, input, (row, i, rowCount) => {
    const size = rowCount * row.length;
    if (i === 0) data = allocate(operation, name, size, () => new Float32Array(size));
    data.set(toNumbers(operation, `${name}[${i}]`, row), i * row.length);
  });
  return { data, shape };
}

/**
 * Calls `visit` with each of the rows, of which there must be at least one, once its length is checked to be
 * that of the first.
 */
function visitRows(
  operation: string,
  name: string,
  input: unknown,
  visit: (row: List, i: number, rowCount: number) => void,
): readonly [rows: number, columns: number] {
  const { length, entries, kind } = takeList(operation, name, input, EXPECTED);
  if (kind !== null) throw new InputError(operation, `${name} is ${describe(input)}`, EXPECTED);
  if (length === 0) {
    throw new InputError(
      operation,
      `${name} has no rows`,
      "{ data: [], shape: [0, columns] } for an empty matrix",
    );
  }
  let columns = 0;
  for (let i = 0; i < length; i++) {
    const entry = entries[i];
    if (isSparseRow(entry)) {
      const expected = "{ data: rows, shape: [rows, columns] }, which says how many columns there are";
      throw new InputError(operation, `${name}[${i}] is a sparse row`, expected);
    }
    const row = takeList(operation, `${name}[${i}]`, entry);
    if (i === 0) columns = row.length;
    if (columns === 0) throw new InputError(operation, `${name}[0] has no numbers`, "at least 1");
    if (row.length !== columns) {
      const expected = `${columns} (as ${name}[0])`;
      throw new InputError(operation, `${name}[${i}] has ${row.length} numbers`, expected);
    }
    visit(row, i, length);
  }
  return [length, columns];
}
