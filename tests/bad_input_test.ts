// What must be refused, and that a refused call leaves no trace. "No trace" is judged by a twin: an engine with
// the same past, minus the refused call, must answer everything that is asked afterwards with the same bits.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "./assert.ts";
import {
  attention,
  AttentionError,
  type AttentionOptions,
  DisposedError,
  DynamicAttention,
  type DynamicAttentionOptions,
  type Edit,
  InputError,
  SlotError,
} from "../mod.ts";

type Refusal = typeof InputError | typeof SlotError;

/** A call with bad arguments: what it is, the call, the class of the error, a part of its message. */
type Case = readonly [
  name: string,
  call: (live: DynamicAttention) => unknown,
  type: Refusal,
  message: string,
];

const HEAD_DIM = 3, VALUE_DIM = 2;
const KEY = [1, 2, 3], VALUE = [4, 5];
const DELETED_KEY = 3, DELETED_QUERY = 2;

/** Takes a value for one of any type, which JavaScript callers do. */
function as<T>(value: unknown): T {
  return value as T;
}

function detached(length: number): Float32Array {
  const numbers = new Float32Array(length);
  structuredClone(numbers, { transfer: [numbers.buffer] });
  return numbers;
}

/** An engine with applied and pending edits, and a deleted slot of either kind. */
async function makeEngine(): Promise<DynamicAttention> {
  const live = await DynamicAttention.create({
    query: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    key: [[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1], [2, 0, 0]],
    value: [[1, 0], [0, 1], [2, 2], [3, 1], [-1, 4]],
    lazyThreshold: Infinity,
  });
  live.setKey(0, [0.5, -1, 2]);
  live.delete(DELETED_KEY);
  await live.flush();
  live.deleteQuery(DELETED_QUERY);
  live.addToValue(1, 0, 0.25);
  live.setQuery(1, [0, 2, 0]);
  live.set(4, [0, 0, 1], [7, 7]);
  return live;
}

/** Everything that can be asked, and the slots that come next; the clock apart. */
async function observe(live: DynamicAttention): Promise<unknown> {
  const statsOf = () => ({ ...live.stats(), applyMs: 0, readMs: 0 });
  const before = statsOf();
  const stale = await live.peek();
  const next = [live.insert(KEY, VALUE), live.insert(VALUE.concat(1), VALUE), live.insertQuery(KEY)];
  const answers = [
    stale,
    await live.read(),
    await live.logSumExp(),
    await live.weights(0),
    await live.weights(1),
    await live.topKeys(0, 9),
    await live.attend([[1, 1, 1]]),
  ];
  await live.flush();
  return { before, next, answers, read: await live.read(), after: statsOf() };
}

/** Checks that an edit throws, or an answer rejects, as it should and without a trace. */
async function checkRefused(call: Case[1], type: Refusal, message: string): Promise<void> {
  await using live = await makeEngine();
  await using twin = await makeEngine();
  let error: unknown;
  try {
    const answer = call(live);
    assert(answer instanceof Promise, "an edit was accepted");
    error = await answer.then(() => "an answer came", (reason) => reason);
  } catch (thrown) {
    error = thrown;
  }
  assertInstanceOf(error, type);
  assertEquals(error.constructor, type);
  assertStringIncludes(error.message, message);
  assertEquals(await observe(live), await observe(twin));
}

const BAD_SLOTS: readonly (readonly [name: string, slot: unknown])[] = [
  ["a negative slot", -1],
  ["half a slot", 0.5],
  ["a slot too large", 5],
  ["a slot beyond 32 bits", 2 ** 32],
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["a string", "0"],
  ["null", null],
  ["undefined", undefined],
  ["a truth value", true],
  ["a bigint", 0n],
  ["an array", [0]],
];

