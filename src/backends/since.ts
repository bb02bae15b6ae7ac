/**
 * What has happened to keys since a moment. Apart from the contract of backends, which is types alone and loads nothing.
 */

/** No row: the number of what is not kept, and of what an empty slot held. */
export const NO_ROW = 0xffffffff;

/** What has happened to keys since some moment: slot `slots[t]` held another row then. No slot is named twice. */
export interface Since {
  readonly slots: Uint32Array;
  /** Under which number that row is kept; {@link NO_ROW} where the slot was empty. */
  readonly retained: Uint32Array;
}

/** Nothing has happened. */
export const NOTHING: Since = { slots: new Uint32Array(0), retained: new Uint32Array(0) };
