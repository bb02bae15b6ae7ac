/**
 * The check of what figures are given: a figure of what is not there would be believed.
 */

import { describe, InputError } from "../base/errors.ts";
import { checkArray, typedArrayKind } from "../base/lists.ts";
import type { Matrix } from "../base/matrix.ts";
import type { PlainValue } from "./figures/figure_data.ts";

/** Refuses what is no list. */
export function checkList(
  operation: string,
  name: string,
  value: unknown,
): asserts value is readonly unknown[] {
  if (Array.isArray(value)) return;
  if (typedArrayKind(value) === null) {
    throw new InputError(operation, `${name} is ${describe(value)}`, "an array");
  }
  checkArray(operation, name, value);
}

/** Refuses lists of another length than that of what they belong to. */
export function checkLength(operation: string, name: string, list: ArrayLike<unknown>, length: number): void {
  if (list.length === length) return;
  throw new InputError(operation, `${name} has ${list.length} entries`, `${length}`);
}

/** Refuses lists of which an entry does not pass; `expected` says what does. */
export function checkEntries(
  operation: string,
  name: string,
  list: ArrayLike<unknown>,
  passes: (entry: unknown) => boolean,
  expected: string,
): void {
  for (let at = 0; at < list.length; at++) {
    if (passes(list[at])) continue;
    throw new InputError(operation, `${name} has ${describe(list[at])} at index ${at}`, expected);
  }
}

/** Refuses what is no list of texts, or of numbers that stand for themselves, or of another length. */
export function checkTexts(
  operation: string,
  name: string,
  texts: unknown,
  length: number,
): asserts texts is readonly string[] {
  checkList(operation, name, texts);
  checkLength(operation, name, texts, length);
  const isText = (text: unknown) => typeof text === "string" || typeof text === "number";
  checkEntries(operation, name, texts, isText, "texts");
}

/** Refuses what is no list of numbers; null is a gap where there may be any. */
export function checkNumberList(
  operation: string,
  name: string,
  numbers: unknown,
  { gaps }: { readonly gaps: boolean },
): asserts numbers is readonly (number | null)[] {
  checkList(operation, name, numbers);
  const isNumber = (number: unknown) => typeof number === "number" || (gaps && number === null);
  checkEntries(operation, name, numbers, isNumber, gaps ? "numbers, or null for a gap" : "numbers");
}

/** Refuses what is no matrix of a shape. */
export function checkShape(
  operation: string,
  name: string,
  value: unknown,
  rows: number,
  columns: number,
): asserts value is Matrix {
  checkMatrix(operation, name, value);
  if (value.shape[0] === rows && value.shape[1] === columns) return;
  throw new InputError(operation, `${name}.shape is ${describe(value.shape)}`, describe([rows, columns]));
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
  const kind = typedArrayKind(data);
  if (kind !== null && !kind.startsWith("Big") && Array.isArray(shape) && shape.length === 2) {
    const { length } = data as Float32Array;
    if (length === shape[0] * shape[1]) return;
    throw new InputError(operation, `${name}.data has ${length} numbers`, `${shape[0] * shape[1]}`);
  }
  throw new InputError(operation, `${name} is ${describe(value)}`, "{ data, shape }");
}
