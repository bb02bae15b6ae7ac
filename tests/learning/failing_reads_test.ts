// Arguments of learners whose code throws at each of their reads: what is thrown is typed, and no step happens by half.

import { DynamicAttention, type RowId } from "../../mod.ts";
import {
  adagrad,
  adam,
  attentionGradients,
  OnlineLearner,
  progressiveValidation,
  RMSE,
  RunningMean,
  sgd,
  squaredLoss,
} from "../../src/learning/mod.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { failEachRead, refuseEachRead } from "../../testing/failing_reads.ts";
import { outcome } from "../../testing/hostile_values.ts";

const ROW = [1, 2];

async function make(): Promise<DynamicAttention<RowId, RowId>> {
  return await DynamicAttention.create({
    ...{ query: [[1, 0], [0, 1]], key: [[1, 1], [0, 2], [2, 0]], value: [[1], [2], [3]] },
    ...{ queryIds: ["x", "y"], keyIds: ["a", "b", "c"], backend: "array", lazyThreshold: Infinity },
  });
}

/** Methods of a learner and arguments that they take. */
const LEARNING: Readonly<Record<string, readonly unknown[]>> = {
  learnOne: [{ query: "x", columns: [0], offset: 1 }, [2], { weight: 2 }],
  learnMany: [[{ x: { query: "x" }, y: [2] }, { x: { query: "y", against: ["a"] }, y: [1], weight: 3 }]],
  predictOne: [{ row: ROW, position: 1 }],
  peekOne: [{ query: "x" }],
  predictMany: [[{ query: "x" }, { row: ROW }]],
  recommendOne: [{ query: "x" }, 2, { exclude: ["a"] }],
};

for (const [name, args] of Object.entries(LEARNING)) {
  Deno.test(`learner's ${name}: an argument that cannot be read at some moment leaves no half of a step`, async () => {
    const makeLearner = async () => {
      const live = await make();
      return { live, learner: new OnlineLearner(live, { loss: squaredLoss(), optimizer: adam() } as never) };
    };
    const { live: first, learner: untouched } = await makeLearner();
    await using _ = first;
    if (!(name in untouched)) throw new Error(`there is no ${name}`);
    const saved = await untouched.save();
    await failEachRead(args, async (...given) => {
      const { live, learner } = await makeLearner();
      const error = await outcome(() => Reflect.apply(Reflect.get(learner, name) as never, learner, given));
      const check = async () => {
        await using _ = live;
        if (error !== null) assertEquals(await learner.save(), saved, `${name} left a half behind`);
      };
      return { error, check };
    });
  });
}

Deno.test("options of learners, optimizers, averages and gradients that cannot be read are refused by type", async () => {
  await using live = await make();
  const learner = new OnlineLearner(live, { optimizer: adam() }), saved = await learner.save();
  const load = async (options: never) => {
    await using _ = (await OnlineLearner.load(saved, options)).live;
  };
  const OPTIONS = { rate: 0.1, rates: { keys: false, values: 0.2 }, reads: "stale", seed: 3, top: 2 };
  const calls: readonly (readonly [run: (...args: never[]) => unknown, ...args: unknown[]])[] = [
    [(options: never) => new OnlineLearner(live, options), { ...OPTIONS, loss: squaredLoss() }],
    [load, { ...OPTIONS, optimizer: adam(), backend: "array" }],
    [sgd, { momentum: 0.5, nesterov: true, clip: 3 }],
    [adagrad, { epsilon: 1e-3, weightDecay: 0.1 }],
    [adam, { beta1: 0.5, beta2: 0.9 }],
    [(options: never) => new RMSE(options), { window: 3 }],
    [(options: never) => new RunningMean().interval(options), {
      confidence: 0.9,
      method: "independent",
    }],
    [(y: never, told: never) => new RMSE().update(y, told), [1, 2], [3, 4]],
    [attentionGradients.bind(null, live), [[1], [2]], { rows: ["x", "y"], top: 2, bias: true }],
    [attentionGradients.bind(null, live), [[1]], { queries: [ROW], positions: [1] }],
    [
      (metrics: never, options: never) => progressiveValidation([], learner as never, metrics, options),
      [new RMSE()],
      { delay: 1, onPrediction: () => {} },
    ],
  ];
  for (const [run, ...args] of calls) assert(await refuseEachRead(run, args) > 0, run.name);
});
