/**
 * Numbers that lie apart: views of a larger array, and heads before tokens. They are copied into rows, a
 * token each.
 */

import { describe, InputError } from "./errors.ts";
import { allocate, isCount, takeList, takeView, toNumber } from "./lists.ts";

/**
 * A matrix that may be a view of a larger array: number (i, c) is `data[offset + i * strides[0] + c *
 * strides[1]]`, and with a `shape` of [heads, tokens, d], number (h, i, c) of row i and column h·d + c is
 * `data[offset + h * strides[0] + i * strides[1] + c * strides[2]]`.
 */
export interface StridedMatrix {
  /** Any list of numbers. */
  readonly data: ArrayLike<number>;
  /** Rows and columns, or heads, rows and columns of a head. */
  readonly shape:
    | readonly [rows: number, columns: number]
    | readonly [heads: number, rows: number, columns: number];
  /**
   * How many numbers apart neighbours lie, for each dimension; the last dimension runs fastest unless given.
   */
  readonly strides?: readonly number[];
  /** The index of the first number; 0 unless given. */
  readonly offset?: number;
}

/** The parts of a strided matrix, each read once. */
export interface StridedParts {
  readonly data: unknown;
  readonly shape: readonly unknown[];
  readonly strides: unknown;
  readonly offset: unknown;
}

/** Rows that were copied, and how many heads they were joined of; null where the shape did not say. */
export interface JoinedRows {
  readonly data: Float32Array<ArrayBuffer>;
  readonly shape: readonly [rows: number, columns: number];
  readonly heads: number | null;
}

/** Copies and checks a strided matrix; `name` is what the message calls it. */
export function fromStrided(operation: string, name: string, parts: StridedParts): JoinedRows {
  const { offset = 0 } = parts;
  const shape = toShape(operation, `${name}.shape`, parts.shape);
  const strides = toStrides(operation, `${name}.strides`, parts.strides, shape);
  const given = takeView(operation, `${name}.data`, parts.data);
  const [heads, rows, columns] = shape.length === 3 ? shape : [1, ...shape];
  const [head, row, column] = shape.length === 3 ? strides : [0, ...strides];
  if (!isCount(offset)) {
    throw new InputError(operation, `${name}.offset is ${describe(offset)}`, "an integer ≥ 0");
  }
  const size = heads * rows * columns;
  if (parts.strides === undefined && parts.offset === undefined && given.length !== size) {
    const expected = `${size} (shape ${shape.join(" × ")})`;
    throw new InputError(operation, `${name}.data has ${given.length} numbers`, expected);
  }
  if (size > 0) checkReach(operation, name, given.length, offset, shape, strides);
  const data = allocate(operation, name, size, () => new Float32Array(size));
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < rows; i++) {
      const from = offset + h * head + i * row, to = (i * heads + h) * columns;
      // Elements between the numbers of the view do not belong to it, and may be anything.
      for (let c = 0; c < columns; c++) {
        const at = from + c * column;
        data[to + c] = toNumber(operation, `${name}.data`, given.entries[at], at);
      }
    }
  }
  return { data, shape: [rows, heads * columns], heads: shape.length === 3 ? heads : null };
}

function toShape(operation: string, name: string, input: readonly unknown[]): number[] {
  const shape = [...input], least = shape.length === 3 ? [1, 0, 1] : [0, 1];
  if (shape.every((length, at) => isCount(length) && length >= least[at])) return shape as number[];
  const expected = shape.length === 3 ? "[heads ≥ 1, rows ≥ 0, columns ≥ 1]" : "[rows ≥ 0, columns ≥ 1]";
  throw new InputError(operation, `${name} is ${describe(shape)}`, expected);
}

function toStrides(operation: string, name: string, input: unknown, shape: readonly number[]): number[] {
  if (input === undefined) return shape.map((_, at) => shape.slice(at + 1).reduce((size, n) => size * n, 1));
  const { length, entries } = takeList(operation, name, input);
  const strides = Array.from({ length: Math.min(length, 4) }, (_, at) => entries[at]);
  if (strides.length === shape.length && strides.every(Number.isSafeInteger)) return strides as number[];
  throw new InputError(operation, `${name} is ${describe(strides)}`, `${shape.length} integers, as shape`);
}

/** Refuses a view that leaves its data. */
function checkReach(
  operation: string,
  name: string,
  length: number,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
): void {
  const ends = shape.map((count, at) => (count - 1) * strides[at]);
  const first = ends.reduce((sum, end) => sum + Math.min(0, end), offset);
  const last = ends.reduce((sum, end) => sum + Math.max(0, end), offset);
  if (first >= 0 && last < length) return;
  throw new InputError(
    operation,
    `${name} reaches from number ${first} to ${last}`,
    `0 to ${length - 1} (${name}.data)`,
  );
}
