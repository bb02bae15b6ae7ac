/**
 * The forms of what an engine answers, beside plain matrices.
 */

import type { Matrix } from "../base/matrix.ts";
import type { RowId } from "../write/row_ids.ts";

/** What `peek` answers: rows as they were last brought up to date, and a certificate of how stale they are. */
export interface StaleOutput {
  /** A row a query asked for, H·dv columns. */
  readonly output: Matrix;
  /**
   * For each row of `output`, a bound on its Euclidean distance from exact attention as of the edits made before the
   * call, rounding included.
   */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** Changed key slots that the row that has missed the most does not know of; 0 means that all rows are exact. */
  readonly pending: number;
  /** How many batches of edits had been stored when the oldest row of the output was up to date. */
  readonly epoch: number;
}

/** A key and its weight for a query. */
export interface WeightedKey<KeyId extends RowId = number> {
  /** The key's slot, or its id where keys have some. */
  readonly slot: KeyId;
  /** w = exp(s) / Σ exp(s), from 0 to 1. */
  readonly weight: number;
}

/** A key and how well its value matches an output. */
export interface RankedKey<KeyId extends RowId = number> {
  /** The key's slot, or its id where keys have some. */
  readonly slot: KeyId;
  /** The product of the output with the key's value, over all heads. */
  readonly score: number;
}

/** Weights of queries over keys: number (i, h, j) is `data[(i * shape[1] + h) * shape[2] + j]`. */
export interface WeightTensor<KeyId extends RowId = number, QueryId extends RowId = number> {
  /** w_ij of each head; for a query and head they sum to 1 unless no key is allowed. */
  readonly data: Float32Array<ArrayBuffer>;
  /** How many queries, heads and keys there are. */
  readonly shape: readonly [queries: number, heads: number, keys: number];
  /** Slots or ids of the queries. */
  readonly queries: QueryId[];
  /** Numbers of the heads. */
  readonly heads: readonly number[];
  /** Slots or ids of the keys: all that were live at the call. */
  readonly keys: KeyId[];
}

/** Sizes, versions and counted work of an engine, its creation included. */
export interface DynamicAttentionStats {
  /** The backend in use. */
  readonly backend: string;
  /** Why it is that one: that it was asked for by name, or what "auto" found and decided. */
  readonly backendReason: string;
  /** Threads that have computed so far; 1 until work is large enough to be shared, see the option `threads`. */
  readonly threads: number;
  /** m, live queries. */
  readonly queryCount: number;
  /** n, live keys. */
  readonly keyCount: number;
  /** H. */
  readonly heads: number;
  /** Hkv. */
  readonly kvHeads: number;
  /** d. */
  readonly headDim: number;
  /** dv. */
  readonly valueDim: number;
  /** Edits accepted. */
  readonly edits: number;
  /** Edits that needed no work, since a later edit of the slot overtook or undid them. */
  readonly coalesced: number;
  /** Edits 1 … `applied` are in every answer, stale ones too. */
  readonly applied: number;
  /** Changed slots that wait: a stale answer need not know of them. */
  readonly pending: number;
  /** Batches of edits stored. */
  readonly epoch: number;
  /** Live queries whose rows do not know all stored keys; they catch up when they are read. */
  readonly behind: number;
  /** Replaced rows of keys that are kept for queries that are behind. */
  readonly kept: number;
  /** Times that every row was computed from scratch. */
  readonly rebuilds: number;
  /** Rows rebuilt one by one because rounding could have spoilt them. */
  readonly refreshes: number;
  /** Rows computed from scratch, for whatever reason. */
  readonly rowsBuilt: number;
  /** Rows in which only the changed keys were exchanged. */
  readonly rowsPatched: number;
  /** Products added to a sum. */
  readonly multiplyAdds: number;
  /** Calls of exp. */
  readonly exponentials: number;
  /** Milliseconds spent bringing rows up to date. */
  readonly applyMs: number;
  /** Milliseconds spent on reads. */
  readonly readMs: number;
  /**
   * Milliseconds that a graphics device was busy, by its own clock; null on other backends, and where the device has no
   * clock. Work is counted with the next answer after it.
   */
  readonly deviceMs: number | null;
  /** Bytes that the backend holds. */
  readonly bytes: number;
}
