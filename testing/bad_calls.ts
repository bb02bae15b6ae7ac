// Calls that must be refused, and the judge of "no trace": an engine with the same past, minus the refused
// call, must answer everything that is asked afterwards with the same bits.

import {
  type AttentionOptions,
  DynamicAttention,
  type DynamicAttentionOptions,
  InputError,
  SlotError,
} from "../mod.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "./assert.ts";

export type Refusal = typeof InputError | typeof SlotError;

/** A call with bad arguments: what it is, the call, the class of the error, a part of its message. */
export type Case = readonly [
  name: string,
  call: (live: DynamicAttention) => unknown,
  type: Refusal,
  message: string,
];

export const HEAD_DIM = 3, VALUE_DIM = 2;
export const KEY = [1, 2, 3], VALUE = [4, 5];
export const DELETED_KEY = 3, DELETED_QUERY = 2;

/** Takes a value for one of any type, which JavaScript callers do. */
export function as<T>(value: unknown): T {
  return value as T;
}

export function detached(length: number): Float32Array {
  const numbers = new Float32Array(length);
  structuredClone(numbers, { transfer: [numbers.buffer] });
  return numbers;
}

/** Makes an engine with applied and pending edits and a deleted slot of either kind. */
export type EngineMaker = () => Promise<DynamicAttention>;

export async function makeEngine(): Promise<DynamicAttention> {
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
export const HEADS_OPTIONS: DynamicAttentionOptions = {
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
export const HEADS_QUERY = [1, 2, 3, 4, 5, 6, 7, 8], HEADS_KEY = [1, 2, 3, 4], HEADS_VALUE = [5, 6];

export async function makeEngineOfHeads(
  options: Partial<DynamicAttentionOptions> = {},
): Promise<DynamicAttention> {
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
export function makeMaskedEngine(): Promise<DynamicAttention> {
  const mask = [[0, 1, -Infinity, 2, 0], [0, -1, 0, 0, 1], [1, 1, 0, 0, -Infinity]];
  return makeEngineOfHeads({ mask });
}

/** The result of a call, or the message of its error. */
export async function outcomeOf(call: () => unknown): Promise<unknown> {
  return await Promise.try(call).catch((error: Error) => error.message);
}

/** Everything that can be asked, and the slots that come next; the clock apart. */
export async function observe(live: DynamicAttention): Promise<unknown> {
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
export async function checkRefused(
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

export const BAD_SLOTS: readonly (readonly [name: string, slot: unknown])[] = [
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

export const BAD_COLUMNS: readonly (readonly [name: string, column: unknown, text: string])[] = [
  ["a negative column", -1, "-1"],
  ["half a column", 0.5, "0.5"],
  ["a column too large", 3, "3"],
  ["NaN for a column", NaN, "NaN"],
  ["a string for a column", "0", '"0"'],
  ["no column", undefined, "undefined"],
];

export const BAD_DELTAS: readonly (readonly [name: string, delta: unknown, text: string])[] = [
  ["NaN for a delta", NaN, "delta is NaN, expected a finite number"],
  ["Infinity for a delta", Infinity, "delta is Infinity, expected a finite number"],
  ["a string for a delta", "1", 'delta is "1", expected a finite number'],
  ["no delta", undefined, "delta is undefined, expected a finite number"],
  ["a delta beyond float32", 1e39, "is beyond float32, expected a sum below 3.4e38"],
];

/** Rows that are refused whatever length is expected. */
export function badRows(name: string, length: number): readonly (readonly [string, unknown, string])[] {
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
export function slotCases(
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

export function rowCases(
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

export function columnCases(call: (live: DynamicAttention, column: number) => unknown): Case[] {
  return BAD_COLUMNS.map(([name, column, text]) => [
    name,
    (live) => call(live, as(column)),
    InputError,
    `column is ${text}, expected an integer from 0 to`,
  ]);
}

export function deltaCases(call: (live: DynamicAttention, delta: number) => unknown): Case[] {
  return BAD_DELTAS.map((
    [name, delta, message],
  ) => [name, (live) => call(live, as(delta)), InputError, message]);
}

export function rowListCases(call: (live: DynamicAttention, rows: number[]) => unknown): Case[] {
  return [
    ...slotCases("query", DELETED_QUERY, (live, slot) => call(live, [0, slot])),
    ["null for slots", (live) => call(live, as(null)), InputError, "slots is null, expected an array of"],
    ["a number for slots", (live) => call(live, as(0)), InputError, "slots is 0, expected an array of"],
    ["a string for slots", (live) => call(live, as("01")), InputError, 'slots is "01", expected an array of'],
    ["a set for slots", (live) => call(live, as(new Set([0]))), InputError, "slots is an object (Set)"],
    ["a hole in rows", (live) => call(live, new Array(1)), SlotError, "query slot undefined is not live"],
  ];
}

export const BAD_POSITIONS: readonly (readonly [name: string, position: unknown, text: string])[] = [
  ["NaN for a position", NaN, "NaN"],
  ["Infinity for a position", Infinity, "Infinity"],
  ["−Infinity for a position", -Infinity, "-Infinity"],
  ["a string for a position", "3", '"3"'],
  ["null for a position", null, "null"],
  ["a bigint for a position", 3n, "3n"],
  ["an array for a position", [3], "[3]"],
];

export function positionCases(call: (live: DynamicAttention, position: number) => unknown): Case[] {
  return BAD_POSITIONS.map(([name, position, text]) => [
    name,
    (live) => call(live, as(position)),
    InputError,
    `position is ${text}, expected a finite number`,
  ]);
}

export const BAD_HEADS: readonly (readonly [name: string, head: unknown, text: string])[] = [
  ["a negative head", -1, "-1"],
  ["half a head", 0.5, "0.5"],
  ["a head too large", 1, "1"],
  ["NaN for a head", NaN, "NaN"],
  ["a string for a head", "0", '"0"'],
  ["null for a head", null, "null"],
];

export function headCases(call: (live: DynamicAttention, head: number) => unknown): Case[] {
  return BAD_HEADS.map(([name, head, text]) => [
    name,
    (live) => call(live, as(head)),
    InputError,
    `head is ${text}, expected an integer from 0 to 0 (below heads)`,
  ]);
}

/** Positions of a row each that are refused; there are two rows. */
export const BAD_POSITION_LISTS: readonly (readonly [name: string, positions: unknown, message: string])[] = [
  ["no positions", [], " has 0 numbers, expected 2 (one per row)"],
  ["too few positions", [1], " has 1 numbers, expected 2 (one per row)"],
  ["too many positions", [1, 2, 3], " has 3 numbers, expected 2 (one per row)"],
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
  ["an object for positions", { 0: 1, 1: 2 }, " is an object (Object), expected an array of numbers"],
  ["bigints for positions", BigInt64Array.of(1n, 2n), " is an object (BigInt64Array), expected an array"],
  ["detached positions", detached(2), " is a view of a detached buffer"],
];

export const GOOD_OPTIONS: AttentionOptions = { query: [[1, 2]], key: [[1, 2], [3, 4]], value: [[1], [2]] };
