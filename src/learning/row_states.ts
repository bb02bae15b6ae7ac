/**
 * The states that an optimizer keeps for the rows of one kind.
 *
 * Invariant: a state belongs to the row that it was made for. When that row is deleted, by whomever, its
 * numbers are overwritten at once, and a row that takes its slot starts anew.
 */

import type { SlotTable, SlotWatcher } from "../write/slot_table.ts";

/** States by slot, as they are written down. */
export interface SavedStates {
  /** T slots in ascending order. */
  readonly slots: Uint32Array<ArrayBuffer>;
  /** T states of `length` numbers each. */
  readonly states: Float64Array<ArrayBuffer>;
}

/** States by slot. */
export class RowStates implements SlotWatcher {
  /** Numbers of a state. */
  readonly length: number;
  readonly #states = new Map<number, Float64Array<ArrayBuffer>>();

  constructor(length: number, slots: SlotTable) {
    this.length = length;
    if (length > 0) slots.watch(this);
  }

  /** How many rows have a state. */
  get count(): number {
    return this.#states.size;
  }

  /** A copy of the state of the row in a live slot; zeros where there is none yet. */
  copyOf(slot: number): Float64Array<ArrayBuffer> {
    return this.#states.get(slot)?.slice() ?? new Float64Array(this.length);
  }

  /** Keeps a copy of the state of the row in a live slot. */
  put(slot: number, state: Float64Array<ArrayBuffer>): void {
    if (this.length === 0) return;
    const own = this.#states.get(slot);
    if (own) own.set(state);
    else this.#states.set(slot, state.slice());
  }

  /** Overwrites the state of a row that is gone. */
  released(slot: number): void {
    this.#states.get(slot)?.fill(0);
    this.#states.delete(slot);
  }

  /** A copy of all states. */
  save(): SavedStates {
    const slots = Uint32Array.from(this.#states.keys()).sort();
    const states = new Float64Array(slots.length * this.length);
    slots.forEach((slot, at) => states.set(this.#states.get(slot) as Float64Array, at * this.length));
    return { slots, states };
  }

  /** Takes over what was saved; all slots are live. */
  restore({ slots, states }: SavedStates): void {
    slots.forEach((slot, at) => this.put(slot, states.subarray(at * this.length, (at + 1) * this.length)));
  }
}
