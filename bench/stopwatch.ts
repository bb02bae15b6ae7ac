// Timing: warm-up until the code has tiered up, then the median and the spread of many runs.

import { median } from "simple-statistics";
import { hasSettled, summarize, type Timing } from "./statistics.ts";

export { short, type Timing } from "./statistics.ts";

/** The limits of a measurement. */
export interface TimeLimits {
  /** The time that runs which count may take. */
  readonly budgetMs?: number;
  /** The most time of the runs before them. */
  readonly warmUpMs?: number;
  /** Runs that count, also when they take longer than the budget. */
  readonly leastRuns?: number;
  /** Runs timed together, where only a whole cycle of them is typical; times are of one of them. */
  readonly together?: number;
  /** Milliseconds since some moment. */
  readonly now?: () => number;
}

/** Batches that the warm-up is cut into, where a run is short enough. */
const WARM_UP_BATCHES = 12;

/**
 * Times `run`: first unseen, in batches, until their medians stop improving or `warmUpMs` is spent, then for
 * `budgetMs`.
 */
export async function time(
  run: () => void | Promise<void>,
  { budgetMs = 500, warmUpMs = budgetMs, leastRuns = 5, together = 1, now = () => performance.now() }:
    TimeLimits = {},
): Promise<Timing> {
  async function runFor(milliseconds: number, least: number): Promise<number[]> {
    const samples: number[] = [];
    const end = now() + milliseconds;
    while (samples.length < least || now() < end) {
      const start = now();
      for (let count = 0; count < together; count++) await run();
      samples.push((now() - start) / together);
    }
    return samples;
  }
  const medians: number[] = [];
  const warmUpEnd = now() + warmUpMs;
  while (!hasSettled(medians) && now() < warmUpEnd) {
    medians.push(median(await runFor(warmUpMs / WARM_UP_BATCHES, 1)));
  }
  return summarize(await runFor(budgetMs, leastRuns), hasSettled(medians));
}
