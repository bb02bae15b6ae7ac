// Every method by which an engine is edited is in the journal: opened anew, a durable engine is the one that a plain engine is
// after the same calls. The methods are read off the class, so one that is new has to be put in one of the two lists here.

import { DynamicAttention, type DynamicAttentionOptions, type Edit, type RowId } from "../../mod.ts";
import { DurabilityError, DurableAttention, openDurable } from "../../src/durable/mod.ts";
import { assert, assertEquals, assertGreater, assertRejects, assertThrows } from "../../testing/assert.ts";
import { contentOf } from "../../testing/durable/engine_content.ts";
import { inFolder } from "../../testing/durable/in_folder.ts";

/** What only looks, or is about where and when is computed. */
const LOOKING: readonly PropertyKey[] = [
  ...[
    "constructor",
    "getPosition",
    "getQueryPosition",
    "getKey",
    "getValue",
    "getQuery",
    "keySlots",
    "querySlots",
  ],
  ...[
    "keyIds",
    "queryIds",
    "hasKey",
    "hasQuery",
    "read",
    "readEntry",
    "peek",
    "follow",
    "weights",
    "weightsOf",
  ],
  ...[
    "logSumExp",
    "topKeys",
    "recommend",
    "attend",
    "flush",
    "rebuild",
    "metadata",
    "sequence",
    "moveTo",
    "stats",
  ],
  ...["dispose", "toJSON", Symbol.asyncDispose, Symbol.for("Deno.customInspect")],
  ...[Symbol.for("nodejs.util.inspect.custom"), Symbol.for("Jupyter.display")],
];

type Engine = Pick<
  DynamicAttention<RowId, RowId>,
  | ("setKey" | "setValue" | "set" | "addToKey" | "addToValue" | "insert" | "upsert" | "delete" | "setQuery")
  | ("insertQuery" | "upsertQuery" | "deleteQuery" | "setPosition" | "setQueryPosition" | "setMask")
  | ("shiftPositions" | "save" | "keyIds" | "queryIds" | "read" | "sequence" | "metadata")
>;

/** What rows are called. */
interface Names {
  readonly key: (at: number) => RowId;
  readonly query: (at: number) => RowId;
  /** The id of a row that comes; undefined where the engine gives it. */
  readonly newKey: RowId | undefined;
  readonly newQuery: RowId | undefined;
}

interface Kind {
  readonly name: string;
  readonly options: Partial<DynamicAttentionOptions<RowId, RowId>>;
  readonly names: Names;
}

const slotNames = {
  key: (at: number) => at,
  query: (at: number) => at,
  newKey: undefined,
  newQuery: undefined,
};
const KINDS: readonly Kind[] = [
  { name: "by slots", options: {}, names: slotNames },
  { name: 'by "auto" ids', options: { keyIds: "auto", queryIds: "auto" }, names: slotNames },
  {
    name: "by ids",
    options: { keyIds: ["a", -1.5, "\ud800"], queryIds: [1n, "1"] },
    names: {
      key: (at) => ["a", -1.5, "\ud800"][at],
      query: (at) => [1n, "1"][at],
      newKey: -(2n ** 70n),
      newQuery: "née",
    },
  },
  { name: "as int8", options: { storage: "int8" }, names: slotNames },
];

const KEY = [0.3, -0], VALUE = [7], QUERY = [2, 1 / 3];

/** Each method, as it is called; undefined where an engine of this kind has no such call. */
const CALLS: Readonly<Record<string, (live: Engine, names: Names) => unknown>> = {
  setKey: (live, { key }) => live.setKey(key(0), KEY),
  setValue: (live, { key }) => live.setValue(key(1), VALUE),
  set: (live, { key }) => live.set(key(2), KEY, VALUE),
  addToKey: (live, { key }) => live.addToKey(key(0), 1, 0.1),
  addToValue: (live, { key }) => live.addToValue(key(0), 0, 1e-9),
  insert: (live, { newKey }) => {
    return live.insert(KEY, VALUE, { position: 1.5, ...(newKey === undefined ? {} : { id: newKey }) });
  },
  delete: (live, { key }) => live.delete(key(1)),
  setQuery: (live, { query }) => live.setQuery(query(1), QUERY),
  insertQuery: (live, { newQuery }) =>
    live.insertQuery(QUERY, newQuery === undefined ? {} : { id: newQuery }),
  deleteQuery: (live, { query }) => live.deleteQuery(query(0)),
  setPosition: (live, { key }) => live.setPosition(key(0), 12.5),
  setQueryPosition: (live, { query }) => live.setQueryPosition(query(1), 99),
  shiftPositions: (live) => live.shiftPositions(3, { from: 1 }),
  setMask: (live, { key, query }) =>
    live.setMask([[-Infinity, 0.5]], { queries: [query(1)], keys: [key(2), key(0)] }),
  save: async (live) => {
    await live.save({ metadata: { model: "né\ud800", layers: [1, null] } });
  },
  upsert: (live, { newKey }) => {
    if (newKey === undefined) return;
    live.upsert("a", KEY, VALUE, { position: 4 });
    live.upsert(newKey, VALUE.concat(KEY[0]), VALUE);
  },
  upsertQuery: (live, { newQuery }) => {
    if (newQuery === undefined) return;
    live.upsertQuery(1n, QUERY);
    live.upsertQuery(newQuery, QUERY, { position: 2 });
  },
};

