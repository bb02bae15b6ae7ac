// Keys and values that are kept as float16 or int8: what is kept is what the engine answers for, to the bit as an engine
// of float32 does that has the rounded rows; less memory is held; what a format does not take is refused and changes
// nothing. Any sequence of calls, moves between backends among them, is in the model-based test.

import {
  attention,
  DynamicAttention,
  type DynamicAttentionOptions,
  FormatError,
  InputError,
  type Matrix,
  type RowFormat,
} from "../../mod.ts";
import { OnlineLearner } from "../../src/learning/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import { forge } from "../../testing/forged_files.ts";
import { Random } from "../../testing/random.ts";
import { roundedRow, STORAGES } from "../../testing/rounded_rows.ts";
import { bitsOf } from "../../testing/twins.ts";
import { BACKENDS, casesOn, QUICK_BACKENDS } from "../backends_here.ts";

function assertSameBits(actual: Matrix, expected: Matrix, what: string): void {
  assertEquals(actual.shape, expected.shape, what);
  assertEquals(bitsOf(actual.data), bitsOf(expected.data), what);
}

/** Rows that may be none. */
function matrixOf(rows: readonly Float32Array[], width: number): Matrix {
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, at) => data.set(row, at * width));
  return { data, shape: [rows.length, width] };
}

