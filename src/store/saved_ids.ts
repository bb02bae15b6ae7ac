/**
 * Ids of rows in a snapshot: a JSON list as bytes of UTF-8, an entry a slot. Text and numbers are themselves,
 * a bigint is a list of its decimal digits, and null is a slot without a row.
 */

import { describe, FormatError } from "../base/errors.ts";
import { type SavedArrays, takeArray } from "../base/saved_array.ts";
import { isId, type RowId, type SavedIds } from "../write/row_ids.ts";
import type { MetadataReader } from "./metadata.ts";
import { writeNumber } from "./metadata.ts";

/** The tensor that holds them. */
export function encodeIds({ ids }: SavedIds): Uint8Array<ArrayBuffer> {
  const entries = ids.map((id) => typeof id === "bigint" ? [String(id)] : id);
  return new TextEncoder().encode(JSON.stringify(entries));
}

/** The metadata of ids: the next number, or "given". */
export function writeNextId(ids: SavedIds | null): string {
  return ids === null ? "none" : ids.next === null ? "given" : writeNumber(ids.next);
}

/**
 * Reads them, null where there are none.
 *
 * @throws {FormatError} When they are not what an engine with these free slots can have had.
 */
export function takeIds(
  operation: string,
  reader: MetadataReader,
  tensors: SavedArrays,
  what: "key" | "query",
  { size, free }: { readonly size: number; readonly free: Uint32Array },
): SavedIds | null {
  const name = `${what}.ids`, nextName = what === "key" ? "nextKeyId" : "nextQueryId";
  if (!reader.has(nextName)) return null;
  const kind = reader.name(nextName, /^(none|given|\d+)$/);
  if (kind === "none") return null;
  const { data } = takeArray(operation, tensors, name, "U8", [null]);
  const ids = parse(operation, name, data);
  const next = kind === "given"
    ? null
    : reader.number(nextName, (number) => Number.isSafeInteger(number), "a whole number");
  const isFree = new Uint8Array(size);
  for (const slot of free) isFree[slot] = 1;
  const known = new Set<RowId>();
  const fits = ids.length === size && ids.every((id, slot) => {
    if (id === null || isFree[slot] === 1) return id === null && isFree[slot] === 1;
    const isGiven = next === null ||
      (Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < next);
    return isGiven && !known.has(id) && known.add(id) !== undefined;
  });
  if (fits) return { ids, next };
  const expected = next === null ? "" : `, whole numbers below ${next}`;
  throw new FormatError(
    operation,
    `tensor ${name} has ids that its slots cannot have`,
    `an id for each of ${size - free.length} live slots, none twice${expected}`,
  );
}

function parse(operation: string, name: string, bytes: Uint8Array): (RowId | null)[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    parsed = undefined;
  }
  const ids = Array.isArray(parsed) ? parsed.map(toId) : [];
  // An id is accepted only in the form in which it would be written.
  const isOwn = Array.isArray(parsed) && !ids.includes(undefined) &&
    sameBytes(encodeIds({ ids: ids as (RowId | null)[], next: null }), bytes);
  if (isOwn) return ids as (RowId | null)[];
  throw new FormatError(operation, `tensor ${name} is ${describe(parsed)}`, "a JSON list of ids");
}

/** An id, null for none, or undefined for what is neither. */
function toId(entry: unknown): RowId | null | undefined {
  if (entry === null) return null;
  if (!Array.isArray(entry)) return isId(entry) ? entry : undefined;
  const [digits] = entry;
  return entry.length === 1 && /^(0|-?[1-9]\d*)$/.test(digits) ? BigInt(digits) : undefined;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
