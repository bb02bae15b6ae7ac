// The synchronous readers of an engine return the newest rows, wherever they lie.

import { DisposedError, DynamicAttention, InputError, SlotError } from "../../mod.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { heaviestOf } from "../../src/numerics/heaviest.ts";
import { assertEquals, assertNotEquals, assertThrows } from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { SlowBackend } from "../../testing/fake_backends.ts";
import { Random } from "../../testing/random.ts";

for (const backend of BACKENDS) {
  Deno.test(`rows are the newest, in the log, on their way and stored: ${backend}`, async () => {
    const random = new Random(3);
    const [query, key, value] = [random.rows(3, 4), random.rows(4, 4), random.rows(4, 2)];
    const wrap = (inner: ConstructorParameters<typeof SlowBackend>[0]) => new SlowBackend(inner);
    await using live = await createEngine({ query, key, value, backend }, { wrap });
    const expect = (keys: readonly number[], queries: readonly number[]) => {
      assertEquals([...live.keySlots()], [...keys]);
      assertEquals([...live.querySlots()], [...queries]);
      for (const slot of keys) {
        assertEquals([live.getKey(slot), live.getValue(slot)], [key[slot], value[slot]]);
      }
      for (const slot of queries) assertEquals(live.getQuery(slot), query[slot]);
    };
    expect([0, 1, 2, 3], [0, 1, 2]);
    live.setKey(1, key[1] = random.row(4));
    live.deleteQuery(0);
    expect([0, 1, 2, 3], [1, 2]);
    const reading = live.read([2]);
    live.setValue(1, value[1] = random.row(2));
    live.setQuery(1, query[1] = random.row(4));
    live.delete(2);
    expect([0, 1, 3], [1, 2]);
    await reading;
    expect([0, 1, 3], [1, 2]);
    await live.flush();
    expect([0, 1, 3], [1, 2]);
    assertEquals(live.insert(key[2] = random.row(4), value[2] = random.row(2)), 2);
    expect([0, 1, 2, 3], [1, 2]);
  });
}

Deno.test("what is returned is a copy", async () => {
  await using live = await DynamicAttention.create({ query: [[1]], key: [[2]], value: [[3]] });
  for (const row of [live.getKey(0), live.getValue(0), live.getQuery(0)]) row[0] = 9;
  live.keySlots()[0] = live.querySlots()[0] = 9;
  assertEquals([live.getKey(0)[0], live.getValue(0)[0], live.getQuery(0)[0]], [2, 3, 1]);
  assertEquals([live.keySlots()[0], live.querySlots()[0]], [0, 0]);
});

Deno.test("slots that are not live are refused, and a disposed engine", async () => {
  const live = await DynamicAttention.create({ query: [[1]], key: [[2]], value: [[3]] });
  live.delete(0);
  assertThrows(() => live.getKey(0), SlotError, "DynamicAttention.getKey: key slot 0 is not live");
  assertThrows(() => live.getValue(0), SlotError, "DynamicAttention.getValue");
  assertThrows(() => live.getQuery("0" as never), SlotError, "DynamicAttention.getQuery");
  await live.dispose();
  for (const name of ["getKey", "getValue", "getQuery"] as const) {
    assertThrows(() => live[name](0), DisposedError, name);
  }
  for (const name of ["keySlots", "querySlots"] as const) {
    assertThrows(() => live[name](), DisposedError, name);
  }
});

Deno.test("a batch that is refused leaves no row and no identity behind", async () => {
  await using live = await DynamicAttention.create({ query: [[1]], key: [[2], [4]], value: [[3], [5]] });
  live.delete(1);
  assertThrows(
    () => live.edit([{ kind: "insert", key: [7], value: [7] }, { kind: "setKey", slot: 0, key: [NaN] }]),
    InputError,
  );
  assertEquals([...live.keySlots()], [0]);
});

Deno.test("the heaviest of many are those that sorting finds", () => {
  const random = new Random(1);
  for (let turn = 0; turn < 300; turn++) {
    const slots = Uint32Array.from({ length: random.below(40) }, (_, at) => 2 * at + 1);
    // Many are equal, and some are −∞.
    const weights = Float64Array.from(
      { length: 100 },
      () => random.below(7) - (random.below(9) ? 0 : Infinity),
    );
    const count = random.below(45);
    const sorted = slots.slice().sort((a, b) => {
      return weights[b] === weights[a] ? a - b : weights[b] - weights[a];
    });
    assertEquals(heaviestOf(slots, weights, count), sorted.slice(0, count));
  }
  assertNotEquals(heaviestOf(Uint32Array.of(1, 2), [0, 1, 2], 1), Uint32Array.of(1));
});
