// Arguments may run code of the caller's: getters, proxies, functions of a mask or a threshold. Whatever that
// code does, a call has happened or it has not, and an answer is that of the rows as `getKey` and the like
// tell them.

import {
  type BackendName,
  DynamicAttention,
  type DynamicAttentionOptions,
  type Edit,
  IdError,
  InputError,
  ReentryError,
  type RowId,
  SlotError,
} from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { as, checkRefused, KEY, makeEngine, VALUE } from "../../testing/bad_calls.ts";

const OPTIONS = { query: [[1, 0]], key: [[1, 0], [0, 1], [1, 1]], value: [[1], [2], [3]] };

function make(
  backend: BackendName,
  options: Partial<DynamicAttentionOptions> = {},
): Promise<DynamicAttention> {
  return DynamicAttention.create({ ...OPTIONS, backend, ...options });
}

/** Compares what is answered with the attention of the rows that the engine tells. */
async function assertConsistent(live: DynamicAttention, backend: BackendName): Promise<void> {
  const keys = [...live.keySlots()], queries = [...live.querySlots()];
  const { headDim, valueDim } = live.stats();
  const { output } = referenceAttention({
    query: queries.map((slot) => live.getQuery(slot)),
    key: keys.map((slot) => live.getKey(slot)),
    value: keys.map((slot) => live.getValue(slot)),
    scale: 1 / Math.sqrt(headDim),
    valueDim,
  });
  const { data } = await live.read();
  output.flat().forEach((expected, at) => {
    assert(
      Math.abs(data[at] - expected) <= 1e-5 * Math.max(1, Math.abs(expected)),
      `${backend}: ${data[at]}, ${expected}`,
    );
  });
}

/** A row whose first number is read through `get`. */
function rowOf(numbers: readonly number[], get: () => void): number[] {
  const row = [...numbers];
  Object.defineProperty(row, 0, {
    get: () => {
      get();
      return numbers[0];
    },
  });
  return row;
}

