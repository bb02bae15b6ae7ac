/**
 * Accounts of what exact answers would have cost: for each query slot, how many changed key slots it has
 * missed since it was last asked for. Questions about all query slots look at none of them.
 *
 * Invariant: a query slot that was never asked for counts as asked for when the accounts were begun.
 */

/** The accounts of one engine. */
export class ExactAccounts {
  /** The cost of exact answers of one query slot that has missed so many changed key slots. */
  readonly #costOf: (missed: number) => number;
  /** The largest number of changed key slots that one of the query slots last asked about had missed. */
  mostMissed = 0;
  /** Changed key slots stored so far. */
  #stored = 0;
  /** When all query slots were last asked for, or the accounts were begun. */
  #allAskedAt = 0;
  /** Whether some query slots were asked for since then. */
  #areSomeAsked = false;
  /** By query slot, how many had been stored when it was last asked for, unless all were asked for later. */
  #askedAt = new Float64Array(0);

  constructor(costOf: (missed: number) => number) {
    this.#costOf = costOf;
  }

  get bytes(): number {
    return this.#askedAt.byteLength;
  }

  /** The number of changed key slots stored so far. */
  get stored(): number {
    return this.#stored;
  }

  /** Notes a stored batch. */
  noteStored(keys: Uint32Array): void {
    this.#stored += keys.length;
  }

  /** Begins anew, as if all query slots, those to come too, had been asked for now. */
  begin(): void {
    this.#allAskedAt = this.#stored;
    this.#areSomeAsked = false;
  }

  /**
   * The cost of exact answers of query slots if they had been exact when they were last asked for, and notes
   * that they are asked for; `areAll` says whether they are all there are.
   */
  ask(slots: Uint32Array, areAll: boolean): number {
    if (areAll && !this.#areSomeAsked) {
      this.mostMissed = this.#stored - this.#allAskedAt;
      const cost = slots.length * this.#costOf(this.mostMissed);
      this.#allAskedAt = this.#stored;
      return cost;
    }
    let sum = 0, last = NaN, cost = 0;
    this.mostMissed = 0;
    for (const slot of slots) {
      if (slot >= this.#askedAt.length) this.#grow(slot + 1);
      const missed = this.#stored - Math.max(this.#allAskedAt, this.#askedAt[slot]);
      if (missed !== last) cost = this.#costOf(last = missed);
      this.mostMissed = Math.max(this.mostMissed, missed);
      sum += cost;
      this.#askedAt[slot] = this.#stored;
    }
    this.#areSomeAsked = !areAll;
    if (areAll) this.#allAskedAt = this.#stored;
    return sum;
  }

  #grow(size: number): void {
    const askedAt = new Float64Array(Math.max(size, 2 * this.#askedAt.length));
    askedAt.set(this.#askedAt);
    this.#askedAt = askedAt;
  }
}
