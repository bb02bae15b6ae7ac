/**
 * The key slots that have changed, in order, as far back as it is worth remembering: tells which changed
 * since a moment. A *moment* is the number of changes before it.
 */

/** More changes are not remembered; sums that have missed them are begun anew. */
const MOST_CHANGES = 2 ** 14;

/** The changes of one backend's keys. */
export class KeyJournal {
  #slots = new Uint32Array(0);
  #count = 0;
  /** The moment of the first remembered change. */
  #first = 0;
  #asked = -1;
  #answer: Uint32Array = NONE;

  /** The present moment. */
  get now(): number {
    return this.#first + this.#count;
  }

  get bytes(): number {
    return this.#slots.byteLength;
  }

  /** Makes room for `changes` changes. If memory is refused it throws, and nothing has changed. */
  reserve(changes: number): void {
    const count = this.#count + changes;
    if (count <= this.#slots.length || count > MOST_CHANGES) return;
    const larger = new Uint32Array(Math.min(MOST_CHANGES, Math.max(64, 2 * count)));
    larger.set(this.#slots);
    this.#slots = larger;
  }

  /** The keys in these slots have changed, for which there is room. */
  note(slots: Uint32Array): void {
    this.#asked = -1;
    const count = this.#count + slots.length;
    if (count > MOST_CHANGES) {
      this.#first += count;
      this.#count = 0;
      return;
    }
    this.#slots.set(slots, this.#count);
    this.#count = count;
  }

  /** The slots that have changed since a moment, each once; null when that is not known any more. */
  since(moment: number): Uint32Array | null {
    if (moment < this.#first) return null;
    if (moment === this.#asked) return this.#answer;
    const slots = this.#slots.subarray(moment - this.#first, this.#count);
    this.#asked = moment;
    this.#answer = slots.length <= 1 ? slots : Uint32Array.from(new Set(slots));
    return this.#answer;
  }
}

const NONE = new Uint32Array(0);