for (const backend of BACKENDS) {
  Deno.test(`caller's code on ${backend}: what a row's getter edits has happened before the edit`, async () => {
    await using live = await make(backend);
    live.setKey(1, rowOf([5, 6], () => live.setKey(1, [9, 9])));
    assertEquals([...live.getKey(1)], [5, 6]);
    let inner = -1;
    const outer = live.insert(rowOf([2, 2], () => inner = live.insert([3, 3], [30])), [20]);
    assertEquals([inner, outer, ...live.getKey(inner), ...live.getKey(outer)], [3, 4, 3, 3, 2, 2]);
    live.setQuery(0, rowOf([1, 2], () => live.insertQuery([7, 7])));
    assertEquals([...live.querySlots()], [0, 1]);
    await assertConsistent(live, backend);
    // The slot that it is of is gone when its row has been read.
    assertThrows(
      () => live.setValue(2, rowOf([1], () => live.delete(2))),
      SlotError,
      "key slot 2 is not live",
    );
    assertEquals([...live.keySlots()], [0, 1, 3, 4]);
    assertThrows(() => live.insert([1, 1], rowOf([NaN], () => live.delete(0))), InputError, "value has NaN");
    assertEquals([...live.keySlots()], [1, 3, 4]);
    assertEquals(live.insert([4, 4], [44]), 0);
    await assertConsistent(live, backend);
  });

  Deno.test(`caller's code on ${backend}: a refused batch whose getters edit leaves slots and answers in agreement`, async () => {
    const bad: Edit = { kind: "setKey", slot: 99, key: [0, 0] };
    for (const touch of ["insert", "delete", "setKey", "edit", "insertQuery"] as const) {
      for (const lazyThreshold of [1, Infinity]) {
        await using live = await make(backend, { lazyThreshold });
        await using twin = await make(backend, { lazyThreshold });
        const act = (engine: DynamicAttention) => {
          if (touch === "insert") engine.insert([7, 7], [70]);
          if (touch === "delete") engine.delete(0);
          if (touch === "setKey") engine.setKey(0, [8, 8]);
          if (touch === "edit") {
            engine.edit([{ kind: "delete", slot: 0 }, { kind: "insert", key: [6, 6], value: [60] }]);
          }
          if (touch === "insertQuery") engine.insertQuery([6, 6]);
        };
        let calls = 0;
        const key = rowOf([2, 2], () => {
          calls++;
          act(live);
        });
        act(twin);
        const edits: Edit[] = [
          { kind: "insert", key: [4, 4], value: [40] },
          { kind: "delete", slot: 1 },
          { kind: "insert", key, value: [50] },
          bad,
        ];
        assertThrows(() => live.edit(edits), SlotError, "edit[3].setKey");
        assertEquals(calls, 1);
        assertEquals([...live.keySlots()], [...twin.keySlots()]);
        assertEquals(await live.read(), await twin.read());
        assertEquals(live.insert([1, 2], [3]), twin.insert([1, 2], [3]));
        assertEquals(await live.read(), await twin.read());
        await assertConsistent(live, backend);
      }
    }
  });

  Deno.test(`caller's code on ${backend}: after a threshold function throws the next answer rejects, and the edit is made`, async () => {
    let answer: () => unknown = () => false;
    await using live = await make(backend, { lazyThreshold: () => answer() as boolean });
    const boom = new RangeError("boom");
    answer = () => {
      throw boom;
    };
    assertEquals(live.insert([2, 2], [9]), 3);
    live.setValue(3, [10]);
    assertEquals(live.edit([{ kind: "delete", slot: 0 }]), [0]);
    answer = () => false;
    const error = await assertRejects(
      () => live.read(),
      InputError,
      "lazyThreshold: the function threw RangeError: boom",
    );
    assertEquals(error.cause, boom);
    await assertConsistent(live, backend);
    for (const odd of [undefined, 1, "true", null, Promise.resolve(true)]) {
      answer = () => odd;
      live.setValue(1, [live.getValue(1)[0] + 1]);
      answer = () => false;
      await assertRejects(() => live.logSumExp(), InputError, "lazyThreshold: answer is ");
      await live.read();
    }
    // A peek asks before it answers, and tells at once.
    answer = () => {
      throw boom;
    };
    live.setValue(1, [live.getValue(1)[0] + 1]);
    await assertRejects(() => live.peek(), InputError, "boom");
    await assertRejects(() => live.peek(), InputError, "boom");
    answer = () => true;
    const { pending } = await live.peek();
    assertEquals(pending, 0);
    await assertConsistent(live, backend);
  });

  Deno.test(`caller's code on ${backend}: a threshold or mask that calls its engine is refused, and may look`, async () => {
    let act: (live: DynamicAttention) => unknown = () => undefined;
    let live: DynamicAttention | null = null;
    const seen: unknown[] = [];
    const call = () => {
      if (!live) return;
      try {
        const answer = act(live);
        if (answer instanceof Promise) answer.catch((error) => seen.push(error));
      } catch (error) {
        seen.push(error);
      }
    };
    const options: Partial<DynamicAttentionOptions>[] = [
      { lazyThreshold: () => (call(), false) },
      { mask: () => (call(), 0) },
    ];
    const acts: Readonly<Record<string, (engine: DynamicAttention) => unknown>> = {
      setKey: (engine) => engine.setKey(0, [1, 1]),
      insert: (engine) => engine.insert([1, 1], [1]),
      delete: (engine) => engine.delete(0),
      insertQuery: (engine) => engine.insertQuery([1, 1]),
      edit: (engine) => engine.edit([]),
      read: (engine) => engine.read(),
      readEntry: (engine) => engine.readEntry(0, 0),
      peek: (engine) => engine.peek(),
      weights: (engine) => engine.weights(0),
      topKeys: (engine) => engine.topKeys(0, 1),
      logSumExp: (engine) => engine.logSumExp(),
      attend: (engine) => engine.attend([[1, 1]]),
      flush: (engine) => engine.flush(),
      rebuild: (engine) => engine.rebuild(),
      save: (engine) => engine.save(),
      moveTo: (engine) => engine.moveTo("array"),
    };
    for (const [at, option] of options.entries()) {
      const callback = at === 0 ? "lazyThreshold" : "mask";
      for (const [name, one] of Object.entries(acts)) {
        live = null;
        await using engine = await make(backend, option);
        live = engine;
        act = one;
        seen.length = 0;
        engine.setKey(1, [3, 3]);
        await engine.read();
        await Promise.resolve();
        act = () => undefined;
        assert(seen.length > 0, `${callback} calls ${name}`);
        for (const error of seen) {
          assertInstanceOf(error, ReentryError, `${callback} calls ${name}: ${error}`);
          assertEquals([error.operation, error.callback], [`DynamicAttention.${name}`, callback]);
        }
        await assertConsistent(engine, backend);
        assertEquals([...engine.keySlots()], [0, 1, 2]);
      }
      live = null;
      await using engine = await make(backend, option);
      live = engine;
      seen.length = 0;
      act = (engine) => {
        engine.getKey(0), engine.getValue(0), engine.getQuery(0), engine.keySlots(), engine.querySlots();
        seen.push(engine.stats().keyCount);
      };
      engine.setKey(1, [3, 3]);
      await engine.read();
      assert(seen.length > 0 && seen.every((count) => count === 3), `${seen}`);
    }
  });
}

