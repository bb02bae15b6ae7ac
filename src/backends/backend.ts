/**
 * What the engine asks of a place that computes. A backend owns the *applied* rows and the state of every
 * standing query; it is told which slots changed, in which way to apply it and which rows are wanted. It never
 * sees the edit log, a threshold or a version: those are the engine's.
 *
 * The engine calls one asynchronous method at a time and waits for it; `keys` and `queries` may be read at any
 * time, also while a change is applied, except for the slots that the change names.
 */

import type { HeadLayout } from "../core/head_layout.ts";
import type { ScoreRule } from "../core/score_rule.ts";
import type { SavedArrays } from "../saved_array.ts";

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

/** How the keys of a batch reach the rows: by their columns alone, or by computing every row from scratch. */
export type Plan = "patch" | "rebuild";

/** Attention of the rows that were asked for, in their order. */
export interface Readout {
  /** A row a query, H·dv numbers each; zeros where no key is allowed. */
  readonly output: Float32Array<ArrayBuffer>;
  /** Natural log of Σ_j exp s_ij, H a query; −∞ where no key is allowed. */
  readonly logSumExp: Float32Array<ArrayBuffer>;
}

/** Work done since the backend was made, counted where it is done. */
export interface Work {
  /** Products added to a sum, those of the two columns of upkeep (mass and magnitude) included. */
  multiplyAdds: number;
  /** Calls of exp. */
  exponentials: number;
  /** Rows (one a query and head) computed from scratch: in a rebuild, for a changed query, refreshed, attending. */
  rowsBuilt: number;
  /** Rows touched by a patch or an overlay. */
  rowsPatched: number;
  /** Rows that a patch or overlay left untrusted, which were therefore built. */
  refreshes: number;
}

/** What one unit of work costs on a backend, a plain multiply-add being 1; measured by `deno task bench`. */
export interface Costs {
  /** One exp. */
  readonly exponential: number;
  /** One multiply-add into a compensated sum. */
  readonly compensatedAdd: number;
}

/** What a backend is made with. */
export interface BackendConfig {
  readonly layout: HeadLayout;
  readonly rule: ScoreRule;
  /** Whether there is a mask, and of how many heads: 0 for none, 1 for one that all heads share, or H. */
  readonly maskHeads: number;
  /** Largest trusted rounding error, relative; see `core/rounding_ledger.ts`. */
  readonly tolerance: number;
}

/** Queries that are not standing. No mask knows them: with one, nobody may ask for them. */
export interface PassingQueries {
  readonly count: number;
  /** `count` rows of H·d numbers. */
  readonly rows: Float32Array;
  /** `count` positions. */
  readonly positions: Float64Array;
}

/** What of the applied state `keys` and `queries` do not tell. */
export interface SavedBackend {
  /**
   * With a mask, what is added to the score of each pair: a number for each key slot, query slot and mask head, in
   * this order. Pairs of which one is not live mean nothing. null without a mask.
   */
  readonly bias: Float32Array | null;
  /** What else it keeps, by names of its own, so that it need not be computed again. */
  readonly states: SavedArrays;
}

/** A place that computes. */
export interface Backend {
  /** Its name, as the option `backend` gives it. */
  readonly name: string;
  /** Its cost constants. */
  readonly costs: Costs;
  /** Its work since it was made. */
  readonly work: Readonly<Work>;
  /** Applied keys and values, readable at once. */
  readonly keys: RowSource;
  /** Applied queries, readable at once. */
  readonly queries: RowSource;
  /** Bytes that it holds. */
  bytes(): number;
  /** Applies a batch, all of it or, when it rejects, nothing of it. Changed queries are built either way. */
  apply(changes: Changes, plan: Plan): Promise<void>;
  /** Attention of standing queries as if `pending` were applied; keeps nothing of it. */
  read(rows: Uint32Array, pending: RowChanges | null): Promise<Readout>;
  /**
   * For each standing query, a bound on the Euclidean distance of its applied output, rounded to float32, from what
   * it would be if `pending` were applied, over all heads.
   */
  certify(rows: Uint32Array, pending: RowChanges): Promise<Float64Array<ArrayBuffer>>;
  /** Attention of passing queries as if `pending` were applied; keeps nothing of them. */
  attend(queries: PassingQueries, pending: RowChanges | null): Promise<Readout>;
  /** The weights of one head of a standing query, one a key slot below `slotCount`, as if `pending` were applied. */
  weights(
    row: number,
    head: number,
    slotCount: number,
    pending: RowChanges | null,
  ): Promise<Float32Array<ArrayBuffer>>;
  /** Copies what it keeps of key slots below `keySize` and query slots below `querySize`. */
  save(keySize: number, querySize: number): Promise<SavedBackend>;
  /**
   * Fills an empty backend with all slots of a snapshot: `keys.bias` speaks of all pairs, `queries.bias` is null.
   * `states` is what a backend of the same name saved; with them every later answer has the bits that the saved one's
   * would have. With null, all rows are computed.
   *
   * @throws {FormatError} When no backend can have saved `states`; `operation` is what the error names.
   */
  restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void>;
  /** Gives back what it holds. */
  dispose(): Promise<void>;
}

/** Makes an empty backend. */
export type BackendFactory = (config: BackendConfig) => Backend;
