/** Records of one size in the memory of the kernels, which are given back and used again as they are. */

import type { Arena } from "./arena.ts";

/** Records that are taken from the arena at once: the first time, and at most. */
const FIRST = 8, MOST = 256;

/** A pool; its records begin as zeros the first time. */
export class RecordPool {
  readonly #arena: Arena;
  readonly #bytes: number;
  readonly #free: number[] = [];
  readonly #slabs: { readonly address: number; readonly count: number }[] = [];
  #next = FIRST;

  /** Records of `bytes` bytes, a multiple of 64. */
  constructor(arena: Arena, bytes: number) {
    this.#arena = arena;
    this.#bytes = bytes;
  }

  /** The address of a record; throws a RangeError when memory is refused. */
  take(): number {
    if (this.#free.length === 0) this.#grow();
    return this.#free.pop() as number;
  }

  /** Takes a record back. */
  give(address: number): void {
    this.#free.push(address);
  }

  /** Takes all records back, and wipes them. */
  clear(): void {
    this.#free.length = 0;
    for (const { address, count } of this.#slabs) {
      this.#arena.numbers.fill(0, address / 4, (address + count * this.#bytes) / 4);
      for (let at = 0; at < count; at++) this.#free.push(address + at * this.#bytes);
    }
  }

  #grow(): void {
    const count = this.#next, address = this.#arena.take(count * this.#bytes);
    this.#slabs.push({ address, count });
    for (let at = count - 1; at >= 0; at--) this.#free.push(address + at * this.#bytes);
    this.#next = Math.min(MOST, 2 * count);
  }
}
