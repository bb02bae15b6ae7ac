/**
 * Lists of the caller's: arrays, typed arrays of numbers, and any other object with a `length` and entries, as the type
 * `ArrayLike` says. A list's length and each of its entries are read once, and nothing of the engine has been touched until
 * all of them are, since reading them may run the caller's code.
 */

import { AttentionError, CapacityError, describe, InputError } from "./errors.ts";

/** What is taken for a row: an array, typed array or array-like of finite numbers, rounded to float32. */
export type RowInput = ArrayLike<number>;

/** A list whose length is known. Typed arrays are copied; the entries of others are still the caller's. */
export interface List {
  readonly length: number;
  /** Each may be read once. */
  readonly entries: ArrayLike<unknown>;
  /** "Float32Array" and the like; null for what is no typed array. */
  readonly kind: string | null;
}

const NUMBERS = "an array of numbers";
/** What numbers that become float32 must be, in words. */
export const FLOAT32 = "finite numbers of float32 range";
const NOT_FINITE: readonly number[] = [NaN, Infinity, -Infinity];

/**
 * Runs what reads the arguments of a call. What getters, proxies and the like of the caller's throw meanwhile becomes an
 * error of the library, with theirs as its `cause`.
 */
export function reading<T>(operation: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof AttentionError) throw cause;
    throw new InputError(
      operation,
      `reading the arguments threw ${describe(cause)}`,
      "arguments that can be read",
      { cause },
    );
  }
}

/** Takes a list, whose entries are not looked at yet; refuses what is none. */
export function takeList(operation: string, name: string, input: unknown, expected = NUMBERS): List {
  const kind = typedArrayKind(input);
  if (kind === null && typeof input === "object" && input !== null && !ArrayBuffer.isView(input)) {
    const { length } = input as Partial<ArrayLike<unknown>>;
    if (isLength(length)) return { length, entries: input as ArrayLike<unknown>, kind };
  }
  checkTypedArray(operation, name, input, expected);
  const entries = copyOf(operation, name, input, kind);
  return { length: entries.length, entries, kind };
}

/** Refuses what is no list, without a copy. */
export function checkArray(operation: string, name: string, input: unknown): asserts input is RowInput {
  const isObject = typeof input === "object" && input !== null && !ArrayBuffer.isView(input);
  if (!isObject || !isLength((input as Partial<RowInput>).length)) {
    checkTypedArray(operation, name, input, NUMBERS);
  }
}

/** Two entries of an array, each read once; null for what is no array of two. */
export function takePair(input: unknown): [first: unknown, second: unknown] | null {
  return Array.isArray(input) && input.length === 2 ? [input[0], input[1]] : null;
}

/** A float32 copy of a list, in which nothing has become a number that was none. */
export function toNumbers(operation: string, name: string, list: List): Float32Array<ArrayBuffer> {
  const { length, entries } = list;
  if (entries instanceof Float32Array) {
    // Searches of the engine's own, fast also in code that runs for the first time.
    if (!NOT_FINITE.some((number) => entries.includes(number))) return entries as Float32Array<ArrayBuffer>;
  }
  const numbers = allocate(operation, name, length, () => new Float32Array(length));
  for (let at = 0; at < length; at++) {
    const entry = entries[at];
    if (typeof entry === "number") {
      numbers[at] = entry;
      if (Number.isFinite(numbers[at])) continue;
    }
    throw new InputError(operation, `${name} has ${describe(entry)} at index ${at}`, FLOAT32);
  }
  return numbers;
}

/** A float64 copy of a list of finite numbers. */
export function toFiniteNumbers(operation: string, name: string, list: List): Float64Array<ArrayBuffer> {
  const { length, entries } = list;
  const numbers = allocate(operation, name, length, () => new Float64Array(length));
  for (let at = 0; at < length; at++) {
    const entry = entries[at];
    if (typeof entry !== "number" || !Number.isFinite(entry)) {
      throw new InputError(operation, `${name} has ${describe(entry)} at index ${at}`, "finite numbers");
    }
    numbers[at] = entry;
  }
  return numbers;
}

/** Whether `value` can be the length of an array. */
function isLength(value: unknown): value is number {
  return isCount(value) && value < 2 ** 32;
}

/** Whether `value` can count things: a whole number ≥ 0. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Memory for what a caller passed, or a refusal. */
export function allocate<T>(operation: string, name: string, length: number, make: () => T): T {
  return CapacityError.guard(operation, `a copy of ${length} numbers of ${name}`, 8 * length, make);
}

const tagOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined;

/** The name of a typed array's class, of whatever realm or subclass it is; null for what is no typed array. */
export function typedArrayKind(input: unknown): string | null {
  return tagOf.call(input) ?? null;
}

/** Refuses all but typed arrays of numbers whose buffer is there. */
function checkTypedArray(
  operation: string,
  name: string,
  input: unknown,
  expected: string,
): asserts input is Float64Array {
  const kind = typedArrayKind(input);
  if (kind === null || kind.startsWith("Big")) {
    throw new InputError(operation, `${name} is ${describe(input)}`, expected);
  }
  const { buffer } = input as Float64Array;
  if (buffer instanceof ArrayBuffer && isDetached(buffer)) {
    throw new InputError(operation, `${name} is a view of a detached buffer`, expected);
  }
}

/** A copy of a typed array; constructors copy what it holds, whatever its subclass says of it. */
function copyOf(
  operation: string,
  name: string,
  view: ArrayLike<number>,
  kind: string | null,
): Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> {
  const Copy = kind === "Float32Array" ? Float32Array : Float64Array;
  return allocate(operation, name, view.length, () => new Copy(view));
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
