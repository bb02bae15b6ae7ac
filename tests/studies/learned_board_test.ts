// Full suite: it learns for thousands of days.
//
// The learned board starts as the board without learning, never looks ahead, and is closer to what happens.

import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "../../testing/assert.ts";
import { loadBirths } from "../../studies/births.ts";
import { BoardRows, HORIZONS, lastDayOf } from "../../studies/board_rows.ts";
import { exactBoard } from "../../studies/exact_board.ts";
import { errorTable, gainTable, readoutTable } from "../../studies/learned_tables.ts";
import { LearnedBoard } from "../../studies/learned_board.ts";
import { LEARNED, learnedForecast, PLAIN } from "../../studies/learned_forecast.ts";
import { RecursiveLeastSquares, regressionFeatures } from "../../studies/linear_regression.ts";
import { learnLesson, POLICIES, runPolicy } from "../../studies/learned_policies.ts";
import { NearestNeighbours } from "../../studies/nearest_neighbours.ts";
import { BACKENDS } from "../backends_here.ts";
import { Random } from "../../testing/random.ts";

const file = await loadBirths();

Deno.test("before it learns, the board forecasts as the one without learning", async () => {
  const rows = new BoardRows(file.slice(0, lastDayOf(0) + 40));
  const exact = exactBoard(rows, 1);
  for (const backend of BACKENDS) {
    await using board = await LearnedBoard.create(rows, lastDayOf(0), backend);
    for (const [at, horizon] of HORIZONS.entries()) {
      const expected = exact[horizon - 1] * rows.levels[lastDayOf(0)];
      assertAlmostEquals(await board.forecast(at), expected, 1e-5 * expected);
      assertEquals(board.readout(at), [1, 0, 0]);
    }
  }
});

Deno.test("no forecast depends on what happens after its origin", async () => {
  const first = 800, last = 850, changed = 830;
  const other = file.slice(0, last).map((day, t) =>
    t > changed ? { ...day, births: day.births + 3000 } : day
  );
  const run = async (days: typeof file) => {
    const forecasts: number[][] = [];
    await using board = await LearnedBoard.create(new BoardRows(days), first, "array");
    while (board.last < last - 1) {
      await board.observe();
      const ahead: number[] = [];
      for (const at of HORIZONS.keys()) ahead.push(await board.forecast(at));
      forecasts.push(ahead);
    }
    return forecasts;
  };
  const expected = await run(file.slice(0, last)), actual = await run(other);
  const known = changed - first;
  assertEquals(actual.slice(0, known), expected.slice(0, known));
  assertNotEquals(actual[known], expected[known], "the change can be seen at all");
});

Deno.test("with learning the board is closer, by the same program every time", async () => {
  const run = () => learnedForecast({ days: 200, backend: "array", firstLearned: 2300 });
  const result = await run();
  assertEquals(result.models.slice(0, 2).map(({ name }) => name), [LEARNED, PLAIN]);
  const [learned, plain] = result.models.map(({ errors }) => errors[0]);
  assert(learned < plain - 2, `${learned} ${plain}`);
  for (const { errors } of result.models) assert(errors.every((error) => error > 0 && error < 3000));
  const [{ gains }] = result.gains;
  assertAlmostEquals(gains[0].mean, plain - learned, 1e-9);
  assert(gains[0].interval.low < gains[0].mean && gains[0].mean < gains[0].interval.high);
  assertEquals(result.series.dates.length, 200);
  for (const table of [errorTable(result), gainTable(result), readoutTable(result)]) {
    for (const row of table.rows) assertEquals(row.length, table.header.length);
  }
  const { elapsedMilliseconds: _, ...again } = await run();
  const { elapsedMilliseconds: __, ...once } = result;
  assertEquals(again, once);
});

