// The board and its judges: the exact board against the oracle, and every strategy against the exact board.

import { assert, assertEquals, assertGreater, assertLess, assertLessOrEqual } from "../../testing/assert.ts";
import { drawStates } from "../../studies/audit.ts";
import { loadBirths } from "../../studies/births.ts";
import { BoardRows, HORIZONS, KEY_COUNT, QUERY_COUNT } from "../../studies/board_rows.ts";
import { exactBoard } from "../../studies/exact_board.ts";
import { relativeError } from "../../studies/metrics.ts";
import { FEATURE_NAMES } from "../../studies/calendar_features.ts";
import { median } from "simple-statistics";
import { type RunOutcome, runStrategy } from "../../studies/strategy_run.ts";
import {
  engineOptions,
  type Family,
  type Strategy,
  strategyName,
  stretchesOf,
  sweepStrategies,
} from "../../studies/strategies.ts";
import { joinOutcomes } from "../../studies/sweep.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";

const rows = new BoardRows(await loadBirths());
const FLOAT32_ROUNDING = 6e-8;

Deno.test("exact board: every state agrees with the oracle, also when days outlast the run", () => {
  // 60 states: the first days to stand on the board leave it, the last ones enter it.
  const states = 60;
  const exact = exactBoard(rows, states);
  assertEquals(exact.length, states * QUERY_COUNT);
  for (const state of [0, 1, 30, 55, 56, 59]) {
    const { output } = referenceAttention({ ...rows.ofState(state), scale: 1, valueDim: 1 });
    for (const [i, [expected]] of output.entries()) {
      assertLess(Math.abs(exact[state * QUERY_COUNT + i] - expected), 1e-12, `state ${state}, day ${i}`);
    }
  }
});

function run(strategy: Strategy, days: number, exact: Float64Array, first = 0, audited: number[] = []) {
  return runStrategy({ strategy, first, days, backend: "array", audited }, rows, exact, () => {});
}

Deno.test("strategies: exact ones are exact to rounding, the others as stale as their threshold lets them be", async () => {
  const days = 20;
  const exact = exactBoard(rows, days + 1);
  const errors: Record<string, number> = {};
  const work: Record<string, number> = {};
  for (const strategy of sweepStrategies([1, 4, 64], [])) {
    const outcome = await run(strategy, days, exact);
    assertEquals([outcome.days, outcome.forecasts.length], [days, days * HORIZONS.length]);
    errors[strategyName(strategy)] = relativeError(outcome.deviation);
    work[strategyName(strategy)] = outcome.multiplyAdds;
  }
  for (
    const name of ["rebuild for each answer", "original, threshold 1", "patch, threshold 1", "exact reads"]
  ) {
    assertLess(errors[name], FLOAT32_ROUNDING, name);
  }
  for (const family of ["original", "patch"]) {
    assertGreater(errors[`${family}, threshold 4`], 1e-5);
    assertGreater(errors[`${family}, threshold 64`], errors[`${family}, threshold 4`]);
    assertLess(errors[`${family}, threshold 64`], 0.01);
  }
  assertLess(work["exact reads"] * 50, work["rebuild for each answer"]);
  assertEquals(work["rebuild for each answer"], work["original, threshold 1"], "one rebuild for an answer");
  assertLess(work["original, threshold 4"], work["original, threshold 1"]);
});

Deno.test("strategies: runs of consecutive days join to the run over all of them", async () => {
  const exact = exactBoard(rows, 9);
  const strategy: Strategy = { family: "everyAnswer", threshold: null, error: null };
  const whole = await run(strategy, 8, exact, 0, [0, 5, 8]);
  const joined = joinOutcomes(
    await run(strategy, 3, exact, 0, [0, 5, 8]),
    await run(strategy, 5, exact, 3, [0, 5, 8]),
  );
  assertEquals([joined.days, joined.multiplyAdds], [whole.days, whole.multiplyAdds]);
  assertEquals([...joined.readings.keys()], [0, 5, 8]);
  assertEquals([...whole.readings.keys()], [0, 5, 8]);
  for (const [at, forecast] of whole.forecasts.entries()) {
    assertLess(Math.abs(joined.forecasts[at] / forecast - 1), 1e-6);
  }
});

/** Products of a pair: its score, its value, its mass and its rounding. */
const PAIR = FEATURE_NAMES.length + 3;
/** A row from scratch, and a key exchanged in one. */
const ROW = KEY_COUNT * PAIR, EXCHANGE = 2 * PAIR;

