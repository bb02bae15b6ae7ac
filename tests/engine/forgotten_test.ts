// A row that is deleted is gone: after a deletion and a flush no byte of `save()`, of the memory of an engine
// or of memory that is handed on holds a number of the row, or one that follows from it alone.

import { DynamicAttention } from "../../mod.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { BACKENDS, casesOn } from "../backends_here.ts";
import { arraysHeldAfter } from "../../testing/held_arrays.ts";
import { Random } from "../../testing/random.ts";
import { roundedRow, STORAGES } from "../../testing/rounded_rows.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";

/** Every memory that was made since this file was loaded; engines hand them on. */
const memories: WebAssembly.Memory[] = [];
const { Memory } = WebAssembly;
WebAssembly.Memory = class extends Memory {
  constructor(descriptor: WebAssembly.MemoryDescriptor) {
    super(descriptor);
    memories.push(this);
  }
};
Deno.test.afterAll(() => {
  WebAssembly.Memory = Memory;
});

/** Searches what an engine has written and all memories. */
async function assertForgotten(
  live: DynamicAttention,
  planted: readonly number[],
  seed: number,
): Promise<void> {
  memories.forEach(({ buffer }, at) => assertGone(buffer, planted, `seed ${seed}, memory ${at}`));
  assertGone((await live.save()).buffer, planted, `seed ${seed}, save()`);
  memories.forEach(({ buffer }, at) => assertGone(buffer, planted, `seed ${seed}, memory ${at} once saved`));
  await live.dispose();
  memories.forEach(({ buffer }, at) =>
    assertGone(buffer, planted, `seed ${seed}, memory ${at} once disposed`)
  );
}

/** The planted numbers and what follows from each alone, as float32 and as float64. */
function traces(planted: readonly number[]): { floats: Set<number>; doubles: Set<number> } {
  const length = Math.hypot(...planted);
  const numbers = [...planted, length].flatMap((
    x,
  ) => [x, x / 2, 2 * x, x * x, Math.sqrt(Math.abs(x)), 1 / x]);
  const doubles = numbers.flatMap((x) => [x, -x]);
  return { floats: new Set(doubles.map(Math.fround)), doubles: new Set(doubles) };
}

/**
 * Fails when a trace lies at any place where a number can be: a file and a memory have them at multiples of
 * four bytes.
 */
function assertGone(buffer: ArrayBufferLike, planted: readonly number[], where: string): void {
  const { floats, doubles } = traces(planted);
  const words = new Float32Array(buffer, 0, buffer.byteLength >> 2), view = new DataView(buffer);
  for (let at = 0; at < words.length; at++) {
    if (words[at] === 0) continue;
    assert(!floats.has(words[at]), `${where}: ${words[at]} is still there as float32, at byte ${4 * at}`);
    if (at + 1 === words.length) break;
    const double = view.getFloat64(4 * at, true);
    assert(
      double === 0 || !doubles.has(double),
      `${where}: ${double} is still there as float64, at ${4 * at}`,
    );
  }
}

/** Numbers that come about in no other way. */
function plant(random: Random, length: number, size: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => size * (1 + random.next()) * random.pick([1, -1]));
}

/** Whether a number comes about in no other way: rounding makes 0, and whole ones, of some. */
function isTelling(number: number): boolean {
  return Math.abs(number) > 1e-6 && !Number.isInteger(2 ** 8 * number);
}

