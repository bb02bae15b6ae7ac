// Weights, mini-batches and momentum: against the derivatives of `attentionGradients`, which an oracle of their own judges, and
// against what single steps do.

import { DynamicAttention, InputError } from "../../mod.ts";
import {
  attentionGradients,
  type BatchSample,
  OnlineLearner,
  sgd,
  squaredLoss,
} from "../../src/learning/mod.ts";
import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";
import { Random } from "../../testing/random.ts";
import { BACKENDS } from "../backends_here.ts";

const D = 3, M = 3, N = 6, RATE = 0.05;

function rows(seed: number) {
  const random = new Random(seed);
  return { query: random.rows(M, D), key: random.rows(N, D), value: random.rows(N, D) };
}

/** Everything that an engine holds. */
function held(live: DynamicAttention): number[][] {
  const keys = [...live.keySlots()], queries = [...live.querySlots()];
  return [
    ...keys.map((slot) => [...live.getKey(slot), ...live.getValue(slot)]),
    ...queries.map((slot) => [...live.getQuery(slot)]),
  ];
}

for (const backend of BACKENDS) {
  Deno.test(`learnMany, ${backend}: one step on the weighted mean, from the same moment`, async () => {
    await using live = await DynamicAttention.create({ ...rows(1), backend });
    await using twin = await DynamicAttention.create({ ...rows(1), backend: "array" });
    const learner = new OnlineLearner(live, { rate: RATE });
    const random = new Random(2);
    const samples = [0, 1, 1, 2].map((query) => ({
      x: { query },
      y: [...random.row(D)],
      weight: 0.5 + random.next(),
    }));
    const sum = samples.reduce((sum, { weight }) => sum + weight, 0);
    const before = held(live);
    const { data } = await twin.read();
    // g = ∂(mean loss)/∂o, by query.
    const g = new Float32Array(M * D);
    for (const { x: { query }, y, weight } of samples) {
      y.forEach((target, c) => g[query * D + c] += weight / sum * (data[query * D + c] - target));
    }
    const by = await attentionGradients(twin, { data: g, shape: [M, D] });
    const { predictions, loss, rowsStepped, queryGradients } = await learner.learnMany(samples);
    const after = held(live);
    for (let j = 0; j < N; j++) {
      for (let c = 0; c < D; c++) {
        assertAlmostEquals(after[j][c], before[j][c] - RATE * by.key.data[j * D + c], 2e-5);
        assertAlmostEquals(after[j][D + c], before[j][D + c] - RATE * by.value.data[j * D + c], 2e-5);
      }
    }
    for (let i = 0; i < M; i++) {
      for (let c = 0; c < D; c++) {
        assertAlmostEquals(after[N + i][c], before[N + i][c] - RATE * by.query.data[i * D + c], 2e-5);
      }
    }
    const losses = samples.map(({ x: { query }, y }) => {
      return squaredLoss().value(
        Float64Array.from(data.subarray(query * D, query * D + D)),
        Float64Array.from(y),
      );
    });
    assertAlmostEquals(
      loss,
      losses.reduce((mean, value, at) => mean + samples[at].weight / sum * value, 0),
      1e-5,
    );
    assertEquals([rowsStepped, predictions.length, queryGradients.length], [2 * N + M, 4, 4]);
    assertEquals(learner.stats().steps, 1);
  });
}

Deno.test("a batch of one is learnOne, to the bit, and a weight scales its step", async () => {
  const options = { rate: RATE, optimizer: sgd({ momentum: 0.9 }) };
  await using first = await DynamicAttention.create(rows(3));
  await using second = await DynamicAttention.create(rows(3));
  const one = new OnlineLearner(first, options), many = new OnlineLearner(second, options);
  const random = new Random(4);
  for (let step = 0; step < 20; step++) {
    const x = { query: step % M, against: [step % N, (step + 1) % N] },
      y = [random.normal(), random.normal()];
    const learned = await one.learnOne(x, y), batch = await many.learnMany([{ x, y, weight: 7 }]);
    assertEquals(
      [batch.predictions[0], batch.loss, batch.rowsStepped, batch.leftOut, batch.queryGradients[0]],
      [learned.prediction, learned.loss, learned.rowsStepped, learned.leftOut, learned.queryGradient],
    );
  }
  assertEquals(held(first), held(second));
  await using plain = await DynamicAttention.create(rows(3));
  await using weighted = await DynamicAttention.create(rows(3));
  // A weight of 4 on plain descent is a rate of 4 times as much, a power of two to the bit.
  await new OnlineLearner(plain, { rate: 4 * RATE }).learnOne({ query: 0 }, [1, 2, 3]);
  const light = await new OnlineLearner(weighted, { rate: RATE }).learnOne({ query: 0 }, [1, 2, 3], {
    weight: 4,
  });
  assertEquals(held(weighted), held(plain));
  const before = held(plain);
  const none = await new OnlineLearner(plain, { rate: 1 }).learnOne({ query: 0 }, [9, 9, 9], { weight: 0 });
  assertEquals([held(plain), none.rowsStepped], [before, 0]);
  assertEquals(light.loss > 0, true);
});

