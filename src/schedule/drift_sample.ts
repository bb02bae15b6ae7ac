/**
 * Copies of a few answers that nobody reads: how often they would have to be made anew to stay within an
 * error, and what that would cost, while the answers themselves are exact.
 *
 * Invariant: a query slot of the sample is in its block's drift, and its state is of the stored keys whenever
 * it has been answered.
 */

import type { Backend, Copies } from "../backends/backend.ts";
import { NOTHING } from "../backends/since.ts";
import type { BlockSample } from "./asked_blocks.ts";
import type { Price, Sampled } from "./drift_trial.ts";

/** The prices of a sample. */
export interface SamplePrices {
  /** Bringing a query slot up to date that has missed so many changed key slots, and its answer. */
  exact(missed: number): Price;
  /** Keeping the copy of a query slot for an answer, made anew or not. */
  readonly kept: Price;
  /** Answering exactly at all, after so many changed key slots, for `share` of the query slots. */
  look(share: number, missed: number): Price;
}

/** Query slots that are watched, one for each of some blocks. */
export class DriftSample {
  readonly #backend: Pick<Backend, "watched" | "driftOfCopies" | "copied">;
  readonly #prices: SamplePrices;
  /** By place in the sample: the query slot, and how many were asked for in its block; 0 when it is lost. */
  readonly #slots: Uint32Array;
  readonly #weights: Float64Array;
  /** The sum of weights, and the number of query slots that are asked for, in the sample or not. */
  #rows = 0;
  readonly #total: number;
  readonly #copies: Copies;
  readonly #generation: number;
  /** Changed key slots so far, and by key slot, one more than the place of its last change among them. */
  #stored = 0;
  #changes = new Uint32Array(256);
  #lastChange = new Uint32Array(0);
  #changedSlots = 0;
  /** By place in the sample: the count of changes at the last answer, and at the last copy, −1 before the first. */
  readonly #askedAt: Float64Array;
  readonly #copiedAt: Float64Array;
  /** Query slots of which there is no copy that would do. */
  readonly #stale: number[] = [];
  /** For the present answer: the places in the sample of the query slots that were asked for, and these slots. */
  readonly #places: Uint32Array;
  readonly #askedFor: Uint32Array;

  constructor(
    backend: Pick<Backend, "watched" | "driftOfCopies" | "copied">,
    heads: number,
    { chosen, weights, total }: BlockSample,
    prices: SamplePrices,
  ) {
    this.#backend = backend;
    this.#slots = chosen;
    this.#weights = Float64Array.from(weights);
    for (const weight of weights) this.#rows += weight;
    this.#total = Math.max(1, total);
    this.#prices = prices;
    const rows = heads * ((chosen.at(-1) ?? -1) + 1);
    // Without a reading, a copy is further away than any error.
    this.#copies = { readings: new Float64Array(rows).fill(NaN), roundings: new Float64Array(rows) };
    this.#generation = backend.watched?.generation ?? NaN;
    this.#askedAt = new Float64Array(chosen.length);
    this.#copiedAt = new Float64Array(chosen.length).fill(-1);
    this.#places = new Uint32Array(chosen.length);
    this.#askedFor = new Uint32Array(chosen.length);
  }

  /** Query slots that it stands for. */
  get rows(): number {
    return this.#rows;
  }

  /** Whether drift has been followed all the time, of some query slot at least. */
  get isValid(): boolean {
    return this.#rows > 0 && this.#backend.watched?.generation === this.#generation;
  }

