/**
 * What rows are called, as bytes: JSON, a text or a number as itself, a bigint as a list of its decimal digits; the same form
 * that snapshots have (see `store/saved_ids.ts`).
 */

import { isId, type RowId } from "../write/row_ids.ts";

const ENCODER = new TextEncoder(), DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function encodeName(name: RowId): Uint8Array<ArrayBuffer> {
  return encodeNames(name);
}

export function encodeNames(names: RowId | readonly RowId[]): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(JSON.stringify(typeof names === "object" ? names.map(toEntry) : toEntry(names)));
}

/** @throws {Error} When it is no name. */
export function decodeName(bytes: Uint8Array<ArrayBuffer>): RowId {
  return toName(JSON.parse(DECODER.decode(bytes)));
}

/** @throws {Error} When they are no list of names. */
export function decodeNames(bytes: Uint8Array<ArrayBuffer>): RowId[] {
  const entries: unknown = JSON.parse(DECODER.decode(bytes));
  if (!Array.isArray(entries)) throw new Error("names are no list");
  return entries.map(toName);
}

function toEntry(name: RowId): string | number | [string] {
  return typeof name === "bigint" ? [String(name)] : name;
}

function toName(entry: unknown): RowId {
  if (Array.isArray(entry) && entry.length === 1 && /^(0|-?[1-9]\d*)$/.test(entry[0])) {
    return BigInt(entry[0]);
  }
  if (typeof entry !== "bigint" && isId(entry)) return entry;
  throw new Error("row has a name that no row can have");
}
