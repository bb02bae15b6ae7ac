/**
 * The edits of one kind of row since they were last taken away to be applied, coalesced by slot: an entry holds
 * the newest row of a slot, or that the slot is empty now. A log lies on a `base`, the rows as they are without
 * it: the backend's applied rows, or a log that is being applied.
 *
 * Invariant: an entry differs from the base. What is edited back to what the base has leaves the log, so the
 * log's size is the number of slots that have to be applied.
 */

import type { RowChanges, RowSource } from "../backends/backend.ts";

const FIRST_CAPACITY = 16;

/** Newest rows by slot over a base. */
export class EditLog implements RowSource {
  readonly #width: number;
  #base: RowSource;
  // slot → position in the three arrays, which are dense
  readonly #positions = new Map<number, number>();
  #slots = new Uint32Array(FIRST_CAPACITY);
  #live = new Uint8Array(FIRST_CAPACITY);
  #rows: Float32Array<ArrayBuffer>;

  constructor(width: number, base: RowSource) {
    this.#width = width;
    this.#base = base;
    this.#rows = new Float32Array(FIRST_CAPACITY * width);
  }

  /** Slots that differ from the base. */
  get size(): number {
    return this.#positions.size;
  }

  has(slot: number): boolean {
    return this.#positions.has(slot);
  }

  isLive(slot: number): boolean {
    const at = this.#positions.get(slot);
    return at === undefined ? this.#base.isLive(slot) : this.#live[at] === 1;
  }

  element(slot: number, column: number): number {
    const at = this.#positions.get(slot);
    return at === undefined ? this.#base.element(slot, column) : this.#rows[at * this.#width + column];
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    const at = this.#positions.get(slot);
    if (at === undefined) this.#base.copyRow(slot, target, offset);
    else target.set(this.#rows.subarray(at * this.#width, (at + 1) * this.#width), offset);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    const at = this.#positions.get(slot);
    if (at === undefined) return this.#base.equalsRow(slot, rows, offset);
    for (let c = 0; c < this.#width; c++) {
      if (this.#rows[at * this.#width + c] !== rows[offset + c]) return false;
    }
    return true;
  }

  /** Writes part of a live row, from `column` on. */
  write(slot: number, part: Float32Array, column: number): void {
    const at = this.#positions.get(slot) ?? this.#copyFromBase(slot);
    this.#rows.set(part, at * this.#width + column);
    this.#dropIfUndone(slot, at);
  }

  /** Writes a whole row; the slot is live from now on. */
  put(slot: number, row: Float32Array): void {
    const at = this.#positions.get(slot) ?? this.#append(slot);
    this.#rows.set(row, at * this.#width);
    this.#live[at] = 1;
    this.#dropIfUndone(slot, at);
  }

  /** Empties a slot. */
  delete(slot: number): void {
    const at = this.#positions.get(slot) ?? this.#append(slot);
    this.#live[at] = 0;
    if (!this.#base.isLive(slot)) this.#remove(slot, at);
  }

  /** Writes the entries of a log that lies on this one. */
  absorb(upper: EditLog): void {
    for (const [slot, at] of upper.#positions) {
      if (upper.#live[at] === 1) {
        this.put(slot, upper.#rows.subarray(at * upper.#width, (at + 1) * upper.#width));
      } else this.delete(slot);
    }
  }

  /** Moves the entries of `slots` to a new log, which comes to lie between this one and its base. */
  take(slots: Iterable<number>): EditLog {
    const taken = new EditLog(this.#width, this.#base);
    for (const slot of slots) {
      const at = this.#positions.get(slot);
      if (at === undefined) continue;
      const to = taken.#append(slot);
      taken.#live[to] = this.#live[at];
      taken.#rows.set(this.#rows.subarray(at * this.#width, (at + 1) * this.#width), to * this.#width);
      this.#remove(slot, at);
    }
    this.#base = taken;
    return taken;
  }

  /** Puts the log on another base that holds the same rows as the old one: the old one was applied to it. */
  rebase(base: RowSource): void {
    this.#base = base;
  }

  /** The entries, as views that the next edit invalidates. */
  view(): RowChanges {
    return {
      slots: this.#slots.subarray(0, this.size),
      live: this.#live.subarray(0, this.size),
      rows: this.#rows.subarray(0, this.size * this.#width),
    };
  }

  /** The entries, as copies that stay. */
  snapshot(): RowChanges {
    const { slots, live, rows } = this.view();
    return { slots: slots.slice(), live: live.slice(), rows: rows.slice() };
  }

  #copyFromBase(slot: number): number {
    const at = this.#append(slot);
    this.#base.copyRow(slot, this.#rows, at * this.#width);
    this.#live[at] = 1;
    return at;
  }

  #append(slot: number): number {
    const at = this.size;
    if (at === this.#slots.length) this.#grow();
    this.#slots[at] = slot;
    this.#positions.set(slot, at);
    return at;
  }

  #grow(): void {
    const capacity = 2 * this.#slots.length;
    const slots = new Uint32Array(capacity);
    const live = new Uint8Array(capacity);
    const rows = new Float32Array(capacity * this.#width);
    slots.set(this.#slots);
    live.set(this.#live);
    rows.set(this.#rows);
    this.#slots = slots;
    this.#live = live;
    this.#rows = rows;
  }

  #dropIfUndone(slot: number, at: number): void {
    const undone = this.#base.isLive(slot) && this.#base.equalsRow(slot, this.#rows, at * this.#width);
    if (undone) this.#remove(slot, at);
  }

  /** Closes the gap with the last entry. */
  #remove(slot: number, at: number): void {
    const last = this.size - 1;
    if (at !== last) {
      this.#slots[at] = this.#slots[last];
      this.#live[at] = this.#live[last];
      this.#rows.copyWithin(at * this.#width, last * this.#width, (last + 1) * this.#width);
      this.#positions.set(this.#slots[at], at);
    }
    this.#positions.delete(slot);
  }
}