const BAD_COLUMNS: readonly (readonly [name: string, column: unknown, text: string])[] = [
  ["a negative column", -1, "-1"],
  ["half a column", 0.5, "0.5"],
  ["a column too large", 3, "3"],
  ["NaN for a column", NaN, "NaN"],
  ["a string for a column", "0", '"0"'],
  ["no column", undefined, "undefined"],
];

const BAD_DELTAS: readonly (readonly [name: string, delta: unknown, text: string])[] = [
  ["NaN for a delta", NaN, "delta is NaN, expected a finite number"],
  ["Infinity for a delta", Infinity, "delta is Infinity, expected a finite number"],
  ["a string for a delta", "1", 'delta is "1", expected a finite number'],
  ["no delta", undefined, "delta is undefined, expected a finite number"],
  ["a delta beyond float32", 1e39, "is beyond float32, expected a sum below 3.4e38"],
];

/** Rows that are refused whatever length is expected. */
function badRows(name: string, length: number): readonly (readonly [string, unknown, string])[] {
  const nan = new Array<number>(length).fill(0);
  nan[length - 1] = NaN;
  return [
    [
      `a short ${name}`,
      new Float32Array(length - 1),
      `${name} has ${length - 1} numbers, expected ${length}`,
    ],
    [`a long ${name}`, new Float32Array(length + 1), `${name} has ${length + 1} numbers, expected ${length}`],
    [`NaN in a ${name}`, nan, `${name} has NaN at index ${length - 1}`],
    [`Infinity in a ${name}`, nan.map((_, c) => c ? 0 : -Infinity), `${name} has -Infinity at index 0`],
    [`float64 range in a ${name}`, nan.map((_, c) => c ? 0 : 1e39), `${name} has Infinity at index 0`],
    [`a string for a ${name}`, "123", `${name} is "123", expected an array of numbers`],
    [`null for a ${name}`, null, `${name} is null, expected an array of numbers`],
    [`no ${name}`, undefined, `${name} is undefined, expected an array of numbers`],
    [`a DataView for a ${name}`, new DataView(new ArrayBuffer(length)), `${name} is an object (DataView)`],
    [`a detached ${name}`, detached(length), `${name} is a view of a detached buffer`],
    [`holes in a ${name}`, new Array(length), `${name} has NaN at index 0`],
  ];
}

/** The cases of a bad slot for an edit of, or a question about, a key or query. */
function slotCases(
  what: "key" | "query",
  deleted: number,
  call: (live: DynamicAttention, slot: number) => unknown,
): Case[] {
  return [...BAD_SLOTS, [`a deleted ${what}`, deleted] as const].map(([name, slot]) => [
    name,
    (live) => call(live, as(slot)),
    SlotError,
    ` is not live, expected the number of a live ${what}`,
  ]);
}

function rowCases(
  name: "key" | "value" | "query",
  call: (live: DynamicAttention, row: Float32Array) => unknown,
): Case[] {
  const length = name === "value" ? VALUE_DIM : HEAD_DIM;
  return badRows(name, length).map(([title, row, message]) => [
    title,
    (live) => call(live, as(row)),
    InputError,
    message,
  ]);
}

function columnCases(call: (live: DynamicAttention, column: number) => unknown): Case[] {
  return BAD_COLUMNS.map(([name, column, text]) => [
    name,
    (live) => call(live, as(column)),
    InputError,
    `column is ${text}, expected an integer from 0 to`,
  ]);
}

function deltaCases(call: (live: DynamicAttention, delta: number) => unknown): Case[] {
  return BAD_DELTAS.map((
    [name, delta, message],
  ) => [name, (live) => call(live, as(delta)), InputError, message]);
}

