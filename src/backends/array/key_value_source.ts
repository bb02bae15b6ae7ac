/**
 * The applied keys and values of the `array` backend as the engine knows them: one row `[key | value]` a slot,
 * put together from the two stores.
 */

import type { RowSource } from "../backend.ts";
import { equalRun, type RowStore } from "./row_store.ts";

/** A view of two stores; the value store has two columns of upkeep that stay hidden. */
export class KeyValueSource implements RowSource {
  readonly #keys: RowStore;
  readonly #values: RowStore;
  readonly #valueDim: number;

  constructor(keys: RowStore, values: RowStore, valueDim: number) {
    this.#keys = keys;
    this.#values = values;
    this.#valueDim = valueDim;
  }

  isLive(slot: number): boolean {
    return this.#keys.isLive(slot);
  }

  element(slot: number, column: number): number {
    const headDim = this.#keys.width;
    if (column < headDim) return this.#keys.rows[slot * headDim + column];
    return this.#values.rows[slot * this.#values.width + column - headDim];
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    const headDim = this.#keys.width, start = slot * this.#values.width;
    target.set(this.#keys.rows.subarray(slot * headDim, (slot + 1) * headDim), offset);
    target.set(this.#values.rows.subarray(start, start + this.#valueDim), offset + headDim);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    const headDim = this.#keys.width, start = slot * this.#values.width;
    return equalRun(this.#keys.rows, slot * headDim, rows, offset, headDim) &&
      equalRun(this.#values.rows, start, rows, offset + headDim, this.#valueDim);
  }
}
