// What the program of a live figure computes: the same numbers as the engine, bounds that hold, and edits that can be undone.

import { DynamicAttention } from "../../mod.ts";
import { type FigureData, packMatrix } from "../../src/jupyter/live/figure_data.ts";
import { canTurn, keyWithEntry, scaledKey, turnedKey } from "../../src/jupyter/live/page/key_edits.ts";
import { LiveModel } from "../../src/jupyter/live/page/model.ts";
import { assert, assertAlmostEquals, assertEquals, assertGreater } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const ROWS = 9, HEADS = 2, DIM = 6, VALUES = 4;

function figureData(random: Random, fields: Partial<FigureData> = {}): FigureData {
  const matrix = (columns: number) =>
    packMatrix(Float32Array.from(random.row(ROWS * columns)), ROWS, columns);
  const labels = Array.from({ length: ROWS }, (_, at) => `${at}`);
  const positions = labels.map(Number);
  return {
    ...{
      title: "",
      query: matrix(DIM),
      key: matrix(DIM),
      value: matrix(VALUES),
      heads: HEADS,
      kvHeads: HEADS,
    },
    ...{ scale: 0.5, softcap: 0, window: [null, 3], mask: [], lazyThreshold: 3 },
    ...{ queryLabels: labels, keyLabels: labels, queryPositions: positions, keyPositions: positions },
    ...fields,
  };
}

Deno.test("live model: exact is exact, stale is within its bound, pending is below the threshold", async () => {
  const random = new Random(3);
  const data = figureData(random);
  const model = await LiveModel.create(data);
  const keys = Array.from({ length: ROWS }, (_, slot) => [...model.keyOf(slot)]);
  const largest = [0, 0];
  for (let step = 0; step < 120; step++) {
    const slot = random.below(ROWS), row = Float32Array.from(random.row(DIM, random.pick([0.3, 2])));
    keys[slot] = [...row];
    model.setKey(slot, row);
    if (step % 20 === 19) {
      await model.setRule({ scale: random.pick([0.2, 0.5, 1.5]), softcap: random.pick([0, 5]) });
    }
    model.threshold = random.pick([1, 3, Infinity]);
    const at = random.below(ROWS), head = random.below(HEADS);
    const look = await model.look(at, head);
    await using engine = await DynamicAttention.create({
      ...{ query: model.query, key: keys, value: model.value, heads: HEADS, backend: "array" },
      ...{ window: [Infinity, 3], ...model.rule },
    });
    const truth = await engine.read([at]);
    for (const [column, number] of truth.data.entries()) assertAlmostEquals(look.exact[column], number, 1e-6);
    for (const [j, weight] of (await engine.weights(at, { head })).entries()) {
      assertAlmostEquals(look.weights[at][j], weight, 1e-6);
    }
    assert(look.distance <= look.bound, `${look.distance} > ${look.bound}`);
    assert(look.pending < model.threshold);
    largest[0] = Math.max(largest[0], look.pending);
    largest[1] = Math.max(largest[1], look.distance);
  }
  assertGreater(largest[0], 1);
  assertGreater(largest[1], 0.01);
  await model.dispose();
});

Deno.test("live model: another rule leaves pending what was, catching up and starting anew do not", async () => {
  const random = new Random(4);
  const model = await LiveModel.create(figureData(random, { lazyThreshold: null }));
  const before = await model.look(2, 0);
  for (const slot of [1, 2]) model.setKey(slot, Float32Array.from(random.row(DIM, 2)));
  assertEquals((await model.look(2, 0)).pending, 2);
  await model.setRule({ scale: 1, softcap: 3 });
  const { pending, distance } = await model.look(2, 0);
  assertEquals([pending, distance > 0], [2, true]);
  await model.catchUp();
  const caught = await model.look(2, 0);
  assertEquals([caught.pending, caught.distance], [0, 0]);
  await model.setRule({ scale: 2, softcap: 0 });
  assertEquals((await model.look(2, 0)).pending, 0);
  await model.reset();
  assertEquals(await model.look(2, 0), before);
  await model.dispose();
});

