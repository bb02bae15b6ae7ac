/**
 * The states of a learner among what a folder keeps beside its rows, by name: "learner" for its counters, "key 7", "value 7" and
 * "query 7" for the states of rows, which go with their rows.
 */

import type { RowKind } from "../write/newest_rows.ts";
import type { Besides } from "./besides.ts";

export const LEARNER = "learner";

export function stateName(kind: RowKind, slot: number): string {
  return `${kind} ${slot}`;
}

export function forgetKeyStates(besides: Besides, slot: number): void {
  if (besides.size === 0) return;
  besides.delete(stateName("key", slot));
  besides.delete(stateName("value", slot));
}

export function forgetQueryState(besides: Besides, slot: number): void {
  besides.delete(stateName("query", slot));
}
