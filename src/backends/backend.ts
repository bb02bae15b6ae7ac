/**
 * What the engine asks of a place that computes. A backend owns the *stored* rows, which are the newest it was told,
 * and a *state* for every standing query, which may be as of an earlier moment: the rows of keys that such a state
 * still holds are *kept* beside the stored ones, under numbers that the engine gives. A backend never sees the edit
 * log, a threshold or a version: those are the engine's. With every question about a state it is told what has
 * happened to the keys since that state's moment.
 *
 * The engine calls one asynchronous method at a time and waits for it; the sources of rows may be read at any time,
 * also while changes are stored, except for the slots and numbers that are being stored, and also after a failure.
 */

import type { HeadLayout } from "../numerics/head_layout.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import type { SavedArrays } from "../base/saved_array.ts";
import type { Since } from "./since.ts";
import type { Work } from "./work.ts";

export type { Since, Work };

/**
 * Rows by slot number. A row of a key source is the key followed by its value, Hkv·(d + dv) numbers; a row of a
 * query source is the query, H·d numbers.
 */
export interface RowSource {
  /** Whether the slot holds a row; false for any number that was never given out. */
  isLive(slot: number): boolean;
  /** One number of a live row. */
  element(slot: number, column: number): number;
  /** Where a live row lies, for rules that look at positions. */
  position(slot: number): number;
  /** Copies a live row to `target`, from `offset` on. */
  copyRow(slot: number, target: Float32Array, offset: number): void;
  /** Whether a live row equals the one in `rows` that starts at `offset`. */
  equalsRow(slot: number, rows: Float32Array, offset: number): boolean;
}

