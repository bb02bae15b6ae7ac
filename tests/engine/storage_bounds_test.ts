// Bounds of engines whose keys and values are float16 or int8 hold for the rows as they were given, against float64
// from scratch: for rows of all sizes, sums that were rounded again and again, edits that were taken back, snapshots and
// moves between backends. Beside them, `storageBounds` says how far exact answers of kept rows are.

import { DynamicAttention, InputError, type Matrix, type RowFormat } from "../../mod.ts";
import { OnlineLearner } from "../../src/learning/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";
import { forge } from "../../testing/forged_files.ts";
import { Random } from "../../testing/random.ts";
import { STORAGES } from "../../testing/rounded_rows.ts";
import { BACKENDS, casesOn, QUICK_BACKENDS } from "../backends_here.ts";

/** The rows that were given, by slot, beside an engine that keeps them rounded. */
interface Given {
  readonly keys: Map<number, Float32Array>;
  readonly values: Map<number, Float32Array>;
}

interface Sizes {
  readonly query: readonly Float32Array[];
  readonly heads: number;
  readonly kvHeads: number;
  readonly valueDim: number;
  readonly scale: number;
}

const rowsBySlot = (rows: readonly Float32Array[]) => new Map(rows.map((row, slot) => [slot, row.slice()]));

/** ‖a − b‖ of row i of a matrix and a row of the oracle. */
function awayOf({ data, shape: [, width] }: Matrix, i: number, exact: ArrayLike<number>): number {
  return Math.hypot(...Array.from(exact, (x, c) => x - data[i * width + c]));
}

/** Compares bounds with what was given and with what is kept; returns the largest bound and the largest distance. */
async function check(live: DynamicAttention, given: Given, sizes: Sizes, what: string): Promise<void> {
  const { output, bounds, storageBounds } = await live.peek();
  assert(storageBounds, what);
  const slots = [...live.keySlots()];
  const oracle = (keys: readonly Float32Array[], values: readonly Float32Array[]) =>
    referenceAttention({ ...sizes, query: [...sizes.query], key: keys, value: values }).output;
  const byGiven = oracle(slots.map((j) => given.keys.get(j)!), slots.map((j) => given.values.get(j)!));
  const byKept = oracle(slots.map((j) => live.getKey(j)), slots.map((j) => live.getValue(j)));
  for (let i = 0; i < bounds.length; i++) {
    const slack = 1e-12 * (1 + Math.hypot(...byGiven[i]));
    const away = awayOf(output, i, byGiven[i]), awayFromKept = awayOf(output, i, byKept[i]);
    assert(away <= bounds[i] + slack, `${what}, query ${i}: ${away} > ${bounds[i]}`);
    assert(
      awayFromKept <= bounds[i] - storageBounds[i] + slack,
      `${what}, query ${i}, kept: ${awayFromKept}`,
    );
    const apart = Math.hypot(...byGiven[i].map((x, c) => x - byKept[i][c]));
    assert(apart <= storageBounds[i] + slack, `${what}, query ${i}, apart: ${apart} > ${storageBounds[i]}`);
  }
}

/** Numbers of sizes from 1e-6 to about `most`. */
function hostileRow(random: Random, length: number, most: number): Float32Array {
  const size = random.pick([1e-6, 1e-3, 1, 1, most]);
  return random.row(length, size).map((x) => random.below(5) === 0 ? 0 : x);
}

