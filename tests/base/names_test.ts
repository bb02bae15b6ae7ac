// A misspelt name is refused at every depth, and the error suggests the nearest known one.

import {
  attention,
  attentionState,
  DynamicAttention,
  type DynamicAttentionOptions,
  InputError,
  type LoadOptions,
  mergeStates,
  unmergeState,
} from "../../mod.ts";
import { didYouMean, editDistance } from "../../src/base/names.ts";
import { ENGINE_OPTIONS } from "../../src/engine/options.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../testing/assert.ts";
import { as, checkRefused, GOOD_OPTIONS, KEY, makeEngine, VALUE } from "../../testing/bad_calls.ts";

Deno.test("edits between names are counted, a swap of neighbours as one", () => {
  const cases = [
    ["", "", 0],
    ["scale", "scale", 0],
    ["", "key", 3],
    ["positon", "position", 1],
    ["ofset", "offset", 1],
    ["vlaue", "value", 1],
    ["querry", "query", 1],
    ["kitten", "sitting", 3],
    ["ca", "abc", 3],
  ] as const;
  for (const [a, b, distance] of cases) {
    assertEquals([editDistance(a, b), editDistance(b, a)], [distance, distance], `${a}, ${b}`);
  }
});

Deno.test("a name is meant that is near, whatever its case, and none that is far", () => {
  const known = ["query", "key", "value", "position", "lazyThreshold"];
  const meant = [
    ["positon", '; did you mean "position"?'],
    ["POSITION", '; did you mean "position"?'],
    ["keys", '; did you mean "key"?'],
    ["lazythreshhold", '; did you mean "lazyThreshold"?'],
    ["queries", '; did you mean "query"?'],
    ["lazy", '; did you mean "lazyThreshold"?'],
    ["my_position", '; did you mean "position"?'],
    ["keyboard", ""],
    ["mask", ""],
    ["", ""],
    ["x".repeat(1e6), ""],
    [5, ""],
    [Symbol("key"), ""],
  ] as const;
  for (const [given, said] of meant) assertEquals(didYouMean(given, known), said, String(given));
  assertEquals(didYouMean("a", []), "");
});

Deno.test("names of PyTorch's are led to ours", () => {
  const meant = [
    ["is_causal", "causal"],
    ["attn_mask", "mask"],
    ["num_heads", "heads"],
    [
      "queries",
      "query",
    ],
    ["keys", "key"],
    ["values", "value"],
  ];
  for (const [theirs, ours] of meant) {
    assertEquals(didYouMean(theirs, ENGINE_OPTIONS), `; did you mean "${ours}"?`, theirs);
  }
});

type Misspelt = readonly [name: string, call: (live: DynamicAttention) => unknown, meant: string];

/** A field or option too many, at each depth that there is. */
const MISSPELT: readonly Misspelt[] = [
  [
    "an insert among edits",
    (live) => live.edit([as({ kind: "insert", key: KEY, value: VALUE, positon: 7 })]),
    'edit[0].insert: field "positon" is unknown, expected one of kind, key, value, position, id; did you mean "position"?',
  ],
  [
    "a set among edits",
    (live) => live.edit([as({ kind: "set", slot: 0, key: KEY, vale: VALUE })]),
    '"value"',
  ],
  [
    "a setKey",
    (live) => live.edit([as({ kind: "setKey", slot: 0, key: KEY, values: 1 })]),
    '"values" is unknown',
  ],
  ["a setValue", (live) => live.edit([as({ kind: "setValue", slto: 0, value: VALUE })]), '"slot"'],
  ["a delete", (live) => live.edit([as({ kind: "delete", slot: 0, key: KEY })]), 'field "key" is unknown'],
  ["an addToKey", (live) => live.edit([as({ kind: "addToKey", slot: 0, colum: 1, delta: 1 })]), '"column"'],
  [
    "an insertQuery",
    (live) => live.edit([as({ kind: "insertQuery", query: KEY, Position: 1 })]),
    '"position"',
  ],
  ["a kind", (live) => live.edit([as({ kind: "setkey", slot: 0, key: KEY })]), 'did you mean "setKey"?'],
  ["a kind of its own", (live) => live.edit([as({ kind: "remove", slot: 0 })]), '"delete"'],
  [
    "insert's option",
    (live) => live.insert(KEY, VALUE, as({ positon: 3 })),
    "expected one of position, id; did you mean",
  ],
  ["insertQuery's option", (live) => live.insertQuery(KEY, as({ positoin: 3 })), 'did you mean "position"?'],
  ["a list of options", (live) => live.insert(KEY, VALUE, as([7])), "options are [7], expected an object"],
  [
    "a map of options",
    (live) => live.insert(KEY, VALUE, as(new Map([["position", 7]]))),
    "options are an object (Map)",
  ],
  ["peek's option", (live) => live.peek([0], as({ bound: false })), 'did you mean "bounds"?'],
  ["peek's value", (live) => live.peek([0], as({ bounds: 0 })), "bounds is 0, expected a boolean"],
  ["weights' option", (live) => live.weights(0, as({ heads: 0 })), 'did you mean "head"?'],
  ["topKeys' option", (live) => live.topKeys(0, 1, as({ hed: 0 })), 'did you mean "head"?'],
  ["attend's option", (live) => live.attend([KEY], as({ position: [0] })), 'did you mean "positions"?'],
  [
    "attend's matrix",
    (live) => live.attend(as({ data: KEY, shape: [1, 3], stride: [3, 1] })),
    '"stride" is unknown',
  ],
  ["moveTo's option", (live) => live.moveTo("array", as({ thread: 1 })), 'did you mean "threads"?'],
];

