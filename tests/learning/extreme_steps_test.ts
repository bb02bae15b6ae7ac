// Full suite: it takes thousands of hostile steps.
//
// Steps under hostile labels, rates and rows: each happens wholly or not at all, no row and no state ever
// holds what is no number, and what was saved goes on with the same bits.

import { DynamicAttention, InputError } from "../../mod.ts";
import {
  adagrad,
  adam,
  attentionGradients,
  huberLoss,
  inverseScaling,
  logisticLoss,
  type Loss,
  OnlineLearner,
  type Optimizer,
  rankingLoss,
  type RateSchedule,
  sgd,
  squaredLoss,
} from "../../src/learning/mod.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";

/** One query that weighs two keys alike, so that its derivative is known: ∂L/∂v_j = (o − y) / 2. */
function create(value: readonly (readonly number[])[] = [[1], [3]]) {
  return DynamicAttention.create({ query: [[0]], key: [[1], [2]], value, backend: "array" });
}

const VALUES_ONLY = { keys: false, queries: false } as const;

for (const label of [1e3, 1e38, 1e155, -1e155, 1e200, -1e300]) {
  Deno.test(`a clipped step to a label of ${label} has the length rate · clip`, async () => {
    await using live = await create();
    const learner = new OnlineLearner(live, { optimizer: sgd({ clip: 2 }), rate: 0.25 });
    const { rowsStepped } = await learner.learnOne({ query: 0 }, label);
    assertEquals([...live.getValue(0), ...live.getValue(1)], [1, 3].map((v) => v + Math.sign(label) * 0.5));
    assertAlmostEquals(Math.abs(live.getQuery(0)[0]), 0.5, 1e-7);
    assertEquals([rowsStepped, learner.stats().steps], [3, 1]);
  });
}

Deno.test("a derivative is as long as it is, also where its square is beyond float64", () => {
  const step = new Float64Array(3), state = new Float64Array(0);
  for (const size of [5e-324, 1e-300, 1e-170, 1e-3, 1, 1e155, 1e300]) {
    for (const clip of [1e-310, 1e-200, 1, 1e200]) {
      const gradient = Float64Array.of(3 * size, 0, -4 * size);
      sgd({ clip }).step(gradient, [0, 0, 0], state, 1, step);
      const isLonger = 5 * size > clip;
      const expected = isLonger ? [-0.6 * clip, 0, 0.8 * clip] : [...gradient].map((g) => -g);
      step.forEach((moved, c) =>
        assertAlmostEquals(moved / expected[c] || 1, 1, 1e-12, `${size} ${clip} ${step} ${expected}`)
      );
    }
  }
});

const EPSILONS = [1e-8, 1e-160, 1e-300];
for (const make of [adagrad, adam]) {
  Deno.test(`${make.name} goes as far for derivatives of any size`, () => {
    for (const epsilon of EPSILONS) {
      // Far above epsilon the step depends on the shape of the stream alone.
      for (const size of [1e-150, 1e-100, 1, 1e100, 1e155, 1e250, 1e300]) {
        if (size < 1e20 * epsilon) continue;
        const rows = [size, 1].map((unit) => {
          const optimizer = make({ epsilon: unit === 1 ? 1e-300 : epsilon });
          const state = new Float64Array(optimizer.stateLength(2)), step = new Float64Array(2);
          const row = Float64Array.of(0, 0);
          for (const [a, b] of [[1, -3], [0.5, 2], [-1, 1e-3]]) {
            optimizer.step(Float64Array.of(a * unit, b * unit), row, state, 0.1, step);
            row.forEach((x, c) => row[c] = x + step[c]);
          }
          return row;
        });
        assert(rows[1].every((x) => x !== 0));
        rows[0].forEach((x, c) => assertAlmostEquals(x, rows[1][c], 1e-12, `${epsilon} ${size}`));
      }
    }
  });
}

