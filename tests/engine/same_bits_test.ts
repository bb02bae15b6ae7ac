// The bits of a head row depend on its own query, on the keys, and on the moments at which the row was
// brought up to date: not on the rows beside it, on how many are asked together, on threads, or on what was
// deleted.
//
// On `wasm` the eight rows of a block are brought up to date together, so rows of other blocks are compared
// where keys change between reads.

import { DynamicAttention } from "../../mod.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { casesOn, QUICK_BACKENDS } from "../backends_here.ts";
import { Random } from "../../testing/random.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";
/** The spread of scores, from nearly equal weights to one key that has it all. */
const SPREADS = [1e-3, 0.1, 1, 3, 10, 40, 300];

/** Sizes and rows of one case. */
function caseOf(random: Random) {
  const heads = random.pick([1, 1, 2]), headDim = 1 + random.below(9), valueDim = 1 + random.below(12);
  const spread = random.pick(SPREADS) * random.pick([0.5, 1, 2]);
  const size = Math.sqrt(spread);
  const query = random.rows(1 + random.below(24), heads * headDim, size);
  const key = random.rows(1 + random.below(90), heads * headDim, size);
  // Rows of very different weights lie side by side in a block.
  for (const row of query) {
    if (random.below(3) === 0) row.forEach((x, c) => row[c] = x * random.pick([0.01, 5]));
  }
  const value = random.rows(key.length, heads * valueDim, random.pick([1, 1, 1e4]));
  return { heads, headDim, valueDim, size, query, key, value };
}

/** A number for each bit pattern, so that −0 is not 0. */
function bitsOf(data: Float32Array): number[] {
  return [...new Uint32Array(data.buffer, data.byteOffset, data.length)];
}

