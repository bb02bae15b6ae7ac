/**
 * Edits as data, in two steps. `checkEdit` copies the caller's arguments and checks all that does not depend
 * on the rows. It may run code of the caller's, which may itself edit the engine; such edits happen first.
 * `performEdit` runs no code of the caller's: it writes, or throws and has changed neither the log nor the
 * slots.
 */

import { describe, InputError, SlotError } from "../base/errors.ts";
import { isCount, type RowInput, takeList, toRow } from "../base/lists.ts";
import { checkNames, readFields, takeWord } from "../base/names.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import { looksAtPositions, type ScoreRule } from "../numerics/score_rule.ts";
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

/** The fields of each kind of edit, beside `kind`. */
const FIELDS = {
  setKey: ["slot", "key"],
  setValue: ["slot", "value"],
  set: ["slot", "key", "value"],
  addToKey: ["slot", "column", "delta"],
  addToValue: ["slot", "column", "delta"],
  insert: ["key", "value", "position"],
  delete: ["slot"],
  setQuery: ["slot", "query"],
  insertQuery: ["query", "position"],
  deleteQuery: ["slot"],
} as const satisfies { [Kind in Edit["kind"]]: readonly FieldOf<Kind>[] };

type FieldOf<Kind> = Exclude<keyof Extract<Edit, { kind: Kind }>, "kind">;

const KINDS = Object.keys(FIELDS) as readonly Edit["kind"][];

/**
 * A checked edit, which refers to no object of the caller's. Rows of keys are `[key | value]`, and columns
 * count from their start.
 */
export type CheckedEdit =
  & { readonly operation: string }
  & (
    | {
      readonly kind: "writeKey";
      readonly slot: number;
      readonly column: number;
      readonly part: Float32Array;
    }
    | { readonly kind: "addToKey"; readonly slot: number; readonly column: number; readonly delta: number }
    | { readonly kind: "insertKey"; readonly row: Float32Array; readonly position: number | null }
    | { readonly kind: "deleteKey"; readonly slot: number }
    | { readonly kind: "writeQuery"; readonly slot: number; readonly row: Float32Array }
    | { readonly kind: "insertQuery"; readonly row: Float32Array; readonly position: number | null }
    | { readonly kind: "deleteQuery"; readonly slot: number }
  );

/** The logs that edits are written to. */
export interface EditTarget {
  /** Rows `[key | value]`. */
  readonly keys: EditLog;
  /** Query rows. */
  readonly queries: EditLog;
}

/** The rules and slots that edits are checked against. */
export interface EditRules {
  readonly layout: HeadLayout;
  /** Live keys. */
  readonly keySlots: SlotTable;
  /** Live queries. */
  readonly querySlots: SlotTable;
  readonly mask: Mask | null;
  readonly rule: ScoreRule;
}

/** Copies and checks an edit whose fields were read already. */
export function checkEdit(operation: string, edit: Edit, layout: HeadLayout): CheckedEdit {
  const keyWidth = keyColumns(layout), valueWidth = valueColumns(layout);
  switch (edit.kind) {
    case "setKey": {
      const part = toRow(operation, "key", edit.key, keyWidth, KEY_LENGTH);
      return { operation, kind: "writeKey", slot: edit.slot, column: 0, part };
    }
    case "setValue": {
      const part = toRow(operation, "value", edit.value, valueWidth, VALUE_LENGTH);
      return { operation, kind: "writeKey", slot: edit.slot, column: keyWidth, part };
    }
    case "set": {
      const part = joinRow(operation, edit.key, edit.value, layout);
      return { operation, kind: "writeKey", slot: edit.slot, column: 0, part };
    }
    case "addToKey": {
      const column = checkColumn(operation, edit.column, keyWidth, KEY_LENGTH);
      return {
        operation,
        kind: "addToKey",
        slot: edit.slot,
        column,
        delta: checkDelta(operation, edit.delta),
      };
    }
    case "addToValue": {
      const column = keyWidth + checkColumn(operation, edit.column, valueWidth, VALUE_LENGTH);
      return {
        operation,
        kind: "addToKey",
        slot: edit.slot,
        column,
        delta: checkDelta(operation, edit.delta),
      };
    }
    case "insert": {
      const row = joinRow(operation, edit.key, edit.value, layout);
      return { operation, kind: "insertKey", row, position: checkPosition(operation, edit.position) };
    }
    case "delete":
      return { operation, kind: "deleteKey", slot: edit.slot };
    case "setQuery": {
      const row = toRow(operation, "query", edit.query, queryColumns(layout), QUERY_LENGTH);
      return { operation, kind: "writeQuery", slot: edit.slot, row };
    }
    case "insertQuery": {
      const row = toRow(operation, "query", edit.query, queryColumns(layout), QUERY_LENGTH);
      return { operation, kind: "insertQuery", row, position: checkPosition(operation, edit.position) };
    }
    case "deleteQuery":
      return { operation, kind: "deleteQuery", slot: edit.slot };
  }
}

/** Copies and checks a list of edits; errors name an edit by `operation` and its index. */
export function checkEdits(operation: string, edits: unknown, layout: HeadLayout): CheckedEdit[] {
  if (typeof edits !== "object" || edits === null || !("length" in edits)) {
    throw new InputError(operation, `edits are ${describe(edits)}`, "an array");
  }
  const { length, entries } = takeList(operation, "edits", edits, "an array");
  const checked: CheckedEdit[] = [];
  for (let at = 0; at < length; at++) {
    const edit = takeEdit(`${operation}[${at}]`, entries[at]);
    checked.push(checkEdit(`${operation}[${at}].${edit.kind}`, edit, layout));
  }
  return checked;
}

