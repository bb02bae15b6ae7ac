// A mask by itself: which forms it takes, what it answers, and about which pairs it is asked.

import { assert, assertEquals, assertStrictEquals, assertThrows } from "../../testing/assert.ts";
import { InputError } from "../../src/base/errors.ts";
import type { Entries } from "../../src/write/edit_log.ts";
import {
  type Mask,
  type MaskFunction,
  type MaskInput,
  maskKeys,
  maskQueries,
  type MaskScope,
  toMask,
} from "../../src/write/mask.ts";

const NO = -Infinity;

/** The mask of 2 queries and 3 keys, in 2 heads. */
function maskOf(input: MaskInput): Mask {
  const mask = toMask("create", input, 2, 2, 3);
  assert(mask);
  return mask;
}

/** The entries of a mask for 2 queries and 3 keys in one head. */
function answersOf(mask: Mask, head: number): number[][] {
  return [0, 1].map((i) => [0, 1, 2].map((j) => mask.bias(i, j, head)));
}

function entriesOf(slots: number[]): Entries {
  return {
    slots: Uint32Array.from(slots),
    live: new Uint8Array(slots.length).fill(1),
    rows: new Float32Array(slots.length),
    positions: new Float64Array(slots.length),
  };
}

function scopeOf(keys: readonly number[], queries: readonly number[]): MaskScope {
  return {
    keySize: Math.max(-1, ...keys) + 1,
    querySize: Math.max(-1, ...queries) + 1,
    hasKey: (slot) => keys.includes(slot),
    hasQuery: (slot) => queries.includes(slot),
  };
}

Deno.test("no mask is null", () => assertStrictEquals(toMask("create", undefined, 2, 2, 3), null));

Deno.test("every form of one matrix says the same", async (t) => {
  const forms: readonly (readonly [name: string, mask: MaskInput])[] = [
    ["rows of numbers", [[0, NO, 0.5], [-2, 0, NO]]],
    ["rows of typed arrays", [Float32Array.of(0, NO, 0.5), Float64Array.of(-2, 0, NO)]],
    ["an array by shape", { data: [0, NO, 0.5, -2, 0, NO], shape: [2, 3] }],
    ["a typed array by shape", { data: Float64Array.of(0, NO, 0.5, -2, 0, NO), shape: [2, 3] }],
    ["a list of one matrix of rows", [[[0, NO, 0.5], [-2, 0, NO]]]],
    ["a list of one matrix of typed arrays", [[Float32Array.of(0, NO, 0.5), Float32Array.of(-2, 0, NO)]]],
    ["a list of one matrix by shape", [{ data: [0, NO, 0.5, -2, 0, NO], shape: [2, 3] }]],
  ];
  for (const [name, input] of forms) {
    await t.step(name, () => {
      const mask = maskOf(input);
      assertEquals([mask.heads, mask.isFunction], [1, false]);
      assertEquals(answersOf(mask, 0), [[0, NO, 0.5], [-2, 0, NO]]);
    });
  }
});

Deno.test("true lets a pair attend and false forbids it, in every form", () => {
  const expected = [[0, NO, 0], [NO, NO, 0]];
  const rows = [[true, false, true], [false, false, true]];
  const forms: readonly MaskInput[] = [
    rows,
    { data: rows.flat(), shape: [2, 3] },
    [rows],
    (i, j) => rows[i][j],
  ];
  for (const input of forms) assertEquals(answersOf(maskOf(input), 0), expected);
});

Deno.test("a matrix for each head", async (t) => {
  const first = [[1, 2, 3], [4, 5, 6]], second = [[true, true, false], [false, true, true]];
  const forms: readonly (readonly [name: string, mask: MaskInput])[] = [
    ["rows", [first, second]],
    ["by shape", [{ data: first.flat(), shape: [2, 3] }, { data: second.flat(), shape: [2, 3] }]],
    ["rows of typed arrays", [first.map((row) => Float32Array.from(row)), second]],
    ["mixed", [first, { data: second.flat(), shape: [2, 3] }]],
    ["mixed the other way", [{ data: first.flat(), shape: [2, 3] }, second]],
  ];
  for (const [name, input] of forms) {
    await t.step(name, () => {
      const mask = maskOf(input);
      assertEquals([mask.heads, mask.isFunction], [2, false]);
      assertEquals(answersOf(mask, 0), first);
      assertEquals(answersOf(mask, 1), [[0, 0, NO], [NO, 0, 0]]);
    });
  }
});

