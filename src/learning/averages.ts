/**
 * Means of a stream of numbers: over all numbers, over the last ones, or over all with exponentially
 * decreasing weights, each with the variance and count that an interval needs. They are accurate for all
 * finite numbers; other numbers are refused and not counted.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { type Interval, intervalAround } from "./confidence.ts";
import { Moments } from "./moments.ts";

/** A mean that is updated with each number. */
export interface Average {
  /**
   * Takes the next number.
   *
   * @throws {InputError} When it is not finite; nothing is changed then.
   */
  add(number: number): void;
  /** The mean; NaN before the first number. */
  readonly mean: number;
  /** The unbiased variance of the numbers; NaN before it is defined, Infinity if it is beyond float64. */
  readonly variance: number;
  /** √(variance / count), also if the variance is beyond float64; NaN before it is defined. */
  readonly standardError: number;
  /** The effective number of numbers: how many numbers of equal weight would give the same accuracy. */
  readonly count: number;
}

/** The numbers of a stream are divided into at least FEWEST_BATCHES and fewer than MOST_BATCHES batches. */
const FEWEST_BATCHES = 20, MOST_BATCHES = 40;

/**
 * The mean of all numbers, O(1) per number. It also keeps the means of 20 to 40 batches of consecutive
 * numbers, for intervals over autocorrelated streams.
 *
 * @example
 * ```ts
 * import { RunningMean } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * const mean = new RunningMean();
 * for (const number of [1, 2, 3]) mean.add(number);
 * assertEquals([mean.mean, mean.variance, mean.count], [2, 1, 3]);
 * ```
 */
export class RunningMean implements Average {
  readonly #moments = new Moments();
  /** Means of batches of `#batchSize` numbers. */
  #batches: number[] = [];
  #batchSize = 1;
  /** The moments of the last batch, which is not full. */
  #batch = new Moments();

  /**
   * Takes the next number.
   *
   * @throws {InputError} When it is not finite; nothing is changed then.
   */
  add(number: number): void {
    checkFinite("RunningMean.add", number);
    this.#moments.add(number);
    this.#batch.add(number);
    if (this.#batch.count === this.#batchSize) this.#endBatch();
  }

  /** The mean; NaN before the first number. */
  get mean(): number {
    return this.#moments.mean;
  }

  /** The unbiased variance; NaN before it is defined, Infinity if it is beyond float64. */
  get variance(): number {
    return this.#moments.variance;
  }

  /** √(variance / count), also if the variance is beyond float64; NaN before it is defined. */
  get standardError(): number {
    return this.#moments.standardError;
  }

  /** The effective number of numbers: how many numbers of equal weight would give the same accuracy. */
  get count(): number {
    return this.#moments.count;
  }

  /**
   * Means of batches of consecutive numbers, all of one size; the last batch, which is not full, is left out.
   */
  get batchMeans(): readonly number[] {
    return [...this.#batches];
  }

  /** A confidence interval for the long-run mean of the stream, see {@link Interval}. */
  interval(options: IntervalOptions = {}): Interval {
    return intervalOf("RunningMean.interval", this, options);
  }

  #endBatch(): void {
    this.#batches.push(this.#batch.mean);
    this.#batch = new Moments();
    if (this.#batches.length < MOST_BATCHES) return;
    this.#batches = Array.from(
      { length: FEWEST_BATCHES },
      (_, at) => this.#batches[2 * at] / 2 + this.#batches[2 * at + 1] / 2,
    );
    this.#batchSize *= 2;
  }
}

/** The mean of the last `size` numbers; O(size) when it is asked for. */
export class WindowMean implements Average {
  readonly #numbers: number[] = [];
  readonly #size: number;
  #next = 0;

  /** Makes a mean of the last `size` numbers. */
  constructor(size: number) {
    if (!isCount(size) || size === 0) {
      throw new InputError("WindowMean", `size is ${describe(size)}`, "an integer ≥ 1");
    }
    this.#size = size;
  }