/** Reads the fields of an edit, each once. */
function takeEdit(operation: string, edit: unknown): Edit {
  const given = typeof edit === "object" && edit !== null ? edit as Partial<Record<string, unknown>> : {};
  const { kind: word } = given;
  if (typeof word !== "string") {
    throw new InputError(operation, `edit is ${describe(edit)}`, "an object with a kind");
  }
  const kind = takeWord(operation, "kind", word, KINDS, "the name of an edit method");
  checkNames(`${operation}.${kind}`, given, ["kind", ...FIELDS[kind]], "field");
  return { ...readFields(given, FIELDS[kind]), kind } as Edit;
}

/** Performs one checked edit and returns the slot that it edited. */
export function performEdit(edit: CheckedEdit, { keys, queries }: EditTarget, rules: EditRules): number {
  const { keySlots, querySlots, mask, rule } = rules;
  const { operation } = edit;
  switch (edit.kind) {
    case "writeKey": {
      const slot = checkSlot(operation, "key", edit.slot, keySlots);
      keys.write(slot, edit.part, edit.column);
      return slot;
    }
    case "addToKey": {
      const slot = checkSlot(operation, "key", edit.slot, keySlots);
      keys.write(slot, sum(operation, keys.element(slot, edit.column), edit.delta), edit.column);
      return slot;
    }
    case "insertKey": {
      mask?.checkKey(operation, keySlots.next);
      return insertRow(edit.row, edit.position, keySlots, keys, rule);
    }
    case "deleteKey": {
      const slot = checkSlot(operation, "key", edit.slot, keySlots);
      deleteRow(slot, keySlots, keys);
      return slot;
    }
    case "writeQuery": {
      const slot = checkSlot(operation, "query", edit.slot, querySlots);
      queries.write(slot, edit.row, 0);
      return slot;
    }
    case "insertQuery": {
      mask?.checkQuery(operation, querySlots.next);
      return insertRow(edit.row, edit.position, querySlots, queries, rule);
    }
    case "deleteQuery": {
      const slot = checkSlot(operation, "query", edit.slot, querySlots);
      deleteRow(slot, querySlots, queries);
      return slot;
    }
  }
}

/** Checks that `slot` is the number of a live slot, and returns it. */
export function checkSlot(
  operation: string,
  what: "key" | "query",
  slot: number,
  slots: SlotTable,
): number {
  if (!slots.isLive(slot)) throw new SlotError(operation, what, slot);
  // −0 is slot 0.
  return slot + 0;
}

/** Checks that `column` is a whole number below `length`, and returns it. */
export function checkColumn(operation: string, column: number, length: number, meaning: string): number {
  if (!isCount(column) || column >= length) {
    throw new InputError(
      operation,
      `column is ${describe(column)}`,
      `an integer from 0 to ${length - 1} (below ${meaning})`,
    );
  }
  return column + 0;
}

const KEY_LENGTH = "kvHeads × headDim";
const VALUE_LENGTH = "kvHeads × valueDim";
const QUERY_LENGTH = "heads × headDim";

function joinRow(operation: string, key: RowInput, value: RowInput, layout: HeadLayout): Float32Array {
  const keyWidth = keyColumns(layout), valueWidth = valueColumns(layout);
  const row = new Float32Array(keyWidth + valueWidth);
  row.set(toRow(operation, "key", key, keyWidth, KEY_LENGTH));
  row.set(toRow(operation, "value", value, valueWidth, VALUE_LENGTH), keyWidth);
  return row;
}

/** Checks the position of an inserted row; null if the row takes the next position. */
function checkPosition(operation: string, position: number | undefined): number | null {
  if (position === undefined) return null;
  if (typeof position === "number" && Number.isFinite(position)) return position + 0;
  throw new InputError(operation, `position is ${describe(position)}`, "a finite number");
}

function checkDelta(operation: string, delta: number): number {
  if (typeof delta === "number" && Number.isFinite(delta)) return delta;
  throw new InputError(operation, `delta is ${describe(delta)}`, "a finite number");
}

/** `number + delta`, rounded to float32, as a row of one. */
function sum(operation: string, number: number, delta: number): Float32Array {
  const result = Float32Array.of(number + delta);
  if (!Number.isFinite(result[0])) {
    throw new InputError(operation, `${number} + ${delta} is beyond float32`, "a sum below 3.4e38");
  }
  return result;
}

/** Inserts a row. Its position is 0 if the score rule does not depend on positions. */
function insertRow(
  row: Float32Array,
  position: number | null,
  slots: SlotTable,
  log: EditLog,
  rule: ScoreRule,
): number {
  const place = looksAtPositions(rule) ? position ?? slots.nextPosition : 0;
  // This may throw for want of memory, so it comes before the first change.
  log.reserve(1);
  const slot = slots.allocate(place);
  log.insert(slot, row, place);
  return slot;
}

function deleteRow(slot: number, slots: SlotTable, log: EditLog): void {
  log.reserve(1);
  slots.release(slot);
  log.delete(slot);
}
