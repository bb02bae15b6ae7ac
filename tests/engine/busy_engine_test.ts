// An engine that is busy: while it moves, is saved, rebuilt, flushed or disposed, every method answers as of its call, or is refused
// by type. A twin that is idle makes the same calls, one after the other.

import {
  AttentionError,
  type BackendName,
  DisposedError,
  DynamicAttention,
  type DynamicAttentionOptions,
  type RowId,
} from "../../mod.ts";
import { assertEquals, assertInstanceOf, assertLess } from "../../testing/assert.ts";
import { SlowBackend } from "../../testing/fake_backends.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { as } from "../../testing/bad_calls.ts";
import { Random } from "../../testing/random.ts";

type Engine = DynamicAttention<RowId, RowId>;

const D = 3;

function make(backend: BackendName): Promise<Engine> {
  const random = new Random(3);
  const options: DynamicAttentionOptions<RowId, RowId> = {
    ...{ query: random.rows(3, D), key: random.rows(6, D), value: random.rows(6, 2), backend },
    ...{ queryIds: ["x", "y", "z"], keyIds: ["a", "b", "c", "d", "e", "f"], causal: { offset: 5 } },
    ...{
      mask: { data: new Float32Array(8 * 16), shape: [8, 16] },
      editableMask: true,
      lazyThreshold: Infinity,
    },
  };
  // Its turns take some of the loop's, so that calls come between their parts.
  return createEngine(as(options), { wrap: (inner) => new SlowBackend(inner) }) as unknown as Promise<Engine>;
}

const ROW = [1, 2, 3], VALUE = [4, 5];

/** All methods, and what of their answers an idle engine answers alike. */
const METHODS: Readonly<Record<string, (live: Engine) => unknown>> = {
  setKey: (live) => live.setKey("a", ROW),
  setValue: (live) => live.setValue("b", VALUE),
  set: (live) => live.set("c", ROW, VALUE),
  addToKey: (live) => live.addToKey("a", 0, 1),
  addToValue: (live) => live.addToValue("a", 0, 1),
  insert: (live) => live.insert(ROW, VALUE, { id: "new" }),
  upsert: (live) => live.upsert("b", ROW, VALUE),
  delete: (live) => live.delete("d"),
  setQuery: (live) => live.setQuery("x", ROW),
  insertQuery: (live) => live.insertQuery(ROW, { id: "new" }),
  upsertQuery: (live) => live.upsertQuery("y", ROW),
  deleteQuery: (live) => live.deleteQuery("z"),
  setPosition: (live) => live.setPosition("a", 2.5),
  setQueryPosition: (live) => live.setQueryPosition("x", 0),
  shiftPositions: (live) => live.shiftPositions(1, { from: 2 }),
  setMask: (live) => live.setMask(-1, { keys: ["b", "c"] }),
  edit: (live) => live.edit([{ kind: "delete", slot: "a" }, { kind: "setValue", slot: "b", value: VALUE }]),
  getKey: (live) => live.getKey("a"),
  getValue: (live) => live.getValue("a"),
  getQuery: (live) => live.getQuery("x"),
  getPosition: (live) => live.getPosition("a"),
  getQueryPosition: (live) => live.getQueryPosition("x"),
  keySlots: (live) => live.keySlots(),
  querySlots: (live) => live.querySlots(),
  keyIds: (live) => live.keyIds(),
  queryIds: (live) => live.queryIds(),
  hasKey: (live) => live.hasKey("a"),
  hasQuery: (live) => live.hasQuery("x"),
  stats: (live) => live.stats().keyCount,
  read: async (live) => numbersOf((await live.read()).data),
  readEntry: async (live) => numbersOf([await live.readEntry("x", 1)]),
  peek: async (live) => {
    const [{ output, bounds }, { data }] = await Promise.all([live.peek(), live.read()]);
    return Array.from(bounds, (bound, i) => {
      const [first, second] = [2 * i, 2 * i + 1].map((at) => data[at] - output.data[at]);
      return Math.hypot(first, second) <= bound;
    });
  },
  follow: async (live) => {
    using followed = live.follow(["z", "x"]);
    await followed.refresh();
    return numbersOf(followed.data);
  },
  weights: async (live) => numbersOf(await live.weights("x")),
  weightsOf: async (live) => numbersOf((await live.weightsOf()).data),
  logSumExp: async (live) => numbersOf((await live.logSumExp()).data),
  topKeys: async (live) => (await live.topKeys("x", 2)).map(({ slot }) => slot),
  recommend: async (live) => (await live.recommend("x", 2)).map(({ slot }) => slot),
  attend: async (live) => numbersOf((await live.attend([ROW], { mask: () => true })).data),
  flush: (live) => live.flush(),
  rebuild: (live) => live.rebuild(),
  save: async (live) => {
    await using again = await DynamicAttention.load<RowId, RowId>(await live.save({ metadata: "m" }));
    return [again.keyIds(), again.metadata, numbersOf((await again.read()).data)];
  },
  moveTo: (live) => live.moveTo("array"),
};

