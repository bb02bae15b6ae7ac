/**
 * The tiles of the query slots of a question: which rows of each are asked for, and where they are in the
 * list. A list that is asked again and again, as that of all query slots, is sorted once; lists do not change.
 */

import { LANES, TILE_BITS } from "./certificate_kernel.ts";

/** The tiles of a list of query slots. */
export class AskedTiles {
  /** Tiles, each once, with the rows that are asked for as bits. */
  count = 0;
  numbers = new Uint32Array(4);
  rows = new Int32Array(4);
  /** Neighbours of the list that are of one tile: its number, and where they begin; one more begins at the end. */
  runs = 0;
  runNumbers = new Uint32Array(4);
  runStarts = new Uint32Array(5);
  #slots: Uint32Array | null = null;
  /** By number of a tile, one more than its place among the tiles of the list; 0 for none. */
  #places = new Uint32Array(4);

  /** Sorts a list, unless it is the one that was sorted last. */
  sort(slots: Uint32Array): void {
    if (slots === this.#slots) return;
    for (let at = 0; at < this.count; at++) this.#places[this.numbers[at]] = 0;
    this.#slots = slots;
    this.count = this.runs = 0;
    for (let at = 0; at < slots.length;) {
      const number = slots[at] >>> TILE_BITS, start = at;
      let rows = 0;
      for (; at < slots.length && slots[at] >>> TILE_BITS === number; at++) rows |= 1 << (slots[at] & LANES);
      this.#add(number, rows, start);
    }
    this.runStarts[this.runs] = slots.length;
  }

  #add(number: number, rows: number, start: number): void {
    if (this.runs === this.runNumbers.length) this.#grow();
    this.runNumbers[this.runs] = number;
    this.runStarts[this.runs++] = start;
    if (number >= this.#places.length) this.#places = grown(this.#places, number + 1);
    const place = this.#places[number];
    if (place > 0) {
      this.rows[place - 1] |= rows;
      return;
    }
    this.numbers[this.count] = number;
    this.rows[this.count++] = rows;
    this.#places[number] = this.count;
  }

  #grow(): void {
    const size = 2 * this.runs;
    this.runNumbers = grown(this.runNumbers, size);
    this.runStarts = grown(this.runStarts, size + 1);
    this.numbers = grown(this.numbers, size);
    const rows = new Int32Array(size);
    rows.set(this.rows);
    this.rows = rows;
  }
}

/** A copy with room for `size` numbers, and for as many more. */
function grown(numbers: Uint32Array<ArrayBuffer>, size: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(size, 2 * numbers.length));
  larger.set(numbers);
  return larger;
}
