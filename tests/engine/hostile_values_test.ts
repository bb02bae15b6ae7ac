// Every argument and option of everything public, given anything at all: the call is refused by type and
// leaves no trace, or it means what the same numbers mean in plain arrays.

import {
  attention,
  AttentionError,
  type AttentionOptions,
  type AttentionState,
  attentionState,
  DynamicAttention,
  type DynamicAttentionOptions,
  mergeStates,
  unmergeState,
} from "../../mod.ts";
import { fromNpy, toNpy } from "../../src/store/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertInstanceOf } from "../../testing/assert.ts";
import { as, KEY, makeEngine, observe, VALUE } from "../../testing/bad_calls.ts";
import { MORE_VALUES, outcome, type Value } from "../../testing/hostile_values.ts";

/** Calls of an engine's methods, by what is given to them. */
const METHODS: Readonly<Record<string, (live: DynamicAttention, bad: never) => unknown>> = {
  "setKey's slot": (live, bad) => live.setKey(bad, KEY),
  "setKey's key": (live, bad) => live.setKey(0, bad),
  "setValue's slot": (live, bad) => live.setValue(bad, VALUE),
  "setValue's value": (live, bad) => live.setValue(1, bad),
  "set's slot": (live, bad) => live.set(bad, KEY, VALUE),
  "set's key": (live, bad) => live.set(0, bad, VALUE),
  "set's value": (live, bad) => live.set(0, KEY, bad),
  "addToKey's slot": (live, bad) => live.addToKey(bad, 0, 1),
  "addToKey's column": (live, bad) => live.addToKey(0, bad, 1),
  "addToKey's delta": (live, bad) => live.addToKey(0, 0, bad),
  "addToValue's column": (live, bad) => live.addToValue(0, bad, 1),
  "addToValue's delta": (live, bad) => live.addToValue(0, 1, bad),
  "insert's key": (live, bad) => live.insert(bad, VALUE),
  "insert's value": (live, bad) => live.insert(KEY, bad),
  "insert's options": (live, bad) => live.insert(KEY, VALUE, bad),
  "insert's position": (live, bad) => live.insert(KEY, VALUE, { position: bad }),
  "delete's slot": (live, bad) => live.delete(bad),
  "setQuery's slot": (live, bad) => live.setQuery(bad, KEY),
  "setQuery's query": (live, bad) => live.setQuery(0, bad),
  "insertQuery's query": (live, bad) => live.insertQuery(bad),
  "insertQuery's options": (live, bad) => live.insertQuery(KEY, bad),
  "deleteQuery's slot": (live, bad) => live.deleteQuery(bad),
  "edit's list": (live, bad) => live.edit(bad),
  "an edit": (live, bad) => live.edit([{ kind: "delete", slot: 0 }, bad]),
  "an edit's kind": (live, bad) => live.edit([{ kind: "delete", slot: 0 }, { kind: bad, slot: 1 }]),
  "an edit's slot": (live, bad) =>
    live.edit([{ kind: "insert", key: KEY, value: VALUE }, { kind: "delete", slot: bad }]),
  "an edit's row": (live, bad) =>
    live.edit([{ kind: "delete", slot: 0 }, { kind: "setKey", slot: 1, key: bad }]),
  "getKey's slot": (live, bad) => live.getKey(bad),
  "getQuery's slot": (live, bad) => live.getQuery(bad),
  "read's rows": (live, bad) => live.read(bad),
  "readEntry's slot": (live, bad) => live.readEntry(bad, 0),
  "readEntry's column": (live, bad) => live.readEntry(0, bad),
  "peek's rows": (live, bad) => live.peek(bad),
  "peek's options": (live, bad) => live.peek([0], bad),
  "peek's bounds": (live, bad) => live.peek([0], { bounds: bad }),
  "weights' slot": (live, bad) => live.weights(bad),
  "weights' options": (live, bad) => live.weights(0, bad),
  "weights' head": (live, bad) => live.weights(0, { head: bad }),
  "logSumExp's rows": (live, bad) => live.logSumExp(bad),
  "topKeys' slot": (live, bad) => live.topKeys(bad, 2),
  "topKeys' count": (live, bad) => live.topKeys(0, bad),
  "topKeys' options": (live, bad) => live.topKeys(0, 2, bad),
  "attend's queries": (live, bad) => live.attend(bad),
  "attend's options": (live, bad) => live.attend([KEY], bad),
  "attend's positions": (live, bad) => live.attend([KEY], { positions: bad }),
  "moveTo's options": (live, bad) => live.moveTo("array", bad),
  "moveTo's threads": (live, bad) => live.moveTo("wasm", { threads: bad }),
};

/** The observations of an engine that bring nothing up to date. */
function glance(live: DynamicAttention): unknown {
  const keys = [...live.keySlots()], queries = [...live.querySlots()];
  return {
    keys: keys.map((slot) => [slot, live.getKey(slot), live.getValue(slot)]),
    queries: queries.map((slot) => [slot, live.getQuery(slot)]),
    stats: { ...live.stats(), applyMs: 0, readMs: 0 },
  };
}