for (const backend of QUICK_BACKENDS) {
  Deno.test(`storage: an engine on ${backend} answers as one of the rows that are kept, to the bit`, async () => {
    for (let seed = 1; seed <= 15; seed++) {
      const random = new Random(seed), storage = STORAGES[seed % STORAGES.length];
      const kvHeads = random.pick([1, 2]), heads = kvHeads * random.pick([1, 2]);
      const headDim = 1 + random.below(9), valueDim = 1 + random.below(9);
      const isMasked = seed % 4 === 0;
      // Builds take 512 keys at a time.
      const count = seed % 5 === 0 ? 500 + random.below(700) : random.below(40);
      const newKey = () => random.row(kvHeads * headDim, random.pick([1, 1, 3]));
      const newValue = () => random.row(kvHeads * valueDim, random.pick([1, 1, 100]));
      const keptKey = (key: Float32Array) => roundedRow(key, headDim, storage, "keys");
      const keptValue = (value: Float32Array) => roundedRow(value, valueDim, storage, "values");
      const keys = Array.from({ length: count }, newKey), values = Array.from({ length: count }, newValue);
      const shared = {
        query: random.rows(1 + random.below(20), heads * headDim, 2),
        heads,
        kvHeads,
        backend,
        lazyThreshold: 5,
        ...(seed % 3 === 0 ? { causal: { offset: 30 }, softcap: 9 } : {}),
        ...(seed % 4 === 0
          ? { mask: (i: number, j: number) => (i + j) % 5 === 0 ? false : (i - j) / 64 }
          : {}),
      };
      await using packed = await DynamicAttention.create({
        ...shared,
        storage,
        key: matrixOf(keys, kvHeads * headDim),
        value: matrixOf(values, kvHeads * valueDim),
      });
      await using plain = await DynamicAttention.create({
        ...shared,
        key: matrixOf(keys.map(keptKey), kvHeads * headDim),
        value: matrixOf(values.map(keptValue), kvHeads * valueDim),
      });
      for (let step = 0; step < 40; step++) {
        const key = newKey(), value = newValue(), slots = packed.keySlots();
        const slot = random.pick([...slots]), kind = slots.length === 0 ? 0 : random.below(6);
        if (kind === 0) packed.insert(key, value), plain.insert(keptKey(key), keptValue(value));
        if (kind === 1) packed.set(slot, key, value), plain.set(slot, keptKey(key), keptValue(value));
        if (kind === 2) packed.setKey(slot, key), plain.setKey(slot, keptKey(key));
        if (kind === 3) packed.setValue(slot, value), plain.setValue(slot, keptValue(value));
        if (kind === 4) packed.delete(slot), plain.delete(slot);
        if (kind === 5) {
          packed.addToValue(slot, 0, 0.75);
          const sum = plain.getValue(slot);
          sum[0] += 0.75;
          plain.setValue(slot, keptValue(sum));
        }
        const what = `seed ${seed}, step ${step}`;
        if (step % 3 === 0) assertSameBits(await packed.read(), await plain.read(), what);
        if (step % 5 === 0) {
          if (!isMasked) {
            assertSameBits(
              await packed.attend(shared.query),
              await plain.attend(shared.query),
              `${what}, attend`,
            );
          }
          assertEquals(await packed.weights(0), await plain.weights(0), `${what}, weights`);
          assertEquals(await packed.topKeys(0, 3), await plain.topKeys(0, 3), `${what}, top keys`);
        }
        const seen = kind === 4 ? slots[0] : slot;
        if (!packed.keySlots().includes(seen)) continue;
        assertEquals(packed.getKey(seen), plain.getKey(seen), what);
        assertEquals(packed.getValue(seen), plain.getValue(seen), what);
      }
    }
  });

  Deno.test(`storage: many changed keys at once are exact on ${backend}`, async () => {
    for (const storage of ["float16", "int8"] as const) {
      const random = new Random(3),
        query = random.rows(20, 6),
        key = random.rows(1200, 6),
        value = random.rows(1200, 5);
      await using live = await DynamicAttention.create({
        query,
        key,
        value,
        backend,
        storage,
        onThreshold: "patch",
      });
      const layout = { keys: storage, values: storage };
      for (let slot = 0; slot < 1200; slot += 2) {
        if (slot % 3 === 0) live.setKey(slot, key[slot] = random.row(6));
        else live.set(slot, key[slot] = random.row(6), value[slot] = random.row(5));
      }
      await live.flush();
      assertAccurate(await live.read(), {
        query,
        key: key.map((row) => roundedRow(row, 6, layout, "keys")),
        value: value.map((row) => roundedRow(row, 5, layout, "values")),
        valueDim: 5,
        scale: 1 / Math.sqrt(6),
      }, storage);
    }
  });

  Deno.test(`storage: bounds of stale answers hold on ${backend}`, async () => {
    for (let seed = 1; seed <= casesOn(backend, 20); seed++) {
      const random = new Random(seed), storage = STORAGES[seed % STORAGES.length];
      const query = random.rows(9, 4), key = random.rows(30, 4), value = random.rows(30, 3);
      const options = { query, key, value, backend, storage, lazyThreshold: Infinity };
      await using live = await DynamicAttention.create(options);
      for (let round = 0; round < 6; round++) {
        for (let edit = random.below(5); edit >= 0; edit--) {
          live.set(random.below(30), random.row(4), random.row(3));
        }
        const { output, bounds } = await live.peek();
        const slots = [...live.keySlots()];
        const exact = referenceAttention({
          query,
          key: slots.map((slot) => live.getKey(slot)),
          value: slots.map((slot) => live.getValue(slot)),
          valueDim: 3,
          scale: 0.5,
        });
        assert(bounds);
        for (let i = 0; i < query.length; i++) {
          const away = Math.hypot(...[0, 1, 2].map((c) => output.data[3 * i + c] - exact.output[i][c]));
          assert(away <= bounds[i] + 1e-12, `seed ${seed}: ${away} > ${bounds[i]}`);
        }
        if (random.below(3) === 0) await live.read([random.below(9)]);
      }
    }
  });

  Deno.test(`storage: a key on ${backend} takes as many bytes less as its numbers have`, async () => {
    const random = new Random(1), width = 64, count = 2048;
    const key = random.rows(2 * count, width), value = random.rows(2 * count, width);
    const bytesOf = async (storage: "float32" | "float16" | "int8", keys: number) => {
      const rows = { key: key.slice(0, keys), value: value.slice(0, keys) };
      await using live = await DynamicAttention.create({ query: key.slice(0, 8), ...rows, backend, storage });
      return live.stats().bytes;
    };
    const perKey = async (storage: "float32" | "float16" | "int8") => {
      return (await bytesOf(storage, 2 * count) - await bytesOf(storage, count)) / count;
    };
    const float32 = await perKey("float32"), float16 = await perKey("float16"), int8 = await perKey("int8");
    // Two and three bytes for each number of key and value, but for the scales of int8.
    assert(float32 - float16 >= 2 * 2 * width - 8, `${float32} and ${float16}`);
    assert(float32 - int8 >= 3 * 2 * width - 16, `${float32} and ${int8}`);
    // A device has rows of its own, in float32.
    if (backend === "webgpu") return;
    assert(float16 <= 0.55 * float32, `${float32} and ${float16}`);
    assert(int8 <= 0.34 * float32, `${float32} and ${int8}`);
  });
}