Deno.test("a misspelt field or option of a method is refused without a trace", async (t) => {
  for (const [name, call, message] of MISSPELT) {
    await t.step(name, () => checkRefused(call, InputError, message));
  }
});

const OPTIONS: readonly (readonly [name: string, options: object, message: string])[] = [
  ["an option", { lazyTreshold: 4 }, 'did you mean "lazyThreshold"?'],
  ["an option in another case", { Heads: 1 }, 'did you mean "heads"?'],
  [
    "causal's field",
    { causal: { offset: 0, ofset: 2 } },
    'causal field "ofset" is unknown, expected offset; did you',
  ],
  ["causal's only field", { causal: { offest: 2 } }, 'did you mean "offset"?'],
  ["a limit", { lazyThreshold: { edit: 4 } }, 'lazyThreshold limit "edit" is unknown'],
  [
    "a query's field",
    { query: { data: [1, 2], shape: [1, 2], ofset: 0 } },
    'query field "ofset" is unknown',
  ],
  [
    "a mask's field",
    { mask: { data: [0, 0], shape: [1, 2], dtype: "bool" } },
    'mask field "dtype" is unknown',
  ],
  [
    "a backend",
    { backend: "wams" },
    'backend is "wams", expected "auto", "array", "wasm" or "webgpu"; did you mean "wasm"?',
  ],
  ["a policy", { onThreshold: "rebuilt" }, 'expected "auto", "patch" or "rebuild"; did you mean "rebuild"?'],
  ["a list of options", [], "options are [], expected an object"],
];

Deno.test("a misspelt option of an engine is refused", async (t) => {
  for (const [name, options, message] of OPTIONS) {
    await t.step(name, async () => {
      const given = Array.isArray(options) ? options : { ...GOOD_OPTIONS, ...options };
      const error = await assertRejects(
        () => DynamicAttention.create(as<DynamicAttentionOptions>(given)),
        InputError,
      );
      assertStringIncludes(error.message, message);
      assert(error.message.startsWith("DynamicAttention.create: "), error.message);
    });
  }
  const bytes = await (await DynamicAttention.create(GOOD_OPTIONS)).save();
  const loaded = () => DynamicAttention.load(bytes, as<LoadOptions>({ backends: "array" }));
  await assertRejects(loaded, InputError, 'DynamicAttention.load: option "backends" is unknown');
});

Deno.test("attention and states refuse what is misspelt, too", async () => {
  const misspelt = as<typeof GOOD_OPTIONS>({ ...GOOD_OPTIONS, sofcap: 3 });
  await assertRejects(() => attention(misspelt), InputError, 'did you mean "softcap"?');
  await assertRejects(() => attentionState(misspelt), InputError, 'did you mean "softcap"?');
  const state = await attentionState(GOOD_OPTIONS);
  assertThrows(
    () => mergeStates([as({ ...state, logSumExps: state.logSumExp })]),
    InputError,
    'mergeStates: states[0] field "logSumExps" is unknown, expected one of output, logSumExp; did you mean "logSumExp"?',
  );
  const L = as<typeof state.logSumExp>({ ...state.logSumExp, base: 2 });
  assertThrows(() => unmergeState({ ...state, logSumExp: L }, state), InputError, 'field "base" is unknown');
  assertThrows(
    () => unmergeState(state, state, as({ tolerence: 1 })),
    InputError,
    'did you mean "tolerance"?',
  );
});

Deno.test("an engine is not constructed with new, and the error says how it is made", () => {
  const Engine = as<new (options: object) => unknown>(DynamicAttention);
  for (const options of [GOOD_OPTIONS, {}, undefined]) {
    assertThrows(
      () => new Engine(as(options)),
      InputError,
      "DynamicAttention: constructed with new, expected await DynamicAttention.create(options), or load(bytes)",
    );
  }
});

Deno.test("a method takes whatever has a length and entries", async () => {
  await using live = await makeEngine();
  await using twin = await makeEngine();
  const like = <T>(list: readonly T[]): ArrayLike<T> =>
    Object.assign(Object.create(null), { ...list, length: list.length });
  const edits = [
    { kind: "setKey", slot: 0, key: KEY },
    { kind: "insert", key: KEY, value: VALUE },
    { kind: "insertQuery", query: KEY },
  ] as const;
  const slots = live.edit(as(like([
    { kind: "setKey", slot: 0, key: like(KEY) },
    { kind: "insert", key: like(KEY), value: like(VALUE) },
    { kind: "insertQuery", query: like(KEY) },
  ])));
  assertEquals(slots, twin.edit(edits));
  live.setValue(1, like(VALUE));
  twin.setValue(1, VALUE);
  assertEquals(await live.read(like([1, 0])), await twin.read([1, 0]));
  assertEquals(await live.peek(like([0])), await twin.peek([0]));
  const queries = like([like(KEY), KEY]), positions = like([1, 2]);
  assertEquals(
    await live.attend(queries, { positions }),
    await twin.attend([KEY, KEY], { positions: [1, 2] }),
  );
  const made = await attention({
    query: like([like([1, 2])]),
    key: { data: like([1, 2, 3, 4]), shape: [2, 2] },
    value: like([like([1]), like([2])]),
    mask: like([like([0, 1])]),
    keyPositions: like([0, 1]),
    causal: true,
  });
  const expected = await attention({
    ...GOOD_OPTIONS,
    mask: [[0, 1]],
    keyPositions: [0, 1],
    causal: true,
  });
  assertEquals(made, expected);
});
