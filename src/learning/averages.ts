/**
 * Means of a stream of numbers: of all of them, of the last ones, or of all with less and less weight, each with what an
 * interval needs.
 */

import { describe, InputError } from "../errors.ts";
import { isCount } from "../matrix.ts";
import { type Interval, meanInterval } from "./confidence.ts";

/** A mean, as numbers come. */
export interface Average {
  /** Takes the next number. */
  add(number: number): void;
  /** The mean; NaN before the first number. */
  readonly mean: number;
  /** The unbiased variance of the numbers; NaN while it is not known. */
  readonly variance: number;
  /** As how many numbers of equal weight it counts. */
  readonly count: number;
}

/** Between so many batches the numbers of a stream are divided. */
const FEWEST_BATCHES = 20, MOST_BATCHES = 40;

/**
 * The mean of all numbers, O(1) a number. It also keeps the means of 20 to 40 batches of neighbours, for streams whose
 * numbers are alike when they are close.
 *
 * Source: Welford, "Note on a Method for Calculating Corrected Sums of Squares and Products", 1962.
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
  #count = 0;
  #mean = 0;
  #squares = 0;
  /** Means of batches of `#batchSize` numbers. */
  #batches: number[] = [];
  #batchSize = 1;
  #batchSum = 0;
  #batchCount = 0;

  /** Takes the next number. */
  add(number: number): void {
    this.#count++;
    const distance = number - this.#mean;
    this.#mean += distance / this.#count;
    this.#squares += distance * (number - this.#mean);
    this.#batchSum += number;
    if (++this.#batchCount === this.#batchSize) this.#endBatch();
  }

  /** The mean; NaN before the first number. */
  get mean(): number {
    return this.#count === 0 ? NaN : this.#mean;
  }

  /** The unbiased variance; NaN while it is not known. */
  get variance(): number {
    return this.#count < 2 ? NaN : this.#squares / (this.#count - 1);
  }

  /** As how many numbers of equal weight it counts. */
  get count(): number {
    return this.#count;
  }

  /** Means of batches of neighbours, all of one size; numbers of the batch that is not full are not in it. */
  get batchMeans(): readonly number[] {
    return this.#batches;
  }

  /** Where the mean that the stream has in the long run may lie, see {@link Interval}. */
  interval(options: IntervalOptions = {}): Interval {
    return intervalOf("RunningMean.interval", this, options);
  }

  #endBatch(): void {
    this.#batches.push(this.#batchSum / this.#batchSize);
    this.#batchSum = this.#batchCount = 0;
    if (this.#batches.length < MOST_BATCHES) return;
    this.#batches = Array.from(
      { length: FEWEST_BATCHES },
      (_, at) => (this.#batches[2 * at] + this.#batches[2 * at + 1]) / 2,
    );
    this.#batchSize *= 2;
  }
}

/** The mean of the last `size` numbers; O(size) when it is asked for. */
export class WindowMean implements Average {
  readonly #numbers: number[] = [];
  readonly #size: number;
  #next = 0;

  /** Of the last `size` numbers. */
  constructor(size: number) {
    if (!isCount(size) || size === 0) {
      throw new InputError("WindowMean", `size is ${describe(size)}`, "an integer ≥ 1");
    }
    this.#size = size;
  }

  /** Takes the next number. */
  add(number: number): void {
    this.#numbers[this.#next] = number;
    this.#next = (this.#next + 1) % this.#size;
  }

  /** The mean; NaN before the first number. */
  get mean(): number {
    return this.#numbers.reduce((sum, number) => sum + number, 0) / this.#numbers.length;
  }

  /** The unbiased variance; NaN while it is not known. */
  get variance(): number {
    const { mean, count } = this;
    return count < 2 ? NaN : this.#numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (count - 1);
  }

  /** As how many numbers of equal weight it counts. */
  get count(): number {
    return this.#numbers.length;
  }
}

/** The mean with weights that halve every `halfLife` numbers; O(1) a number. */
export class ExponentialMean implements Average {
  readonly #stays: number;
  #mean = NaN;
  #squares = 0;
  #weight = 0;
  #weightSquares = 0;

  /** After `halfLife` more numbers a weight is a half of what it was. */
  constructor(halfLife: number) {
    if (!(typeof halfLife === "number" && halfLife > 0 && halfLife < Infinity)) {
      throw new InputError("ExponentialMean", `halfLife is ${describe(halfLife)}`, "a finite number above 0");
    }
    this.#stays = 2 ** (-1 / halfLife);
  }

  /** Takes the next number. */
  add(number: number): void {
    const stays = this.#stays;
    this.#weight = stays * this.#weight + 1;
    this.#weightSquares = stays * stays * this.#weightSquares + 1;
    const before = Number.isNaN(this.#mean) && this.#weight === 1 ? number : this.#mean;
    const distance = number - before;
    this.#mean = before + distance / this.#weight;
    this.#squares = stays * this.#squares + distance * (number - this.#mean);
  }

  /** The mean; NaN before the first number. */
  get mean(): number {
    return this.#mean;
  }

  /** The unbiased variance; NaN while it is not known. */
  get variance(): number {
    const freedom = this.#weight - this.#weightSquares / this.#weight;
    return freedom > 1e-9 ? this.#squares / freedom : NaN;
  }

  /** As how many numbers of equal weight it counts. */
  get count(): number {
    return this.#weight === 0 ? 0 : this.#weight ** 2 / this.#weightSquares;
  }
}

/** What an interval is asked. */
export interface IntervalOptions {
  /** How often it shall hold what it is about; 0.95 unless given. */
  readonly confidence?: number;
  /**
   * "independent" (the default) takes the numbers for independent; "batchMeans", of all numbers alone, only the means of
   * 20 to 40 long batches of neighbours.
   */
  readonly method?: "independent" | "batchMeans";
}

/** An interval for the mean of an average. */
export function intervalOf(
  operation: string,
  average: Average,
  { confidence = 0.95, method = "independent" }: IntervalOptions,
): Interval {
  if (!(typeof confidence === "number" && confidence > 0 && confidence < 1)) {
    throw new InputError(operation, `confidence is ${describe(confidence)}`, "a number between 0 and 1");
  }
  if (method === "independent") {
    return meanInterval(average.mean, average.variance, average.count, confidence);
  }
  if (method !== "batchMeans" || !(average instanceof RunningMean)) {
    const expected = average instanceof RunningMean ? '"independent" or "batchMeans"' : '"independent"';
    throw new InputError(operation, `method is ${describe(method)}`, expected);
  }
  const ofBatches = new RunningMean();
  // Too few numbers make no batches to speak of.
  if (average.batchMeans.length >= FEWEST_BATCHES) {
    for (const mean of average.batchMeans) ofBatches.add(mean);
  }
  const { low, high } = meanInterval(ofBatches.mean, ofBatches.variance, ofBatches.count, confidence);
  // Around the mean of all numbers, those of the last batch included.
  const shift = average.mean - ofBatches.mean;
  return { low: low + shift, high: high + shift };
}
