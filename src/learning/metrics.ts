/**
 * Metrics of predictions over time, in River's form: `update(y, prediction)` and `get()`, over all examples,
 * over the last ones, or over all with exponentially decreasing weights.
 */

import { describe, InputError } from "../base/errors.ts";
import { INSPECT, NODE_INSPECT } from "../base/inspect.ts";
import { isCount } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { callCheck } from "./callbacks.ts";
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

/** A metric of predictions; an object with these members is a metric. */
export interface Metric {
  /** The name, for tables. */
  readonly name: string;
  /** Takes an example's y and the prediction that was made for it. */
  update(y: Target, prediction: number | ArrayLike<number>): void;
  /** The metric so far; NaN before the first example. */
  get(): number;
}

/**
 * The examples over which a metric is taken: all of them with equal weight, unless one of these options is
 * given.
 */
export interface MetricOptions {
  /** The number of last examples that count. */
  readonly window?: number;
  /** The number of later examples after which the weight of an example has halved. */
  readonly halfLife?: number;
}

/** The number of one example that a metric averages; it must be finite. */
export type Measure = (y: Float64Array, prediction: Float64Array) => number;

/**
 * A metric that is the mean of a measure over examples, or a function of that mean.
 *
 * @example A custom metric
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
   * The metric averages `measure` over examples; `get` returns `fromMean` of the average, which must be a
   * non-decreasing function.
   *
   * @throws {InputError} When both options are given, or one is out of range.
   */
  constructor(
    name: string,
    measure: Measure,
    options: MetricOptions = {},
    fromMean: (mean: number) => number = (mean) => mean,
  ) {
    if (typeof name !== "string") throw new InputError("MeanMetric", `name is ${describe(name)}`, "a text");
    for (const [what, given] of Object.entries({ measure, fromMean })) {
      if (typeof given !== "function") {
        throw new InputError(name, `${what} is ${describe(given)}`, "a function");
      }
    }
    const { window, halfLife } = takeOptions(name, options, ["window", "halfLife"]);
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
   * @throws {InputError} When y or the prediction has a number that is not finite, they do not fit each
   * other, or the measure throws or is not finite. The example is not counted then.
   */
  update(y: Target, prediction: number | ArrayLike<number>): void {
    this.#average.add(this.#measured(y, prediction));
  }

  /**
   * Throws if `update` would refuse an example, and counts nothing.
   *
   * @throws {InputError} As `update` does.
   */
  check(y: Target, prediction: number | ArrayLike<number>): void {
    this.#measured(y, prediction);
  }

  /** The metric; NaN before the first example. */
  get(): number {
    return this.#fromMean(this.#average.mean);
  }

  /** The effective number of examples: how many examples of equal weight would give the same accuracy. */
  get count(): number {
    return this.#average.count;
  }

  /** The object that `JSON.stringify` writes; its `value` is null before the first example. */
  toJSON(): { readonly name: string; readonly value: number | null; readonly count: number } {
    const value = this.get();
    return { name: this.name, value: Number.isFinite(value) ? value : null, count: this.count };
  }

  /** The text that `console.log` and `Deno.inspect` show: `MAE: 0.57`. */
  [INSPECT](): string {
    return `${this.name}: ${Number(this.get().toPrecision(4))}`;
  }

  /** The same, in Node. */
  [NODE_INSPECT](): string {
    return this[INSPECT]();
  }

  /**
   * A confidence interval for the long-run value of the metric, for many independent errors. For
   * autocorrelated errors it is too narrow; `method: "batchMeans"`, for a metric over all examples, assumes
   * only that the means of long batches are independent.
   *
   * @param options `confidence`, 0.95 unless given, and `method`.
   */
  interval(options: IntervalOptions = {}): Interval {
    const { low, high } = intervalOf(`${this.name}.interval`, this.#average, options);
    return { low: this.#fromMean(low), high: this.#fromMean(high) };
  }

  #measured(y: Target, prediction: number | ArrayLike<number>): number {
    const operation = `${this.name}.update`;
    const targets = toTargets(operation, y), predictions = toTargets(operation, prediction, "prediction");
    const call = () => this.#measure(targets, predictions);
    const measure = callCheck(operation, "the measure", "a finite number", call);
    if (typeof measure === "number" && Number.isFinite(measure)) return measure;
    const given = `${describe([...targets])} and ${describe([...predictions])}`;
    throw new InputError(operation, `the measure of ${given} is ${describe(measure)}`, "a finite number");
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
  /** `options` select the examples; all unless given. */
  constructor(options: MetricOptions = {}) {
    super("MAE", overNumbers("MAE", (y, prediction) => Math.abs(y - prediction)), options);
  }
}

/**
 * Root of the mean squared error. An error of 10¹⁵⁴ or more, whose square is beyond float64, is refused; the
 * square of an error below 10⁻¹⁵⁴ loses digits.
 */
export class RMSE extends MeanMetric {
  /** `options` select the examples; all unless given. */
  constructor(options: MetricOptions = {}) {
    const root = (mean: number) => Number.isNaN(mean) ? NaN : Math.sqrt(Math.max(0, mean));
    super("RMSE", overNumbers("RMSE", (y, prediction) => (y - prediction) ** 2), options, root);
  }
}

/**
 * The mean of −[y ln p + (1 − y) ln(1 − p)], natural log, for y and p from 0 to 1; p is clipped to [10⁻¹⁵, 1
 * − 10⁻¹⁵].
 */
export class LogLoss extends MeanMetric {
  /** `options` select the examples; all unless given. */
  constructor(options: MetricOptions = {}) {
    const measure = overNumbers("LogLoss", (y, p) => {
      for (const [what, share] of [["y", y], ["prediction", p]] as const) {
        if (share >= 0 && share <= 1) continue;
        throw new InputError("LogLoss.update", `${what} has ${share}`, "true, false or numbers from 0 to 1");
      }
      const inside = Math.min(1 - 1e-15, Math.max(1e-15, p));
      return -(y * Math.log(inside) + (1 - y) * Math.log1p(-inside));
    });
    super("LogLoss", measure, options);
  }
}

/**
 * The share of numbers that are predicted right: a prediction of 0.5 or above counts as true, one below as
 * false.
 */
export class Accuracy extends MeanMetric {
  /** `options` select the examples; all unless given. */
  constructor(options: MetricOptions = {}) {
    super("Accuracy", overNumbers("Accuracy", (y, p) => (p >= 0.5) === (y >= 0.5) ? 1 : 0), options);
  }
}

/**
 * The share of examples in which the y-th score is among the k largest. In a tie it counts as the lower one,
 * so that equal scores earn nothing.
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
  /** `k` is the number of largest scores that count as a hit; `options` select the examples. */
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
    const sum = y.reduce((sum, target, at) => sum + measure(target, prediction[at]), 0);
    if (Number.isFinite(sum)) return sum / y.length;
    // Terms are divided before they are added, since the sum may be beyond float64 when the mean is not.
    return y.reduce((mean, target, at) => mean + measure(target, prediction[at]) / y.length, 0);
  };
}
