// Terms of the WebAssembly kernels as tests and benches list them one by one; the backend writes whole tables of them.

import type { Arena } from "../src/backends/wasm/arena.ts";
import * as field from "../src/backends/wasm/job_fields.ts";

/** One key with its value: addresses of both and, with a mask, of its biases from row 0 on. */
export interface Term {
  readonly key: number;
  readonly value: number;
  /** Whether the term is subtracted from the sums instead of added. */
  readonly isTakenOut?: boolean;
  readonly bias?: number;
  readonly position?: number;
}

/** The terms of one job, in tables that only grow. */
export class PlacedTerms {
  readonly #arena: Arena;
  readonly #job: number;
  readonly #tables = new Map<number, number>();
  #capacity = 0;

  constructor(arena: Arena, job: number) {
    this.#arena = arena;
    this.#job = job;
  }

  /**
   * Sets the terms of the next calls. All have a bias or none, and likewise a position. The two terms of each
   * of the first `pairs` pairs share a key, with its bias and position; those of the next `sharedValuePairs`
   * pairs share a value. Only a patch may have pairs.
   */
  set(terms: readonly Term[], pairs = 0, sharedValuePairs = 0): void {
    const arena = this.#arena, count = terms.length;
    if (count > this.#capacity) {
      this.#capacity = Math.max(count, 2 * this.#capacity);
      for (const at of [field.TERM_KEYS, field.TERM_VALUES, field.TERM_SIGNS, field.TERM_BIASES]) {
        this.#tables.set(at, arena.take(4 * this.#capacity));
      }
      this.#tables.set(field.TERM_POSITIONS, arena.take(8 * this.#capacity));
    }
    const words = arena.words(this.#job, field.JOB_BYTES / 4);
    words[field.TERM_COUNT / 4] = count;
    words[field.PAIR_COUNT / 4] = pairs;
    words[field.SHARED_VALUE_PAIR_COUNT / 4] = sharedValuePairs;
    if (count === 0) return;
    const keys = terms.filter((_, t) => t >= 2 * pairs || t % 2 === 0);
    const hasBias = terms[0].bias !== undefined, hasPosition = terms[0].position !== undefined;
    const table = (at: number, isUsed = true) => {
      const address = this.#tables.get(at)!;
      words[at / 4] = isUsed ? address : 0;
      return arena.words(address, count);
    };
    table(field.TERM_KEYS).set(keys.map(({ key }) => key));
    table(field.TERM_VALUES).set(terms.map(({ value }) => value));
    table(field.TERM_SIGNS).set(terms.map(({ isTakenOut }) => isTakenOut ? 0x80000000 : 0));
    table(field.TERM_BIASES, hasBias).set(keys.map(({ bias = 0 }) => bias));
    const positions = table(field.TERM_POSITIONS, hasPosition).byteOffset;
    arena.doubles(positions, count).set(keys.map(({ position = 0 }) => position));
  }
}

/** Writes a value to the columns of its row; the columns that it does not write must be zero. */
export function writeValue(target: Float32Array, offset: number, value: ArrayLike<number>): void {
  let largest = 0;
  for (let c = 0; c < value.length; c++) {
    target[offset + c] = value[c];
    largest = Math.max(largest, Math.abs(target[offset + c]));
  }
  target[offset + value.length] = 1;
  target[offset + value.length + 1] = largest;
}
