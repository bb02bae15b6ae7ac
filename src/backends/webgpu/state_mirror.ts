/**
 * A mirror of states that were read from the device. A state is not read again until it changes, and it
 * outlives the device.
 *
 * Invariant: the mirrored state of a query is that on the device, or was when the device was lost.
 */

import { CapacityError } from "../../base/errors.ts";
import { HEAVY_KEYS, type RowStates } from "../host/row_states.ts";
import * as record from "./record_layout.ts";

/** Mirrored states by query slot, all heads. */
export class StateMirror {
  /** The number of words of a query's states. */
  readonly words: number;
  readonly #stateWords: number;
  readonly #width: number;
  #known = new Uint8Array(0);
  #data = new Uint32Array(0);
  #numbers = new Float32Array(0);

  constructor({ layout, stateWords, width }: record.RecordLayout) {
    this.words = layout.heads * stateWords;
    this.#stateWords = stateWords;
    this.#width = width;
  }

  bytes(): number {
    return this.#known.byteLength + this.#data.byteLength;
  }

  /** Bytes of `capacity` slots. */
  bytesOf(capacity: number): number {
    return capacity * (1 + 4 * this.words);
  }

  /** Makes room for slots below `size`. If memory is refused it throws, and nothing has changed. */
  reserve(size: number): void {
    if (size <= this.#known.length) return;
    const capacity = Math.max(size, 2 * this.#known.length);
    const [known, data] = CapacityError.guard(
      "webgpu",
      `states of ${size} queries`,
      this.bytesOf(capacity),
      () => [new Uint8Array(capacity), new Uint32Array(capacity * this.words)] as const,
    );
    known.set(this.#known);
    data.set(this.#data);
    this.#data.fill(0);
    this.#known = known;
    this.#data = data;
    this.#numbers = new Float32Array(data.buffer);
  }

  /** Whether a query's states are mirrored. */
  knows(slot: number): boolean {
    return this.#known[slot] === 1;
  }

  /** Notes that the states of these queries have changed, and wipes the mirrored ones. */
  forget(slots: ArrayLike<number>): void {
    for (let at = 0; at < slots.length; at++) {
      if (!this.knows(slots[at])) continue;
      this.#known[slots[at]] = 0;
      this.wordsOf(slots[at]).fill(0);
    }
  }

  /** Stores the states that were read for a query. */
  take(slot: number, words: Uint32Array): void {
    this.#data.set(words, slot * this.words);
    this.#known[slot] = 1;
  }

  /** The words of a mirrored query. */
  wordsOf(slot: number): Uint32Array {
    return this.#data.subarray(slot * this.words, (slot + 1) * this.words);
  }

  /** The ceiling of a head row. */
  ceiling(slot: number, head: number): number {
    return this.#data[slot * this.words + head * this.#stateWords + record.CEILING] | 0;
  }

  /** Decodes the state of a head row to a row of float64 states. */
  decode(slot: number, head: number, states: RowStates, row = 0): void {
    const base = slot * this.words + head * this.#stateWords, width = this.#width;
    const data = this.#data, numbers = this.#numbers;
    const shift = data[base + record.SHIFT] | 0;
    states.shift[row] = shift === record.EMPTY_SHIFT ? -Infinity : shift;
    // Kernels also charge rows without keys when other rows are computed, so their bounds have no meaning.
    states.massError[row] = shift === record.EMPTY_SHIFT ? 0 : numbers[base + record.MASS_ERROR];
    states.sumError[row] = shift === record.EMPTY_SHIFT ? 0 : numbers[base + record.SUM_ERROR];
    for (let c = 0; c < width; c++) {
      states.high[row * width + c] = numbers[base + record.SUMS + c];
      states.low[row * width + c] = numbers[base + record.SUMS + width + c];
    }
    const heavy = Math.min(HEAVY_KEYS, data[base + record.HEAVY_COUNT]);
    states.heavyCount[row] = heavy;
    for (let at = 0; at < heavy; at++) {
      states.heavySlots[row * HEAVY_KEYS + at] = data[base + record.HEAVY_SLOTS + at];
      states.heavyScores[row * HEAVY_KEYS + at] = numbers[base + record.HEAVY_SCORES + at] +
        numbers[base + record.HEAVY_RESTS + at];
    }
  }

  /**
   * Encodes the state of a head row from a row of float64 states. The caller must encode all heads of the
   * query.
   */
  encode(slot: number, head: number, states: RowStates, row: number, ceiling: number): void {
    const base = slot * this.words + head * this.#stateWords, width = this.#width;
    const data = this.#data, numbers = this.#numbers;
    data.fill(0, base, base + this.#stateWords);
    data[base + record.SHIFT] = states.shift[row] === -Infinity ? record.EMPTY_SHIFT : states.shift[row];
    data[base + record.CEILING] = ceiling;
    numbers[base + record.MASS_ERROR] = states.massError[row];
    numbers[base + record.SUM_ERROR] = states.sumError[row];
    for (let c = 0; c < width; c++) {
      numbers[base + record.SUMS + c] = states.high[row * width + c];
      numbers[base + record.SUMS + width + c] = states.low[row * width + c];
    }
    data[base + record.HEAVY_COUNT] = states.heavyCount[row];
    for (let at = 0; at < states.heavyCount[row]; at++) {
      data[base + record.HEAVY_SLOTS + at] = states.heavySlots[row * HEAVY_KEYS + at];
      const score = states.heavyScores[row * HEAVY_KEYS + at];
      numbers[base + record.HEAVY_SCORES + at] = score;
      numbers[base + record.HEAVY_RESTS + at] = score - Math.fround(score);
    }
    this.#known[slot] = 1;
  }

  /** Whether all sums of a mirrored query are finite. */
  isFinite(slot: number): boolean {
    const start = slot * this.words;
    for (let base = start; base < start + this.words; base += this.#stateWords) {
      for (let c = base + record.SUMS; c < base + this.#stateWords; c++) {
        if (!Number.isFinite(this.#numbers[c])) return false;
      }
    }
    return true;
  }
}
