// Plans by cost, and what the engine makes of them: rows catch up when they are asked for, in the cheaper
// way.

import fc from "fast-check";
import { assertEquals, assertGreater, assertLess, assertThrows } from "../../testing/assert.ts";
import { DynamicAttention } from "../../mod.ts";
import { InputError } from "../../src/base/errors.ts";
import { type FlushPolicy, Planner, type Sizes, toFlushPolicy } from "../../src/schedule/planner.ts";
import { Random } from "../../testing/random.ts";

const COSTS = { exponential: 8, compensatedAdd: 3, rowsTogether: 1 };
const SIZES: Sizes = { keyCount: 1000, headDim: 16, valueDim: 8 };

// The costs as the design states them, apart from the planner's own: a changed key costs a row two scores,
// two weights and two compensated additions; from scratch, a row costs each of these once a key,
// uncompensated.
function patchCost({ headDim, valueDim }: Sizes, changes: number): number {
  return changes * 2 * (headDim + COSTS.exponential + valueDim * COSTS.compensatedAdd);
}

function buildCost({ keyCount, headDim, valueDim }: Sizes): number {
  return keyCount * (headDim + COSTS.exponential + valueDim);
}

Deno.test("auto takes the cheaper plan on either side of the point where they cost the same", () => {
  const planner = new Planner("auto", { costs: COSTS });
  // 96 a changed key against 32 a key: 1000 keys are built for what 333⅓ changes cost.
  assertEquals(planner.plan(SIZES, 1), "patch");
  assertEquals(planner.plan(SIZES, 333), "patch");
  assertEquals(planner.plan(SIZES, 334), "build");
  assertEquals(planner.plan(SIZES, 1000), "build");
  assertEquals(planner.plan({ ...SIZES, keyCount: 0 }, 1), "build");
});

Deno.test("auto never takes the dearer plan, and says what it costs", () => {
  const size = fc.integer({ min: 1, max: 300 });
  fc.assert(fc.property(size, size, size, size, (keyCount, headDim, valueDim, changes) => {
    const sizes = { keyCount, headDim, valueDim };
    const planner = new Planner("auto", { costs: COSTS });
    const cheaper = Math.min(patchCost(sizes, changes), buildCost(sizes));
    const cost = planner.plan(sizes, changes) === "patch" ? patchCost(sizes, changes) : buildCost(sizes);
    assertEquals([cost, planner.cost(sizes, changes)], [cheaper, cheaper]);
  }));
});

Deno.test("patch and rebuild are followed to the letter", () => {
  for (const changes of [1, 333, 334, 5000]) {
    assertEquals(new Planner("patch", { costs: COSTS }).plan(SIZES, changes), "patch");
    assertEquals(new Planner("rebuild", { costs: COSTS }).plan(SIZES, changes), "build");
  }
});

Deno.test("old rows are worth keeping until as many changes cost what building does", () => {
  assertEquals(Math.floor(new Planner("auto", { costs: COSTS }).breakEven(SIZES)), 333);
  assertEquals(new Planner("rebuild", { costs: COSTS }).breakEven(SIZES), 1000);
  assertEquals(new Planner("patch", { costs: COSTS }).breakEven(SIZES), Infinity);
  assertEquals(new Planner("auto", { costs: COSTS }).retainedLimit(SIZES), 4096);
  assertEquals(
    Math.floor(new Planner("auto", { costs: COSTS }).retainedLimit({ ...SIZES, keyCount: 99_000 })),
    33_000,
  );
  assertEquals(new Planner("patch", { costs: COSTS }).retainedLimit({ ...SIZES, keyCount: 99_000 }), 99_000);
});

Deno.test("the plan of an engine is auto unless given, and nothing but one of three", () => {
  assertEquals(toFlushPolicy("create"), "auto");
  for (const policy of ["auto", "patch", "rebuild"] as const) {
    assertEquals(toFlushPolicy("create", policy), policy);
  }
  for (const bad of ["", "Auto", "never", null, 1, ["patch"], new String("patch")]) {
    const error = assertThrows(() => toFlushPolicy("create", bad as FlushPolicy), InputError);
    const suggestion = bad === "Auto" ? '; did you mean "auto"?' : "";
    assertEquals([error.operation, error.expected], ["create", `"auto", "patch" or "rebuild"${suggestion}`]);
  }
});