for (const backend of BACKENDS) {
  Deno.test(`storage: a snapshot of an engine on ${backend} goes on with the same bits`, async () => {
    for (const storage of STORAGES) {
      const random = new Random(5);
      const query = random.rows(5, 4), key = random.rows(9, 4), value = random.rows(9, 3);
      await using saved = await DynamicAttention.create({ query, key, value, backend, storage });
      saved.set(3, random.row(4), random.row(3));
      await saved.read();
      saved.delete(2);
      const bytes = await saved.save();
      await using loaded = await DynamicAttention.load(bytes);
      assertEquals(await loaded.save(), bytes);
      for (let step = 0; step < 5; step++) {
        const edited = [random.row(4), random.row(3)] as const;
        for (const live of [saved, loaded]) live.set(4, ...edited), live.addToKey(1, 2, 0.3);
        assertSameBits(await loaded.read(), await saved.read(), "loaded");
        assertEquals(loaded.getKey(1), saved.getKey(1));
      }
      for (const other of QUICK_BACKENDS) {
        await loaded.moveTo(other);
        for (const slot of saved.keySlots()) {
          assertEquals(bitsOf(loaded.getKey(slot)), bitsOf(saved.getKey(slot)));
          assertEquals(bitsOf(loaded.getValue(slot)), bitsOf(saved.getValue(slot)));
        }
      }
    }
  });
}

Deno.test("storage: answers are off by what the guide says at most", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed),
      storage = STORAGES[seed % STORAGES.length],
      size = random.pick([0.3, 1, 4]);
    const query = random.rows(4, 6, size), key = random.rows(1 + random.below(30), 6, size);
    const value = random.rows(key.length, 5), scale = 1 / Math.sqrt(6);
    const exact = referenceAttention({ query, key, value, valueDim: 5, scale }).output;
    const { data } = await attention({ query, key, value, storage });
    const offOf = (format: RowFormat, row: Float32Array) => {
      const largest = Math.max(...row.map(Math.abs));
      return { float32: 0, float16: Math.max(largest / 2 ** 11, 2 ** -25), int8: largest / 254 }[format];
    };
    const offKey = Math.max(...key.map((row) => offOf(storage.keys, row)));
    const offValue = Math.sqrt(5) * Math.max(...value.map((row) => offOf(storage.values, row)));
    const reach = Math.max(...value.map((row) => Math.hypot(...row.map((x, c) => x - value[0][c]))));
    query.forEach((row, i) => {
      const away = Math.hypot(...exact[i].map((x, c) => x - data[5 * i + c]));
      const moved = scale * row.reduce((sum, x) => sum + Math.abs(x), 0) * offKey;
      const bound = Math.expm1(2 * moved) * reach + offValue + 1e-5;
      assert(away <= bound, `seed ${seed}: ${away} > ${bound}`);
    });
  }
});

Deno.test("storage: attention() computes with what would be kept", async () => {
  const random = new Random(2), query = random.rows(3, 4), key = random.rows(7, 4), value = random.rows(7, 4);
  const storage = { keys: "int8", values: "float16" } as const;
  const given = key.map((row) => row.slice());
  const output = await attention({ query, key, value, heads: 2, storage });
  assertEquals(key, given, "the rows of the caller stay");
  const kept = {
    key: key.map((row) => roundedRow(row, 2, storage, "keys")),
    value: value.map((row) => roundedRow(row, 2, storage, "values")),
  };
  assertSameBits(output, await attention({ query, ...kept, heads: 2 }), "attention()");
});

const SMALL = { query: [[1, 0]], key: [[1, 2], [3, 4]], value: [[5], [6]] };

Deno.test("storage: formats that there are not, and rotary keys, are refused", async () => {
  const bad: readonly (readonly [object, string])[] = [
    [{ storage: "float8" }, 'storage is "float8", expected'],
    [{ storage: null }, "storage"],
    [{ storage: 16 }, "storage"],
    [{ storage: ["int8"] }, "storage"],
    [{ storage: { keys: "int4" } }, 'storage.keys is "int4", expected'],
    [{ storage: { key: "int8" } }, 'storage field "key" is unknown'],
    [{ storage: "int8", rotary: true }, 'storage.keys is "int8" with rotary, expected "float32"'],
    [{ storage: "float16", value: [[5], [65520]] }, "value has a number beyond float16, expected"],
  ];
  for (const [options, message] of bad) {
    const given = { ...SMALL, ...options } as DynamicAttentionOptions;
    await assertRejects(() => DynamicAttention.create(given), InputError, message);
    await assertRejects(() => attention(given), InputError, message);
  }
  await using turned = await DynamicAttention.create({ ...SMALL, rotary: true, storage: { values: "int8" } });
  assertEquals(turned.getValue(1), roundedRow([6], 1, { keys: "float32", values: "int8" }, "values"));
  await using plain = await DynamicAttention.create({ ...SMALL, storage: "float32" });
  assertEquals("storage" in plain.stats(), false);
});

