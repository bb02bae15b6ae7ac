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
  type Matrix,
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

/** Makes an engine with applied and pending edits and a deleted slot of either kind. */
type EngineMaker = () => Promise<DynamicAttention>;

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

/** The options of an engine of four heads over two key heads, d = 2, dv = 1, with positions that matter. */
const HEADS_OPTIONS: DynamicAttentionOptions = {
  query: [[1, 0, 0, 1, 2, 1, 0, 0], [0, 1, 1, 0, 1, 2, 0, 1], [1, 1, 1, 1, 0, 0, 1, 0]],
  key: [[1, 1, 0, 1], [0, 1, 1, 2], [1, 0, 1, 0], [1, 1, 1, 1], [2, 0, 0, 1]],
  value: [[1, 0], [0, 1], [2, 2], [3, 1], [-1, 4]],
  heads: 4,
  kvHeads: 2,
  softcap: 3,
  causal: { offset: 1 },
  window: [9, 9],
  keyPositions: [0, 4, 1, 2, 1.5],
  queryPositions: [3, 0, 5],
  lazyThreshold: Infinity,
};
const HEADS_QUERY = [1, 2, 3, 4, 5, 6, 7, 8], HEADS_KEY = [1, 2, 3, 4], HEADS_VALUE = [5, 6];

async function makeEngineOfHeads(options: Partial<DynamicAttentionOptions> = {}): Promise<DynamicAttention> {
  const live = await DynamicAttention.create({ ...HEADS_OPTIONS, ...options });
  live.setKey(0, [0.5, -1, 2, 1]);
  live.delete(DELETED_KEY);
  await live.flush();
  live.deleteQuery(DELETED_QUERY);
  live.addToValue(1, 1, 0.25);
  live.setQuery(1, HEADS_QUERY);
  return live;
}

/** As the above, with a matrix that leaves no room for more keys or queries than there were. */
function makeMaskedEngine(): Promise<DynamicAttention> {
  const mask = [[0, 1, -Infinity, 2, 0], [0, -1, 0, 0, 1], [1, 1, 0, 0, -Infinity]];
  return makeEngineOfHeads({ mask });
}

/** What a call gives, or the message of its error. */
async function outcomeOf(call: () => unknown): Promise<unknown> {
  return await Promise.try(call).catch((error: Error) => error.message);
}

/** Everything that can be asked, and the slots that come next; the clock apart. */
async function observe(live: DynamicAttention): Promise<unknown> {
  const statsOf = () => ({ ...live.stats(), applyMs: 0, readMs: 0 });
  const before = statsOf();
  const { heads, kvHeads, headDim, valueDim } = before;
  const rowOf = (length: number, first: number) => Array.from({ length }, (_, c) => first + c);
  const stale = await live.peek();
  const next: unknown[] = [];
  for (const first of [1, 4]) {
    const key = rowOf(kvHeads * headDim, first), value = rowOf(kvHeads * valueDim, first);
    next.push(await outcomeOf(() => live.insert(key, value)));
    next.push(await outcomeOf(() => live.insertQuery(rowOf(heads * headDim, -first))));
  }
  const answers = [
    stale,
    await live.read(),
    await live.logSumExp(),
    await live.weights(0),
    await live.weights(1, { head: heads - 1 }),
    await live.topKeys(0, 9),
    await outcomeOf(() => live.attend([rowOf(heads * headDim, 1)])),
  ];
  await live.flush();
  return { before, next, answers, read: await live.read(), after: statsOf() };
}

