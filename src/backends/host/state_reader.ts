/**
 * The states of a snapshot row by row, whatever backend they are of, and the check of what takes no look at the keys.
 */

import type { HeadLayout } from "../../numerics/head_layout.ts";
import { FormatError } from "../../base/errors.ts";
import { type SavedArrays, type SavedNumbers, takeAnyNumbers } from "../../base/saved_array.ts";
import { HEAVY_KEYS, RowStates } from "./row_states.ts";

/** Rows of states, by their number: query slot · H + head. */
export class StateReader {
  readonly state: RowStates;
  readonly #heads: number;
  readonly #width: number;
  readonly #operation: string;
  readonly #shift: SavedNumbers;
  readonly #massError: SavedNumbers;
  readonly #sumError: SavedNumbers;
  readonly #high: SavedNumbers;
  readonly #low: SavedNumbers;
  readonly #heavyCount: SavedNumbers;
  readonly #heavySlots: SavedNumbers;
  readonly #heavyScores: SavedNumbers;
  /** Of backends whose weights are float32. */
  readonly ceiling: SavedNumbers | null;

  constructor(operation: string, states: SavedArrays, { heads, valueDim }: HeadLayout, querySize: number) {
    const perRow = [querySize, heads];
    const take = (name: string, ...more: number[]) =>
      takeAnyNumbers(operation, states, name, [...perRow, ...more]);
    this.#operation = operation;
    this.#heads = heads;
    this.#width = valueDim + 2;
    this.state = new RowStates(this.#width, 1);
    this.#shift = take("shift");
    this.#massError = take("massError");
    this.#sumError = take("sumError");
    this.#high = take("high", this.#width);
    this.#low = take("low", this.#width);
    this.#heavyCount = take("heavyCount");
    this.#heavySlots = take("heavySlots", HEAVY_KEYS);
    this.#heavyScores = take("heavyScores", HEAVY_KEYS);
    this.ceiling = Object.hasOwn(states, "ceiling") ? take("ceiling") : null;
  }

  /** Whether a row is computed when it is loaded, and its state means nothing. */
  isLeftOut(row: number): boolean {
    return this.ceiling !== null && this.ceiling[row] === Infinity;
  }

  /** Reads a row to `state`. */
  read(row: number): void {
    const { state } = this, width = this.#width;
    state.shift[0] = this.#shift[row];
    state.massError[0] = this.#massError[row];
    state.sumError[0] = this.#sumError[row];
    for (let c = 0; c < width; c++) {
      state.high[c] = this.#high[row * width + c];
      state.low[c] = this.#low[row * width + c];
    }
    state.heavyCount[0] = this.#heavyCount[row];
    for (let at = 0; at < HEAVY_KEYS; at++) {
      state.heavySlots[at] = this.#heavySlots[row * HEAVY_KEYS + at];
      state.heavyScores[at] = this.#heavyScores[row * HEAVY_KEYS + at];
    }
  }

  /**
   * Refuses, in all rows, numbers where there is no query or no heavy key, and what is no number where a row is answered
   * by its sums.
   */
  check(live: Uint8Array, isSteep: (row: number) => boolean): void {
    const heads = live.length === 0 ? 0 : this.#shift.length / live.length;
    for (let row = 0; row < this.#shift.length; row++) {
      const isFree = live[Math.floor(row / heads)] === 0;
      const isUnused = this.#isUnused(row) && (this.#shift[row] > -Infinity || this.#isEmpty(row));
      if (!isUnused || (isFree && !this.#isCleared(row))) {
        const expected = "0 where there is no query, no key or no heavy key";
        this.#refuse(row, "has numbers that mean nothing", expected);
      }
      if (!isFree && !this.#isFinite(row) && !isSteep(row)) {
        this.#refuse(row, "is not finite", "finite sums");
      }
    }
  }

  /** Whether a row is the state of no query, as it is written. */
  #isCleared(row: number): boolean {
    const isOpen = this.ceiling !== null && this.ceiling[row] !== -Infinity;
    return !isOpen && this.#shift[row] === -Infinity && this.#heavyCount[row] === 0;
  }

  /** Whether the sums of a row are those of no keys. */
  #isEmpty(row: number): boolean {
    let sum = Math.abs(this.#massError[row]) + Math.abs(this.#sumError[row]);
    for (let at = row * this.#width; at < (row + 1) * this.#width; at++) {
      sum += Math.abs(this.#high[at]) + Math.abs(this.#low[at]);
    }
    return sum === 0;
  }

  /** Whether nothing lies behind the heavy keys of a row. */
  #isUnused(row: number): boolean {
    let sum = 0;
    for (let at = row * HEAVY_KEYS + this.#heavyCount[row]; at < (row + 1) * HEAVY_KEYS; at++) {
      sum += this.#heavySlots[at] + Math.abs(this.#heavyScores[at]);
    }
    return sum === 0;
  }

  #isFinite(row: number): boolean {
    let sum = this.#massError[row] + this.#sumError[row];
    for (let at = row * this.#width; at < (row + 1) * this.#width; at++) {
      sum += Math.abs(this.#high[at]) + Math.abs(this.#low[at]);
    }
    // Sums of float64 that are not finite though all their terms are mean nothing either.
    return Number.isFinite(sum);
  }

  #refuse(row: number, found: string, expected: string): never {
    const query = Math.floor(row / this.#heads), head = row % this.#heads;
    throw new FormatError(this.#operation, `state of query ${query}, head ${head} ${found}`, expected);
  }
}