for (const backend of BACKENDS) {
  Deno.test(`caller's code on ${backend}: a mask of passing queries may look at its engine, not edit or ask it`, async () => {
    await using live = await make(backend, { mask: () => 0 });
    await using twin = await make(backend, { mask: () => 0 });
    const acts: Readonly<Record<string, () => unknown>> = {
      insert: () => live.insert([1, 1], [100]),
      upsert: () => live.upsert(as("a"), [1, 1], [1]),
      delete: () => live.delete(2),
      setKey: () => live.setKey(2, [1, 1]),
      setMask: () => live.setMask(false),
      edit: () => live.edit([{ kind: "delete", slot: 2 }]),
      shiftPositions: () => live.shiftPositions(1),
      read: () => live.read(),
      attend: () => live.attend([[1, 1]], { mask: () => true }),
      follow: () => live.follow(),
      save: () => live.save(),
      flush: () => live.flush(),
      moveTo: () => live.moveTo("array"),
    };
    const expected = await twin.attend([[1, 1], [2, 0]], { mask: () => true });
    for (const [name, act] of Object.entries(acts)) {
      const seen: unknown[] = [];
      const mask = () => {
        try {
          const answer = act();
          seen.push(answer instanceof Promise ? answer.catch((error) => error) : answer);
        } catch (error) {
          seen.push(error);
        }
        return live.getValue(2)[0] === 3;
      };
      assertEquals(await live.attend([[1, 1], [2, 0]], { mask }), expected);
      assertEquals(seen.length, 6);
      for (const error of await Promise.all(seen)) {
        assertInstanceOf(error, ReentryError, `${name}: ${error}`);
        assertEquals([error.operation, error.callback], [`DynamicAttention.${name}`, "mask"]);
      }
    }
    const failed = await assertRejects(
      () => live.attend([[1, 1]], { mask: as(acts.insert) }),
      InputError,
      "mask(0, 0, 0): the function threw ReentryError",
    );
    assertInstanceOf(failed.cause, ReentryError);
    assertEquals([...live.keySlots()], [0, 1, 2]);
    // The engine takes edits again, also when the function has thrown.
    assertEquals(live.insert([1, 1], [4]), twin.insert([1, 1], [4]));
    assertEquals(await live.read(), await twin.read());
  });
}

Deno.test("a threshold that edits its engine, and lets what is thrown pass, makes one edit", async () => {
  await using live: DynamicAttention = await DynamicAttention.create({
    ...OPTIONS,
    lazyThreshold: () => {
      live.insert([5, 5], [5]);
      return false;
    },
  });
  assertEquals(live.insert([1, 1], [1]), 3);
  assertEquals(live.stats().keyCount, 4);
  const error = await assertRejects(
    () => live.read(),
    InputError,
    "the function threw ReentryError: DynamicAttention.insert",
  );
  assertInstanceOf(error.cause, ReentryError);
  await assertConsistent(live, "auto");
});

