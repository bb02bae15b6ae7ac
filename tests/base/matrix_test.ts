import { assertEquals, assertNotEquals, assertStringIncludes, assertThrows } from "../../testing/assert.ts";
import { describe, InputError } from "../../src/base/errors.ts";
import { isCount, type MatrixInput, type RowInput, toMatrix, toRow } from "../../src/base/matrix.ts";

const NOT_AN_ARRAY = "expected an array of numbers";
const NOT_FINITE = "expected finite numbers of float32 range";

function detached(): Float32Array {
  const numbers = Float32Array.of(1, 2);
  structuredClone(numbers, { transfer: [numbers.buffer] });
  return numbers;
}

/** An array of `length` with numbers in all places but one. */
function withHole(length: number, hole: number): number[] {
  const array = new Array<number>(length);
  for (let at = 0; at < length; at++) if (at !== hole) array[at] = at;
  return array;
}

/** Asserts that `input` is refused; hands it over as if its type were right, as JavaScript callers do. */
function refusedMatrix(input: unknown): InputError {
  return assertThrows(() => toMatrix("attention", "query", input as MatrixInput), InputError);
}

function refusedRow(input: unknown): InputError {
  return assertThrows(() => toRow("live.setKey", "key", input as RowInput, 2, "headDim"), InputError);
}

const BAD_ROWS: readonly (readonly [name: string, input: unknown, message: string])[] = [
  ["too short", [1], "key has 1 numbers, expected 2 (headDim)"],
  ["too long", [1, 2, 3], "key has 3 numbers, expected 2 (headDim)"],
  ["empty", [], "key has 0 numbers, expected 2 (headDim)"],
  ["a short typed array", Float32Array.of(1), "key has 1 numbers, expected 2 (headDim)"],
  ["NaN", [0, NaN], `key has NaN at index 1, ${NOT_FINITE}`],
  ["Infinity", [Infinity, 0], `key has Infinity at index 0, ${NOT_FINITE}`],
  ["-Infinity", Float64Array.of(0, -Infinity), `key has -Infinity at index 1, ${NOT_FINITE}`],
  ["beyond float32", Float64Array.of(0, 1e39), `key has 1e+39 at index 1, ${NOT_FINITE}`],
  ["below float32", [-3.5e38, 0], `key has -3.5e+38 at index 0, ${NOT_FINITE}`],
  ["a detached buffer", detached(), `key is a view of a detached buffer, ${NOT_AN_ARRAY}`],
  ["a DataView", new DataView(new ArrayBuffer(2)), `key is an object (DataView), ${NOT_AN_ARRAY}`],
  ["an ArrayBuffer", new ArrayBuffer(8), `key is an object (ArrayBuffer), ${NOT_AN_ARRAY}`],
  ["a string", "12", `key is "12", ${NOT_AN_ARRAY}`],
  ["a number", 12, `key is 12, ${NOT_AN_ARRAY}`],
  ["null", null, `key is null, ${NOT_AN_ARRAY}`],
  ["undefined", undefined, `key is undefined, ${NOT_AN_ARRAY}`],
  ["a function", () => [1, 2], `key is a function, ${NOT_AN_ARRAY}`],
  ["an object of no length", { 0: 1, 1: 2 }, `key is an object (Object), ${NOT_AN_ARRAY}`],
  ["half a length", { length: 1.5, 0: 1 }, `key is an object (Object), ${NOT_AN_ARRAY}`],
  ["bigints", BigUint64Array.of(1n, 2n), `key is an object (BigUint64Array), ${NOT_AN_ARRAY}`],
  ["an object like a short array", { length: 1, 0: 1 }, "key has 1 numbers, expected 2 (headDim)"],
  ["an object like an array with a hole", { length: 2, 1: 1 }, `key has undefined at index 0, ${NOT_FINITE}`],
  ["a set", new Set([1, 2]), `key is an object (Set), ${NOT_AN_ARRAY}`],
  ["no prototype", Object.create(null), `key is an object (no prototype), ${NOT_AN_ARRAY}`],
  ["a hole", withHole(2, 1), `key has undefined at index 1, ${NOT_FINITE}`],
];

