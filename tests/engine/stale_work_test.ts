// Stale answers cost no more than exact ones, whatever is edited between two looks: counted work, and the questions
// that an answer asks of its backend. `deno task bench:stale` has the times.

import type { Backend, Cohort, Wanted } from "../../src/backends/backend.ts";
import { DynamicAttention, type DynamicAttentionOptions, type LazyThreshold } from "../../mod.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { assertEquals, assertGreater, assertLessOrEqual } from "../../testing/assert.ts";
import { EDIT_PATTERNS, type EditPattern, type PatternSizes } from "../../testing/edit_patterns.ts";
import { Wrapped } from "../../testing/fake_backends.ts";
import { Random } from "../../testing/random.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";

const SIZES: PatternSizes = { queries: 48, keys: 160, dim: 8 };
const LOOKS = 16;
/** Certificates of some microseconds, as here, are computed whatever they cost beside exact answers. */
const UNPRICED = 1.5;
/** Epochs that are left as they are, and those of groups of twice as many rows each. */
const MOST_COHORTS = 12;
/** An exponential, in multiply-adds. */
const EXPONENTIAL = 20;
const WAYS: Record<
  string,
  { readonly lazyThreshold: LazyThreshold; bounds: boolean }
> = {
  "without bounds": { lazyThreshold: Infinity, bounds: false },
  "with bounds": { lazyThreshold: Infinity, bounds: true },
  "without bounds, up to 16 edits late": { lazyThreshold: 16, bounds: false },
  "within an error": { lazyThreshold: { error: 0.05 }, bounds: true },
  "without an error": { lazyThreshold: { error: 0 }, bounds: true },
};

function engineOf(random: Random, sizes: PatternSizes, more: Partial<DynamicAttentionOptions>) {
  const { queries, keys, dim } = sizes;
  return {
    query: random.rows(queries, dim),
    key: random.rows(keys, dim),
    value: random.rows(keys, dim),
    ...more,
  };
}

/** The counted work of looks, without that of creating the engine. */
async function workOf(
  pattern: EditPattern,
  options: Partial<DynamicAttentionOptions>,
  look: (live: DynamicAttention, slots?: Uint32Array) => Promise<unknown>,
): Promise<number> {
  const random = new Random(11);
  await using live = await DynamicAttention.create(
    engineOf(random, SIZES, { ...pattern.options?.(SIZES), ...options }),
  );
  const costSoFar = () => live.stats().multiplyAdds + EXPONENTIAL * live.stats().exponentials;
  const before = costSoFar();
  for (let at = 0; at < LOOKS; at++) {
    await pattern.edit(live, random, SIZES, at);
    await look(live, pattern.slots?.(random, SIZES, at));
  }
  return costSoFar() - before;
}

for (const backend of QUICK_BACKENDS) {
  Deno.test(`stale work on ${backend}: no more than that of exact answers, whatever is edited`, async () => {
    for (const pattern of EDIT_PATTERNS) {
      const exact = await workOf(pattern, { backend }, (live, slots) => live.read(slots));
      for (const [name, { lazyThreshold, bounds }] of Object.entries(WAYS)) {
        const stale = await workOf(
          pattern,
          { backend, lazyThreshold },
          (live, slots) => live.peek(slots, { bounds }),
        );
        assertLessOrEqual(
          stale,
          (name === "with bounds" ? UNPRICED : 1.1) * exact,
          `${pattern.name}, ${name}`,
        );
      }
    }
  });
}

/** Counts the questions of answers. */
class Counting extends Wrapped {
  reads = 0;
  certificates = 0;

  override read(cohort: Cohort, wanted: Wanted, parts?: readonly Cohort[]) {
    this.reads++;
    return super.read(cohort, wanted, parts);
  }

  override certify(cohort: Cohort) {
    this.certificates++;
    return super.certify(cohort);
  }
}

