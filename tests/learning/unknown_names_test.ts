// A misspelt name is refused at every entry of the learning module and at every depth, and what is refused
// changes nothing.

import { DynamicAttention, InputError } from "../../mod.ts";
import {
  Accuracy,
  adagrad,
  adam,
  attentionGradients,
  constantRate,
  HitRate,
  huberLoss,
  inverseScaling,
  LogLoss,
  MAE,
  MeanMetric,
  OnlineLearner,
  progressiveValidation,
  RMSE,
  RunningMean,
  sgd,
  squaredLoss,
} from "../../src/learning/mod.ts";
import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";

const live = await DynamicAttention.create({ query: [[1, 2]], key: [[1, 0], [0, 1]], value: [[1], [2]] });
const learner = new OnlineLearner(live, { optimizer: adagrad() });
const model = { predictOne: () => 1, learnOne: () => {} };

/** A call with a name that is not known, by the operation and the name that the error tells. */
const MISSPELT: readonly (readonly [operation: string, name: string, call: () => unknown])[] = [
  ["OnlineLearner", "optimiser", () => new OnlineLearner(live, { optimiser: sgd() } as never)],
  ["OnlineLearner", "learningRate", () => new OnlineLearner(live, { learningRate: 1 } as never)],
  ["OnlineLearner.rates", "key", () => new OnlineLearner(live, { rates: { key: 1 } } as never)],
  [
    "OnlineLearner.rates",
    "value",
    () => new OnlineLearner(live, { rates: { keys: false, value: 1 } } as never),
  ],
  [
    "OnlineLearner.load",
    "tresholds",
    async () => OnlineLearner.load(await learner.save(), { tresholds: 1 } as never),
  ],
  ["OnlineLearner.load.rates", "query", async () => {
    return OnlineLearner.load(await learner.save(), { optimizer: adagrad(), rates: { query: 1 } } as never);
  }],
  ["OnlineLearner.learnOne", "agianst", () => learner.learnOne({ query: 0, agianst: 1 } as never, 1)],
  ["OnlineLearner.learnOne", "positon", () => learner.learnOne({ row: [1, 2], positon: 1 } as never, 1)],
  ["OnlineLearner.learnOne", "position", () => learner.learnOne({ query: 0, position: 1 } as never, 1)],
  ["OnlineLearner.predictOne", "column", () => learner.predictOne({ query: 0, column: 0 } as never)],
  ["OnlineLearner.peekOne", "ofset", () => learner.peekOne({ query: 0, ofset: 1 } as never)],
  ["sgd", "epsilon", () => sgd({ epsilon: 1 } as never)],
  ["sgd", "weight_decay", () => sgd({ weight_decay: 1 } as never)],
  ["adagrad", "beta1", () => adagrad({ beta1: 0.5 } as never)],
  ["adam", "beta", () => adam({ beta: 0.5 } as never)],
  ["adam", "amsgrad", () => adam({ epsilon: 1, amsgrad: true } as never)],
  ...[MAE, RMSE, LogLoss, Accuracy].map((Kind): [string, string, () => unknown] => [
    Kind.name,
    "halflife",
    () => new Kind({ halflife: 3 } as never),
  ]),
  ["HitRate@2", "windows", () => new HitRate(2, { windows: 3 } as never)],
  ["own", "size", () => new MeanMetric("own", () => 1, { size: 3 } as never)],
  ["MAE.interval", "confidance", () => new MAE().interval({ confidance: 0.5 } as never)],
  ["RunningMean.interval", "confidance", () => new RunningMean().interval({ confidance: 0.5 } as never)],
  ["RunningMean.interval", "methods", () => new RunningMean().interval({ methods: "batchMeans" } as never)],
  ["progressiveValidation", "delays", () => progressiveValidation([], model, [], { delays: 1 } as never)],
  ["attentionGradients", "stride", () => {
    return attentionGradients(live, { data: [1], shape: [1, 1], stride: 1 } as never);
  }],
  ["attentionGradients", "row", () => attentionGradients(live, [[1]], { row: [0] } as never)],
  [
    "attentionGradients",
    "baises",
    () => attentionGradients(live, [[1]], { rows: [0], baises: true } as never),
  ],
];