/** Checks that an edit throws, or an answer rejects, as it should and without a trace. */
async function checkRefused(
  call: Case[1],
  type: Refusal,
  message: string,
  make: EngineMaker = makeEngine,
): Promise<void> {
  await using live = await make();
  await using twin = await make();
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
    [`float64 range in a ${name}`, nan.map((_, c) => c ? 0 : 1e39), `${name} has 1e+39 at index 0`],
    [`a string for a ${name}`, "123", `${name} is "123", expected an array of numbers`],
    [`null for a ${name}`, null, `${name} is null, expected an array of numbers`],
    [`no ${name}`, undefined, `${name} is undefined, expected an array of numbers`],
    [`a DataView for a ${name}`, new DataView(new ArrayBuffer(length)), `${name} is an object (DataView)`],
    [`a detached ${name}`, detached(length), `${name} is a view of a detached buffer`],
    [`holes in a ${name}`, new Array(length), `${name} has undefined at index 0`],
    [`a string in a ${name}`, nan.map(() => "1"), `${name} has "1" at index 0`],
    [`null in a ${name}`, nan.map(() => null), `${name} has null at index 0`],
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
    ["null for rows", (live) => call(live, as(null)), InputError, "rows is null, expected an array of"],
    ["a number for rows", (live) => call(live, as(0)), InputError, "rows is 0, expected an array of"],
    ["a string for rows", (live) => call(live, as("01")), InputError, 'rows is "01", expected an array of'],
    ["a set for rows", (live) => call(live, as(new Set([0]))), InputError, "rows is an object (Set)"],
    ["a hole in rows", (live) => call(live, new Array(1)), SlotError, "query slot undefined is not live"],
  ];
}

const BAD_POSITIONS: readonly (readonly [name: string, position: unknown, text: string])[] = [
  ["NaN for a position", NaN, "NaN"],
  ["Infinity for a position", Infinity, "Infinity"],
  ["−Infinity for a position", -Infinity, "-Infinity"],
  ["a string for a position", "3", '"3"'],
  ["null for a position", null, "null"],
  ["a bigint for a position", 3n, "3"],
  ["an array for a position", [3], "[3]"],
];

function positionCases(call: (live: DynamicAttention, position: number) => unknown): Case[] {
  return BAD_POSITIONS.map(([name, position, text]) => [
    name,
    (live) => call(live, as(position)),
    InputError,
    `position is ${text}, expected a finite number`,
  ]);
}

const BAD_HEADS: readonly (readonly [name: string, head: unknown, text: string])[] = [
  ["a negative head", -1, "-1"],
  ["half a head", 0.5, "0.5"],
  ["a head too large", 1, "1"],
  ["NaN for a head", NaN, "NaN"],
  ["a string for a head", "0", '"0"'],
  ["null for a head", null, "null"],
];

function headCases(call: (live: DynamicAttention, head: number) => unknown): Case[] {
  return BAD_HEADS.map(([name, head, text]) => [
    name,
    (live) => call(live, as(head)),
    InputError,
    `head is ${text}, expected an integer from 0 to 0 (below heads)`,
  ]);
}

/** Positions of a row each that are refused; there are two rows. */
const BAD_POSITION_LISTS: readonly (readonly [name: string, positions: unknown, message: string])[] = [
  ["no positions", [], " has 0 numbers, expected 2 (one a row)"],
  ["too few positions", [1], " has 1 numbers, expected 2 (one a row)"],
  ["too many positions", [1, 2, 3], " has 3 numbers, expected 2 (one a row)"],
  ["NaN among positions", [1, NaN], " has NaN at index 1, expected finite numbers"],
  [
    "Infinity among positions",
    Float64Array.of(Infinity, 1),
    " has Infinity at index 0, expected finite numbers",
  ],
  ["a string among positions", [1, "2"], ' has "2" at index 1, expected finite numbers'],
  ["null among positions", [null, 2], " has null at index 0, expected finite numbers"],
  ["holes among positions", new Array(2), " has undefined at index 0, expected finite numbers"],
  ["null for positions", null, " is null, expected an array of numbers"],
  ["a number for positions", 2, " is 2, expected an array of numbers"],
  ["a string for positions", "12", ' is "12", expected an array of numbers'],
  [
    "an object for positions",
    { length: 2, 0: 1, 1: 2 },
    " is an object (Object), expected an array of numbers",
  ],
  ["bigints for positions", BigInt64Array.of(1n, 2n), " is an object (BigInt64Array), expected an array"],
  ["detached positions", detached(2), " is a view of a detached buffer"],
];

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
    ...slotCases("query", DELETED_QUERY, (live, slot) => live.topKeys(slot, 1)),
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

// ---- masks -----------------------------------------------------------------------------------------------