for (const backend of QUICK_BACKENDS) {
  Deno.test(`stale work on ${backend}: rows that leave the others one by one are one question`, async () => {
    for (
      const name of [
        "a key and a query",
        "a key and a query leave, others come",
        "a key, and 16 rows are read first",
      ]
    ) {
      const pattern = EDIT_PATTERNS.find((of) => of.name === name) as EditPattern;
      const random = new Random(5), made: Counting[] = [];
      const wrap = (inner: Backend) => {
        const counting = new Counting(inner);
        made.push(counting);
        return counting;
      };
      await using live = await createEngine(engineOf(random, SIZES, { backend, lazyThreshold: Infinity }), {
        wrap,
      });
      for (let at = 0; at < 4 * LOOKS; at++) {
        await pattern.edit(live, random, SIZES, at);
        const [counting] = made, before = { reads: counting.reads, certificates: counting.certificates };
        await live.peek(undefined, { bounds: at % 2 === 1 });
        assertEquals(counting.reads - before.reads, 1, name);
        assertLessOrEqual(counting.certificates - before.certificates, MOST_COHORTS, name);
      }
    }
  });

  Deno.test(`stale work on ${backend}: rows within an error share a bound where a mask is`, async () => {
    const { queries, keys, dim } = SIZES, random = new Random(8), made: Counting[] = [];
    const mask = Array.from(
      { length: queries },
      () => Array.from({ length: keys }, () => 10 * random.normal()),
    );
    const options = engineOf(random, SIZES, { mask, editableMask: true });
    const wrap = (inner: Backend) => {
      const counting = new Counting(inner);
      made.push(counting);
      return counting;
    };
    await using live = await createEngine({ ...options, backend, lazyThreshold: { error: 0.05 } }, { wrap });
    await using exact = await DynamicAttention.create({ ...options, backend: "array" });
    for (let at = 0; at < LOOKS; at++) {
      const pair = { queries: [random.below(queries)], keys: [random.below(keys)] };
      const bias = at % 2 === 0 ? false : 10 * random.normal();
      for (const engine of [live, exact]) engine.setMask(bias, pair);
      const { output, bounds } = await live.peek(), { data } = await exact.read();
      for (let row = 0; row < queries; row++) {
        let squared = 0;
        for (let c = row * dim; c < (row + 1) * dim; c++) squared += (output.data[c] - data[c]) ** 2;
        assertLessOrEqual(Math.sqrt(squared), bounds[row]);
        if (made[0].watched === null) assertLessOrEqual(bounds[row], 0.01, "a bias of 50 takes three digits");
      }
    }
    assertEquals(made[0].certificates, 0);
    // This forbids the pair in all but name, and is above the limit in any bound that does not know it.
    live.setMask(-1e9, { queries: [1], keys: [2] });
    const { bounds } = await live.peek();
    for (const bound of bounds) assertLessOrEqual(bound, 0.01, "certified");
    assertEquals(made[0].certificates, 1);
  });

  Deno.test(`stale work on ${backend}: a bias that is gone counts in no bound once it is forgotten`, async () => {
    const random = new Random(9), { queries, keys } = SIZES;
    const mask = Array.from({ length: queries }, () => Array.from({ length: keys }, () => random.normal()));
    const options = engineOf(random, SIZES, {
      mask,
      editableMask: true,
      backend,
      lazyThreshold: { error: 1 },
    });
    await using live = await DynamicAttention.create(options);
    const before = (await live.peek()).bounds, pair = { queries: [3], keys: [5] };
    live.setMask(50, pair);
    const during = (await live.peek()).bounds;
    live.setMask(mask[3][5], pair);
    await live.flush();
    const after = (await live.peek()).bounds;
    for (let row = 0; row < queries; row++) assertGreater(during[row], before[row]);
    assertEquals(after, before);
  });

  Deno.test(`stale work on ${backend}: many changed keys at once are caught up with, and bounds hold`, async () => {
    const random = new Random(6), sizes: PatternSizes = { queries: 512, keys: 160, dim: 8 };
    const options = engineOf(random, sizes, { backend, lazyThreshold: Infinity });
    await using live = await DynamicAttention.create(options);
    await live.read();
    const before = live.stats().rowsPatched + live.stats().rowsBuilt;
    for (let slot = 0; slot < 40; slot++) live.setKey(slot, random.row(sizes.dim));
    const { output, bounds, pending } = await live.peek();
    assertEquals(pending, 0, "certificates of twenty thousand pairs take longer");
    assertEquals(live.stats().rowsPatched + live.stats().rowsBuilt - before, sizes.queries);
    const exact = await live.read();
    bounds.forEach((bound, row) => {
      const distance = Math.hypot(
        ...Array.from(
          { length: sizes.dim },
          (_, c) => output.data[row * sizes.dim + c] - exact.data[row * sizes.dim + c],
        ),
      );
      assertLessOrEqual(distance, bound);
      assertGreater(1e-2, bound);
    });
  });
}