Deno.test("storage: an edit that float16 does not take changes nothing", async () => {
  await using live = await DynamicAttention.create({ ...SMALL, storage: "float16" });
  const before = await live.read(), { edits } = live.stats();
  const edits16: readonly (() => unknown)[] = [
    () => live.setKey(0, [1, 7e4]),
    () => live.setValue(0, [-7e4]),
    () => live.set(0, [0, 0], [1e30]),
    () => live.insert([7e4, 0], [1]),
    () => live.addToKey(1, 0, 1e5),
    () =>
      live.edit([{ kind: "setValue", slot: 0, value: [9] }, {
        kind: "addToValue",
        slot: 0,
        column: 0,
        delta: 7e4,
      }]),
  ];
  for (const edit of edits16) assertThrows(edit, InputError, "beyond float16");
  assertEquals([live.stats().edits, [...live.keySlots()], live.getKey(0)], [
    edits,
    [0, 1],
    Float32Array.of(1, 2),
  ]);
  assertEquals(await live.read(), before);
});

Deno.test("storage: files of rows that no engine can have kept are refused", async () => {
  await using live = await DynamicAttention.create({
    ...SMALL,
    storage: { keys: "int8", values: "float16" },
  });
  const bytes = await live.save();
  const forgeries: readonly (readonly [string, Parameters<typeof forge>[1]])[] = [
    ["row 1 is not rounded", ({ tensors }) => tensors["key.scales"].data[1] = 0.3],
    ["row 0 is not rounded", ({ tensors }) => tensors.key.data[0] = -128],
    ["row 0 is not rounded", ({ tensors }) => tensors.value.data[0] = 0x7c00],
    ["tensor key.errors has -1 at index 0", ({ tensors }) => tensors["key.errors"].data[0] = -1],
    ["tensor value.errors has NaN at index 1", ({ tensors }) => tensors["value.errors"].data[1] = NaN],
    ["tensor key.errors is missing", ({ tensors }) => delete tensors["key.errors"]],
    ["tensor key.scales is missing", ({ tensors }) => delete tensors["key.scales"]],
    ["tensor value is F16 [1, 1], expected F16 [2, 1]", ({ tensors }) => {
      tensors.value = { shape: [1, 1], data: tensors.value.data.slice(1) };
    }],
    ['metadata keyStorage is "int4"', ({ metadata }) => metadata.keyStorage = "int4"],
    ["metadata valueStorage is undefined", ({ metadata }) => delete metadata.valueStorage],
    ["metadata", ({ metadata }) => delete metadata.keyStorage],
    ["metadata", ({ metadata }) => metadata.keyStorage = metadata.valueStorage = "float32"],
    [
      'metadata keyStorage is "int8" with rotary',
      ({ metadata }) => metadata.rule = '{"rotary":{"base":10000,"dims":2,"interleaved":false}}',
    ],
  ];
  for (const [message, change] of forgeries) {
    await assertRejects(async () => DynamicAttention.load(await forge(bytes, change)), FormatError, message);
  }
});

Deno.test("storage: what a learner's step writes is kept as everything is", async () => {
  const random = new Random(9), storage = { keys: "float16", values: "int8" } as const;
  await using live = await DynamicAttention.create({
    query: random.rows(3, 4),
    key: random.rows(6, 4),
    value: random.rows(6, 2),
    storage,
  });
  const learner = new OnlineLearner(live, { rate: 0.3 });
  const first = live.getKey(0);
  for (let step = 0; step < 10; step++) await learner.learnOne({ row: random.row(4) }, random.row(2));
  assert(live.getKey(0).some((x, c) => x !== first[c]), "it learned");
  for (const slot of live.keySlots()) {
    assertEquals(live.getKey(slot), roundedRow(live.getKey(slot), 4, storage, "keys"));
    assertEquals(live.getValue(slot), roundedRow(live.getValue(slot), 2, storage, "values"));
  }
});