/** Each kind of an edit as data. */
const EDITS: Readonly<Record<Edit["kind"], (names: Names) => Edit<RowId, RowId> | null>> = {
  setKey: ({ key }) => ({ kind: "setKey", slot: key(0), key: KEY }),
  setValue: ({ key }) => ({ kind: "setValue", slot: key(1), value: VALUE }),
  set: ({ key }) => ({ kind: "set", slot: key(2), key: KEY, value: VALUE }),
  addToKey: ({ key }) => ({ kind: "addToKey", slot: key(0), column: 1, delta: 0.1 }),
  addToValue: ({ key }) => ({ kind: "addToValue", slot: key(0), column: 0, delta: 1e-9 }),
  insert: ({ newKey }) => ({
    kind: "insert",
    key: KEY,
    value: VALUE,
    ...(newKey === undefined ? {} : { id: newKey }),
  }),
  upsert: ({ newKey }) => newKey === undefined ? null : { kind: "upsert", id: "a", key: KEY, value: VALUE },
  setPosition: ({ key }) => ({ kind: "setPosition", slot: key(0), position: 12.5 }),
  delete: ({ key }) => ({ kind: "delete", slot: key(1) }),
  setQuery: ({ query }) => ({ kind: "setQuery", slot: query(1), query: QUERY }),
  insertQuery: ({ newQuery }) => ({
    kind: "insertQuery",
    query: QUERY,
    ...(newQuery === undefined ? {} : { id: newQuery }),
  }),
  upsertQuery: ({ newQuery }) =>
    newQuery === undefined ? null : { kind: "upsertQuery", id: 1n, query: QUERY },
  setQueryPosition: ({ query }) => ({ kind: "setQueryPosition", slot: query(1), position: 99 }),
  deleteQuery: ({ query }) => ({ kind: "deleteQuery", slot: query(0) }),
};

function optionsOf({ options }: Kind): DynamicAttentionOptions<RowId, RowId> {
  const mask = { data: new Float32Array(4 * 5).map((_, at) => at / 8), shape: [4, 5] as const };
  return {
    query: [[1, 0], [0, 1]],
    key: [[1, 0], [0, 1], [1, 1]],
    value: [[10], [20], [30]],
    causal: { offset: 3 },
    queryPositions: [4, 5],
    mask,
    editableMask: true,
    backend: "array",
    ...options,
  };
}

Deno.test("each method of an engine only looks, or is called here as an edit", () => {
  const methods = Reflect.ownKeys(DynamicAttention.prototype);
  const known = [...LOOKING, ...Object.keys(CALLS), "edit"] as (string | symbol)[];
  assertEquals(methods.filter((name) => !known.includes(name)), [], "neither of both");
  assertEquals(known.filter((name) => !methods.includes(name)), [], "no method");
  assertEquals(methods.filter((name) => !Reflect.has(DurableAttention.prototype, name)), []);
});

