/**
 * The checks of what the engine's methods are asked beside rows of numbers: which queries, which head, where.
 */

import type { PassingQueries } from "../backends/backend.ts";
import { type HeadLayout, queryColumns } from "../numerics/head_layout.ts";
import { describe, InputError } from "../base/errors.ts";
import { checkSlot, type EditRules, findSlot } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";
import type { SlotTable } from "../write/slot_table.ts";
import { allocate, isCount, takeList } from "../base/lists.ts";
import { type MatrixInput, toMatrix } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { toPositions } from "./options.ts";

/** Live query slots, in the order wanted; all of them in slot order when none are named. */
export function toRows(
  operation: string,
  rows: ArrayLike<RowId> | undefined,
  querySlots: SlotTable,
): Uint32Array {
  if (rows === undefined) return querySlots.liveSlots();
  const { length, entries } = takeList(operation, "rows", rows, querySlots.ids ? "an array of ids" : undefined);
  const slots = allocate(operation, "rows", length, () => new Uint32Array(length));
  for (let at = 0; at < length; at++) {
    slots[at] = findSlot(operation, "query", entries[at] as RowId, querySlots);
  }
  // Reading them may have run code of the caller's, which may have deleted one.
  for (const slot of slots) checkSlot(operation, "query", slot, querySlots);
  return slots;
}

/** The head that is asked about; the first unless given. */
export function toHead(
  operation: string,
  options: { readonly head?: number },
  layout: HeadLayout,
): number {
  const { head = 0 } = takeOptions(operation, options, ["head"]);
  return checkHead(operation, "head", head, layout);
}

/** Whether something is wanted that is done unless it is said otherwise. */
export function toSwitch<Name extends string>(
  operation: string,
  name: Name,
  options: { readonly [Key in Name]?: boolean },
): boolean {
  const { [name]: given = true } = takeOptions(operation, options, [name]);
  if (typeof given === "boolean") return given;
  throw new InputError(operation, `${name} is ${describe(given)}`, "a boolean");
}

/** Passing queries, r × H·d; they lie behind the standing ones unless `positions` says where. */
export function toPassing(
  operation: string,
  queries: MatrixInput,
  positions: ArrayLike<number> | undefined,
  { layout, mask, querySlots }: EditRules,
): PassingQueries {
  if (mask) {
    throw new InputError(operation, "the engine has a mask", "none, or the query among the standing ones");
  }
  const { data, shape: [count, columns] } = toMatrix(operation, "queries", queries);
  if (columns !== queryColumns(layout)) {
    throw new InputError(
      operation,
      `queries have ${columns} columns`,
      `${queryColumns(layout)} (heads × headDim)`,
    );
  }
  const next = querySlots.nextPosition;
  return { count, rows: data, positions: toPositions(operation, "positions", positions, count, next) };
}

/** Heads that are asked about; all unless given. */
export function toHeads(
  operation: string,
  heads: ArrayLike<number> | undefined,
  layout: HeadLayout,
): number[] {
  if (heads === undefined) return Array.from({ length: layout.heads }, (_, head) => head);
  const { length, entries } = takeList(operation, "heads", heads);
  return Array.from({ length }, (_, at) => checkHead(operation, `heads[${at}]`, entries[at], layout));
}

/** How many answers are wanted. */
export function toCount(operation: string, count: unknown): number {
  if (isCount(count)) return count;
  throw new InputError(operation, `count is ${describe(count)}`, "an integer ≥ 0");
}

/** Slots of keys that are not wanted; what is not live is refused, as everywhere. */
export function toExcluded(
  operation: string,
  exclude: ArrayLike<RowId> | undefined,
  { keySlots }: EditRules,
): ReadonlySet<number> {
  if (exclude === undefined) return new Set();
  const expected = keySlots.ids ? "an array of ids" : undefined;
  const { length, entries } = takeList(operation, "exclude", exclude, expected);
  const slots = Array.from({ length }, (_, at) => findSlot(operation, "key", entries[at] as RowId, keySlots));
  for (const slot of slots) checkSlot(operation, "key", slot, keySlots);
  return new Set(slots);
}

function checkHead(operation: string, name: string, head: unknown, { heads }: HeadLayout): number {
  if (isCount(head) && head < heads) return head;
  throw new InputError(operation, `${name} is ${describe(head)}`, `an integer from 0 to ${heads - 1} (below heads)`);
}
