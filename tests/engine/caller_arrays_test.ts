// What a caller passes is the caller's: a call has copied all of it when it returns, before its answer comes, so whatever
// happens to the arrays and objects afterwards makes no difference.

import {
  attention,
  attentionBatch,
  type AttentionOptions,
  attentionState,
  type BatchOptions,
  DynamicAttention,
  type DynamicAttentionOptions,
} from "../../mod.ts";
import { assertEquals, assertInstanceOf } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";

/** Makes an argument afresh. */
type Make = () => unknown;

/** Overwrites and empties whatever can be, as deep as it goes. */
function spoil(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (value instanceof Float32Array || value instanceof Float64Array) value.fill(NaN);
  else if (value instanceof Uint8Array) value.fill(7);
  else if (value instanceof Uint32Array || value instanceof Int32Array) value.fill(1e6);
  else if (Array.isArray(value)) {
    value.forEach(spoil);
    value.length = 0;
  } else {
    Object.values(value).forEach(spoil);
    for (const name of Object.keys(value)) {
      Object.defineProperty(value, name, { value: Symbol(name), configurable: true, enumerable: true });
    }
    Object.assign(value, { stranger: 1 });
  }
}

/** The outcome of a call, whether what was passed to it is spoilt as soon as it returns or not. */
async function outcomeOf(call: (given: never) => unknown, make: Make, isSpoilt: boolean): Promise<unknown> {
  const given = make();
  const answer = Promise.try(() => call(as(given)));
  if (isSpoilt) spoil(given);
  return await answer;
}

async function assertCopied(name: string, call: (given: never) => unknown, make: Make): Promise<void> {
  assertEquals(await outcomeOf(call, make, true), await outcomeOf(call, make, false), name);
}

/** An array-like that is no array, with a length that its class has. */
class Row {
  readonly #numbers: readonly number[];

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
    numbers.forEach((number, at) => Object.defineProperty(this, at, { value: number, enumerable: true }));
  }

  get length(): number {
    return this.#numbers.length;
  }
}

const ROWS: AttentionOptions = {
  ...{ query: [[1, 0, 2, 1], [0, 1, 1, 1]], key: [[1, 1, 0, 2], [0, 1, 1, 1], [1, 0, 2, 0]], heads: 2 },
  value: [[1, 2], [3, -1], [9, 4]],
};

/** For each option of attention, forms that it comes in. */
const OPTIONS: readonly (readonly [name: keyof AttentionOptions, make: Make])[] = [
  ["query", () => [[1, 2, 3, 4], Float32Array.of(0, 1, 0, 1)]],
  ["query", () => ({ data: new Float32Array(8).fill(2), shape: [2, 4] })],
  ["query", () => ({ data: [1, 2, 3, 4, 5, 6, 7, 8], shape: [2, 2, 2] })],
  ["query", () => ({ data: [1, 2, 3, 4, 5, 6, 7, 8, 9], shape: [2, 4], strides: [4, 1], offset: 1 })],
  ["key", () => ({ data: [1, 2], indices: [0, 3], indptr: [0, 1, 1, 2], shape: [3, 4] })],
  ["value", () => [[1, 2], [3, 4], [5, 6]]],
  ["mask", () => [[true, false, true], [0.5, 0, -1]]],
  ["mask", () => [Float32Array.of(0, 1, -Infinity), Uint8Array.of(1, 0, 1)]],
  ["mask", () => [[[0, 1, 2], [2, 1, 0]], { data: Uint8Array.of(1, 1, 0, 0, 1, 1), shape: [2, 3] }]],
  ["blockMask", () => ({ size: 1, entries: [[0, 1, 0.5], [1, true, false]] })],
  ["blockMask", () => ({ size: [1, 2], entries: [[[0, 1], [1, true]], [[0, 0], [1, 1]]] })],
  ["blockMask", () => ({ size: [1, 2], entries: { data: Uint8Array.of(1, 0, 0, 1), shape: [2, 2] } })],
  ["blockMask", () => ({
    size: 2,
    entries: [{ data: Float32Array.of(0, 1), shape: [1, 2] }, { data: [true, false], shape: [1, 2] }],
  })],
  ["distanceBias", () => ({ from: -1, values: [0, 1, 2] })],
  ["distanceBias", () => ({ from: -1, values: [Float64Array.of(0, 1), [1, 0]] })],
  ["alibi", () => [0.5, 1]],
  ["alibi", () => Float32Array.of(0.5, 1)],
  ["sinks", () => [0.5, -Infinity]],
  ["rotary", () => ({ base: 100, dims: 2, interleaved: true })],
  ["window", () => [1, 2]],
  ["window", () => ({ left: 1, right: 0, keepFirst: 1 })],
  ["causal", () => ({ offset: 1 })],
];

/** With positions that matter. */
const POSITIONS: readonly (readonly [name: keyof AttentionOptions, make: Make])[] = [
  ["keyPositions", () => [2, 0, 1]],
  ["keyPositions", () => Float64Array.of(2, 0, 1)],
  ["queryPositions", () => Float32Array.of(2, 0)],
];