  /**
   * Takes the next number.
   *
   * @throws {InputError} When it is not finite; nothing is changed then.
   */
  add(number: number): void {
    checkFinite("WindowMean.add", number);
    this.#numbers[this.#next] = number;
    this.#next = (this.#next + 1) % this.#size;
  }

  /** The mean; NaN before the first number. */
  get mean(): number {
    return this.#moments.mean;
  }

  /** The unbiased variance; NaN before it is defined, Infinity if it is beyond float64. */
  get variance(): number {
    return this.#moments.variance;
  }

  /** √(variance / count), also if the variance is beyond float64; NaN before it is defined. */
  get standardError(): number {
    return this.#moments.standardError;
  }

  /** The effective number of numbers: how many numbers of equal weight would give the same accuracy. */
  get count(): number {
    return this.#numbers.length;
  }

  get #moments(): Moments {
    const moments = new Moments(), { length } = this.#numbers;
    // The sum starts with the oldest number, so that the result depends on these numbers alone.
    for (let at = 0; at < length; at++) moments.add(this.#numbers[(this.#next + at) % length]);
    return moments;
  }
}

/** The mean with weights that halve every `halfLife` numbers; O(1) a number. */
export class ExponentialMean implements Average {
  readonly #stays: number;
  readonly #moments = new Moments();

  /** Makes a mean in which the weight of a number halves after every `halfLife` later ones. */
  constructor(halfLife: number) {
    if (!(typeof halfLife === "number" && halfLife > 0 && halfLife < Infinity)) {
      throw new InputError("ExponentialMean", `halfLife is ${describe(halfLife)}`, "a finite number above 0");
    }
    this.#stays = 2 ** (-1 / halfLife);
  }

  /**
   * Takes the next number.
   *
   * @throws {InputError} When it is not finite; nothing is changed then.
   */
  add(number: number): void {
    checkFinite("ExponentialMean.add", number);
    this.#moments.add(number, this.#stays);
  }

  /** The mean; NaN before the first number. */
  get mean(): number {
    return this.#moments.mean;
  }

  /** The unbiased variance; NaN before it is defined, Infinity if it is beyond float64. */
  get variance(): number {
    return this.#moments.variance;
  }

  /** √(variance / count), also if the variance is beyond float64; NaN before it is defined. */
  get standardError(): number {
    return this.#moments.standardError;
  }

  /** The effective number of numbers: how many numbers of equal weight would give the same accuracy. */
  get count(): number {
    return this.#moments.count;
  }
}

/** Options of an interval. */
export interface IntervalOptions {
  /** The probability with which the interval contains the long-run mean of the stream; 0.95 unless given. */
  readonly confidence?: number;
  /**
   * "independent" (the default) assumes independent numbers; "batchMeans", for a mean over all numbers only,
   * assumes independent means of 20 to 40 long batches of consecutive numbers.
   */
  readonly method?: "independent" | "batchMeans";
}

/** The confidence interval of an average. */
export function intervalOf(operation: string, average: Average, options: IntervalOptions): Interval {
  const given = takeOptions(operation, options, ["confidence", "method"]);
  const { confidence = 0.95, method = "independent" } = given;
  if (!(typeof confidence === "number" && confidence > 0 && confidence < 1)) {
    throw new InputError(operation, `confidence is ${describe(confidence)}`, "a number between 0 and 1");
  }
  if (method === "independent") return intervalAround(average.mean, average, confidence);
  if (method !== "batchMeans" || !(average instanceof RunningMean)) {
    const expected = average instanceof RunningMean ? '"independent" or "batchMeans"' : '"independent"';
    throw new InputError(operation, `method is ${describe(method)}`, expected);
  }
  const ofBatches = new RunningMean();
  // Fewer batches are too few for an interval.
  if (average.batchMeans.length >= FEWEST_BATCHES) {
    for (const mean of average.batchMeans) ofBatches.add(mean);
  }
  // The interval is around the mean of all numbers, those of the last batch included.
  return intervalAround(average.mean, ofBatches, confidence);
}

function checkFinite(operation: string, number: number): void {
  if (typeof number === "number" && Number.isFinite(number)) return;
  throw new InputError(operation, `number is ${describe(number)}`, "a finite number");
}