  /** Notes a stored batch of changed key slots and of query slots, which are in the sample no more. */
  noteStored(keys: Uint32Array, queries: Uint32Array): void {
    for (const slot of keys) {
      if (slot >= this.#lastChange.length) this.#lastChange = grown(this.#lastChange, slot + 1);
      if (this.#stored >= this.#changes.length) this.#changes = grown(this.#changes, this.#stored + 1);
      if (this.#lastChange[slot] === 0) this.#changedSlots++;
      this.#changes[this.#stored++] = slot;
      this.#lastChange[slot] = this.#stored;
    }
    for (const slot of queries) {
      const place = this.#slots.indexOf(slot);
      if (place < 0) continue;
      this.#rows -= this.#weights[place];
      this.#weights[place] = 0;
    }
  }

  /** No copy of before serves any longer. */
  expire(): void {
    this.#copies.readings.fill(NaN);
  }

  /**
   * Notes that `count` query slots, all if they are null, have been answered exactly now; what copies within
   * `error` would have cost in their place, with `upkeep` for following their drift.
   */
  reckon(
    { slots: asked, count }: { readonly slots: Uint32Array | null; readonly count: number },
    error: number,
    upkeep: { readonly each: Price; readonly batches: Price },
  ): Sampled {
    const length = this.#find(asked), slots = this.#askedFor.subarray(0, length);
    const bounds = new Float64Array(length), prices = this.#prices;
    this.#backend.driftOfCopies(slots, this.#copies, bounds);
    const exact = new Sum(), followed = new Sum(), stale = this.#stale;
    let rows = 0, staleRows = 0, last = NaN, price: Price = exact, missedMost = 0, lackedMost = 0;
    for (let at = 0; at < length; at++) {
      const place = this.#places[at], weight = this.#weights[place];
      rows += weight;
      const missed = this.#stored - this.#askedAt[place];
      if (missed !== last) price = prices.exact(last = missed);
      missedMost = Math.max(missedMost, missed);
      exact.add(price, weight);
      this.#askedAt[place] = this.#stored;
      if (bounds[at] <= error) continue;
      // The first copies are made of answers that are there.
      if (this.#copiedAt[place] >= 0) {
        const lacked = this.#missedSince(this.#copiedAt[place]);
        lackedMost = Math.max(lackedMost, lacked);
        followed.add(prices.exact(lacked), weight);
        staleRows += weight;
      }
      stale.push(slots[at]);
      this.#copiedAt[place] = this.#stored;
    }
    const share = Math.min(1, rows / Math.max(1, count));
    exact.add(prices.look(share, missedMost), 1);
    if (staleRows > 0) followed.add(prices.look(share, lackedMost), 1);
    followed.add(prices.kept, rows);
    followed.add(upkeep.each, 1);
    followed.add(upkeep.batches, Math.min(1, this.#rows / this.#total));
    return { exact, followed, debt: this.#debt(), refreshes: staleRows / Math.max(1, this.#rows) };
  }

  /** Whether answers have to be copied before the next edit is stored. */
  get hasStale(): boolean {
    return this.#stale.length > 0;
  }

  /** Copies answers in place of copies that were too far from exact. */
  async copy(error: number): Promise<void> {
    const queries = Uint32Array.from(this.#stale);
    this.#stale.length = 0;
    await this.#backend.copied({ queries, since: NOTHING }, this.#copies, error);
  }

  /** The price of building all rows that it stands for. */
  buildPrice(build: Price): Price {
    return { work: this.#rows * build.work, time: this.#rows * build.time };
  }

  /** What bringing all up to date would cost whose copies are older. */
  #debt(): Price {
    const debt = new Sum();
    let last = NaN, price: Price = debt;
    for (let place = 0; place < this.#slots.length; place++) {
      const missed = Math.min(this.#changedSlots, this.#stored - Math.max(0, this.#copiedAt[place]));
      if (missed === 0) continue;
      if (missed !== last) price = this.#prices.exact(last = missed);
      debt.add(price, this.#weights[place]);
    }
    return debt;
  }

  /** Finds those of some query slots, or of all, that are in the sample; returns how many. */
  #find(asked: Uint32Array | null): number {
    const sought = asked === null ? null : new Set(asked);
    let length = 0;
    for (let place = 0; place < this.#slots.length; place++) {
      const slot = this.#slots[place];
      if (this.#weights[place] === 0 || sought !== null && !sought.has(slot)) continue;
      this.#places[length] = place;
      this.#askedFor[length++] = slot;
    }
    return length;
  }

  /** The number of different key slots that have changed since a count of changes. */
  #missedSince(count: number): number {
    let missed = 0;
    for (let at = count; at < this.#stored; at++) {
      if (this.#lastChange[this.#changes[at]] === at + 1) missed++;
    }
    return missed;
  }
}

function grown(numbers: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(length, 2 * numbers.length));
  larger.set(numbers);
  return larger;
}

/** A sum of prices. */
class Sum implements Price {
  work = 0;
  time = 0;

  add({ work, time }: Price, factor: number): void {
    this.work += factor * work;
    this.time += factor * time;
  }
}
