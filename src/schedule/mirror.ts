/**
 * Copies of answers, each kept within a distance of the exact one: a copy is made anew when drift may have
 * moved the exact answer further away. A copy does not depend on later changes of the state that it was made
 * from.
 */

import type { AttentionOutput, Backend, Copies, Watched } from "../backends/backend.ts";
import { NOTHING } from "../backends/since.ts";
import { boundOf, CopyBlocks, type CopyLimit, type Drifts } from "./copy_blocks.ts";
import type { Lag } from "./standing_queries.ts";

/** The source of copies. */
export interface MirrorSource {
  readonly backend: Pick<Backend, "watched" | "copied">;
  /** The number of batches of edits stored. */
  readonly epoch: () => number;
  /** The number of changed key slots in them. */
  readonly stored: () => number;
  /** Exact answers, from states that are brought up to date, in an array unless it is null. */
  read(slots: Uint32Array, into: Float32Array<ArrayBuffer> | null): Promise<AttentionOutput>;
}

/** The places of copies. */
export interface MirrorPlaces {
  /** Rows of `width` numbers. */
  readonly data: Float32Array;
  readonly width: number;
  /** The number of the row of a query slot; null where rows are in the order of the list that is asked for. */
  readonly rowOf: ((slot: number) => number) | null;
  /** For each query slot in the list, a bound on the distance of its copy from exact. */
  readonly bounds: Float64Array;
  /** Whether `bounds` is written at each refresh, and not only by `settle`. */
  areBoundsWanted(): boolean;
}

/** The result of a refresh. */
export interface Refreshed {
  /** Query slots whose copies have changed. */
  readonly changed: Uint32Array<ArrayBuffer>;
  /** The number of copies that were made anew, and that of the epochs that they had been of. */
  readonly made: number;
  readonly epochs: number;
}

