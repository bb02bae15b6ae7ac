// The edits of the model-based test: each is made for what is live, written to the model, and performed on
// the engine.

import fc from "fast-check";
import type { DynamicAttention, Edit, VectorInput } from "../mod.ts";
import { assert, assertEquals } from "./assert.ts";
import type { MemoryModel, ModelKey, ModelQuery, ModelRule } from "./memory_model.ts";

/** Numbers that meet again (so that edits undo each other), ordinary ones, and large ones. */
export const number: fc.Arbitrary<number> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(-2, -1, 0, 1, 2) },
  { weight: 4, arbitrary: fc.float({ min: -3, max: 3, noNaN: true }) },
  { weight: 1, arbitrary: fc.float({ min: -60, max: 60, noNaN: true }) },
);

/** A number that picks one of what there is. */
export const choice: fc.Arbitrary<number> = fc.nat(1000);

/** The item that a choice picks. */
export function at<T>(items: readonly T[], choice: number): T {
  return items[choice % items.length];
}

/** Rows of `length` numbers. */
export function rowOf(length: number): fc.Arbitrary<number[]> {
  return fc.array(number, { minLength: length, maxLength: length });
}

/**
 * Writes an edit, of a slot chosen among the live ones, to the model and returns it as the engine takes it;
 * null when there is nothing to edit. An insert is written by `takeSlot`, once its slot is known.
 */
export type EditMaker = (model: MemoryModel) => Edit | null;

/** A position, or none, which is the next one. */
const position = fc.option(fc.integer({ min: -3, max: 12 }), { nil: undefined });

type WeightedMaker = fc.WeightedArbitrary<EditMaker>;

/** Edits of every kind. */
export function editMakers(rule: ModelRule): fc.Arbitrary<EditMaker> {
  return fc.oneof(...keyEdits(rule), ...membershipEdits(rule), ...queryEdits(rule));
}

/** Edits of keys and values that stay. */
function keyEdits({ kvHeads, headDim, valueDim }: ModelRule): WeightedMaker[] {
  const keyLength = kvHeads * headDim, valueLength = kvHeads * valueDim;
  const key = rowOf(keyLength), value = rowOf(valueLength);
  const setKey = fc.tuple(choice, key).map(([pick, row]) =>
    onKey(pick, (slot, held) => {
      held.key = Float32Array.from(row);
      return { kind: "setKey", slot, key: row };
    })
  );
  const setValue = fc.tuple(choice, value).map(([pick, row]) =>
    onKey(pick, (slot, held) => {
      held.value = Float32Array.from(row);
      return { kind: "setValue", slot, value: row };
    })
  );
  const set = fc.tuple(choice, key, value).map(([pick, keyRow, valueRow]) =>
    onKey(pick, (slot, held) => {
      held.key = Float32Array.from(keyRow);
      held.value = Float32Array.from(valueRow);
      return { kind: "set", slot, key: keyRow, value: valueRow };
    })
  );
  const addToKey = fc.tuple(choice, choice, number).map(([pick, where, delta]) =>
    onKey(pick, (slot, held) => {
      held.key[where % keyLength] += delta;
      return { kind: "addToKey", slot, column: where % keyLength, delta };
    })
  );
  const addToValue = fc.tuple(choice, choice, number).map(([pick, where, delta]) =>
    onKey(pick, (slot, held) => {
      held.value[where % valueLength] += delta;
      return { kind: "addToValue", slot, column: where % valueLength, delta };
    })
  );
  return [
    { weight: 3, arbitrary: setKey },
    { weight: 3, arbitrary: setValue },
    { weight: 2, arbitrary: set },
    { weight: 3, arbitrary: addToKey },
    { weight: 2, arbitrary: addToValue },
  ];
}

/** Keys that come and go. */
function membershipEdits({ kvHeads, headDim, valueDim }: ModelRule): WeightedMaker[] {
  const key = rowOf(kvHeads * headDim), value = rowOf(kvHeads * valueDim);
  const insert = fc.tuple(key, value, position).map(([keyRow, valueRow, where]): EditMaker => () => ({
    kind: "insert",
    key: keyRow,
    value: valueRow,
    ...positionOf(where),
  }));
  const remove = choice.map((pick) =>
    onKey(pick, (slot, _, model) => {
      model.keys.delete(slot);
      return { kind: "delete", slot };
    })
  );
  return [{ weight: 3, arbitrary: insert }, { weight: 3, arbitrary: remove }];
}

