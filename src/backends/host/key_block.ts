/**
 * Blocks of keys for loops: parallel arrays, in which row j of each belongs to one key.
 */

import type { Since } from "../backend.ts";

/** Keys with their values; row j is live if `live[j]` is 1. */
export interface KeyBlock {
  readonly count: number;
  readonly live: Uint8Array;
  readonly positions: Float64Array;
  /** Hkv·d numbers per row, from `keyStart` on. */
  readonly keys: Float32Array;
  readonly keyStart: number;
  /**
   * Hkv · `columns` numbers per row, from `valueStart` on: v, 1, ‖v‖∞, and zeros if there are more columns.
   */
  readonly values: Float32Array;
  readonly valueStart: number;
  readonly columns: number;
  /** The biases; null without a mask. */
  readonly bias: BiasBlock | null;
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
