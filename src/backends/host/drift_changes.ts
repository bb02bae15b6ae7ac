/**
 * How the keys of one batch change, as far as drift depends on it: measured before the batch is stored, while
 * the rows that they replace are still there.
 */

import { type HeadLayout, keyColumns } from "../../numerics/head_layout.ts";
import { type Changes, DRIFT_UP } from "../backend.ts";
import type { KeyMove, NewKey } from "./drift_steps.ts";
import type { HostRows } from "./host_rows.ts";
import { keyOffset, valueOffset } from "./key_block.ts";
import { normOf } from "./key_table.ts";

/** How a key changes. */
export const MOVES = 1, GOES = 2, COMES = 4;
/** Covers the rounding of a norm or a distance in float64. */
const UP = DRIFT_UP;

/** The changes of a batch. */
export class DriftChanges {
  readonly #layout: HeadLayout;
  readonly #rows: HostRows;
  /** By key head, dv numbers: a point that values and outputs lie around. */
  readonly #centres: Float64Array;
  /** By change. */
  kinds: Uint8Array = new Uint8Array(0);
  /**
   * By change, for each key head: ‖Δk‖ and ‖Δv‖ of a key that moves, ‖k‖ and the largest bias of one that
   * comes, and how far its values before and after are from the centre.
   */
  #numbers = new Float64Array(0);
  readonly #width: number;

  constructor(layout: HeadLayout, rows: HostRows, centres: Float64Array) {
    this.#layout = layout;
    this.#rows = rows;
    this.#centres = centres;
    this.#width = 4 * layout.kvHeads;
  }

  get bytes(): number {
    return this.kinds.byteLength + this.#numbers.byteLength + this.#centres.byteLength;
  }

  /** Makes room for so many changes. */
  reserve(changes: number): void {
    if (changes <= this.kinds.length) return;
    this.kinds = new Uint8Array(changes);
    this.#numbers = new Float64Array(changes * this.#width);
  }

  measure({ keys: { slots, live, rows, positions, bias } }: Changes): void {
    const { stored } = this.#rows, { kvHeads, headDim, valueDim } = this.#layout, numbers = this.#numbers;
    const width = keyColumns(this.#layout), rowWidth = width + kvHeads * valueDim;
    const block = stored.block();
    const perKey = bias === null ? 0 : bias.length / Math.max(1, slots.length);
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t], wasLive = stored.isLive(slot), isLive = live[t] === 1;
      const stays = wasLive && isLive && stored.position(slot) === positions[t] &&
        (bias === null || this.#rows.hasBias(slot, bias, t * perKey, perKey));
      this.kinds[t] = stays ? MOVES : (wasLive ? GOES : 0) | (isLive ? COMES : 0);
      for (let head = 0, at = t * this.#width; head < kvHeads; head++, at++) {
        const key = t * rowWidth + head * headDim, value = t * rowWidth + width + head * valueDim;
        if (wasLive) {
          numbers[at + 2 * kvHeads] = this.#awayOf(block.values, valueOffset(block, slot, head), head);
        }
        if (!isLive) continue;
        numbers[at] = stays
          ? distanceOf(block.keys, keyOffset(block, slot, head), rows, key, headDim)
          : normOf(rows, key, headDim) * UP;
        numbers[at + kvHeads] = stays
          ? distanceOf(block.values, valueOffset(block, slot, head), rows, value, valueDim)
          : largestBias(bias, t * perKey, perKey);
        if (!stays) numbers[at + 3 * kvHeads] = this.#awayOf(rows, value, head);
      }
    }
  }

  /** The distance of a value from the centre. */
  #awayOf(values: Float32Array, offset: number, keyHead: number): number {
    const { valueDim } = this.#layout, centres = this.#centres, first = keyHead * valueDim;
    let squared = 0;
    for (let c = 0; c < valueDim; c++) {
      const difference = values[offset + c] - centres[first + c];
      squared += difference * difference;
    }
    return Math.sqrt(squared) * UP;
  }

  /** Describes the t-th change in a key head, as a move and as a key that comes. */
  describe(t: number, keyHead: number, move: KeyMove, coming: NewKey): void {
    const { kvHeads } = this.#layout, numbers = this.#numbers, at = t * this.#width + keyHead;
    move.keyShift = coming.norm = numbers[at];
    move.valueShift = coming.bias = numbers[at + kvHeads];
    move.distance = numbers[at + 2 * kvHeads];
    coming.distance = numbers[at + 3 * kvHeads];
  }

  /** ‖Δk‖ of the t-th change, which is a move. */
  shiftOf(t: number, keyHead: number): number {
    return this.#numbers[t * this.#width + keyHead];
  }

  /** Wipes the first `count` changes. */
  clear(count: number): void {
    this.#numbers.fill(0, 0, count * this.#width);
  }
}

function distanceOf(
  a: Float32Array,
  aStart: number,
  b: Float32Array,
  bStart: number,
  length: number,
): number {
  let squared = 0;
  for (let c = 0; c < length; c++) {
    const difference = a[aStart + c] - b[bStart + c];
    squared += difference * difference;
  }
  return Math.sqrt(squared) * UP;
}

function largestBias(bias: Float32Array | null, start: number, count: number): number {
  if (bias === null) return 0;
  let largest = -Infinity;
  for (let at = start; at < start + count; at++) largest = Math.max(largest, bias[at]);
  return largest;
}