/** Edits of queries. */
function queryEdits({ heads, headDim }: ModelRule): WeightedMaker[] {
  const query = rowOf(heads * headDim);
  const setQuery = fc.tuple(choice, query).map(([pick, row]) =>
    onQuery(pick, (slot, held) => {
      held.query = Float32Array.from(row);
      return { kind: "setQuery", slot, query: row };
    })
  );
  const insertQuery = fc.tuple(query, position).map(([row, where]): EditMaker => () => ({
    kind: "insertQuery",
    query: row,
    ...positionOf(where),
  }));
  const deleteQuery = choice.map((pick) =>
    onQuery(pick, (slot, _, model) => {
      model.queries.delete(slot);
      return { kind: "deleteQuery", slot };
    })
  );
  return [
    { weight: 2, arbitrary: setQuery },
    { weight: 1, arbitrary: insertQuery },
    { weight: 1, arbitrary: deleteQuery },
  ];
}

function onKey(pick: number, edit: (slot: number, held: ModelKey, model: MemoryModel) => Edit): EditMaker {
  return (model) => {
    if (model.keys.size === 0) return null;
    const slot = at(model.keySlots, pick), held = model.keys.get(slot) as ModelKey;
    const made = edit(slot, held, model);
    model.round(held);
    return made;
  };
}

function onQuery(
  pick: number,
  edit: (slot: number, held: ModelQuery, model: MemoryModel) => Edit,
): EditMaker {
  return (model) => {
    if (model.queries.size === 0) return null;
    const slot = at(model.querySlots, pick);
    return edit(slot, model.queries.get(slot) as ModelQuery, model);
  };
}

function positionOf(position: number | undefined): { position?: number } {
  return position === undefined ? {} : { position };
}

/** An insert's slot is the engine's to choose, among those that are not live. */
export function takeSlot(model: MemoryModel, edit: Edit, slot: number): void {
  if (edit.kind === "insert") {
    assert(!model.keys.has(slot), `insert returned the live key slot ${slot}`);
    model.insertKey(slot, dense(edit.key), dense(edit.value), edit.position);
  } else if (edit.kind === "insertQuery") {
    assert(!model.queries.has(slot), `insertQuery returned the live query slot ${slot}`);
    model.insertQuery(slot, dense(edit.query), edit.position);
  } else {
    assert(edit.kind !== "upsert" && edit.kind !== "upsertQuery", "the model's rows have no ids");
    assertEquals(slot, edit.slot);
  }
}

/** The model's edits are of rows that are written out. */
function dense(row: VectorInput): ArrayLike<number> {
  assert(!("indices" in row));
  return row;
}

/** Performs an edit through the method of its name. */
export function call(engine: DynamicAttention, edit: Edit): number {
  switch (edit.kind) {
    case "setKey":
      engine.setKey(edit.slot, edit.key);
      return edit.slot;
    case "setValue":
      engine.setValue(edit.slot, edit.value);
      return edit.slot;
    case "set":
      engine.set(edit.slot, edit.key, edit.value);
      return edit.slot;
    case "addToKey":
      engine.addToKey(edit.slot, edit.column, edit.delta);
      return edit.slot;
    case "addToValue":
      engine.addToValue(edit.slot, edit.column, edit.delta);
      return edit.slot;
    case "insert":
      return engine.insert(edit.key, edit.value, positionOf(edit.position));
    case "upsert":
    case "upsertQuery":
    case "setPosition":
    case "setQueryPosition":
      throw new Error("the model's rows have no ids, and stay where they are");
    case "delete":
      engine.delete(edit.slot);
      return edit.slot;
    case "setQuery":
      engine.setQuery(edit.slot, edit.query);
      return edit.slot;
    case "insertQuery":
      return engine.insertQuery(edit.query, positionOf(edit.position));
    case "deleteQuery":
      engine.deleteQuery(edit.slot);
      return edit.slot;
  }
}
