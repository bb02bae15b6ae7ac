/**
 * Rows of one kind while they are read from disk, by slot. What cannot have been written of them is refused.
 */

import { CapacityError } from "../base/errors.ts";
import type { SlotRows } from "../store/snapshot.ts";
import type { RowId } from "../write/row_ids.ts";
import { SlotTable } from "../write/slot_table.ts";

/** Rows of one kind, by slot. */
export class ImageRows {
  readonly slots: SlotTable;
  readonly width: number;
  readonly #what: string;
  #rows: Float32Array;
  #positions: Float64Array;

  constructor(what: string, width: number, { slots, rows, positions }: SlotRows) {
    this.#what = what;
    this.width = width;
    this.slots = SlotTable.restore(slots);
    this.#rows = rows;
    this.#positions = positions;
  }

  write(slot: number, part: Float32Array, column: number): RowId {
    this.checkLive(slot);
    if (column + part.length > this.width) {
      throw new Error(`${part.length} numbers from column ${column} on, expected at most ${this.width}`);
    }
    this.#rows.set(part, slot * this.width + column);
    return this.slots.nameOf(slot);
  }

  insert(slot: number, position: number, row: Float32Array, id: RowId | undefined): RowId {
    if (slot !== this.slots.next) {
      throw new Error(`${this.#what} slot ${slot} is inserted, expected ${this.slots.next}`);
    }
    this.#checkLength(row);
    this.#checkNew(id);
    this.#reserve(slot + 1);
    this.slots.allocate(position, this.slots.ids?.isAuto ? undefined : id);
    this.#rows.set(row, slot * this.width);
    this.#positions[slot] = position;
    const name = this.slots.nameOf(slot);
    if (id !== undefined && name !== id) {
      throw new Error(`${this.#what} ${String(id)} is inserted, expected ${String(name)}`);
    }
    return name;
  }

  /** All of a live row, which may come to lie elsewhere. */
  put(slot: number, position: number, row: Float32Array): RowId {
    this.#checkLength(row);
    this.move(slot, position);
    return this.write(slot, row, 0);
  }

  move(slot: number, position: number): RowId {
    this.checkLive(slot);
    this.slots.reach(position);
    this.#positions[slot] = position;
    return this.slots.nameOf(slot);
  }

  /** Moves all rows whose positions are in a range; returns how many. */
  shift(by: number, from: number, to: number): number {
    let moved = 0;
    for (const slot of this.slots.liveSlots()) {
      const position = this.#positions[slot];
      if (!(from <= position && position < to)) continue;
      this.#positions[slot] = position + by + 0;
      moved++;
    }
    return moved;
  }

  delete(slot: number): RowId {
    this.checkLive(slot);
    const name = this.slots.nameOf(slot);
    this.slots.release(slot);
    this.#rows.fill(0, slot * this.width, (slot + 1) * this.width);
    this.#positions[slot] = 0;
    return name;
  }

  /** As a snapshot holds them; views. */
  view(): SlotRows {
    const { size } = this.slots;
    return {
      slots: this.slots.save(),
      rows: this.#rows.subarray(0, size * this.width),
      positions: this.#positions.subarray(0, size),
    };
  }

  /** One number of a live row. */
  element(slot: number, column: number): number {
    return this.#rows[slot * this.width + column];
  }

  checkLive(slot: number): void {
    if (!this.slots.isLive(slot)) {
      throw new Error(`${this.#what} slot ${slot} is edited, expected a live one`);
    }
  }

  #checkLength(row: Float32Array): void {
    if (row.length !== this.width) throw new Error(`a row of ${row.length} numbers, expected ${this.width}`);
  }

  #checkNew(id: RowId | undefined): void {
    const { ids } = this.slots;
    if ((id === undefined) === (ids === null) && ids?.slotOf(id) === undefined) return;
    const name = id === undefined ? "without an id" : String(id);
    throw new Error(`${this.#what} ${name} is inserted, expected an id of no other row where rows have ids`);
  }

  #reserve(size: number): void {
    if (size <= this.#positions.length) return;
    const capacity = Math.max(16, size, Math.ceil(1.5 * this.#positions.length));
    const bytes = capacity * (8 + 4 * this.width);
    const room = CapacityError.guard("openDurable", `${capacity} rows`, bytes, () => ({
      rows: new Float32Array(capacity * this.width),
      positions: new Float64Array(capacity),
    }));
    room.rows.set(this.#rows);
    room.positions.set(this.#positions);
    this.#rows = room.rows;
    this.#positions = room.positions;
  }
}
