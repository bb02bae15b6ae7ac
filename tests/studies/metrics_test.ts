import { assert, assertAlmostEquals, assertEquals } from "../../testing/assert.ts";
import { baselines } from "../../studies/baselines.ts";
import {
  addReading,
  meanAbsoluteError,
  mergeDeviations,
  NO_DEVIATION,
  relativeError,
} from "../../studies/metrics.ts";

Deno.test("deviation: sums over readings, and parts add up to the whole", () => {
  const exact = [9, 3, 4, 0, 5];
  const whole = addReading(addReading(NO_DEVIATION, [3, 6], exact, 1), [1, 5], exact, 3);
  assertEquals(whole, { squaredDifference: 4 + 1, squaredExact: 9 + 16 + 0 + 25, largest: 2 });
  assertAlmostEquals(relativeError(whole), Math.sqrt(5 / 50), 1e-15);
  const parts = [addReading(NO_DEVIATION, [3, 6], exact, 1), addReading(NO_DEVIATION, [1, 5], exact, 3)];
  assertEquals(mergeDeviations(parts[0], parts[1]), whole);
});

Deno.test("deviation: a NaN that was read does not hide behind a larger number", () => {
  const sums = addReading(NO_DEVIATION, [NaN, 7], [1, 1], 0);
  assert(Number.isNaN(sums.largest) && Number.isNaN(relativeError(sums)));
});

Deno.test("mean absolute error: scores forecasts on the day they are for, as long as there is one", () => {
  const births = [10, 20, 40, 70, 110];
  const asOrigin = (origin: number) => births[origin];
  assertEquals(meanAbsoluteError(births, asOrigin, { first: 1, count: 2, horizon: 1 }), (20 + 30) / 2);
  // From day 3 on, day + 2 is not in the data.
  assertEquals(meanAbsoluteError(births, asOrigin, { first: 1, count: 9, horizon: 2 }), (50 + 70) / 2);
  assert(Number.isNaN(meanAbsoluteError(births, asOrigin, { first: 4, count: 1, horizon: 1 })));
});

Deno.test("baselines: what each says, and only from days up to the origin", () => {
  const births = Array.from({ length: 800 }, (_, t) => t);
  const said = (series: ArrayLike<number>, origin: number, horizon: number) =>
    baselines(series).map(({ forecast }) => forecast(origin, horizon));
  assertEquals(baselines(births).map(({ name }) => name), [
    "yesterday",
    "same day last week",
    "same day 52 weeks ago",
    "running mean",
  ]);
  assertEquals(said(births, 500, 1), [500, 494, 137, 250]);
  assertEquals(said(births, 500, 7), [500, 500, 143, 250]);
  assertEquals(said(births, 500, 8), [500, 494, 144, 250]);
  assertEquals(said(births, 500, 28), [500, 500, 164, 250]);

  const hidden = births.map((value, t) => t <= 500 ? value : NaN);
  for (const horizon of [1, 7, 8, 28, 56]) {
    assertEquals(said(hidden, 500, horizon), said(births, 500, horizon));
  }
});