for (const backend of ["array", "wasm"] as const) {
  Deno.test(`what is passed is copied when the call returns, ${backend}: each option in each form`, async () => {
    for (const [name, make] of [...OPTIONS, ...POSITIONS]) {
      const rest = POSITIONS.some(([other]) => other === name) ? { causal: true } : {};
      // The spoilt value lies in options that are spoilt, too.
      const whole = () => ({ ...structuredClone(ROWS), ...rest, backend, [name]: make() });
      await assertCopied(name, (options) => attention(options), whole);
      await assertCopied(name, async (options) => await (await attentionState(options)).output, whole);
      await assertCopied(name, async (options) => {
        await using live = await DynamicAttention.create(options);
        live.set(1, [1, 2, 3, 4], [5, 6]);
        return await live.read();
      }, whole);
      if (["query", "key", "value"].includes(name)) continue;
      // All items of a batch, the last ones too.
      await assertCopied(name, (options) => attentionBatch(options), () => ({
        query: { data: new Float32Array(3 * 8).map((_, at) => at % 5), shape: [3, 2, 4] },
        key: { data: new Float32Array(3 * 12).map((_, at) => at % 3), shape: [3, 3, 4] },
        value: { data: Array.from({ length: 6 }, (_, at) => at), shape: [1, 3, 2] },
        ...{ heads: 2, ...rest, backend, [name]: make() },
      }));
    }
  });
}

Deno.test("what is passed is copied when the call returns: ids, thresholds, tensors of masks, questions, files", async () => {
  const create = async (options: DynamicAttentionOptions<string, string>) => {
    await using live = await DynamicAttention.create(options);
    live.setValue(live.keyIds()[0], [7, 7]);
    return [live.keyIds(), live.queryIds(), await live.read(), (await live.peek()).pending];
  };
  await assertCopied("ids", create, () => ({
    ...structuredClone(ROWS),
    ...{ keyIds: ["a", "b", "c"], queryIds: ["x", "y"], lazyThreshold: { edits: 2, error: 1 } },
  }));
  await assertCopied("a mask of a batch", (options: BatchOptions) => attentionBatch(options), () => ({
    query: { data: new Float32Array(4), shape: [2, 1, 2] },
    key: { data: new Float32Array(4), shape: [1, 2, 2] },
    value: { data: [1, 3], shape: [1, 2, 1] },
    mask: { data: Uint8Array.of(1, 0, 0, 1), shape: [2, 1, 1, 2] },
  }));
  await using live = await DynamicAttention.create(ROWS);
  const bytes = await live.save();
  const questions: Readonly<Record<string, readonly [(given: never) => unknown, Make]>> = {
    read: [(slots) => live.read(slots), () => [1, 0]],
    "read of a typed array": [(slots) => live.read(slots), () => Uint32Array.of(1, 0)],
    peek: [(slots) => live.peek(slots), () => [1, 0]],
    logSumExp: [(slots) => live.logSumExp(slots), () => [1, 0]],
    weightsOf: [({ slots, options }) => live.weightsOf(slots, options), () => ({
      slots: [1],
      options: { heads: [1, 0] },
    })],
    topKeys: [(slots) => live.topKeys(slots, 2), () => [1, 0]],
    recommend: [(options) => live.recommend(0, 2, options), () => ({ exclude: [1] })],
    attend: [({ rows, options }) => live.attend(rows, options), () => ({
      rows: [[1, 2, 3, 4]],
      options: { positions: [1], mask: [[true, 0.5, false]] },
    })],
    save: [async (options) => {
      await using again = await DynamicAttention.load(await live.save(options));
      return again.metadata;
    }, () => ({ metadata: { a: [1, { b: "c" }] } })],
    load: [async (given) => {
      await using again = await DynamicAttention.load(given);
      return await again.read();
    }, () => bytes.slice()],
  };
  for (const [name, [call, make]] of Object.entries(questions)) await assertCopied(name, call, make);
});

Deno.test("entries of blocks are read as those of a mask: a Uint8Array is of truth, other whole numbers are refused", async () => {
  const rows = { query: [[1]], key: [[1], [1]], value: [[1], [3]] };
  const ask = async (
    entries: unknown,
  ) => [...(await attention({ ...rows, blockMask: as({ size: 1, entries }) })).data];
  assertEquals(await ask({ data: Uint8Array.of(0, 1), shape: [1, 2] }), [3]);
  assertEquals(await ask([Uint8Array.of(0, 1)]), [3]);
  assertEquals(await ask([new Row([0, -Infinity])]), [1]);
  for (const entries of [{ data: Int32Array.of(0, 1), shape: [1, 2] }, [Int8Array.of(0, 1)]]) {
    const error = await ask(entries).catch((error) => error);
    assertInstanceOf(error, Error);
    assertEquals(error.name, "InputError");
    assertEquals(error.message.includes("blockMask.entries"), true, error.message);
  }
});

Deno.test("options take whatever has a length and entries, also where its class has the length", async () => {
  const rows = { query: [[1]], key: [[1], [1]], value: [[1], [3]] };
  const options: readonly (readonly [AttentionOptions, AttentionOptions])[] = [
    [{ ...rows, sinks: as(new Row([0.5])) }, { ...rows, sinks: [0.5] }],
    [{ ...rows, alibi: as(new Row([0.5])) }, { ...rows, alibi: [0.5] }],
    [
      { ...rows, distanceBias: { from: 0, values: as(new Row([0, 1])) } },
      { ...rows, distanceBias: { from: 0, values: [0, 1] } },
    ],
    [{ ...rows, causal: true, keyPositions: as(new Row([1, 0])) }, {
      ...rows,
      causal: true,
      keyPositions: [1, 0],
    }],
  ];
  for (const [given, plain] of options) assertEquals(await attention(given), await attention(plain));
});
