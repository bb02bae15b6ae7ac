/**
 * Checks of the arguments of an engine's questions: query slots, heads, passing queries and switches.
 */

import { takeBlock, toBlock } from "../write/mask_input.ts";
import type { PassingQueries } from "../backends/backend.ts";
import { type HeadLayout, queryColumns } from "../numerics/head_layout.ts";
import { describe, InputError } from "../base/errors.ts";
import type { MaskChange } from "../write/edit_journal.ts";
import { type EditRules, findSlot } from "../write/edits.ts";
import { isId, type RowId } from "../write/row_ids.ts";
import type { SlotTable } from "../write/slot_table.ts";
import { isCount, isShared, lengthOf, takeIdList, takeList, typedArrayKind } from "../base/lists.ts";
import { type MatrixInput, toMatrix } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { checkPlaces } from "../write/places.ts";
import { toPositions } from "./options.ts";
import { takePassingMask, toPassingBias } from "./passing_mask.ts";

/**
 * The names of rows in a list of the caller's, each read once: reading may run the caller's code, so none is looked
 * up before all are read.
 */
function takeNames(
  operation: string,
  name: string,
  what: "key" | "query",
  input: unknown,
  slots: SlotTable,
): RowId[] {
  const expected = slots.ids ? "an array of ids" : undefined;
  const take = slots.ids ? takeIdList : takeList;
  const { length, entries } = take(operation, name, input, expected);
  const names: RowId[] = [];
  for (let at = 0; at < length; at++) {
    const entry = entries[at] as RowId;
    // An entry that can name no row throws here, so that a long list of such entries is not copied.
    if (!isId(entry)) findSlot(operation, what, entry, slots);
    names.push(entry);
  }
  return names;
}

/** The slots of live rows. */
function toSlots(
  operation: string,
  what: "key" | "query",
  names: readonly RowId[],
  slots: SlotTable,
): Uint32Array {
  const found = new Uint32Array(names.length);
  for (let at = 0; at < names.length; at++) found[at] = findSlot(operation, what, names[at], slots);
  return found;
}

/**
 * Checks a list of live query slots, and returns them in its order; all live ones in slot order unless given.
 */
export function toQuerySlots(
  operation: string,
  name: string,
  input: ArrayLike<RowId> | undefined,
  querySlots: SlotTable,
): Uint32Array {
  if (input === undefined) return querySlots.allSlots();
  return toSlots(
    operation,
    "query",
    takeNames(operation, name, "query", input, querySlots),
    querySlots,
  );
}

/** Checks the number of a head; 0 unless given. */
export function toHead(
  operation: string,
  options: { readonly head?: number },
  layout: HeadLayout,
): number {
  const { head = 0 } = takeOptions(operation, options, ["head"]);
  return checkHead(operation, "head", head, layout);
}

/** A switch that is on unless it is given. */
export function toSwitch(operation: string, name: string, given: unknown = true): boolean {
  if (typeof given === "boolean") return given;
  throw new InputError(operation, `${name} is ${describe(given)}`, "a boolean");
}

/** An array of the caller's that an answer of `length` numbers is written to; null for a new one. */
export function toTarget(operation: string, into: unknown, length: number): Float32Array<ArrayBuffer> | null {
  if (into === undefined) return null;
  const expected = `a Float32Array of ${length} numbers, in memory that is not shared`;
  if (typedArrayKind(into) !== "Float32Array") {
    throw new InputError(operation, `into is ${describe(into)}`, expected);
  }
  const target = into as Float32Array;
  if (isShared(target)) {
    throw new InputError(operation, "into lies in shared memory", expected);
  }
  if (lengthOf(target) !== length) {
    throw new InputError(operation, `into has ${lengthOf(target)} numbers`, expected);
  }
  return target as Float32Array<ArrayBuffer>;
}

/** The error that is allowed of a followed row; 0 unless given. */
export function toError(operation: string, error: unknown = 0): number {
  if (typeof error === "number" && error >= 0) return error + 0;
  throw new InputError(operation, `error is ${describe(error)}`, "a number ≥ 0");
}

