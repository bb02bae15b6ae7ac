// Options that must be refused, of engines, of the one-shot function and of methods.

import {
  attention,
  AttentionError,
  DynamicAttention,
  type DynamicAttentionOptions,
  InputError,
} from "../../mod.ts";
import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "../../testing/assert.ts";
import { as, BAD_POSITION_LISTS, GOOD_OPTIONS, makeEngine } from "../../testing/bad_calls.ts";

/** The changes that give the good options two heads. */
const TWO_HEADS = { query: [[1, 2, 3, 4]], heads: 2, kvHeads: 1 };

const BAD_OPTIONS: readonly (readonly [name: string, options: object, message: string])[] = [
  ["no query", { query: undefined }, "query is undefined"],
  ["NaN in query", { query: [[NaN, 1]] }, "query[0] has NaN at index 0"],
  ["a query of no shape", { query: [] }, "query has no rows"],
  ["no key", { key: undefined }, "key is undefined"],
  ["a narrow key", { key: [[1], [2]] }, "key has 1 columns, expected 2 (kvHeads × headDim)"],
  ["a ragged key", { key: [[1, 2], [2]] }, "key[1] has 1 numbers, expected 2"],
  ["no value", { value: undefined }, "value is undefined"],
  ["too few values", { value: [[1]] }, "value has 1 rows, expected 2 (one per key)"],
  ["too many values", { value: [[1], [2], [3]] }, "value has 3 rows, expected 2 (one per key)"],
  ["no values", { value: { data: [], shape: [0, 1] } }, "value has 0 rows, expected 2 (one per key)"],
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
  ["a mask without rows", { mask: [] }, "mask has 0 rows, expected at least 1 (one per query)"],
  ["a mask that is too narrow", { mask: [[0]] }, "mask has 1 columns, expected at least 2 (one per key)"],
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
      await assertRejects(
        () => DynamicAttention.create(as<DynamicAttentionOptions>(options)),
        InputError,
        "create: options are",
      );
    });
  }
  await (await DynamicAttention.create(GOOD_OPTIONS)).dispose();
});

Deno.test("every refusal can be caught as an AttentionError", async () => {
  await using live = await makeEngine();
  assertThrows(() => live.delete(-1), AttentionError);
  await assertRejects(() => live.topKeys(0, -1), AttentionError);
  await assertRejects(
    () => DynamicAttention.create(as<DynamicAttentionOptions>({ ...GOOD_OPTIONS, tolerance: 2 })),
    AttentionError,
  );
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