Deno.test("live model: work is counted a change, and from scratch is what it would be", async () => {
  const random = new Random(5);
  const model = await LiveModel.create(figureData(random, { lazyThreshold: null }));
  model.setKey(1, Float32Array.from(random.row(DIM)));
  const { last, total } = (await model.look(0, 0)).costs;
  assertEquals(last, total);
  assertEquals(last[2], ROWS * ROWS * (DIM + VALUES));
  for (const products of last) assertGreater(products, 0);
  assertGreater(last[2], last[1], "one key of nine costs less than all");
  model.setKey(2, Float32Array.from(random.row(DIM)));
  const { costs } = await model.look(0, 0);
  assertEquals([...costs.total], costs.last.map((products, at) => products + last[at]));
  await model.dispose();
});

Deno.test("live model: masks and shared key heads come along", async () => {
  const random = new Random(6);
  const mask = Float32Array.from(
    { length: ROWS * ROWS },
    (_, at) => at % 5 === 0 ? -Infinity : random.row(1)[0],
  );
  const key = packMatrix(Float32Array.from(random.row(ROWS * DIM / HEADS)), ROWS, DIM / HEADS);
  const value = packMatrix(Float32Array.from(random.row(ROWS * 2)), ROWS, 2);
  const data = figureData(random, { mask: [packMatrix(mask, ROWS, ROWS)], kvHeads: 1, key, value });
  const model = await LiveModel.create(data);
  await using engine = await DynamicAttention.create({
    ...{
      query: model.query,
      key: [...Array(ROWS).keys()].map((slot) => [...model.keyOf(slot)]),
      value: model.value,
    },
    ...{
      heads: HEADS,
      kvHeads: 1,
      mask: { data: mask, shape: [ROWS, ROWS] },
      window: [Infinity, 3],
      scale: 0.5,
    },
    backend: "array",
  });
  const look = await model.look(4, 1);
  assertEquals(look.weights[4], await engine.weights(4, { head: 1 }));
  assertEquals(look.exact, (await engine.read([4])).data);
  assertEquals(look.exact.length, HEADS * 2);
  await model.dispose();
});

Deno.test("key edits: a length, an angle and an entry change what they say, and nothing else", () => {
  const random = new Random(8);
  const row = Float32Array.from(random.row(DIM)), slice = { start: 3, length: 3 };
  const query = Float32Array.from(random.row(3));
  const part = (edited: Float32Array) => [...edited.subarray(3)];
  const norm = (numbers: number[]) => Math.hypot(...numbers);
  const cosine = (a: number[], b: number[]) =>
    a.reduce((sum, number, at) => sum + number * b[at], 0) / norm(a) / norm(b);
  for (const edited of [scaledKey(row, slice, 2), turnedKey(row, slice, query, 40)]) {
    assertEquals(edited.subarray(0, 3), row.subarray(0, 3));
  }
  assertAlmostEquals(norm(part(scaledKey(row, slice, 2))), 2 * norm(part(row)), 1e-6);
  const turned = part(turnedKey(row, slice, query, 40));
  assertAlmostEquals(norm(turned), norm(part(row)), 1e-6);
  assertAlmostEquals(Math.acos(cosine(turned, part(row))) * 180 / Math.PI, 40, 1e-3);
  const angle = Math.acos(cosine(part(row), [...query])) * 180 / Math.PI;
  assertAlmostEquals(cosine(part(turnedKey(row, slice, query, angle)), [...query]), 1, 1e-6);
  assertEquals(turnedKey(row, slice, query, 0), row);
  assertEquals(keyWithEntry(row, 1, 9), row.with(1, 9));
});

Deno.test("key edits: what has no direction, or that of the query, cannot be turned", () => {
  const slice = { start: 0, length: 2 };
  const row = Float32Array.of(1, 2);
  assertEquals(canTurn(row, slice, Float32Array.of(2, 1)), true);
  for (
    const [key, query] of [[row, [2, 4]], [row, [-1, -2]], [row, [0, 0]], [Float32Array.of(0, 0), [
      1,
      0,
    ]]] as const
  ) {
    assertEquals(canTurn(key, slice, Float32Array.from(query)), false);
    assertEquals(turnedKey(key, slice, Float32Array.from(query), 30), key);
  }
});
