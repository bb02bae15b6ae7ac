/**
 * Matrices at the border of the library: row-major float32, one row per token.
 *
 * Invariant: input is copied first and checked afterwards, so that the numbers that are stored are those that
 * were checked.
 */

import { describe, InputError } from "./errors.ts";
import { allocate, isCount, type List, type RowInput, takeList, takePair, toNumbers } from "./lists.ts";
import { checkNames } from "./names.ts";

export { checkArray, isCount, type RowInput, toRow } from "./lists.ts";

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
 * columns] }`.
 */
export type MatrixInput = ArrayLike<RowInput> | {
  /** `shape[0] * shape[1]` numbers, row-major. */
  readonly data: RowInput;
  /** Rows, then columns. */
  readonly shape: readonly [rows: number, columns: number];
};

/**
 * The fields of a matrix. A third one, a stride for example, is refused, since ignoring it could change the
 * meaning.
 */
const FIELDS = ["data", "shape"];
const EXPECTED = "{ data, shape } or an array of rows";

/** Data whose number of entries is that of its shape. */
export interface ShapedList {
  readonly list: List;
  readonly shape: readonly [rows: number, columns: number];
}

/** Copies and checks a matrix that a caller passes; error messages call it `name`. */
export function toMatrix(operation: string, name: string, input: MatrixInput): Matrix {
  if (!isShaped(input)) return fromRows(operation, name, input);
  const { list, shape } = takeShaped(operation, name, input, 1);
  return { data: toNumbers(operation, name, list), shape };
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
  const [rows, columns] = shape;
  if (list.length !== rows * columns) {
    throw new InputError(
      operation,
      `${name}.data has ${list.length} numbers`,
      `${rows * columns} (shape ${rows} × ${columns})`,
    );
  }
  return { list, shape };
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
    const row = takeList(operation, `${name}[${i}]`, entries[i]);
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