Deno.test("strategies: counts read without certificates, so their work is the original's and none for looking", async () => {
  const days = 20, exact = exactBoard(rows, days + 1);
  const workOf = async (family: Family, threshold: number) => {
    const outcome = await run({ family, threshold, error: null }, days, exact);
    assertEquals(outcome.certificates, null);
    return outcome.multiplyAdds;
  };
  // With threshold 64 nothing but the day's new query is ever applied.
  assertEquals(await workOf("original", 64), days * ROW);
  assertEquals(await workOf("patch", 64), days * ROW);
  // Of three days' keys and one query four slots have changed; the query is a row of the rebuild.
  assertEquals(await workOf("original", 4), 6 * QUERY_COUNT * ROW + 14 * ROW);
  assertEquals(await workOf("patch", 1), days * (ROW + (QUERY_COUNT - 1) * EXCHANGE));
});

Deno.test("budgets: with rebuilds, certificates hold, are counted as work and keep every reading within the budget", async () => {
  const days = 40, exact = exactBoard(rows, days + 1);
  const waiting = await run({ family: "patch", threshold: 1000, error: null }, days, exact);
  let finer: RunOutcome | null = null;
  for (const error of [0.0005, 0.004, 1]) {
    const outcome = await run({ family: "budgetRebuild", threshold: null, error }, days, exact);
    const { given, violations, largestBound, ratios } = outcome.certificates ?? assertNever(String(error));
    assertEquals([given, violations], [days * QUERY_COUNT, 0]);
    assertLessOrEqual(outcome.deviation.largest, largestBound);
    assertLessOrEqual(largestBound, error);
    assertGreater(ratios.length, 0);
    assert(ratios.every((ratio) => ratio >= 1));
    assertLess(median([...ratios]), 2);
    if (finer) assertGreater(relativeError(outcome.deviation), relativeError(finer.deviation));
    finer = outcome;
    if (error === 1) {
      assertEquals(outcome.deviation, waiting.deviation, "nothing is applied within so large a budget");
      // A day's key is scored at least once against every query, before the edit and after it.
      const looked = days * QUERY_COUNT * 2 * FEATURE_NAMES.length;
      assertGreater(outcome.multiplyAdds, waiting.multiplyAdds + looked);
    }
  }
});

Deno.test("budgets: with patches, no reading misses its budget, for hardly more than exact readings cost", async () => {
  const days = 200, exact = exactBoard(rows, days + 1);
  const exchanged = await run({ family: "exact", threshold: null, error: null }, days, exact);
  for (const family of ["budgetPatch", "adaptive"] as const) {
    for (const error of [0.0005, 0.004, 1]) {
      const name = `${family}, ${error}`;
      const outcome = await run({ family, threshold: null, error }, days, exact);
      const { given, violations, largestBound, ratios } = outcome.certificates ?? assertNever(name);
      assertEquals([given, violations], [days * QUERY_COUNT, 0], name);
      assertLessOrEqual(outcome.deviation.largest, largestBound, name);
      assertLessOrEqual(largestBound, error, name);
      assert(ratios.every((ratio) => ratio >= 1), name);
      // Every day replaces a whole key once, so that nothing is gained by waiting: what a trial costs is lost once.
      assertLess(outcome.multiplyAdds, 1.15 * exchanged.multiplyAdds, name);
    }
  }
});

Deno.test("adaptive: its engine keeps a target error and chooses between patch and rebuild by itself", () => {
  assertEquals(engineOptions({ family: "adaptive", threshold: null, error: 0.01 }), {
    lazyThreshold: { targetError: 0.01 },
    onThreshold: "auto",
  });
});

Deno.test("stretches: what is rebuilt for each answer runs over a sample of days, the rest over all", () => {
  const everyAnswer: Strategy = { family: "everyAnswer", threshold: null, error: null };
  assertEquals(stretchesOf(everyAnswer, 3), [0, 1, 2].map((first) => ({ first, days: 1 })));
  assertEquals(stretchesOf(everyAnswer, 4000), [0, 1000, 2000, 3000].map((first) => ({ first, days: 60 })));
  for (const strategy of sweepStrategies([1, 4], [0.01]).filter(({ family }) => family !== "everyAnswer")) {
    assertEquals(stretchesOf(strategy, 4805), [{ first: 0, days: 4805 }]);
  }
});

function assertNever(name: string): never {
  throw new Error(`${name} has no certificates`);
}

Deno.test("audit: a seed draws different states, in range and in order, and always the same", () => {
  const drawn = drawStates(7, 8, 1000);
  assertEquals(drawn, drawStates(7, 8, 1000));
  assert(drawn.join() !== drawStates(8, 8, 1000).join());
  assertEquals(new Set(drawn).size, 8);
  assert(drawn.every((state, i) => state >= 0 && state < 1000 && (i === 0 || state > drawn[i - 1])));
  assertEquals(drawStates(1, 8, 3), [0, 1, 2]);
});
