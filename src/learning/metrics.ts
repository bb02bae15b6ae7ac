/**
 * How good predictions are, over time: metrics in River's form, `update(y, prediction)` and `get()`, each over all
 * examples, the last ones, or all with weights that fade.
 */

import { describe, InputError } from "../errors.ts";
import { isCount } from "../matrix.ts";
import { checkNames } from "../options.ts";
import {
  type Average,
  ExponentialMean,
  intervalOf,
  type IntervalOptions,
  RunningMean,
  WindowMean,
} from "./averages.ts";
import type { Interval } from "./confidence.ts";
import { type Target, toTargets } from "./examples.ts";

/** What predictions are measured with; write one of your own by giving these. */
export interface Metric {
  /** Its name, for tables. */
  readonly name: string;
  /** Takes an example's y and what was predicted for it. */
  update(y: Target, prediction: number | ArrayLike<number>): void;
  /** The measure so far; NaN before the first example. */
  get(): number;
}

/** Over which examples a metric is; over all of them, equally, unless one of these is given. */
export interface MetricOptions {
  /** The last so many. */
  readonly window?: number;
  /** All, an example's weight being halved by so many later ones. */
  readonly halfLife?: number;
}

/** What a metric measures about one example. */
export type Measure = (y: Float64Array, prediction: Float64Array) => number;

/**
 * A metric that is the mean of a measure over examples, or a function of that mean.
 *
 * @example A metric of one's own
 * ```ts
 * import { MeanMetric } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * const bias = new MeanMetric("bias", ([y], [prediction]) => prediction - y, { window: 2 });
 * for (const prediction of [9, 1, 2]) bias.update(1, prediction);
 * assertEquals(bias.get(), 0.5);
 * ```
 */
export class MeanMetric implements Metric {
  /** Its name, for tables. */
  readonly name: string;
  readonly #measure: Measure;
  readonly #fromMean: (mean: number) => number;
  readonly #average: Average;

  /**
   * `measure` is what is averaged; `fromMean` leads from the mean to what `get` answers and must not fall.
   * @throws {InputError} When both options are given, or one is out of range.
   */
  constructor(
    name: string,
    measure: Measure,
    options: MetricOptions = {},
    fromMean: (mean: number) => number = (mean) => mean,
  ) {
    checkNames(name, options, ["window", "halfLife"]);
    const { window, halfLife } = options;
    if (window !== undefined && halfLife !== undefined) {
      throw new InputError(name, "both window and halfLife are given", "one of them");
    }
    this.name = name;
    this.#measure = measure;
    this.#fromMean = fromMean;
    this.#average = window !== undefined
      ? new WindowMean(window)
      : halfLife !== undefined
      ? new ExponentialMean(halfLife)
      : new RunningMean();
  }

  /**
   * Takes an example.
   *
   * @throws {InputError} When y or the prediction is not made of finite numbers, or they do not fit each other.
   */
  update(y: Target, prediction: number | ArrayLike<number>): void {
    const operation = `${this.name}.update`;
    this.#average.add(this.#measure(toTargets(operation, y), toTargets(operation, prediction, "prediction")));
  }

  /** The measure; NaN before the first example. */
  get(): number {
    return this.#fromMean(this.#average.mean);
  }

  /** As how many examples of equal weight it counts. */
  get count(): number {
    return this.#average.count;
  }

  /**
   * Where the measure that the stream has in the long run may lie. It holds for independent errors and many of them. In
   * a stream whose errors are alike when they are close it is too narrow; `method: "batchMeans"`, for a metric over all
   * examples, then takes only the means of long batches for independent.
   *
   * @param options `confidence`, 0.95 unless given, and `method`.
   */
  interval(options: IntervalOptions = {}): Interval {
    const operation = `${this.name}.interval`;
    checkNames(operation, options, ["confidence", "method"]);
    const { low, high } = intervalOf(operation, this.#average, options);
    return { low: this.#fromMean(low), high: this.#fromMean(high) };
  }
}

/**
 * Mean absolute error: the mean of |y − prediction|, over the numbers of an example and over examples.
 *
 * @example
 * ```ts
 * import { MAE } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * const metric = new MAE();
 * metric.update(3, 2.5);
 * metric.update([1, 2], [1, 3]);
 * assertEquals(metric.get(), 0.5);
 * ```
 */
export class MAE extends MeanMetric {
  /** Over which examples; all unless told. */
  constructor(options: MetricOptions = {}) {
    super("MAE", overNumbers("MAE", (y, prediction) => Math.abs(y - prediction)), options);
  }
}

/** Root of the mean squared error. */
export class RMSE extends MeanMetric {
  /** Over which examples; all unless told. */
  constructor(options: MetricOptions = {}) {
    const root = (mean: number) => Number.isNaN(mean) ? NaN : Math.sqrt(Math.max(0, mean));
    super("RMSE", overNumbers("RMSE", (y, prediction) => (y - prediction) ** 2), options, root);
  }
}

/** −[y ln p + (1 − y) ln(1 − p)], natural log; p is kept 10⁻¹⁵ away from 0 and 1. */
export class LogLoss extends MeanMetric {
  /** Over which examples; all unless told. */
  constructor(options: MetricOptions = {}) {
    const measure = overNumbers("LogLoss", (y, p) => {
      const inside = Math.min(1 - 1e-15, Math.max(1e-15, p));
      return -(y * Math.log(inside) + (1 - y) * Math.log1p(-inside));
    });
    super("LogLoss", measure, options);
  }
}

/** The share of examples that are right: of probabilities, those at 0.5 or above where y is true and below where not. */
export class Accuracy extends MeanMetric {
  /** Over which examples; all unless told. */
  constructor(options: MetricOptions = {}) {
    super("Accuracy", overNumbers("Accuracy", (y, p) => (p >= 0.5) === (y >= 0.5) ? 1 : 0), options);
  }
}

/**
 * The share of examples in which the y-th of the scores is among the k largest. A score that equals another counts as the
 * lower one, so that scores that tell nothing earn nothing.
 *
 * @example
 * ```ts
 * import { HitRate } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * const metric = new HitRate(2);
 * metric.update(0, [0.3, 0.9, 0.1]); // second of three
 * metric.update(2, [0.3, 0.9, 0.1]); // last
 * assertEquals(metric.get(), 0.5);
 * ```
 */
export class HitRate extends MeanMetric {
  /** Among how many of the largest, `k`, and over which examples. */
  constructor(k: number, options: MetricOptions = {}) {
    if (!isCount(k) || k === 0) throw new InputError("HitRate", `k is ${describe(k)}`, "an integer ≥ 1");
    const name = `HitRate@${k}`;
    super(name, (y, scores) => {
      const [wanted] = y;
      if (y.length !== 1 || !isCount(wanted) || wanted >= scores.length) {
        const found = `y is ${describe([...y])}`;
        throw new InputError(`${name}.update`, found, `an index below ${scores.length}, the scores`);
      }
      const notBelow = (score: number, at: number) => at !== wanted && score >= scores[wanted];
      return scores.filter(notBelow).length < k ? 1 : 0;
    }, options);
  }
}

/** The mean over the numbers of an example. */
function overNumbers(name: string, measure: (y: number, prediction: number) => number): Measure {
  return (y, prediction) => {
    if (y.length !== prediction.length || y.length === 0) {
      const found = `prediction has ${prediction.length} numbers`;
      throw new InputError(`${name}.update`, found, `${Math.max(1, y.length)}, as y`);
    }
    return y.reduce((sum, target, at) => sum + measure(target, prediction[at]), 0) / y.length;
  };
}
