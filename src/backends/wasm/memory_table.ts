/**
 * A table in the memory of the kernels that grows by moving. Its capacity at least doubles, so that all places it has
 * left together are no larger than the one it has.
 */

import type { NumberTable } from "../host/number_table.ts";
import type { Arena } from "./row_blocks.ts";

/** Bytes at an address that changes when it grows. */
export class MemoryTable {
  /** Where it is; changes in `reserve` alone. */
  address = 0;
  /** Bytes that it has room for. */
  capacity = 0;
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Wipes the first `bytes`. */
  wipe(bytes: number): void {
    new Uint8Array(this.#arena.memory.buffer, this.address, bytes).fill(0);
  }

  /** Makes room for `bytes`; new ones are zero. Throws before anything changes when there is no memory. */
  reserve(bytes: number): void {
    if (bytes <= this.capacity) return;
    const capacity = Math.max(bytes, 2 * this.capacity);
    const address = this.#arena.take(capacity);
    const { buffer } = this.#arena.memory;
    const left = new Uint8Array(buffer, this.address, this.capacity);
    new Uint8Array(buffer, address, this.capacity).set(left);
    left.fill(0);
    this.address = address;
    this.capacity = capacity;
  }
}

/** Numbers in such a table. */
export class MemoryNumbers implements NumberTable {
  readonly #arena: Arena;
  readonly #table: MemoryTable;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#table = new MemoryTable(arena);
  }

  get numbers(): Float32Array {
    return this.#arena.numbers;
  }

  get start(): number {
    return this.#table.address / 4;
  }

  get capacity(): number {
    return this.#table.capacity / 4;
  }

  reserve(count: number): void {
    this.#table.reserve(4 * count);
  }
}
