// A head row has the same bits alone and in any company on `webgpu`: sums of many keys are cut into parts by
// the number of key slots alone, and neither the batch, the page, the window of a dispatch nor the number of
// rows that are refreshed together changes a bit. ATTUNE_LONG=1 runs more seeds.

import type { DynamicAttention, Matrix } from "../../../mod.ts";
import { WebgpuBackend } from "../../../src/backends/webgpu/webgpu_backend.ts";
import { acquireDevice, type GpuDevice } from "../../../src/backends/webgpu/device.ts";
import { MOST_PARTS, PART_TERMS, partsOf } from "../../../src/backends/webgpu/key_parts.ts";
import { createEngine } from "../../../src/engine/create_engine.ts";
import { assertEquals, assertGreater } from "../../../testing/assert.ts";
import { GPU } from "../../backends_here.ts";
import { Random } from "../../../testing/random.ts";
import { saying } from "../../../testing/webgpu_engine.ts";

const SEEDS = Deno.env.get("ATTUNE_LONG") === "1" ? 60 : 7;
/** Scores from nearly equal weights to one key that has it all. */
const SPREADS = [1e-3, 0.1, 1, 3, 10, 40, 300];

interface Rows {
  readonly query: Float32Array[];
  readonly key: Float32Array[];
  readonly value: Float32Array[];
}

/** An engine on a device of which something else is said. */
async function engineOn(rows: Rows, heads: number, said: Partial<GpuDevice> = {}): Promise<DynamicAttention> {
  const gpu = saying(await acquireDevice(), said);
  const { query: [query], value: [value] } = rows;
  const layout = { heads, kvHeads: heads, headDim: query.length / heads, valueDim: value.length / heads };
  const rule = { scale: 1, softcap: 0, before: Infinity, after: Infinity };
  const backend = new WebgpuBackend(
    { layout, rule, maskHeads: 0, tolerance: 1e-8 },
    () => Promise.resolve(gpu),
  );
  const options = {
    heads,
    scale: 1,
    onThreshold: "patch",
    lazyThreshold: Infinity,
    backend: "array",
  } as const;
  return await createEngine({ ...options, ...rows }, { wrap: () => backend });
}

/** A number for each bit pattern, so that −0 is not 0. */
function bitsOf({ data, shape: [, columns] }: Matrix, row: number): number[] {
  const numbers = data.slice(row * columns, (row + 1) * columns);
  return [...new Uint32Array(numbers.buffer)];
}

Deno.test("key parts: cut by the number of slots alone, doubled when there would be too many", () => {
  assertEquals(partsOf(0), { count: 1, terms: PART_TERMS });
  assertEquals(partsOf(PART_TERMS), { count: 1, terms: PART_TERMS });
  assertEquals(partsOf(PART_TERMS + 1), { count: 2, terms: PART_TERMS });
  assertEquals(partsOf(MOST_PARTS * PART_TERMS), { count: MOST_PARTS, terms: PART_TERMS });
  assertEquals(partsOf(MOST_PARTS * PART_TERMS + 1), { count: MOST_PARTS / 2 + 1, terms: 2 * PART_TERMS });
  assertEquals(partsOf(5000, 3), { count: 3, terms: 4 * PART_TERMS });
});

