/**
 * Matrices at the border of the library: row-major float32, a row a token. Everything that comes in is copied
 * first and checked afterwards, so that what was checked is what is stored.
 */

import { describe, InputError } from "./errors.ts";

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

/** What is taken for a row: an array or typed array of finite numbers, rounded to float32. */
export type RowInput = ArrayLike<number>;

/**
 * What is taken for a matrix: `{ data, shape }` with any array of numbers as data, or an array of rows of equal
 * length. A matrix without rows must be given by shape, `{ data: [], shape: [0, columns] }`.
 */
export type MatrixInput = readonly RowInput[] | {
  /** `shape[0] * shape[1]` numbers, row-major. */
  readonly data: RowInput;
  /** Rows, then columns. */
  readonly shape: readonly [rows: number, columns: number];
};

/** Copies and checks a matrix of the caller's; `name` is what the message calls it. */
export function toMatrix(operation: string, name: string, input: MatrixInput): Matrix {
  return isShaped(input) ? fromShaped(operation, name, input) : fromRows(operation, name, input);
}

/** Copies and checks a row of `length` numbers; `meaning` says in the message what the length stands for. */
export function toRow(
  operation: string,
  name: string,
  input: RowInput,
  length: number,
  meaning: string,
): Float32Array<ArrayBuffer> {
  checkArray(operation, name, input);
  if (input.length !== length) {
    throw new InputError(operation, `${name} has ${input.length} numbers`, `${length} (${meaning})`);
  }
  return toNumbers(operation, name, input);
}

type Shaped = Exclude<MatrixInput, readonly RowInput[]>;

function isShaped(input: MatrixInput): input is Shaped {
  return typeof input === "object" && input !== null && "data" in input && "shape" in input;
}

function fromShaped(operation: string, name: string, { data, shape }: Shaped): Matrix {
  checkArray(operation, `${name}.data`, data);
  const [rows, columns] = Array.isArray(shape) && shape.length === 2 ? shape : [NaN, NaN];
  if (!isCount(rows) || !isCount(columns) || columns === 0) {
    throw new InputError(operation, `${name}.shape is ${describe(shape)}`, "[rows ≥ 0, columns ≥ 1]");
  }
  if (data.length !== rows * columns) {
    throw new InputError(
      operation,
      `${name}.data has ${data.length} numbers`,
      `${rows * columns} (shape ${rows} × ${columns})`,
    );
  }
  return { data: toNumbers(operation, name, data), shape: [rows, columns] };
}

function fromRows(operation: string, name: string, rows: readonly RowInput[]): Matrix {
  if (!Array.isArray(rows)) {
    throw new InputError(operation, `${name} is ${describe(rows)}`, "{ data, shape } or an array of rows");
  }
  if (rows.length === 0) {
    throw new InputError(
      operation,
      `${name} has no rows`,
      "{ data: [], shape: [0, columns] } for an empty matrix",
    );
  }
  checkArray(operation, `${name}[0]`, rows[0]);
  const columns = rows[0].length;
  if (columns === 0) throw new InputError(operation, `${name}[0] has no numbers`, "at least 1");
  const data = new Float32Array(rows.length * columns);
  for (let i = 0; i < rows.length; i++) {
    data.set(toRow(operation, `${name}[${i}]`, rows[i], columns, `as ${name}[0]`), i * columns);
  }
  return { data, shape: [rows.length, columns] };
}

/** Whether `value` can count things: a whole number ≥ 0. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Refuses what is no array or typed array of numbers; the entries are not looked at. */
export function checkArray(operation: string, name: string, input: unknown): asserts input is RowInput {
  if (ArrayBuffer.isView(input) && input.buffer instanceof ArrayBuffer && isDetached(input.buffer)) {
    throw new InputError(operation, `${name} is a view of a detached buffer`, "an array of numbers");
  }
  const isNumbers = Array.isArray(input) || (ArrayBuffer.isView(input) && !(input instanceof DataView));
  const isBig = input instanceof BigInt64Array || input instanceof BigUint64Array;
  if (!isNumbers || isBig) {
    throw new InputError(operation, `${name} is ${describe(input)}`, "an array of numbers");
  }
}

/** As `ArrayBuffer.prototype.detached`, which Node has from version 21 on: nothing can view a detached buffer. */
function isDetached(buffer: ArrayBuffer): boolean {
  if (buffer.byteLength > 0) return false;
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

const NOT_FINITE: readonly number[] = [NaN, Infinity, -Infinity];

/** A float32 copy, in which what was no number has not become one. */
function toNumbers(operation: string, name: string, input: RowInput): Float32Array<ArrayBuffer> {
  if (input instanceof Float32Array) {
    const copy = new Float32Array(input);
    // Searches of the engine's own, fast also in code that runs for the first time.
    if (!NOT_FINITE.some((number) => copy.includes(number))) return copy;
  }
  const numbers = new Float32Array(input.length);
  for (let at = 0; at < numbers.length; at++) {
    const entry: unknown = input[at];
    if (typeof entry === "number") {
      numbers[at] = entry;
      if (Number.isFinite(numbers[at])) continue;
    }
    throw new InputError(
      operation,
      `${name} has ${describe(entry)} at index ${at}`,
      "finite numbers of float32 range",
    );
  }
  return numbers;
}
