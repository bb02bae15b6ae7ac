/**
 * Edits as data, in two steps. `checkEdit` of `edit_checks.ts` copies the caller's arguments and checks all that does
 * not depend on the rows. It may run code of the caller's, which may itself edit the engine; such edits happen first.
 * `performEdit` runs no code of the caller's: it writes, or throws and has changed neither the log nor the
 * slots.
 */

import { describe, InputError, SlotError } from "../base/errors.ts";
import type { VectorInput } from "../base/matrix.ts";
import type { HeadLayout } from "../numerics/head_layout.ts";
import { roundedCopy } from "../numerics/row_storage.ts";
import { looksAtPositions, type ScoreRule } from "../numerics/score_rule.ts";
import type { EditLog } from "./edit_log.ts";
import type { Mask } from "./mask.ts";
import { checkPlace } from "./places.ts";
import type { PositionFrame } from "./position_frame.ts";
import type { RowErrors } from "./row_errors.ts";
import type { RowId } from "./row_ids.ts";
import { roundedSum, sumOf } from "./rounded_sum.ts";
import type { SlotTable } from "./slot_table.ts";

/**
 * One edit, as `DynamicAttention.edit` takes it. `slot` is that of a row, or its id where the engine was made
 * with `keyIds` or `queryIds`; what is inserted then has an `id`.
 */
export type Edit<KeyId extends RowId = number, QueryId extends RowId = number> =
  | { readonly kind: "setKey"; readonly slot: KeyId; readonly key: VectorInput }
  | { readonly kind: "setValue"; readonly slot: KeyId; readonly value: VectorInput }
  | { readonly kind: "set"; readonly slot: KeyId; readonly key: VectorInput; readonly value: VectorInput }
  | { readonly kind: "addToKey"; readonly slot: KeyId; readonly column: number; readonly delta: number }
  | { readonly kind: "addToValue"; readonly slot: KeyId; readonly column: number; readonly delta: number }
  | {
    readonly kind: "insert";
    readonly key: VectorInput;
    readonly value: VectorInput;
    readonly position?: number;
    readonly id?: KeyId;
  }
  | {
    readonly kind: "upsert";
    readonly id: KeyId;
    readonly key: VectorInput;
    readonly value: VectorInput;
    readonly position?: number;
  }
  | { readonly kind: "setPosition"; readonly slot: KeyId; readonly position: number }
  | { readonly kind: "delete"; readonly slot: KeyId }
  | { readonly kind: "setQuery"; readonly slot: QueryId; readonly query: VectorInput }
  | {
    readonly kind: "insertQuery";
    readonly query: VectorInput;
    readonly position?: number;
    readonly id?: QueryId;
  }
  | {
    readonly kind: "upsertQuery";
    readonly id: QueryId;
    readonly query: VectorInput;
    readonly position?: number;
  }
  | { readonly kind: "setQueryPosition"; readonly slot: QueryId; readonly position: number }
  | { readonly kind: "deleteQuery"; readonly slot: QueryId };

/** An edit of an engine whose rows may have ids. */
export type AnyEdit = Edit<RowId, RowId>;

/**
 * An edit that holds nothing of the caller's. Rows of keys are `[key | value]`, and columns count from their
 * start; `slot` is still the caller's id or slot.
 */
export type CheckedEdit =
  & { readonly operation: string }
  & (
    | {
      readonly kind: "writeKey";
      readonly slot: RowId;
      readonly column: number;
      readonly part: Float32Array;
    }
    | { readonly kind: "addToKey"; readonly slot: RowId; readonly column: number; readonly delta: number }
    | ({ readonly kind: "insertKey" | "upsertKey" } & NewRow)
    | { readonly kind: "moveKey" | "moveQuery"; readonly slot: RowId; readonly position: number }
    | { readonly kind: "deleteKey"; readonly slot: RowId }
    | { readonly kind: "writeQuery"; readonly slot: RowId; readonly row: Float32Array }
    | ({ readonly kind: "insertQuery" | "upsertQuery" } & NewRow)
    | { readonly kind: "deleteQuery"; readonly slot: RowId }
  );