Deno.test("a batch is all or nothing, and about the rows of its call", async () => {
  await using live = await DynamicAttention.create(rows(5));
  const learner = new OnlineLearner(live, { rate: RATE });
  const before = held(live), x = { query: 0 }, y = [1, 2, 3];
  const mistakes: readonly (readonly [unknown, string])[] = [
    [[], "the weights of 0 samples add up to 0, expected a finite number above 0"],
    [[{ x, y, weight: 0 }], "the weights of 1 samples add up to 0"],
    [[{ x, y, weight: -1 }], "samples[0].weight is -1, expected a finite number ≥ 0"],
    [[{ x, y }, { x, y, wieght: 1 }], 'samples[1] field "wieght" is unknown'],
    [[{ x, y }, { x, y: [1] }], "OnlineLearner.learnMany: "],
    [[{ x, y }, { x: { query: 7 }, y }], "query slot 7 is not live"],
    [[{ x, y }, { x, y: [1, NaN, 1] }], "samples[1].y has NaN at index 1"],
    [[{ x, y: [1e200, 0, 0], weight: 1 }, { x, y }], "OnlineLearner.learnMany: "],
    ["many", 'samples is "many", expected an array of { x, y }'],
  ];
  for (const [samples, message] of mistakes) {
    await assertRejects(() => learner.learnMany(as<BatchSample[]>(samples)), InputError, message);
  }
  await assertRejects(() => learner.learnOne(x, y, { weight: NaN }), InputError, "weight is NaN");
  await assertRejects(
    () => learner.learnOne(x, [1e300, 0, 0], { weight: 1e10 }),
    InputError,
    "times the weight 10000000000",
  );
  const late = learner.learnMany([{ x, y }, { x: { query: 1 }, y }]);
  live.deleteQuery(1);
  await assertRejects(() => late, InputError, "OnlineLearner.learnMany: ");
  live.insertQuery(before[N + 1]);
  assertEquals([held(live), learner.stats().steps], [before, 0]);
  const both = await learner.predictMany([{ query: 0 }, { query: 2, columns: [1] }]);
  assertEquals(both, [
    await learner.predictOne({ query: 0 }),
    await learner.predictOne({ query: 2, columns: [1] }),
  ]);
});

Deno.test("momentum is PyTorch's, Nesterov's too, and goes along in snapshots", async () => {
  for (const nesterov of [false, true]) {
    const optimizer = sgd({ momentum: 0.8, nesterov, weightDecay: 0.1 });
    const state = new Float64Array(optimizer.stateLength(1)), step = new Float64Array(1);
    let row = 2, velocity = 0;
    for (let turn = 0; turn < 10; turn++) {
      const g = Math.sin(turn);
      velocity = 0.8 * velocity + g;
      const expected = -0.3 * (nesterov ? g + 0.8 * velocity : velocity) - 0.3 * 0.1 * row;
      optimizer.step(Float64Array.of(g), [row], state, 0.3, step);
      assertAlmostEquals(step[0], expected, 1e-12);
      row += step[0];
    }
  }
  const options = { optimizer: sgd({ momentum: 0.5, nesterov: true }), rate: RATE };
  await using live = await DynamicAttention.create(rows(6));
  const learner = new OnlineLearner(live, options);
  for (let turn = 0; turn < 5; turn++) await learner.learnOne({ query: turn % M }, [1, 0, 2]);
  const again = await OnlineLearner.load(await learner.save(), options);
  for (const one of [learner, again]) await one.learnOne({ query: 0 }, [3, 1, 0]);
  assertEquals(held(again.live), held(live));
  await again.live.dispose();
  assertEquals(sgd().stateLength(5), 0);
  assertEquals(sgd({ momentum: 0 }).name, sgd().name);
  for (
    const [given, message] of [
      [{ momentum: 1 }, "sgd: momentum is 1, expected a number ≥ 0 and below 1"],
      [{ momentum: -0.1 }, "momentum is -0.1"],
      [{ nesterov: true }, "nesterov is true, expected true beside a momentum above 0"],
      [{ momentum: 0.5, nesterov: 1 }, "nesterov is 1"],
      [{ momentun: 0.5 }, 'did you mean "momentum"?'],
    ] as const
  ) {
    assertThrows(() => sgd(as(given)), InputError, message);
  }
});
