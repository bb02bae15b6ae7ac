/**
 * The first step of an edit: what the caller passes is read, copied and checked, as far as that does not depend on
 * the rows (`edits.ts`).
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, takeList } from "../base/lists.ts";
import { toRow, type VectorInput } from "../base/matrix.ts";
import { checkNames, readFields, takeWord } from "../base/names.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import {
  type AnyEdit,
  type CheckedEdit,
  checkNewName,
  type Edit,
  type EditRules,
  findSlot,
  isOfQuery,
} from "./edits.ts";

/** The fields of each kind of edit, beside `kind`. */
const FIELDS = {
  setKey: ["slot", "key"],
  setValue: ["slot", "value"],
  set: ["slot", "key", "value"],
  addToKey: ["slot", "column", "delta"],
  addToValue: ["slot", "column", "delta"],
  insert: ["key", "value", "position", "id"],
  upsert: ["id", "key", "value", "position"],
  setPosition: ["slot", "position"],
  delete: ["slot"],
  setQuery: ["slot", "query"],
  insertQuery: ["query", "position", "id"],
  upsertQuery: ["id", "query", "position"],
  setQueryPosition: ["slot", "position"],
  deleteQuery: ["slot"],
} as const satisfies { [Kind in Edit["kind"]]: readonly FieldOf<Kind>[] };

type FieldOf<Kind> = Exclude<keyof Extract<Edit, { kind: Kind }>, "kind">;

const KINDS = Object.keys(FIELDS) as readonly Edit["kind"][];

/** Copies and checks an edit whose fields were read already. */
export function checkEdit(operation: string, edit: AnyEdit, rules: EditRules): CheckedEdit {
  const checked = toChecked(operation, edit, rules.layout);
  // Words about an object may run code of the caller's, so one in the place of a name is refused now.
  refuseObjects(checked, rules);
  return checked;
}

function toChecked(operation: string, edit: AnyEdit, layout: HeadLayout): CheckedEdit {
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
    case "addToKey":
    case "addToValue": {
      const column = edit.kind === "addToKey"
        ? checkColumn(operation, edit.column, keyWidth, KEY_LENGTH)
        : keyWidth + checkColumn(operation, edit.column, valueWidth, VALUE_LENGTH);
      return {
        operation,
        kind: "addToKey",
        slot: edit.slot,
        column,
        delta: checkDelta(operation, edit.delta),
      };
    }
    case "insert":
    case "upsert": {
      const row = joinRow(operation, edit.key, edit.value, layout), { id } = edit;
      const kind = edit.kind === "insert" ? "insertKey" : "upsertKey";
      return { operation, kind, row, position: checkPosition(operation, edit.position), id };
    }
    case "setPosition":
    case "setQueryPosition": {
      const position = checkPosition(operation, edit.position);
      if (position === null) throw new InputError(operation, "position is undefined", "a finite number");
      return {
        operation,
        kind: edit.kind === "setPosition" ? "moveKey" : "moveQuery",
        slot: edit.slot,
        position,
      };
    }
    case "delete":
      return { operation, kind: "deleteKey", slot: edit.slot };
    case "setQuery": {
      const row = toRow(operation, "query", edit.query, queryColumns(layout), QUERY_LENGTH);
      return { operation, kind: "writeQuery", slot: edit.slot, row };
    }
    case "insertQuery":
    case "upsertQuery": {
      const row = toRow(operation, "query", edit.query, queryColumns(layout), QUERY_LENGTH),
        { kind, id } = edit;
      return { operation, kind, row, position: checkPosition(operation, edit.position), id };
    }
    case "deleteQuery":
      return { operation, kind: "deleteQuery", slot: edit.slot };
  }
}

/** Copies and checks a list of edits; errors name an edit by `operation` and its index. */
export function checkEdits(operation: string, edits: unknown, rules: EditRules): CheckedEdit[] {
  if (typeof edits !== "object" || edits === null || !("length" in edits)) {
    throw new InputError(operation, `edits are ${describe(edits)}`, "an array");
  }
  const { length, entries } = takeList(operation, "edits", edits, "an array");
  const checked: CheckedEdit[] = [];
  for (let at = 0; at < length; at++) {
    const edit = takeEdit(`${operation}[${at}]`, entries[at]);
    checked.push(checkEdit(`${operation}[${at}].${edit.kind}`, edit, rules));
  }
  return checked;
}

/** Reads the fields of an edit, each once. */
function takeEdit(operation: string, edit: unknown): AnyEdit {
  const given = typeof edit === "object" && edit !== null ? edit as Partial<Record<string, unknown>> : {};
  const { kind: word } = given;
  if (typeof word !== "string") {
    throw new InputError(operation, `edit is ${describe(edit)}`, "an object with a kind");
  }
  const kind = takeWord(operation, "kind", word, KINDS);
  checkNames(`${operation}.${kind}`, given, ["kind", ...FIELDS[kind]], "field");
  return { ...readFields(given, FIELDS[kind]), kind } as AnyEdit;
}

/** Refuses an object that is given for a slot or an id: it can name no row, whichever there are. */
function refuseObjects(edit: CheckedEdit, { keySlots, querySlots }: EditRules): void {
  const isQuery = isOfQuery(edit.kind), what = isQuery ? "query" : "key";
  const slots = isQuery ? querySlots : keySlots;
  if ("slot" in edit) {
    if (typeof edit.slot === "object") findSlot(edit.operation, what, edit.slot, slots);
  } else if (typeof edit.id === "object") checkNewName(edit, what, slots);
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

function joinRow(operation: string, key: VectorInput, value: VectorInput, layout: HeadLayout): Float32Array {
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
