/**
 * Measures how long something takes, as `%timeit` does in IPython.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, reading } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import { durationOf } from "./duration.ts";
import { INSPECT } from "../display/mime_bundle.ts";

/** What {@link timed} may be told. */
export interface TimedOptions {
  /** How often it is measured; as often as fits into half a second unless given, once at least and 1,000 times at most. */
  readonly runs?: number;
}

/** What {@link timed} has measured. Times are in milliseconds. */
export interface Timed<T> {
  /** What the last run gave. */
  readonly result: T;
  /** The times of all runs, in their order. */
  readonly times: readonly number[];
  /** The time that half of the runs stayed below. */
  readonly median: number;
  /** The shortest and the longest. */
  readonly range: readonly [shortest: number, longest: number];
}

const BUDGET_MS = 500, MOST = 1000;

/**
 * Measures how long something takes. As the last value of a cell it shows itself: `1.2 ms in the median of 402 runs, 1.1 to
 * 3.4 ms`.
 *
 * @param work What to do; a promise is waited for.
 * @throws {InputError} When `work` is no function, or `runs` no integer ≥ 1.
 *
 * @example
 * ```ts
 * import { timed } from "@attune/attention/jupyter";
 * import { assertEquals } from "@std/assert";
 *
 * const { result, times } = await timed(() => 6 * 7, { runs: 10 });
 * assertEquals([result, times.length], [42, 10]);
 * ```
 */
export async function timed<T>(work: () => T | Promise<T>, options: TimedOptions = {}): Promise<Timed<T>> {
  const operation = "timed";
  if (typeof work !== "function") throw new InputError(operation, `work is ${describe(work)}`, "a function");
  const { runs } = reading(operation, () => takeOptions(operation, options, ["runs"]));
  if (runs !== undefined && (!isCount(runs) || runs === 0)) {
    throw new InputError(operation, `runs is ${describe(runs)}`, "an integer ≥ 1");
  }
  const times: number[] = [];
  let result: T;
  const begunAt = performance.now();
  do {
    const startedAt = performance.now();
    result = await work();
    times.push(performance.now() - startedAt);
  } while (
    runs === undefined ? times.length < MOST && performance.now() - begunAt < BUDGET_MS : times.length < runs
  );
  return new Measured(result, times);
}

class Measured<T> implements Timed<T> {
  readonly result: T;
  readonly times: readonly number[];
  readonly median: number;
  readonly range: readonly [number, number];

  constructor(result: T, times: readonly number[]) {
    const sorted = [...times].sort((a, b) => a - b);
    this.result = result;
    this.times = times;
    this.median = sorted[sorted.length >> 1];
    this.range = [sorted[0], sorted[sorted.length - 1]];
  }

  [INSPECT](): string {
    const [shortest, longest] = this.range.map(durationOf);
    return this.times.length === 1
      ? `${shortest}, one run`
      : `${durationOf(this.median)} in the median of ${this.times.length} runs, ${shortest} to ${longest}`;
  }
}
