// Arguments whose code throws in the middle of a call, at each of its reads: the call throws what is typed and has not happened,
// or the argument is not read any more and it has.

import {
  attention,
  attentionState,
  DynamicAttention,
  mergeStates,
  type RowId,
  unmergeState,
} from "../../mod.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { failEachRead, refuseEachRead } from "../../testing/failing_reads.ts";
import { outcome } from "../../testing/hostile_values.ts";

type Engine = DynamicAttention<RowId, RowId>;

const ROW = [1, 2], VALUE = [3];
const OPTIONS = {
  query: [[1, 0], [0, 1]],
  key: [[1, 1], [0, 2], [2, 0]],
  value: [[1], [2], [3]],
  queryIds: ["x", "y"],
  keyIds: ["a", "b", "c"],
  scale: 0.5,
  softcap: 20,
  causal: { offset: 3 },
  mask: [[0, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 0]],
  editableMask: true,
  lazyThreshold: { relativeChange: 0.5 },
  flushPolicy: "error",
  positions: { key: [0, 1, 2], query: [0, 1] },
};

async function make(): Promise<Engine> {
  const { flushPolicy: _policy, positions: _positions, lazyThreshold: _threshold, ...options } = OPTIONS;
  return await DynamicAttention.create({ ...options, backend: "array", lazyThreshold: Infinity } as never);
}

/** A method of an engine and arguments that it takes. */
const METHODS: Readonly<Record<string, readonly unknown[]>> = {
  setKey: ["a", ROW],
  setValue: ["b", VALUE],
  set: ["c", ROW, VALUE],
  insert: [ROW, VALUE, { id: "new", position: 1.5 }],
  upsert: ["b", ROW, VALUE, { position: 2 }],
  setQuery: ["x", ROW],
  insertQuery: [ROW, { id: "new", position: 2 }],
  upsertQuery: ["y", ROW, { position: 2 }],
  shiftPositions: [1, { from: 1, to: 3 }],
  setMask: [-1, { queries: ["x"], keys: ["b", "c"] }],
  edit: [[
    { kind: "set", slot: "a", key: ROW, value: VALUE },
    { kind: "delete", slot: "b" },
    { kind: "insert", key: { indices: [0], values: [1] }, value: VALUE, id: "new" },
    { kind: "addToValue", slot: "c", column: 0, delta: 1 },
  ]],
  read: [["x"], { into: new Float32Array(1) }],
  peek: [["x", "y"], { into: new Float32Array(2), bounds: true }],
  follow: [["x"], { error: 0.1 }],
  weights: ["x", { head: 0 }],
  weightsOf: [["x"], { heads: [0] }],
  logSumExp: [["y"]],
  topKeys: ["x", 2, { head: 0 }],
  recommend: ["x", 2, { exclude: ["a"] }],
  attend: [[[1, 0]], { positions: [4], mask: [[0, -1, 0]] }],
  save: [{ metadata: { a: [1, { b: 2 }] } }],
  moveTo: ["wasm", { threads: 1 }],
};

for (const [name, args] of Object.entries(METHODS)) {
  Deno.test(`${name}: an argument that cannot be read at some moment leaves no half of the call`, async () => {
    await using before = await make();
    const saved = await before.save();
    await using done = await make();
    await call(done, name, args);
    const after = await done.save();
    const failures = await failEachRead(args, async (...given) => {
      const live = await make();
      const error = await outcome(() => call(live, name, given));
      const check = async () => {
        await using _ = live;
        assertEquals(await live.save(), error === null ? after : saved, `${name} left a half behind`);
      };
      return { error, check };
    });
    assert(failures > 0);
  });
}

/** Calls a method; what it returns that holds on to the engine is given back. */
async function call(live: Engine, name: string, args: readonly unknown[]): Promise<void> {
  const method = Reflect.get(live, name) as (...args: readonly unknown[]) => unknown;
  const answer = await Reflect.apply(method, live, args);
  if (name === "follow") (answer as Disposable)[Symbol.dispose]?.();
}

const STATE = await attentionState({ query: [[1, 0]], key: [[1, 1]], value: [[2]] });
/** Functions that keep nothing. */
const FUNCTIONS: Readonly<Record<string, readonly [call: (...args: never[]) => unknown, ...unknown[]]>> = {
  attention: [attention, {
    ...{ query: OPTIONS.query, key: OPTIONS.key, value: OPTIONS.value, scale: 0.5, softcap: 9 },
    ...{ causal: { offset: 1 }, mask: OPTIONS.mask },
  }],
  attentionState: [attentionState, { query: OPTIONS.query, key: OPTIONS.key, value: OPTIONS.value }],
  mergeStates: [mergeStates, [STATE, STATE]],
  unmergeState: [unmergeState, STATE, STATE],
  create: [async (options: never) => {
    await using _ = await DynamicAttention.create(options);
  }, await takenOptions()],
  load: [
    async (bytes: never, options: never) => {
      await using _ = await DynamicAttention.load(bytes, options);
    },
    await savedEngine(),
    { backend: "array", lazyThreshold: 3 },
  ],
};

async function takenOptions(): Promise<unknown> {
  const { flushPolicy: _policy, positions: _positions, ...options } = OPTIONS;
  return await Promise.resolve(options);
}

async function savedEngine(): Promise<Uint8Array> {
  await using live = await make();
  return await live.save();
}

for (const [name, [run, ...args]] of Object.entries(FUNCTIONS)) {
  Deno.test(`${name}: an argument that cannot be read at some moment is refused by type`, async () => {
    await refuseEachRead(run, args);
  });
}
