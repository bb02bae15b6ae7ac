// A learner with an `error` predicts and learns by outputs that may be stale within it: what it tells of scores, losses and
// derivatives holds against the float64 oracle, its copies are let go, and what it refuses.

import { DynamicAttention, InputError } from "../../mod.ts";
import {
  huberLoss,
  logisticLoss,
  type Loss,
  OnlineLearner,
  rankingLoss,
  squaredLoss,
} from "../../src/learning/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";

const HEAD_DIM = 4, VALUE_DIM = 3;

/** Exact output of one query, as of the newest rows. */
function exactOf(live: DynamicAttention, query: number): number[] {
  const slots = [...live.keySlots()];
  const { output } = referenceAttention({
    query: [live.getQuery(query)],
    key: slots.map((slot) => live.getKey(slot)),
    value: slots.map((slot) => live.getValue(slot)),
    valueDim: VALUE_DIM,
    scale: 1 / Math.sqrt(HEAD_DIM),
  });
  return output[0];
}

/** Losses with targets that suit them. */
const LOSSES: readonly (readonly [Loss, (random: Random, count: number) => number | number[]])[] = [
  [squaredLoss(), (random, count) => [...random.row(count)]],
  [huberLoss(0.3), (random, count) => [...random.row(count)]],
  [logisticLoss(), (random, count) => Array.from({ length: count }, () => random.below(2))],
  [rankingLoss(), (random, count) => random.below(count)],
];

for (const backend of QUICK_BACKENDS) {
  Deno.test(`learning within an error on ${backend}: scores, losses and derivatives are as near as is told`, async () => {
    let stale = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Random(seed), [loss, targetsOf] = LOSSES[seed % LOSSES.length];
      const error = random.pick([1e-3, 0.05, 1]), top = random.pick([3, 8, 100]);
      await using live = await DynamicAttention.create({
        query: random.rows(9, HEAD_DIM),
        key: random.rows(20, HEAD_DIM),
        value: random.rows(20, VALUE_DIM),
        backend,
      });
      const learner = new OnlineLearner(live, { loss, error, top, rate: 0.02, rates: { queries: false } });
      for (let step = 0; step < 25; step++) {
        if (random.below(12) === 0) live.set(random.below(20), random.row(HEAD_DIM), random.row(VALUE_DIM));
        const query = random.below(9), against = [random.below(20), random.below(20)];
        const x = random.below(2) === 0 ? { query, against } : { query, columns: [0, 2] };
        const output = exactOf(live, query), values = against.map((slot) => live.getValue(slot));
        const scores = "against" in x
          ? values.map((value) => output.reduce((sum, o, c) => sum + o * value[c], 0))
          : [output[0], output[2]];
        const exact = Float64Array.from(scores), y = targetsOf(random, 2);
        const targets = Float64Array.from([y].flat());
        const what = `seed ${seed}, step ${step}`;
        const peeked = await learner.peekOne(x);
        const slack = 1e-9;
        const link = (scores: Float64Array) => loss.predict(scores);
        if (loss.name !== "logistic") {
          peeked.prediction.forEach((score, at) => {
            assert(Math.abs(score - link(exact)[at]) <= peeked.bounds[at] + slack, `${what}: score ${at}`);
          });
        }
        const told = await learner.learnOne(x, y);
        if (top >= 20) {
          assertEquals(told.bounds, undefined, what);
          continue;
        }
        const { bounds } = told;
        assert(bounds, what);
        if (bounds.scores.some((bound) => bound > 1e-4)) stale++;
        const longest = Math.max(1, ...values.map((value) => Math.hypot(...value)));
        assert(bounds.scores.every((bound) => bound <= error * longest + slack), `${what}: ${bounds.scores}`);
        const offLoss = Math.abs(told.loss - loss.value(exact, targets));
        assert(offLoss <= bounds.loss + slack, `${what}: loss off by ${offLoss} > ${bounds.loss}`);
        if (loss.name === "logistic") continue;
        const used = loss.gradient(told.prediction, targets), right = loss.gradient(exact, targets);
        const off = Math.hypot(...used.map((g, at) => g - right[at]));
        assert(off <= bounds.gradient + slack, `${what}: gradient off by ${off} > ${bounds.gradient}`);
      }
      const { staleReads } = learner.stats();
      assertEquals(staleReads, 25, `seed ${seed}`);
      learner.release();
      await learner.learnOne({ query: 0 }, [0, 0, 0].slice(0, loss.name === "ranking" ? 1 : 3));
    }
    assert(stale > 10, `${stale} steps were by stale outputs`);
  });

  Deno.test(`learning within an error on ${backend}: what is saved goes on with the same bits`, async () => {
    const random = new Random(6), options = { error: 0.1, top: 2, rates: { queries: false } } as const;
    await using live = await DynamicAttention.create({
      query: random.rows(3, HEAD_DIM),
      key: random.rows(8, HEAD_DIM),
      value: random.rows(8, VALUE_DIM),
      backend,
    });
    const learner = new OnlineLearner(live, options);
    const learn = async (to: OnlineLearner, seed: number) => {
      const stream = new Random(seed);
      const steps = [];
      for (let step = 0; step < 12; step++) {
        steps.push(await to.learnOne({ query: stream.below(3) }, stream.row(VALUE_DIM)));
      }
      return steps;
    };
    await learn(learner, 1);
    const loaded = await OnlineLearner.load(await learner.save(), options);
    assertEquals(await learn(loaded, 2), await learn(learner, 2));
    await loaded.live.dispose();
  });
}

