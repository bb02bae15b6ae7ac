/**
 * Each example is a test first and a lesson afterwards.
 */

import { describe, InputError } from "../errors.ts";
import { isCount } from "../matrix.ts";
import { checkNames } from "../options.ts";
import type { Example, Target } from "./examples.ts";
import type { Metric } from "./metrics.ts";

/** What a stream is made of. */
export interface Sample<X = Example> {
  /** What is asked. */
  readonly x: X;
  /** What is right. */
  readonly y: Target;
}

/** Whatever predicts and learns, an {@link OnlineLearner} or a baseline. */
export interface OnlineModel<X = Example> {
  /** The prediction for x. */
  predictOne(x: X): number | ArrayLike<number> | Promise<number | ArrayLike<number>>;
  /** Takes in what was right for x. */
  learnOne(x: X, y: Target): unknown;
}

/** How a stream is run through. */
export interface ValidationOptions {
  /** After how many further examples an example's y is known; 0 unless given. What is left at the end is learned then. */
  readonly delay?: number;
  /** Called after each prediction with the number of predictions so far; waited for. */
  readonly onPrediction?: (count: number) => unknown;
}

/**
 * Runs a model over a stream: for each example it predicts, the metrics take y and the prediction, and it learns, once y
 * is known. What was predicted `delay` examples ago is learned before the next prediction, so no prediction knows more
 * than it could.
 *
 * @returns How many examples there were.
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
 * Source: Blum, Kalai, Langford, "Beating the Hold-Out: Bounds for K-fold and Progressive Cross-Validation", COLT 1999;
 * the form is that of River's `progressive_val_score`.
 */
export async function progressiveValidation<X = Example>(
  stream: Iterable<Sample<X>> | AsyncIterable<Sample<X>>,
  model: OnlineModel<X>,
  metrics: Metric | readonly Metric[],
  options: ValidationOptions = {},
): Promise<number> {
  const operation = "progressiveValidation";
  checkNames(operation, options, ["delay", "onPrediction"]);
  const { delay = 0, onPrediction } = options;
  if (!isCount(delay)) throw new InputError(operation, `delay is ${describe(delay)}`, "an integer ≥ 0");
  const measures = Array.isArray(metrics) ? metrics as readonly Metric[] : [metrics as Metric];
  const waiting: Sample<X>[] = [];
  let count = 0;
  for await (const sample of stream) {
    const prediction = await model.predictOne(sample.x);
    for (const metric of measures) metric.update(sample.y, prediction);
    count++;
    await onPrediction?.(count);
    waiting.push(sample);
    if (waiting.length <= delay) continue;
    const { x, y } = waiting.shift() as Sample<X>;
    await model.learnOne(x, y);
  }
  for (const { x, y } of waiting) await model.learnOne(x, y);
  return count;
}