for (const backend of BACKENDS) {
  Deno.test(`storage: bounds hold for the rows that were given on ${backend}`, async () => {
    for (let seed = 1; seed <= casesOn(backend, 24); seed++) {
      const random = new Random(seed), storage = STORAGES[seed % STORAGES.length];
      const kvHeads = random.pick([1, 2]), heads = kvHeads * random.pick([1, 2]), headDim = 3, valueDim = 2;
      const isHostile = seed % 2 === 0, most = isHostile ? random.pick([30, 3000]) : 1;
      const newKey = () =>
        isHostile ? hostileRow(random, kvHeads * headDim, 30) : random.row(kvHeads * headDim);
      const newValue = () =>
        isHostile ? hostileRow(random, kvHeads * valueDim, most) : random.row(kvHeads * valueDim);
      const key = Array.from({ length: 12 }, newKey), value = Array.from({ length: 12 }, newValue);
      const query = random.rows(5, heads * headDim, random.pick([0.1, 1, 4]));
      const given: Given = { keys: rowsBySlot(key), values: rowsBySlot(value) };
      const sizes = { query, heads, kvHeads, valueDim, scale: 0.5 };
      const lazyThreshold = random.pick([Infinity, 3, { error: 0.3 }]);
      const { valueDim: _, ...options } = { ...sizes, key, value, backend, storage, lazyThreshold };
      await using live = await DynamicAttention.create(options);
      for (let round = 0; round < 10; round++) {
        for (let edit = random.below(5); edit > 0; edit--) {
          const slots = [...live.keySlots()], slot = random.pick(slots), kind = random.below(7);
          if (kind === 0 || slots.length < 2) {
            const row = newKey(), of = newValue(), at = live.insert(row, of);
            given.keys.set(at, row), given.values.set(at, of);
          } else if (kind === 1) live.delete(slot);
          else if (kind === 2) {
            const row = newKey();
            live.setKey(slot, row), given.keys.set(slot, row);
          } else if (kind === 3) {
            const row = newValue();
            live.setValue(slot, row), given.values.set(slot, row);
          } else {
            // Steps that are mostly lost.
            const isKey = kind < 6, row = (isKey ? given.keys : given.values).get(slot)!;
            const column = random.below(row.length), delta = random.normal() / 200;
            if (isKey) live.addToKey(slot, column, delta);
            else live.addToValue(slot, column, delta);
            row[column] += delta;
          }
        }
        await check(live, given, sizes, `seed ${seed}, round ${round}`);
        if (random.below(3) === 0) await live.read([random.below(5)]);
      }
      await live.read();
      await check(live, given, sizes, `seed ${seed}, after a read`);
      await using loaded = await DynamicAttention.load(await live.save());
      await check(loaded, given, sizes, `seed ${seed}, loaded`);
      await loaded.moveTo("array");
      await check(loaded, given, sizes, `seed ${seed}, moved`);
    }
  });
}

const SMALL = { query: [[1, 0]], key: [[1.0003, 2], [3, 4]], value: [[5.001], [6]] };

for (const backend of QUICK_BACKENDS) {
  Deno.test(`storage: steps that are lost count on ${backend}, until the row is written anew`, async () => {
    await using live = await DynamicAttention.create({ ...SMALL, backend, storage: "float16" });
    const storageOf = async () => (await live.peek()).storageBounds![0];
    const first = await storageOf();
    for (let step = 0; step < 100; step++) live.addToValue(1, 0, 1 / 1024); // a quarter of the spacing at 6
    assertEquals(live.getValue(1)[0], 6);
    assert(await storageOf() >= 100 / 1024);
    live.setValue(1, [6]);
    assertEquals(await storageOf(), first);
  });

  Deno.test(`storage: rows that are kept as they were given add nothing on ${backend}`, async () => {
    const rows = { key: [[1, 2], [3, 4]], value: [[5], [6]] };
    await using live = await DynamicAttention.create({ ...SMALL, ...rows, backend, storage: "float16" });
    assertEquals([...(await live.peek()).storageBounds!], [0]);
    live.setKey(0, [1, 2.0001]);
    assert((await live.peek()).storageBounds![0] > 0);
    live.delete(0);
    assertEquals([...(await live.peek()).storageBounds!], [0]);
    await using plain = await DynamicAttention.create({ ...SMALL, backend });
    assertEquals("storageBounds" in await plain.peek(), false);
  });

  Deno.test(`storage: edits that are taken back leave bounds as they were on ${backend}`, async () => {
    await using live = await DynamicAttention.create({ ...SMALL, backend, storage: "float16" });
    const before = await live.peek();
    assertThrows(() =>
      live.edit([
        { kind: "setValue", slot: 0, value: [1000.3] },
        { kind: "insert", key: [1.23456, 1], value: [3.21] },
        { kind: "delete", slot: 1 },
        { kind: "setKey", slot: 0, key: [1e5, 0] },
      ]), InputError);
    assertEquals((await live.peek()).storageBounds, before.storageBounds);
  });

  Deno.test(`storage: what is followed has bounds for the rows that were given on ${backend}`, async () => {
    await using live = await DynamicAttention.create({ ...SMALL, backend, storage: "int8" });
    using followed = live.follow(undefined, { error: 0.01 });
    await followed.refresh();
    const { storageBounds } = await live.peek();
    assert(followed.bounds[0] >= storageBounds![0]);
    const [given] = referenceAttention({
      query: SMALL.query,
      key: SMALL.key.map((row) => Float32Array.from(row)),
      value: SMALL.value.map((row) => Float32Array.from(row)),
      valueDim: 1,
      scale: Math.SQRT1_2,
    }).output;
    assert(Math.abs(given[0] - followed.data[0]) <= followed.bounds[0]);
  });
}

Deno.test("storage: a question is answered with the bounds of its call, whatever is edited behind it", async () => {
  await using live = await DynamicAttention.create({ ...SMALL, storage: "int8" });
  const before = await live.peek();
  const asked = live.peek();
  live.set(0, [0, 0], [0]);
  live.set(1, [0, 0], [0]);
  assertEquals((await asked).storageBounds, before.storageBounds);
});