for (const backend of BACKENDS) {
  const seeds = casesOn(backend, LONG ? 300 : 6);

  Deno.test(`forgotten: keys, values and queries that were deleted, on ${backend}`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const random = new Random(seed);
      const heads = random.pick([1, 2]), headDim = 1 + random.below(6), valueDim = 1 + random.below(6);
      const size = random.pick([1e-3, 1, 50, 1e6]), hasMask = random.below(3) === 0;
      const planted: number[] = [];
      const count = random.pick([1, 5, 40]);
      // What is kept is another number then, and so is what must be gone.
      const storage = size === 50 ? random.pick([undefined, ...STORAGES]) : undefined;
      const live = await DynamicAttention.create({
        query: random.rows(3, heads * headDim),
        key: random.rows(count, heads * headDim),
        value: random.rows(count, heads * valueDim),
        heads,
        backend,
        ...(storage ? { storage } : {}),
        ...(hasMask ? { mask: (i: number, j: number) => (i + j) % 3 > 0 } : {}),
      });
      for (let round = 0; round < 4; round++) {
        const key = plant(random, heads * headDim, size), value = plant(random, heads * valueDim, size);
        const query = plant(random, heads * headDim, size);
        planted.push(...roundedRow(key, headDim, storage, "keys").filter(isTelling));
        planted.push(...roundedRow(value, valueDim, storage, "values").filter(isTelling), ...query);
        const slot = live.insert(key, value), querySlot = live.insertQuery(query);
        if (random.below(2) === 0) await live.read();
        if (random.below(2) === 0) await live.peek();
        // Tables grow while the row is there, and other rows fall behind.
        for (let more = random.pick([0, 3, 60]); more > 0; more--) {
          live.insert(random.row(heads * headDim), random.row(heads * valueDim));
          if (random.below(20) === 0) await live.read([random.below(3)]);
        }
        if (random.below(2) === 0) live.addToKey(slot, 0, 0.5);
        if (random.below(2) === 0) await live.peek([random.below(3)]);
        live.delete(slot);
        if (random.below(2) === 0) await live.read([random.below(3)]);
        live.deleteQuery(querySlot);
        if (random.below(2) === 0) await live.topKeys(0, 2);
      }
      await live.flush();
      await assertForgotten(live, planted, seed);
    }
  });

  Deno.test(`forgotten: rows that were replaced, on ${backend}`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const random = new Random(seed);
      const planted = [...plant(random, 4, 30), ...plant(random, 3, 30)];
      const live = await DynamicAttention.create({
        query: random.rows(9, 4),
        key: [planted.slice(0, 4), ...random.rows(2, 4)],
        value: [planted.slice(4), ...random.rows(2, 3)],
        backend,
      });
      await live.peek();
      live.set(0, random.row(4), random.row(3));
      if (random.below(2) === 0) await live.read([1]);
      await live.peek();
      await live.flush();
      await assertForgotten(live, planted, seed);
    }
  });

  Deno.test(`forgotten: no array that an engine on ${backend} holds has a number of a deleted row`, async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const random = new Random(seed);
      const format = (["float32", "float32", "float16", "int8"] as const)[seed - 1];
      const storage = { keys: format, values: format };
      const planted = Array.from({ length: 3 }, () => ({
        query: plant(random, 4, 30),
        key: roundedRow(plant(random, 4, 30), 4, storage, "keys"),
        value: roundedRow(plant(random, 3, 30), 3, storage, "values"),
      }));
      const { kept: live, held } = await arraysHeldAfter(async () => {
        const live = await DynamicAttention.create({
          query: random.rows(9, 4),
          key: random.rows(20, 4),
          value: random.rows(20, 3),
          backend,
          lazyThreshold: random.pick([Infinity, 4]),
          storage,
        });
        for (const { query, key, value } of planted) {
          const slot = live.insert([...key], [...value]), querySlot = live.insertQuery([...query]);
          live.addToKey(1, 0, 0.25);
          await live.peek();
          live.setKey(2, random.row(4));
          await live.read([random.below(9), querySlot]);
          if (random.below(2) === 0) await live.weights(querySlot);
          live.edit([{ kind: "deleteQuery", slot: querySlot }, { kind: "delete", slot }]);
          await live.peek([3]);
        }
        await live.flush();
        return live;
      }, (path) => path.includes("/src/"));
      const numbers = planted.flatMap(({ query, key, value }) =>
        [...query, ...key, ...value].filter(isTelling)
      );
      assert(held.length > 0, "the search finds no array");
      for (const array of held) {
        assertGone(array.buffer, numbers, `seed ${seed}, a ${array.constructor.name} of ${array.length}`);
      }
      await live.dispose();
    }
  });

  Deno.test(`forgotten: an engine that forgot is saved as one that never knew, on ${backend}`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const random = new Random(seed);
      const query = random.rows(3, 4), key = random.rows(5, 4), value = random.rows(5, 3);
      await using never = await DynamicAttention.create({ query, key, value, backend });
      await using once = await DynamicAttention.create({ query, key, value, backend });
      const slot = once.insert(plant(random, 4, 1e5), plant(random, 3, 1e9));
      await once.read();
      once.delete(slot);
      await once.rebuild();
      // A slot that was given out once stays known as free.
      never.delete(never.insert(random.row(4), random.row(3)));
      await never.rebuild();
      assertEquals(await once.save(), await never.save(), `seed ${seed}`);
    }
  });
}
