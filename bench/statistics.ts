// Of many times one number and its spread, and whether a series of them still gets better.

import { quantile } from "simple-statistics";

/** Milliseconds of repeated runs. */
export interface Timing {
  readonly median: number;
  /** First and third quartile. */
  readonly spread: readonly [number, number];
  readonly runs: number;
  /** Whether times had stopped improving before they were taken. */
  readonly warm: boolean;
}

/** Median and quartiles, interpolated between the two nearest samples. */
export function summarize(samples: readonly number[], warm: boolean): Timing {
  const [low, median, high] = quantile([...samples], [0.25, 0.5, 0.75]);
  return { median, spread: [low, high], runs: samples.length, warm };
}

const SETTLED_BATCHES = 3, SETTLED_GAIN = 0.03;

/**
 * Whether the medians of consecutive batches have stopped improving: none of the last three is more than 3 %
 * below the best one before them.
 */
export function hasSettled(medians: readonly number[]): boolean {
  if (medians.length <= SETTLED_BATCHES) return false;
  const before = Math.min(...medians.slice(0, -SETTLED_BATCHES));
  return Math.min(...medians.slice(-SETTLED_BATCHES)) >= before * (1 - SETTLED_GAIN);
}

/** A number with three digits. */
export function short(number: number): string {
  return number >= 1000 ? Math.round(number).toLocaleString("en") : number.toPrecision(3);
}
