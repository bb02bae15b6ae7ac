// Losses, rates and optimizers: against finite differences and against their formulas, written once more.

import { InputError } from "../../mod.ts";
import {
  adagrad,
  adam,
  constantRate,
  huberLoss,
  inverseScaling,
  logisticLoss,
  type Loss,
  type Optimizer,
  rankingLoss,
  sgd,
  squaredLoss,
} from "../../src/learning/mod.ts";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const random = new Random(6);

const LOSSES: readonly (readonly [loss: Loss, targets: (count: number) => Float64Array])[] = [
  [squaredLoss(), (count) => Float64Array.from({ length: count }, () => random.normal())],
  [huberLoss(0.5), (count) => Float64Array.from({ length: count }, () => random.normal())],
  [logisticLoss(), (count) => Float64Array.from({ length: count }, () => random.below(3) / 2)],
  [rankingLoss(), (count) => Float64Array.of(random.below(count))],
];
for (const [loss, makeTargets] of LOSSES) {
  Deno.test(`the derivative of the ${loss.name} loss is that of its value`, () => {
    for (let turn = 0; turn < 50; turn++) {
      const count = 2 + random.below(3), targets = makeTargets(count);
      const scores = Float64Array.from({ length: count }, () => 3 * random.normal());
      loss.check("test", targets, count);
      const gradient = loss.gradient(scores, targets);
      const step = 1e-5;
      scores.forEach((score, at) => {
        const move = (delta: number) => loss.value(scores.with(at, score + delta), targets);
        assertAlmostEquals(gradient[at], (move(step) - move(-step)) / (2 * step), 1e-7);
      });
      assert(loss.value(scores, targets) >= 0);
      // A step against the derivative makes the loss smaller.
      const better = scores.map((score, at) => score - 1e-3 * gradient[at]);
      if (gradient.some((g) => g !== 0)) assert(loss.value(better, targets) < loss.value(scores, targets));
    }
  });
}

Deno.test("losses of huge scores are finite and right", () => {
  const far = Float64Array.of(800), near = Float64Array.of(-800), yes = Float64Array.of(1);
  const logistic = logisticLoss();
  assertEquals([logistic.value(far, yes), logistic.value(near, yes)], [0, 800]);
  assertEquals([...logistic.gradient(far, yes), ...logistic.gradient(near, yes)], [0, -1]);
  assertEquals([...logistic.predict(far), ...logistic.predict(near)], [1, Math.exp(-800)]);
  const no = Float64Array.of(0), unsure = Float64Array.of(0.25);
  for (const score of [40, 100, 700]) {
    const tiny = Math.exp(-score), [s, t] = [Float64Array.of(score), Float64Array.of(-score)];
    // ln(1 + x) and x / (1 + x) are x for such numbers.
    assertEquals([logistic.value(s, yes), logistic.value(t, no)], [tiny, tiny]);
    assertEquals([logistic.gradient(s, yes)[0], logistic.gradient(t, no)[0]], [-tiny, tiny]);
    assertAlmostEquals(logistic.value(s, unsure), 0.75 * score, 1e-12 * score);
    assertAlmostEquals(logistic.gradient(t, unsure)[0], -0.25, 1e-12);
  }
  for (const score of [1.7e308, -1.7e308]) {
    const value = logistic.value(Float64Array.of(score), unsure);
    assertAlmostEquals(value / Math.abs(score), score > 0 ? 0.75 : 0.25, 1e-12);
  }
  const squared = squaredLoss(), zero = Float64Array.of(0);
  assertEquals(squared.value(Float64Array.of(1.5e154), zero), 1.5e154 / 2 * 1.5e154);
  assertEquals(squared.value(Float64Array.of(1e155), zero), Infinity);
  const huber = huberLoss(0.5);
  assertEquals(huber.value(Float64Array.of(1.7e308), Float64Array.of(-1)), 0.85e308);
  assertEquals(huber.gradient(Float64Array.of(1.7e308), Float64Array.of(-1.7e308)), Float64Array.of(0.5));
  const ranking = rankingLoss(), first = Float64Array.of(0);
  assertEquals(ranking.value(Float64Array.of(-900, 900), first), 1800);
  assertEquals([...ranking.gradient(Float64Array.of(-900, 900), first)], [-1, 1]);
});

