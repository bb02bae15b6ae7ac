/**
 * Keys as the kernels take them: columns of arrays, in which row j of each belongs to one key.
 */

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

/** Keys that take the place of the applied ones in `slots`. */
export interface KeyPatch extends KeyBlock {
  readonly slots: Uint32Array;
  /** 0 where an applied key keeps all that its scores depend on, so that its weights stay what they are. */
  readonly scoreChanged: Uint8Array;
}
