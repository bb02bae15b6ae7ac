/**
 * The check of what figures are given: a figure of what is not there would be believed.
 */

import { describe, InputError } from "../errors.ts";
import type { Matrix } from "../matrix.ts";
import type { PlainValue } from "../figures/figure_data.ts";

/** Refuses what is no list. */
export function checkList(
  operation: string,
  name: string,
  value: unknown,
): asserts value is readonly unknown[] {
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) return;
  throw new InputError(operation, `${name} is ${describe(value)}`, "an array");
}

/** Refuses lists of another length than that of what they belong to. */
export function checkLength(operation: string, name: string, list: ArrayLike<unknown>, length: number): void {
  if (list.length === length) return;
  throw new InputError(operation, `${name} has ${list.length} entries`, `${length}`);
}

/** Numbers as JSON holds them, six digits each; what is no finite number is a gap. */
export function plainNumbers(numbers: ArrayLike<number | null>): (number | null)[] {
  return Array.from(numbers, (number) => number === null ? null : plainNumber(number));
}

/** Six digits, or null for what is no finite number. */
export function plainNumber(number: number): number | null {
  return Number.isFinite(number) ? Number(number.toPrecision(6)) : null;
}

/** Rows of a matrix. */
export function rowsOf<T extends PlainValue>(
  { shape: [rows, columns] }: Matrix,
  entry: (row: number, column: number) => T,
): T[][] {
  return Array.from(
    { length: rows },
    (_, row) => Array.from({ length: columns }, (_, column) => entry(row, column)),
  );
}

/** A check that `value` is a matrix. */
export function checkMatrix(operation: string, name: string, value: unknown): asserts value is Matrix {
  const { data, shape } = typeof value === "object" && value !== null
    ? value as Partial<Record<"data" | "shape", unknown>>
    : {};
  if (ArrayBuffer.isView(data) && Array.isArray(shape) && shape.length === 2) {
    const { length } = data as Float32Array;
    if (length === shape[0] * shape[1]) return;
    throw new InputError(operation, `${name}.data has ${length} numbers`, `${shape[0] * shape[1]}`);
  }
  throw new InputError(operation, `${name} is ${describe(value)}`, "{ data, shape }");
}