/** Numbers that do not depend on which backend computed them. */
function numbersOf(numbers: ArrayLike<number>): number[] {
  return Array.from(numbers, (number) => Math.round(number * 2 ** 14) / 2 ** 14);
}

const BUSY: readonly (readonly [BackendName, what: string, keep: (live: Engine) => Promise<unknown>])[] = [
  ["array", "moves to wasm", (live) => live.moveTo("wasm")],
  ["wasm", "moves to and fro", (live) => Promise.all([live.moveTo("array"), live.moveTo("wasm")])],
  ["array", "is saved", (live) => live.save()],
  ["wasm", "is saved", (live) => live.save()],
  ["wasm", "is rebuilt", (live) => live.rebuild()],
  ["array", "is flushed and read", (live) => Promise.all([live.flush(), live.read(), live.peek()])],
];

Deno.test("the tests below know every method", () => {
  const members = Object.entries(Object.getOwnPropertyDescriptors(DynamicAttention.prototype));
  const methods = members.filter(([, { value }]) => typeof value === "function").map(([name]) => name);
  assertEquals(
    Object.keys(METHODS).sort(),
    // What an engine says of itself it says to the end.
    methods.filter((name) => !["constructor", "dispose", "toJSON"].includes(name)).sort(),
  );
});

for (const [backend, what, keep] of BUSY) {
  Deno.test(`an engine on ${backend} that ${what}: each call is as of the call`, async () => {
    for (const [name, call] of Object.entries(METHODS)) {
      await using idle = await make(backend);
      await using live = await make(backend);
      for (const engine of [idle, live]) engine.setKey("f", [3, 3, 3]);
      const expected = await call(idle);
      const busy = keep(live), answer = await call(live);
      assertClose(answer, expected, name);
      await busy;
      assertEquals(live.keyIds(), idle.keyIds(), name);
      assertEquals(live.sequence, idle.sequence, name);
      assertClose(numbersOf((await live.read()).data), numbersOf((await idle.read()).data), name);
    }
  });
}

for (const backend of ["array", "wasm"] as const) {
  Deno.test(`an engine on ${backend} that is being disposed refuses every call, and gives what was asked before`, async () => {
    for (const [name, call] of Object.entries(METHODS)) {
      const live = await make(backend);
      await using idle = await make(backend);
      for (const engine of [idle, live]) engine.setKey("f", [3, 3, 3]);
      const expected = await call(idle), asked = Promise.try(call, live), read = live.read();
      // `save` goes on to an engine of its own, and `follow` to a refresh.
      const disposed = live.dispose();
      const error = await Promise.try(call, live).then(() => "an answer", (reason) => reason);
      assertInstanceOf(error, DisposedError, name);
      assertEquals(error.operation, `DynamicAttention.${name}`);
      assertClose(await asked, expected, name);
      assertClose(numbersOf((await read).data), numbersOf((await idle.read()).data), name);
      await disposed;
      assertInstanceOf(await Promise.try(call, live).catch((reason) => reason), DisposedError, name);
    }
  });
}

/** Numbers may differ by what rounding to a grid does. */
function assertClose(actual: unknown, expected: unknown, what: string): void {
  if (!Array.isArray(actual) || !Array.isArray(expected)) return assertEquals(actual, expected, what);
  assertEquals(actual.length, expected.length, what);
  actual.forEach((entry, at) => {
    const other: unknown = expected[at];
    if (typeof entry !== "number" || typeof other !== "number") return assertClose(entry, other, what);
    assertLess(
      entry === other ? 0 : Math.abs(entry - other),
      2 ** -13,
      `${what}: ${entry}, expected ${other}`,
    );
  });
}

Deno.test("an engine that cannot move stays where it is and goes on", async () => {
  for (const [name, call] of Object.entries(METHODS)) {
    await using idle = await make("array");
    await using live = await make("array");
    const expected = await call(idle);
    const moved = live.moveTo(as("nowhere")).catch((reason) => reason);
    assertClose(await call(live), expected, name);
    assertInstanceOf(await moved, AttentionError);
    assertEquals(live.stats().backend, "array");
    assertClose(numbersOf((await live.read()).data), numbersOf((await idle.read()).data), name);
  }
});
