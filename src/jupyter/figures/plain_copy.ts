/**
 * Makes plain plotly data of what users hold: typed arrays, matrices, dates, bigints and iterables.
 *
 * Invariant: a copy shares nothing with its original, holds what JSON can hold, and lacks nothing that its original
 * shows: a value that has no plain form is refused by its path, never left out.
 */

import { describe, InputError } from "../../base/errors.ts";
import { typedArrayKind } from "../../base/lists.ts";
import type { PlainObject, PlainValue } from "./figure_data.ts";

/**
 * A value that figures take: what JSON can hold, `NaN` and `undefined` (gaps), bigints, typed arrays, matrices of the
 * library (lists of rows), `Date` and the types of `Temporal` (ISO dates), and other iterables (lists).
 */
export type FigureValue =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Date
  | ArrayBufferView
  | Iterable<unknown>
  | { readonly data: ArrayLike<number>; readonly shape: readonly number[] }
  | { readonly toJSON: () => unknown }
  | FigureObject;

/** An object of such values, a trace or a layout for example. */
export interface FigureObject {
  /** Values by name. */
  readonly [name: string]: FigureValue;
}

/** Objects within objects beyond this are a mistake, or go round in a circle. */
const DEEPEST = 40;
const EXPECTED = "what plotly can draw: a text, a number, a date, a list, or an object of those";
/** Properties of a trace for the user's own data: a `title` in them is not one of plotly.js. */
const OWN_MEANING = /^(meta|customdata)$/;

/**
 * A plain copy of a trace or a layout. Numbers that are not finite become null, plotly's gap, and titles that are
 * texts become `{ text }`, the only form that plotly.js still reads.
 *
 * @throws {InputError} When a value in it has no plain form.
 */
export function plainCopy(operation: string, name: string, value: object): PlainObject {
  const copy = copyOf(operation, name, value, 0);
  if (typeof copy === "object" && copy !== null && !Array.isArray(copy)) return copy as PlainObject;
  throw new InputError(operation, `${name} is ${describe(value)}`, "an object");
}

function copyOf(operation: string, path: string, value: unknown, depth: number): PlainValue {
  switch (typeof value) {
    case "boolean":
    case "string":
      return value;
    case "number":
      return Number.isFinite(value) ? value : null;
    case "bigint":
      return Number(value);
    case "undefined":
      return null;
    case "object":
      if (value === null) return null;
      if (depth < DEEPEST) return copyOfObject(operation, path, value, depth);
      throw new InputError(operation, `${path} lies ${DEEPEST} objects deep`, EXPECTED);
    default:
      throw new InputError(operation, `${path} is ${describe(value)}`, EXPECTED);
  }
}

function copyOfObject(operation: string, path: string, value: object, depth: number): PlainValue {
  const kind = typedArrayKind(value);
  if (kind !== null) return numbersOf(value as Float64Array | BigInt64Array, kind);
  if (Array.isArray(value)) return listOf(operation, path, value, depth);
  const { data, shape, dtype, bdata } = value as Record<string, unknown>;
  if (typeof bdata === "string" && typeof dtype === "string") return packed(operation, path, value);
  const dataKind = typedArrayKind(data);
  if (dataKind !== null && Array.isArray(shape)) {
    return shaped(operation, path, numbersOf(data as Float64Array, dataKind), shape);
  }
  if (isKeyed(value)) throw new InputError(operation, `${path} is ${describe(value)}`, EXPECTED);
  if (Symbol.iterator in value) {
    return listOf(operation, path, [...value as Iterable<unknown>], depth);
  }
  const written = writtenForm(value);
  return written === undefined ? copyOfFields(operation, path, value, depth) : written;
}

function listOf(operation: string, path: string, list: readonly unknown[], depth: number): PlainValue {
  // A loop is used, since `map` skips holes.
  return Array.from(list, (entry, at) => copyOf(operation, `${path}[${at}]`, entry, depth + 1));
}

/** Numbers of few bits with the digits that tell them apart, a third of those of their float64 form. */
function numbersOf(numbers: Float64Array | BigInt64Array, kind: string): PlainValue[] {
  const isShort = kind === "Float32Array" || kind === "Float16Array";
  return Array.from<number | bigint, PlainValue>(numbers, (entry) => {
    const number = Number(entry);
    return !Number.isFinite(number) ? null : isShort ? shortened(number) : number;
  });
}

function shortened(number: number): number {
  for (let digits = 7; digits < 9; digits++) {
    const short = Number(number.toPrecision(digits));
    if (Math.fround(short) === number) return short;
  }
  return Number(number.toPrecision(9));
}

