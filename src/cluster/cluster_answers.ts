/**
 * The types of a cluster's answers.
 */

import type { Matrix } from "../base/matrix.ts";

/** Where an answer stands in a partition. */
export interface PartitionPlace {
  /** The number of the partition. */
  readonly partition: number;
  /** The newest record that every row of the answer includes. */
  readonly sequence: number;
  /** At most so many milliseconds before the answer, these were all records that the log had. */
  readonly ageMs: number;
  /** The newest record that the connection knows of, by heartbeats, edits and answers: `sequence`, or one that is missing. */
  readonly newest: number;
}

/** Attention over all keys of a cluster. */
export interface ClusterOutput {
  /** One row for each query, H·dv columns; zeros if there is no key. */
  readonly output: Matrix;
  /**
   * For each row, an upper bound on its Euclidean distance from exact attention over the keys as of `partitions`, rounding
   * included. Where `peek` joins rows of several ages, `partitions` is that of the oldest, and each bound is as of its own row's.
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
  /** w = exp(s) / Σ exp(s) over all partitions, from 0 to 1. */
  readonly weight: number;
}

/** A key with its value, as it is stored. */
export interface StoredKey {
  /** Hkv·d numbers. */
  readonly key: Float32Array<ArrayBuffer>;
  /** Hkv·dv numbers. */
  readonly value: Float32Array<ArrayBuffer>;
}