/** Checks passing queries, r × H·d. By default their positions follow those of the standing queries. */
export function toPassing(
  operation: string,
  queries: MatrixInput,
  positions: ArrayLike<number> | undefined,
  rules: EditRules,
  mask?: unknown,
): PassingQueries {
  const { layout, rule, querySlots, frame } = rules;
  const { data, shape: [count, columns] } = toMatrix(operation, "queries", queries);
  if (columns !== queryColumns(layout)) {
    throw new InputError(
      operation,
      `queries have ${columns} columns`,
      `${queryColumns(layout)} (heads × headDim)`,
    );
  }
  const given = positions === undefined ? null : toPositions(operation, "positions", positions, count);
  const entries = takePassingMask(operation, mask, rules);
  // All has been read by now, which may have run code of the caller's that edits the engine.
  const first = frame.position(querySlots.nextPosition);
  const places = given ?? toPositions(operation, "positions", undefined, count, first);
  checkPlaces(operation, "positions", places, rule);
  // A function is called when all else is right; what it refuses leaves the positions of the rows as they are held.
  const bias = entries && toPassingBias(operation, entries, count, rules);
  frame.admit(places);
  places.forEach((position, at) => places[at] = frame.held(position));
  return { count, rows: data, positions: places, bias };
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
  { keySlots }: Pick<EditRules, "keySlots">,
): ReadonlySet<number> {
  if (exclude === undefined) return new Set();
  const names = takeNames(operation, "exclude", "key", exclude, keySlots);
  return new Set(toSlots(operation, "key", names, keySlots));
}

function checkHead(operation: string, name: string, head: unknown, { heads }: HeadLayout): number {
  // Adding 0 turns −0 into 0.
  if (isCount(head) && head < heads) return head + 0;
  throw new InputError(
    operation,
    `${name} is ${describe(head)}`,
    `an integer from 0 to ${heads - 1} (below heads)`,
  );
}

/** A move of all rows in a range of positions. */
export interface PositionShift {
  readonly by: number;
  /** The first position that moves. */
  readonly from: number;
  /** The first one behind that does not. */
  readonly to: number;
}

/** Checks a move of many rows. */
export function toShift(
  operation: string,
  by: unknown,
  range: { readonly from?: number; readonly to?: number },
): PositionShift {
  const { from = -Infinity, to = Infinity } = takeOptions(operation, range, ["from", "to"]);
  if (typeof by !== "number" || !Number.isFinite(by)) {
    throw new InputError(operation, `by is ${describe(by)}`, "a finite number");
  }
  for (const [name, end] of [["from", from], ["to", to]] as const) {
    if (typeof end === "number" && !Number.isNaN(end)) continue;
    throw new InputError(operation, `${name} is ${describe(end)}`, "a number");
  }
  return { by, from, to };
}

/** Checks a change of a mask. */
export function toMaskChange(
  operation: string,
  entries: unknown,
  options: {
    readonly queries?: ArrayLike<RowId>;
    readonly keys?: ArrayLike<RowId>;
    readonly head?: number;
  },
  { layout, mask, keySlots, querySlots }: EditRules,
): MaskChange {
  const { queries, keys, head } = takeOptions(operation, options, ["queries", "keys", "head"]);
  if (!mask?.isEditable) {
    throw new InputError(
      operation,
      "the mask is not editable",
      "editableMask: true, when the engine is made",
    );
  }
  const queryNames = queries && takeNames(operation, "queries", "query", queries, querySlots);
  const keyNames = keys && takeNames(operation, "keys", "key", keys, keySlots);
  if (head !== undefined && mask.heads === 1 && layout.heads > 1) {
    throw new InputError(operation, `head is ${describe(head)}`, "none, since all heads share the mask");
  }
  const heads = head === undefined
    ? Array.from({ length: mask.heads }, (_, at) => at)
    : [checkHead(operation, "head", head, layout)];
  const block = takeBlock(operation, entries);
  // From here on no code of the caller's runs that could delete a row.
  const rows = queryNames ? toSlots(operation, "query", queryNames, querySlots) : querySlots.liveSlots();
  const columns = keyNames ? toSlots(operation, "key", keyNames, keySlots) : keySlots.liveSlots();
  return {
    queries: rows,
    keys: columns,
    heads,
    block: toBlock(operation, block, rows.length, columns.length),
  };
}