const BAD_MATRICES: readonly (readonly [name: string, input: unknown, message: string])[] = [
  ["undefined", undefined, "query is undefined, expected { data, shape } or an array of rows"],
  ["null", null, "query is null, expected { data, shape } or an array of rows"],
  ["a string", "[[1]]", 'query is "[[1]]", expected { data, shape } or an array of rows'],
  ["flat numbers", Float32Array.of(1), "query is an object (Float32Array), expected { data, shape } or"],
  ["no shape", { data: [1] }, "query is an object (Object), expected { data, shape } or an array of rows"],
  ["no rows", [], "query has no rows, expected { data: [], shape: [0, columns] } for an empty matrix"],
  ["rows of nothing", [[], []], "query[0] has no numbers, expected at least 1"],
  ["ragged rows", [[1, 2], [3]], "query[1] has 1 numbers, expected 2 (as query[0])"],
  ["numbers for rows", [1, 2], `query[0] is 1, ${NOT_AN_ARRAY}`],
  ["a hole for the first row", new Array(1), `query[0] is undefined, ${NOT_AN_ARRAY}`],
  ["null for a later row", [[1], null], `query[1] is null, ${NOT_AN_ARRAY}`],
  ["a hole in a row", [[1, 2], withHole(2, 0)], `query[1] has undefined at index 0, ${NOT_FINITE}`],
  ["a detached row", [[1, 2], detached()], `query[1] is a view of a detached buffer, ${NOT_AN_ARRAY}`],
  ["NaN in a row", [[1, 2], [3, NaN]], `query[1] has NaN at index 1, ${NOT_FINITE}`],
  ["NaN in data", { data: [1, NaN], shape: [1, 2] }, `query has NaN at index 1, ${NOT_FINITE}`],
  ["beyond float32", { data: [1e300], shape: [1, 1] }, `query has 1e+300 at index 0, ${NOT_FINITE}`],
  ["short data", { data: [1, 2, 3], shape: [2, 2] }, "query.data has 3 numbers, expected 4 (shape 2 × 2)"],
  ["long data", { data: [1], shape: [0, 2] }, "query.data has 1 numbers, expected 0 (shape 0 × 2)"],
  ["string data", { data: "12", shape: [1, 2] }, `query.data is "12", ${NOT_AN_ARRAY}`],
  ["null data", { data: null, shape: [1, 2] }, `query.data is null, ${NOT_AN_ARRAY}`],
  ["detached data", { data: detached(), shape: [1, 2] }, "query.data is a view of a detached buffer"],
  [
    "a DataView",
    { data: new DataView(new ArrayBuffer(8)), shape: [1, 2] },
    "query.data is an object (DataView)",
  ],
  ...([
    ["no columns", [2, 0], "[2, 0]"],
    ["a negative number of rows", [-1, 2], "[-1, 2]"],
    ["half a row", [0.5, 2], "[0.5, 2]"],
    ["half a column", [2, 1.5], "[2, 1.5]"],
    ["NaN rows", [NaN, 1], "[NaN, 1]"],
    ["a string of rows", ["1", 2], '["1", 2]'],
    ["one number", [2], "[2]"],
    ["four numbers", [1, 1, 1, 2], "[1, 1, 1, 2]"],
    ["a number", 2, "2"],
    ["null", null, "null"],
    ["a typed array", Uint32Array.of(1, 2), "an object (Uint32Array)"],
  ] as const).map(([name, shape, text]) =>
    [
      `shape of ${name}`,
      { data: [1, 2], shape },
      `query.shape is ${text}, expected [rows ≥ 0, columns ≥ 1]`,
    ] as const
  ),
];

Deno.test("toRow refuses what is no row of finite numbers, and says what came", async (t) => {
  for (const [name, input, message] of BAD_ROWS) {
    await t.step(name, () => {
      const error = refusedRow(input);
      assertEquals(error.operation, "live.setKey");
      assertEquals(error.message, `live.setKey: ${message}`);
    });
  }
});

Deno.test("toMatrix refuses what is no matrix, and says what came", async (t) => {
  for (const [name, input, message] of BAD_MATRICES) {
    await t.step(name, () => {
      const error = refusedMatrix(input);
      assertEquals(error.operation, "attention");
      assertStringIncludes(error.message, `attention: ${message}`);
    });
  }
});

Deno.test("what is no number is not turned into one", async (t) => {
  const entries: readonly (readonly [name: string, entry: unknown])[] = [
    ["null, as JSON writes NaN", null],
    ["a string", "2"],
    ["a truth value", true],
    ["an array", [2]],
    ["a bigint", 2n],
    ["a symbol", Symbol("2")],
  ];
  for (const [name, entry] of entries) {
    await t.step(`${name} in a row`, () => void refusedRow([1, entry]));
    await t.step(`${name} in a matrix`, () => {
      refusedMatrix([[1, 2], [3, entry]]);
      refusedMatrix({ data: [1, entry], shape: [1, 2] });
    });
  }
  await t.step("an array of bigints", () => {
    refusedRow(BigInt64Array.of(1n, 2n));
    refusedMatrix({ data: BigInt64Array.of(1n, 2n), shape: [1, 2] });
  });
});