Deno.test("numbers are rounded to float32, once", () => {
  assertEquals(maskOf([[0.1, 1e-50, -3e38], [0, 0, 0]]).bias(0, 0, 0), Math.fround(0.1));
  assertEquals(maskOf([[0.1, 1e-50, -3e38], [0, 0, 0]]).bias(0, 1, 0), 0);
  assertEquals(maskOf(() => 0.1).bias(0, 0, 0), Math.fround(0.1));
  assertEquals(maskOf(() => -3.40282356e38).bias(0, 0, 0), -3.4028234663852886e38);
});

Deno.test("a matrix belongs to the mask: what later becomes of the caller's array changes nothing", () => {
  const data = Float32Array.of(1, 2, 3, 4, 5, 6), row = [1, 2, 3];
  const mask = maskOf({ data, shape: [2, 3] }), byRows = maskOf([row, row]);
  data.fill(9);
  row.fill(9);
  assertEquals(answersOf(mask, 0), [[1, 2, 3], [4, 5, 6]]);
  assertEquals(answersOf(byRows, 0), [[1, 2, 3], [1, 2, 3]]);
});

Deno.test("a matrix may be larger than what there is, and covers that much", () => {
  const mask = maskOf([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]);
  assertEquals([mask.bias(1, 2, 0), mask.bias(2, 3, 0)], [7, 12]);
  mask.checkKey("insert", 3);
  mask.checkQuery("insertQuery", 2);
  const key = assertThrows(() => mask.checkKey("insert", 4), InputError);
  assertEquals(key.message.startsWith("insert: the mask has 4 columns and the key would take slot 4"), true);
  const query = assertThrows(() => mask.checkQuery("insertQuery", 3), InputError);
  assertEquals(
    query.message.startsWith("insertQuery: the mask has 3 rows and the query would take slot 3"),
    true,
  );
});

Deno.test("of matrices of several sizes, the smallest counts", () => {
  const mask = maskOf([
    { data: new Array<number>(15).fill(0), shape: [3, 5] },
    { data: Array.from({ length: 16 }, (_, at) => at), shape: [4, 4] },
  ]);
  mask.checkKey("insert", 3);
  assertThrows(() => mask.checkKey("insert", 4), InputError);
  mask.checkQuery("insertQuery", 2);
  assertThrows(() => mask.checkQuery("insertQuery", 3), InputError);
  assertEquals(mask.bias(2, 3, 1), 11);
});

Deno.test("a mask without queries or keys is as good as any", () => {
  const mask = toMask("create", { data: [], shape: [0, 3] }, 2, 0, 3);
  assertThrows(() => mask?.checkQuery("insertQuery", 0), InputError);
  assertThrows(
    () => toMask("create", { data: [], shape: [2, 0] }, 2, 2, 0)?.checkKey("insert", 0),
    InputError,
  );
});

Deno.test("a function is asked for a pair and a head, and covers every slot", () => {
  const mask = maskOf((i, j, head) => 100 * i + 10 * j + head);
  assertEquals([mask.heads, mask.isFunction], [2, true]);
  assertEquals([mask.bias(1, 2, 0), mask.bias(7, 12, 1)], [120, 821]);
  mask.checkKey("insert", 1e6);
  mask.checkQuery("insertQuery", 1e6);
});

