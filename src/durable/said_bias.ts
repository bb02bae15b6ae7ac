/**
 * What a mask function said last of each pair, kept beside the engine: a number for each key slot, query slot and mask head.
 *
 * Invariant: NaN stands for a pair that the function was not asked about since one of its rows was inserted.
 */

import { CapacityError } from "../base/errors.ts";

export class SaidBias {
  readonly heads: number;
  #keys = 0;
  #queries = 0;
  #bias = new Float32Array(0);

  constructor(heads: number) {
    this.heads = heads;
  }

  get bytes(): number {
    return this.#bias.byteLength;
  }

  get(query: number, key: number, head: number): number {
    if (query >= this.#queries || key >= this.#keys) return NaN;
    return this.#bias[(key * this.#queries + query) * this.heads + head];
  }

  set(query: number, key: number, head: number, bias: number): void {
    this.reserve(key + 1, query + 1);
    this.#bias[(key * this.#queries + query) * this.heads + head] = bias;
  }

  /** Another row is in a key slot: nothing was said of it. */
  resetKey(key: number): void {
    if (key >= this.#keys) return;
    const stride = this.#queries * this.heads;
    this.#bias.fill(NaN, key * stride, (key + 1) * stride);
  }

  /** Another row is in a query slot. */
  resetQuery(query: number): void {
    if (query >= this.#queries) return;
    for (let key = 0; key < this.#keys; key++) {
      const at = (key * this.#queries + query) * this.heads;
      this.#bias.fill(NaN, at, at + this.heads);
    }
  }

  /** Makes room for slots below these numbers. */
  reserve(keys: number, queries: number): void {
    if (keys <= this.#keys && queries <= this.#queries) return;
    const oldKeys = this.#keys, oldQueries = this.#queries, { heads } = this;
    const newKeys = grown(oldKeys, keys), newQueries = grown(oldQueries, queries);
    const size = newKeys * newQueries * heads;
    const what = `what a mask function says of ${newKeys} keys and ${newQueries} queries`;
    const bias = CapacityError.guard("mask", what, 4 * size, () => new Float32Array(size).fill(NaN));
    for (let key = 0; key < oldKeys; key++) {
      const row = this.#bias.subarray(key * oldQueries * heads, (key + 1) * oldQueries * heads);
      bias.set(row, key * newQueries * heads);
    }
    this.#bias = bias;
    this.#keys = newKeys;
    this.#queries = newQueries;
  }

  /**
   * A copy for the slots below these numbers, as a snapshot holds it: −∞ where a row is not live. null where something was not
   * said yet.
   */
  copy(keyLive: Uint8Array, queryLive: Uint8Array): Float32Array<ArrayBuffer> | null {
    const { heads } = this;
    const bias = new Float32Array(keyLive.length * queryLive.length * heads).fill(-Infinity);
    this.reserve(keyLive.length, queryLive.length);
    for (let key = 0, to = 0; key < keyLive.length; key++) {
      for (let query = 0; query < queryLive.length; query++, to += heads) {
        if (keyLive[key] === 0 || queryLive[query] === 0) continue;
        const from = (key * this.#queries + query) * heads;
        for (let head = 0; head < heads; head++) {
          const said = this.#bias[from + head];
          if (Number.isNaN(said)) return null;
          bias[to + head] = said;
        }
      }
    }
    return bias;
  }
}

function grown(old: number, needed: number): number {
  return needed <= old ? old : Math.max(needed, old + (old >> 1));
}
