/**
 * Progressive validation: the model predicts each example before it learns from it.
 */

import { describe, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";
import { isCount } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { checkGiven } from "./callbacks.ts";
import type { Example, Target } from "./examples.ts";
import { MeanMetric, type Metric } from "./metrics.ts";

/** An example of a stream. */
export interface Sample<X = Example> {
  /** The question. */
  readonly x: X;
  /** The right answer. */
  readonly y: Target;
}

/** A model that predicts and learns: an {@link OnlineLearner} or a baseline. */
export interface OnlineModel<X = Example> {
  /** The prediction for x. */
  predictOne(x: X): number | ArrayLike<number> | Promise<number | ArrayLike<number>>;
  /** Learns that y is right for x. */
  learnOne(x: X, y: Target): unknown;
}

/** Options of {@link progressiveValidation}. */
export interface ValidationOptions {
  /**
   * The number of further examples after which an example's y is known; 0 unless given. The examples that are
   * left at the end are learned then.
   */
  readonly delay?: number;
  /** Called, and awaited, after each prediction with the number of predictions so far. */
  readonly onPrediction?: (count: number) => unknown;
}

/**
 * Runs a model over a stream: for each example the model predicts, the metrics take y and the prediction, and
 * the model learns once y is known. An example is learned `delay` examples after its prediction and before
 * the next one, so that no prediction uses targets that were not known at its time.
 *
 * An error of the model, of a metric or of `onPrediction` ends the run and is passed on. If one of the
 * library's own metrics ({@link MeanMetric}) refuses an example, none of the metrics counts it. A prediction
 * that was counted stays counted if learning from its example fails.
 *
 * @returns The number of examples.
 * @throws {InputError} When an option is unknown or out of range, or an example, the model or a metric lacks
 * a member.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { MAE, OnlineLearner, progressiveValidation } from "@attune/attention/learning";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({ query: [[0]], key: [[1], [2]], value: [[0], [0]] });
 * const learner = new OnlineLearner(live, { rate: 0.5 });
 * const stream = Array.from({ length: 40 }, () => ({ x: { query: 0 }, y: 3 }));
 * const [all, recent] = [new MAE(), new MAE({ window: 10 })];
 * assertEquals(await progressiveValidation(stream, learner, [all, recent]), 40);
 * assert(recent.get() < all.get());
 * ```
 *
 * Source: Blum, Kalai, Langford, "Beating the Hold-Out: Bounds for K-fold and Progressive Cross-Validation",
 * COLT 1999; the form is that of River's `progressive_val_score`.
 */
export async function progressiveValidation<X = Example>(
  stream: Iterable<Sample<X>> | AsyncIterable<Sample<X>>,
  model: OnlineModel<X>,
  metrics: Metric | readonly Metric[],
  options: ValidationOptions = {},
): Promise<number> {
  const operation = "progressiveValidation";
  const { delay = 0, onPrediction = () => {} } = takeOptions(operation, options, ["delay", "onPrediction"]);
  if (!isCount(delay)) throw new InputError(operation, `delay is ${describe(delay)}`, "an integer ≥ 0");
  if (typeof onPrediction !== "function") {
    throw new InputError(operation, `onPrediction is ${describe(onPrediction)}`, "a function");
  }
  checkGiven(operation, "model", model, ["predictOne", "learnOne"]);
  const measures = reading(
    operation,
    (): readonly Metric[] => Array.isArray(metrics) ? [...metrics] : [metrics as Metric],
  );
  measures.forEach((metric, at) => checkGiven(operation, `metric ${at}`, metric, ["update", "get"]));
  const waiting: { readonly x: X; readonly y: Target }[] = [];
  let count = 0;
  for await (const sample of stream) {
    const { x, y } = toSample(operation, sample, count);
    const prediction = await model.predictOne(x);
    takeAll(measures, y, prediction);
    count++;
    await onPrediction(count);
    waiting.push({ x, y });
    if (waiting.length > delay) await learnNext(model, waiting);
  }
  while (waiting.length > 0) await learnNext(model, waiting);
  return count;
}

async function learnNext<X>(model: OnlineModel<X>, waiting: Sample<X>[]): Promise<void> {
  const { x, y } = waiting.shift() as Sample<X>;
  await model.learnOne(x, y);
}

/** Reads each part of an example once, so that the model predicts and learns the same example. */
function toSample<X>(operation: string, sample: Sample<X>, at: number): Sample<X> {
  if (typeof sample !== "object" || sample === null || !("x" in sample) || !("y" in sample)) {
    throw new InputError(operation, `example ${at} is ${describe(sample)}`, "an object with x and y");
  }
  return reading(operation, () => ({ x: sample.x, y: sample.y }));
}

/**
 * Updates all metrics with an example, or none: metrics with a `check` are checked first and updated last.
 */
function takeAll(metrics: readonly Metric[], y: Target, prediction: number | ArrayLike<number>): void {
  const own = metrics.filter((metric) => metric instanceof MeanMetric);
  for (const metric of own) metric.check(y, prediction);
  for (const metric of metrics) if (!(metric instanceof MeanMetric)) metric.update(y, prediction);
  for (const metric of own) metric.update(y, prediction);
}