Deno.test("what getters throw comes as an InputError with its cause, and nothing has changed", async (t) => {
  const boom = new Error("boom");
  const throwing = <T>(): T =>
    new Proxy({}, {
      get() {
        throw boom;
      },
      has() {
        throw boom;
      },
      ownKeys() {
        throw boom;
      },
    }) as T;
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  const calls: Readonly<Record<string, (live: DynamicAttention, bad: unknown) => unknown>> = {
    setKey: (live, bad) => live.setKey(0, as(bad)),
    setValue: (live, bad) => live.setValue(0, as(bad)),
    set: (live, bad) => live.set(0, KEY, as(bad)),
    insert: (live, bad) => live.insert(KEY, as(bad)),
    "insert's options": (live, bad) => live.insert(KEY, VALUE, as(bad)),
    insertQuery: (live, bad) => live.insertQuery(as(bad)),
    "insertQuery's options": (live, bad) => live.insertQuery(KEY, as(bad)),
    edit: (live, bad) => live.edit(as(bad)),
    "an edit": (live, bad) => live.edit([{ kind: "delete", slot: 0 }, as(bad)]),
    "an edit's row": (live, bad) => live.edit([{ kind: "insert", key: as(bad), value: VALUE }]),
    read: (live, bad) => live.read(as(bad)),
    peek: (live, bad) => live.peek(as(bad)),
    "peek's options": (live, bad) => live.peek([0], as(bad)),
    logSumExp: (live, bad) => live.logSumExp(as(bad)),
    "weights' options": (live, bad) => live.weights(0, as(bad)),
    "topKeys' options": (live, bad) => live.topKeys(0, 1, as(bad)),
    attend: (live, bad) => live.attend(as(bad)),
    "attend's options": (live, bad) => live.attend([KEY], as(bad)),
    "moveTo's options": (live, bad) => live.moveTo("array", as(bad)),
  };
  for (const [name, call] of Object.entries(calls)) {
    await t.step(
      `${name}: throws`,
      () => checkRefused((live) => call(live, throwing()), InputError, "Error: boom"),
    );
    await t.step(
      `${name}: a revoked proxy`,
      () => checkRefused((live) => call(live, revoked), InputError, ""),
    );
  }
  for (
    const name of ["query", "key", "value", "mask", "queryPositions", "window", "causal", "lazyThreshold"]
  ) {
    await t.step(`create's ${name}`, async () => {
      const options = as<DynamicAttentionOptions>({ ...OPTIONS, [name]: throwing() });
      await assertRejects(() => DynamicAttention.create(options), InputError);
    });
  }
});

Deno.test("an option is read once: what was checked is what is used", async () => {
  const reads: string[] = [];
  /** Gives a good value the first time, and a bad one from then on. */
  const once = (values: Record<string, unknown>): object => {
    const options = {};
    for (const [name, value] of Object.entries(values)) {
      let count = 0;
      const get = () => {
        reads.push(name);
        return count++ === 0 ? value : NaN;
      };
      Object.defineProperty(options, name, { enumerable: true, get });
    }
    return options;
  };
  const options = {
    ...OPTIONS,
    heads: 1,
    kvHeads: 1,
    scale: 0.5,
    softcap: 2,
    window: [3, 4],
    queryPositions: [1],
    keyPositions: [1, 2, 3],
    mask: { data: new Array(9).fill(0), shape: [1, 9] },
    backend: "array",
    threads: 1,
    onThreshold: "patch",
    tolerance: 1e-7,
  };
  const watched = Object.assign(
    once({ ...options, causal: once({ offset: 1 }), lazyThreshold: once({ edits: 3, error: 2, ageMs: 9 }) }),
  );
  await using live = await DynamicAttention.create(as<DynamicAttentionOptions>(watched));
  await using twin = await DynamicAttention.create(as<DynamicAttentionOptions>({
    ...options,
    causal: { offset: 1 },
    lazyThreshold: { edits: 3, error: 2, ageMs: 9 },
  }));
  assertEquals(reads.toSorted(), [...new Set(reads)].toSorted());
  assertEquals(await live.save(), await twin.save());
  assertEquals(live.insert([1, 1], [5], as(once({ position: 7 }))), 3);
  assertEquals(live.edit([as(once({ kind: "insert", key: [1, 1], value: [5], position: 8 }))]), [4]);
  twin.insert([1, 1], [5], { position: 7 });
  twin.insert([1, 1], [5], { position: 8 });
  assertEquals(await live.weights(0, as(once({ head: 0 }))), await twin.weights(0, { head: 0 }));
  assertEquals(await live.save(), await twin.save());
});

Deno.test("an engine that is disposed while its arguments are read is not edited any more", async () => {
  const live = await makeEngine();
  let disposal: Promise<void> | null = null;
  const key = rowOf(KEY, () => disposal = live.dispose());
  assertThrows(() => live.setKey(0, key), Error, "the engine is disposed");
  await disposal;
});