/** A row that comes. */
interface NewRow {
  readonly operation: string;
  readonly row: Float32Array;
  /** null where it is to be the next one. */
  readonly position: number | null;
  readonly id: RowId | undefined;
}

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
  readonly frame: PositionFrame;
  /** How far kept rows are from those that were given; null where all are float32. */
  readonly errors: RowErrors | null;
}

/** Performs one checked edit and returns the id of its row, or the slot if rows have no ids. */
export function performEdit(edit: CheckedEdit, { keys, queries }: EditTarget, rules: EditRules): RowId {
  const { keySlots, querySlots, mask } = rules;
  const { operation } = edit;
  switch (edit.kind) {
    case "writeKey": {
      const slot = findSlot(operation, "key", edit.slot, keySlots);
      const kept = roundedCopy(operation, rules.layout, edit.part, edit.column);
      rules.errors?.reserve(slot);
      keys.write(slot, kept, edit.column);
      rules.errors?.note(slot, edit.column, edit.part, kept);
      return keySlots.nameOf(slot);
    }
    case "addToKey": {
      if (rules.errors) return addRounded(edit, keys, rules.errors, rules);
      const slot = findSlot(operation, "key", edit.slot, keySlots);
      keys.write(slot, sumOf(operation, keys.element(slot, edit.column), edit.delta), edit.column);
      return keySlots.nameOf(slot);
    }
    case "insertKey":
    case "upsertKey": {
      const row = roundedCopy(operation, rules.layout, edit.row, 0), kept = { ...edit, row };
      const known = checkNewName(edit, "key", keySlots), slot = known ?? keySlots.next;
      if (known === undefined) mask?.checkKey(operation, slot);
      rules.errors?.reserve(slot);
      const name = known === undefined
        ? insertRow(kept, keySlots, keys, rules)
        : writeAt(known, kept, keySlots, keys, rules);
      rules.errors?.note(slot, 0, edit.row, row);
      return name;
    }
    case "moveKey":
      return moveRow(
        findSlot(operation, "key", edit.slot, keySlots),
        edit,
        keySlots,
        keys,
        rules,
      );
    case "moveQuery":
      return moveRow(
        findSlot(operation, "query", edit.slot, querySlots),
        edit,
        querySlots,
        queries,
        rules,
      );
    case "deleteKey": {
      const slot = findSlot(operation, "key", edit.slot, keySlots), name = deleteRow(slot, keySlots, keys);
      rules.errors?.clear(slot);
      return name;
    }
    case "writeQuery": {
      const slot = findSlot(operation, "query", edit.slot, querySlots);
      queries.write(slot, edit.row, 0);
      return querySlots.nameOf(slot);
    }
    case "insertQuery":
    case "upsertQuery": {
      const known = checkNewName(edit, "query", querySlots);
      if (known !== undefined) return writeAt(known, edit, querySlots, queries, rules);
      mask?.checkQuery(operation, querySlots.next);
      return insertRow(edit, querySlots, queries, rules);
    }
    case "deleteQuery":
      return deleteRow(findSlot(operation, "query", edit.slot, querySlots), querySlots, queries);
  }
}

/** Adds to one number of a row that is rounded by heads. */
function addRounded(
  { operation, slot: name, column, delta }: Extract<CheckedEdit, { readonly kind: "addToKey" }>,
  keys: EditLog,
  errors: RowErrors,
  { layout, keySlots }: EditRules,
): RowId {
  const slot = findSlot(operation, "key", name, keySlots);
  const sum = roundedSum(operation, layout, { rows: keys, errors }, { slot, column, delta });
  errors.reserve(slot);
  keys.write(slot, sum.kept, sum.column);
  errors.note(slot, sum.column, sum.given, sum.kept, sum.carried);
  return keySlots.nameOf(slot);
}