/** Lists of lists, the last length innermost. */
function shaped(
  operation: string,
  path: string,
  numbers: readonly PlainValue[],
  shape: readonly unknown[],
): PlainValue {
  const lengths = shape.map(Number);
  if (lengths.reduce((product, length) => product * length, 1) !== numbers.length) {
    throw new InputError(
      operation,
      `${path}.data has ${numbers.length} numbers`,
      `those of the shape ${shape}`,
    );
  }
  const rows = (from: number, count: number, [length, ...inner]: readonly number[]): PlainValue => {
    if (length === undefined) return numbers[from];
    const each = length === 0 ? 0 : count / length;
    return Array.from({ length }, (_, at) => rows(from + at * each, each, inner));
  };
  return rows(0, numbers.length, lengths);
}

const VIEWS: Readonly<Record<string, (buffer: ArrayBuffer) => ArrayLike<number>>> = {
  i1: (buffer) => new Int8Array(buffer),
  u1: (buffer) => new Uint8Array(buffer),
  u1c: (buffer) => new Uint8ClampedArray(buffer),
  i2: (buffer) => new Int16Array(buffer),
  u2: (buffer) => new Uint16Array(buffer),
  i4: (buffer) => new Int32Array(buffer),
  u4: (buffer) => new Uint32Array(buffer),
  f4: (buffer) => new Float32Array(buffer),
  f8: (buffer) => new Float64Array(buffer),
};

/** The form in which plotly.py writes arrays: base64, with a type and, where there are rows, a shape "2, 3". */
function packed(operation: string, path: string, value: object): PlainValue {
  const { dtype, bdata, shape } = value as { dtype: string; bdata: string; shape?: unknown };
  const view = VIEWS[dtype.replace(/^\W/, "")];
  if (!view) {
    throw new InputError(operation, `${path}.dtype is ${describe(dtype)}`, Object.keys(VIEWS).join(", "));
  }
  const bytes = Uint8Array.from(atob(bdata), (letter) => letter.charCodeAt(0));
  const numbers = view(bytes.buffer) as Float64Array;
  const plain = numbersOf(numbers, typedArrayKind(numbers) ?? "");
  const lengths = typeof shape === "string" ? shape.split(",") : Array.isArray(shape) ? shape : [];
  return lengths.length === 0 ? plain : shaped(operation, path, plain, lengths);
}

/** What has entries by keys, or bytes without a type, is neither a list nor an object of plotly's. */
function isKeyed(value: object): boolean {
  return /^\[object (Map|WeakMap|WeakSet|ArrayBuffer|SharedArrayBuffer|DataView|Promise|RegExp|Error|Arguments)\]$/
    .test(Object.prototype.toString.call(value));
}

/** What an object says of itself: a date its ISO text, or null where it is invalid; undefined for other objects. */
function writtenForm(value: object): string | number | null | undefined {
  const tag = Object.prototype.toString.call(value);
  if (tag === "[object Date]") {
    const time = Date.prototype.getTime.call(value);
    return Number.isFinite(time) ? new Date(time).toISOString() : null;
  }
  // plotly.js takes no time zone in brackets, and draws local time.
  if (tag === "[object Temporal.ZonedDateTime]") {
    return String(value).replace(/(Z|[+-]\d\d:\d\d(:\d\d)?)?\[.*$/, "");
  }
  if (/^\[object (Number|Boolean|BigInt)\]$/.test(tag)) {
    return Number((value as { valueOf(): unknown }).valueOf());
  }
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (typeof toJSON !== "function") return undefined;
  const written: unknown = toJSON.call(value, "");
  return typeof written === "string" || typeof written === "number" ? written : undefined;
}

function copyOfFields(operation: string, path: string, value: object, depth: number): PlainObject {
  const names = Object.keys(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  // An instance without fields of its own would be copied as an empty object.
  if (!isPlain && names.length === 0) {
    throw new InputError(operation, `${path} is ${describe(value)}`, EXPECTED);
  }
  const copy: Record<string, PlainValue> = {};
  for (const name of names) {
    const entry: unknown = Reflect.get(value, name);
    if (entry === undefined) continue;
    const plain = copyOf(operation, `${path}.${name}`, entry, depth + 1);
    const isTitle = name === "title" && typeof plain === "string" &&
      !path.split(".").some((part) => OWN_MEANING.test(part));
    Object.defineProperty(copy, name, {
      value: isTitle ? { text: plain } : plain,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return copy;
}
