/**
 * The types of an engine's answers, beside plain matrices.
 */

import type { Matrix } from "../base/matrix.ts";
import type { RowStorage } from "../numerics/row_format.ts";
import type { RowId } from "../write/row_ids.ts";

/**
 * The answer of `peek`: outputs as of the last update of each query, with a bound on how far each is from
 * exact.
 */
export interface StaleOutput {
  /** One row per query asked for, H·dv columns. */
  readonly output: Matrix;
  /**
   * For each row of `output`, an upper bound on its Euclidean distance from exact attention as of the edits
   * made before the call, rounding included. With the option `storage` it is the distance from exact attention
   * of the rows as they were given, before float16 or int8 rounded them.
   */
  readonly bounds: Float64Array<ArrayBuffer>;
  /**
   * For each row, the part of its bound that `storage` takes: how far exact attention of the rows that are kept,
   * which `read` answers, may be from that of the rows that were given. Not there where all are float32.
   */
  readonly storageBounds?: Float64Array<ArrayBuffer>;
  /**
   * The number of changed key slots that the oldest row does not include; 0 means that all rows are exact.
   */
  readonly pending: number;
  /**
   * The epoch of the oldest row: the number of batches of edits that had been stored when it was up to date.
   */
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

/** Sizes, counts of edits and counted work of an engine since its creation, which is included. */
export interface DynamicAttentionStats {
  /** The name of the backend in use. */
  readonly backend: string;
  /** The reason for this backend: that the caller asked for it by name, or how "auto" chose it. */
  readonly backendReason: string;
  /**
   * The number of threads that have computed so far; 1 until work is large enough to be shared, see the
   * option `threads`.
   */
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
  /** How keys and values are kept; not there where all are float32. */
  readonly storage?: RowStorage;
  /** The number of accepted edits. */
  readonly edits: number;
  /** The number of edits that needed no work, since a later edit of the slot replaced or undid them. */
  readonly coalesced: number;
  /** Every answer, stale or exact, includes edits 1 … `applied`. */
  readonly applied: number;
  /** The number of changed slots that a stale answer need not include. */
  readonly pending: number;
  /** The number of batches of edits stored so far. */
  readonly epoch: number;
  /**
   * The number of live queries whose states do not include all stored keys; they catch up when they are read.
   */
  readonly behind: number;
  /** The number of replaced rows of keys that are retained for queries that are behind. */
  readonly retained: number;
  /** How often the states of all queries were computed from scratch at once. */
  readonly rebuilds: number;
  /**
   * The number of head rows (one head of one query) that were rebuilt because their bound on rounding errors
   * grew too large.
   */
  readonly refreshes: number;
  /** The number of head rows computed from scratch, for whatever reason. */
  readonly rowsBuilt: number;
  /** The number of head rows in which only the contributions of changed keys were exchanged. */
  readonly rowsPatched: number;
  /** The number of multiply-adds: products added to a sum. */
  readonly multiplyAdds: number;
  /** The number of evaluations of exp. */
  readonly exponentials: number;
  /** Milliseconds spent bringing states up to date. */
  readonly applyMs: number;
  /** Milliseconds spent on reads. */
  readonly readMs: number;
  /**
   * Milliseconds that a graphics device was busy, by its own clock; null on other backends, and for a device
   * without a clock. Work is counted with the first answer after it.
   */
  readonly deviceMs: number | null;
  /** The number of bytes that the backend holds. */
  readonly bytes: number;
}