const MASKED_CASES: readonly Case[] = [
  [
    "attend",
    (live) => live.attend([HEADS_QUERY]),
    InputError,
    "DynamicAttention.attend: the engine has a mask, expected none",
  ],
  [
    "a second key beyond the mask",
    (live) =>
      live.edit([
        { kind: "insert", key: HEADS_KEY, value: HEADS_VALUE },
        { kind: "insert", key: HEADS_KEY, value: HEADS_VALUE },
      ]),
    InputError,
    "edit[1].insert: the mask has 5 columns and the key would take slot 5",
  ],
  [
    "a second query beyond the mask",
    (live) =>
      live.edit([
        { kind: "insertQuery", query: HEADS_QUERY },
        { kind: "setKey", slot: 0, key: HEADS_KEY },
        { kind: "insertQuery", query: HEADS_QUERY },
      ]),
    InputError,
    "edit[2].insertQuery: the mask has 3 rows and the query would take slot 3",
  ],
];

Deno.test("an engine with a matrix for a mask refuses what the mask does not cover, without a trace", async (t) => {
  for (const [name, call, type, message] of MASKED_CASES) {
    await t.step(name, () => checkRefused(call, type, message, makeMaskedEngine));
  }
  await t.step("a key beyond the mask", async () => {
    const make = async () => {
      const live = await makeMaskedEngine();
      live.insert(HEADS_KEY, HEADS_VALUE);
      return live;
    };
    await checkRefused(
      (live) => live.insert(HEADS_KEY, HEADS_VALUE),
      InputError,
      "DynamicAttention.insert: the mask has 5 columns and the key would take slot 5",
      make,
    );
  });
  await t.step("a query beyond the mask", async () => {
    const make = async () => {
      const live = await makeMaskedEngine();
      live.insertQuery(HEADS_QUERY);
      return live;
    };
    await checkRefused(
      (live) => live.insertQuery(HEADS_QUERY),
      InputError,
      "DynamicAttention.insertQuery: the mask has 3 rows and the query would take slot 3",
      make,
    );
  });
});

/** Calls that ask the mask about the key and the query that were inserted last. */
const ASKING: Readonly<Record<string, (live: DynamicAttention) => Promise<unknown>>> = {
  read: (live) => live.read(),
  "read of one row": (live) => live.read([0]),
  "read of the new row": (live) => live.read([2]),
  readEntry: (live) => live.readEntry(0, 0),
  "peek at the new row": (live) => live.peek([2]),
  weights: (live) => live.weights(0),
  logSumExp: (live) => live.logSumExp(),
  topKeys: (live) => live.topKeys(0, 3),
  flush: (live) => live.flush(),
  rebuild: (live) => live.rebuild(),
};

/** The answer that comes once the failures of flushes that nobody waited for have been told. */
async function readAtLast(live: DynamicAttention): Promise<Matrix> {
  for (let attempt = 0; attempt < 2; attempt++) await outcomeOf(() => live.read());
  return await live.read();
}

for (const [what, answer] of [["NaN", NaN], ["undefined", undefined], ["Infinity", Infinity]] as const) {
  for (const lazyThreshold of [1, Infinity]) {
    const title = `a mask that answers ${what} is named, and no edit is lost, threshold ${lazyThreshold}`;
    Deno.test(title, async (t) => {
      for (const [name, call] of Object.entries(ASKING)) {
        await t.step(name, async () => {
          const good = (i: number, j: number, head: number) => (i + j + head) % 3;
          let isBad = false;
          const mask = (i: number, j: number, head: number) =>
            isBad && (j >= 5 || i >= 2) ? as<number>(answer) : good(i, j, head);
          await using live = await makeEngineOfHeads({ mask, lazyThreshold });
          await using twin = await makeEngineOfHeads({ mask: good, lazyThreshold });
          await live.flush();
          isBad = true;
          for (const engine of [live, twin]) {
            engine.setValue(1, [9, 8]);
            engine.insert(HEADS_KEY, HEADS_VALUE);
            engine.insert(HEADS_VALUE.concat(HEADS_VALUE), HEADS_VALUE);
            engine.insertQuery(HEADS_QUERY);
          }
          for (let attempt = 0; attempt < 3; attempt++) {
            const error = await assertRejects(() => call(live), InputError);
            const [, operation] = /^mask\((\d, \d, \d)\): answer is /.exec(error.message) ?? [];
            assert(operation, error.message);
            assertStringIncludes(error.message, `answer is ${what}, expected a boolean, a finite number`);
            live.setKey(2, [attempt, 1, 1, 1]);
            twin.setKey(2, [attempt, 1, 1, 1]);
          }
          isBad = false;
          assertEquals(await readAtLast(live), await twin.read());
          assertEquals(await live.weights(2, { head: 3 }), await twin.weights(2, { head: 3 }));
          assertEquals(live.stats().edits, twin.stats().edits);
        });
      }
    });
  }
}

