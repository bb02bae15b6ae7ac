/**
 * The blocks of eight query slots that somebody has asked for.
 */

/** Query slots that lie in a block. */
export const BLOCK_SLOTS = 8;

/** What was asked of one engine. */
export class AskedBlocks {
  /** The live query slots, ascending; the same array until they change. */
  readonly #all: () => Uint32Array;
  /** By block, 1 where a slot in it was asked for; blocks beyond the last of them have none. */
  #flags = new Uint8Array(0);
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
      if (block >= this.#flags.length) {
        const larger = new Uint8Array(2 * block + 8);
        larger.set(this.#flags);
        this.#flags = larger;
      }
      if (this.#flags[block] === 0) this.#blocks++;
      this.#flags[block] = 1;
    }
  }

  /** Forgets all. */
  reset(): void {
    this.#flags.fill(0);
    this.#blocks = 0;
    this.#wholeList = this.#wholeOf = null;
  }

  /** All query slots in blocks that were asked for. */
  all(): Uint32Array {
    return this.#all().filter((slot) => this.#flags[Math.floor(slot / BLOCK_SLOTS)] === 1);
  }
}
