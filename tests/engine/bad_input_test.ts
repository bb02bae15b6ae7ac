// Bad input is refused, and a refused call leaves no trace. This is judged by comparison with a twin: an
// engine with the same past, minus the refused call, must answer everything that is asked afterwards with the
// same bits.

import { InputError, SlotError } from "../../mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import {
  as,
  BAD_POSITION_LISTS,
  type Case,
  checkRefused,
  columnCases,
  DELETED_KEY,
  DELETED_QUERY,
  deltaCases,
  detached,
  headCases,
  HEADS_KEY,
  HEADS_QUERY,
  HEADS_VALUE,
  KEY,
  makeEngine,
  makeEngineOfHeads,
  positionCases,
  rowCases,
  rowListCases,
  slotCases,
  VALUE,
  VALUE_DIM,
} from "../../testing/bad_calls.ts";

const CASES: Readonly<Record<string, Case[]>> = {
  setKey: [
    ...slotCases("key", DELETED_KEY, (live, slot) => live.setKey(slot, KEY)),
    ...rowCases("key", (live, row) => live.setKey(0, row)),
  ],
  setValue: [
    ...slotCases("key", DELETED_KEY, (live, slot) => live.setValue(slot, VALUE)),
    ...rowCases("value", (live, row) => live.setValue(0, row)),
  ],
  set: [
    ...slotCases("key", DELETED_KEY, (live, slot) => live.set(slot, KEY, VALUE)),
    ...rowCases("key", (live, row) => live.set(0, row, VALUE)),
    ...rowCases("value", (live, row) => live.set(0, KEY, row)),
  ],
  addToKey: [
    ...slotCases("key", DELETED_KEY, (live, slot) => live.addToKey(slot, 0, 1)),
    ...columnCases((live, column) => live.addToKey(0, column, 1)),
    ...deltaCases((live, delta) => live.addToKey(0, 0, delta)),
  ],
  addToValue: [
    ...slotCases("key", DELETED_KEY, (live, slot) => live.addToValue(slot, 0, 1)),
    ...columnCases((live, column) => live.addToValue(0, column, 1)),
    [
      "the first column after the last",
      (live) => live.addToValue(0, VALUE_DIM, 1),
      InputError,
      "column is 2",
    ],
    ...deltaCases((live, delta) => live.addToValue(0, 0, delta)),
  ],
  insert: [
    ...rowCases("key", (live, row) => live.insert(row, VALUE)),
    ...rowCases("value", (live, row) => live.insert(KEY, row)),
    ...positionCases((live, position) => live.insert(KEY, VALUE, { position })),
  ],
  delete: slotCases("key", DELETED_KEY, (live, slot) => live.delete(slot)),
  setQuery: [
    ...slotCases("query", DELETED_QUERY, (live, slot) => live.setQuery(slot, KEY)),
    ...rowCases("query", (live, row) => live.setQuery(0, row)),
  ],
  insertQuery: [
    ...rowCases("query", (live, row) => live.insertQuery(row)),
    ...positionCases((live, position) => live.insertQuery(KEY, { position })),
  ],
  deleteQuery: slotCases("query", DELETED_QUERY, (live, slot) => live.deleteQuery(slot)),
  read: rowListCases((live, rows) => live.read(rows)),
  peek: rowListCases((live, rows) => live.peek(rows)),
  logSumExp: rowListCases((live, rows) => live.logSumExp(rows)),
  readEntry: [
    ...slotCases("query", DELETED_QUERY, (live, slot) => live.readEntry(slot, 0)),
    ...columnCases((live, column) => live.readEntry(0, column)),
    ["the first column after the last", (live) => live.readEntry(0, VALUE_DIM), InputError, "column is 2"],
  ],
  weights: [
    ...slotCases("query", DELETED_QUERY, (live, slot) => live.weights(slot)),
    ...headCases((live, head) => live.weights(0, { head })),
  ],
  topKeys: [
    // An array names several queries.
    ...slotCases("query", DELETED_QUERY, (live, slot) => {
      return Array.isArray(slot) ? live.weights(slot as unknown as number) : live.topKeys(slot, 1);
    }),
    ...headCases((live, head) => live.topKeys(0, 1, { head })),
    ["a negative count", (live) => live.topKeys(0, -1), InputError, "count is -1, expected an integer ≥ 0"],
    ["half a count", (live) => live.topKeys(0, 0.5), InputError, "count is 0.5"],
    ["NaN for a count", (live) => live.topKeys(0, NaN), InputError, "count is NaN"],
    ["a string for a count", (live) => live.topKeys(0, as("2")), InputError, 'count is "2"'],
    ["no count", (live) => live.topKeys(0, as(undefined)), InputError, "count is undefined"],
  ],
  attend: [
    ["no queries", (live) => live.attend(as(undefined)), InputError, "queries is undefined"],
    ["no rows and no shape", (live) => live.attend([]), InputError, "queries has no rows"],
    [
      "narrow queries",
      (live) => live.attend([[1, 2]]),
      InputError,
      "queries have 2 columns, expected 3 (heads × headDim)",
    ],
    ["wide queries", (live) => live.attend([[1, 2, 3, 4]]), InputError, "queries have 4 columns, expected 3"],
    ["ragged queries", (live) => live.attend([[1, 2, 3], [1, 2]]), InputError, "queries[1] has 2 numbers"],
    ["NaN in queries", (live) => live.attend([[1, NaN, 3]]), InputError, "queries[0] has NaN at index 1"],
    [
      "detached queries",
      (live) => live.attend({ data: detached(3), shape: [1, 3] }),
      InputError,
      "queries.data is a view of a detached buffer",
    ],
    ...BAD_POSITION_LISTS.map(([name, positions, message]): Case => [
      name,
      (live) => live.attend([KEY, KEY], { positions: as(positions) }),
      InputError,
      `DynamicAttention.attend: positions${message}`,
    ]),
  ],
};