async function assertRight(live: DynamicAttention, what: string): Promise<void> {
  const keys = [...live.keySlots()], queries = [...live.querySlots()];
  const value = keys.map((slot) => live.getValue(slot));
  const { output } = referenceAttention({
    query: queries.map((slot) => live.getQuery(slot)),
    key: keys.map((slot) => live.getKey(slot)),
    value,
    scale: 1 / Math.sqrt(3),
    valueDim: 2,
  });
  const largest = value.reduce((most, row) => Math.max(most, ...Array.from(row, Math.abs)), 1e-30);
  const { data } = await live.read();
  output.flat().forEach((expected, at) => {
    assert(Math.abs(data[at] - expected) <= 1e-5 * largest, `${what}: ${data[at]}, expected ${expected}`);
  });
}

for (const [name, call] of Object.entries(METHODS)) {
  Deno.test(`hostile values: ${name}`, async () => {
    let live = await makeEngine(), before = glance(live);
    const refusals: Value[] = [];
    for (const [what, make] of MORE_VALUES) {
      const error = await outcome(() => call(live, as(make())));
      if (error === null) {
        await assertRight(live, `${name}: ${what}`);
        await live.dispose();
        live = await makeEngine();
        before = glance(live);
        continue;
      }
      refusals.push([what, make]);
      assertInstanceOf(error, AttentionError, `${name}: ${what}: ${error instanceof Error && error.stack}`);
      assert(error.message.length < 700, `${name}: ${what}: ${error.message.length} characters`);
      assertEquals(glance(live), before, `${name}: ${what}`);
    }
    assert(refusals.length > 20, `${refusals.length} refused`);
    await live.dispose();
    // A refused call leaves no trace in later answers either.
    await using asked = await makeEngine();
    await using twin = await makeEngine();
    for (const [what, make] of refusals) {
      assertInstanceOf(await outcome(() => call(asked, as(make()))), AttentionError, what);
    }
    assertEquals(await observe(asked), await observe(twin), name);
  });
}

const GOOD: DynamicAttentionOptions = { query: [[1, 2]], key: [[1, 2], [3, 4]], value: [[1], [2]] };
const OPTION_NAMES: readonly (keyof DynamicAttentionOptions)[] = [
  ...["query", "key", "value", "heads", "kvHeads", "scale", "softcap", "mask", "causal", "window"] as const,
  ...[
    "queryPositions",
    "keyPositions",
    "backend",
    "threads",
    "lazyThreshold",
    "onThreshold",
    "tolerance",
  ] as const,
];

for (const name of OPTION_NAMES) {
  Deno.test(`hostile values: the option ${name}`, async () => {
    let refused = 0;
    for (const [what, make] of MORE_VALUES) {
      const options = as<DynamicAttentionOptions>({ ...GOOD, [name]: make() });
      const error = await outcome(async () => {
        await using live = await DynamicAttention.create(options);
        const { data } = await live.read();
        assert(data.every(Number.isFinite), `${name}: ${what}`);
        live.setValue(0, new Array(live.stats().valueDim * live.stats().kvHeads).fill(3));
        await live.peek().catch((error) => {
          // The failure of a threshold function rejects this answer.
          if (!(error instanceof AttentionError)) throw error;
        });
      });
      if (error !== null) {
        refused++;
        assertInstanceOf(error, AttentionError, `${name}: ${what}: ${error instanceof Error && error.stack}`);
      }
      if (["lazyThreshold", "onThreshold", "tolerance"].includes(name)) continue;
      for (const ask of [attention, attentionState]) {
        const once = await outcome(() => ask(as<AttentionOptions>({ ...GOOD, [name]: make() })));
        if (once === null) continue;
        assertInstanceOf(once, AttentionError, `${name}: ${what}: ${once instanceof Error && once.stack}`);
      }
    }
    assert(refused > 20, `${refused} refused`);
  });
}

