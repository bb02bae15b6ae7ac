/**
 * The contract of compute backends. A backend owns the *stored* rows, as of the last batch of edits, and a
 * *state* for each standing query, which may be of an earlier epoch. Replaced rows of keys that such a state
 * still includes are *retained* beside the stored ones, under ids that the engine gives. The edit log,
 * thresholds and epochs are the engine's: with every question about states, the engine passes the changes of
 * keys since the epoch of these states.
 *
 * The engine calls one asynchronous method at a time and waits for it. It may read the sources of rows at any
 * time, also after a failure and while changes are stored, except for the slots and ids that are being
 * stored.
 */

import type { HeadLayout } from "../numerics/head_layout.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import type { Extents } from "../numerics/storage_bound.ts";
import type { SavedArrays } from "../base/saved_array.ts";
import type { Since } from "./since.ts";
import type { Wanted } from "./wanted.ts";
import type { Work } from "./work.ts";

export type { Since, Wanted, Work };

/**
 * Rows by slot number. A row of a key source is the key followed by its value, Hkv·(d + dv) numbers; a row of
 * a query source is the query, H·d numbers.
 */
export interface RowSource {
  /** Whether the slot holds a row; false for a number that was never given out. */
  isLive(slot: number): boolean;
  /** One number of a live row. */
  element(slot: number, column: number): number;
  /** The position of a live row. */
  position(slot: number): number;
  /** Copies a live row to `target`, from `offset` on. */
  copyRow(slot: number, target: Float32Array, offset: number): void;
  /** Whether a live row equals the one in `rows` that starts at `offset`. */
  equalsRow(slot: number, rows: Float32Array, offset: number): boolean;
}

/** The newest rows of T changed slots, in any order, none twice. */
export interface RowChanges {
  /** T slot numbers. */
  readonly slots: Uint32Array;
  /** 1 if the slot holds its row in `rows` from now on, 0 if it is empty. */
  readonly live: Uint8Array;
  /** T rows in the layout of {@link RowSource}; the row of an emptied slot has no meaning. */
  readonly rows: Float32Array;
  /** T positions. */
  readonly positions: Float64Array;
  /**
   * With a mask, the biases of each of the T rows with every row of the other kind: for a changed key, a
   * number for each query slot and mask head, at `slot · maskHeads + head`; for a changed query, likewise for
   * each key slot. The bias of a pair with a deleted row has no meaning. null without a mask.
   */
  readonly bias: Float32Array | null;
}

/** One batch of edits. */
export interface Changes {
  /** Changed key slots, rows `[key | value]`. */
  readonly keys: RowChanges;
  /** Changed query slots. */
  readonly queries: RowChanges;
}

/** Standing queries whose states are of the same epoch. */
export interface Cohort {
  /** Query slots. */
  readonly queries: Uint32Array;
  /** The changes of keys since that epoch. */
  readonly since: Since;
}

/** Attention of the queries that were asked for, in their order. */
export interface AttentionOutput {
  /** One row per query of H·dv numbers; zeros if no key is allowed. */
  readonly output: Float32Array<ArrayBuffer>;
  /**
   * Natural log of Σ_j exp s_ij, H numbers per query; −∞ if and only if no key is allowed. Empty if it is not
   * wanted.
   */
  readonly logSumExp: Float64Array<ArrayBuffer>;
}

/**
 * Copies of answers: by head row, `slot · H + head`, the drift of its block when the answer was copied, and a
 * bound on the rounding of the answer.
 */
export interface Copies {
  readonly readings: Float64Array;
  readonly roundings: Float64Array;
}

/** The drift that a backend follows. */
export interface Watched {
  /** The factor by which its bounds are larger than they would be if it began now. */
  looseness(): number;
  /** The multiply-adds that following has taken so far, besides beginning. */
  upkeep(): number;
  /** The batches that it has followed so far, changed keys in each block, and keys noted in each block. */
  readonly followed: { readonly batches: number; readonly steps: number; readonly notes: number };
  /** Whether the drift of all query slots is followed. */
  readonly isWhole: boolean;
  /** Whether the drift of a query slot is followed. */
  follows(slot: number): boolean;
  /** A number that changes when copies that were noted before are no longer valid. */
  readonly generation: number;
}

