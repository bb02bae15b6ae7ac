/**
 * The key slots that have changed, in order, as far back as it is worth remembering: tells which changed
 * since a moment. A *moment* is the number of changes before it.
 */

/** More changes are not remembered; sums that have missed them are begun anew. */
const MOST_CHANGES = 2 ** 14;
/** Up to this number of different slots, each is held against the others. */
const FEW_CHANGES = 32;

/** The changes of one backend's keys. */
export class KeyJournal {
  #slots = new Uint32Array(0);
  #count = 0;
  /** The moment of the first remembered change. */
  #first = 0;
  /**
   * Slots that have changed since the moment `#reached`, each once, those that changed last first, and the moments of
   * their last changes. It grows to what is asked for, until the next change.
   */
  #recent = new Uint32Array(0);
  #recentAt = new Float64Array(0);
  #recentCount = 0;
  #reached = 0;
  /** The same slots, once there are many of them. */
  readonly #seen = new Set<number>();

  /** The present moment. */
  get now(): number {
    return this.#first + this.#count;
  }

  get bytes(): number {
    return this.#slots.byteLength + this.#recent.byteLength + this.#recentAt.byteLength;
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
    const count = this.#count + slots.length;
    if (count > MOST_CHANGES) {
      this.#first += count;
      this.#reached = this.#first;
      this.#count = this.#recentCount = 0;
      this.#seen.clear();
      return;
    }
    this.#slots.set(slots, this.#count);
    this.#count = count;
    this.#recentCount = 0;
    this.#reached = this.now;
    if (this.#seen.size > 0) this.#seen.clear();
  }

  /**
   * The slots that have changed since a moment, each once, those that changed last first; null when that is not known
   * any more. So those since a later moment are the first of those since an earlier one. It is valid until the next
   * change or question.
   */
  since(moment: number): Uint32Array | null {
    if (moment < this.#first) return null;
    if (moment < this.#reached) this.#reach(moment);
    let count = 0;
    for (let end = this.#recentCount; count < end;) {
      const middle = (count + end) >> 1;
      if (this.#recentAt[middle] >= moment) count = middle + 1;
      else end = middle;
    }
    return this.#recent.subarray(0, count);
  }

  /** Lists what has changed since an earlier moment, too. */
  #reach(moment: number): void {
    for (let at = this.#reached - 1; at >= moment; at--) {
      const slot = this.#slots[at - this.#first];
      if (this.#isListed(slot)) continue;
      if (this.#recentCount === this.#recent.length) this.#grow();
      this.#recent[this.#recentCount] = slot;
      this.#recentAt[this.#recentCount++] = at;
      if (this.#recentCount > FEW_CHANGES) this.#seen.add(slot);
    }
    this.#reached = moment;
  }

  #isListed(slot: number): boolean {
    for (let at = 0; at < Math.min(FEW_CHANGES, this.#recentCount); at++) {
      if (this.#recent[at] === slot) return true;
    }
    return this.#recentCount > FEW_CHANGES && this.#seen.has(slot);
  }

  #grow(): void {
    const size = Math.max(FEW_CHANGES, 4 * this.#recent.length),
      slots = new Uint32Array(size),
      moments = new Float64Array(size);
    slots.set(this.#recent);
    moments.set(this.#recentAt);
    this.#recent = slots;
    this.#recentAt = moments;
  }
}
