/**
 * What a mask function said last of each pair, kept beside the engine: a number for each key slot, query slot and mask head.
 *
 * Invariant: NaN stands for a pair that the function was not asked about since one of its rows was inserted.
 */

import { CapacityError } from "../base/errors.ts";
import type { NumbersToWrite } from "../store/snapshot_slices.ts";

export class SaidBias {
  readonly heads: number;
  #keys = 0;
  #queries = 0;
  #bias = new Float32Array(0);
  /** What is being written of an earlier moment. */
  readonly #frozen = new Set<FrozenSaid>();

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
    for (const frozen of this.#frozen) frozen.keep(key);
    this.#bias[(key * this.#queries + query) * this.heads + head] = bias;
  }

  /** Another row is in a key slot: nothing was said of it. */
  resetKey(key: number): void {
    if (key >= this.#keys) return;
    for (const frozen of this.#frozen) frozen.keep(key);
    const stride = this.#queries * this.heads;
    this.#bias.fill(NaN, key * stride, (key + 1) * stride);
  }

  /** Another row is in a query slot. */
  resetQuery(query: number): void {
    if (query >= this.#queries) return;
    for (const frozen of this.#frozen) frozen.keepAll();
    for (let key = 0; key < this.#keys; key++) {
      const at = (key * this.#queries + query) * this.heads;
      this.#bias.fill(NaN, at, at + this.heads);
    }
  }

  /** Makes room for slots below these numbers. */
  reserve(keys: number, queries: number): void {
    if (keys <= this.#keys && queries <= this.#queries) return;
    for (const frozen of this.#frozen) frozen.keepAll();
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

  /** What was said so far, for the slots below these numbers, while more is said; until `release`. */
  freeze(keyLive: Uint8Array, queryLive: Uint8Array): FrozenSaid {
    this.reserve(keyLive.length, queryLive.length);
    const copyRow = (key: number, target: Float32Array) => {
      const start = key * this.#queries * this.heads;
      target.set(this.#bias.subarray(start, start + target.length));
    };
    const frozen = new FrozenSaid({ keyLive, queryLive, heads: this.heads, copyRow });
    this.#frozen.add(frozen);
    return frozen;
  }

  release(frozen: FrozenSaid): void {
    this.#frozen.delete(frozen);
  }

  /**
   * A copy for the slots below these numbers, as a snapshot holds it: −∞ where a row is not live.
   *
   * @throws {Unsaid} When something was not said yet.
   */
  copy(keyLive: Uint8Array, queryLive: Uint8Array): Float32Array<ArrayBuffer> {
    const frozen = this.freeze(keyLive, queryLive);
    try {
      return frozen.slice(0, frozen.length);
    } finally {
      this.release(frozen);
    }
  }
}

/** Something was not said yet. */
export class Unsaid extends Error {}

interface FrozenConfig {
  readonly keyLive: Uint8Array;
  readonly queryLive: Uint8Array;
  readonly heads: number;
  /** What is said of a key now. */
  copyRow(key: number, target: Float32Array): void;
}

/** What was said by a moment, a number for each key slot, query slot and head; −∞ where a row was not live. */
export class FrozenSaid implements NumbersToWrite {
  readonly length: number;
  readonly #config: FrozenConfig;
  readonly #stride: number;
  /** What was said of keys of which more was said since. */
  readonly #kept = new Map<number, Float32Array>();
  #isAllKept = false;

  constructor(config: FrozenConfig) {
    this.#config = config;
    this.#stride = config.queryLive.length * config.heads;
    this.length = config.keyLive.length * this.#stride;
  }

  /** More is about to be said of a key. */
  keep(key: number): void {
    if (this.#isAllKept || this.#config.keyLive[key] !== 1 || this.#kept.has(key)) return;
    const row = new Float32Array(this.#stride);
    this.#config.copyRow(key, row);
    this.#kept.set(key, row);
  }

  /** More is about to be said of all keys. */
  keepAll(): void {
    for (let key = 0; key < this.#config.keyLive.length; key++) this.keep(key);
    this.#isAllKept = true;
  }

  /** @throws {Unsaid} When something was not said. */
  slice(from: number, end: number): Float32Array<ArrayBuffer> {
    const { keyLive, queryLive, heads, copyRow } = this.#config, stride = this.#stride;
    const last = Math.min(end, this.length),
      copy = new Float32Array(Math.max(0, last - from)).fill(-Infinity);
    const newest = new Float32Array(stride);
    for (let key = Math.floor(from / stride); key * stride < last; key++) {
      if (keyLive[key] === 0) continue;
      let row = this.#kept.get(key);
      if (!row) copyRow(key, row = newest);
      const start = key * stride, first = Math.max(from, start), stop = Math.min(last, start + stride);
      for (let at = first; at < stop; at++) {
        if (queryLive[Math.floor((at - start) / heads)] === 0) continue;
        const said = row[at - start];
        if (Number.isNaN(said)) throw new Unsaid("the mask function has not answered for every pair");
        copy[at - from] = said;
      }
    }
    return copy;
  }
}

function grown(old: number, needed: number): number {
  return needed <= old ? old : Math.max(needed, old + (old >> 1));
}