/** Costs of units of work on a backend, relative to a plain multiply-add; measured by `deno task bench`. */
export interface Costs {
  /** The cost of one exp. */
  readonly exponential: number;
  /** The cost of one multiply-add into a compensated sum. */
  readonly compensatedAdd: number;
  /**
   * The number of neighbouring query slots, from a multiple of it on, that are computed at the cost of one.
   */
  readonly rowsTogether: number;
  /** Times by which a look is priced. */
  readonly times: LookTimes;
}

/**
 * Nanoseconds that parts of an exact answer take, and of one by copies. They are fixed numbers, so that what is
 * answered does not depend on a clock; `deno task bench:prices` holds them against one.
 */
export interface LookTimes {
  /** Any look, by copies or not: its promises, and storing a batch. */
  readonly common: number;
  /** Bringing rows up to date and reading them, however few. */
  readonly look: number;
  /** A changed key that states of one epoch catch up with, however few they are. */
  readonly exchanged: number;
  /** A counted multiply-add of bringing rows up to date. */
  readonly multiplyAdd: number;
  /** A number of the sums of a row that is brought up to date, besides. */
  readonly updated: number;
  /** A number of an exact answer. */
  readonly answered: number;
  /** The certificate of a head row, besides its pairs. */
  readonly certified: number;
  /** The first certificate of a state without pending keys takes this in addition. */
  readonly taken: number;
  /** A pair of a head row and a changed key in a certificate, besides its numbers. */
  readonly pair: number;
  /** A number of the key or value of a pair that is certified for the first time. */
  readonly pairFirst: number;
  /** A number of a pair whose key has changed again. */
  readonly pairAgain: number;
  /** A copy in an answer by copies: its bound and its accounts. */
  readonly copy: number;
  /** A number of it. */
  readonly copied: number;
  /** Reckoning, beside an exact answer, what copies of a sample would have cost. */
  readonly tried: number;
  /** Following a batch, however small. */
  readonly batch: number;
  /** A changed key in the drift of one block. */
  readonly step: number;
  /** Noting a key in the drift of one block, besides its scores. */
  readonly noted: number;
  /** Beginning to follow a head row. */
  readonly begun: number;
}

/** The configuration of a backend. */
export interface BackendConfig {
  readonly layout: HeadLayout;
  readonly rule: ScoreRule;
  /** The number of mask heads: 0 without a mask, 1 for a mask that all heads share, or H. */
  readonly maskHeads: number;
  /** The largest relative rounding error that is trusted; see `numerics/rounding_ledger.ts`. */
  readonly tolerance: number;
  /**
   * The numbers of rows that the backend is first filled with, if they are known; the choice of a backend
   * depends on them.
   */
  readonly sizes?: { readonly queryCount: number; readonly keyCount: number };
  /** Whether rows have positions although the rule does not look at them; false unless given. */
  readonly hasPositions?: boolean;
  /** The reason for choosing this backend, if there was a choice. */
  readonly reason?: string;
}

/** The biases of passing queries with the stored keys, in place of the engine's mask. */
export interface PassingBias {
  /** 1 where all heads share them, else H. */
  readonly heads: number;
  /** Key slots that have some; there are no keys beyond. */
  readonly keySize: number;
  /** By query, key slot and mask head: `(query · keySize + slot) · heads + head`. */
  readonly numbers: Float32Array;
}

/** Queries that are not standing. */
export interface PassingQueries {
  readonly count: number;
  /** `count` rows of H·d numbers. */
  readonly rows: Float32Array;
  /** `count` positions. */
  readonly positions: Float64Array;
  /** null without a mask. */
  readonly bias: PassingBias | null;
}

