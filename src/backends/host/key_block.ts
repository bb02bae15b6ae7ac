/**
 * Keys as the kernels take them: columns of arrays, in which row j of each belongs to one key.
 */

import type { Since } from "../backend.ts";

/** Keys and values side by side: row j of each array belongs to one key, and counts where `live[j]` is 1. */
export interface KeyBlock {
  readonly count: number;
  readonly live: Uint8Array;
  /** Hkv·d numbers a row. */
  readonly keys: Float32Array;
  /** For each of the Hkv heads `width` = dv + 2 numbers: v, 1, ‖v‖∞. */
  readonly values: Float32Array;
  readonly positions: Float64Array;
  /** What the mask adds, `biasStride` numbers a row; null without a mask. */
  readonly bias: Float32Array | null;
  readonly biasStride: number;
}

/** Keys that took the place of others: row `kept[t]` of `before`, if any, gave way to row `slots[t]` of `after`. */
export interface KeyExchange extends Since {
  readonly before: KeyBlock;
  readonly after: KeyBlock;
  /** For a patch: 0 where both keys have all that their scores depend on in common, so that weights stay what they are. */
  readonly scoreChanged: Uint8Array;
}
