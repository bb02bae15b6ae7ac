/**
 * Reads the states of a snapshot head row by head row, for all backends, with the checks that do not depend
 * on keys.
 */

import type { HeadLayout } from "../../numerics/head_layout.ts";
import { FormatError } from "../../base/errors.ts";
import { type SavedArrays, type SavedNumbers, takeAnyNumbers } from "../../base/saved_array.ts";
import { HEAVY_KEYS, RowStates } from "./row_states.ts";

/** A reader of states by the number of their head row, query slot · H + head. */
export class StateReader {
  readonly state: RowStates;
  readonly #heads: number;
  readonly #width: number;
  readonly #operation: string;
  readonly #shift: SavedNumbers;
  readonly #massError: SavedNumbers;
  readonly #sumError: SavedNumbers;
  readonly #high: SavedNumbers;
  /** null where sums are one number each. */
  readonly #low: SavedNumbers | null;
  readonly #heavyCount: SavedNumbers;
  readonly #heavySlots: SavedNumbers;
  readonly #heavyScores: SavedNumbers;
  /** The ceilings; null for backends whose weights are float64. */
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
    const areWhole = Object.hasOwn(states, "sums");
    this.#high = take(areWhole ? "sums" : "high", this.#width);
    this.#low = areWhole ? null : take("low", this.#width);
    this.#heavyCount = take("heavyCount");
    this.#heavySlots = take("heavySlots", HEAVY_KEYS);
    this.#heavyScores = take("heavyScores", HEAVY_KEYS);
    this.ceiling = Object.hasOwn(states, "ceiling") ? take("ceiling") : null;
  }

  /** Whether a head row is computed when it is loaded, so that its saved state has no meaning. */
  isLeftOut(row: number): boolean {
    return this.ceiling !== null && this.ceiling[row] === Infinity;
  }

  /** Reads the state of a head row to `state`. */
  read(row: number): void {
    const { state } = this, width = this.#width;
    state.shift[0] = this.#shift[row];
    state.massError[0] = this.#massError[row];
    state.sumError[0] = this.#sumError[row];
    for (let c = 0; c < width; c++) {
      state.high[c] = this.#high[row * width + c];
      state.low[c] = this.#low?.[row * width + c] ?? 0;
    }
    state.heavyCount[0] = this.#heavyCount[row];
    for (let at = 0; at < HEAVY_KEYS; at++) {
      state.heavySlots[at] = this.#heavySlots[row * HEAVY_KEYS + at];
      state.heavyScores[at] = this.#heavyScores[row * HEAVY_KEYS + at];
    }
  }

  /**
   * Throws when a head row has numbers other than 0 where there is no query or no heavy key, or sums that are
   * not finite although it is answered by them.
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

  /** Whether a head row is written as one without a query. */
  #isCleared(row: number): boolean {
    const isOpen = this.ceiling !== null && this.ceiling[row] !== -Infinity;
    return !isOpen && this.#shift[row] === -Infinity && this.#heavyCount[row] === 0;
  }

  /** Whether the sums of a head row are those over no keys. */
  #isEmpty(row: number): boolean {
    let sum = Math.abs(this.#massError[row]) + Math.abs(this.#sumError[row]);
    for (let at = row * this.#width; at < (row + 1) * this.#width; at++) {
      sum += Math.abs(this.#high[at]) + Math.abs(this.#low?.[at] ?? 0);
    }
    return sum === 0;
  }

  /** Whether the unused places of a head row's heavy keys are 0. */
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
      sum += Math.abs(this.#high[at]) + Math.abs(this.#low?.[at] ?? 0);
    }
    // The sum must be finite, too: its terms may be finite and overflow together.
    return Number.isFinite(sum);
  }

  #refuse(row: number, found: string, expected: string): never {
    const query = Math.floor(row / this.#heads), head = row % this.#heads;
    throw new FormatError(this.#operation, `state of query ${query}, head ${head} ${found}`, expected);
  }
}
