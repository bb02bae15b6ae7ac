import fc from "fast-check";
import { assert, assertEquals, assertThrows } from "./assert.ts";
import { DynamicAttention } from "../mod.ts";
import { InputError } from "../src/errors.ts";
import { type FlushPolicy, Planner, type Sizes, toFlushPolicy } from "../src/lazy/planner.ts";

const COSTS = { exponential: 8, compensatedAdd: 3 };
const SIZES: Sizes = { rowCount: 10, keyCount: 1000, headDim: 16, valueDim: 8 };

// The costs as the design states them, apart from the planner's own: a changed key costs a row two scores, two
// weights and two compensated additions; a rebuild costs a row each of these once a key, uncompensated.
function patchCost({ rowCount, headDim, valueDim }: Sizes, changes: number): number {
  return rowCount * changes * 2 * (headDim + COSTS.exponential + valueDim * COSTS.compensatedAdd);
}

function rebuildCost({ rowCount, keyCount, headDim, valueDim }: Sizes): number {
  return rowCount * keyCount * (headDim + COSTS.exponential + valueDim);
}

function flushCost(sizes: Sizes, changes: number): number {
  return Math.min(patchCost(sizes, changes), rebuildCost(sizes));
}

function overlayCost(sizes: Sizes, rows: number, changes: number): number {
  return patchCost({ ...sizes, rowCount: rows }, changes);
}

Deno.test("auto takes the cheaper plan on either side of the point where they cost the same", () => {
  const planner = new Planner("auto", COSTS);
  // 96 a changed key against 32 a key: 1000 keys are rebuilt for what 333⅓ changes cost.
  assertEquals(planner.planFlush(SIZES, 1), "patch");
  assertEquals(planner.planFlush(SIZES, 333), "patch");
  assertEquals(planner.planFlush(SIZES, 334), "rebuild");
  assertEquals(planner.planFlush(SIZES, 1000), "rebuild");
  assertEquals(planner.planFlush({ ...SIZES, keyCount: 0 }, 1), "rebuild");
});

Deno.test("auto never takes the dearer plan", () => {
  const size = fc.integer({ min: 1, max: 300 });
  fc.assert(fc.property(size, size, size, size, size, (rowCount, keyCount, headDim, valueDim, changes) => {
    const sizes = { rowCount, keyCount, headDim, valueDim };
    const plan = new Planner("auto", COSTS).planFlush(sizes, changes);
    const cost = plan === "patch" ? patchCost(sizes, changes) : rebuildCost(sizes);
    assertEquals(cost, flushCost(sizes, changes));
  }));
});

Deno.test("patch and rebuild are followed to the letter, but nothing is rebuilt for nothing", () => {
  for (const changes of [1, 333, 334, 5000]) {
    assertEquals(new Planner("patch", COSTS).planFlush(SIZES, changes), "patch");
    assertEquals(new Planner("rebuild", COSTS).planFlush(SIZES, changes), "rebuild");
  }
  for (const policy of ["auto", "patch", "rebuild"] as const) {
    assertEquals(new Planner(policy, COSTS).planFlush(SIZES, 0), "patch");
  }
});

Deno.test("a read flushes at once when its overlay costs no less than the flush", () => {
  assertEquals(new Planner("auto", COSTS).planRead(SIZES, 9, 5), "overlay");
  assertEquals(new Planner("auto", COSTS).planRead(SIZES, 10, 5), "flush");
  // The flush of 1000 changes is a rebuild, which 3.34 rows of overlay cost as much as.
  assertEquals(new Planner("auto", COSTS).planRead(SIZES, 3, 1000), "overlay");
  assertEquals(new Planner("auto", COSTS).planRead(SIZES, 4, 1000), "flush");
  assertEquals(new Planner("patch", COSTS).planRead(SIZES, 4, 1000), "overlay");
  // Under "rebuild" the flush is dear also for a few changes, so a read of all rows is overlaid.
  assertEquals(new Planner("rebuild", COSTS).planRead(SIZES, 10, 5), "overlay");
});

Deno.test("overlays go on until they have cost what the flush would have, and then from the start again", () => {
  const planner = new Planner("auto", COSTS);
  const plans = () => Array.from({ length: 5 }, () => planner.planRead(SIZES, 3, 7));
  assertEquals(plans(), ["overlay", "overlay", "overlay", "flush", "flush"]);
  planner.settled();
  assertEquals(plans(), ["overlay", "overlay", "overlay", "flush", "flush"]);
});