async function checkSeeds(count: number, check: (random: Random) => Promise<void>): Promise<void> {
  for (let seed = 1; seed <= count; seed++) {
    try {
      await check(new Random(seed));
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
}

for (const backend of QUICK_BACKENDS) {
  const seeds = casesOn(backend, LONG ? 1500 : 30);

  Deno.test(`same bits: a row built alone, in a batch, and as a passing query on ${backend}`, async () => {
    await checkSeeds(seeds, async (random) => {
      const { heads, query, key, value } = caseOf(random);
      await using all = await DynamicAttention.create({ query, key, value, heads, backend });
      const { data, shape: [, columns] } = await all.read();
      const passing = await all.attend(query);
      assertEquals(bitsOf(passing.data), bitsOf(data), "attend of all");
      const chosen = random.below(query.length);
      const row = bitsOf(data.subarray(chosen * columns, (chosen + 1) * columns));
      await using alone = await DynamicAttention.create({
        query: [query[chosen]],
        key,
        value,
        heads,
        backend,
      });
      assertEquals(bitsOf((await alone.read()).data), row, "a row of an engine of its own");
      assertEquals(bitsOf((await alone.peek()).output.data), row, "a stale look at it");
      assertEquals(bitsOf((await all.read([chosen])).data), row, "read alone");
      assertEquals(bitsOf((await all.attend([query[chosen]])).data), row, "a passing query alone");
    });
  });

  Deno.test(`same bits: rows that stream through patches, alone and among others on ${backend}`, async () => {
    await checkSeeds(seeds, async (random) => {
      const { heads, headDim, valueDim, size, query, key, value } = caseOf(random);
      const options = { key, value, heads, backend, onThreshold: "patch", lazyThreshold: Infinity } as const;
      const chosen = random.below(query.length);
      await using all = await DynamicAttention.create({ ...options, query });
      await using alone = await DynamicAttention.create({ ...options, query: [query[chosen]] });
      for (let round = 0; round < 6; round++) {
        for (let edits = random.pick([1, 2, 20, 40]); edits > 0; edits--) {
          const slot = random.below(key.length);
          const row = random.row(heads * headDim, size * random.pick([1, 1, 3])),
            other = random.row(heads * valueDim);
          const kind = random.below(3);
          for (const live of [all, alone]) {
            if (kind === 0) live.setKey(slot, row);
            else if (kind === 1) live.setValue(slot, other);
            else live.set(slot, row, other);
          }
        }
        const { data, shape: [, columns] } = await all.read();
        const expected = bitsOf(data.subarray(chosen * columns, (chosen + 1) * columns));
        assertEquals(bitsOf((await alone.read()).data), expected, `round ${round}`);
      }
    });
  });

  Deno.test(`same bits: a row is untouched by reads of others, whenever they are made, on ${backend}`, async () => {
    await checkSeeds(seeds, async (random) => {
      const { heads, headDim, valueDim, size, key, value } = caseOf(random);
      const query = random.rows(17 + random.below(8), heads * headDim, size);
      const options = { query, key, value, heads, backend, lazyThreshold: Infinity } as const;
      await using quiet = await DynamicAttention.create(options);
      await using busy = await DynamicAttention.create(options);
      for (let round = 0; round < 4; round++) {
        const most = Math.min(key.length, random.pick([6, 50]));
        for (let edits = random.pick([2, 6, 60]); edits > 0; edits--) {
          // Few slots, so that keys are edited again, undone, deleted and inserted.
          const slot = random.below(most), kind = random.below(5);
          const row = random.pick([key[slot], random.row(heads * headDim, size)]);
          const other = random.row(heads * valueDim);
          for (const live of [quiet, busy]) {
            if (kind === 0) live.set(slot, row, other);
            else if (kind < 3) live.setKey(slot, row);
            else if (kind === 3) live.setValue(slot, other);
            else live.edit([{ kind: "delete", slot }, { kind: "insert", key: row, value: other }]);
          }
          if (random.below(2) === 0) await busy.read([8 + random.below(query.length - 8)]);
        }
        assertEquals(
          bitsOf((await busy.read([3])).data),
          bitsOf((await quiet.read([3])).data),
          `round ${round}`,
        );
      }
    });
  });

  Deno.test(`same bits: keys that came and went leave none behind after a rebuild on ${backend}`, async () => {
    await checkSeeds(seeds, async (random) => {
      const { heads, headDim, valueDim, query, key, value } = caseOf(random);
      await using never = await DynamicAttention.create({ query, key, value, heads, backend });
      await using once = await DynamicAttention.create({ query, key, value, heads, backend });
      const huge = random.pick([1, 1e4, 1e18, 1e30]);
      const slots = Array.from({ length: 3 }, () => {
        return once.insert(random.row(heads * headDim, huge), random.row(heads * valueDim, huge));
      });
      await once.read();
      for (const slot of slots) once.delete(slot);
      await once.rebuild();
      assertEquals(bitsOf((await once.read()).data), bitsOf((await never.read()).data));
      assertEquals([...(await once.peek()).bounds], [...(await never.peek()).bounds]);
    });
  });

  Deno.test(`same bits: queries that came and went leave nothing in the others on ${backend}`, async () => {
    await checkSeeds(seeds, async (random) => {
      const { heads, headDim, query, key, value, size } = caseOf(random);
      await using never = await DynamicAttention.create({ query, key, value, heads, backend });
      await using once = await DynamicAttention.create({ query, key, value, heads, backend });
      for (let round = 0; round < 3; round++) {
        const slot = once.insertQuery(random.row(heads * headDim, size * random.pick([1, 100])));
        const changed = random.below(query.length), row = random.row(heads * headDim, size);
        for (const live of [never, once]) live.setQuery(changed, row);
        await once.read(random.below(2) === 0 ? undefined : [slot, changed]);
        once.deleteQuery(slot);
      }
      const expected = await never.read();
      assertEquals(bitsOf((await once.read()).data), bitsOf(expected.data));
      assertEquals(await once.topKeys(0, 5), await never.topKeys(0, 5));
      const [ours, theirs] = [await once.peek(), await never.peek()];
      assertEquals([...ours.bounds], [...theirs.bounds]);
      assert(expected.data.length > 0);
    });
  });
}
