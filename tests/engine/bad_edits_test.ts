// DynamicAttention.edit performs all or none: good edits before a bad one leave no trace.

import { type Edit, InputError, SlotError } from "../../mod.ts";
import { assertEquals } from "../../testing/assert.ts";
import { as, checkRefused, detached, KEY, makeEngine, type Refusal, VALUE } from "../../testing/bad_calls.ts";

const GOOD_EDITS: readonly Edit[] = [
  { kind: "set", slot: 0, key: [9, 9, 9], value: [9, 9] },
  { kind: "delete", slot: 1 },
  { kind: "insert", key: [1, 0, 2], value: [3, 3] },
  { kind: "insert", key: [1, 0, 3], value: [3, 4] },
  { kind: "insert", key: [1, 0, 4], value: [3, 5] },
  { kind: "delete", slot: 3 },
  { kind: "addToKey", slot: 2, column: 1, delta: 5 },
  { kind: "setQuery", slot: 0, query: [3, 2, 1] },
  { kind: "insertQuery", query: [1, 1, 1] },
  { kind: "deleteQuery", slot: 1 },
  { kind: "insertQuery", query: [2, 1, 1] },
];

const BAD_EDITS: readonly (readonly [edit: unknown, type: Refusal, message: string])[] = [
  [{ kind: "setKey", slot: 9, key: KEY }, SlotError, "].setKey: key slot 9 is not live"],
  [{ kind: "setKey", slot: 0, key: [1] }, InputError, "].setKey: key has 1 numbers"],
  [{ kind: "setKey", slot: 0 }, InputError, "].setKey: key is undefined"],
  [{ kind: "setValue", slot: 9, value: VALUE }, SlotError, "].setValue: key slot 9 is not live"],
  [{ kind: "setValue", slot: 0, value: KEY }, InputError, "].setValue: value has 3 numbers"],
  [{ kind: "set", slot: 0, key: KEY }, InputError, "].set: value is undefined"],
  [{ kind: "set", key: KEY, value: VALUE }, SlotError, "].set: key slot undefined is not live"],
  [{ kind: "addToKey", slot: 0, column: 3, delta: 1 }, InputError, "].addToKey: column is 3"],
  [{ kind: "addToKey", slot: 0, column: 0, delta: NaN }, InputError, "].addToKey: delta is NaN"],
  [{ kind: "addToValue", slot: 0, column: 2, delta: 1 }, InputError, "].addToValue: column is 2"],
  [{ kind: "addToValue", slot: 0, column: 0, delta: 1e39 }, InputError, "].addToValue: 9 + 1e+39 is beyond"],
  [{ kind: "insert", key: KEY, value: [NaN, 0] }, InputError, "].insert: value has NaN at index 0"],
  [{ kind: "insert", key: detached(3), value: VALUE }, InputError, "].insert: key is a view of a detached"],
  [{ kind: "insert", key: KEY, value: VALUE, position: NaN }, InputError, "].insert: position is NaN"],
  [{ kind: "insertQuery", query: KEY, position: "4" }, InputError, '].insertQuery: position is "4"'],
  [{ kind: "delete", slot: 3 }, SlotError, "].delete: key slot 3 is not live"],
  [{ kind: "setQuery", slot: 2, query: VALUE }, InputError, "].setQuery: query has 2 numbers"],
  [{ kind: "setQuery", slot: 9, query: KEY }, SlotError, "].setQuery: query slot 9 is not live"],
  [{ kind: "insertQuery", query: null }, InputError, "].insertQuery: query is null"],
  [{ kind: "deleteQuery", slot: 9 }, SlotError, "].deleteQuery: query slot 9 is not live"],
  [{ kind: "replace", slot: 0 }, InputError, 'kind is "replace", expected "setKey", '],
  [{ slot: 0 }, InputError, "edit[11]: edit is an object (Object), expected an object with a kind"],
  [{ kind: null }, InputError, "edit[11]: edit is an object (Object), expected an object with a kind"],
  [{ kind: "toString" }, InputError, 'kind is "toString", expected "setKey", '],
];

Deno.test("the good edits of these tests are good", async () => {
  await using live = await makeEngine();
  assertEquals(live.edit(GOOD_EDITS), [0, 1, 1, 3, 5, 3, 2, 0, 2, 1, 1]);
});

Deno.test("edit performs all or none: good edits before a bad one leave no trace", async (t) => {
  for (const [edit, type, message] of BAD_EDITS) {
    await t.step(
      `…${message}`,
      () => checkRefused((live) => live.edit([...GOOD_EDITS, as(edit)]), type, message),
    );
  }
});

Deno.test("edit performs none when the bad one is the first, or between good ones", async (t) => {
  const bad = as<Edit>({ kind: "setKey", slot: 0, key: [1] });
  for (const at of [0, 1, 5]) {
    const edits = GOOD_EDITS.toSpliced(at, 0, bad);
    await t.step(
      `at ${at}`,
      () => checkRefused((live) => live.edit(edits), InputError, `edit[${at}].setKey`),
    );
  }
});

Deno.test("edit refuses what is no list of edits", async (t) => {
  const lists: readonly (readonly [name: string, edits: unknown])[] = [
    ["nothing", undefined],
    ["null", null],
    ["one edit without a list", { kind: "delete", slot: 0 }],
    ["a string", "delete"],
    ["a set", new Set([{ kind: "delete", slot: 0 }])],
  ];
  for (const [name, edits] of lists) {
    await t.step(name, () => checkRefused((live) => live.edit(as(edits)), InputError, "edits are"));
  }
  const entries: readonly (readonly [name: string, list: unknown[]])[] = [
    ["null among edits", [...GOOD_EDITS, null]],
    ["undefined among edits", [...GOOD_EDITS, undefined]],
    ["a number among edits", [...GOOD_EDITS, 5]],
    ["a string among edits", [...GOOD_EDITS, "delete"]],
    ["a kind that is a symbol", [...GOOD_EDITS, { kind: Symbol("delete") }]],
    ["a hole among edits", Object.assign(new Array(GOOD_EDITS.length + 1), GOOD_EDITS)],
  ];
  for (const [name, list] of entries) {
    await t.step(
      name,
      () => checkRefused((live) => live.edit(as(list)), InputError, "DynamicAttention.edit["),
    );
  }
});