Deno.test("a mask that answers nothing makes no engine and no answer", async () => {
  const options = { ...HEADS_OPTIONS, mask: as<() => number>(() => undefined) };
  const created = await assertRejects(() => DynamicAttention.create(options), InputError);
  assertEquals(created.message.startsWith("mask(0, 0, 0): answer is undefined"), true);
  const { lazyThreshold: _, ...once } = options;
  await assertRejects(() => attention(once), InputError, "mask(0, 0, 0): answer is undefined");
});

Deno.test("a mask that throws loses no edit", async () => {
  let isBad = false;
  const good = (i: number, j: number, head: number) => (i + j + head) % 3;
  const mask = (i: number, j: number, head: number) => {
    if (isBad) throw new RangeError("no such row");
    return good(i, j, head);
  };
  for (const lazyThreshold of [1, Infinity]) {
    isBad = false;
    await using live = await makeEngineOfHeads({ mask, lazyThreshold });
    await using twin = await makeEngineOfHeads({ mask: good, lazyThreshold });
    await live.flush();
    isBad = true;
    for (const engine of [live, twin]) {
      engine.insert(HEADS_KEY, HEADS_VALUE);
      engine.insertQuery(HEADS_QUERY);
    }
    for (const call of Object.values(ASKING)) {
      const error = await assertRejects(() => call(live), Error);
      assertStringIncludes(error.message, "no such row");
    }
    isBad = false;
    assertEquals(await readAtLast(live), await twin.read());
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
        "rows is an object",
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
  [{ kind: "insert", key: KEY, value: VALUE, position: NaN }, InputError, "].insert: position is NaN"],
  [{ kind: "insertQuery", query: KEY, position: "4" }, InputError, '].insertQuery: position is "4"'],
  [{ kind: "delete", slot: 3 }, SlotError, "].delete: key slot 3 is not live"],
  [{ kind: "setQuery", slot: 2, query: VALUE }, InputError, "].setQuery: query has 2 numbers"],
  [{ kind: "setQuery", slot: 9, query: KEY }, SlotError, "].setQuery: query slot 9 is not live"],
  [{ kind: "insertQuery", query: null }, InputError, "].insertQuery: query is null"],
  [{ kind: "deleteQuery", slot: 9 }, SlotError, "].deleteQuery: query slot 9 is not live"],
  [{ kind: "replace", slot: 0 }, InputError, 'kind is "replace", expected the name of an edit method'],
  [{ slot: 0 }, InputError, "edit[11]: edit is an object (Object), expected an object with a kind"],
  [{ kind: null }, InputError, "edit[11]: edit is an object (Object), expected an object with a kind"],
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

/** What makes the good options those of two heads. */
const TWO_HEADS = { query: [[1, 2, 3, 4]], heads: 2, kvHeads: 1 };

const BAD_OPTIONS: readonly (readonly [name: string, options: object, message: string])[] = [
  ["no query", { query: undefined }, "query is undefined"],
  ["NaN in query", { query: [[NaN, 1]] }, "query[0] has NaN at index 0"],
  ["a query of no shape", { query: [] }, "query has no rows"],
  ["no key", { key: undefined }, "key is undefined"],
  ["a narrow key", { key: [[1], [2]] }, "key has 1 columns, expected 2 (kvHeads × headDim)"],
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
  ["no head", { heads: 0 }, "heads is 0, expected an integer ≥ 1"],
  ["a negative number of heads", { heads: -2 }, "heads is -2, expected an integer ≥ 1"],
  ["half a head", { heads: 1.5 }, "heads is 1.5, expected an integer ≥ 1"],
  ["a string for heads", { heads: "2" }, 'heads is "2", expected an integer ≥ 1'],
  ["null for heads", { heads: null }, "heads is null, expected an integer ≥ 1"],
  ["no key head", { ...TWO_HEADS, kvHeads: 0 }, "kvHeads is 0, expected a divisor of 2 (heads)"],
  [
    "more key heads than heads",
    { ...TWO_HEADS, kvHeads: 4 },
    "kvHeads is 4, expected a divisor of 2 (heads)",
  ],
  ["half a key head", { ...TWO_HEADS, kvHeads: 0.5 }, "kvHeads is 0.5, expected a divisor of 2 (heads)"],
  ["NaN key heads", { ...TWO_HEADS, kvHeads: NaN }, "kvHeads is NaN, expected a divisor of 2 (heads)"],
  [
    "key heads that do not divide the heads",
    { query: [[1, 2, 3]], heads: 3, kvHeads: 2 },
    "kvHeads is 2, expected a divisor of 3 (heads)",
  ],
  [
    "a query that is no multiple of the heads",
    { heads: 3 },
    "query has 2 columns, expected a multiple of 3 (heads)",
  ],
  [
    "a key of one head for two",
    { ...TWO_HEADS, kvHeads: 2 },
    "key has 2 columns, expected 4 (kvHeads × headDim)",
  ],
  [
    "a key of two heads for one",
    { heads: 2, kvHeads: 1 },
    "key has 2 columns, expected 1 (kvHeads × headDim)",
  ],
  [
    "a value that is no multiple of the key heads",
    { heads: 2 },
    "value has 1 columns, expected a multiple of 2 (kvHeads)",
  ],
  ["a negative softcap", { softcap: -1 }, "softcap is -1, expected a finite number ≥ 0"],
  ["NaN softcap", { softcap: NaN }, "softcap is NaN, expected a finite number ≥ 0"],
  ["infinite softcap", { softcap: Infinity }, "softcap is Infinity, expected a finite number ≥ 0"],
  ["a string for softcap", { softcap: "3" }, 'softcap is "3", expected a finite number ≥ 0'],
  ["null for softcap", { softcap: null }, "softcap is null, expected a finite number ≥ 0"],
  ["a number for causal", { causal: 1 }, "causal is 1, expected a boolean or { offset: a finite number }"],
  ["zero for causal", { causal: 0 }, "causal is 0, expected a boolean"],
  ["a string for causal", { causal: "yes" }, 'causal is "yes", expected a boolean'],
  ["an empty string for causal", { causal: "" }, 'causal is "", expected a boolean'],
  ["null for causal", { causal: null }, "causal is null, expected a boolean"],
  ["causal without an offset", { causal: {} }, "causal is an object (Object), expected a boolean"],
  ["a NaN offset", { causal: { offset: NaN } }, "causal is an object (Object), expected a boolean"],
  [
    "an infinite offset",
    { causal: { offset: Infinity } },
    "causal is an object (Object), expected a boolean",
  ],
  ["a string for an offset", { causal: { offset: "1" } }, "causal is an object (Object), expected a boolean"],
  ["a list for causal", { causal: [1] }, "causal is [1], expected a boolean"],
  ["a window of one", { window: [1] }, "window is [1], expected [left ≥ 0, right ≥ 0]"],
  ["a window of three", { window: [1, 2, 3] }, "window is [1, 2, 3], expected [left ≥ 0, right ≥ 0]"],
  ["a window of none", { window: [] }, "window is [], expected [left ≥ 0, right ≥ 0]"],
  ["a window negative to the left", { window: [-1, 2] }, "window is [-1, 2], expected [left ≥ 0"],
  ["a window negative to the right", { window: [1, -2] }, "window is [1, -2], expected [left ≥ 0"],
  ["NaN in a window", { window: [NaN, 1] }, "window is [NaN, 1], expected [left ≥ 0"],
  ["NaN in a window, to the right", { window: [1, NaN] }, "window is [1, NaN], expected [left ≥ 0"],
  ["strings in a window", { window: ["1", "2"] }, 'window is ["1", "2"], expected [left ≥ 0'],
  ["null in a window", { window: [null, 1] }, "window is [null, 1], expected [left ≥ 0"],
  ["holes in a window", { window: new Array(2) }, "window is "],
  ["a number for a window", { window: 3 }, "window is 3, expected [left ≥ 0"],
  ["a string for a window", { window: "12" }, 'window is "12", expected [left ≥ 0'],
  ["null for a window", { window: null }, "window is null, expected [left ≥ 0"],
  ["an object for a window", { window: { length: 2, 0: 1, 1: 1 } }, "window is an object (Object)"],
  ...BAD_POSITION_LISTS.map(([name, keyPositions, message]) =>
    [`${name} of keys`, { keyPositions }, `keyPositions${message}`] as const
  ),
  ["too many positions of queries", { queryPositions: [1, 2] }, "queryPositions has 2 numbers, expected 1"],
  ["NaN for a query's position", { queryPositions: [NaN] }, "queryPositions has NaN at index 0"],
  ["a mask without rows", { mask: [] }, "mask has 0 rows, expected at least 1 (one a query)"],
  ["a mask that is too narrow", { mask: [[0]] }, "mask has 1 columns, expected at least 2 (one a key)"],
  ["a ragged mask", { mask: [[0, 0], [0]] }, "mask[1] has 1 entries, expected 2 (as mask[0])"],
  ["NaN in a mask", { mask: [[0, NaN]] }, "mask has NaN at index 1, expected a boolean, a finite number"],
  ["+Infinity in a mask", { mask: [[0, Infinity]] }, "mask has Infinity at index 1"],
  ["a mask of the wrong size", { mask: { data: [0], shape: [1, 2] } }, "mask has 1 entries, expected 1 × 2"],
  ["two masks for one head", { mask: [[[0, 0]], [[0, 0]]] }, "mask has 2 matrices, expected 1 or 1 (heads)"],
  [
    "three masks for two heads",
    { ...TWO_HEADS, mask: [[[0, 0]], [[0, 0]], [[0, 0]]] },
    "mask has 3 matrices, expected 1 or 2 (heads)",
  ],
  ["null for a mask", { mask: null }, "mask is null, expected"],
  ["true for a mask", { mask: true }, "mask is true, expected"],
  ["an unknown backend", { backend: "cuda" }, 'backend is "cuda"'],
  ["null for backend", { backend: null }, "backend is null"],
  [
    "a misspelt option",
    { Scale: 1 },
    'option "Scale" is unknown, expected one of query, key, value, heads, kvHeads, scale',
  ],
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
  getKey: (live) => live.getKey(0),
  getValue: (live) => live.getValue(0),
  getQuery: (live) => live.getQuery(0),
  keySlots: (live) => live.keySlots(),
  querySlots: (live) => live.querySlots(),
  moveTo: (live) => live.moveTo("array"),
  read: (live) => live.read(),
  readEntry: (live) => live.readEntry(0, 0),
  peek: (live) => live.peek(),
  weights: (live) => live.weights(0),
  logSumExp: (live) => live.logSumExp(),
  topKeys: (live) => live.topKeys(0, 1),
  attend: (live) => live.attend([[1, 2, 3]]),
  flush: (live) => live.flush(),
  rebuild: (live) => live.rebuild(),
  save: (live) => live.save(),
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
    const isAnswer = /read|peek|weights|logSumExp|topKeys|attend|flush|rebuild|save|moveTo/.test(name);
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

Deno.test("a misspelt option of a method is not taken for its default", async () => {
  await using live = await DynamicAttention.create({ query: [[1]], key: [[1]], value: [[1]] });
  const wrong = { positon: 3, hed: 1, kind: "delete" } as Record<string, unknown>;
  assertThrows(
    () => live.insert([1], [1], wrong),
    InputError,
    'DynamicAttention.insert: option "positon" is unknown',
  );
  assertThrows(() => live.insertQuery([1], wrong), InputError, 'option "positon" is unknown');
  await assertRejects(() => live.weights(0, wrong), InputError, 'option "positon" is unknown');
  await assertRejects(() => live.topKeys(0, 1, wrong), InputError, 'option "positon" is unknown');
  await assertRejects(() => live.attend([[1]], wrong), InputError, 'option "positon" is unknown');
  const none = null as unknown as { head?: number };
  await assertRejects(() => live.weights(0, none), InputError, "options are null, expected an object");
  assertEquals([live.stats().keyCount, live.stats().queryCount, live.stats().edits], [1, 1, 0]);
});