function rowListCases(call: (live: DynamicAttention, rows: number[]) => unknown): Case[] {
  return [
    ...slotCases("query", DELETED_QUERY, (live, slot) => call(live, [0, slot])),
    ["null for rows", (live) => call(live, as(null)), InputError, "rows are null, expected an array of"],
    ["a number for rows", (live) => call(live, as(0)), InputError, "rows are 0, expected an array of"],
    ["a string for rows", (live) => call(live, as("01")), InputError, 'rows are "01", expected an array of'],
    ["a set for rows", (live) => call(live, as(new Set([0]))), InputError, "rows are an object (Set)"],
    ["a hole in rows", (live) => call(live, new Array(1)), SlotError, "query slot undefined is not live"],
  ];
}

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
  ],
  delete: slotCases("key", DELETED_KEY, (live, slot) => live.delete(slot)),
  setQuery: [
    ...slotCases("query", DELETED_QUERY, (live, slot) => live.setQuery(slot, KEY)),
    ...rowCases("query", (live, row) => live.setQuery(0, row)),
  ],
  insertQuery: rowCases("query", (live, row) => live.insertQuery(row)),
  deleteQuery: slotCases("query", DELETED_QUERY, (live, slot) => live.deleteQuery(slot)),
  read: rowListCases((live, rows) => live.read(rows)),
  peek: rowListCases((live, rows) => live.peek(rows)),
  logSumExp: rowListCases((live, rows) => live.logSumExp(rows)),
  readEntry: [
    ...slotCases("query", DELETED_QUERY, (live, slot) => live.readEntry(slot, 0)),
    ...columnCases((live, column) => live.readEntry(0, column)),
    ["the first column after the last", (live) => live.readEntry(0, VALUE_DIM), InputError, "column is 2"],
  ],
  weights: slotCases("query", DELETED_QUERY, (live, slot) => live.weights(slot)),
  topKeys: [
    ...slotCases("query", DELETED_QUERY, (live, slot) => live.topKeys(slot, 1)),
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
      "queries have 2 columns, expected 3 (headDim)",
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
  ],
};

for (const [method, cases] of Object.entries(CASES)) {
  Deno.test(`DynamicAttention.${method} refuses bad input without a trace`, async (t) => {
    for (const [name, call, type, message] of cases) {
      await t.step(name, () => checkRefused(call, type, message));
    }
  });
}

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
    () => checkRefused((live) => live.read(as(new DataView(new ArrayBuffer(2)))), InputError, "rows are"),
  );
  await t.step(
    "a detached buffer",
    () => checkRefused((live) => live.read(detached(2)), InputError, "detached"),
  );
  await t.step(
    "bigints",
    () => checkRefused((live) => live.read(as(BigInt64Array.of(0n))), SlotError, "not live"),
  );
});

// ---- edit ------------------------------------------------------------------------------------------------

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
  [{ kind: "delete", slot: 3 }, SlotError, "].delete: key slot 3 is not live"],
  [{ kind: "setQuery", slot: 2, query: VALUE }, InputError, "].setQuery: query has 2 numbers"],
  [{ kind: "setQuery", slot: 9, query: KEY }, SlotError, "].setQuery: query slot 9 is not live"],
  [{ kind: "insertQuery", query: null }, InputError, "].insertQuery: query is null"],
  [{ kind: "deleteQuery", slot: 9 }, SlotError, "].deleteQuery: query slot 9 is not live"],
  [{ kind: "replace", slot: 0 }, InputError, 'kind is "replace", expected the name of an edit method'],
  [{ slot: 0 }, InputError, "kind is undefined, expected the name of an edit method"],
  [{ kind: null }, InputError, "kind is null, expected the name of an edit method"],
  [{ kind: "toString" }, InputError, 'kind is "toString", expected the name of an edit method'],
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

// ---- options ---------------------------------------------------------------------------------------------

const GOOD_OPTIONS: AttentionOptions = { query: [[1, 2]], key: [[1, 2], [3, 4]], value: [[1], [2]] };