Deno.test("a label of 1e155 does not end adagrad: it steps, goes on and is saved", async () => {
  await using live = await create();
  const learner = new OnlineLearner(live, { optimizer: adagrad(), rate: 0.1, rates: VALUES_ONLY });
  await learner.learnOne({ query: 0 }, 1e155);
  assertAlmostEquals(live.getValue(0)[0], 1.1, 1e-6, "the first step of a row has the length of the rate");
  await learner.learnOne({ query: 0 }, 1e155);
  assertAlmostEquals(live.getValue(0)[0], 1.1 + 0.1 / Math.SQRT2, 1e-6);
  const loaded = await OnlineLearner.load(await learner.save(), {
    optimizer: adagrad(),
    rate: 0.1,
    rates: VALUES_ONLY,
  });
  for (const { live, learnOne } of [learner, loaded].map((one) => ({ live: one.live, learnOne: one }))) {
    await learnOne.learnOne({ query: 0 }, -1e155);
    assertAlmostEquals(live.getValue(0)[0], 1.1 + 0.1 / Math.SQRT2 - 0.1 / Math.sqrt(3), 1e-6);
  }
  await loaded.live.dispose();
});

Deno.test("what leads out of float64 is refused by name, and nothing has changed", async () => {
  await using live = await create([[1e30], [3e30]]);
  const states = (state: number): Optimizer => ({
    name: "own",
    stateLength: () => 1,
    step: (_gradient, _row, own) => void (own[0] = state),
  });
  const cases: [ConstructorParameters<typeof OnlineLearner>[1], number, string][] = [
    [{}, 1e308, "OnlineLearner.learnOne: a derivative by query 0 is "],
    [
      { rate: 1e200, rowRate: () => 1e200 },
      1,
      "the rate of value 0 is Infinity, expected a finite number ≥ 0",
    ],
    [{ rate: 1e300 }, 1, "a lower rate or a clip may help"],
    [{ optimizer: states(NaN) }, 1, "the step takes the state of value 0 to NaN at index 0"],
    [{ optimizer: states(-Infinity) }, 1, "the step takes the state of value 0 to -Infinity at index 0"],
  ];
  for (const [options, y, message] of cases) {
    const learner = new OnlineLearner(live, {
      ...options,
      ...(options?.rowRate ? { rates: VALUES_ONLY } : {}),
    });
    const before = await learner.save();
    await assertRejects(() => learner.learnOne({ query: 0 }, y), InputError, message);
    assertEquals(await learner.save(), before);
  }
});

Deno.test("derivatives of any size are those of their shape, or refused", async () => {
  const random = new Random(12);
  await using live = await DynamicAttention.create({
    query: random.rows(2, 4),
    key: random.rows(5, 2),
    value: random.rows(5, 4).map((row) => row.map((x) => 100 * x)),
    heads: 2,
    kvHeads: 1,
    backend: "array",
  });
  const g = [[...random.row(8)], [...random.row(8)]];
  const plain = await attentionGradients(live, g, { bias: true });
  for (const size of [2 ** -1000, 2 ** 500, 2 ** 1000]) {
    const scaled = await attentionGradients(live, g.map((row) => row.map((x) => x * size)), { bias: true });
    for (const part of ["query", "key", "value", "bias"] as const) {
      assertEquals(scaled[part].data, plain[part].data.map((x) => x * size));
    }
  }
  const huge = g.map((row) => row.map((x) => Math.sign(x) * 1e308));
  await assertRejects(
    () => attentionGradients(live, huge),
    InputError,
    "attentionGradients: a derivative by query 0 is ",
  );
  await assertRejects(
    () => attentionGradients(live, [huge[0]], { queries: [[1, 2, 3, 4]] }),
    InputError,
    "a derivative by passing query 0 is ",
  );
  const { key } = await attentionGradients(live, [[0, 0, 0, 0, 0, 0, 0, 0], Array(8).fill(0)]);
  assert(key.data.every((x) => x === 0));
});

const LOSSES: readonly Loss[] = [
  squaredLoss(),
  huberLoss(1),
  huberLoss(1e300),
  logisticLoss(),
  rankingLoss(),
];
const OPTIMIZERS: readonly Optimizer[] = [
  sgd(),
  sgd({ clip: 1 }),
  sgd({ clip: 1e-310, weightDecay: 0.1 }),
  adagrad(),
  adagrad({ epsilon: 5e-324, clip: 1e200 }),
  adagrad({ epsilon: 1e308, weightDecay: 1e308 }),
  adam(),
  adam({ beta1: 0, beta2: 0, epsilon: 5e-324 }),
  adam({ beta1: 1 - 2 ** -53, beta2: 1 - 2 ** -53, clip: 1e-3 }),
];
const RATES: readonly (number | RateSchedule)[] = [
  0.1,
  1e38,
  5e-324,
  inverseScaling(1e308, 300),
  (step) => [0, 1, 1e-300, NaN, Infinity, -1, 1e30][step % 7],
];
const HOSTILE = [0, 1, -1, 0.5, 1e-38, -1e-38, 1e38, -1e38, 1e-155, 1e155, -1e155, 1e-308, 5e-324, -5e-324]
  .concat(
    [1.7e308, -1.7e308, 1e300, NaN, Infinity, -Infinity, 2, -0],
  );
