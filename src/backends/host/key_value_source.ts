/**
 * The keys and values of a store as the engine knows them: one row `[key | value]` a slot,
 * put together from the two stores.
 */

import type { RowSource } from "../backend.ts";
import type { HeadLayout } from "../../numerics/head_layout.ts";
import { equalRun, type RowStore } from "./row_store.ts";

/** A view of two stores; the value store has two columns of upkeep a head that stay hidden. */
export class KeyValueSource implements RowSource {
  readonly #keys: RowStore;
  readonly #values: RowStore;
  readonly #kvHeads: number;
  readonly #valueDim: number;

  constructor(keys: RowStore, values: RowStore, { kvHeads, valueDim }: HeadLayout) {
    this.#keys = keys;
    this.#values = values;
    this.#kvHeads = kvHeads;
    this.#valueDim = valueDim;
  }

  isLive(slot: number): boolean {
    return this.#keys.isLive(slot);
  }

  position(slot: number): number {
    return this.#keys.position(slot);
  }

  element(slot: number, column: number): number {
    if (column < this.#keys.width) return this.#keys.element(slot, column);
    const valueColumn = column - this.#keys.width;
    const head = Math.floor(valueColumn / this.#valueDim);
    return this.#values.element(slot, valueColumn + 2 * head);
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    this.#keys.copyRow(slot, target, offset);
    for (let head = 0; head < this.#kvHeads; head++) {
      const start = this.#valueStart(slot, head);
      const to = offset + this.#keys.width + head * this.#valueDim;
      target.set(this.#values.rows.subarray(start, start + this.#valueDim), to);
    }
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    if (!this.#keys.equalsRow(slot, rows, offset)) return false;
    for (let head = 0; head < this.#kvHeads; head++) {
      const at = offset + this.#keys.width + head * this.#valueDim;
      if (!equalRun(this.#values.rows, this.#valueStart(slot, head), rows, at, this.#valueDim)) return false;
    }
    return true;
  }

  #valueStart(slot: number, head: number): number {
    return slot * this.#values.width + head * (this.#valueDim + 2);
  }
}