function engineOf(queries: number, keys: number, more = {}): Promise<DynamicAttention> {
  const random = new Random(7);
  return DynamicAttention.create({
    // On which each row is one for itself.
    backend: "array",
    query: { data: random.row(queries * 4), shape: [queries, 4] },
    key: { data: random.row(keys * 4), shape: [keys, 4] },
    value: { data: random.row(keys * 3), shape: [keys, 3] },
    ...more,
  });
}

Deno.test("only rows that are read catch up, each by what it has missed", async () => {
  await using live = await engineOf(20, 100);
  const patched = async (rows: number[]) => {
    const before = live.stats().rowsPatched;
    await live.read(rows);
    return live.stats().rowsPatched - before;
  };
  live.addToKey(0, 0, 1);
  assertEquals(await patched([3, 4]), 2);
  assertEquals([live.stats().behind, live.stats().retained], [18, 1]);
  assertEquals(await patched([3, 4]), 0);
  live.addToKey(1, 0, 1);
  assertEquals(await patched([4, 5, 4]), 2, "a row that is named twice catches up once");
  assertEquals(await patched([0, 1, 2, 3, 4, 5]), 4);
  await live.read();
  assertEquals([live.stats().behind, live.stats().retained, live.stats().pending], [0, 0, 0]);
  assertEquals(live.stats().rowsBuilt, 20, "none was built again");
});

Deno.test("a row that missed what was undone meanwhile has nothing to do", async () => {
  await using live = await engineOf(4, 100);
  live.setValue(5, [1, 2, 3]);
  await live.read([0]);
  live.delete(7);
  await live.read([0]);
  const { multiplyAdds } = live.stats();
  const [slot, value] = [live.insert([9, 9, 9, 9], [1, 1, 1]), [4, 5, 6]];
  live.setValue(slot, value);
  live.delete(slot);
  await live.read([0]);
  assertEquals(live.stats().multiplyAdds, multiplyAdds);
});

Deno.test("rows that fall far behind go cold: nothing is kept or done for them until they are read", async () => {
  await using live = await engineOf(10, 1000);
  const random = new Random(1);
  const before = live.stats();
  for (let slot = 0; slot < 1000; slot++) {
    live.setKey(slot, random.row(4));
    if (slot % 10 === 0) await live.read([0]);
  }
  const { rowsBuilt, rowsPatched, retained } = live.stats();
  assertEquals([rowsBuilt - before.rowsBuilt, rowsPatched - before.rowsPatched], [0, 100]);
  assertLess(retained, 500);
  await live.read([0, 1]);
  assertEquals(live.stats().rowsBuilt - before.rowsBuilt, 1);
});

Deno.test("what is kept for rows of many moments stays limited", async () => {
  await using live = await engineOf(600, 100);
  const random = new Random(2);
  let most = 0;
  for (let step = 0; step < 700; step++) {
    for (let slot = 0; slot < 10; slot++) live.setKey(slot, random.row(4));
    await live.read([step % 600]);
    most = Math.max(most, live.stats().retained);
  }
  assertGreater(most, 4000);
  assertLess(most, 4200);
});

Deno.test("at a count of edits stale answers include them, and queries that are not asked for cost nothing", async () => {
  await using live = await engineOf(10, 100, { lazyThreshold: 3 });
  const before = live.stats().rowsPatched;
  live.addToKey(0, 0, 1);
  live.addToKey(1, 0, 1);
  assertEquals([(await live.peek([2])).pending, live.stats().rowsPatched - before], [2, 0]);
  live.addToKey(2, 0, 1);
  assertEquals([(await live.peek([2])).pending, live.stats().rowsPatched - before], [0, 1]);
  assertEquals([live.stats().pending, live.stats().applied, live.stats().behind], [0, 3, 9]);
});