const SIZES = [1, 1e-38, 1e-45, 1e19, 3e38];

Deno.test("every loss, optimizer and schedule under hostile labels and rows: wholly or not at all", async () => {
  const random = new Random(31);
  let happened = 0, refused = 0;
  for (const [l, loss] of LOSSES.entries()) {
    for (const [o, optimizer] of OPTIMIZERS.entries()) {
      for (const [r, rate] of RATES.entries()) {
        // A third of them meets every loss, optimizer and schedule.
        if (!IS_LONG && (l + o + r) % 3 > 0) continue;
        const size = SIZES[(l + o + r) % SIZES.length], isRanking = loss.name === "ranking";
        const live = await DynamicAttention.create({
          query: random.rows(2, 2),
          key: random.rows(3, 2),
          value: random.rows(3, 2).map((row) => row.map((x) => Math.max(-3e38, Math.min(3e38, x * size)))),
          backend: (l + o + r) % 4 === 0 ? "wasm" : "array",
        });
        const options = { loss, optimizer, rate, top: (l + o) % 2 ? 2 : Infinity };
        const learner = new OnlineLearner(live, options);
        for (const label of HOSTILE) {
          const offset = random.pick([0, 0, 1, 1e155, -1e308]);
          const query = random.below(2), against = isRanking ? [0, 2] : random.below(3);
          const x = { query, against, ...(random.below(2) ? { offset } : {}) };
          const before = await learner.save(), { steps } = learner.stats();
          const note = `${loss.name} ${optimizer.name} ${r} ${label} ${offset} ${size}`;
          try {
            const { loss: told, prediction } = await learner.learnOne(x, label);
            happened++;
            assertEquals(learner.stats().steps, steps + 1, note);
            assert(!Number.isNaN(told) && prediction.every(Number.isFinite), note);
          } catch (error) {
            refused++;
            assertInstanceOf(error, InputError, `${note}: ${error}`);
            assert(error.operation === "OnlineLearner.learnOne", error.message);
            assertEquals(await learner.save(), before, note);
          }
        }
        // What `save` writes is what `load` takes: finite numbers alone.
        const bytes = await learner.save();
        const loaded = await OnlineLearner.load(bytes, options);
        assertEquals(await loaded.save(), bytes);
        for (const y of isRanking ? [0, 1] : [0, 1, 0.5]) {
          const x = { query: y === 1 ? 1 : 0, against: isRanking ? [1, 2] : 1 };
          const [one, other] = await Promise.all(
            [learner, loaded].map((own) => own.learnOne(x, y).catch((error) => String(error))),
          );
          assertEquals(other, one);
        }
        assertEquals(await loaded.save(), await learner.save());
        await loaded.live.dispose();
        await live.dispose();
      }
    }
  }
  console.log(`hostile steps: ${happened} happened, ${refused} were refused`);
  const least = IS_LONG ? 1000 : 250;
  assert(happened > least && refused > least);
});

Deno.test("a long stream of hostile labels leaves a learner that still learns", async () => {
  for (const optimizer of [sgd({ clip: 1 }), adagrad({ clip: 1 }), adam({ clip: 1 })]) {
    await using live = await create();
    const options = { optimizer, rate: 0.3, rates: VALUES_ONLY };
    const learner = new OnlineLearner(live, options), random = new Random(4);
    for (let at = 0; at < 2000; at++) {
      const label = random.pick(HOSTILE) * random.pick([1, -1]);
      await learner.learnOne({ query: 0 }, label).catch((error) => assertInstanceOf(error, InputError));
    }
    for (let at = 0; at < 4000; at++) await learner.learnOne({ query: 0 }, 5);
    const [prediction] = await learner.predictOne({ query: 0 });
    assertAlmostEquals(prediction, 5, 0.5, optimizer.name);
    const loaded = await OnlineLearner.load(await learner.save(), options);
    assertEquals(await loaded.learnOne({ query: 0 }, 7), await learner.learnOne({ query: 0 }, 7));
    await loaded.live.dispose();
  }
});