Deno.test("a function's answer that is none names the pair", async (t) => {
  const answers: readonly unknown[] = [NaN, undefined, null, Infinity, 1e39, "0", [0], 0n, {}];
  for (const answer of answers) {
    await t.step(String(answer), () => {
      const mask = maskOf((() => answer) as unknown as MaskFunction);
      const error = assertThrows(() => mask.bias(3, 5, 1), InputError);
      assertEquals(error.operation, "mask(3, 5, 1)");
      assert(error.message.startsWith("mask(3, 5, 1): answer is "), error.message);
    });
  }
});

Deno.test("a function is asked once a pair, also when its answer is refused", () => {
  let asked = 0;
  const mask = maskOf(() => {
    asked++;
    return asked === 1 ? NaN : 0;
  });
  const error = assertThrows(() => mask.bias(0, 0, 0), InputError);
  assertEquals([error.actual, asked], ["answer is NaN", 1]);
});

Deno.test("changed keys are asked about with every query there is, in every head", () => {
  const asked: string[] = [];
  const mask = maskOf((i, j, head) => {
    asked.push(`${i} ${j} ${head}`);
    return 100 * i + 10 * j + head;
  });
  const keys = entriesOf([4, 1, 2]);
  // Query slot 1 and key slot 1 hold nothing that the mask could speak of.
  const { bias, ...rest } = maskKeys(mask, keys, scopeOf([0, 2, 4], [0, 2]));
  assertEquals(rest, keys);
  assertEquals(
    [...bias!],
    [
      [40, 41, NO, NO, 240, 241],
      [NO, NO, NO, NO, NO, NO],
      [20, 21, NO, NO, 220, 221],
    ].flat(),
  );
  assertEquals(asked.toSorted(), ["0 2 0", "0 2 1", "0 4 0", "0 4 1", "2 2 0", "2 2 1", "2 4 0", "2 4 1"]);
});

Deno.test("changed queries are asked about with every key there is, in every head", () => {
  const mask = maskOf((i, j, head) => 100 * i + 10 * j + head);
  const { bias } = maskQueries(mask, entriesOf([3, 0, 1]), scopeOf([0, 2], [0, 3]));
  assertEquals(
    [...bias!],
    [
      [300, 301, NO, NO, 320, 321],
      [0, 1, NO, NO, 20, 21],
      [NO, NO, NO, NO, NO, NO],
    ].flat(),
  );
});

Deno.test("a matrix that all heads share answers once a pair", () => {
  const mask = maskOf([[1, 2, 3], [4, 5, 6]]);
  assertEquals([...maskKeys(mask, entriesOf([2, 0]), scopeOf([0, 1, 2], [0, 1])).bias!], [3, 6, 1, 4]);
  assertEquals([...maskQueries(mask, entriesOf([1]), scopeOf([0, 1, 2], [0, 1])).bias!], [4, 5, 6]);
});

Deno.test("without a mask there is no bias", () => {
  assertEquals(maskKeys(null, entriesOf([1]), scopeOf([1], [0])).bias, null);
  assertEquals(maskQueries(null, entriesOf([1]), scopeOf([1], [0])).bias, null);
});

Deno.test("bytes of 1 and 0 say which pairs may attend, in every form", async (t) => {
  const first = Uint8Array.of(1, 0, 1),
    second = Uint8Array.of(0, 0, 1),
    all = Uint8Array.of(1, 0, 1, 0, 0, 1);
  const none = new Uint8Array(6), shape = [2, 3] as const;
  const forms: readonly (readonly [name: string, mask: MaskInput])[] = [
    ["rows", [first, second]],
    ["by shape", { data: all, shape }],
    ["a list of one matrix of rows", [[first, second]]],
    ["a list of one matrix by shape", [{ data: all, shape }]],
    ["a view of a larger buffer", { data: Uint8Array.of(9, ...all, 9).subarray(1, 7), shape }],
    ["a row of bytes and one of booleans", [first, [false, false, true]]],
    ["an array-like of rows", { length: 2, 0: first, 1: second }],
    ["a head of bytes and one of numbers", [{ data: all, shape }, [[0, 1, 2], [3, 4, 5]]]],
  ];
  for (const [name, mask] of forms) {
    await t.step(name, () => assertEquals(answersOf(maskOf(mask), 0), [[0, NO, 0], [NO, NO, 0]]));
  }
  assertEquals(answersOf(maskOf([{ data: none, shape }, { data: all, shape }]), 0), [[NO, NO, NO], [
    NO,
    NO,
    NO,
  ]]);
});