Deno.test("a list that edits while it is read as rows leaves an answer of rows that are there", async () => {
  await using live = await makeEngine();
  await using twin = await makeEngine();
  const rows = rowOf([0, 1], () => live.deleteQuery(1));
  await assertRejects(() => live.read(rows), SlotError, "query slot 1 is not live");
  twin.deleteQuery(1);
  const more = rowOf([1, 0], () => live.insertQuery(KEY));
  twin.insertQuery(KEY);
  const first = await live.read(more).catch((error) => error);
  assertEquals(first, await twin.read([1, 0]));
  assertEquals(await live.read(), await twin.read());
  // One that was read already is gone when the next one has been.
  const late = [0, 1];
  Object.defineProperty(late, 1, { get: () => (live.deleteQuery(0), 1) });
  await assertRejects(() => live.read(late), SlotError, "query slot 0 is not live");
  twin.deleteQuery(0);
  assertEquals(await live.read(), await twin.read());
});

Deno.test("a block of the mask is of the rows that are there when all of it has been read", async () => {
  const options = { ...OPTIONS, mask: { data: new Float32Array(32), shape: [4, 8] as const } };
  for (const backend of BACKENDS) {
    await using live = await DynamicAttention.create({ ...options, backend, editableMask: true });
    const query = live.insertQuery([2, 2]), key = live.insert([5, 5], [50]);
    const gone: readonly (readonly [() => unknown, () => void])[] = [
      [
        () =>
          live.setMask([rowOf([0, 0], () => live.deleteQuery(query))], { queries: [query], keys: [0, 1] }),
        () => live.insertQuery([2, 2]),
      ],
      [
        () => live.setMask([rowOf([0], () => live.delete(key))], { queries: [0], keys: [key] }),
        () => live.insert([5, 5], [50]),
      ],
      [
        () => live.setMask(0, { queries: [query], keys: rowOf([0], () => live.deleteQuery(query)) }),
        () => live.insertQuery([2, 2]),
      ],
    ];
    for (const [call, again] of gone) {
      assertThrows(call, SlotError, "is not live");
      await assertConsistent(live, backend);
      again();
      await assertConsistent(live, backend);
    }
    // All rows are those that are live then.
    assertThrows(() => live.setMask([rowOf([0, 0, 0, 0], () => live.delete(key)), [0, 0, 0, 0]]), InputError);
    live.setMask([rowOf([0, 0, 0, 0], () => live.insert([5, 5], [50])), [0, 0, 0, 0]]);
    await assertConsistent(live, backend);
  }
});

Deno.test("passing queries are over the keys that are there when all has been read, and behind the queries then", async () => {
  for (const backend of BACKENDS) {
    const options = { ...OPTIONS, causal: true, queryPositions: [0] };
    await using live = await make(backend, options);
    await using twin = await make(backend, options);
    const act = (engine: DynamicAttention) => {
      engine.insert([2, 2], [50], { position: 0 });
      engine.insertQuery([1, 1], { position: 1 });
    };
    act(twin);
    const mask = [[0, 1, 0, 2, 0], [1, 0, 0, 0, 0]], rows = [[1, 1], [2, 0]];
    const expected = await twin.attend(rows, { mask });
    assertEquals(await live.attend(rows, { mask: [rowOf(mask[0], () => act(live)), mask[1]] }), expected);
    assertEquals([...live.keySlots()], [0, 1, 2, 3]);
    // A mask that does not cover what has come is refused.
    await assertRejects(
      () => live.attend([[1, 1]], { mask: [rowOf([0, 0, 0, 0], () => live.insert([1, 1], [1]))] }),
      InputError,
      "mask is 1 × 4, expected 1 × 5",
    );
  }
});

Deno.test("an id that goes while a list is read names no row that takes its slot", async () => {
  await using live = await DynamicAttention.create({
    ...{ query: [[1], [2]], queryIds: ["a", "b"], key: [[1], [2]], keyIds: ["x", "y"], value: [[1], [3]] },
    ...{ mask: { data: new Float32Array(16), shape: [4, 4] as const }, editableMask: true },
  });
  const queries = ["a", "b"], keys = ["x", "y"];
  Object.defineProperty(queries, 1, {
    get:
      () => (live.edit([{ kind: "deleteQuery", slot: "a" }, { kind: "insertQuery", query: [7], id: "c" }]),
        "b"),
  });
  await assertRejects(() => live.read(queries), IdError, 'query "a" is not there');
  assertEquals(live.queryIds(), ["c", "b"]);
  Object.defineProperty(keys, 1, {
    get:
      () => (live.edit([{ kind: "delete", slot: "x" }, { kind: "insert", key: [7], value: [9], id: "z" }]),
        "y"),
  });
  assertThrows(() => live.setMask(false, { keys }), IdError, 'key "x" is not there');
  assertEquals([live.keyIds(), live.sequence], [["z", "y"], 4]);
});

