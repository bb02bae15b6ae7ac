// The ways to keep the board current that the sweep compares.

import type { DynamicAttentionOptions } from "../src/engine/options.ts";
import { KEY_COUNT, QUERY_COUNT } from "./board_rows.ts";

/**
 * - `everyAnswer`: every row from scratch once before each answer, which is what a program without memory
 *   does;
 * - `original`: edits wait until `threshold` slots have changed, then every row from scratch; reads are
 *   stale;
 * - `patch`: as `original`, but only the columns that changed are exchanged;
 * - `budgetRebuild`, `budgetPatch`: as these two, but edits wait until a certificate says that a reading
 *   could be off by more than `error`;
 * - `adaptive`: no reading is off by more than `error` either, but for each reading rows are measured or
 *   brought up to date unmeasured, whichever has cost less lately, and brought up to date in the way that is
 *   cheaper;
 * - `exact`: reads know every edit made before them.
 */
export type Family =
  | "everyAnswer"
  | "original"
  | "patch"
  | "budgetRebuild"
  | "budgetPatch"
  | "adaptive"
  | "exact";

/** One way; `threshold` and `error` are null where the family has none. */
export interface Strategy {
  readonly family: Family;
  readonly threshold: number | null;
  /** In units of the output: 1 is the level of births. */
  readonly error: number | null;
}

/** Consecutive days of a run. */
export interface Stretch {
  /** The state to start from. */
  readonly first: number;
  readonly days: number;
}

export const DEFAULT_THRESHOLDS: readonly number[] = [1, 4, 16, 64, 256];
/**
 * Less than the least is used up nearly every day, and the largest is what counts that wait are off by at
 * worst.
 */
export const DEFAULT_ERRORS: readonly number[] = [0.001, 0.003, 0.01, 0.03, 0.05];

/**
 * Rebuilding for each answer remembers no day before: a few stretches of days tell it all.
 */
const SAMPLED_STRETCHES = 4;
const SAMPLED_STRETCH_DAYS = 60;
/** An error budget of this much is used up every other day. */
const USUAL_ERROR_PER_DAY = 0.003;

/** Every strategy of a sweep, in the order in which they are shown. */
export function sweepStrategies(thresholds: readonly number[], errors: readonly number[]): Strategy[] {
  const counts = (family: Family) => thresholds.map((threshold) => ({ family, threshold, error: null }));
  const budgets = (family: Family) => errors.map((error) => ({ family, threshold: null, error }));
  return [
    { family: "everyAnswer", threshold: null, error: null },
    ...counts("original"),
    ...budgets("budgetRebuild"),
    ...counts("patch"),
    ...budgets("budgetPatch"),
    ...budgets("adaptive"),
    { family: "exact", threshold: null, error: null },
  ];
}

/** The displayed name of a strategy. */
export function strategyName({ family, threshold, error }: Strategy): string {
  switch (family) {
    case "everyAnswer":
      return "rebuild for each answer";
    case "original":
      return `original, threshold ${threshold}`;
    case "patch":
      return `patch, threshold ${threshold}`;
    case "budgetRebuild":
      return `error budget ${error}, then rebuild`;
    case "budgetPatch":
      return `error budget ${error}, then patch`;
    case "adaptive":
      return `target error ${error}, adaptive`;
    case "exact":
      return "exact reads";
  }
}

/** The options of its engine. */
export function engineOptions(
  { family, threshold, error }: Strategy,
): Pick<DynamicAttentionOptions, "lazyThreshold" | "onThreshold"> {
  const lazyThreshold = error === null ? threshold ?? Infinity : { error };
  switch (family) {
    case "original":
    case "budgetRebuild":
      return { lazyThreshold, onThreshold: "rebuild" };
    case "patch":
    case "budgetPatch":
      return { lazyThreshold, onThreshold: "patch" };
    case "adaptive":
      return { lazyThreshold: { targetError: error ?? Infinity }, onThreshold: "auto" };
    case "everyAnswer":
    case "exact":
      return { lazyThreshold, onThreshold: "auto" };
  }
}

/**
 * The approximate number of query-key pairs per day, by which the sweep is scheduled and the remaining time
 * estimated.
 */
export function pairsPerDay({ family, threshold, error }: Strategy): number {
  const newQuery = KEY_COUNT;
  const rebuild = QUERY_COUNT * KEY_COUNT;
  switch (family) {
    case "everyAnswer":
      return rebuild;
    case "original":
      // The key that changed every day fills a batch, the query that changed last takes one place in it.
      return newQuery + rebuild / Math.max(1, (threshold ?? 1) - 1);
    case "budgetRebuild":
      return newQuery + rebuild / (1 + ((error ?? 0) / USUAL_ERROR_PER_DAY) ** 2);
    default:
      return newQuery;
  }
}

/** The days of a run that a strategy is run over; they do not depend on cores, so neither do results. */
export function stretchesOf({ family }: Strategy, days: number): Stretch[] {
  if (family !== "everyAnswer") return [{ first: 0, days }];
  const count = Math.min(SAMPLED_STRETCHES, days);
  return Array.from({ length: count }, (_, at) => {
    const first = Math.floor(at * days / count);
    const end = Math.floor((at + 1) * days / count);
    return { first, days: Math.min(end - first, SAMPLED_STRETCH_DAYS) };
  });
}
