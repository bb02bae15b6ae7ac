/**
 * The layout of heads in a row: query head h has columns [h·d, (h+1)·d) of a query, and it reads key head
 * ⌊h·Hkv/H⌋, which has a run of d columns of a key and of dv columns of a value.
 */

import type { RowStorage } from "./row_format.ts";

/** The sizes of heads. */
export interface HeadLayout {
  /** H, query heads. */
  readonly heads: number;
  /** Hkv, key and value heads; H is a multiple of it. */
  readonly kvHeads: number;
  /** d. */
  readonly headDim: number;
  /** dv. */
  readonly valueDim: number;
  /** Not there where rows are float32. */
  readonly storage?: RowStorage;
}

/** The key head that a query head reads. */
export function keyHeadOf({ heads, kvHeads }: HeadLayout, head: number): number {
  return Math.floor(head * kvHeads / heads);
}

/** Columns of a query: H·d. */
export function queryColumns({ heads, headDim }: HeadLayout): number {
  return heads * headDim;
}

/** Columns of a key: Hkv·d. */
export function keyColumns({ kvHeads, headDim }: HeadLayout): number {
  return kvHeads * headDim;
}

/** Columns of a value: Hkv·dv. */
export function valueColumns({ kvHeads, valueDim }: HeadLayout): number {
  return kvHeads * valueDim;
}

/** Columns of an output: H·dv. */
export function outputColumns({ heads, valueDim }: HeadLayout): number {
  return heads * valueDim;
}
