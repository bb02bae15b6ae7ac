/**
 * The interface of a store that makes the states of a learner durable.
 */

import type { RowKind } from "../write/newest_rows.ts";

/** The optimizer state of a row after a step. */
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

/** The durable store of one learner's states. */
export interface LearnerKeeper {
  /** Notes a step, whose edits were made just before this call. */
  stepped(states: readonly KeptState[], counts: KeptCounts): void;
  /** Resolves when all steps so far are durable. */
  kept(): Promise<void>;
}
