/**
 * The optimizer states of the rows of one kind.
 *
 * Invariant: a state belongs to the row that it was made for. When that row is deleted, the numbers of its
 * state are overwritten at once, and a new row in its slot starts with zeros.
 */

import type { SlotTable, SlotWatcher } from "../write/slot_table.ts";

/** States by slot, as a snapshot holds them. */
export interface SavedStates {
  /** T slots in ascending order. */
  readonly slots: Uint32Array<ArrayBuffer>;
  /** T states of `length` numbers each. */
  readonly states: Float64Array<ArrayBuffer>;
}

/** States by slot. */
export class RowStates implements SlotWatcher {
  /** The number of numbers of a state. */
  readonly length: number;
  readonly #states = new Map<number, Float64Array<ArrayBuffer>>();

  constructor(length: number, slots: SlotTable) {
    this.length = length;
    if (length > 0) slots.watch(this);
  }

  /** The number of rows that have a state. */
  get count(): number {
    return this.#states.size;
  }

  /** A copy of the state of the row in a live slot; zeros if it has none yet. */
  copyOf(slot: number): Float64Array<ArrayBuffer> {
    return this.#states.get(slot)?.slice() ?? new Float64Array(this.length);
  }

  /** Stores the state of the row in a live slot. */
  put(slot: number, state: Float64Array<ArrayBuffer>): void {
    if (this.length === 0) return;
    const own = this.#states.get(slot);
    if (own) own.set(state);
    else this.#states.set(slot, state.slice());
  }

  /** Overwrites the state of a deleted row. */
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

  /** Restores saved states, whose slots must all be live. */
  restore({ slots, states }: SavedStates): void {
    slots.forEach((slot, at) => this.put(slot, states.subarray(at * this.length, (at + 1) * this.length)));
  }
}