Deno.test("learning within an error: a mini-batch tells the bounds of each example", async () => {
  const random = new Random(8);
  await using live = await DynamicAttention.create({
    query: random.rows(3, HEAD_DIM),
    key: random.rows(8, HEAD_DIM),
    value: random.rows(8, VALUE_DIM),
  });
  const learner = new OnlineLearner(live, { error: 0.1, top: 2 });
  const row = random.row(HEAD_DIM), y = [0, 0, 0];
  const { bounds } = await learner.learnMany([{ x: { query: 0 }, y }, { x: { row }, y }, {
    x: { query: 0 },
    y,
  }]);
  assertEquals(bounds?.map((own) => own !== null), [true, false, true]);
  const exact = new OnlineLearner(live, { top: 2 });
  assertEquals("bounds" in await exact.learnMany([{ x: { query: 0 }, y }]), false);
  assertEquals("bounds" in await exact.learnOne({ query: 0 }, y), false);
});

Deno.test("learning within an error: a loss that says nothing of its smoothness has no bound", async () => {
  await using live = await DynamicAttention.create({ query: [[1]], key: [[1], [2]], value: [[0], [1]] });
  const { smoothness: _, ...plain } = squaredLoss();
  const learn = async (loss: Loss) => {
    const learner = new OnlineLearner(live, { loss, error: 0.5, top: 1, rates: { queries: false } });
    await learner.predictOne({ query: 0 });
    live.addToValue(0, 0, 0.001);
    return (await learner.learnOne({ query: 0 }, 1)).bounds;
  };
  const told = await learn({ ...plain, name: "own" });
  assert(told && told.scores[0] > 0 && told.scores[0] <= 0.5);
  assertEquals([told.loss, told.gradient], [Infinity, Infinity]);
  for (const bad of [NaN, -1, "1"]) {
    const loss = { ...plain, name: "own", smoothness: () => bad as number };
    await assertRejects(() => learn(loss), InputError, "the smoothness of loss own is ");
  }
});

Deno.test("learning within an error: options that do not fit are refused", async () => {
  await using live = await DynamicAttention.create({ query: [[1]], key: [[1]], value: [[0]] });
  for (const error of [-1, NaN, Infinity, "1", null, 1n]) {
    assertThrows(() => new OnlineLearner(live, { error: error as number }), InputError, "error is ");
  }
  const both = { error: 0.1, reads: "stale" } as const;
  assertThrows(
    () => new OnlineLearner(live, both),
    InputError,
    'error is 0.1 with reads: "stale", expected 0',
  );
});