Deno.test("reads of pending edits cost at most twice what the best course costs, whatever reads follow", () => {
  const size = fc.integer({ min: 1, max: 100 });
  const reads = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(
      size,
      size,
      size,
      size,
      size,
      reads,
      (rowCount, keyCount, headDim, valueDim, changes, reads) => {
        const sizes = { rowCount, keyCount, headDim, valueDim };
        const planner = new Planner("auto", COSTS);
        const flush = flushCost(sizes, changes);
        let cost = 0, overlayAll = 0, pending = true;
        for (const read of reads) {
          const rows = Math.min(read, rowCount);
          const overlay = overlayCost(sizes, rows, changes);
          overlayAll += overlay;
          if (!pending) continue;
          if (planner.planRead(sizes, rows, changes) === "overlay") cost += overlay;
          else {
            cost += flush;
            planner.settled();
            pending = false;
          }
        }
        // A clairvoyant flushes before the first read or never: an overlay before the flush is only lost.
        const best = Math.min(overlayAll, flush);
        assert(cost <= 2 * best, `${cost} against ${best}`);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("twice the best course is what reads of one row at a time can make it cost, and no more", () => {
  const sizes = { ...SIZES, rowCount: 100 };
  const planner = new Planner("auto", COSTS);
  let overlays = 0;
  while (planner.planRead(sizes, 1, 5) === "overlay") overlays++;
  assertEquals(overlays, 99);
});

Deno.test("also with edits between the reads: at most twice what either simple policy costs", () => {
  const size = fc.integer({ min: 1, max: 100 });
  const step = fc.oneof(
    fc.record({ read: fc.integer({ min: 1, max: 100 }) }),
    fc.record({ edit: fc.integer({ min: 1, max: 40 }) }),
  );
  const steps = fc.array(step, { maxLength: 200 });
  fc.assert(
    fc.property(size, size, size, size, steps, (rowCount, keyCount, headDim, valueDim, steps) => {
      const sizes = { rowCount, keyCount, headDim, valueDim };
      const planner = new Planner("auto", COSTS);
      let cost = 0, pending = 0;
      let overlayAlways = 0, everEdited = 0;
      let flushAlways = 0, unflushed = 0;
      for (const step of steps) {
        if ("edit" in step) {
          pending += step.edit;
          everEdited += step.edit;
          unflushed += step.edit;
          continue;
        }
        const rows = Math.min(step.read, rowCount);
        overlayAlways += overlayCost(sizes, rows, everEdited);
        if (unflushed > 0) flushAlways += flushCost(sizes, unflushed);
        unflushed = 0;
        if (pending === 0) continue;
        if (planner.planRead(sizes, rows, pending) === "overlay") cost += overlayCost(sizes, rows, pending);
        else {
          cost += flushCost(sizes, pending);
          planner.settled();
          pending = 0;
        }
      }
      assert(cost <= 2 * overlayAlways, `${cost} against ${overlayAlways} by overlays`);
      assert(cost <= 2 * flushAlways, `${cost} against ${flushAlways} by flushes`);
    }),
    { numRuns: 500 },
  );
});

Deno.test("an engine plans by rows, one a query and head", async () => {
  const rows = (count: number, columns: number) =>
    Array.from({ length: count }, (_, i) => Array.from({ length: columns }, (_, c) => (i + c) % 7));
  // A read of one query of 12 costs a twelfth of the flush, whatever a query's heads.
  for (const heads of [1, 4]) {
    await using live = await DynamicAttention.create({
      query: rows(12, 2 * heads),
      key: rows(500, 2),
      value: rows(500, 3),
      heads,
      kvHeads: 1,
    });
    for (let slot = 0; slot < 5; slot++) live.addToKey(slot, 0, 1);
    for (let read = 0; read < 20; read++) await live.read([read % 12]);
    assertEquals([live.stats().overlays, live.stats().pending], [11, 0], `${heads} heads`);
  }
});

Deno.test("overlays of edits that were undone are forgotten with them", async () => {
  const rows = (count: number) => Array.from({ length: count }, (_, i) => [i % 7, i % 5]);
  await using live = await DynamicAttention.create({ query: rows(10), key: rows(500), value: rows(500) });
  for (let slot = 0; slot < 5; slot++) live.addToKey(slot, 0, 1);
  for (let read = 0; read < 9; read++) await live.read([0]);
  assertEquals([live.stats().overlays, live.stats().pending], [9, 5]);
  for (let slot = 0; slot < 5; slot++) live.addToKey(slot, 0, -1);
  assertEquals(live.stats().pending, 0);
  live.addToKey(9, 0, 1);
  await live.read([0]);
  assertEquals(
    [live.stats().overlays, live.stats().pending],
    [10, 1],
    "a new edit was flushed for an old read",
  );
});

Deno.test("the plan of an engine is auto unless given, and nothing but one of three", () => {
  assertEquals(toFlushPolicy("create"), "auto");
  for (const policy of ["auto", "patch", "rebuild"] as const) {
    assertEquals(toFlushPolicy("create", policy), policy);
  }
  for (const bad of ["", "Auto", "never", null, 1, ["patch"], new String("patch")]) {
    const error = assertThrows(() => toFlushPolicy("create", bad as FlushPolicy), InputError);
    assertEquals([error.operation, error.expected], ["create", '"auto", "patch" or "rebuild"']);
  }
});
