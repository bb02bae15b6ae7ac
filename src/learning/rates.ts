/**
 * Learning rates over the steps of a learner.
 */

import { describe, InputError } from "../base/errors.ts";

/**
 * The rate of step 0, 1, 2, …. It must depend on nothing else, so that a loaded learner continues as the
 * saved one.
 */
export type RateSchedule = (step: number) => number;

/** The same rate at every step. */
export function constantRate(rate: number): RateSchedule {
  checkRate("constantRate", rate);
  return () => rate;
}

/**
 * rate / (step + 1)^power.
 *
 * @param power 0.5 unless given.
 *
 * @example
 * ```ts
 * import { inverseScaling } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * const rate = inverseScaling(0.1);
 * assertEquals([rate(0), rate(3)], [0.1, 0.05]);
 * ```
 */
export function inverseScaling(rate: number, power = 0.5): RateSchedule {
  checkRate("inverseScaling", rate);
  if (!(typeof power === "number" && power >= 0 && power < Infinity)) {
    throw new InputError("inverseScaling", `power is ${describe(power)}`, "a finite number ≥ 0");
  }
  return (step) => rate / (step + 1) ** power;
}

/** The schedule of a number or a function. */
export function toSchedule(operation: string, name: string, rate: number | RateSchedule): RateSchedule {
  if (typeof rate === "function") return rate;
  checkRate(operation, rate, name);
  return () => rate;
}

/** Throws unless a rate is a finite number ≥ 0. */
export function checkRate(operation: string, rate: number, name = "rate"): void {
  if (typeof rate === "number" && rate >= 0 && rate < Infinity) return;
  throw new InputError(operation, `${name} is ${describe(rate)}`, "a finite number ≥ 0");
}
