/**
 * The edits, as data, and what each does to the logs: validate, then write. An edit that throws has changed
 * neither log nor slots.
 */

import { describe, InputError, SlotError } from "../errors.ts";
import { isCount, type RowInput, toRow } from "../matrix.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../core/head_layout.ts";
import { looksAtPositions, type ScoreRule } from "../core/score_rule.ts";
import type { EditLog } from "./edit_log.ts";
import type { Mask } from "./mask.ts";
import type { SlotTable } from "./slot_table.ts";

/** One edit, as `DynamicAttention.edit` takes it. */
export type Edit =
  | { readonly kind: "setKey"; readonly slot: number; readonly key: RowInput }
  | { readonly kind: "setValue"; readonly slot: number; readonly value: RowInput }
  | { readonly kind: "set"; readonly slot: number; readonly key: RowInput; readonly value: RowInput }
  | { readonly kind: "addToKey"; readonly slot: number; readonly column: number; readonly delta: number }
  | { readonly kind: "addToValue"; readonly slot: number; readonly column: number; readonly delta: number }
  | { readonly kind: "insert"; readonly key: RowInput; readonly value: RowInput; readonly position?: number }
  | { readonly kind: "delete"; readonly slot: number }
  | { readonly kind: "setQuery"; readonly slot: number; readonly query: RowInput }
  | { readonly kind: "insertQuery"; readonly query: RowInput; readonly position?: number }
  | { readonly kind: "deleteQuery"; readonly slot: number };

/** What edits are written to. */
export interface EditTarget {
  /** Rows `[key | value]`. */
  readonly keys: EditLog;
  /** Query rows. */
  readonly queries: EditLog;
}

/** What edits are checked against. */
export interface EditRules {
  readonly layout: HeadLayout;
  /** Live keys. */
  readonly keySlots: SlotTable;
  /** Live queries. */
  readonly querySlots: SlotTable;
  readonly mask: Mask | null;
  readonly rule: ScoreRule;
}

/** Performs one edit and returns the slot that it edited. */
export function performEdit(
  operation: string,
  edit: Edit,
  { keys, queries }: EditTarget,
  rules: EditRules,
): number {
  const { layout, keySlots, querySlots, mask } = rules;
  switch (edit.kind) {
    case "setKey": {
      const slot = checkSlot(operation, "key", edit.slot, keySlots);
      keys.write(slot, toKeyRow(operation, edit.key, layout), 0);
      return slot;
    }
    case "setValue": {
      const slot = checkSlot(operation, "key", edit.slot, keySlots);
      keys.write(slot, toValueRow(operation, edit.value, layout), keyColumns(layout));
      return slot;
    }
    case "set": {
      const slot = checkSlot(operation, "key", edit.slot, keySlots);
      keys.put(slot, joinRow(operation, edit.key, edit.value, layout));
      return slot;
    }
    case "addToKey": {
      const slot = checkSlot(operation, "key", edit.slot, keySlots);
      const column = checkColumn(operation, edit.column, keyColumns(layout), KEY_LENGTH);
      keys.write(slot, sum(operation, keys.element(slot, column), edit.delta), column);
      return slot;
    }
    case "addToValue": {
      const slot = checkSlot(operation, "key", edit.slot, keySlots);
      const column = keyColumns(layout) +
        checkColumn(operation, edit.column, valueColumns(layout), VALUE_LENGTH);
      keys.write(slot, sum(operation, keys.element(slot, column), edit.delta), column);
      return slot;
    }
    case "insert": {
      const row = joinRow(operation, edit.key, edit.value, layout);
      const position = checkPosition(operation, edit.position, keySlots, rules.rule);
      mask?.checkKey(operation, keySlots.next);
      const slot = keySlots.allocate(position);
      keys.insert(slot, row, position);
      return slot;
    }
    case "delete": {
      const slot = checkSlot(operation, "key", edit.slot, keySlots);
      keySlots.release(slot);
      keys.delete(slot);
      return slot;
    }
    case "setQuery": {
      const slot = checkSlot(operation, "query", edit.slot, querySlots);
      queries.put(slot, toQueryRow(operation, edit.query, layout));
      return slot;
    }
    case "insertQuery": {
      const row = toQueryRow(operation, edit.query, layout);
      const position = checkPosition(operation, edit.position, querySlots, rules.rule);
      mask?.checkQuery(operation, querySlots.next);
      const slot = querySlots.allocate(position);
      queries.insert(slot, row, position);
      return slot;
    }
    case "deleteQuery": {
      const slot = checkSlot(operation, "query", edit.slot, querySlots);
      querySlots.release(slot);
      queries.delete(slot);
      return slot;
    }
    default:
      throw new InputError(
        operation,
        `kind is ${describe((edit as Edit).kind)}`,
        "the name of an edit method",
      );
  }
}