const BAD_OPTIONS: readonly (readonly [name: string, options: object, message: string])[] = [
  ["no query", { query: undefined }, "query is undefined"],
  ["NaN in query", { query: [[NaN, 1]] }, "query[0] has NaN at index 0"],
  ["a query of no shape", { query: [] }, "query has no rows"],
  ["no key", { key: undefined }, "key is undefined"],
  ["a narrow key", { key: [[1], [2]] }, "key has 1 columns, expected 2 (headDim, as query)"],
  ["a ragged key", { key: [[1, 2], [2]] }, "key[1] has 1 numbers, expected 2"],
  ["no value", { value: undefined }, "value is undefined"],
  ["too few values", { value: [[1]] }, "value has 1 rows, expected 2 (one a key)"],
  ["too many values", { value: [[1], [2], [3]] }, "value has 3 rows, expected 2 (one a key)"],
  ["no values", { value: { data: [], shape: [0, 1] } }, "value has 0 rows, expected 2 (one a key)"],
  ["NaN scale", { scale: NaN }, "scale is NaN, expected a finite number"],
  ["infinite scale", { scale: -Infinity }, "scale is -Infinity, expected a finite number"],
  ["a scale beyond float32", { scale: 1e39 }, "scale is 1e+39, expected a finite number"],
  ["a string for scale", { scale: "1" }, 'scale is "1", expected a finite number'],
  ["null for scale", { scale: null }, "scale is null, expected a finite number"],
  ["an unknown backend", { backend: "cuda" }, 'backend is "cuda"'],
  ["null for backend", { backend: null }, "backend is null"],
  ["a misspelt option", { Scale: 1 }, 'option "Scale" is unknown, expected one of query, key, value, scale'],
];

const BAD_ENGINE_OPTIONS: readonly (readonly [name: string, options: object, message: string])[] = [
  ...BAD_OPTIONS,
  ["no threshold", { lazyThreshold: 0 }, "lazyThreshold is 0, expected an integer ≥ 1, or Infinity"],
  ["half a threshold", { lazyThreshold: 1.5 }, "lazyThreshold is 1.5"],
  ["NaN threshold", { lazyThreshold: NaN }, "lazyThreshold is NaN"],
  ["a string for a threshold", { lazyThreshold: "8" }, 'lazyThreshold is "8"'],
  ["null for a threshold", { lazyThreshold: null }, "lazyThreshold is null"],
  [
    "an unknown plan",
    { onThreshold: "never" },
    'onThreshold is "never", expected "auto", "patch" or "rebuild"',
  ],
  ["null for a plan", { onThreshold: null }, "onThreshold is null"],
  ["no tolerance", { tolerance: 0 }, "tolerance is 0, expected a number between 0 and 1"],
  ["tolerance 1", { tolerance: 1 }, "tolerance is 1, expected a number between 0 and 1"],
  ["a negative tolerance", { tolerance: -1e-8 }, "tolerance is -1e-8"],
  ["NaN tolerance", { tolerance: NaN }, "tolerance is NaN"],
  ["null for a tolerance", { tolerance: null }, "tolerance is null"],
  ["a string for a tolerance", { tolerance: "0.5" }, 'tolerance is "0.5", expected a number between 0 and 1'],
  ["a list for a tolerance", { tolerance: [0.5] }, "tolerance is [0.5], expected a number between 0 and 1"],
];

Deno.test("attention refuses bad options", async (t) => {
  const unknownHere = [
    "an engine's option",
    { lazyThreshold: 8 },
    'option "lazyThreshold" is unknown',
  ] as const;
  for (const [name, options, message] of [...BAD_OPTIONS, unknownHere]) {
    await t.step(name, async () => {
      const error = await assertRejects(() => attention(as({ ...GOOD_OPTIONS, ...options })), InputError);
      assertStringIncludes(error.message, `attention: ${message}`);
    });
  }
  for (const options of [undefined, null, "options", 5]) {
    await t.step(`options that are ${options}`, async () => {
      await assertRejects(() => attention(as(options)), InputError, "attention: options are");
    });
  }
  await attention(GOOD_OPTIONS);
});

