/**
 * Plain data of the caller's, as JSON holds it. `JSON.stringify` leaves out what it cannot write; here that
 * is refused.
 */

import { describe, InputError } from "./errors.ts";

/** The values that JSON can hold. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** Deeper data are refused. */
const DEEPEST = 100;
/** A snapshot holds data as the text of a text; data with more bytes than this are refused. */
const MOST_BYTES = 2 ** 23;

/**
 * A copy of plain data, which fit into the header of a snapshot; `name` is what the message calls them.
 *
 * @throws {InputError} When they are no plain data, or too long.
 */
export function toMetadata(operation: string, name: string, value: unknown): JsonValue {
  const data = toJson(operation, name, value);
  const { length } = new TextEncoder().encode(JSON.stringify(JSON.stringify(data)));
  if (length <= MOST_BYTES) return data;
  throw new InputError(operation, `${name} take ${length} bytes in a snapshot`, `at most ${MOST_BYTES}`);
}

function toJson(operation: string, name: string, value: unknown, depth = 0): JsonValue {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value as JsonValue;
  // JSON has no −0.
  if (typeof value === "number" && Number.isFinite(value)) return value + 0;
  if (depth < DEEPEST && Array.isArray(value)) {
    return Array.from(value, (entry, at) => toJson(operation, `${name}[${at}]`, entry, depth + 1));
  }
  const isPlain = depth < DEEPEST && typeof value === "object" && !(Symbol.iterator in value) &&
    isPlainPrototype(Object.getPrototypeOf(value));
  if (isPlain) {
    const entries = Object.entries(value).map(([field, entry]) =>
      [field, toJson(operation, `${name}.${field}`, entry, depth + 1)] as const
    );
    return Object.fromEntries(entries);
  }
  const expected = depth < DEEPEST
    ? "JSON: text, finite numbers, booleans, null, lists and plain objects"
    : `at most ${DEEPEST} levels`;
  throw new InputError(operation, `${name} is ${describe(value)}`, expected);
}

/** That of `{}` in any realm, or none. */
function isPlainPrototype(prototype: object | null): boolean {
  return prototype === null || (Object.getPrototypeOf(prototype) === null && "hasOwnProperty" in prototype);
}
