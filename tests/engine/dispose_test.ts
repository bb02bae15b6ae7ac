// After dispose everything throws, and what was asked before it is answered.

import { DisposedError, DynamicAttention } from "../../mod.ts";
import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "../../testing/assert.ts";
import { KEY, makeEngine, VALUE } from "../../testing/bad_calls.ts";

const METHODS: Readonly<Record<string, (live: DynamicAttention) => unknown>> = {
  setKey: (live) => live.setKey(0, KEY),
  setValue: (live) => live.setValue(0, VALUE),
  set: (live) => live.set(0, KEY, VALUE),
  addToKey: (live) => live.addToKey(0, 0, 1),
  addToValue: (live) => live.addToValue(0, 0, 1),
  insert: (live) => live.insert(KEY, VALUE),
  delete: (live) => live.delete(0),
  setQuery: (live) => live.setQuery(0, KEY),
  insertQuery: (live) => live.insertQuery(KEY),
  deleteQuery: (live) => live.deleteQuery(0),
  setPosition: (live) => live.setPosition(0, 3),
  setQueryPosition: (live) => live.setQueryPosition(0, 3),
  getPosition: (live) => live.getPosition(0),
  getQueryPosition: (live) => live.getQueryPosition(0),
  shiftPositions: (live) => live.shiftPositions(1),
  edit: (live) => live.edit([]),
  getKey: (live) => live.getKey(0),
  getValue: (live) => live.getValue(0),
  getQuery: (live) => live.getQuery(0),
  keySlots: (live) => live.keySlots(),
  querySlots: (live) => live.querySlots(),
  keyIds: (live) => live.keyIds(),
  queryIds: (live) => live.queryIds(),
  hasKey: (live) => live.hasKey(0),
  hasQuery: (live) => live.hasQuery(0),
  moveTo: (live) => live.moveTo("array"),
  read: (live) => live.read(),
  readEntry: (live) => live.readEntry(0, 0),
  peek: (live) => live.peek(),
  follow: (live) => live.follow(),
  weights: (live) => live.weights(0),
  logSumExp: (live) => live.logSumExp(),
  weightsOf: (live) => live.weightsOf(),
  topKeys: (live) => live.topKeys(0, 1),
  recommend: (live) => live.recommend(0, 1),
  attend: (live) => live.attend([[1, 2, 3]]),
  flush: (live) => live.flush(),
  rebuild: (live) => live.rebuild(),
  save: (live) => live.save(),
  stats: (live) => live.stats(),
};

/** Those of engines whose rows have ids. */
const ID_METHODS: Readonly<Record<string, (live: DynamicAttention<string, string>) => unknown>> = {
  upsert: (live) => live.upsert("a", [1], [2]),
  upsertQuery: (live) => live.upsertQuery("b", [1]),
};

Deno.test("rows with ids are put in before dispose alone", async () => {
  const live = await DynamicAttention.create({
    query: [[0]],
    key: [[1]],
    value: [[2]],
    keyIds: ["a"],
    queryIds: ["b"],
  });
  for (const call of Object.values(ID_METHODS)) call(live);
  await live.dispose();
  for (const [name, call] of Object.entries(ID_METHODS)) {
    assertThrows(() => call(live), DisposedError, `DynamicAttention.${name}`);
  }
});

Deno.test("a mask is edited before dispose alone", async () => {
  const live = await DynamicAttention.create({
    query: [[0]],
    key: [[1]],
    value: [[2]],
    mask: [[true]],
    editableMask: true,
  });
  live.setMask(false);
  await live.dispose();
  assertThrows(() => live.setMask(true), DisposedError, "DynamicAttention.setMask");
});

Deno.test("the tests below know every method", () => {
  const members = Object.entries(Object.getOwnPropertyDescriptors(DynamicAttention.prototype));
  const methods = members.filter(([, { value }]) => typeof value === "function").map(([name]) => name);
  const others = ["setMask", "toJSON", "constructor", "dispose"];
  const known = [...Object.keys(METHODS), ...Object.keys(ID_METHODS), ...others];
  assertEquals(methods.sort(), known.sort());
});

Deno.test("every method works before dispose and throws DisposedError after it", async (t) => {
  for (const [name, call] of Object.entries(METHODS)) {
    await t.step(name, async () => {
      const live = await makeEngine();
      await call(live);
      await live.dispose();
      const error: unknown = await Promise.try(call, live).then(() => "no error", (reason) => reason);
      assertInstanceOf(error, DisposedError);
      assertEquals(error.operation, `DynamicAttention.${name}`);
    });
  }
});

Deno.test("edits are refused by a throw, answers by a rejection", async () => {
  const live = await makeEngine();
  await live.dispose();
  for (const [name, call] of Object.entries(METHODS)) {
    const isAnswer = /read|peek|weights|logSumExp|topKeys|recommend|attend|flush|rebuild|save|moveTo/.test(
      name,
    );
    if (isAnswer) await assertRejects(() => call(live) as Promise<unknown>, DisposedError);
    else assertThrows(() => call(live), DisposedError);
  }
});

Deno.test("dispose may come twice, and lets what was asked before it finish", async () => {
  const live = await makeEngine();
  await using twin = await makeEngine();
  const asked = live.read();
  const first = live.dispose();
  await Promise.all([first, live.dispose(), live[Symbol.asyncDispose]()]);
  assertEquals(await asked, await twin.read());
  await live.dispose();
});
