// Means, intervals and metrics over the whole range of float64: against exact arithmetic, and after what is
// refused.

import { InputError } from "../../mod.ts";
import {
  Accuracy,
  type Average,
  ExponentialMean,
  HitRate,
  LogLoss,
  MAE,
  MeanMetric,
  type MetricOptions,
  RMSE,
  RunningMean,
  WindowMean,
} from "../../src/learning/mod.ts";
import { Moments } from "../../src/learning/moments.ts";
import { studentQuantile } from "../../src/learning/confidence.ts";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../../testing/assert.ts";
import { magnitudeOf, ratio, toExact } from "../../testing/exact.ts";
import { Random } from "../../testing/random.ts";

const MAX = Number.MAX_VALUE, MIN = Number.MIN_VALUE;

/** Pools that streams are drawn from: of one size, of sizes far apart, and of the ends of float64. */
const POOLS: readonly (readonly number[])[] = [
  [1, 2, 3.5, -1, 0.25],
  [MAX, -MAX],
  [MAX, -MAX, MAX / 3, 1, 0],
  [1e308, 1.5e308, -1e307],
  [MIN, -MIN, 0, 3 * MIN],
  [1e-310, 2e-308, 5e-309],
  [1e155, -3e155, 2e154],
  [1e-155, -3e-155, 2e-170],
  [1e38, -1e38, 1e-38, -1e-38, 0],
  [1e200, 1e-200, -1e-200, 3e-200],
  [1e16, 1e16 + 2, 1e16 + 4],
  [-0, 0],
];

interface Truth {
  readonly mean: number;
  /** √(variance / count). */
  readonly standardError: number;
  readonly largest: number;
}

/** Of numbers that weigh alike, in units of 2^−1074: exact but for the last division and root. */
function truthOf(numbers: readonly number[]): Truth {
  const exact = numbers.map(toExact), n = BigInt(numbers.length);
  const sum = exact.reduce((a, b) => a + b, 0n), squares = exact.reduce((a, b) => a + b * b, 0n);
  // n² times the sum of squared distances, which is n Σ x² − (Σ x)², over n³ (n − 1).
  const standardError = rootRatio(n * squares - sum * sum, n * n * (n - 1n));
  return {
    mean: inUnits(sum, n),
    standardError,
    largest: numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0),
  };
}

/** a / b · 2^−1074 as a number, also where it is subnormal or close to the end of float64. */
function inUnits(a: bigint, b: bigint): number {
  return magnitudeOf(a) > b << 200n ? ratio(a, b << 1074n) : ratio(a, b) * MIN;
}

/** √(a / b) · 2^−1074. */
function rootRatio(a: bigint, b: bigint): number {
  if (b === 0n) return NaN;
  const quotient = (a << 200n) / b;
  if (quotient === 0n) return 0;
  let root = 1n << BigInt(Math.ceil(quotient.toString(16).length * 2));
  for (let next = root;; root = next) {
    next = (root + quotient / root) >> 1n;
    if (next >= root) break;
  }
  return inUnits(root, 1n << 100n);
}

/** Roundings of `count` steps, of numbers up to `largest`. */
function slack(count: number, largest: number): number {
  return Math.min(MAX, 4e-16 * count * largest + count * MIN);
}

function assertTruth(average: Average, numbers: readonly number[], note: string): void {
  const { mean, standardError, largest } = truthOf(numbers);
  const room = slack(numbers.length, largest);
  assertAlmostEquals(average.mean, mean, room, `mean of ${note}`);
  if (numbers.length < 2) return assertEquals([average.variance, average.standardError], [NaN, NaN]);
  assertAlmostEquals(average.standardError, standardError, room + 1e-12 * standardError, `error of ${note}`);
  assert(average.variance >= 0, `variance of ${note}`);
}

Deno.test("means and their errors are those of exact arithmetic, whatever the size of the numbers", () => {
  const random = new Random(41);
  for (const [p, pool] of POOLS.entries()) {
    for (let turn = 0; turn < 6; turn++) {
      const all = new RunningMean(), last = new WindowMean(5), seen: number[] = [];
      const count = turn === 0 ? 2 : 3 + random.below(60);
      for (let at = 0; at < count; at++) {
        const number = turn === 0 ? pool[at % pool.length] : random.pick(pool);
        seen.push(number);
        for (const average of [all, last]) average.add(number);
        assertTruth(all, seen, `${seen}`);
        // A window is of its numbers alone, whatever was before them.
        assertTruth(last, seen.slice(-5), `the last of ${seen}`);
        const { low, high } = all.interval();
        if (seen.length > 1) assert(low <= all.mean && all.mean <= high, `${p} ${low} ${all.mean} ${high}`);
      }
    }
  }
});

