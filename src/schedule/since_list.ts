/**
 * The key slots that have changed since an epoch, as a list that grows with each batch.
 *
 * Invariant: what was told of it stays as it was. Slots are appended, and where some hold their earlier rows again, the
 * others are copied.
 */

import type { Since } from "../backends/since.ts";
import type { WordPages } from "./word_pages.ts";

/** Up to so many slots are searched one by one: most lists are asked for once, and a map takes longer to make. */
const FEW = 192;

/** The changes since one epoch. */
export class SinceList {
  /** The epoch of the last question. */
  asked = 0;
  /** Where slots are in the list; null until one is looked for among many, or undone, so that they are all there. */
  #places: Map<number, number> | null = null;
  /** Slots that hold their earlier rows again, with the ids of those; null while there was none. */
  #undone: Map<number, number> | null = null;
  readonly #pages: WordPages;
  #slots: Uint32Array<ArrayBuffer>;
  #ids: Uint32Array<ArrayBuffer>;
  #count = 0;
  #hasGaps = false;

  /** The id of a slot that is in the list. */
  readonly #idOfListed = (slot: number): number | undefined => {
    const at = this.#placeOf(slot);
    return at === undefined ? undefined : this.#ids[at];
  };

  /** Makes room for `count` slots. */
  constructor(pages: WordPages, count = 0) {
    this.#pages = pages;
    this.#slots = pages.take(Math.max(1, count));
    this.#ids = pages.take(Math.max(1, count));
  }

  /** The id under which the row of a slot is retained; undefined when it has not changed. */
  idOf(slot: number): number | undefined {
    const at = this.#placeOf(slot);
    return at === undefined ? this.#undone?.get(slot) : this.#ids[at];
  }

  /** Notes a slot that is not in the list, and whose key differs from the row that the states hold. */
  append(slot: number, id: number): void {
    if (this.#hasGaps) this.#close();
    if (this.#count === this.#slots.length) this.#copy(2 * this.#count);
    this.#places?.set(slot, this.#count);
    this.#slots[this.#count] = slot;
    this.#ids[this.#count++] = id;
  }

  /** Notes whether the key of a slot differs from the row that the states hold. */
  add(slot: number, id: number, isChanged: boolean): void {
    const isListed = this.#placeOf(slot) !== undefined;
    if (!isChanged) {
      this.#undone ??= new Map();
      this.#undone.set(slot, id);
      if (isListed) this.#hasGaps = this.#mapped().delete(slot);
    }
    if (isListed || !isChanged) return;
    this.#undone?.delete(slot);
    this.append(slot, id);
  }

  toSince(): Since {
    if (this.#hasGaps) this.#close();
    const idOf = this.#idOfListed;
    if (this.#count === this.#slots.length) return { slots: this.#slots, retained: this.#ids, idOf };
    return {
      slots: this.#slots.subarray(0, this.#count),
      retained: this.#ids.subarray(0, this.#count),
      idOf,
    };
  }

  #placeOf(slot: number): number | undefined {
    if (this.#places || this.#count > FEW) return this.#mapped().get(slot);
    for (let at = 0; at < this.#count; at++) if (this.#slots[at] === slot) return at;
    return undefined;
  }

  /** The places as a map, which is kept from now on. */
  #mapped(): Map<number, number> {
    if (this.#places) return this.#places;
    this.#places = new Map();
    for (let at = 0; at < this.#count; at++) this.#places.set(this.#slots[at], at);
    return this.#places;
  }

  #copy(length: number): void {
    const slots = this.#pages.take(length), ids = this.#pages.take(length);
    slots.set(this.#slots);
    ids.set(this.#ids);
    this.#slots = slots;
    this.#ids = ids;
  }

  #close(): void {
    this.#hasGaps = false;
    this.#copy(this.#slots.length);
    const places = this.#mapped();
    let left = 0;
    for (let at = 0; at < this.#count; at++) {
      const slot = this.#slots[at];
      if (places.get(slot) !== at) continue;
      places.set(slot, left);
      this.#slots[left] = slot;
      this.#ids[left++] = this.#ids[at];
    }
    this.#count = left;
  }
}