/** The newest rows of the slots that changed: T slots in no order, none twice. */
export interface RowChanges {
  /** T slot numbers. */
  readonly slots: Uint32Array;
  /** 1 where the slot holds `rows`' row from now on, 0 where it is empty. */
  readonly live: Uint8Array;
  /** T rows in the layout of {@link RowSource}; the row of an emptied slot means nothing. */
  readonly rows: Float32Array;
  /** T positions. */
  readonly positions: Float64Array;
  /**
   * With a mask, what is added to the scores of each of the T rows with every row of the other kind: for a changed
   * key, a number for each query slot and mask head, `slot · maskHeads + head`; for a changed query, likewise for
   * each key slot. Pairs of which one is not live mean nothing. null without a mask.
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

/** Standing queries whose states are of the same moment. */
export interface Cohort {
  /** Query slots. */
  readonly queries: Uint32Array;
  /** What has happened since that moment. */
  readonly since: Since;
}

/** Attention of the rows that were asked for, in their order. */
export interface AttentionOutput {
  /** A row a query, H·dv numbers each; zeros where no key is allowed. */
  readonly output: Float32Array<ArrayBuffer>;
  /** Natural log of Σ_j exp s_ij, H a query; −∞ where no key is allowed, and nowhere else. */
  readonly logSumExp: Float64Array<ArrayBuffer>;
}

/** What one unit of work costs on a backend, a plain multiply-add being 1; measured by `deno task bench`. */
export interface Costs {
  /** One exp. */
  readonly exponential: number;
  /** One multiply-add into a compensated sum. */
  readonly compensatedAdd: number;
  /** Rows of neighbouring query slots, from a multiple of it on, that are computed for the price of one. */
  readonly rowsTogether: number;
}

/** What a backend is made with. */
export interface BackendConfig {
  readonly layout: HeadLayout;
  readonly rule: ScoreRule;
  /** Whether there is a mask, and of how many heads: 0 for none, 1 for one that all heads share, or H. */
  readonly maskHeads: number;
  /** Largest trusted rounding error, relative; see `core/rounding_ledger.ts`. */
  readonly tolerance: number;
  /** How many rows it is filled with at first, where that is known: what is worth it depends on that. */
  readonly sizes?: { readonly queryCount: number; readonly keyCount: number };
  /** Why this backend was chosen, where somebody chose. */
  readonly reason?: string;
}

/** Queries that are not standing. No mask knows them: with one, nobody may ask for them. */
export interface PassingQueries {
  readonly count: number;
  /** `count` rows of H·d numbers. */
  readonly rows: Float32Array;
  /** `count` positions. */
  readonly positions: Float64Array;
}

/** A place that computes. */
export interface Backend {
  /** Its name, as the option `backend` gives it. */
  readonly name: string;
  /** Why it was chosen, in words. */
  readonly reason: string;
  /** Its cost constants. */
  readonly costs: Costs;
  /** Threads that have computed for it; 1 while only the caller's has. */
  readonly threads: number;
  /** Milliseconds that a device of its own was busy, by that device's clock, as far as it has told; null without one. */
  readonly deviceMs: number | null;
  /** Its work since it was made. */
  readonly work: Readonly<Work>;
  /** Stored keys and values, readable at once. */
  readonly keys: RowSource;
  /** Stored queries, readable at once. */
  readonly queries: RowSource;
  /** Kept rows of keys and values by their numbers, readable at once. */
  readonly retained: RowSource;
  /** Bytes that it holds. */
  bytes(): number;
  /**
   * Stores a batch, all of it or, when it rejects, nothing of it. The row that slot `changes.keys.slots[t]` held is
   * kept under the number `kept[t]`, which names no row that is still wanted; with {@link NO_ROW} it is dropped.
   * Changed queries have no state from then on, the states of the others stay what they are. The rows kept under the numbers
   * in `dropped`, which may be among those in `kept`, are wiped before.
   */
  store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void>;
  /**
   * Forgets rows that are gone: wipes those kept under the numbers in `dropped`, and then, since all states are of the
   * stored rows, all bounds and measures that rows decided which are stored no more.
   */
  forget(dropped: Uint32Array): Promise<void>;
  /**
   * Brings states up to the stored rows: those of `build` from scratch, those of `patch` by what has happened since.
   * When it rejects, the queries that it names may have no state.
   */
  update(build: Uint32Array, patch: readonly Cohort[]): Promise<void>;
  /** Attention of standing queries as of their states. */
  read(cohort: Cohort): Promise<AttentionOutput>;
  /**
   * For each standing query, a bound on the Euclidean distance of the output of its state, rounded to float32, from
   * what it would be with the stored rows, over all heads.
   */
  certify(cohort: Cohort): Promise<Float64Array<ArrayBuffer>>;
  /** Attention of passing queries over the stored rows; keeps nothing of them. */
  attend(queries: PassingQueries): Promise<AttentionOutput>;
  /** The weights of one head of a standing query over the stored rows, one a key slot below `slotCount`. */
  weights(slot: number, head: number, slotCount: number): Promise<Float32Array<ArrayBuffer>>;
  /**
   * With a mask, what is added to the score of each pair of the key slots below `keySize` with the query slots below
   * `querySize`: a number for each key slot, query slot and mask head, in this order. Pairs of which one is not live
   * mean nothing. null without a mask. Readable at once, as the sources of rows are.
   */
  bias(keySize: number, querySize: number): Float32Array | null;
  /**
   * Copies what it keeps of query slots below `querySize`, all up to date, by names of its own, so that it need not be
   * computed again.
   */
  save(querySize: number): Promise<SavedArrays>;
  /**
   * Fills an empty backend with all slots of a snapshot: `keys.bias` speaks of all pairs, `queries.bias` is null.
   * `states` is what a backend of the same name saved; with them every later answer has the bits that the saved one's
   * would have. With null, all states are computed.
   *
   * @throws {FormatError} When no backend can have saved `states`; `operation` is what the error names.
   */
  restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void>;
  /** Gives back what it holds. */
  dispose(): Promise<void>;
}

/** Makes an empty backend. */
export type BackendFactory = (config: BackendConfig) => Promise<Backend>;