Deno.test("a misspelt name is refused, told, and has changed nothing", async () => {
  const before = await learner.save();
  for (const [operation, name, call] of MISSPELT) {
    const error = await assertRejects(
      async () => void await call(),
      InputError,
      `"${name}" is unknown`,
    );
    assertEquals(error.operation, operation);
    assert(error.expected.includes("one of "), error.message);
  }
  assertEquals(await learner.save(), before);
});

Deno.test("what is no object of options is refused, also where all have defaults", async () => {
  const calls: Record<string, (options: never) => unknown> = {
    learner: (options) => new OnlineLearner(live, options),
    rates: (options) => new OnlineLearner(live, { rates: options }),
    load: async (options) => OnlineLearner.load(await learner.save(), options),
    sgd,
    adagrad,
    adam,
    metric: (options) => new MAE(options),
    interval: (options) => new MAE().interval(options),
    mean: (options) => new RunningMean().interval(options),
    validation: (options) => progressiveValidation([], model, [], options),
    gradients: (options) => attentionGradients(live, [[1]], options),
    x: (options) => learner.predictOne(options),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const odd of [null, 5, "text", true]) {
      const { actual } = await assertRejects(async () => void await call(odd as never), InputError);
      assert(actual.includes(odd === "text" ? '"text"' : `${odd}`), `${name}: ${actual}`);
    }
  }
});

Deno.test("values that are none are refused by name", async () => {
  const refused: [() => unknown, string][] = [
    [() => constantRate({ rate: 1 } as never), "constantRate: rate is an object (Object)"],
    [() => inverseScaling(1, { power: 2 } as never), "inverseScaling: power is an object (Object)"],
    [() => inverseScaling(NaN), "inverseScaling: rate is NaN"],
    [
      () => new OnlineLearner(live, { rate: { rate: 1 } } as never),
      "OnlineLearner: rate is an object (Object)",
    ],
    [() => new OnlineLearner(live, { rates: { keys: true } } as never), "rates.keys is true"],
    [
      () => new OnlineLearner(live, { loss: { ...squaredLoss(), gradient: 1 } } as never),
      "loss is an object",
    ],
    [() => new OnlineLearner(live, { loss: { ...squaredLoss(), name: 1 } } as never), "loss is an object"],
    [() => new OnlineLearner(live, { optimizer: sgd } as never), "optimizer is a function"],
    [
      () => new OnlineLearner(live, { reads: "stael" } as never),
      'reads is "stael", expected "exact" or "stale"',
    ],
    [() => huberLoss("1" as never), 'huberLoss: delta is "1"'],
    [() => sgd({ clip: "1" as never }), 'sgd: clip is "1"'],
    [() => adam({ epsilon: Infinity }), "adam: epsilon is Infinity"],
    [() => new MAE({ window: 2.5 }), "size is 2.5"],
    [() => new MeanMetric("own", 1 as never), "own: measure is 1, expected a function"],
    [() => new MeanMetric("own", () => 1, {}, 1 as never), "own: fromMean is 1, expected a function"],
    [() => new MeanMetric(1 as never, () => 1), "MeanMetric: name is 1"],
    [() => new MAE().interval({ method: "batches" as never }), 'MAE.interval: method is "batches"'],
    [() => new MAE().interval({ confidence: "0.9" as never }), 'confidence is "0.9"'],
    [
      () => attentionGradients(live, [[1]], { bias: 1 } as never),
      "attentionGradients: bias is 1, expected a boolean",
    ],
    [() => attentionGradients(live, [[1]], { top: 1.5 }), "attentionGradients: top is 1.5"],
    [() => attentionGradients(live, [[1]], { positions: [1] }), "positions are given without queries"],
    [() => learner.learnOne({ query: "0" } as never, 1), 'query slot "0" is not live'],
    [() => learner.learnOne({ query: 0, columns: [0, 1] }, 1), "column is 1"],
    [() => learner.learnOne({ query: 0, offset: "1" } as never, 1), 'offset is "1"'],
    [() => learner.learnOne({ query: 0 }, undefined as never), "y is undefined"],
    [() => learner.learnOne({ query: 0 }, [undefined] as never), "y has undefined at index 0"],
    [() => learner.learnOne({ query: 0 }, ["1"] as never), 'y has "1" at index 0'],
  ];
  const before = await learner.save();
  for (const [call, message] of refused) {
    await assertRejects(async () => void await call(), InputError, message);
  }
  assertEquals(await learner.save(), before);
});
