/**
 * The changes of keys since an epoch. This is a file of its own because the contract of backends has only
 * types, so that importing it loads no code.
 */

/** The id in place of a row that is not retained, or that was not there since the slot was empty. */
export const NO_ROW = 0xffffffff;

/** The changes of keys since an epoch: key slot `slots[t]` held another row then. No slot occurs twice. */
export interface Since {
  readonly slots: Uint32Array;
  /** The ids of the retained rows; {@link NO_ROW} if the slot was empty. */
  readonly retained: Uint32Array;
  /** The id of a slot, if it has changed, until the next batch is stored; without a pass over all slots. */
  readonly idOf?: (slot: number) => number | undefined;
}

/** No changes. */
export const NOTHING: Since = { slots: new Uint32Array(0), retained: new Uint32Array(0) };