for (const hasIds of [false, true]) {
  Deno.test(`words about what is given for a name run no code within an edit, ${hasIds ? "ids" : "slots"}`, async () => {
    const names = hasIds ? { keyIds: ["a", "b", "c"], queryIds: ["q"] } : {};
    for (const backend of BACKENDS) {
      await using live = await DynamicAttention.create<RowId, RowId>({ ...OPTIONS, ...names, backend });
      let edits = 0;
      const act = () => {
        edits++;
        live.insert([5, 5], [50], hasIds ? { id: `new ${edits}` } : {});
      };
      const strangers: readonly Record<PropertyKey, unknown>[] = [
        Object.defineProperty({}, "constructor", { get: act }),
        { toString: () => (act(), "a"), valueOf: () => (act(), 0), [Symbol.toPrimitive]: () => (act(), "a") },
        as(new Proxy([], { get: (list, name) => (act(), Reflect.get(list, name)) })),
      ];
      const [first, query] = hasIds ? ["a", "q"] : [0, 0];
      for (const stranger of strangers) {
        const name = as<RowId>(stranger);
        const last: readonly Edit<RowId, RowId>[] = [
          { kind: "setKey", slot: name, key: [1, 1] },
          { kind: "delete", slot: name },
          { kind: "deleteQuery", slot: name },
          { kind: "setQueryPosition", slot: name, position: 1 },
          { kind: "insert", key: [1, 1], value: [1], id: name },
          { kind: "upsert", key: [1, 1], value: [1], id: name },
          { kind: "insertQuery", query: [1, 1], id: name },
          { kind: "upsertQuery", query: [1, 1], id: name },
        ];
        for (const edit of last) {
          const before = live.keyIds().length, earlier = edits;
          const batch: Edit<RowId, RowId>[] = [
            { kind: "insert", key: [2, 2], value: [20], ...(hasIds ? { id: "fresh" } : {}) },
            { kind: "delete", slot: first },
            { kind: "setQuery", slot: query, query: [3, 3] },
            edit,
          ];
          assertThrows(() => live.edit(batch), InputError, `edit[3].${edit.kind}`);
          assertEquals(
            live.keyIds().length,
            before + edits - earlier,
            "none of the batch, all of the caller's",
          );
          assertEquals(live.keyIds()[0], first);
        }
        assertThrows(() => live.getKey(name), InputError);
        assertThrows(() => live.getPosition(name), InputError);
        assertEquals(live.hasKey(name), false);
        await assertRejects(() => live.read([name]), InputError);
        await assertRejects(() => live.recommend(query, 1, { exclude: [name] }), InputError);
      }
      const slots = [...live.keySlots()], keys = live.keyIds();
      assertEquals(slots.length, keys.length);
      const { output } = referenceAttention({
        query: [live.getQuery(query)],
        key: keys.map((key) => live.getKey(key)),
        value: keys.map((key) => live.getValue(key)),
        ...{ scale: 1 / Math.sqrt(2), valueDim: 1 },
      });
      assertAlmostEquals((await live.read()).data[0], output[0][0], 1e-4);
    }
  });
}

Deno.test("a typed array is what it is, whatever its owner has put in the place of its length and buffer", async () => {
  await using live = await DynamicAttention.create({ ...OPTIONS, query: [[1, 0], [0, 1]] });
  const dressed = <T extends Float32Array | Uint8Array>(array: T, dress: PropertyDescriptorMap): T =>
    Object.defineProperties(array, dress);
  const fails = {
    get() {
      throw new Error("the caller's own");
    },
  };
  const long = { length: { value: 2 } };
  const expected = await live.read();
  for (const dress of [{ buffer: fails }, { length: fails }, { byteLength: fails, constructor: fails }]) {
    const { data } = await live.read([0, 1], { into: dressed(new Float32Array(2), dress) });
    assertEquals([...data], [...expected.data]);
    const bytes = dressed(await live.save(), dress);
    await using again = await DynamicAttention.load(bytes);
    assertEquals(await again.read(), expected);
    live.setKey(0, dressed(Float32Array.of(1, 0), dress));
    assertEquals(await live.read(), expected);
  }
  await assertRejects(() => live.read([0, 1], { into: dressed(new Float32Array(1), long) }), InputError);
  assertThrows(() => live.setKey(0, dressed(Float32Array.of(1), long)), InputError, "key has 1 numbers");
  // A view that its buffer has no room for any more.
  const buffer = new ArrayBuffer(64, { maxByteLength: 64 });
  const cut = new Uint8Array(buffer, 16, 32);
  buffer.resize(8);
  await assertRejects(() => DynamicAttention.load(cut), InputError);
});