Deno.test("other bytes, and other typed arrays of whole numbers, are refused and say what is meant", async (t) => {
  const shape = [2, 3] as const;
  const bad: readonly (readonly [name: string, mask: unknown, message: string])[] = [
    [
      "a byte of 2",
      { data: Uint8Array.of(1, 0, 2, 0, 0, 1), shape },
      "create: mask has 2 at index 2, expected 1, which lets",
    ],
    [
      "a byte of 255 in a row",
      [Uint8Array.of(1, 0, 1), Uint8Array.of(0, 255, 1)],
      "create: mask has 255 at index 4",
    ],
    [
      "signed bytes",
      { data: new Int8Array(6), shape },
      "create: mask has the whole numbers of Int8Array, expected booleans",
    ],
    [
      "clamped bytes",
      { data: new Uint8ClampedArray(6), shape },
      "create: mask has the whole numbers of Uint8ClampedArray",
    ],
    ["words", { data: new Int32Array(6), shape }, "create: mask has the whole numbers of Int32Array"],
    ["words in a row", [[0, 0, 0], new Uint16Array(3)], "create: mask has the whole numbers of Uint16Array"],
    ["bigints", { data: new BigInt64Array(6), shape }, "create: mask.data is an object (BigInt64Array)"],
    ["bigints in a row", [new BigInt64Array(3), [0, 0, 0]], "create: mask[0] is an object (BigInt64Array)"],
    [
      "a flat array of bytes",
      Uint8Array.of(1, 0, 1, 0, 0, 1),
      "create: mask is an object (Uint8Array), expected { data",
    ],
    ["below float32", [[0, 0, -1e39], [0, 0, 0]], "create: mask has -1e+39 at index 2"],
    [
      "the lowest number there is",
      { data: [0, 0, 0, 0, 0, -Number.MAX_VALUE], shape },
      "create: mask has -1.797",
    ],
    [
      "a field more",
      { data: [0, 0, 0, 0, 0, 0], shape, dtype: "bool" },
      'create: mask field "dtype" is unknown',
    ],
  ];
  for (const [name, mask, message] of bad) {
    await t.step(name, () => {
      const error = assertThrows(() => toMask("create", mask as MaskInput, 2, 2, 3), InputError);
      assert(error.message.startsWith(message), error.message);
    });
  }
});

Deno.test("the entries of a mask are read once", () => {
  const reads = new Map<string, number>();
  const watched = <T extends object>(name: string, target: T): T =>
    new Proxy(target, {
      get(target, key, receiver) {
        if (typeof key === "string") reads.set(`${name}.${key}`, (reads.get(`${name}.${key}`) ?? 0) + 1);
        return Reflect.get(target, key, receiver);
      },
    });
  const rows = (name: string) =>
    watched(name, [watched(`${name}0`, [0, 1, 2]), watched(`${name}1`, [3, 4, 5])]);
  const inputs: MaskInput[] = [
    rows("a"),
    watched("b", [rows("c"), rows("d")]),
    watched("e", {
      data: watched("f", [0, 1, 2, 3, 4, 5]),
      shape: watched("g", [2, 3]) as unknown as [number, number],
    }),
    watched("h", [watched("i", { data: watched("j", [0, 1, 2, 3, 4, 5]), shape: [2, 3] as const })]),
  ];
  for (const input of inputs) assertEquals(answersOf(maskOf(input), 0), [[0, 1, 2], [3, 4, 5]]);
  assertEquals([...reads].filter(([, count]) => count !== 1), []);
  assert(reads.size > 40, `${reads.size} reads`);
});

