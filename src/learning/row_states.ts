/**
 * What an optimizer remembers of the rows of one kind.
 *
 * Invariant: a state belongs to the row that it was made for. When that row is deleted its state is void, also if the
 * slot holds another row by then.
 */

import type { SlotTable } from "../lazy/slot_table.ts";

/** States by slot, as they are written down. */
export interface SavedStates {
  /** T slots in ascending order. */
  readonly slots: Uint32Array<ArrayBuffer>;
  /** T states of `length` numbers each. */
  readonly states: Float64Array<ArrayBuffer>;
}

/** States by slot. */
export class RowStates {
  /** Numbers of a state. */
  readonly length: number;
  readonly #slots: SlotTable;
  readonly #states = new Map<number, { readonly identity: number; readonly state: Float64Array }>();

  constructor(length: number, slots: SlotTable) {
    this.length = length;
    this.#slots = slots;
  }

  /** How many rows have a state. */
  get count(): number {
    this.#prune();
    return this.#states.size;
  }

  /** A copy of the state of the row in a live slot; zeros where there is none yet. */
  copyOf(slot: number): Float64Array<ArrayBuffer> {
    const found = this.#states.get(slot);
    const isOwn = found?.identity === this.#slots.identityOf(slot);
    return isOwn && found ? Float64Array.from(found.state) : new Float64Array(this.length);
  }

  /** Keeps the state of the row in a live slot. */
  put(slot: number, state: Float64Array): void {
    if (this.length > 0) this.#states.set(slot, { identity: this.#slots.identityOf(slot), state });
  }

  save(): SavedStates {
    this.#prune();
    const slots = Uint32Array.from(this.#states.keys()).sort();
    const states = new Float64Array(slots.length * this.length);
    slots.forEach((slot, at) => states.set(this.copyOf(slot), at * this.length));
    return { slots, states };
  }

  /** Takes over what was saved; all slots are live. */
  restore({ slots, states }: SavedStates): void {
    slots.forEach((slot, at) => this.put(slot, states.slice(at * this.length, (at + 1) * this.length)));
  }

  #prune(): void {
    for (const [slot, { identity }] of this.#states) {
      if (!this.#slots.isLive(slot) || this.#slots.identityOf(slot) !== identity) this.#states.delete(slot);
    }
  }
}
