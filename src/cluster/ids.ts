/**
 * Ids of keys and standing queries, as callers give them.
 */

import { describe, InputError } from "../base/errors.ts";
import { takeList } from "../base/lists.ts";

const LONGEST_ID = 512;

/** Checks an id: text that UTF-8 holds, so that no half of a pair of surrogates is in it. */
export function toId(operation: string, name: string, id: unknown): string {
  if (typeof id === "string" && id.length > 0 && id.length <= LONGEST_ID && id.isWellFormed()) return id;
  throw new InputError(operation, `${name} is ${describe(id)}`, `text of 1 to ${LONGEST_ID} characters`);
}

/** Checks a list of ids. */
export function toIds(operation: string, name: string, ids: unknown): string[] {
  const expected = "a list of ids";
  if (typeof ids === "string") throw new InputError(operation, `${name} is ${describe(ids)}`, expected);
  const { length, entries, kind } = takeList(operation, name, ids, expected);
  if (kind !== null) throw new InputError(operation, `${name} is ${describe(ids)}`, expected);
  return Array.from({ length }, (_, at) => toId(operation, `${name}[${at}]`, entries[at]));
}