Deno.test("DynamicAttention.create refuses bad options", async (t) => {
  for (const [name, options, message] of BAD_ENGINE_OPTIONS) {
    await t.step(name, async () => {
      const given = as<DynamicAttentionOptions>({ ...GOOD_OPTIONS, ...options });
      const error = await assertRejects(() => DynamicAttention.create(given), InputError);
      assertStringIncludes(error.message, `DynamicAttention.create: ${message}`);
    });
  }
  for (const options of [undefined, null, "options", 5]) {
    await t.step(`options that are ${options}`, async () => {
      await assertRejects(() => DynamicAttention.create(as(options)), InputError, "create: options are");
    });
  }
  await (await DynamicAttention.create(GOOD_OPTIONS)).dispose();
});

// ---- dispose ---------------------------------------------------------------------------------------------

const METHODS: Readonly<Record<string, (live: DynamicAttention) => unknown>> = {
  setKey: (live) => live.setKey(0, KEY),
  setValue: (live) => live.setValue(0, VALUE),
  set: (live) => live.set(0, KEY, VALUE),
  addToKey: (live) => live.addToKey(0, 0, 1),
  addToValue: (live) => live.addToValue(0, 0, 1),
  insert: (live) => live.insert(KEY, VALUE),
  delete: (live) => live.delete(0),
  setQuery: (live) => live.setQuery(0, KEY),
  insertQuery: (live) => live.insertQuery(KEY),
  deleteQuery: (live) => live.deleteQuery(0),
  edit: (live) => live.edit([]),
  read: (live) => live.read(),
  readEntry: (live) => live.readEntry(0, 0),
  peek: (live) => live.peek(),
  weights: (live) => live.weights(0),
  logSumExp: (live) => live.logSumExp(),
  topKeys: (live) => live.topKeys(0, 1),
  attend: (live) => live.attend([[1, 2, 3]]),
  flush: (live) => live.flush(),
  rebuild: (live) => live.rebuild(),
  stats: (live) => live.stats(),
};

Deno.test("the tests below know every method", () => {
  const names = Object.getOwnPropertyNames(DynamicAttention.prototype)
    .filter((name) => name !== "constructor" && name !== "dispose");
  assertEquals(Object.keys(METHODS).sort(), names.sort());
});

Deno.test("every method works before dispose and throws DisposedError after it", async (t) => {
  for (const [name, call] of Object.entries(METHODS)) {
    await t.step(name, async () => {
      const live = await makeEngine();
      await call(live);
      await live.dispose();
      const error: unknown = await Promise.try(call, live).then(() => "no error", (reason) => reason);
      assertInstanceOf(error, DisposedError);
      assertEquals(error.operation, `DynamicAttention.${name}`);
    });
  }
});

Deno.test("edits are refused by a throw, answers by a rejection", async () => {
  const live = await makeEngine();
  await live.dispose();
  for (const [name, call] of Object.entries(METHODS)) {
    const isAnswer = /read|peek|weights|logSumExp|topKeys|attend|flush|rebuild/.test(name);
    if (isAnswer) await assertRejects(() => call(live) as Promise<unknown>, DisposedError);
    else assertThrows(() => call(live), DisposedError);
  }
});

Deno.test("dispose may come twice, and lets what was asked before it finish", async () => {
  const live = await makeEngine();
  await using twin = await makeEngine();
  const asked = live.read();
  const first = live.dispose();
  await Promise.all([first, live.dispose(), live[Symbol.asyncDispose]()]);
  assertEquals(await asked, await twin.read());
  await live.dispose();
});

Deno.test("every refusal can be caught as an AttentionError", async () => {
  await using live = await makeEngine();
  assertThrows(() => live.delete(-1), AttentionError);
  await assertRejects(() => live.topKeys(0, -1), AttentionError);
  await assertRejects(() => DynamicAttention.create(as({ ...GOOD_OPTIONS, tolerance: 2 })), AttentionError);
});
