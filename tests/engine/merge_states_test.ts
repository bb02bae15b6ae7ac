// Merging parts: what comes out is judged by the oracle over the keys that are meant.

import fc from "fast-check";
import { type AttentionState, mergeStates, unmergeState } from "../../mod.ts";
import { identity, merge, type RowState } from "../../src/numerics/attention_state.ts";
import type { ReferenceCase } from "../../src/numerics/reference.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLessOrEqual,
  assertStrictEquals,
} from "../../testing/assert.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import {
  all,
  bitsOf,
  caseOf,
  distance,
  LAYOUTS,
  NO,
  norm,
  partOf,
  restrict,
  ROUNDING,
  rowOf,
  stateOf,
  trueRows,
  uniform,
} from "../../testing/partial_attention.ts";
import { Random } from "../../testing/random.ts";

/** A proven bound on the effect of rounding the parts, and then the result, to float32 on merged rows. */
function mergeRounding(parts: readonly RowState[], merged: RowState): { output: number; logSumExp: number } {
  const live = parts.filter(({ logSumExp }) => logSumExp > NO);
  const delta = ROUNDING * live.reduce((most, { logSumExp: L }) => Math.max(most, Math.abs(L)), 0);
  let diameter = 0, size = 0;
  for (const a of live) {
    size = Math.max(size, norm(a.output));
    for (const b of live) diameter = Math.max(diameter, distance(a.output, b.output));
  }
  const slack = 1e-12 * (1 + Math.abs(merged.logSumExp === NO ? 0 : merged.logSumExp));
  return {
    output: (2 * ROUNDING + 1e-12) * size + Math.tanh(delta / 2 + slack) * diameter * (1 + ROUNDING),
    logSumExp: delta + ROUNDING * Math.abs(merged.logSumExp === NO ? 0 : merged.logSumExp) + slack,
  };
}

/** Fails when merged rows are farther from the truth than the roundings of the parts explain. */
function assertMerged(
  actual: AttentionState,
  parts: readonly AttentionState[],
  truth: ReferenceCase,
): number {
  let worst = 0;
  trueRows(truth).forEach((expected, row) => {
    const got = rowOf(actual, row);
    if (expected.logSumExp === NO) {
      assertEquals([got.logSumExp, norm(got.output)], [NO, 0]);
      return;
    }
    const allowed = mergeRounding(parts.map((part) => rowOf(part, row)), expected);
    const error = distance(got.output, expected.output);
    assertLessOrEqual(error, allowed.output, `output of row ${row}`);
    assertLessOrEqual(Math.abs(got.logSumExp - expected.logSumExp), allowed.logSumExp, `row ${row}`);
    worst = Math.max(worst, error / allowed.output);
  });
  return worst;
}

Deno.test("the whole from 1 to 6 parts, empty ones and ones that a mask closes to some queries among them", async () => {
  const random = new Random(11);
  let emptyParts = 0, closedRows = 0, closedForGood = 0, worst = 0, worstOfFloat32 = 0;
  for (let round = 0; round < 150; round++) {
    const size = random.pick([0.1, 1, 1, 3]);
    const keys = 1 + random.below(24), count = 1 + random.below(6);
    const home = Array.from({ length: keys }, () => random.below(count));
    // Whole parts are closed to a query, single pairs too, and now and then everything.
    const closed = new Set<string>();
    for (let i = 0; i < 4; i++) {
      for (let p = 0; p < count; p++) if (random.next() < 0.3) closed.add(`${i},${p}`);
    }
    const shifts = random.row(keys, 2);
    const bias = (i: number, j: number, head: number) =>
      closed.has(`${i},${home[j]}`) || (i + 2 * j + head) % 7 === 0 ? NO : shifts[j];
    const whole = caseOf(random, { queries: 4, keys, size, ...random.pick(LAYOUTS) }, bias);
    const groups = Array.from({ length: count }, (_, p) => all(whole).filter((j) => home[j] === p));
    const parts = await Promise.all(groups.map((chosen) => partOf(whole, chosen)));
    const states = parts.map(({ state }) => state);

    const merged = mergeStates(states);
    const { error, allowed } = assertAccurate(merged.output, restrict(whole, all(whole)));
    worst = Math.max(worst, assertMerged(merged, states, restrict(whole, all(whole))));
    worstOfFloat32 = Math.max(worstOfFloat32, error / allowed);
    emptyParts += groups.filter((chosen) => chosen.length === 0).length;
    for (let row = 0; row < merged.logSumExp.data.length; row++) {
      const isClosed = states.map(({ logSumExp }) => logSumExp.data[row] === NO);
      if (isClosed.every(Boolean)) closedForGood++;
      else if (isClosed.some(Boolean)) closedRows++;
    }
  }
  console.log(
    `merged: error / proven ${worst.toFixed(3)}, / twice float32's ${
      worstOfFloat32.toFixed(3)
    }; ${emptyParts} ` +
      `empty parts, ${closedRows} rows closed in some parts, ${closedForGood} in all`,
  );
  assert(emptyParts > 20 && closedRows > 100 && closedForGood > 20, "the scenes are too tame");
  assert(worst > 0.1, "the proven error is loose, or nothing was rounded");
});