Deno.test("targets that do not fit are refused", () => {
  const refused: [Loss, number[], number, string][] = [
    [squaredLoss(), [1], 2, "y has 1 numbers, expected 2"],
    [huberLoss(1), [1, 2], 1, "y has 2 numbers, expected 1"],
    [logisticLoss(), [2], 1, "y has 2, expected true, false or numbers from 0 to 1"],
    [rankingLoss(), [0], 1, "there is 1 score to rank"],
    [rankingLoss(), [2], 2, "y is [2], expected an index from 0 to 1"],
    [rankingLoss(), [0.5], 2, "y is [0.5]"],
    [rankingLoss(), [0, 1], 2, "y is [0, 1]"],
  ];
  for (const [loss, targets, count, message] of refused) {
    assertThrows(() => loss.check("test", Float64Array.from(targets), count), InputError, `test: ${message}`);
  }
  assertThrows(() => huberLoss(0), InputError, "huberLoss: delta is 0");
});

/** Steps a row of three numbers some times. */
function run(optimizer: Optimizer, gradients: readonly Float64Array[], rate: number): Float64Array {
  const row = Float64Array.of(1, -2, 0.5), state = new Float64Array(optimizer.stateLength(3));
  const step = new Float64Array(3);
  for (const gradient of gradients) {
    optimizer.step(gradient, row, state, rate, step);
    row.forEach((x, c) => row[c] = x + step[c]);
  }
  return row;
}

const gradients = Array.from({ length: 5 }, () => Float64Array.from(random.row(3, 2)));

Deno.test("optimizers do what their formulas say", () => {
  const start = [1, -2, 0.5];
  const column = (c: number) => gradients.map((g) => g[c]);
  const bySgd = start.map((x, c) => column(c).reduce((row, g) => row - 0.1 * g, x));
  const byAdagrad = start.map((x, c) => {
    let sum = 0;
    return column(c).reduce((row, g) => row - 0.1 * g / (Math.sqrt(sum += g * g) + 1e-8), x);
  });
  const byAdam = start.map((x, c) => {
    let m = 0, v = 0;
    return column(c).reduce((row, g, at) => {
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      return row - 0.1 * (m / (1 - 0.9 ** (at + 1))) / (Math.sqrt(v / (1 - 0.999 ** (at + 1))) + 1e-8);
    }, x);
  });
  const decayed = start.map((x, c) => column(c).reduce((row, g) => row - 0.1 * g - 0.1 * 0.5 * row, x));
  const cases = [[sgd(), bySgd], [adagrad(), byAdagrad], [adam(), byAdam], [
    sgd({ weightDecay: 0.5 }),
    decayed,
  ]] as const;
  for (const [optimizer, expected] of cases) {
    run(optimizer, gradients, 0.1).forEach((x, c) =>
      assertAlmostEquals(x, expected[c], 1e-12, optimizer.name)
    );
  }
});

Deno.test("a long derivative is shortened to the clip, a short one is left", () => {
  const [long, short] = [Float64Array.of(3, 4, 0), Float64Array.of(0.3, 0.4, 0)];
  const before = long.slice();
  assertEquals([...run(sgd({ clip: 1 }), [long], 1)].map((x) => x.toFixed(6)), [
    "0.400000",
    "-2.800000",
    "0.500000",
  ]);
  assertEquals(run(sgd({ clip: 1 }), [short], 1), run(sgd(), [short], 1));
  assertEquals(long, before, "the caller's stays as it is");
});

Deno.test("numbers without a derivative are not moved, and leave no NaN", () => {
  for (const optimizer of [sgd(), adagrad(), adam()]) {
    assertEquals(run(optimizer, [new Float64Array(3)], 0.1), Float64Array.of(1, -2, 0.5));
  }
});

Deno.test("names tell optimizers apart, and options are checked", () => {
  const names = [sgd(), sgd({ clip: 2 }), adagrad(), adagrad({ epsilon: 1e-6 }), adam(), adam({ beta1: 0 })];
  assertEquals(new Set(names.map(({ name }) => name)).size, names.length);
  const refused: [() => unknown, string][] = [
    [() => sgd({ weightDecay: -1 }), "sgd: weightDecay is -1"],
    [() => sgd({ clip: 0 }), "sgd: clip is 0"],
    [() => sgd({ epsilon: 1 } as never), 'sgd: option "epsilon" is unknown'],
    [() => adagrad({ epsilon: 0 }), "adagrad: epsilon is 0"],
    [() => adam({ beta1: 1 }), "adam: beta1 is 1"],
    [() => adam({ beta2: NaN }), "adam: beta2 is NaN"],
    [() => constantRate(-1), "constantRate: rate is -1"],
    [() => inverseScaling(1, -1), "inverseScaling: power is -1"],
  ];
  for (const [make, message] of refused) assertThrows(make, InputError, message);
});

Deno.test("schedules", () => {
  assertEquals([0, 9].map(constantRate(0.3)), [0.3, 0.3]);
  assertEquals([0, 3, 99].map(inverseScaling(2)), [2, 1, 0.2]);
  assertEquals([0, 3].map(inverseScaling(2, 1)), [2, 0.5]);
});
