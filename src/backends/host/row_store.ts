/**
 * Float32 rows by slot, each with a flag that says whether it is live and, where there are some, a position. A row is `width`
 * numbers at `slot · width`. Capacity at least doubles when it grows.
 */

import type { RowSource } from "../backend.ts";

/** A growable table of rows. */
export class RowStore implements RowSource {
  readonly width: number;
  /** One more than the largest slot ever written. */
  size = 0;
  /** The number of slots that hold a row. */
  liveCount = 0;
  rows: Float32Array;
  live: Uint8Array;
  positions: Float64Array;

  readonly #hasPositions: boolean;

  /** Without positions, those of all rows are 0 and take no memory. */
  constructor(width: number, hasPositions = true) {
    this.width = width;
    this.#hasPositions = hasPositions;
    this.rows = new Float32Array(0);
    this.live = new Uint8Array(0);
    this.positions = new Float64Array(0);
  }

  /** Makes room for slots below `size`. If memory is refused it throws, and nothing has changed. */
  reserve(size: number): void {
    if (size <= this.live.length) return;
    const capacity = Math.max(size, 2 * this.live.length);
    const rows = new Float32Array(capacity * this.width);
    const live = new Uint8Array(capacity);
    const positions = new Float64Array(this.#hasPositions ? capacity : 0);
    rows.set(this.rows);
    live.set(this.live);
    positions.set(this.positions);
    this.rows.fill(0);
    this.rows = rows;
    this.live = live;
    this.positions = positions;
  }

  isLive(slot: number): boolean {
    return this.live[slot] === 1;
  }

  element(slot: number, column: number): number {
    return this.rows[slot * this.width + column];
  }

  position(slot: number): number {
    return this.#hasPositions ? this.positions[slot] : 0;
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    target.set(this.rows.subarray(slot * this.width, (slot + 1) * this.width), offset);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    return equalRun(this.rows, slot * this.width, rows, offset, this.width);
  }

  /** Sets the flag and the position of a slot, for which there must be room. */
  mark(slot: number, live: number, position: number): void {
    this.liveCount += live - this.live[slot];
    this.live[slot] = live;
    if (this.#hasPositions) this.positions[slot] = position;
    if (slot >= this.size) this.size = slot + 1;
  }

  /** Deletes the row of a slot and wipes its numbers; does nothing if the table has no room for the slot. */
  wipe(slot: number): void {
    if (slot < this.size) this.mark(slot, 0, 0);
    this.rows.fill(0, slot * this.width, (slot + 1) * this.width);
  }

  bytes(): number {
    return this.bytesOf(this.live.length);
  }

  /** Bytes of `capacity` slots. */
  bytesOf(capacity: number): number {
    return capacity * (4 * this.width + 1 + (this.#hasPositions ? 8 : 0));
  }
}

/** Up to so many numbers a loop takes less time than a view. */
const SHORT_RUN = 128;

/** Copies `length` numbers of `source` from `from` on to `target` from `to` on. */
export function setRun(
  target: Float32Array | Float64Array,
  to: number,
  source: Float32Array | Float64Array,
  from: number,
  length: number,
): void {
  if (length > SHORT_RUN) target.set(source.subarray(from, from + length), to);
  else for (let c = 0; c < length; c++) target[to + c] = source[from + c];
}

/** Whether `length` numbers of `a` from `aOffset` on equal those of `b` from `bOffset` on. */
export function equalRun(
  a: Float32Array,
  aOffset: number,
  b: Float32Array,
  bOffset: number,
  length: number,
): boolean {
  for (let c = 0; c < length; c++) {
    if (a[aOffset + c] !== b[bOffset + c]) return false;
  }
  return true;
}
