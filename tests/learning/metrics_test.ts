// Metrics and their intervals: against the formulas over all numbers kept, known quantiles, and how often an
// interval holds the truth in seeded streams.

import { InputError } from "../../mod.ts";
import {
  Accuracy,
  ExponentialMean,
  HitRate,
  LogLoss,
  MAE,
  type Metric,
  RMSE,
  RunningMean,
  WindowMean,
} from "../../src/learning/mod.ts";
import { studentQuantile } from "../../src/learning/confidence.ts";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const random = new Random(14);
const numbers = Array.from({ length: 300 }, () => 5 + random.normal());

function weightedMoments(weights: readonly number[], xs: readonly number[]) {
  const total = weights.reduce((sum, w) => sum + w, 0), squares = weights.reduce((sum, w) => sum + w * w, 0);
  const mean = xs.reduce((sum, x, at) => sum + weights[at] * x, 0) / total;
  const spread = xs.reduce((sum, x, at) => sum + weights[at] * (x - mean) ** 2, 0);
  return { mean, variance: spread / (total - squares / total), count: total ** 2 / squares };
}

Deno.test("means are those of the numbers that they are of", () => {
  const all = new RunningMean(), last = new WindowMean(17), fading = new ExponentialMean(12);
  for (const average of [all, last, fading]) {
    assertEquals([average.count, average.mean, average.variance], [0, NaN, NaN]);
  }
  numbers.forEach((number, at) => {
    for (const average of [all, last, fading]) average.add(number);
    const seen = numbers.slice(0, at + 1);
    const expected = [
      [all, seen.map(() => 1)],
      [last, seen.map((_, i) => i > at - 17 ? 1 : 0)],
      [fading, seen.map((_, i) => 2 ** (-(at - i) / 12))],
    ] as const;
    for (const [average, weights] of expected) {
      const { mean, variance, count } = weightedMoments(weights, seen);
      assertAlmostEquals(average.mean, mean, 1e-12);
      assertAlmostEquals(average.count, count, 1e-9);
      if (at > 0) assertAlmostEquals(average.variance, variance, 1e-10);
    }
  });
});

Deno.test("batches are of neighbours, all of one size, 20 to 39 of them", () => {
  const mean = new RunningMean();
  numbers.forEach((number, at) => {
    mean.add(number);
    const count = mean.batchMeans.length, seen = at + 1;
    if (seen >= 40) assert(count >= 20 && count < 40, `${count}`);
    const size = seen < 40 ? 1 : 2 ** Math.floor(Math.log2(seen / 20));
    assertEquals(count, Math.floor(seen / size));
    mean.batchMeans.forEach((batch, b) => {
      const own = numbers.slice(b * size, (b + 1) * size);
      assertAlmostEquals(batch, own.reduce((sum, x) => sum + x, 0) / size, 1e-12);
    });
  });
});

Deno.test("quantiles are those of the tables, and of formulas where there are any", () => {
  const student = [
    [0.95, 3, 3.182446305284263],
    [0.95, 5, 2.570581835636314],
    [0.95, 19, 2.093024054408263],
    [
      0.99,
      19,
      2.860934606464979,
    ],
    [0.99, 5, 4.032142983557536],
    [0.95, 100, 1.9839715185235518],
  ];
  for (const [confidence, freedom, t] of student) {
    assertAlmostEquals(studentQuantile(confidence, freedom), t, 1e-11);
  }
  for (const confidence of [1e-300, 1e-9, 0.1, 0.5, 0.51, 0.8, 0.95, 0.99, 1 - 1e-9, 1 - 2 ** -53]) {
    const beyond = 1 - confidence;
    const one = confidence < 0.5 ? Math.tan(Math.PI * confidence / 2) : 1 / Math.tan(Math.PI * beyond / 2);
    const two = confidence * Math.sqrt(2 / (beyond * (1 + confidence)));
    assertAlmostEquals(studentQuantile(confidence, 1) / one, 1, 1e-12, `${confidence}`);
    assertAlmostEquals(studentQuantile(confidence, 2) / two, 1, 1e-12, `${confidence}`);
  }
  const normal = [[0.5, 0.6744897501960817], [0.95, 1.959963984540054], [0.99, 2.5758293035489004], [
    0.9999,
    3.890591886413,
  ], [1 - 2 ** -53, 8.292361075813595]];
  for (const [confidence, z] of normal) {
    for (const freedom of [1e9, 1e15, Infinity]) {
      assertAlmostEquals(studentQuantile(confidence, freedom), z, 1e-4 * z * z * z / 100);
    }
    // Without a step where one way of computing ends and another begins.
    const [before, after] = [1e4, 1e4 * (1 + 1e-9)].map((freedom) => studentQuantile(confidence, freedom));
    assertAlmostEquals(before, after, 1e-9);
  }
  assertEquals([studentQuantile(0.95, 0), studentQuantile(0.95, NaN)], [NaN, NaN]);
  assertEquals(studentQuantile(0.95, 1e-9), Infinity, "beyond float64");
});

