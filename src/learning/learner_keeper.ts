/**
 * What keeps the states of a learner where they survive it.
 */

import type { RowKind } from "../write/newest_rows.ts";

/** The state of the optimizer that a row has after a step. */
export interface KeptState {
  readonly kind: RowKind;
  readonly slot: number;
  readonly state: Float64Array<ArrayBuffer>;
}

/** The counters of a learner, and the state of its random numbers. */
export interface KeptCounts {
  readonly steps: number;
  readonly exactReads: number;
  readonly staleReads: number;
  readonly randomState: number;
}

/** Takes the states of one learner. */
export interface LearnerKeeper {
  /** A step was made, and its edits just before this call. */
  stepped(states: readonly KeptState[], counts: KeptCounts): void;
  /** Resolves when all that was made so far is kept. */
  kept(): Promise<void>;
}