for (const [method, cases] of Object.entries(CASES)) {
  Deno.test(`DynamicAttention.${method} refuses bad input without a trace`, async (t) => {
    for (const [name, call, type, message] of cases) {
      await t.step(name, () => checkRefused(call, type, message));
    }
  });
}

const HEADS_CASES: readonly Case[] = [
  [
    "a key of one head",
    (live) => live.setKey(0, [1, 2]),
    InputError,
    "key has 2 numbers, expected 4 (kvHeads ×",
  ],
  [
    "a key of a query's heads",
    (live) => live.setKey(0, HEADS_QUERY),
    InputError,
    "key has 8 numbers, expected 4 (kvHeads × headDim)",
  ],
  [
    "a value of an output's heads",
    (live) => live.setValue(0, HEADS_KEY),
    InputError,
    "value has 4 numbers, expected 2 (kvHeads × valueDim)",
  ],
  [
    "a query of a key's heads",
    (live) => live.setQuery(0, HEADS_KEY),
    InputError,
    "query has 4 numbers, expected 8 (heads × headDim)",
  ],
  [
    "a short query to attend",
    (live) => live.attend([HEADS_KEY]),
    InputError,
    "queries have 4 columns, expected 8 (heads × headDim)",
  ],
  ["a column after the last key head", (live) => live.addToKey(0, 4, 1), InputError, "column is 4"],
  ["a column after the last value head", (live) => live.addToValue(0, 2, 1), InputError, "column is 2"],
  ["an entry after the last head", (live) => live.readEntry(0, 4), InputError, "column is 4"],
  [
    "a head after the last",
    (live) => live.weights(0, { head: 4 }),
    InputError,
    "head is 4, expected an integer from 0 to 3",
  ],
  ["a head after the last", (live) => live.topKeys(0, 1, { head: 4 }), InputError, "head is 4"],
  [
    "a bad position",
    (live) => live.insert(HEADS_KEY, HEADS_VALUE, { position: NaN }),
    InputError,
    "position is NaN",
  ],
  [
    "a good position with a bad row",
    (live) => live.insert(HEADS_KEY, HEADS_KEY, { position: 77 }),
    InputError,
    "value has 4 numbers",
  ],
  [
    "good inserts before a bad one",
    (live) =>
      live.edit([
        { kind: "insert", key: HEADS_KEY, value: HEADS_VALUE, position: 50 },
        { kind: "insert", key: HEADS_KEY, value: HEADS_VALUE },
        { kind: "insertQuery", query: HEADS_QUERY, position: 60 },
        { kind: "delete", slot: 3 },
        { kind: "delete", slot: 3 },
      ]),
    SlotError,
    "edit[4].delete: key slot 3",
  ],
];

Deno.test("an engine of heads with positions refuses bad input without a trace", async (t) => {
  for (const [name, call, type, message] of HEADS_CASES) {
    await t.step(name, () => checkRefused(call, type, message, makeEngineOfHeads));
  }
});

Deno.test("a refusal names the method that was called", async () => {
  await using live = await makeEngine();
  assertEquals(assertThrows(() => live.setKey(9, KEY), SlotError).operation, "DynamicAttention.setKey");
  assertEquals(assertThrows(() => live.insert([1], VALUE), InputError).operation, "DynamicAttention.insert");
  const unread = await assertRejects(() => live.read([9]), SlotError);
  assertEquals([unread.operation, unread.slot], ["DynamicAttention.read", 9]);
  assertEquals((await assertRejects(() => live.peek([9]), SlotError)).operation, "DynamicAttention.peek");
  assertEquals((await assertRejects(() => live.weights(9), SlotError)).operation, "DynamicAttention.weights");
});

Deno.test("a slot's message tells a string from a number, and takes what has no text", async (t) => {
  const slots: readonly (readonly [slot: unknown, text: string])[] = [
    ["0", 'key slot "0" is not live'],
    [[0], "key slot [0] is not live"],
    [Symbol("zero"), "key slot Symbol(zero) is not live"],
    [Object.create(null), "key slot an object (no prototype) is not live"],
  ];
  for (const [slot, text] of slots) {
    await t.step(text, () => checkRefused((live) => live.setKey(as(slot), KEY), SlotError, text));
  }
});

Deno.test("a typed array of rows must be one of numbers that are there", async (t) => {
  await t.step(
    "a DataView",
    () =>
      checkRefused(
        (live) => live.read(as(new DataView(new ArrayBuffer(2)))),
        InputError,
        "slots is an object",
      ),
  );
  await t.step(
    "a detached buffer",
    () => checkRefused((live) => live.read(detached(2)), InputError, "detached"),
  );
  await t.step(
    "bigints",
    () => checkRefused((live) => live.read(as(BigInt64Array.of(0n))), InputError, "(BigInt64Array)"),
  );
});
