// The seeded numbers that everyone is measured on.

import { Random } from "../testing/random.ts";
import type { Shape } from "./workload.ts";

/** Inputs, row-major. */
export interface Inputs {
  readonly query: Float32Array<ArrayBuffer>;
  readonly key: Float32Array<ArrayBuffer>;
  readonly value: Float32Array<ArrayBuffer>;
}

/** Test data, the same for the same sizes in every process. */
export function seededInputs({ queryCount, keyCount, headDim, valueDim }: Shape): Inputs {
  const random = new Random(1);
  return {
    query: random.row(queryCount * headDim),
    key: random.row(keyCount * headDim),
    value: random.row(keyCount * valueDim),
  };
}

/**
 * How many rows are drawn for edits; it shares no factor with the number of keys, so that each key gets them
 * all.
 */
const POOL_SIZE = 257;
/** The stride of the walk over the keys; it is coprime to their number, a power of two. */
const STRIDE = 7919;

/** Edits without an end, drawn beforehand so that no random number is timed: which key, and its new row. */
export class EditStream {
  readonly #pool: readonly Float32Array<ArrayBuffer>[];
  readonly #keyCount: number;
  #drawn = 0;

  constructor(keyCount: number, columns: number, seed = 2) {
    this.#keyCount = keyCount;
    this.#pool = new Random(seed).rows(POOL_SIZE, columns);
  }

  /** The next edit; in `keyCount` of them no key comes twice. */
  next(): { readonly key: number; readonly row: Float32Array<ArrayBuffer> } {
    const at = this.#drawn++;
    return { key: (at * STRIDE) % this.#keyCount, row: this.#pool[at % POOL_SIZE] };
  }
}

/** The query slots of each read. */
export class RowStream {
  readonly #random = new Random(3);
  readonly #queryCount: number;
  readonly #rows: Uint32Array<ArrayBuffer>;
  readonly #choice: "same" | "drifting" | "random";
  #first = 0;

  constructor(queryCount: number, count: number, choice: "same" | "drifting" | "random") {
    this.#queryCount = queryCount;
    this.#rows = Uint32Array.from({ length: count }, (_, at) => at);
    this.#choice = choice;
  }

  /** Different rows each time where the choice is random; the array is written over by the next call. */
  next(): Uint32Array<ArrayBuffer> {
    if (this.#choice === "same") return this.#rows;
    for (let at = 0; at < this.#rows.length; at++) {
      this.#rows[at] = this.#choice === "drifting"
        ? (this.#first + at) % this.#queryCount
        : this.#random.below(this.#queryCount);
    }
    this.#first++;
    return this.#rows;
  }
}
