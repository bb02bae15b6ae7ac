/**
 * Copies of answers, each kept within a distance of the exact one: a copy is made anew when drift may have
 * moved the exact answer further away. A copy does not depend on later changes of the state that it was made
 * from.
 */

import type { AttentionOutput, Backend, Copies } from "../backends/backend.ts";
import { NOTHING } from "../backends/since.ts";
import type { Lag } from "./standing_queries.ts";

/** The source of copies. */
export interface MirrorSource {
  readonly backend: Pick<Backend, "watched" | "driftOfCopies" | "copied">;
  /** The number of batches of edits stored. */
  readonly epoch: () => number;
  /** The number of changed key slots in them. */
  readonly stored: () => number;
  /** Exact answers, from states that are brought up to date. */
  read(slots: Uint32Array): Promise<AttentionOutput>;
}

/** The places of copies. */
export interface MirrorPlaces {
  /** Rows of `width` numbers. */
  readonly data: Float32Array;
  readonly width: number;
  /** The number of a query slot's row. */
  rowOf(slot: number): number;
}

/** The result of a refresh. */
export interface Refreshed {
  /** Query slots whose copies have changed. */
  readonly changed: Uint32Array<ArrayBuffer>;
  /** The number of copies that were made anew. */
  readonly made: number;
  /** For each query slot that was asked for, a bound on the distance of its copy from exact. */
  readonly bounds: Float64Array<ArrayBuffer>;
}

const NO_SLOTS = new Uint32Array(0);
/** The generation while no drift is followed. */
const UNFOLLOWED = -1;

/** The copies of one engine's answers. */
export class Mirror {
  readonly #source: MirrorSource;
  readonly #heads: number;
  #copies: Copies = { readings: new Float64Array(0), roundings: new Float64Array(0) };
  /**
   * By query slot, the epoch of its copy, −1 if there is none, and the number of changed key slots that it
   * includes.
   */
  #epochs = new Float64Array(0);
  #known = new Float64Array(0);
  #generation = UNFOLLOWED;
  /** The list of query slots that there was room for last. */
  #roomy: Uint32Array | null = null;

  constructor(source: MirrorSource, heads: number) {
    this.#source = source;
    this.#heads = heads;
  }

  get bytes(): number {
    return 2 * this.#epochs.byteLength + 2 * this.#copies.readings.byteLength;
  }

  /**
   * The lag of the oldest copy of these query slots: its epoch, and the number of changed key slots stored
   * since.
   */
  lagOf(slots: Uint32Array): Lag {
    const stored = this.#source.stored();
    const epochs = this.#epochs, known = this.#known;
    let epoch = this.#source.epoch(), least = stored;
    for (let at = 0; at < slots.length; at++) {
      const slot = slots[at];
      if (epochs[slot] < epoch) epoch = epochs[slot];
      if (known[slot] < least) least = known[slot];
    }
    return { epoch, pending: stored - least };
  }

  /** Forgets all copies. */
  clear(): void {
    this.#epochs.fill(-1);
  }

  /** Forgets the copies of these query slots. */
  lose(slots: Uint32Array): void {
    for (const slot of slots) if (slot < this.#epochs.length) this.#epochs[slot] = -1;
  }

  /**
   * Makes the copies anew that may be further than `error` from exact or are older than epoch `floor`.
   * Returns the query slots whose copies have changed, and a bound for each query slot.
   */
  async refresh(slots: Uint32Array, error: number, floor: number, places: MirrorPlaces): Promise<Refreshed> {
    this.#make(slots);
    const bounds = new Float64Array(slots.length), epochs = this.#epochs, now = this.#source.epoch();
    this.#source.backend.driftOfCopies(slots, this.#copies, bounds);
    let stale = NO_SLOTS, count = 0;
    for (let at = 0; at < slots.length; at++) {
      const epoch = epochs[slots[at]];
      if (epoch === now) {
        // A copy of the newest epoch is exact, whether drift is followed or not.
        bounds[at] = this.#roundingOf(slots[at]);
      } else if (!(bounds[at] <= error) || epoch < floor) {
        if (count === 0) stale = new Uint32Array(slots.length);
        stale[count++] = at;
      }
    }
    if (count === 0) return { changed: NO_SLOTS, made: 0, bounds };
    const made = stale.subarray(0, count).map((at) => slots[at]);
    const { output } = await this.#source.read(made);
    try {
      await this.#source.backend.copied({ queries: made, since: NOTHING }, this.#copies, error);
    } catch (cause) {
      // Readings may be noted already, and are not those of the copies that are there.
      this.lose(made);
      throw cause;
    }
    const changed = this.#take(made, output, places);
    for (let t = 0; t < count; t++) bounds[stale[t]] = this.#roundingOf(made[t]);
    return { changed, made: count, bounds };
  }

  /** Copies exact answers; returns the query slots whose copies have changed. */
  #take(
    slots: Uint32Array,
    output: Float32Array,
    { data, width, rowOf }: MirrorPlaces,
  ): Uint32Array<ArrayBuffer> {
    const now = this.#source.epoch(), stored = this.#source.stored();
    return slots.filter((slot, at) => {
      const isNew = this.#epochs[slot] === -1;
      this.#epochs[slot] = now;
      this.#known[slot] = stored;
      return copyRow(output, at * width, data, rowOf(slot) * width, width) || isNew;
    });
  }

  /** By query slot, the number of changed key slots that its copy includes. */
  get known(): Float64Array {
    return this.#known;
  }

  /** Makes room, and forgets copies whose drift was not followed all the time. */
  #make(slots: Uint32Array): void {
    let size = 0;
    if (slots !== this.#roomy) {
      for (let at = 0; at < slots.length; at++) if (slots[at] >= size) size = slots[at] + 1;
      this.#roomy = slots;
    }
    if (size > this.#epochs.length) {
      const room = Math.max(size, 2 * this.#epochs.length);
      const epochs = new Float64Array(room).fill(-1);
      epochs.set(this.#epochs);
      this.#epochs = epochs;
      const known = new Float64Array(room);
      known.set(this.#known);
      this.#known = known;
      const grown = (numbers: Float64Array) => {
        const larger = new Float64Array(room * this.#heads);
        larger.set(numbers);
        return larger;
      };
      const { readings, roundings } = this.#copies;
      this.#copies = { readings: grown(readings), roundings: grown(roundings) };
    }
    const generation = this.#source.backend.watched?.generation ?? UNFOLLOWED;
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.clear();
  }

  #roundingOf(slot: number): number {
    let squared = 0;
    for (let row = slot * this.#heads; row < (slot + 1) * this.#heads; row++) {
      squared += this.#copies.roundings[row] ** 2;
    }
    return Math.sqrt(squared);
  }
}

/** Copies numbers; returns whether one of them has changed. */
function copyRow(
  from: Float32Array,
  fromStart: number,
  to: Float32Array,
  toStart: number,
  length: number,
): boolean {
  let isChanged = false;
  for (let c = 0; c < length; c++) {
    const number = from[fromStart + c];
    if (to[toStart + c] !== number) isChanged = true;
    to[toStart + c] = number;
  }
  return isChanged;
}
