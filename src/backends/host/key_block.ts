/**
 * Blocks of keys for loops: parallel arrays, in which row j of each belongs to one key.
 */

import type { Since } from "../backend.ts";
import type { PackedRows } from "./packed_rows.ts";

/** Keys with their values; row j is live if `live[j]` is 1. */
export interface KeyBlock {
  readonly count: number;
  readonly live: Uint8Array;
  readonly positions: Float64Array;
  /** The d numbers of a key's head are from `keyOffset` on. */
  readonly keys: Float32Array;
  readonly keyStart: number;
  /** From a row to the next, and from a head to the next. */
  readonly keyStride: number;
  readonly keyWords: number;
  /** Unpacks rows to `keys`; null where they are float32. */
  readonly packedKeys: PackedRows | null;
  /** The columns of a value's head are from `valueOffset` on: v, 1, ‖v‖∞, and zeros if there are more columns. */
  readonly values: Float32Array;
  readonly valueStart: number;
  readonly valueStride: number;
  readonly valueWords: number;
  readonly packedValues: PackedRows | null;
  /** The biases; null without a mask. */
  readonly bias: BiasBlock | null;
}

/**
 * The index among `keys` of a head of a key. A row that was packed is there only until two others have been asked
 * for.
 */
export function keyOffset(
  { keyStart, keyStride, keyWords, packedKeys }: KeyBlock,
  j: number,
  keyHead: number,
): number {
  const index = keyStart + j * keyStride + keyHead * keyWords;
  return packedKeys === null ? index : packedKeys.open(index);
}

/** The index among `values` of a head of a value, likewise. */
export function valueOffset(
  { valueStart, valueStride, valueWords, packedValues }: KeyBlock,
  j: number,
  keyHead: number,
): number {
  const index = valueStart + j * valueStride + keyHead * valueWords;
  return packedValues === null ? index : packedValues.open(index);
}

/**
 * Biases of a mask: that of key j, query i and mask head h is at start + j·keyStride + i·queryStride +
 * h·headStride.
 */
export interface BiasBlock {
  readonly numbers: Float32Array;
  readonly start: number;
  readonly keyStride: number;
  readonly queryStride: number;
  readonly headStride: number;
  /** The number of mask heads, 1 or H. */
  readonly heads: number;
}

/** An exchange of keys: row `slots[t]` of `after` replaces row `retained[t]` of `before`, if there is one. */
export interface KeyExchange extends Since {
  readonly before: KeyBlock;
  readonly after: KeyBlock;
  /** 0 if all that scores depend on is equal in both keys, so that weights do not change. */
  readonly scoreChanged: Uint8Array;
}