Deno.test("storage: a stale prediction's bounds hold for the values that were given", async () => {
  for (const storage of STORAGES) {
    const value = [[1.0004, -2.0011]], options = { query: [[1]], key: [[1.0003]], value, storage };
    await using live = await DynamicAttention.create(options);
    const learner = new OnlineLearner(live);
    const { prediction, bounds } = await learner.peekOne({ query: 0, against: [0] });
    const [x, y] = Float32Array.from(value[0]), score = x * x + y * y;
    const away = Math.abs(score - prediction[0]);
    assert(away <= bounds[0], `${JSON.stringify(storage)}: ${away} > ${bounds[0]}`);
  }
});

/** Saves an engine of `storage` and writes its rows as F32, as snapshots before had them. */
async function olderSnapshot(live: DynamicAttention): Promise<Uint8Array<ArrayBuffer>> {
  const rows = [...live.keySlots()].map((slot) => [live.getKey(slot), live.getValue(slot)]);
  return await forge(await live.save(), ({ tensors }) => {
    for (const [at, name] of (["key", "value"] as const).entries()) {
      const data = Float32Array.from(rows.flatMap((row) => [...row[at]]));
      tensors[name] = { shape: [rows.length, data.length / rows.length], data };
      delete tensors[`${name}.scales`];
      delete tensors[`${name}.errors`];
    }
  });
}

Deno.test("storage: snapshots whose rows are float32 load, with the errors of rows written once", async () => {
  const random = new Random(3);
  for (const storage of STORAGES) {
    const key = random.rows(9, 4), value = random.rows(9, 3), query = random.rows(2, 4);
    await using live = await DynamicAttention.create({ query, key, value, storage });
    await using loaded = await DynamicAttention.load(await olderSnapshot(live));
    assertEquals(await loaded.read(), await live.read());
    const sizes = { query, heads: 1, kvHeads: 1, valueDim: 3, scale: 0.5 };
    await check(loaded, { keys: rowsBySlot(key), values: rowsBySlot(value) }, sizes, JSON.stringify(storage));
  }
});

/**
 * Two keys whose rounding moves their scores apart by all that it can, values at the ends of their spread, and weights about a
 * half: what the bound is derived for.
 */
const WORST = {
  float16: {
    query: [[100]],
    key: [[1 + 0.98 * 2 ** -11], [1 + 1.02 * 2 ** -11]],
    value: [[-1], [1]],
    scale: -2,
  },
  int8: {
    query: [[0, 13]],
    key: [[1, 10.49 / 127], [1, 10.51 / 127]],
    value: [[-1], [1]],
    scale: -2,
  },
} as const;

for (const backend of QUICK_BACKENDS) {
  Deno.test(`storage: the worst that rounding can do is what the bound says on ${backend}`, async () => {
    for (const keys of ["float16", "int8"] as const) {
      const options = WORST[keys], { query } = options, storage = { keys, values: "float32" } as const;
      const rows = (of: readonly (readonly number[])[]) => of.map((row) => Float32Array.from(row));
      const given = { query: rows(query), key: rows(options.key), value: rows(options.value) };
      const exact = referenceAttention({ ...given, valueDim: 1, scale: -2 }).output[0][0];
      await using live = await DynamicAttention.create({ ...options, backend, storage });
      const away = Math.abs((await live.read()).data[0] - exact);
      const { storageBounds } = await live.peek();
      assert(away > 0.05, `${keys}: ${away}`);
      assert(
        away <= storageBounds![0] + 1e-6 && storageBounds![0] <= 1.05 * away,
        `${keys}: ${storageBounds![0]}`,
      );
      await using loaded = await DynamicAttention.load(await olderSnapshot(live));
      const { storageBounds: older } = await loaded.peek();
      assert(
        away <= older![0] + 1e-6 && older![0] <= 2 * away,
        `${keys}, an older file: ${older![0]} for ${away}`,
      );
    }
  });
}

Deno.test("storage: a snapshot takes as many bytes as the rows that are kept", async () => {
  const random = new Random(1), count = 2000, width = 64;
  const rows = {
    query: random.rows(1, width),
    key: random.rows(count, width),
    value: random.rows(count, width),
  };
  const bytesOf = async (storage: RowFormat) => {
    await using live = await DynamicAttention.create({ ...rows, storage });
    return (await live.save()).length / count;
  };
  const [float32, float16, int8] = [
    await bytesOf("float32"),
    await bytesOf("float16"),
    await bytesOf("int8"),
  ];
  // A key and a value have an error each, and with int8 a scale.
  assert(float32 - float16 >= 2 * 2 * width - 8 - 1, `${float32} and ${float16}`);
  assert(float32 - int8 >= 2 * 3 * width - 16 - 1, `${float32} and ${int8}`);
});
