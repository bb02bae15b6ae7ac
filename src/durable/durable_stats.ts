/**
 * What a durable engine tells of its folder.
 */

import type { DynamicAttentionStats } from "../engine/answers.ts";
import type { SyncMode } from "./journal_database.ts";

/** The journal and the snapshots of a folder, as of now. */
export interface DurableStats {
  /** The folder. */
  readonly folder: string;
  /** Whether it was opened to look at only. */
  readonly readOnly: boolean;
  /** How commits are synced. */
  readonly sync: SyncMode;
  /** The number of the newest edit. */
  readonly sequence: number;
  /** Edits 1 to this one are on disk. */
  readonly committed: number;
  /** Bytes of records behind the newest snapshot. */
  readonly journalBytes: number;
  /** The newest snapshot: the edit that it goes up to, its bytes, and how long it took in this process, null if it was there. */
  readonly snapshot: { readonly sequence: number; readonly bytes: number; readonly ms: number | null };
  /** Whether a snapshot is being written. */
  readonly isSnapshotting: boolean;
  /** The longest time, in milliseconds, for which the last snapshot kept the loop; 0 before the first one. */
  readonly longestStopMs: number;
  /** Why the last snapshot could not be written; null when it could. The journal goes on without it. */
  readonly snapshotFailure: string | null;
  /** Transactions that were synced to disk. */
  readonly syncs: number;
  /** Milliseconds of a commit, the median of the last 1,024. */
  readonly commitP50Ms: number;
  /** Milliseconds of a commit that 99 of 100 of the last 1,024 did not exceed. */
  readonly commitP99Ms: number;
  /** Edits that were replayed when the folder was opened, and the milliseconds that opening it took. */
  readonly replayed: number;
  /** Milliseconds from `openDurable` to the engine. */
  readonly openMs: number;
  /** Edits found on disk beyond what the last owner noted as committed: its clients may not have heard of them. */
  readonly unconfirmed: number;
  /** Edits that sync "normal" has lost to a power failure; with "full" a folder that lacks some is not opened. */
  readonly lost: number;
  /** Clients that are known. */
  readonly clients: number;
  /** Damage that could be done without: a newest snapshot that was passed over for the one before it. */
  readonly damage: readonly string[];
}

/** What {@link DurableAttention.stats} answers. */
export interface DurableAttentionStats extends DynamicAttentionStats {
  /** The folder. */
  readonly durable: DurableStats;
}

/** Durations of the last commits. */
export class CommitTimes {
  readonly #times = new Float64Array(1024);
  #count = 0;

  /** Commits so far. */
  get count(): number {
    return this.#count;
  }

  note(ms: number): void {
    this.#times[this.#count++ % this.#times.length] = ms;
  }

  /** The time that this share of them did not exceed; 0 before the first. */
  quantile(share: number): number {
    const sorted = this.#times.slice(0, Math.min(this.#count, this.#times.length)).sort();
    return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  }
}