Deno.test("recursive least squares are the weights that make the weighted squares least", () => {
  const random = new Random(2), memory = 0.9, ridge = 0.5;
  const model = new RecursiveLeastSquares(2, { memory, ridge });
  const examples = Array.from(
    { length: 30 },
    () => ({ x: Float64Array.from(random.row(2)), y: random.normal() }),
  );
  for (const { x, y } of examples) model.learnOne(x, y);
  // The normal equations of two unknowns, solved by Cramer's rule.
  const weights = examples.map((_, at) => memory ** (examples.length - 1 - at));
  const sum = (term: (at: number) => number) =>
    examples.reduce((total, _, at) => total + weights[at] * term(at), 0);
  const held = ridge * memory ** examples.length;
  const [aa, ab, bb] = [[0, 0], [0, 1], [1, 1]].map(([a, b]) =>
    sum((at) => examples[at].x[a] * examples[at].x[b])
  );
  const [ay, by] = [0, 1].map((c) => sum((at) => examples[at].x[c] * examples[at].y));
  const determinant = (aa + held) * (bb + held) - ab * ab;
  assertAlmostEquals(
    model.predictOne(Float64Array.of(1, 0)),
    (ay * (bb + held) - by * ab) / determinant,
    1e-9,
  );
  assertAlmostEquals(
    model.predictOne(Float64Array.of(0, 1)),
    (by * (aa + held) - ay * ab) / determinant,
    1e-9,
  );
});

Deno.test("the regression looks at days up to its origin alone", () => {
  const rows = new BoardRows(file.slice(0, 900));
  const changed = new BoardRows(file.slice(0, 900).map((day, t) => t > 800 ? { ...day, births: 1 } : day));
  for (const horizon of HORIZONS) {
    assertEquals(
      regressionFeatures(changed, 800 + horizon, horizon),
      regressionFeatures(rows, 800 + horizon, horizon),
    );
    assertNotEquals(
      regressionFeatures(changed, 801 + horizon, horizon),
      regressionFeatures(rows, 801 + horizon, horizon),
    );
  }
});

Deno.test("nearest neighbours look at days up to the origin alone", () => {
  const rows = new BoardRows(file.slice(0, 900));
  const changed = new BoardRows(file.slice(0, 900).map((day, t) => t > 800 ? { ...day, births: 1 } : day));
  for (const horizon of HORIZONS) {
    const [known, other] = [rows, changed].map((given) => new NearestNeighbours(given, horizon));
    assertEquals(other.forecast(800), known.forecast(800));
    assertNotEquals(other.forecast(801), known.forecast(801));
  }
});

Deno.test("policies: exact reads are the learned board's forecasts, and a budget is kept where a count is not", async () => {
  const days = 12, backend = "array";
  const lesson = await learnLesson(file, { days, firstLearned: 2450, backend });
  const of = (family: string, label = "") => {
    const strategy = POLICIES.find((one) =>
      one.family === family && (label === "" || String(one.threshold ?? one.error) === label)
    );
    assert(strategy);
    return runPolicy(lesson, strategy, days, backend);
  };
  const exact = await of("exact"), rebuilt = await of("everyAnswer"), waiting = await of("patch", "16");
  const budget = await of("budgetPatch", "0.1");
  assertEquals(exact.largestStaleness, 0);
  assert(rebuilt.largestStaleness < 0.01, "rebuilding is exact too");
  assert(rebuilt.multiplyAddsPerDay > 20 * exact.multiplyAddsPerDay);
  assert(waiting.largestStaleness > budget.largestStaleness && waiting.largestStaleness > 1);

  await using board = await LearnedBoard.create(lesson.rows, 2450, backend);
  const errors = HORIZONS.map(() => 0);
  while (board.last < lastDayOf(days)) {
    await board.observe();
    if (board.last <= lastDayOf(0)) continue;
    for (const [at, horizon] of HORIZONS.entries()) {
      errors[at] += Math.abs(await board.forecast(at) - file[board.last + horizon].births) / days;
    }
  }
  for (const [at, error] of exact.errors.entries()) assertAlmostEquals(error, errors[at], 0.02);
});