for (const kind of KINDS) {
  const create = optionsOf(kind);
  for (const [name, call] of Object.entries(CALLS)) {
    Deno.test(`${name} ${kind.name} is in the journal, before and after a snapshot`, async () => {
      await inFolder(async (folder) => {
        await using plain = await DynamicAttention.create<RowId, RowId>(create);
        const expected = await call(plain, kind.names);
        const content = await contentOf(plain);
        {
          await using live = await openDurable<RowId, RowId>(folder, { create });
          const { sequence } = live.stats().durable;
          assertEquals(await call(live, kind.names), expected);
          const after = await live.committed(),
            isCalled = !name.startsWith("upsert") || kind.name === "by ids";
          if (isCalled) assertGreater(after, sequence, "the journal has it");
          assertEquals(await contentOf(live), content);
        }
        for (const isCompact of [false, true]) {
          await using live = await openDurable<RowId, RowId>(folder, { create });
          assertEquals(await contentOf(live), content, isCompact ? "of a snapshot" : "of records");
          if (!isCompact) await live.snapshot();
          assertEquals((await live.verify({ deep: true })).problems, []);
          assertEquals((await live.read()).data.length, (await plain.read()).data.length);
        }
        await using look = await openDurable<RowId, RowId>(folder, {
          readOnly: true,
          load: { backend: "array" },
        });
        assertEquals(await contentOf(look), content);
      });
    });
  }

  Deno.test(`each kind of an edit ${kind.name} comes back, and its answer does`, async () => {
    for (const edit of Object.values(EDITS)) {
      const given = edit(kind.names);
      if (!given) continue;
      await inFolder(async (folder) => {
        await using plain = await DynamicAttention.create<RowId, RowId>(create);
        const slots = plain.edit([given]), content = await contentOf(plain);
        const answer = { slots, sequence: 1 };
        {
          await using live = await openDurable<RowId, RowId>(folder, { create, client: "a" });
          assertEquals(await live.edit([given], { clientSequence: 1 }), answer);
        }
        for (let opening = 0; opening < 2; opening++) {
          await using live = await openDurable<RowId, RowId>(folder, { create, client: "a" });
          assertEquals(await live.edit([given], { clientSequence: 1 }), answer, given.kind);
          assertEquals(await contentOf(live), content, given.kind);
          await live.snapshot();
        }
      });
    }
  });

  Deno.test(`a folder that is looked at refuses each edit ${kind.name}, and stays as it is`, async () => {
    await inFolder(async (folder) => {
      await (await openDurable<RowId, RowId>(folder, { create })).dispose();
      await using look = await openDurable<RowId, RowId>(folder, {
        readOnly: true,
        load: { backend: "array" },
      });
      const content = await contentOf(look);
      for (const [name, call] of Object.entries(CALLS)) {
        if (name.startsWith("upsert") && kind.name !== "by ids") continue;
        const error = name === "save"
          ? await assertRejects(() => Promise.resolve(call(look, kind.names)), DurabilityError)
          : assertThrows(() => void call(look, kind.names), DurabilityError);
        assertEquals(error.fault, "read-only", name);
      }
      assertThrows(() => look.shiftPositions(1, { from: 1e6 }), DurabilityError, "to look at only");
      assertEquals(await contentOf(look), content);
    });
  });
}

Deno.test("ids, their kind and an editable mask are compared when a folder is opened", async () => {
  await inFolder(async (folder) => {
    const create = optionsOf(KINDS[2]);
    await (await openDurable<RowId, RowId>(folder, { create })).dispose();
    const { keyIds: _, ...unnamed } = create, rows = [[false, true, true, true, true]];
    const differ: readonly [DynamicAttentionOptions<RowId, RowId>, string][] = [
      [unnamed, "keyIds is not given, expected a list"],
      [{ ...create, queryIds: "auto" }, 'queryIds is "auto", expected a list'],
      [{ ...create, editableMask: false }, "editableMask is false, expected true"],
      [{ ...create, mask: [...rows, ...rows, ...rows] }, "mask is another matrix"],
    ];
    for (const [options, message] of differ) {
      await assertRejects(() => openDurable<RowId, RowId>(folder, { create: options }), Error, message);
    }
    // An editable mask may have been edited, and rows only say how wide they are.
    const other = {
      ...create,
      mask: { data: new Float32Array(20), shape: [4, 5] as const },
      keyIds: ["x", "y", "z"],
    };
    await using live = await openDurable<RowId, RowId>(folder, { create: other });
    assert(live.hasKey("a") && !live.hasKey("x"));
  });
});

Deno.test("edits of one turn by ids and of the mask are one transaction, and a refused batch leaves no trace", async () => {
  await inFolder(async (folder) => {
    const create = optionsOf(KINDS[2]);
    await using live = await openDurable<RowId, RowId>(folder, { create });
    live.upsert("new", KEY, VALUE);
    live.setMask(false, { keys: ["new"] });
    live.delete("new");
    await live.committed();
    assertEquals(live.stats().durable.syncs, 1);
    const content = await contentOf(live);
    await assertRejects(() =>
      live.edit([
        { kind: "upsert", id: "b", key: KEY, value: VALUE },
        { kind: "delete", slot: "a" },
        { kind: "upsert", id: "a", key: KEY, value: [Infinity] },
      ]), Error);
    await assertRejects(
      () => live.edit([{ kind: "delete", slot: "a" }, { kind: "delete", slot: "a" }]),
      Error,
    );
    assertEquals(await contentOf(live), content);
    await live.dispose();
    await using again = await openDurable<RowId, RowId>(folder, { create });
    assertEquals(await contentOf(again), content);
  });
});
