/**
 * A table in the memory of the kernels. It grows by moving to a new place with at least twice the capacity,
 * so that all earlier places together are no larger than the present one.
 */

import type { NumberTable } from "../host/number_table.ts";
import type { Arena } from "./arena.ts";

/** Bytes whose address changes when the table grows. */
export class MemoryTable {
  /** The address, which only `reserve` changes. */
  address = 0;
  /** The number of bytes that there is room for. */
  capacity = 0;
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Wipes the first `bytes` bytes. */
  wipe(bytes: number): void {
    new Uint8Array(this.#arena.memory.buffer, this.address, bytes).fill(0);
  }

  /**
   * Makes room for `bytes` bytes; new ones are zero. If memory is refused it throws, and nothing has changed.
   */
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

/** A table of numbers in the memory of the kernels. */
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