/**
 * The slot of the row that an edit is of, before it is performed; null where it inserts one. Of an edit that will be
 * refused the answer means nothing.
 */
export function slotBefore(edit: CheckedEdit, { keySlots, querySlots }: EditRules): number | null {
  const { ids } = isOfQuery(edit.kind) ? querySlots : keySlots;
  if (!("slot" in edit)) return edit.kind.startsWith("upsert") ? ids?.slotOf(edit.id) ?? null : null;
  // −0 is slot 0.
  return ids ? ids.slotOf(edit.slot) ?? null : (edit.slot as number) + 0;
}

/** Whether an edit is of a query. */
export function isOfQuery(kind: CheckedEdit["kind"]): boolean {
  return kind.endsWith("Query");
}

/** The slot of a live row, called as the caller calls it, or a throw. */
export function findSlot(operation: string, what: "key" | "query", name: RowId, slots: SlotTable): number {
  return slots.ids
    ? slots.ids.find(operation, what, name)
    : checkSlot(operation, what, name as number, slots);
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

/**
 * Checks the id of a row that comes. Of a row that is written or inserted, returns the slot where it is there
 * already; undefined where it is to come.
 */
export function checkNewName(
  { operation, kind, id }: NewRow & { readonly kind: string },
  what: "key" | "query",
  { ids }: SlotTable,
): number | undefined {
  if (kind.startsWith("upsert")) {
    if (!ids) {
      throw new InputError(operation, `the engine has no ${what}Ids`, "an engine that was made with them");
    }
    if (ids.isAuto) throw new InputError(operation, `${what}Ids is "auto"`, "ids of the caller's");
    const known = ids.slotOf(id);
    if (known !== undefined) return known;
  }
  if (ids) ids.checkNew(operation, what, id);
  else checkNoId(operation, what, id);
  return undefined;
}

/** Refuses an id where rows are called by their slots. */
function checkNoId(operation: string, what: "key" | "query", id: RowId | undefined): void {
  if (id === undefined) return;
  throw new InputError(operation, `id is ${describe(id)}`, `none, or ${what}Ids when the engine is made`);
}

/** Inserts a row. Its position is 0 if the score rule does not depend on positions. */
function insertRow(
  { operation, row, position, id }: NewRow,
  slots: SlotTable,
  log: EditLog,
  { rule, frame }: EditRules,
): RowId {
  const given = position === null ? slots.nextPosition : frame.held(position);
  const place = looksAtPositions(rule) ? given : 0;
  checkPlace(operation, "position", frame.position(place), rule);
  // This may throw for want of memory, so it comes before the first change.
  log.reserve(1);
  const slot = slots.allocate(place, id);
  log.insert(slot, row, place);
  return slots.nameOf(slot);
}

/** Writes all of a live row, and moves it where a position is given. */
function writeAt(
  slot: number,
  { operation, row, position }: NewRow,
  slots: SlotTable,
  log: EditLog,
  { rule, frame }: EditRules,
): RowId {
  const place = position === null || !looksAtPositions(rule) ? log.position(slot) : frame.held(position);
  checkPlace(operation, "position", frame.position(place), rule);
  log.reserve(1);
  slots.reach(place);
  log.put(slot, row, place);
  return slots.nameOf(slot);
}

/** Returns what the row was called. */
function deleteRow(slot: number, slots: SlotTable, log: EditLog): RowId {
  const name = slots.nameOf(slot);
  log.reserve(1);
  slots.release(slot);
  log.delete(slot);
  return name;
}

/** Moves a live row to another position; where no rule looks at positions, nothing happens. */
function moveRow(
  slot: number,
  { operation, position }: { readonly operation: string; readonly position: number },
  slots: SlotTable,
  log: EditLog,
  { rule, frame }: EditRules,
): RowId {
  if (looksAtPositions(rule)) {
    const place = frame.held(position);
    checkPlace(operation, "position", position, rule);
    log.reserve(1);
    slots.reach(place);
    log.move(slot, place);
  }
  return slots.nameOf(slot);
}