/** A compute backend. */
export interface Backend {
  /** The name, as in the option `backend`. */
  readonly name: string;
  /** The reason for choosing it, in words. */
  readonly reason: string;
  /** The cost constants. */
  readonly costs: Costs;
  /** The number of threads that have computed for it; 1 while only the caller's thread has. */
  readonly threads: number;
  /**
   * Milliseconds that its device was busy, by the device's clock and up to the last answer; null without a
   * device or a clock.
   */
  readonly deviceMs: number | null;
  /** The work done since it was made. */
  readonly work: Readonly<Work>;
  /** Stored keys and values. */
  readonly keys: RowSource;
  /** Stored queries. */
  readonly queries: RowSource;
  /** Retained rows of keys and values, by their ids in place of slots. */
  readonly retained: RowSource;
  /** The number of bytes that it holds. */
  bytes(): number;
  /**
   * Stores a batch, all of it or, if it rejects, nothing of it. The row that slot `changes.keys.slots[t]`
   * held is retained under the id `retained[t]`, which must be free or among `dropped`; with {@link NO_ROW}
   * it is not retained. The retained rows with the ids in `dropped` are wiped first. Changed queries have no
   * state afterwards, the states of other queries do not change. null when it is done; it may throw instead of
   * rejecting.
   */
  store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void> | null;
  /**
   * Erases the traces of deleted rows, when all states are of the newest epoch: wipes the retained rows with
   * the ids in `dropped`, and then recomputes bounds and measures that depend on rows that are no longer
   * stored.
   */
  forget(dropped: Uint32Array): Promise<void>;
  /**
   * Brings states up to date with the stored rows: those of `build` from scratch, those of `patch` by the
   * changes since their epochs. If it rejects, the queries that it names may have no state. null when it is
   * done; it may throw instead of rejecting.
   */
  update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> | null;
  /**
   * Attention of standing queries by their states as they are. With `parts`, these are of several epochs: the
   * cohorts that they are of, in any order, and the changes of `cohort` are not looked at.
   */
  read(cohort: Cohort, wanted: Wanted, parts?: readonly Cohort[]): Promise<AttentionOutput>;
  /**
   * For each standing query, an upper bound on the Euclidean distance, over all heads, between the output of
   * its state, rounded to float32, and the exact output for the stored rows.
   */
  certify(cohort: Cohort): Promise<Float64Array<ArrayBuffer>>;
  /** Nanoseconds that `certify` would take, by the constants in `costs`. It is synchronous. */
  certifyTime(cohort: Cohort): number;
  /**
   * ‖q‖ of each head of standing queries, and how far values may be from one another, for all stored rows. It is
   * synchronous.
   */
  extents(queries: Uint32Array): Extents;
  /** The drift that it follows; null if it follows none. */
  readonly watched: Watched | null;
  /**
   * Begins, or begins anew, to follow the drift of the exact outputs of query slots and of the others in
   * their blocks of eight. Their states must be up to date. From then on it takes a few operations for each
   * changed key and block, and a score for each query slot when a key changes for the first time. Returns
   * false if memory does not suffice.
   */
  watch(queries: Uint32Array): Promise<boolean>;
  /** Stops following drift. */
  unwatch(): void;
  /**
   * Bounds like those of {@link Backend.certify}, by drift, without work for any pair. They are looser, and
   * Infinity if they would be above `limit` or if drift is not followed. A cohort that is up to date has one bound
   * on rounding, which may be above `limit`, and is Infinity where scores have biases.
   */
  drift(cohort: Cohort, limit: number): Promise<Float64Array<ArrayBuffer>>;
  /**
   * Writes, for each query, a bound by drift on the distance of the copied answer from the exact one. It is
   * synchronous.
   */
  driftOfCopies(queries: Uint32Array, copies: Copies, bounds: Float64Array): void;
  /**
   * Notes in `copies` that the answers of a cohort, by its states, were copied. Where rounding is little
   * beside `limit`, its bound is that of any answer.
   */
  copied(cohort: Cohort, copies: Copies, limit: number): Promise<void>;
  /** Attention of passing queries over the stored rows. The backend keeps nothing of them. */
  attend(queries: PassingQueries): Promise<AttentionOutput>;
  /** The weights of one head of a standing query over the stored rows, one per key slot below `slotCount`. */
  weights(slot: number, head: number, slotCount: number): Promise<Float32Array<ArrayBuffer>>;
  /**
   * With a mask, the biases of the key slots below `keySize` with the query slots below `querySize`: a number
   * for each key slot, query slot and mask head, in this order. The bias of a pair with a deleted row has no
   * meaning. null without a mask. It may be called at any time, like the sources of rows.
   */
  bias(keySize: number, querySize: number): Float32Array | null;
  /**
   * Copies the states of the query slots below `querySize`, which must all be up to date, as arrays with
   * names of the backend's own.
   */
  save(querySize: number): Promise<SavedArrays>;
  /**
   * Fills an empty backend with all slots of a snapshot: `keys.bias` has the biases of all pairs,
   * `queries.bias` is null. With `states`, which a backend of the same name has saved, later answers have the
   * same bits as those of the saved backend. With null, all states are computed.
   *
   * @throws {FormatError} When no backend can have saved `states`. The error names `operation`.
   */
  restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void>;
  /** Frees all that it holds. */
  dispose(): Promise<void>;
}

/** Makes an empty backend. */
export type BackendFactory = (config: BackendConfig) => Promise<Backend>;
