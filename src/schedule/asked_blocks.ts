/**
 * The blocks of eight query slots that somebody has asked for, and which slots in them.
 */

/** Query slots that lie in a block. */
export const BLOCK_SLOTS = 8;
/** A sample has one of this number of blocks. */
const SAMPLED = 16;

/** Some query slots, one of each of some blocks. */
export interface BlockSample {
  /** All query slots of these blocks. */
  readonly slots: Uint32Array;
  /** One that was asked for of each block, ascending, and how many were asked for there. */
  readonly chosen: Uint32Array;
  readonly weights: readonly number[];
  /** The number of query slots that were asked for, in all blocks. */
  readonly total: number;
}

/** What was asked of one engine. */
export class AskedBlocks {
  /** The live query slots, ascending; the same array until they change. */
  readonly #all: () => Uint32Array;
  /** By block, a bit for each slot that was asked for. */
  #masks = new Uint8Array(0);
  #blocks = 0;
  /** The last list of all query slots that was asked for, and what these were. */
  #wholeList: Uint32Array | null = null;
  #wholeOf: Uint32Array | null = null;

  constructor(all: () => Uint32Array) {
    this.#all = all;
  }

  /** The number of blocks. */
  get count(): number {
    return this.#blocks;
  }

  /** Whether these are all query slots, in ascending order. A list that is asked about again must be the same. */
  isWhole(slots: Uint32Array): boolean {
    const all = this.#all();
    if (slots === this.#wholeList && all === this.#wholeOf) return true;
    if (slots.length !== all.length) return false;
    for (let at = 0; at < slots.length; at++) if (slots[at] !== all[at]) return false;
    this.#wholeList = slots;
    this.#wholeOf = all;
    return true;
  }

  /** Notes that these query slots are asked for. */
  note(slots: Uint32Array): void {
    if (slots === this.#wholeList && this.#all() === this.#wholeOf && this.#blocks > 0) return;
    for (const slot of slots) {
      const block = Math.floor(slot / BLOCK_SLOTS);
      if (block >= this.#masks.length) {
        const larger = new Uint8Array(2 * block + 8);
        larger.set(this.#masks);
        this.#masks = larger;
      }
      if (this.#masks[block] === 0) this.#blocks++;
      this.#masks[block] |= 1 << (slot % BLOCK_SLOTS);
    }
  }

  /** Forgets all. */
  reset(): void {
    this.#masks.fill(0);
    this.#blocks = 0;
    this.#wholeList = this.#wholeOf = null;
  }

  /** All query slots in blocks that were asked for. */
  all(): Uint32Array {
    return this.#all().filter((slot) => this.#masks[Math.floor(slot / BLOCK_SLOTS)] !== 0);
  }

  /** The number of blocks in a sample. */
  get sampledCount(): number {
    return Math.ceil(this.#blocks / SAMPLED);
  }

  /** Every so many of the blocks that were asked for. */
  sample(): BlockSample {
    const slots: number[] = [], chosen: number[] = [], weights: number[] = [];
    let block = NaN, blocks = -1, total = 0;
    for (const slot of this.all()) {
      if (Math.floor(slot / BLOCK_SLOTS) !== block) {
        block = Math.floor(slot / BLOCK_SLOTS);
        blocks++;
      }
      const isAsked = (this.#masks[block] >> (slot % BLOCK_SLOTS) & 1) === 1;
      if (isAsked) total++;
      if (blocks % SAMPLED !== 0) continue;
      slots.push(slot);
      if (!isAsked) continue;
      if (Math.floor((chosen.at(-1) ?? -1) / BLOCK_SLOTS) === block) weights[weights.length - 1]++;
      else {
        chosen.push(slot);
        weights.push(1);
      }
    }
    return { slots: Uint32Array.from(slots), chosen: Uint32Array.from(chosen), weights, total };
  }
}