/**
 * In how many of 400 streams of mean 0 the interval holds 0, each number being `memory` of the one before it.
 */
function coverage(memory: number, method: "independent" | "batchMeans"): number {
  let held = 0;
  for (let run = 0; run < 400; run++) {
    const mean = new RunningMean();
    let x = random.normal();
    for (let at = 0; at < 800; at++) mean.add(x = memory * x + Math.sqrt(1 - memory ** 2) * random.normal());
    const { low, high } = mean.interval({ method });
    if (low <= 0 && 0 <= high) held++;
  }
  return held / 400;
}

Deno.test("an interval holds the truth as often as it says, of alike neighbours by batches alone", () => {
  const plain = coverage(0, "independent"), batches = coverage(0, "batchMeans");
  assert(Math.abs(plain - 0.95) < 0.03 && Math.abs(batches - 0.95) < 0.03, `${plain} ${batches}`);
  const tooNarrow = coverage(0.8, "independent"), alike = coverage(0.8, "batchMeans");
  assert(tooNarrow < 0.7, `${tooNarrow}`);
  assert(alike > 0.88, `${alike}`);
});

Deno.test("metrics are what their names say", () => {
  const cases: [Metric, [number | boolean | number[], number | number[]][], number][] = [
    [new MAE(), [[3, 2.5], [[1, 2], [1, 3]]], 0.5],
    [new RMSE(), [[3, 0], [1, 5]], Math.sqrt(12.5)],
    [new LogLoss(), [[true, 0.5], [false, 0.75]], (Math.LN2 + Math.log(4)) / 2],
    [new LogLoss(), [[true, 0]], -Math.log(1e-15)],
    [new Accuracy(), [[true, 0.5], [false, 0.5], [0, 0.1], [1, 0.2]], 0.5],
    [new HitRate(1), [[0, [2, 1]], [1, [2, 1]], [0, [2, 2]]], 1 / 3],
    [new HitRate(2), [[0, [2, 1, 0]], [2, [2, 1, 0]]], 0.5],
    [new MAE({ window: 2 }), [[0, 9], [0, 1], [0, 2]], 1.5],
    [new MAE({ halfLife: 1 }), [[0, 1], [0, 4]], 3],
  ];
  for (const [metric, updates, expected] of cases) {
    assertEquals(metric.get(), NaN);
    for (const [y, prediction] of updates) metric.update(y, prediction);
    assertAlmostEquals(metric.get(), expected, 1e-12, metric.name);
  }
});

Deno.test("an interval of a metric is in its own unit", () => {
  const [mae, rmse] = [new MAE(), new RMSE()];
  for (const number of numbers) for (const metric of [mae, rmse]) metric.update(0, number - 5);
  for (const metric of [mae, rmse]) {
    const { low, high } = metric.interval(), wide = metric.interval({ confidence: 0.99 });
    assert(wide.low < low && low < metric.get() && metric.get() < high && high < wide.high);
  }
  assert(rmse.interval().low > 0.8 && rmse.interval().high < 1.2);
  const few = new MAE();
  few.update(1, 2);
  assertEquals(few.interval(), { low: NaN, high: NaN });
  assertEquals(few.interval({ method: "batchMeans" }), { low: NaN, high: NaN });
  for (let count = 2; count < 20; count++) few.update(count, 2);
  assertEquals(few.interval({ method: "batchMeans" }), { low: NaN, high: NaN });
  few.update(20, 2);
  const { low, high } = few.interval({ method: "batchMeans" });
  assert(low < few.get() && few.get() < high, `${low} ${high}`);
});

Deno.test("what is no number is refused and not counted", () => {
  const metric = new MAE();
  assertThrows(() => metric.update(NaN, 1), InputError, "MAE.update: y has NaN at index 0");
  assertThrows(
    () => metric.update(1, Infinity),
    InputError,
    "MAE.update: prediction has Infinity at index 0",
  );
  assertThrows(
    () => metric.update([1, 2], 1),
    InputError,
    "MAE.update: prediction has 1 numbers, expected 2",
  );
  assertEquals([metric.count, metric.get()], [0, NaN]);
  assertThrows(() => new HitRate(0), InputError, "HitRate: k is 0");
  assertThrows(() => new HitRate(1).update(3, [1, 2]), InputError, "y is [3], expected an index below 2");
  assertThrows(() => new MAE({ window: 0 }), InputError, "size is 0");
  assertThrows(() => new MAE({ halfLife: 0 }), InputError, "halfLife is 0");
  assertThrows(() => new MAE({ window: 1, halfLife: 1 }), InputError, "both window and halfLife");
  assertThrows(() => metric.interval({ confidence: 1 }), InputError, "MAE.interval: confidence is 1");
  assertThrows(() => new MAE({ window: 5 }).interval({ method: "batchMeans" }), InputError, "method is");
});
