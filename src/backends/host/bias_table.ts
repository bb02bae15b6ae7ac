/**
 * What the mask adds to the score of every pair: one number a key slot, query slot and mask head. A key slot's
 * numbers lie side by side, `stride` apart from the next one's. Pairs of which one is not live mean nothing.
 */

import type { RowChanges } from "../backend.ts";

/** A table that grows both ways. */
export class BiasTable {
  /** Numbers a query slot; 0 when there is no mask. */
  readonly heads: number;
  /** Numbers a key slot. */
  stride = 0;
  data = new Float32Array(0);
  #keyCapacity = 0;

  constructor(heads: number) {
    this.heads = heads;
  }

  /** Makes room for key slots below `keys` and query slots below `queries`. */
  reserve(keys: number, queries: number): void {
    if (this.heads === 0) return;
    const fits = keys <= this.#keyCapacity && queries * this.heads <= this.stride;
    if (fits) return;
    const keyCapacity = keys <= this.#keyCapacity ? this.#keyCapacity : Math.max(keys, 2 * this.#keyCapacity);
    const stride = queries * this.heads <= this.stride
      ? this.stride
      : Math.max(queries * this.heads, 2 * this.stride);
    const data = new Float32Array(keyCapacity * stride);
    for (let j = 0; j < this.#keyCapacity; j++) {
      data.set(this.data.subarray(j * this.stride, (j + 1) * this.stride), j * stride);
    }
    this.data = data;
    this.stride = stride;
    this.#keyCapacity = keyCapacity;
  }

  /** Stores the numbers of changed keys. */
  storeKeys({ slots, bias }: Pick<RowChanges, "slots" | "bias">): void {
    if (!bias) return;
    const columns = bias.length / slots.length;
    slots.forEach((slot, t) => {
      this.data.set(bias.subarray(t * columns, (t + 1) * columns), slot * this.stride);
    });
  }

  /** Wipes the numbers of a key slot. */
  wipeKey(slot: number): void {
    this.data.fill(0, slot * this.stride, (slot + 1) * this.stride);
  }

  /** Copies the numbers of a key slot of another table; this one has room for all queries that there are. */
  copyKey(source: BiasTable, slot: number, to: number): void {
    if (this.heads === 0) return;
    const start = slot * source.stride;
    const columns = Math.min(source.stride, this.stride);
    this.data.set(source.data.subarray(start, start + columns), to * this.stride);
  }

  /** Stores the numbers of changed queries, which lie across the table. */
  storeQueries({ slots, bias }: RowChanges): void {
    if (!bias) return;
    const { heads, stride } = this;
    const keys = bias.length / slots.length / heads;
    slots.forEach((slot, t) => {
      for (let j = 0; j < keys; j++) {
        for (let h = 0; h < heads; h++) {
          this.data[j * stride + slot * heads + h] = bias[(t * keys + j) * heads + h];
        }
      }
    });
  }

  /** Copies the numbers of key slots below `keys` with query slots below `queries`, side by side; null without any. */
  save(keys: number, queries: number): Float32Array | null {
    if (this.heads === 0) return null;
    const columns = queries * this.heads;
    const saved = new Float32Array(keys * columns).fill(-Infinity);
    for (let j = 0; j < Math.min(keys, this.#keyCapacity); j++) {
      const start = j * this.stride;
      saved.set(this.data.subarray(start, start + Math.min(columns, this.stride)), j * columns);
    }
    return saved;
  }

  /** Bytes of a table for so many key and query slots. */
  bytesOf(keys: number, queries: number): number {
    return 4 * this.heads * keys * queries;
  }

  bytes(): number {
    return this.data.byteLength;
  }
}