Deno.test("toRow takes arrays and typed arrays of any kind and rounds to float32", () => {
  const shared = new Float64Array(new SharedArrayBuffer(16));
  shared.set([0.1, -2]);
  for (const input of [[0.1, -2], Float64Array.of(0.1, -2), Float32Array.of(0.1, -2), shared]) {
    assertEquals(toRow("f", "row", input, 2, "d"), Float32Array.of(0.1, -2));
  }
  assertEquals(toRow("f", "row", Int8Array.of(1, -2), 2, "d"), Float32Array.of(1, -2));
  assertEquals(toRow("f", "row", Float32Array.of(9, 1, 2, 9).subarray(1, 3), 2, "d"), Float32Array.of(1, 2));
  assertEquals(toRow("f", "row", [3.4e38, -3.4e38], 2, "d"), Float32Array.of(3.4e38, -3.4e38));
});

Deno.test("whatever has a length and entries is a row: as the type says", () => {
  const like = { length: 2, 0: 0.1, 1: -2 };
  for (const input of [like, new Proxy([0.1, -2], {}), Object.assign(Object.create(like), {})]) {
    assertEquals(toRow("f", "row", input, 2, "d"), Float32Array.of(0.1, -2));
  }
  const rows = { length: 2, 0: like, 1: [1, 2] };
  const expected = { data: Float32Array.of(0.1, -2, 1, 2), shape: [2, 2] as const };
  assertEquals(toMatrix("f", "q", rows), expected);
  assertEquals(
    toMatrix("f", "q", { data: { length: 4, 0: 0.1, 1: -2, 2: 1, 3: 2 }, shape: [2, 2] }),
    expected,
  );
});

Deno.test("a typed array is what it holds, whatever its class says of it", () => {
  class Longer extends Float32Array {
    override get length(): number {
      return 3;
    }
    override [Symbol.iterator](): ArrayIterator<number> {
      throw new Error("not called");
    }
  }
  assertEquals(toRow("f", "row", new Longer([1, 2]), 2, "d"), Float32Array.of(1, 2));
  const shadowed = Object.defineProperty(Float64Array.of(1, 2), "length", { value: 5 });
  assertEquals(toRow("f", "row", shadowed, 2, "d"), Float32Array.of(1, 2));
  if (!("Float16Array" in globalThis)) return;
  const half = new (globalThis as unknown as { Float16Array: new (from: number[]) => RowInput }).Float16Array(
    [0.5, -2],
  );
  assertEquals(toRow("f", "row", half, 2, "d"), Float32Array.of(0.5, -2));
});

Deno.test("a length and each entry is read once, and only once", () => {
  const reads: PropertyKey[] = [];
  const watched = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(target, name, receiver) {
        reads.push(name);
        return Reflect.get(target, name, receiver);
      },
    });
  assertEquals(toRow("f", "row", watched({ length: 2, 0: 1, 1: 2 }), 2, "d"), Float32Array.of(1, 2));
  assertEquals(reads.splice(0).filter((name) => typeof name === "string"), ["length", "0", "1"]);
  toMatrix("f", "q", watched({ data: watched([1, 2]), shape: watched([1, 2]) as [number, number] }));
  const strings = reads.splice(0).filter((name) => typeof name === "string");
  // How many lengths a shape has is looked at twice: three of them are another form.
  const fields = ["data", "shape", "strides", "offset", "length"];
  assertEquals(strings, [...fields, "length", "length", "0", "1", "0", "1"]);
  toMatrix("f", "q", watched([watched([1, 2]), watched([3, 4])]));
  const rows = reads.splice(0).filter((name) => typeof name === "string");
  assertEquals(rows, ["length", "0", "length", "0", "1", "1", "length", "0", "1"]);
});

Deno.test("a list whose length changes while it is read is what it was when it was asked", () => {
  let length = 2;
  const shrinking = {
    get length() {
      return length--;
    },
    0: 1,
    1: 2,
  };
  assertEquals(toRow("f", "row", shrinking, 2, "d"), Float32Array.of(1, 2));
  const emptied: number[] = [1, 2];
  Object.defineProperty(emptied, 0, { get: () => (emptied.length = 1, 7), configurable: true });
  const error = refusedRow(emptied);
  assertStringIncludes(error.message, "key has undefined at index 1");
});

