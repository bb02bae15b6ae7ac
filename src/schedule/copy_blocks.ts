/**
 * The copies of a list of query slots, by the blocks of eight whose drift is followed together. A look at the
 * blocks tells most often that no copy has left its error, so that no row is looked at.
 *
 * Invariant: of each block, `#least` and `#most` hold the least reading and the largest rounding of its
 * copies in a head, and `#oldest` the epoch of the oldest one, until `lose`.
 */

import { type Copies, DRIFT_UP } from "../backends/backend.ts";
import { BLOCK_SLOTS } from "./asked_blocks.ts";

/** Where the drift of blocks stands: by head, a number for each block of query slots. */
export type Drifts = readonly Float64Array[];

/** The limit that copies keep to. */
export interface CopyLimit {
  readonly drifts: Drifts;
  readonly error: number;
  /** No copy may be older than this epoch. */
  readonly floor: number;
  /** The newest epoch. */
  readonly now: number;
}

/** The blocks of one mirror. */
export class CopyBlocks {
  readonly #heads: number;
  #slots: Uint32Array | null = null;
  #isSummed = false;
  /** The number of each block; where its places begin in `#places`, which has places in the list. */
  #numbers = new Uint32Array(0);
  #starts = new Uint32Array(0);
  #places = new Uint32Array(0);
  #least = new Float64Array(0);
  #most = new Float64Array(0);
  #oldest = new Float64Array(0);
  /** The blocks, by place in `#numbers`, in which the last look found something. */
  #found: number[] = [];

  constructor(heads: number) {
    this.#heads = heads;
  }

  get bytes(): number {
    return this.#places.byteLength + 16 * this.#least.length + 16 * this.#oldest.length;
  }

  /** The list of query slots that is looked at from now on. */
  take(slots: Uint32Array, copies: Copies, epochs: Float64Array): void {
    if (slots !== this.#slots) this.#sort(slots);
    if (this.#isSummed) return;
    for (let block = 0; block < this.#numbers.length; block++) this.#sum(block, copies, epochs);
    this.#isSummed = true;
  }

  /** Epochs of copies have changed. */
  lose(): void {
    this.#isSummed = false;
  }

  /** The places in the list of the copies that do not keep to a limit, ascending. */
  stale(copies: Copies, epochs: Float64Array, limit: CopyLimit): Uint32Array {
    const slots = this.#slots as Uint32Array, found = this.#found, heads = this.#heads;
    found.length = 0;
    for (let block = 0; block < this.#numbers.length; block++) {
      if (!this.#keeps(block, limit)) found.push(block);
    }
    if (found.length === 0) return NO_PLACES;
    let count = 0;
    for (const block of found) count += this.#starts[block + 1] - this.#starts[block];
    const stale = new Uint32Array(count);
    let last = -1, isAscending = true;
    count = 0;
    for (const block of found) {
      for (let place = this.#starts[block]; place < this.#starts[block + 1]; place++) {
        const at = this.#places[place], epoch = epochs[slots[at]];
        if (epoch === limit.now) continue;
        const isNear = epoch >= limit.floor && boundOf(slots[at], heads, copies, limit.drifts) <= limit.error;
        if (isNear) continue;
        stale[count++] = at;
        if (at < last) isAscending = false;
        last = at;
      }
    }
    return isAscending ? stale.subarray(0, count) : stale.subarray(0, count).sort();
  }

  /** Copies that the last look found have been made anew. */
  renew(copies: Copies, epochs: Float64Array): void {
    for (const block of this.#found) this.#sum(block, copies, epochs);
  }

  /** Whether all copies of a block keep to a limit; it may say no where they do. */
  #keeps(block: number, { drifts, error, floor, now }: CopyLimit): boolean {
    const oldest = this.#oldest[block];
    if (oldest === now) return true;
    if (oldest < floor) return false;
    const heads = this.#heads, number = this.#numbers[block];
    let squared = 0, bound = 0;
    for (let head = 0, row = block * heads; head < heads; head++, row++) {
      bound = (drifts[head][number] - this.#least[row]) * DRIFT_UP + this.#most[row];
      squared += bound * bound;
    }
    return (heads === 1 ? bound : Math.sqrt(squared)) <= error;
  }

  #sum(block: number, { readings, roundings }: Copies, epochs: Float64Array): void {
    const heads = this.#heads, slots = this.#slots as Uint32Array;
    let oldest = Infinity;
    for (let head = 0; head < heads; head++) {
      let least = Infinity, most = 0;
      for (let place = this.#starts[block]; place < this.#starts[block + 1]; place++) {
        const slot = slots[this.#places[place]], row = slot * heads + head;
        const reading = readings[row], rounding = roundings[row];
        // A copy without a number is further away than any error.
        if (!(reading >= least)) least = reading < least ? reading : -Infinity;
        if (!(rounding <= most)) most = rounding > most ? rounding : Infinity;
        if (epochs[slot] < oldest) oldest = epochs[slot];
      }
      this.#least[block * heads + head] = least;
      this.#most[block * heads + head] = most;
    }
    this.#oldest[block] = oldest;
  }

  /** Sorts the places of a list by block. */
  #sort(slots: Uint32Array): void {
    const places = Uint32Array.from(slots, (_, at) => at),
      blockAt = (place: number) => slots[places[place]] >>> BITS;
    if (!isAscending(slots)) places.sort((one, other) => slots[one] - slots[other]);
    const numbers = new Uint32Array(slots.length), starts = new Uint32Array(slots.length + 1);
    let blocks = 0;
    for (let place = 0; place < places.length; place++) {
      if (place > 0 && blockAt(place) === numbers[blocks - 1]) continue;
      numbers[blocks] = blockAt(place);
      starts[blocks++] = place;
    }
    starts[blocks] = places.length;
    this.#numbers = numbers.subarray(0, blocks);
    this.#starts = starts;
    this.#places = places;
    const heads = this.#heads;
    this.#least = new Float64Array(blocks * heads);
    this.#most = new Float64Array(blocks * heads);
    this.#oldest = new Float64Array(blocks);
    this.#found = [];
    this.#slots = slots;
    this.#isSummed = false;
  }
}

/**
 * A bound on the distance of a copy from exact, where drift stands at `drifts`; Infinity or NaN where it has no
 * reading.
 */
export function boundOf(
  slot: number,
  heads: number,
  { readings, roundings }: Copies,
  drifts: Drifts,
): number {
  const block = Math.floor(slot / BLOCK_SLOTS), first = slot * heads;
  if (heads === 1) return (drifts[0][block] - readings[first]) * DRIFT_UP + roundings[first];
  let squared = 0;
  for (let head = 0, row = first; head < heads; head++, row++) {
    squared += ((drifts[head][block] - readings[row]) * DRIFT_UP + roundings[row]) ** 2;
  }
  return Math.sqrt(squared);
}

const NO_PLACES = new Uint32Array(0);
const BITS = Math.log2(BLOCK_SLOTS);

function isAscending(slots: Uint32Array): boolean {
  for (let at = 1; at < slots.length; at++) if (slots[at] < slots[at - 1]) return false;
  return true;
}