Deno.test("an answer whose array is taken away meanwhile is refused by the name of its call, and the next one comes", async () => {
  for (const backend of BACKENDS) {
    await using live = await DynamicAttention.create({ ...OPTIONS, query: [[1, 0], [0, 1]], backend });
    for (const name of ["read", "peek"] as const) {
      const into = new Float32Array(2), asked = live[name]([0, 1], { into });
      structuredClone(into.buffer, { transfer: [into.buffer] });
      const error = await assertRejects(
        () => asked,
        InputError,
        `${name}: into has 0 numbers by now, expected 2, as when`,
      );
      assertEquals(error.operation, `DynamicAttention.${name}`);
      live.setValue(0, [live.getValue(0)[0] + 1]);
      await assertConsistent(live, backend);
    }
  }
});

Deno.test("rows that are followed are written where there is room, and the caller's slots are a copy", async () => {
  for (const backend of BACKENDS) {
    await using live = await DynamicAttention.create({ ...OPTIONS, query: [[1, 0], [0, 1]], backend });
    for (const name of ["data", "bounds"] as const) {
      using followed = live.follow();
      await followed.refresh();
      structuredClone(followed[name].buffer, { transfer: [followed[name].buffer] });
      live.setValue(0, [live.getValue(0)[0] + 1]);
      const found = `refresh: ${name} has 0 numbers by now, expected 2, as at first`;
      await assertRejects(() => followed.refresh(), InputError, found);
      using other = live.follow();
      const asked = other.refresh();
      structuredClone(other[name].buffer, { transfer: [other[name].buffer] });
      await assertRejects(() => asked, InputError, found);
    }
    using followed = live.follow();
    followed.slots.fill(99);
    assertEquals([...await followed.refresh()], [0, 1]);
    assertEquals(followed.data, (await live.read()).data);
  }
});

Deno.test("−0 is slot 0, head 0, column 0 and position 0", async () => {
  const options = { ...OPTIONS, causal: true, keyPositions: [0, 1, 2], queryPositions: [5] };
  await using live = await DynamicAttention.create({
    ...options,
    window: [-0, Infinity],
    keyPositions: [-0, 1, 2],
  });
  await using twin = await DynamicAttention.create({ ...options, window: [0, Infinity] });
  const act = (engine: DynamicAttention, zero: number) => {
    engine.setKey(zero, [3, 4]);
    engine.addToKey(zero, zero, 0.5);
    return [
      ...engine.edit([{ kind: "delete", slot: zero }]),
      engine.insert([1, 1], [7], { position: zero }),
      engine.insertQuery([2, 1], { position: zero }),
    ];
  };
  const slots = act(live, -0);
  assertEquals(slots, act(twin, 0));
  assert(slots.every((slot) => !Object.is(slot, -0)), `${slots}`);
  assertEquals(await live.weights(-0, { head: -0 }), await twin.weights(0));
  assertEquals(await live.readEntry(-0, -0), await twin.readEntry(0, 0));
  assertEquals(await live.save(), await twin.save());
  await using still = await DynamicAttention.create({
    ...options,
    keyPositions: [-0, 1, 2],
    queryPositions: [-0],
  });
  await using plain = await DynamicAttention.create({ ...options, queryPositions: [0] });
  assertEquals(await still.save(), await plain.save());
  const { heads, queries } = await live.weightsOf([-0], { heads: [-0] });
  assertEquals([Object.is(heads[0], 0), Object.is(queries[0], 0)], [true, true]);
  await using named = await DynamicAttention.create({ ...OPTIONS, keyIds: [-0, 1, 2], queryIds: [-0] });
  named.delete(2);
  named.insert([1, 1], [7], { id: -7 });
  named.delete(0);
  assertEquals([named.insert([1, 1], [7], { id: -0 }), named.keyIds(), named.queryIds()], [0, [0, 1, -7], [
    0,
  ]]);
});
