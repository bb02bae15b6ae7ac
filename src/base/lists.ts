/**
 * Lists that a caller passes: arrays, typed arrays of numbers, and any other object with a `length` and
 * entries, as the type `ArrayLike` says.
 *
 * Invariant: a list's length and each of its entries are read once, before the engine is touched, since
 * reading them may run the caller's code.
 */

import { AttentionError, CapacityError, describe, InputError } from "./errors.ts";

/**
 * A row as callers may pass it: an array, typed array or array-like of finite numbers, which are rounded to
 * float32.
 */
export type RowInput = ArrayLike<number>;

/** A list whose length is known. Typed arrays are copied; the entries of others are still the caller's. */
export interface List {
  readonly length: number;
  /** Each entry may be read once. */
  readonly entries: ArrayLike<unknown>;
  /** The class of a typed array, "Float32Array" for example; null for any other list. */
  readonly kind: string | null;
}

const NUMBERS = "an array of numbers";
/** The condition on numbers that become float32, in words. */
export const FLOAT32 = "finite numbers of float32 range";
const NOT_FINITE: readonly number[] = [NaN, Infinity, -Infinity];

/**
 * Runs `read`, which reads the arguments of a call. An error that getters or proxies of the caller's throw
 * meanwhile becomes the `cause` of an {@link InputError}.
 */
export function reading<T>(operation: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw toInputError(operation, cause);
  }
}

/** The error of a call while whose arguments were read `cause` was thrown; errors of our own stay as they are. */
export function toInputError(operation: string, cause: unknown): AttentionError {
  if (cause instanceof AttentionError) return cause;
  const got = `reading the arguments threw ${describe(cause)}`;
  return new InputError(operation, got, "arguments that can be read", { cause });
}

/** Takes a list without reading its entries; throws when `input` is no list. */
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

/** As `takeList`, of ids, which may also lie in a typed array of bigints. */
export function takeIdList(operation: string, name: string, input: unknown, expected?: string): List {
  const kind = typedArrayKind(input);
  if (kind !== "BigInt64Array" && kind !== "BigUint64Array") {
    return takeList(operation, name, input, expected);
  }
  const view = input as BigInt64Array;
  checkAttached(operation, name, view, expected ?? "an array of ids");
  const Copy = kind === "BigInt64Array" ? BigInt64Array : BigUint64Array, length = lengthOf(view);
  const entries = allocate(operation, name, length, () => new Copy(view));
  return { length, entries, kind };
}

/** As `takeList` where few of the entries may be wanted: no copy is made, and the entries are still the caller's. */
export function takeView(operation: string, name: string, input: unknown): List {
  const kind = typedArrayKind(input);
  if (kind === null) return takeList(operation, name, input);
  checkTypedArray(operation, name, input, NUMBERS);
  return { length: lengthOf(input), entries: input, kind };
}

/** Throws when `input` is no list; makes no copy. */
export function checkArray(operation: string, name: string, input: unknown): asserts input is RowInput {
  const isObject = typeof input === "object" && input !== null && !ArrayBuffer.isView(input);
  if (!isObject || !isLength((input as Partial<RowInput>).length)) {
    checkTypedArray(operation, name, input, NUMBERS);
  }
}

/** The two entries of an array of two, each read once; null for any other input. */
export function takePair(input: unknown): [first: unknown, second: unknown] | null {
  return Array.isArray(input) && input.length === 2 ? [input[0], input[1]] : null;
}

/** A float32 copy of a list; throws when an entry is no finite number of float32 range. */
export function toNumbers(operation: string, name: string, list: List): Float32Array<ArrayBuffer> {
  const { length, entries } = list;
  if (entries instanceof Float32Array) {
    // The JavaScript engine's own searches are fast also in code that runs for the first time.
    if (!NOT_FINITE.some((number) => entries.includes(number))) return entries as Float32Array<ArrayBuffer>;
  }
  const numbers = allocate(operation, name, length, () => new Float32Array(length));
  for (let at = 0; at < length; at++) {
    const entry = entries[at];
    if (typeof entry === "number") numbers[at] = entry;
    if (typeof entry !== "number" || !Number.isFinite(numbers[at])) toNumber(operation, name, entry, at);
  }
  return numbers;
}

/** An entry of a list in float32; throws as `toNumbers` does. */
export function toNumber(
  operation: string,
  name: string,
  entry: unknown,
  at: number,
  expected: string = FLOAT32,
): number {
  const number = typeof entry === "number" ? Math.fround(entry) : NaN;
  if (Number.isFinite(number)) return number;
  throw new InputError(operation, `${name} has ${describe(entry)} at index ${at}`, expected);
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
    // Adding 0 turns −0 into 0.
    numbers[at] = entry + 0;
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

/**
 * Allocates memory for a list that a caller passed; throws a {@link CapacityError} when the platform refuses
 * it.
 */
export function allocate<T>(operation: string, name: string, length: number, make: () => T): T {
  return CapacityError.guard(operation, `a copy of ${length} numbers of ${name}`, 8 * length, make);
}

const TYPED_ARRAY = Object.getPrototypeOf(Uint8Array.prototype);
/** A getter of all typed arrays, whatever a subclass or the caller has put in its place. */
const getterOf = (name: PropertyKey) => Object.getOwnPropertyDescriptor(TYPED_ARRAY, name)?.get;
const tagOf = getterOf(Symbol.toStringTag) as (this: unknown) => string | undefined;
const ownLength = getterOf("length") as (this: ArrayBufferView) => number;
const ownBuffer = getterOf("buffer") as (this: ArrayBufferView) => ArrayBufferLike;

/** The true length of a typed array; 0 where its buffer is detached or too short by now. */
export function lengthOf(view: ArrayBufferView): number {
  return ownLength.call(view);
}

/** The true buffer of a typed array. */
export function bufferOf(view: ArrayBufferView): ArrayBufferLike {
  return ownBuffer.call(view);
}

const byteLengthOf = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength")?.get as (
  this: ArrayBufferLike,
) => number;

/** Whether a typed array lies in memory that threads share, whatever its realm. */
export function isShared(view: ArrayBufferView): boolean {
  try {
    byteLengthOf.call(bufferOf(view));
    return false;
  } catch {
    return true;
  }
}

/** The name of a typed array's class, whatever its realm or subclass; null for any other input. */
export function typedArrayKind(input: unknown): string | null {
  return tagOf.call(input) ?? null;
}

/** Throws unless `input` is a typed array of numbers whose buffer is not detached. */
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
  checkAttached(operation, name, input as Float64Array, expected);
}

function checkAttached(operation: string, name: string, view: ArrayBufferView, expected: string): void {
  const buffer = bufferOf(view);
  if (isDetached(buffer)) {
    throw new InputError(operation, `${name} is a view of a detached buffer`, expected);
  }
}

/**
 * A copy of a typed array. The constructor reads its buffer, so that overridden methods of a subclass are not
 * called.
 */
function copyOf(
  operation: string,
  name: string,
  view: Float64Array,
  kind: string | null,
): Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> {
  const Copy = kind === "Float32Array" ? Float32Array : Float64Array;
  return allocate(operation, name, lengthOf(view), () => new Copy(view));
}

/**
 * Whether a buffer is detached: no view can be made of it then. `ArrayBuffer.prototype.detached` says the
 * same, but Node has it only from version 21 on.
 */
function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength > 0) return false;
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}