Deno.test("a mean that fades forgets what was huge", () => {
  for (const [huge, small] of [[MAX, 1e-200], [-1e155, 1], [1e38, 1e-38], [1, MIN]]) {
    const fading = new ExponentialMean(1), fresh = new ExponentialMean(1);
    fading.add(huge);
    // Then the square of the largest number weighs less than nothing beside the others.
    for (let at = 0; at < 4000; at++) {
      for (const mean of [fading, fresh]) mean.add(at % 2 === 0 ? small : 3 * small);
      assert(Number.isFinite(fading.mean) && !Number.isNaN(fading.standardError));
    }
    assertAlmostEquals(fading.mean / fresh.mean, 1, 1e-12, `${huge}`);
    if (small > 1e-300) assertAlmostEquals(fading.standardError / fresh.standardError, 1, 1e-9, `${huge}`);
  }
});

Deno.test("a mean that fades is right for weights that it can tell, at any size", () => {
  const random = new Random(42);
  for (const halfLife of [MIN, 0.01, 0.5, 3, 1e6, 1e308]) {
    for (const pool of POOLS) {
      const fading = new ExponentialMean(halfLife);
      for (let at = 0; at < 40; at++) {
        fading.add(random.pick(pool));
        assert(Number.isFinite(fading.mean), `${halfLife} ${pool}`);
        const { variance, standardError } = fading;
        assertEquals(Number.isNaN(variance), Number.isNaN(standardError));
        assert(Number.isNaN(variance) || (variance >= 0 && standardError >= 0), `${halfLife} ${pool}`);
      }
    }
    // Of one size the formulas can be written down; other sizes are the same, scaled by a power of two.
    for (const size of [2 ** -1000, 2 ** -600, 2 ** 600, 2 ** 1020]) {
      const plain = new ExponentialMean(halfLife), scaled = new ExponentialMean(halfLife);
      for (let at = 0; at < 60; at++) {
        const number = random.normal();
        plain.add(number);
        scaled.add(number * size);
        assertEquals(scaled.mean, plain.mean * size);
        assertEquals(scaled.standardError, plain.standardError * size);
      }
    }
  }
});

Deno.test("rounding at the end of float64 does not leave it", () => {
  const last = new ExponentialMean(MIN);
  // Where x + (MAX − x) rounds to Infinity.
  for (const number of [4.826228707835606e307, 7.607709266479668e307, 5.712658910687126e307]) {
    assertEquals(number + (MAX - number), Infinity);
    for (const sign of [1, -1]) {
      last.add(sign * number);
      last.add(sign * MAX);
      assertEquals(last.mean, sign * MAX);
    }
  }
});

Deno.test("a window depends on its numbers alone, to the bit", () => {
  const random = new Random(44);
  const numbers = Array.from({ length: 7 }, () => random.normal());
  const means = Array.from({ length: 7 }, (_, before) => {
    const mean = new WindowMean(7);
    for (let at = 0; at < before; at++) mean.add(1e6 * random.normal());
    for (const number of numbers) mean.add(number);
    return [mean.mean, mean.variance, mean.standardError];
  });
  for (const mean of means) assertEquals(mean, means[0]);
});

Deno.test("numbers that are all alike have their mean for certain", () => {
  for (
    const average of [
      new MAE(),
      new MAE({ window: 3 }),
      new MAE({ halfLife: 2 }),
      new MAE({ halfLife: 0.04 }),
    ]
  ) {
    for (let at = 0; at < 4; at++) average.update(0, 0.3);
    assertEquals(average.interval({ confidence: 1 - 2 ** -53 }), { low: 0.3, high: 0.3 });
  }
});

Deno.test("batch means survive the ends of float64", () => {
  for (const size of [1, MAX, 2 ** -1000]) {
    const mean = new RunningMean(), random = new Random(5);
    for (let at = 0; at < 500; at++) mean.add((random.next() * 2 - 1) * size);
    const { low, high } = mean.interval({ method: "batchMeans" });
    assert(low < mean.mean && mean.mean < high && Number.isFinite(low) && Number.isFinite(high), `${size}`);
    assert(mean.batchMeans.every((batch) => Math.abs(batch) <= size));
    (mean.batchMeans as number[]).fill(NaN);
    assertEquals(mean.interval({ method: "batchMeans" }), { low, high }, "what is answered is a copy");
  }
});

Deno.test("an interval is as wide as Student says, from two numbers on and without overflow", () => {
  for (const size of [1, 1e-200, 1e200]) {
    for (const count of [2, 3, 4, 12]) {
      const mean = new RunningMean();
      for (let at = 0; at < count; at++) mean.add((at % 2) * size);
      const { low, high } = mean.interval({ confidence: 0.99 });
      const half = studentQuantile(0.99, count - 1) * mean.standardError;
      assertAlmostEquals((high - low) / 2 / half, 1, 1e-12);
    }
  }
  const wide = new RunningMean();
  for (const number of [MAX, -MAX]) wide.add(number);
  assertEquals(wide.interval(), { low: -Infinity, high: Infinity });
  assertEquals(wide.variance, Infinity);
  assertAlmostEquals(wide.standardError / MAX, 1, 1e-12);
  const certain = new RunningMean();
  for (let at = 0; at < 5; at++) certain.add(0.1);
  assertEquals(certain.interval({ confidence: 1 - 2 ** -53 }), { low: 0.1, high: 0.1 });
});

