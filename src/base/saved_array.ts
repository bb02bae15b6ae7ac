/**
 * Arrays of numbers as a snapshot holds them: backends save them by name, and the readers here look them up
 * in a file that may hold anything.
 */

import { describe, FormatError } from "./errors.ts";

/** The element types of saved numbers. */
export type SavedNumbers = Float64Array | Float32Array | Uint32Array | Uint16Array | Uint8Array | Int8Array;

/** Numbers in a shape, row-major. */
export interface SavedArray {
  /** Lengths, the outermost first. */
  readonly shape: readonly number[];
  /** The numbers, as many as the product of `shape`. */
  readonly data: SavedNumbers;
}

/** Saved arrays by name. */
export type SavedArrays = Readonly<Record<string, SavedArray>>;

/** Constructors of saved numbers. */
export const ELEMENT_TYPES = {
  F64: Float64Array,
  F32: Float32Array,
  U32: Uint32Array,
  /** By their bits. */
  F16: Uint16Array,
  U8: Uint8Array,
  I8: Int8Array,
} as const;

/** Names of element types. */
export type ElementType = keyof typeof ELEMENT_TYPES;

/** The element type of saved numbers. */
export function elementTypeOf(data: SavedNumbers): ElementType {
  if (data instanceof Float64Array) return "F64";
  if (data instanceof Float32Array) return "F32";
  if (data instanceof Uint32Array) return "U32";
  if (data instanceof Uint16Array) return "F16";
  return data instanceof Uint8Array ? "U8" : "I8";
}

/** The numbers named `name`, which must be of this element type and shape; `null` lets a length be any. */
export function takeNumbers<Type extends ElementType>(
  operation: string,
  arrays: SavedArrays,
  name: string,
  type: Type,
  shape: readonly (number | null)[],
): InstanceType<(typeof ELEMENT_TYPES)[Type]> {
  return takeArray(operation, arrays, name, type, shape).data;
}

/** As `takeNumbers`, with their shape. */
export function takeArray<Type extends ElementType>(
  operation: string,
  arrays: SavedArrays,
  name: string,
  type: Type,
  shape: readonly (number | null)[],
): { readonly shape: readonly number[]; readonly data: InstanceType<(typeof ELEMENT_TYPES)[Type]> } {
  const expected = `${type} [${shape.map((length) => length ?? "any").join(", ")}]`;
  if (!Object.hasOwn(arrays, name)) throw new FormatError(operation, `tensor ${name} is missing`, expected);
  const array = arrays[name];
  const fits = array.shape.length === shape.length &&
    shape.every((length, at) => length === null || length === array.shape[at]);
  const { data } = array;
  if (fits && isOf(data, type)) return { shape: array.shape, data };
  throw new FormatError(
    operation,
    `tensor ${name} is ${elementTypeOf(data)} ${describe(array.shape)}`,
    expected,
  );
}

/** As `takeNumbers`, of any element type. */
export function takeAnyNumbers(
  operation: string,
  arrays: SavedArrays,
  name: string,
  shape: readonly number[],
): SavedNumbers {
  const type = Object.hasOwn(arrays, name) ? elementTypeOf(arrays[name].data) : "F64";
  return takeNumbers(operation, arrays, name, type, shape);
}

/** Throws when an array has a name that is not among `known`. */
export function checkArrayNames(operation: string, arrays: SavedArrays, known: readonly string[]): void {
  const stranger = Object.keys(arrays).find((name) => !known.includes(name));
  if (stranger === undefined) return;
  throw new FormatError(operation, `file has a tensor ${describe(stranger)}`, `only ${known.join(", ")}`);
}

/** Throws when one of the numbers does not pass `passes`; the error message says `expected`. */
export function checkNumbers(
  operation: string,
  name: string,
  data: SavedNumbers,
  passes: (number: number) => boolean,
  expected: string,
): void {
  for (let at = 0; at < data.length; at++) {
    if (passes(data[at])) continue;
    throw new FormatError(operation, `tensor ${name} has ${data[at]} at index ${at}`, expected);
  }
}

function isOf<Type extends ElementType>(
  data: SavedNumbers,
  type: Type,
): data is InstanceType<(typeof ELEMENT_TYPES)[Type]> {
  return data instanceof ELEMENT_TYPES[type];
}