Deno.test("scores of thousands, and parts whose log-sum-exps are 1000 apart", async () => {
  const random = new Random(12);
  let largest = 0;
  for (let round = 0; round < 60; round++) {
    const far = random.pick([0, 1000, -1000]);
    const bias = (_: number, j: number) => j % 3 === 0 ? far : 0;
    const sizes = { queries: 3, keys: 12, size: random.pick([1, 30, 80]), ...random.pick(LAYOUTS) };
    const whole = caseOf(random, sizes, bias);
    const groups = [0, 1, 2].map((p) => all(whole).filter((j) => j % 3 === p));
    const states = await Promise.all(groups.map(async (chosen) => (await partOf(whole, chosen)).state));
    assertMerged(mergeStates(states), states, whole);
    largest = Math.max(largest, norm(states[0].logSumExp.data));
  }
  assert(largest > 5000, `log-sum-exps up to ${largest} only`);
});

Deno.test("log-sum-exps of any size merge: equal, far apart, ±1e30, at the end of float32", () => {
  const LAST = 2 ** 128 - 2 ** 104;
  const merged = mergeStates([
    stateOf([0, 1], [1e30, 1], [-1e30, 1], [1e30, 1], [LAST, LAST], [1000, 1], [-LAST, -LAST], [NO, 0]),
    stateOf([0, 3], [1e30, 3], [-1e30, 3], [-1e30, 3], [LAST, LAST], [0, 3], [NO, 0], [NO, 0]),
  ]);
  assertEquals([...merged.output.data], [2, 2, 2, 1, LAST, 1, -LAST, 0]);
  const logarithms = [Math.LN2, 1e30, -1e30, 1e30, LAST, 1000, -LAST, NO].map(Math.fround);
  assertEquals([...merged.logSumExp.data], logarithms);
  const third = mergeStates([stateOf([Math.log(3), 1]), stateOf([0, 5])]);
  assertAlmostEquals(third.output.data[0], 2, 1e-6);
  assertAlmostEquals(third.logSumExp.data[0], Math.log(4), 1e-6);
});

Deno.test("the state over no key changes no bit, on whichever side, and its output is not looked at", () => {
  const state = stateOf([0, -0, 1], [-0, 2 ** -149, -3], [1e30, 0.1, -0], [NO, 0, 0]);
  const nothing = stateOf([NO, 0, 0], [NO, 7, -7], [NO, -0, 1e30], [NO, 5, 5]);
  const { output, logSumExp } = stateOf([NO, 0, 0], [NO, 0, 0], [NO, 0, 0], [NO, 0, 0]);
  for (const states of [[state, nothing], [nothing, state], [nothing, state, nothing], [state]]) {
    assertEquals(bitsOf(mergeStates(states)), bitsOf(state));
  }
  assertEquals(bitsOf(mergeStates([nothing, nothing])), bitsOf({ output, logSumExp }));
  assertEquals(bitsOf(unmergeState(nothing, nothing)), bitsOf({ output, logSumExp }));
  assertEquals(bitsOf(unmergeState(state, nothing)), bitsOf(state));
  assertEquals(identity(2), { output: new Float64Array(2), logSumExp: NO });
});

const logarithm = fc.oneof(
  { weight: 6, arbitrary: uniform(20) },
  { weight: 2, arbitrary: fc.constantFrom(NO, 0, -0, 1000, -1000, 1e30, -1e30) },
);
const component = uniform(10);
const rowState = fc.tuple(logarithm, component, component).map(([L, ...output]): RowState => ({
  output,
  logSumExp: L,
}));

Deno.test("merge commutes to the bit and is associative within rounding", () => {
  fc.assert(
    fc.property(rowState, rowState, rowState, (a, b, c) => {
      const ab = merge(a, b);
      if (ab.logSumExp > NO) assertEquals(merge(b, a), ab);
      const left = merge(ab, c), right = merge(a, merge(b, c));
      if (left.logSumExp === NO) return assertStrictEquals(right.logSumExp, NO);
      const scale = Math.max(1, Math.abs(left.logSumExp));
      assertLessOrEqual(Math.abs(left.logSumExp - right.logSumExp), 1e-15 * scale);
      // Two log-sum-exps of 1e30 take every other for nothing: nested or not, the order of the rest is lost.
      const delta = 1e-15 *
        [a, b, c, ab].reduce((most, { logSumExp: L }) => Math.max(most, L > NO ? Math.abs(L) : 0), 1);
      assertLessOrEqual(distance(left.output, right.output), 1e-13 + 20 * Math.tanh(delta));
    }),
    { numRuns: 2000, seed: 5 },
  );
});

Deno.test("mergeStates gives the same in any order, and merged in steps, within the roundings there are", () => {
  const states = fc.array(fc.tuple(rowState, rowState), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(states, fc.integer(), (drawn, seed) => {
      const parts = drawn.map((rows) =>
        stateOf(...rows.map(({ logSumExp, output }) => [logSumExp, ...Array.from(output)]))
      );
      const random = new Random(seed);
      const shuffled = parts.map((part) => ({ part, at: random.next() })).sort((a, b) => a.at - b.at);
      const cut = 1 + random.below(parts.length - 1);
      const once = mergeStates(parts);
      const others = [
        mergeStates(shuffled.map(({ part }) => part)),
        mergeStates([mergeStates(parts.slice(0, cut)), mergeStates(parts.slice(cut))]),
      ];
      for (const other of others) {
        for (let row = 0; row < 2; row++) {
          const expected = rowOf(once, row), got = rowOf(other, row);
          if (expected.logSumExp === NO) assertStrictEquals(got.logSumExp, NO);
          else {
            const allowed = mergeRounding(parts.map((part) => rowOf(part, row)), expected);
            assertLessOrEqual(distance(got.output, expected.output), 2 * allowed.output + 1e-12);
            assertLessOrEqual(Math.abs(got.logSumExp - expected.logSumExp), 2 * allowed.logSumExp);
          }
        }
      }
    }),
    { numRuns: 1000, seed: 6 },
  );
});
