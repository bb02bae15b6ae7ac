/**
 * How pending keys differ from the rows they replaced, as certificates need it: what of it is the same for
 * all rows is found here, once for an edit.
 */

import { type HeadLayout, keyColumns } from "../../numerics/head_layout.ts";
import type { RowSource } from "../backend.ts";
import { NO_ROW } from "../since.ts";

/** How the key in a slot changed since the epoch of some states. */
export interface KeyEdit {
  /** Under which number the row before is kept; NO_ROW if there was none. */
  readonly retained: number;
  /** Whether the slot holds a row now. */
  readonly isLive: boolean;
  /** ‖v' − v‖, by key head; 0 without a value before or after. */
  readonly valueShift: Float64Array;
  /** Where the key differs; null if in its position, too, or if a softcap is between products and scores. */
  readonly difference: KeyDifference | null;
}

/** What was added to the numbers of a key in some columns. */
export interface KeyDifference {
  readonly columns: readonly number[];
  readonly deltas: readonly number[];
}

/** Compares the row of a slot with the one that it replaced. */
export function toKeyEdit(
  stored: RowSource,
  slot: number,
  before: RowSource,
  retained: number,
  layout: HeadLayout,
  softcap: number,
): KeyEdit {
  const { kvHeads, valueDim } = layout;
  const isLive = stored.isLive(slot);
  const valueShift = new Float64Array(kvHeads);
  if (retained === NO_ROW || !isLive) return { retained, isLive, valueShift, difference: null };
  for (let head = 0; head < kvHeads; head++) {
    const start = keyColumns(layout) + head * valueDim;
    let squared = 0;
    for (let c = start; c < start + valueDim; c++) {
      squared += (stored.element(slot, c) - before.element(retained, c)) ** 2;
    }
    valueShift[head] = Math.sqrt(squared);
  }
  const difference = softcap === 0 ? differenceOf(stored, slot, before, retained, keyColumns(layout)) : null;
  return { retained, isLive, valueShift, difference };
}

/** The numbers in which a key differs from the one before it, if only a mask can change its scores, too. */
function differenceOf(
  stored: RowSource,
  slot: number,
  before: RowSource,
  retained: number,
  width: number,
): KeyDifference | null {
  if (before.position(retained) !== stored.position(slot)) return null;
  const columns: number[] = [], deltas: number[] = [];
  for (let c = 0; c < width; c++) {
    const delta = stored.element(slot, c) - before.element(retained, c);
    if (delta === 0) continue;
    columns.push(c);
    deltas.push(delta);
  }
  return { columns, deltas };
}