Deno.test({
  name: "webgpu: a row of many keys has the same bits built alone, in a batch, passing, and on small pages",
  ...GPU,
  async fn() {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed), size = Math.sqrt(SPREADS[seed % SPREADS.length]), heads = 1 + seed % 2;
      const keys = random.pick([300, 512, 513, 1100, 1500]), d = heads * (2 + random.below(6));
      const rows = {
        query: random.rows(70, d, size),
        key: random.rows(keys, d, size),
        value: random.rows(keys, heads * (1 + random.below(4)), random.pick([1, 1e4])),
      };
      const chosen = random.below(70), what = `seed ${seed}, ${keys} keys`;
      const all = await engineOn(rows, heads), read = await all.read();
      const expected = bitsOf(read, chosen);
      assertEquals(bitsOf(await all.attend(rows.query), chosen), expected, `${what}: passing`);
      assertEquals(bitsOf(await all.attend([rows.query[chosen]]), 0), expected, `${what}: passing alone`);
      const alone = await engineOn({ ...rows, query: [rows.query[chosen]] }, heads);
      assertEquals(bitsOf((await alone.peek()).output, 0), expected, `${what}: alone, peeked`);
      assertEquals(bitsOf(await alone.read(), 0), expected, `${what}: alone`);
      const { arithmetic } = await acquireDevice();
      for (
        const said of [
          { largestBinding: 2 ** 15 },
          { arithmetic: { ...arithmetic, mostRounds: 2600 } },
        ]
      ) {
        const cut = await engineOn(rows, heads, said);
        assertEquals(bitsOf(await cut.read(), chosen), expected, `${what}: ${JSON.stringify(said)}`);
        await cut.dispose();
      }
      await all.dispose();
      await alone.dispose();
    }
  },
});

Deno.test({
  name: "webgpu: rows that are patched, and refreshed in any number, have the bits of each alone",
  ...GPU,
  async fn() {
    let refreshes = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed), size = Math.sqrt(SPREADS[seed % SPREADS.length]);
      const keys = random.pick([40, 600, 1100]), d = 3;
      const rows = {
        query: random.rows(40, d, size),
        key: random.rows(keys, d, size),
        value: random.rows(keys, 2),
      };
      const chosen = random.below(40);
      const engines = [
        await engineOn(rows, 1),
        await engineOn({ ...rows, query: [rows.query[chosen]] }, 1),
        await engineOn(rows, 1, { largestBinding: 2 ** 15 }),
      ];
      const at = [chosen, 0, chosen];
      for (let round = 0; round < 6; round++) {
        // Keys that nearly are all of many rows come and go, so that rows have to be built again.
        for (let edits = random.pick([1, 3, 50]); edits > 0; edits--) {
          const slot = random.below(keys), key = random.row(d, size * random.pick([0, 1, 8]));
          const value = random.row(2, random.pick([1, 1, 1e6]));
          for (const live of engines) live.set(slot, key, value);
        }
        const answers = [];
        for (const [which, live] of engines.entries()) answers.push(bitsOf(await live.read(), at[which]));
        assertEquals(answers[1], answers[0], `seed ${seed}, round ${round}: alone`);
        assertEquals(answers[2], answers[0], `seed ${seed}, round ${round}: on small pages`);
      }
      refreshes += engines[1].stats().refreshes;
      for (const live of engines) await live.dispose();
    }
    assertGreater(refreshes, 0);
  },
});

Deno.test({
  name: "webgpu: slots that are empty again behind the others leave no trace in bits and bounds",
  ...GPU,
  async fn() {
    for (const keys of [30, 32, 510, 512, 700]) {
      const random = new Random(keys);
      const rows = { query: random.rows(3, 4), key: random.rows(keys, 4), value: random.rows(keys, 2) };
      const never = await engineOn(rows, 1), once = await engineOn(rows, 1);
      const slots = [0, 1, 2, 3].map(() => once.insert(random.row(4, 5), random.row(2, 5)));
      await once.read();
      for (const slot of slots) once.delete(slot);
      await once.rebuild();
      const [expected, found] = [await never.read(), await once.read()];
      for (let row = 0; row < 3; row++) {
        assertEquals(bitsOf(found, row), bitsOf(expected, row), `${keys} keys`);
      }
      // The ball around the values has its centre at the mean of a sample, which is drawn by the number of
      // slots.
      const isSampledAlike = Math.floor(keys / 128) === Math.floor((keys + slots.length) / 128);
      if (isSampledAlike) {
        assertEquals([...(await once.peek()).bounds], [...(await never.peek()).bounds], `${keys} keys`);
      }
      await never.dispose();
      await once.dispose();
    }
  },
});