Deno.test("what is no mask is refused by name", async (t) => {
  const bad: readonly (readonly [name: string, mask: unknown, message: string])[] = [
    ["null", null, "create: mask is null, expected"],
    ["a number", 5, "create: mask is 5, expected"],
    ["a string", "causal", 'create: mask is "causal", expected'],
    ["true", true, "create: mask is true, expected"],
    ["an object", {}, "create: mask is an object (Object), expected"],
    ["an empty list", [], "create: mask has 0 rows, expected at least 2 (one per query)"],
    ["too few rows", [[0, 0, 0]], "create: mask has 1 rows, expected at least 2 (one per query)"],
    ["too few columns", [[0, 0], [0, 0]], "create: mask has 2 columns, expected at least 3 (one per key)"],
    ["ragged rows", [[0, 0, 0], [0, 0]], "create: mask[1] has 2 entries, expected 3 (as mask[0])"],
    ["a longer second row", [[0, 0, 0], [0, 0, 0, 0]], "create: mask[1] has 4 entries, expected 3"],
    ["no rows but numbers", [0, 0, 0], "create: mask[0] "],
    ["null for the second row", [[0, 0, 0], null], "create: mask[1] "],
    ["a list that begins with null", [null, [0, 0, 0]], "create: mask[0] "],
    ["NaN", [[0, 0, 0], [0, NaN, 0]], "create: mask has NaN at index 4, expected a boolean, a finite number"],
    ["+Infinity", [[0, 0, Infinity], [0, 0, 0]], "create: mask has Infinity at index 2"],
    ["beyond float32", [[0, 0, 1e39], [0, 0, 0]], "create: mask has 1e+39 at index 2"],
    ["a string entry", [["0", 0, 0], [0, 0, 0]], 'create: mask has "0" at index 0'],
    ["a hole", [new Array(3), [0, 0, 0]], "create: mask has undefined at index 0"],
    ["a wrong shape", { data: [0, 0, 0, 0, 0], shape: [2, 3] }, "create: mask has 5 entries, expected 2 × 3"],
    ["a negative shape", { data: [], shape: [-2, 3] }, "create: mask.shape is [-2, 3], expected [rows ≥ 0"],
    ["half a shape", { data: [0, 0, 0], shape: [1.5, 2] }, "create: mask.shape is [1.5, 2]"],
    ["a shape of one", { data: [0, 0, 0, 0, 0, 0], shape: [6] }, "create: mask.shape is [6]"],
    ["null for a shape", { data: [0, 0, 0, 0, 0, 0], shape: null }, "create: mask.shape is null"],
    ["no data", { data: undefined, shape: [2, 3] }, "create: mask.data is undefined"],
    [
      "NaN by shape",
      { data: Float32Array.of(0, 0, 0, 0, 0, NaN), shape: [2, 3] },
      "create: mask has NaN at index 5",
    ],
    [
      "three matrices for two heads",
      new Array(3).fill({ data: new Float32Array(6), shape: [2, 3] }),
      "create: mask has 3 matrices, expected 1 or 2 (heads)",
    ],
    [
      "three matrices of rows for two heads",
      new Array(3).fill([[0, 0, 0], [0, 0, 0]]),
      "create: mask has 3 matrices, expected 1 or 2 (heads)",
    ],
    [
      "NaN in the second head",
      [[[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, NaN, 0]]],
      "create: mask[1] has NaN at index 4",
    ],
    [
      "ragged rows in the second head",
      [[[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0]]],
      "create: mask[1][1] has 2 entries, expected 3 (as mask[1][0])",
    ],
    [
      "a small second head",
      [[[0, 0, 0], [0, 0, 0]], [[0, 0, 0]]],
      "create: mask has 1 rows, expected at least 2",
    ],
    ["a second head that is null", [[[0, 0, 0], [0, 0, 0]], null], "create: mask[1] "],
  ];
  for (const [name, mask, message] of bad) {
    await t.step(name, () => {
      const error = assertThrows(() => toMask("create", mask as MaskInput, 2, 2, 3), InputError);
      assert(error.message.startsWith(message), error.message);
    });
  }
});
