// The board and its judges: the exact board against the oracle, and every strategy against the exact board.

import { assert, assertEquals, assertGreater, assertLess } from "../assert.ts";
import { drawStates } from "../../src/experiments/audit.ts";
import { loadBirths } from "../../src/experiments/births.ts";
import { BoardRows, HORIZONS, QUERY_COUNT } from "../../src/experiments/board_rows.ts";
import { exactBoard } from "../../src/experiments/exact_board.ts";
import { relativeError } from "../../src/experiments/metrics.ts";
import { runStrategy } from "../../src/experiments/strategy_run.ts";
import { partCount, type Strategy, strategyName, sweepStrategies } from "../../src/experiments/strategies.ts";
import { joinOutcomes } from "../../src/experiments/sweep.ts";
import { referenceAttention } from "../../src/core/reference.ts";

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
  for (const strategy of sweepStrategies([1, 4, 64])) {
    const outcome = await run(strategy, days, exact);
    assertEquals([outcome.days, outcome.forecasts.length], [days, days * HORIZONS.length]);
    errors[strategyName(strategy)] = relativeError(outcome.deviation);
    work[strategyName(strategy)] = outcome.multiplyAdds;
  }
  for (
    const name of ["rebuild at every edit", "original, threshold 1", "patch, threshold 1", "exact reads"]
  ) {
    assertLess(errors[name], FLOAT32_ROUNDING, name);
  }
  for (const family of ["original", "patch"]) {
    assertGreater(errors[`${family}, threshold 4`], 1e-5);
    assertGreater(errors[`${family}, threshold 64`], errors[`${family}, threshold 4`]);
    assertLess(errors[`${family}, threshold 64`], 0.01);
  }
  assertLess(work["exact reads"] * 100, work["rebuild at every edit"]);
  assertLess(work["original, threshold 4"], work["original, threshold 1"]);
});

Deno.test("strategies: runs of consecutive days join to the run over all of them", async () => {
  const exact = exactBoard(rows, 9);
  const strategy: Strategy = { family: "everyEdit", threshold: null };
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
  assertEquals(partCount(strategy, 3), 3);
  assertEquals(partCount({ family: "exact", threshold: null }, 4805), 1);
});

Deno.test("audit: a seed draws different states, in range and in order, and always the same", () => {
  const drawn = drawStates(7, 8, 1000);
  assertEquals(drawn, drawStates(7, 8, 1000));
  assert(drawn.join() !== drawStates(8, 8, 1000).join());
  assertEquals(new Set(drawn).size, 8);
  assert(drawn.every((state, i) => state >= 0 && state < 1000 && (i === 0 || state > drawn[i - 1])));
  assertEquals(drawStates(1, 8, 3), [0, 1, 2]);
});
