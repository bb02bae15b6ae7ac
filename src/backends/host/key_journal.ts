/**
 * The key slots that have changed, in order, as far back as it is worth remembering: tells which changed
 * since a moment. A *moment* is the number of changes before it.
 */

/** More changes are not remembered; sums that have missed them are begun anew. */
const MOST_CHANGES = 2 ** 14;
/** Up to this number of changes, different slots are found one by one. */
const FEW_CHANGES = 32;

/** The changes of one backend's keys. */
export class KeyJournal {
  #slots = new Uint32Array(0);
  #count = 0;
  /** The moment of the first remembered change. */
  #first = 0;
  /** Answers since the last change, by moment. */
  readonly #answers = new Map<number, Uint32Array>();

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
    if (this.#answers.size > 0) this.#answers.clear();
    const count = this.#count + slots.length;
    if (count > MOST_CHANGES) {
      this.#first += count;
      this.#count = 0;
      return;
    }
    this.#slots.set(slots, this.#count);
    this.#count = count;
  }

  /**
   * The slots that have changed since a moment, each once, those that changed last first; null when that is not known
   * any more. So those since a later moment are the first of those since an earlier one.
   */
  since(moment: number): Uint32Array | null {
    if (moment < this.#first) return null;
    const known = this.#answers.get(moment);
    if (known) return known;
    const slots = this.#slots.subarray(moment - this.#first, this.#count);
    const answer = slots.length <= FEW_CHANGES
      ? lastFirst(slots)
      : Uint32Array.from(new Set(slots.slice().reverse()));
    this.#answers.set(moment, answer);
    return answer;
  }
}

/** Different slots, the last one first, of so few that each is held against the others. */
function lastFirst(slots: Uint32Array): Uint32Array {
  if (slots.length <= 1) return slots;
  const found = new Uint32Array(slots.length);
  let count = 0;
  for (let at = slots.length - 1; at >= 0; at--) {
    const slot = slots[at];
    let place = 0;
    while (place < count && found[place] !== slot) place++;
    if (place === count) found[count++] = slot;
  }
  return found.subarray(0, count);
}