/** Performs edits in order, up to the first that is refused; `operation` and its number name each. */
export function performEdits(
  operation: string,
  edits: readonly Edit[],
  target: EditTarget,
  rules: EditRules,
): number[] {
  if (!Array.isArray(edits)) throw new InputError(operation, `edits are ${describe(edits)}`, "an array");
  // Not `map`, which passes over holes.
  return Array.from(edits, (edit: Edit, at) => {
    if (typeof edit !== "object" || edit === null || typeof edit.kind !== "string") {
      throw new InputError(`${operation}[${at}]`, `edit is ${describe(edit)}`, "an object with a kind");
    }
    return performEdit(`${operation}[${at}].${edit.kind}`, edit, target, rules);
  });
}

/** A live slot number, or a throw. */
export function checkSlot(
  operation: string,
  what: "key" | "query",
  slot: number,
  slots: SlotTable,
): number {
  if (!slots.isLive(slot)) throw new SlotError(operation, what, slot);
  return slot;
}

/** A column number below `length`, or a throw. */
export function checkColumn(operation: string, column: number, length: number, meaning: string): number {
  if (!isCount(column) || column >= length) {
    throw new InputError(
      operation,
      `column is ${describe(column)}`,
      `an integer from 0 to ${length - 1} (below ${meaning})`,
    );
  }
  return column;
}

const KEY_LENGTH = "kvHeads × headDim";
const VALUE_LENGTH = "kvHeads × valueDim";
const QUERY_LENGTH = "heads × headDim";

function toKeyRow(operation: string, key: RowInput, layout: HeadLayout): Float32Array {
  return toRow(operation, "key", key, keyColumns(layout), KEY_LENGTH);
}

function toValueRow(operation: string, value: RowInput, layout: HeadLayout): Float32Array {
  return toRow(operation, "value", value, valueColumns(layout), VALUE_LENGTH);
}

function toQueryRow(operation: string, query: RowInput, layout: HeadLayout): Float32Array {
  return toRow(operation, "query", query, queryColumns(layout), QUERY_LENGTH);
}

function joinRow(operation: string, key: RowInput, value: RowInput, layout: HeadLayout): Float32Array {
  const row = new Float32Array(keyColumns(layout) + valueColumns(layout));
  row.set(toKeyRow(operation, key, layout));
  row.set(toValueRow(operation, value, layout), keyColumns(layout));
  return row;
}

/** The position of an inserted row; 0 for all where no rule looks at positions. */
function checkPosition(
  operation: string,
  position: number | undefined,
  slots: SlotTable,
  rule: ScoreRule,
): number {
  if (position !== undefined && !(typeof position === "number" && Number.isFinite(position))) {
    throw new InputError(operation, `position is ${describe(position)}`, "a finite number");
  }
  return looksAtPositions(rule) ? position ?? slots.nextPosition : 0;
}

/** `number + delta`, rounded to float32, as a row of one. */
function sum(operation: string, number: number, delta: number): Float32Array {
  if (typeof delta !== "number" || !Number.isFinite(delta)) {
    throw new InputError(operation, `delta is ${describe(delta)}`, "a finite number");
  }
  const result = Float32Array.of(number + delta);
  if (!Number.isFinite(result[0])) {
    throw new InputError(operation, `${number} + ${delta} is beyond float32`, "a sum below 3.4e38");
  }
  return result;
}