Deno.test("a matrix of a field that is not known is refused: it would mean something", () => {
  const strided = { data: [1, 2], shape: [1, 2], stride: [1, 2], offset: 0 };
  const error = refusedMatrix(strided);
  assertEquals(
    error.message,
    'attention: query field "stride" is unknown, expected one of data, shape, strides, offset; did you mean "strides"?',
  );
  assertStringIncludes(refusedMatrix({ data: [1], shape: [1, 1], shpe: 1 }).message, 'did you mean "shape"?');
});

Deno.test("toMatrix takes rows or data with a shape, also an empty one", () => {
  const expected = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] as const };
  assertEquals(toMatrix("f", "q", [[1, 2, 3], Float64Array.of(4, 5, 6)]), expected);
  assertEquals(toMatrix("f", "q", { data: [1, 2, 3, 4, 5, 6], shape: [2, 3] }), expected);
  assertEquals(toMatrix("f", "q", { data: Int16Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] }), expected);
  assertEquals(toMatrix("f", "q", { data: [], shape: [0, 5] }), { data: new Float32Array(0), shape: [0, 5] });
});

Deno.test("what is kept is a copy: the caller's arrays may change afterwards", () => {
  const row = Float32Array.of(1, 2);
  const kept = toRow("f", "row", row, 2, "d");
  row[0] = NaN;
  assertEquals(kept, Float32Array.of(1, 2));

  const data = Float32Array.of(1, 2);
  const shape: [number, number] = [1, 2];
  const fromData = toMatrix("f", "q", { data, shape });
  data[1] = 9;
  shape[0] = 7;
  assertEquals(fromData, { data: Float32Array.of(1, 2), shape: [1, 2] });

  const rows = [[1, 2], [3, 4]];
  const fromRows = toMatrix("f", "q", rows);
  rows[1][0] = 9;
  rows.pop();
  assertEquals(fromRows, { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] });
  assertNotEquals<ArrayBufferLike>(fromData.data.buffer, data.buffer);
});

Deno.test("isCount knows whole numbers from everything else", () => {
  for (const count of [0, 1, -0, 2 ** 53 - 1]) assertEquals(isCount(count), true, String(count));
  for (const other of [-1, 0.5, NaN, Infinity, 2 ** 53, "1", 1n, null, undefined, true, [1]]) {
    assertEquals(isCount(other), false, String(other));
  }
});

Deno.test("describe is short for anything", () => {
  assertEquals(describe([1, "a", null, undefined, 5]), '[1, "a", null, undefined, …]');
  assertEquals(describe([1, 2, 3, 4]), "[1, 2, 3, 4]");
  assertEquals(describe(Symbol("s")), "Symbol(s)");
  assertEquals(describe(12n), "12n");
  assertEquals(describe(-Infinity), "-Infinity");
  assertEquals(describe(new Map()), "an object (Map)");
  assertEquals(describe(Object.create(null)), "an object (no prototype)");
  assertEquals(describe(class Named {}), "a function");
  assertEquals(describe(-0), "-0");
});

Deno.test("describe is short, whatever is inside, and never throws", () => {
  const circular: unknown[] = [1];
  circular.push(circular);
  let deep: unknown = [];
  for (let depth = 0; depth < 100_000; depth++) deep = [deep];
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const values: unknown[] = [
    circular,
    deep,
    "x".repeat(1e6),
    ["y".repeat(1e6), "z".repeat(1e6)],
    2n ** 100_000n,
    -(10n ** 40n),
    new Error("w".repeat(1e6)),
    Symbol("v".repeat(1e6)),
    new Array(1e9),
    { constructor: { name: deep } },
    { constructor: { name: "u".repeat(1e6) } },
    {
      get constructor() {
        throw new Error("no");
      },
    },
    proxy,
    "\0".repeat(1e6),
  ];
  for (const value of values) {
    const text = describe(value);
    assertEquals(
      text.length > 0 && text.length <= 210,
      true,
      `${text.length} characters: ${text.slice(0, 99)}`,
    );
  }
  assertEquals(describe(circular), "[1, [1, […]]]");
  assertEquals(describe("\x93NUMPY\u200b"), '"\\u0093NUMPY\\u200b"');
});
