/**
 * The key slots that have changed since an epoch, as a list that grows with each batch.
 *
 * Invariant: what was told of it stays as it was. Slots are appended, and where some hold their earlier rows
 * again, the others are copied.
 */

import type { Since } from "../backends/since.ts";

/** The changes since one epoch. */
export class SinceList {
  /** The epoch of the last question. */
  asked = 0;
  readonly #places = new Map<number, number>();
  /** Slots that hold their earlier rows again, with the ids of those. */
  readonly #undone = new Map<number, number>();
  #slots = new Uint32Array(8);
  #ids = new Uint32Array(8);
  #count = 0;
  #hasGaps = false;

  /** The id under which the row of a slot is retained; undefined when it has not changed. */
  idOf(slot: number): number | undefined {
    const at = this.#places.get(slot);
    return at === undefined ? this.#undone.get(slot) : this.#ids[at];
  }

  /** Notes whether the key of a slot differs from the row that the states hold. */
  add(slot: number, id: number, isChanged: boolean): void {
    const isListed = this.#places.has(slot);
    if (!isChanged) {
      this.#undone.set(slot, id);
      if (isListed) this.#hasGaps = this.#places.delete(slot);
    }
    if (isListed || !isChanged) return;
    this.#undone.delete(slot);
    if (this.#hasGaps) this.#close();
    if (this.#count === this.#slots.length) this.#copy(2 * this.#count);
    this.#places.set(slot, this.#count);
    this.#slots[this.#count] = slot;
    this.#ids[this.#count++] = id;
  }

  toSince(): Since {
    if (this.#hasGaps) this.#close();
    return { slots: this.#slots.subarray(0, this.#count), retained: this.#ids.subarray(0, this.#count) };
  }

  #copy(length: number): void {
    const slots = new Uint32Array(length), ids = new Uint32Array(length);
    slots.set(this.#slots);
    ids.set(this.#ids);
    this.#slots = slots;
    this.#ids = ids;
  }

  #close(): void {
    this.#hasGaps = false;
    this.#copy(this.#slots.length);
    let left = 0;
    for (let at = 0; at < this.#count; at++) {
      const slot = this.#slots[at];
      if (this.#places.get(slot) !== at) continue;
      this.#places.set(slot, left);
      this.#slots[left] = slot;
      this.#ids[left++] = this.#ids[at];
    }
    this.#count = left;
  }
}