const NO_SLOTS = new Uint32Array(0);
/** Copies that do not have to last may be off by the limit itself, of which a share is little elsewhere. */
const EXACT = 4;
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
  readonly #blocks: CopyBlocks;
  /** Answers that are being copied. */
  #answer = new Float32Array(0);
  /** The numbers from 0 on, one for each query slot in the list. */
  #order = new Uint32Array(0);
  /** The list of query slots that was asked for last, and whether they are neighbours in ascending order. */
  #slots: Uint32Array = NO_SLOTS;
  #areNeighbours = false;
  /** The newest epoch of a copy. */
  #newest = -1;
  /** The array for its bounds, which nobody has asked for yet; null if it has them. */
  #owedBounds: Float64Array | null = null;
  /** The epoch of the last refresh, and where drift stood; no number where it was not followed. */
  #refreshedAt = 0;
  readonly #drifts: Float64Array[] = [];

  constructor(source: MirrorSource, heads: number) {
    this.#source = source;
    this.#heads = heads;
    this.#blocks = new CopyBlocks(heads);
  }

  get bytes(): number {
    return 2 * this.#epochs.byteLength + 2 * this.#copies.readings.byteLength + this.#blocks.bytes +
      this.#answer.byteLength;
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
    this.settle();
    this.#answer.fill(0);
    this.#epochs.fill(-1);
    this.#blocks.lose();
  }

  /** Forgets the copies of these query slots. */
  lose(slots: Uint32Array): void {
    this.settle();
    for (const slot of slots) if (slot < this.#epochs.length) this.#epochs[slot] = -1;
    this.#blocks.lose();
  }

  /**
   * Makes the copies anew that may be further than `error` from exact or are older than epoch `floor`; all
   * that are not of the newest epoch, unless `isFollowed` says that drift is followed for them. Returns the
   * query slots whose copies have changed.
   */
  async refresh(
    slots: Uint32Array,
    { error, floor, isFollowed }: {
      readonly error: number;
      readonly floor: number;
      readonly isFollowed: boolean;
    },
    places: MirrorPlaces,
  ): Promise<Refreshed> {
    const { watched } = this.#source.backend;
    this.#make(slots, watched);
    const drifts = isFollowed && watched ? watched.drifts : null;
    const stale = drifts === null ? this.#olderThanNow(slots) : this.#stale(slots, { drifts, error, floor });
    let changed = NO_SLOTS, epochs = 0;
    if (stale.length > 0) {
      const made = stale.length === slots.length ? slots : stale.map((at) => slots[at]);
      const size = places.width * slots.length;
      const { output } = await this.#source.read(made, made === slots ? this.#answerOf(size) : null);
      epochs = drifts === null ? 1 : this.#epochsOf(made);
      const copying = this.#copied(made, drifts !== null ? error : error > 0 ? EXACT * error : Infinity);
      if (copying) await copying;
      changed = this.#take(made, stale, output, places);
      if (drifts === null) this.#blocks.lose();
      else this.#blocks.renew(this.#copies, this.#epochs);
    }
    this.#noteRefreshed(drifts, places);
    return { changed, made: stale.length, epochs };
  }

  /** The places in a list of the copies that may have left a limit. */
  #stale(slots: Uint32Array, limit: Omit<CopyLimit, "now">): Uint32Array {
    this.#blocks.take(slots, this.#copies, this.#epochs);
    return this.#blocks.stale(this.#copies, this.#epochs, { ...limit, now: this.#source.epoch() });
  }

  /** The places in a list of the copies that are not of the newest epoch. */
  #olderThanNow(slots: Uint32Array): Uint32Array {
    const now = this.#source.epoch(), epochs = this.#epochs, isAny = this.#newest === now;
    if (this.#order.length !== slots.length) this.#order = Uint32Array.from(slots, (_, at) => at);
    return isAny ? this.#order.filter((at) => epochs[slots[at]] !== now) : this.#order;
  }

  /** Notes that answers are copied which are to be within a limit; null when it is done. */
  #copied(queries: Uint32Array, limit: number): Promise<void> | null {
    const failed = (cause: unknown): never => {
      // Readings may be noted already, and are not those of the copies that are there.
      this.lose(queries);
      throw cause;
    };
    try {
      const copying = this.#source.backend.copied({ queries, since: NOTHING }, this.#copies, limit);
      // Somebody may ask for bounds meanwhile: they are those of the copies that are there until then.
      if (copying) this.settle();
      return copying && copying.catch(failed);
    } catch (cause) {
      return failed(cause);
    }
  }

  /** The number of epochs that copies are of. */
  #epochsOf(slots: Uint32Array): number {
    const seen = new Set<number>();
    for (let at = 0, last = NaN; at < slots.length; at++) {
      const epoch = this.#epochs[slots[at]];
      if (epoch !== last) seen.add(last = epoch);
    }
    return seen.size;
  }

  /** An array for the answers of all query slots, which many refreshes in a row may want. */
  #answerOf(size: number): Float32Array<ArrayBuffer> {
    if (this.#answer.length !== size) this.#answer = new Float32Array(size);
    return this.#answer;
  }

  /** Notes where drift stands, and writes bounds where they are wanted at once. */
  #noteRefreshed(drifts: Drifts | null, { bounds, areBoundsWanted }: MirrorPlaces): void {
    this.#refreshedAt = this.#source.epoch();
    this.#owedBounds = bounds;
    if (drifts === null) this.#drifts.length = 0;
    for (const [head, drift] of drifts?.entries() ?? []) {
      if (this.#drifts[head]?.length !== drift.length) this.#drifts[head] = new Float64Array(drift.length);
      this.#drifts[head].set(drift);
    }
    if (areBoundsWanted()) this.settle();
  }

  /** Writes bounds as of the last refresh, unless they are written. */
  settle(): void {
    const bounds = this.#owedBounds, slots = this.#slots, drifts = this.#drifts;
    this.#owedBounds = null;
    if (bounds === null) return;
    for (let at = 0; at < slots.length; at++) {
      const slot = slots[at], isNew = drifts.length === 0 || this.#epochs[slot] === this.#refreshedAt;
      const bound = isNew ? this.#roundingOf(slot) : boundOf(slot, this.#heads, this.#copies, drifts);
      bounds[at] = bound >= 0 ? bound : Infinity;
    }
  }

  /** Copies exact answers, those at `stale` in the list; returns the query slots whose copies have changed. */
  #take(
    slots: Uint32Array,
    stale: Uint32Array,
    output: Float32Array,
    { data, width, rowOf }: MirrorPlaces,
  ): Uint32Array<ArrayBuffer> {
    const isInPlace = rowOf === null && stale.length > 0 && stale[stale.length - 1] === stale.length - 1;
    let changed: Uint32Array<ArrayBuffer>;
    if (isInPlace) {
      changed = othersAmong(slots, output, data, width, this.#epochs);
      // There may be no room any more.
      if (output.length <= data.length) data.set(output);
    } else {
      let count = 0;
      changed = new Uint32Array(slots.length);
      for (let at = 0; at < slots.length; at++) {
        const slot = slots[at], to = width * (rowOf === null ? stale[at] : rowOf(slot));
        const isOther = copyRow(output, at * width, data, to, width);
        if (isOther || this.#epochs[slot] === -1) changed[count++] = slot;
      }
      changed = changed.subarray(0, count);
    }
    this.#newest = this.#source.epoch();
    this.#setAll(slots, this.#epochs, this.#newest);
    this.#setAll(slots, this.#known, this.#source.stored());
    return changed;
  }

  /** Sets the numbers of query slots. */
  #setAll(slots: Uint32Array, numbers: Float64Array, number: number): void {
    if (slots === this.#slots && this.#areNeighbours) {
      numbers.fill(number, slots[0], slots[0] + slots.length);
      return;
    }
    for (let at = 0; at < slots.length; at++) numbers[slots[at]] = number;
  }

  /** Makes room, and forgets copies whose drift was not followed all the time. */
  #make(slots: Uint32Array, watched: Watched | null): void {
    let size = 0;
    if (slots !== this.#slots) {
      this.settle();
      this.#slots = slots;
      this.#areNeighbours = true;
      for (let at = 0; at < slots.length; at++) {
        if (slots[at] >= size) size = slots[at] + 1;
        if (slots[at] !== slots[0] + at) this.#areNeighbours = false;
      }
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
    const generation = watched?.generation ?? UNFOLLOWED;
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.clear();
    }
  }

  #roundingOf(slot: number): number {
    let squared = 0;
    for (let row = slot * this.#heads; row < (slot + 1) * this.#heads; row++) {
      squared += this.#copies.roundings[row] ** 2;
    }
    return Math.sqrt(squared);
  }
}

/** The query slots of which a number differs, or of which there is no copy, among those of all rows. */
function othersAmong(
  slots: Uint32Array,
  output: Float32Array,
  data: Float32Array,
  width: number,
  epochs: Float64Array,
): Uint32Array<ArrayBuffer> {
  const others = new Uint32Array(slots.length);
  let count = 0;
  for (let at = 0, from = 0; at < slots.length; at++, from += width) {
    // Most often the first number tells.
    let c = from;
    const end = from + width;
    while (c < end && output[c] === data[c]) c++;
    if (c < end || epochs[slots[at]] === -1) others[count++] = slots[at];
  }
  return others.subarray(0, count);
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
