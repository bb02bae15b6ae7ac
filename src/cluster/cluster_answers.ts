/**
 * The types of a cluster's answers.
 */

import type { Matrix } from "../base/matrix.ts";

/** Where an answer stands in a partition. */
export interface PartitionPlace {
  /** The number of the partition. */
  readonly partition: number;
  /** Every row of the answer includes the records up to this one. */
  readonly sequence: number;
  /** The answer included every record of the partition this many milliseconds ago, or less. */
  readonly ageMs: number;
  /**
   * The newest record that the connection knows of, by heartbeats, edits and answers: `sequence`, or one that
   * is missing.
   */
  readonly newest: number;
}

/** Attention over all keys of a cluster. */
export interface ClusterOutput {
  /** One row for each query, H·dv columns; zeros if there is no key. */
  readonly output: Matrix;
  /**
   * For each row, an upper bound on its Euclidean distance from exact attention over the keys that the
   * records of `partitions` leave, rounding included. `peek` may join rows of several ages: `partitions` is
   * then that of the oldest row, and the bound of each row is for the records that this row includes.
   */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** The records that the answer includes, for each partition that answered. */
  readonly partitions: readonly PartitionPlace[];
  /** Partitions that are left out, which happens with `partial: true` only. */
  readonly missing: readonly number[];
}

/** A key and its weight for a query. */
export interface ClusterKey {
  /** The id of the key. */
  readonly id: string;
  /** w = exp(s) / Σ exp(s) over all partitions, the sink's included, from 0 to 1. */
  readonly weight: number;
}

/** A key with its value, as it is stored. */
export interface StoredKey {
  /** Hkv·d numbers. */
  readonly key: Float32Array<ArrayBuffer>;
  /** Hkv·dv numbers. */
  readonly value: Float32Array<ArrayBuffer>;
  /** Its position; not there in a cluster whose rules do not look at positions. */
  readonly position?: number;
}
