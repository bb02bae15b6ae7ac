// The ways to keep the board current that the sweep compares.

import type { DynamicAttentionOptions } from "../options.ts";
import { KEY_COUNT, QUERY_COUNT } from "./board_rows.ts";

/**
 * - `everyEdit`: every row from scratch after each single edit;
 * - `original`: edits wait until `threshold` slots have changed, then every row from scratch; reads are stale;
 * - `patch`: as `original`, but only the columns that changed are exchanged;
 * - `exact`: reads know every edit made before them.
 */
export type Family = "everyEdit" | "original" | "patch" | "exact";

/** One way; `threshold` is null where the family has none. */
export interface Strategy {
  readonly family: Family;
  readonly threshold: number | null;
}

export const DEFAULT_THRESHOLDS: readonly number[] = [1, 4, 16, 64, 256];

/** Rebuilding from scratch remembers nothing of the days before, so its days may run in this many parts. */
const EVERY_EDIT_PARTS = 4;
/** A key goes, a key comes, a query is replaced. */
export const EDITS_PER_DAY = 3;

/** Every strategy of a sweep, in the order in which they are shown. */
export function sweepStrategies(thresholds: readonly number[]): Strategy[] {
  return [
    { family: "everyEdit", threshold: null },
    ...thresholds.map((threshold): Strategy => ({ family: "original", threshold })),
    ...thresholds.map((threshold): Strategy => ({ family: "patch", threshold })),
    { family: "exact", threshold: null },
  ];
}

/** What people call a strategy. */
export function strategyName({ family, threshold }: Strategy): string {
  switch (family) {
    case "everyEdit":
      return "rebuild at every edit";
    case "original":
      return `original, threshold ${threshold}`;
    case "patch":
      return `patch, threshold ${threshold}`;
    case "exact":
      return "exact reads";
  }
}

/** The options of its engine. */
export function engineOptions(
  { family, threshold }: Strategy,
): Pick<DynamicAttentionOptions, "lazyThreshold" | "onThreshold"> {
  return {
    lazyThreshold: threshold ?? Infinity,
    onThreshold: family === "original" ? "rebuild" : family === "patch" ? "patch" : "auto",
  };
}

/** Pairs of a query and a key a day, roughly: what schedules the sweep and estimates the time that is left. */
export function pairsPerDay({ family, threshold }: Strategy): number {
  const newQuery = KEY_COUNT;
  const rebuild = QUERY_COUNT * KEY_COUNT;
  if (family === "everyEdit") return EDITS_PER_DAY * rebuild;
  // The key that changed every day fills a batch, the query that changed last takes one place in it.
  return family === "original" ? newQuery + rebuild / Math.max(1, (threshold ?? 1) - 1) : newQuery;
}

/** Into how many runs of consecutive days a strategy may be cut; fixed, so that results do not depend on cores. */
export function partCount({ family }: Strategy, days: number): number {
  return family === "everyEdit" ? Math.min(EVERY_EDIT_PARTS, days) : 1;
}
