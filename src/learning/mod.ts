/**
 * Learning on an engine: exact derivatives of attention, and an online learner that fits queries, keys and
 * values to a stream of examples, with River's names.
 *
 * @example Fitting a query to a reader's likes
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { adagrad, Accuracy, logisticLoss, OnlineLearner, progressiveValidation } from "@attune/attention/learning";
 * import { assert } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({
 *   query: [[0, 0]], // a reader
 *   key: [[1, 0], [0, 1], [-1, 0]],
 *   value: [[1, 0], [0, 1], [-1, 0]], // what the texts are about
 * });
 * const learner = new OnlineLearner(live, { loss: logisticLoss(), optimizer: adagrad(), rate: 0.5, seed: 1 });
 * const likes = [true, false, false];
 * const stream = Array.from({ length: 60 }, (_, step) => {
 *   const text = step % 3;
 *   return { x: { query: 0, against: text }, y: likes[text] };
 * });
 * const accuracy = new Accuracy({ window: 20 });
 * await progressiveValidation(stream, learner, accuracy);
 * assert(accuracy.get() > 0.9);
 * ```
 *
 * @module
 */

export {
  type AttentionGradients,
  attentionGradients,
  type GradientMatrix,
  type GradientOptions,
} from "./attention_gradients.ts";
export { type Average, ExponentialMean, type IntervalOptions, RunningMean, WindowMean } from "./averages.ts";
export type { Interval } from "./confidence.ts";
export type {
  BatchSample,
  Example,
  ExampleScores,
  PassingExample,
  StandingExample,
  Target,
} from "./examples.ts";
export type {
  LearnedBatch,
  LearnedStep,
  LearnerStats,
  StalePrediction,
  StepBounds,
} from "./learner_answers.ts";
export type { LearnerOptions, PartRates } from "./learner_options.ts";
export { huberLoss, logisticLoss, type Loss, rankingLoss, sigmoid, squaredLoss } from "./losses.ts";
export {
  Accuracy,
  HitRate,
  LogLoss,
  MAE,
  MeanMetric,
  type Measure,
  type Metric,
  type MetricOptions,
  RMSE,
} from "./metrics.ts";
export { type LearnerLoadOptions, OnlineLearner } from "./online_learner.ts";
export {
  adagrad,
  type AdagradOptions,
  adam,
  type AdamOptions,
  type Optimizer,
  type OptimizerOptions,
  sgd,
  type SgdOptions,
} from "./optimizers.ts";
export {
  type OnlineModel,
  progressiveValidation,
  type Sample,
  type ValidationOptions,
} from "./progressive_validation.ts";
export { SeededRandom } from "./random.ts";
export { constantRate, inverseScaling, type RateSchedule } from "./rates.ts";
export type { RowKind } from "../write/newest_rows.ts";
export {
  AttentionError,
  CapacityError,
  DisposedError,
  FormatError,
  InputError,
  SlotError,
} from "../base/errors.ts";
export type { DynamicAttention } from "../engine/dynamic_attention.ts";
export type { LoadOptions } from "../engine/engine_snapshot.ts";
export type { CsrMatrix, MatrixInput, RowInput, SparseRow, VectorInput } from "../base/matrix.ts";
