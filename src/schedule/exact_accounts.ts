/**
 * Accounts of what exact answers would have cost: for each query slot, how many changed key slots it has missed since it was
 * last asked for, and what catching up with it would cost by now.
 *
 * Invariant: a query slot that was never asked for counts as asked for when the accounts were begun.
 */

/** The accounts of one engine. */
export class ExactAccounts {
  /** The cost of exact answers of one query slot that has missed so many changed key slots. */
  readonly #costOf: (missed: number) => number;
  /** Changed key slots stored so far, and when the accounts were begun. */
  #stored = 0;
  #begunAt = 0;
  /** Key slots that have changed since `forgetChanged`, where somebody wants to know. */
  readonly #changed = new Set<number>();
  /** By query slot, how many had been stored when it was last asked for, and what catching up would have cost then. */
  #askedAt = new Float64Array(0);
  #owed = new Float64Array(0);

  constructor(costOf: (missed: number) => number) {
    this.#costOf = costOf;
  }

  get bytes(): number {
    return 2 * this.#askedAt.byteLength;
  }

  /** The number of changed key slots stored so far. */
  get stored(): number {
    return this.#stored;
  }

  /** Notes a stored batch; `keepsSlots` says whether which key slots have changed is wanted. */
  noteStored(keys: Uint32Array, keepsSlots: boolean): void {
    this.#stored += keys.length;
    if (keepsSlots) { for (const slot of keys) this.#changed.add(slot); }
  }

  /** Begins anew, as if all query slots, those to come too, had been asked for now. */
  begin(): void {
    this.#changed.clear();
    this.#begunAt = this.#stored;
    this.#askedAt.fill(this.#begunAt);
    this.#owed.fill(0);
  }

  /** The cost of exact answers of query slots if they had been exact when they were last asked for. */
  costOf(slots: Uint32Array): number {
    let sum = 0, last = NaN, cost = 0;
    for (const slot of slots) {
      if (slot >= this.#askedAt.length) this.#grow(slot + 1);
      const missed = this.#stored - this.#askedAt[slot];
      if (missed !== last) cost = this.#costOf(last = missed);
      sum += cost;
    }
    return sum;
  }

  /** Notes that query slots, of which the cost was asked, have been answered now. */
  answered(slots: Uint32Array): void {
    for (const slot of slots) this.#askedAt[slot] = this.#stored;
  }

  /**
   * By how much the cost of catching up with query slots has grown since this was last asked of them; `knownBy` tells how many
   * changed key slots what is kept of a query slot includes.
   */
  settle(slots: Uint32Array, knownBy: (slot: number) => number): number {
    let grown = 0, last = NaN, debt = 0;
    for (const slot of slots) {
      const missed = Math.min(this.#changed.size, this.#stored - knownBy(slot));
      if (missed !== last) debt = this.#costOf(last = missed);
      grown += debt - this.#owed[slot];
      this.#owed[slot] = debt;
    }
    return grown;
  }

  #grow(size: number): void {
    const capacity = Math.max(size, 2 * this.#askedAt.length);
    const askedAt = new Float64Array(capacity).fill(this.#begunAt), owed = new Float64Array(capacity);
    askedAt.set(this.#askedAt);
    owed.set(this.#owed);
    this.#askedAt = askedAt;
    this.#owed = owed;
  }
}