Deno.test("numbers that are none are refused, and not counted", () => {
  for (const average of [new RunningMean(), new WindowMean(3), new ExponentialMean(2)]) {
    average.add(1);
    average.add(2);
    const before = [average.mean, average.variance, average.standardError, average.count];
    for (const odd of [NaN, Infinity, -Infinity, "3", null, undefined, 1n]) {
      const { message } = assertThrows(() => average.add(odd as number), InputError);
      assert(message.startsWith(`${average.constructor.name}.add: number is `), message);
    }
    assertEquals([average.mean, average.variance, average.standardError, average.count], before);
  }
});

Deno.test("moments of squares far apart keep their digits", () => {
  const moments = new Moments();
  for (const number of [1, 1 + 1e-10, 1 - 1e-10]) moments.add(number);
  const before = moments.standardError;
  for (const factor of [2 ** 900, 2 ** -900]) {
    const other = new Moments();
    for (const number of [1, 1 + 1e-10, 1 - 1e-10]) other.add(number * factor);
    assertEquals(other.standardError, before * factor);
  }
});

/** Everything that a metric answers. */
function answersOf(metric: MeanMetric): unknown {
  return [metric.get(), metric.count, metric.interval(), metric.interval({ confidence: 0.5 })];
}

const HOSTILE: readonly number[] = [
  ...[0, -0, 1, -1, 0.5, 1e-38, 1e38, -1e38, 1e153, 1e155, -1e155, 1e300, MAX, -MAX, MIN, -MIN, 1e-200],
  ...[NaN, Infinity, -Infinity, 2],
];
const OPTIONS: readonly MetricOptions[] = [{}, { window: 3 }, { halfLife: 2 }, { halfLife: 0.01 }];

Deno.test("metrics count an example wholly or not at all, and never answer NaN after the first", () => {
  const random = new Random(43);
  let counted = 0, refused = 0;
  for (const options of OPTIONS) {
    const metrics = [
      new MAE(options),
      new RMSE(options),
      new LogLoss(options),
      new Accuracy(options),
      new HitRate(1, options),
      new MeanMetric("ratio", ([y], [prediction]) => prediction / y, options),
      new MeanMetric(
        "throws",
        ([y]) => {
          if (y < 0) throw new TypeError("oops");
          return y;
        },
        options,
      ),
    ];
    for (const metric of metrics) {
      for (let at = 0; at < 400; at++) {
        const length = metric instanceof HitRate ? 2 : 1 + random.below(3);
        const y = metric instanceof HitRate
          ? random.pick([0, 1, ...HOSTILE])
          : Array.from({ length }, () => random.pick(HOSTILE));
        const prediction = Array.from({ length }, () => random.pick(HOSTILE));
        const before = answersOf(metric);
        let error: unknown = null;
        try {
          metric.check(y, prediction);
        } catch (thrown) {
          error = thrown;
        }
        assertEquals(answersOf(metric), before, "check takes nothing");
        if (error === null) {
          metric.update(y, prediction);
          counted++;
          assert(!Number.isNaN(metric.get()) && Math.abs(metric.get()) < Infinity, `${metric.name} ${y}`);
        } else {
          refused++;
          assert(error instanceof InputError && error.operation === `${metric.name}.update`, `${error}`);
          assertThrows(() => metric.update(y, prediction), InputError, error.message);
          assertEquals(answersOf(metric), before, `${metric.name} ${y} ${prediction}`);
        }
      }
    }
  }
  console.log(`hostile examples: ${counted} were counted, ${refused} refused`);
  assert(counted > 2000 && refused > 2000);
});

Deno.test("one error beyond the range does not end a metric", () => {
  const [mae, rmse] = [new MAE(), new RMSE()];
  for (const metric of [mae, rmse]) metric.update(0, 3);
  rmse.update(0, -3);
  assertThrows(
    () => rmse.update(1e155, 0),
    InputError,
    "RMSE.update: the measure of [1e+155] and [0] is Infinity",
  );
  assertThrows(() => mae.update(MAX, -MAX), InputError, "MAE.update: the measure of");
  assertEquals([mae.get(), mae.count, rmse.get(), rmse.count], [3, 1, 3, 2]);
  mae.update([MAX, MAX, 0], [0, 0, 0]);
  assertAlmostEquals(mae.get() / MAX, 1 / 3, 1e-12, "a sum beyond float64, and a mean within it");
  assertThrows(() => new LogLoss().update(1.5, 0.5), InputError, "LogLoss.update: y has 1.5");
  assertThrows(() => new LogLoss().update(1, -0.1), InputError, "LogLoss.update: prediction has -0.1");
});

Deno.test("exact arithmetic, where it is known", () => {
  assertEquals(truthOf([1, 3]), { mean: 2, standardError: 1, largest: 3 });
  assertEquals(inUnits(toExact(MIN), 1n), MIN);
  assertAlmostEquals(truthOf([MAX, -MAX]).standardError / MAX, 1, 1e-15);
});