Deno.test("hostile values: options as a whole, a limit, an offset, an entry of a list", async () => {
  const calls: Readonly<Record<string, (bad: never) => unknown>> = {
    "create's options": (bad) => DynamicAttention.create(bad),
    "attention's options": (bad) => attention(bad),
    "attentionState's options": (bad) => attentionState(bad),
    "an offset": (bad) => attention({ ...GOOD as AttentionOptions, causal: { offset: bad } }),
    "a window's left": (bad) => attention({ ...GOOD as AttentionOptions, window: [bad, 1] }),
    "a window's right": (bad) => attention({ ...GOOD as AttentionOptions, window: [1, bad] }),
    "a position": (bad) => attention({ ...GOOD as AttentionOptions, keyPositions: [0, bad] }),
    "a row": (bad) => attention({ ...GOOD as AttentionOptions, key: [[1, 2], bad] }),
    "an entry": (bad) => attention({ ...GOOD as AttentionOptions, key: [[1, 2], [1, bad]] }),
    "a matrix's data": (bad) => attention({ ...GOOD as AttentionOptions, key: { data: bad, shape: [2, 2] } }),
    "a matrix's shape": (bad) =>
      attention({ ...GOOD as AttentionOptions, key: { data: [1, 2, 3, 4], shape: bad } }),
    "a matrix's columns": (bad) =>
      attention({ ...GOOD as AttentionOptions, key: { data: [1, 2, 3, 4], shape: [2, bad] } }),
    "a mask's row": (bad) => attention({ ...GOOD as AttentionOptions, mask: [bad] }),
    "a mask's entry": (bad) => attention({ ...GOOD as AttentionOptions, mask: [[0, bad]] }),
    "a mask of heads": (bad) => attention({ ...GOOD as AttentionOptions, mask: [[[0, 0]], bad] }),
    "a mask's data": (bad) => attention({ ...GOOD as AttentionOptions, mask: { data: bad, shape: [1, 2] } }),
    "a mask's shape": (bad) => attention({ ...GOOD as AttentionOptions, mask: { data: [0, 0], shape: bad } }),
    "what a mask answers": (bad) => attention({ ...GOOD as AttentionOptions, mask: () => bad }),
    ...Object.fromEntries(["edits", "ageMs", "error", "targetError"].map((limit) => [
      `the limit ${limit}`,
      (bad: never) => DynamicAttention.create({ ...GOOD, lazyThreshold: { [limit]: bad } }),
    ])),
  };
  for (const [name, call] of Object.entries(calls)) {
    let refused = 0;
    for (const [what, make] of MORE_VALUES) {
      const error = await outcome(() => call(as(make())));
      if (error === null) continue;
      refused++;
      assertInstanceOf(error, AttentionError, `${name}: ${what}: ${error instanceof Error && error.stack}`);
      assert(error.message.length < 700, `${name}: ${what}: ${error.message.length} characters`);
    }
    assert(refused > 20, `${name}: ${refused} refused`);
  }
});

Deno.test("hostile values: states, files and what a threshold answers", async () => {
  const state = await attentionState(GOOD as AttentionOptions);
  const total = mergeStates([state, state]);
  const bytes = await (await DynamicAttention.create(GOOD)).save();
  const calls: Readonly<Record<string, (bad: never) => unknown>> = {
    "mergeStates' list": (bad) => mergeStates(bad),
    "a state": (bad) => mergeStates([state, bad]),
    "a state's output": (bad) => mergeStates([{ ...state, output: bad }]),
    "a state's log-sum-exp": (bad) => mergeStates([{ ...state, logSumExp: bad }]),
    "an output's data": (bad) => mergeStates([{ ...state, output: { ...state.output, data: bad } }]),
    "a log-sum-exp's data": (bad) =>
      mergeStates([{ ...state, logSumExp: { ...state.logSumExp, data: bad } }]),
    "a log-sum-exp's entry": (bad) =>
      mergeStates([as<AttentionState>({ ...state, logSumExp: { data: [bad], shape: [1, 1] } })]),
    "unmergeState's total": (bad) => unmergeState(bad, state),
    "unmergeState's part": (bad) => unmergeState(total, bad),
    "unmergeState's options": (bad) => unmergeState(total, state, bad),
    "unmergeState's tolerance": (bad) => unmergeState(total, state, { tolerance: bad }),
    "toNpy's matrix": (bad) => toNpy(bad),
    "toNpy's data": (bad) => toNpy({ data: bad, shape: [1, 3] }),
    "toNpy's shape": (bad) => toNpy({ data: Float32Array.of(1, 2), shape: bad }),
    "fromNpy's bytes": (bad) => fromNpy(bad),
    "load's bytes": (bad) => DynamicAttention.load(bad),
    "load's options": async (bad) => await (await DynamicAttention.load(bytes, bad)).dispose(),
    "load's backend": async (bad) => await (await DynamicAttention.load(bytes, { backend: bad })).dispose(),
    "load's threads": async (bad) => await (await DynamicAttention.load(bytes, { threads: bad })).dispose(),
    "load's mask": async (bad) => await (await DynamicAttention.load(bytes, { mask: bad })).dispose(),
    "load's threshold": async (bad) =>
      await (await DynamicAttention.load(bytes, { lazyThreshold: bad })).dispose(),
  };
  for (const [name, call] of Object.entries(calls)) {
    let refused = 0;
    for (const [what, make] of MORE_VALUES) {
      const error = await outcome(() => call(as(make())));
      if (error === null) continue;
      refused++;
      assertInstanceOf(error, AttentionError, `${name}: ${what}: ${error instanceof Error && error.stack}`);
      assert(error.message.length < 700, `${name}: ${what}: ${error.message.length} characters`);
    }
    assert(refused > 20, `${name}: ${refused} refused`);
  }
  for (const [what, make] of MORE_VALUES) {
    const answer = make();
    await using live = await DynamicAttention.create({ ...GOOD, lazyThreshold: () => as<boolean>(answer) });
    assertEquals(live.insert([1, 1], [3]), 2, what);
    const error = await outcome(() => live.read());
    assertEquals(error === null, typeof answer === "boolean", what);
    if (error !== null) assertInstanceOf(error, AttentionError, what);
    assertEquals((await live.read()).data.length, 1, what);
  }
});
