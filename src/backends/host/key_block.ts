/**
 * Keys as loops over them take them: columns of arrays, in which row j of each belongs to one key.
 */

import type { Since } from "../backend.ts";

/** Keys and values side by side; row j counts where `live[j]` is 1. */
export interface KeyBlock {
  readonly count: number;
  readonly live: Uint8Array;
  readonly positions: Float64Array;
  /** Hkv·d numbers a row, from `keyStart` on. */
  readonly keys: Float32Array;
  readonly keyStart: number;
  /** Hkv times `columns` numbers a row, from `valueStart` on: v, 1, ‖v‖∞, and perhaps zeros. */
  readonly values: Float32Array;
  readonly valueStart: number;
  readonly columns: number;
  /** The mask's numbers; null without a mask. */
  readonly bias: BiasBlock | null;
}

/** What a mask adds to scores: the number of key j, query i and mask head h is at start + j·keyStride + i·queryStride + h·headStride. */
export interface BiasBlock {
  readonly numbers: Float32Array;
  readonly start: number;
  readonly keyStride: number;
  readonly queryStride: number;
  readonly headStride: number;
  /** Mask heads: one that all heads share, or H. */
  readonly heads: number;
}

/** Keys that took the place of others: row `kept[t]` of `before`, if any, gave way to row `slots[t]` of `after`. */
export interface KeyExchange extends Since {
  readonly before: KeyBlock;
  readonly after: KeyBlock;
  /** 0 where both keys have all that their scores depend on in common, so that weights stay what they are. */
  readonly scoreChanged: Uint8Array;
}
