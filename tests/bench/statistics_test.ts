// The statistics of the benchmark, on numbers whose answers are known; time comes from a clock that the test
// moves.

import { crossing } from "../../studies/scaling/power_law.ts";
import { hasSettled, summarize } from "../../bench/statistics.ts";
import { time } from "../../bench/stopwatch.ts";
import { assertAlmostEquals, assertEquals, assertThrows } from "../../testing/assert.ts";

Deno.test("a summary has median, interpolated quartiles and the number of runs, and leaves the samples as they are", () => {
  assertEquals(summarize([5, 1, 2, 3, 4], true), { median: 3, spread: [2, 4], runs: 5, warm: true });
  const samples = [4, 1, 3, 2];
  assertEquals(summarize(samples, true), { median: 2.5, spread: [1.75, 3.25], runs: 4, warm: true });
  assertEquals(samples, [4, 1, 3, 2]);
  assertEquals(summarize([10, 9, 1], false).median, 9, "numbers, not texts, are sorted");
  assertThrows(() => summarize([], true), Error);
});

Deno.test("batches have settled once three in a row are no better than what was before", () => {
  assertEquals(hasSettled([]), false);
  assertEquals(hasSettled([5, 5, 5]), false);
  assertEquals(hasSettled([5, 5, 5, 5]), true);
  assertEquals(hasSettled([9, 5, 5, 3]), false);
  assertEquals(hasSettled([9, 5, 3, 3, 2.95]), false);
  assertEquals(hasSettled([9, 5, 3, 2.95, 3.1, 3]), true);
});

/** A clock, and runs that take the given times one after the other, the last one for ever. */
function runsOf(times: readonly number[]) {
  let moment = 0, count = 0;
  return {
    now: () => moment,
    run: () => void (moment += times[Math.min(count++, times.length - 1)]),
    count: () => count,
  };
}

Deno.test("runs before the code has tiered up do not count", async () => {
  const { now, run } = runsOf([...Array<number>(20).fill(50), 10]);
  const timing = await time(run, { budgetMs: 200, warmUpMs: 5000, now });
  assertEquals(timing, { median: 10, spread: [10, 10], runs: 20, warm: true });
});

Deno.test("code that goes on improving is reported as not warm", async () => {
  let next = 1000;
  let moment = 0;
  const run = () => void (moment += next *= 0.9);
  const { warm, runs } = await time(run, { budgetMs: 1, warmUpMs: 3000, leastRuns: 3, now: () => moment });
  assertEquals({ warm, runs }, { warm: false, runs: 3 });
});

Deno.test("runs timed together give the time of one", async () => {
  const { now, run } = runsOf([1, 3]);
  const timing = await time(run, { budgetMs: 100, warmUpMs: 60, together: 4, now });
  assertEquals(timing.median, 3);
});

Deno.test("the break-even lies between two points, and is none where the limit is not reached", () => {
  const points = [{ edits: 1, ms: 1 }, { edits: 100, ms: 100 }];
  assertAlmostEquals(crossing(points, 10) ?? NaN, 10, 1e-9);
  assertEquals(crossing(points, 1000), null);
  assertEquals(crossing(points, 0.5), 1);
  assertEquals(crossing(points.toReversed(), 0.5), 1);
});
