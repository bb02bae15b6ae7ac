/**
 * Which slots are live, as of the newest edit. Numbers are given out 0, 1, 2, … and again when they are free,
 * the one freed last first. A batch of changes can be taken back as a whole.
 */

/** Live slots of one kind of row. */
export class SlotTable {
  /** One more than the largest number ever given out. */
  size: number;
  /** Live slots. */
  count: number;
  #live: Uint8Array<ArrayBuffer>;
  readonly #free: number[] = [];
  #journal: (() => void)[] | null = null;

  /** Slots 0 … count − 1 are live. */
  constructor(count: number) {
    this.size = count;
    this.count = count;
    this.#live = new Uint8Array(count).fill(1);
  }

  isLive(slot: number): boolean {
    // Anything may come from a caller; "3" would index as well as 3.
    return typeof slot === "number" && this.#live[slot] === 1;
  }

  /** Gives out a slot. */
  allocate(): number {
    const reused = this.#free.pop();
    const slot = reused ?? this.size++;
    if (slot >= this.#live.length) this.#grow();
    this.#live[slot] = 1;
    this.count++;
    this.#journal?.push(() => {
      this.#live[slot] = 0;
      this.count--;
      if (reused === undefined) this.size--;
      else this.#free.push(slot);
    });
    return slot;
  }

  /** Takes back a live slot. */
  release(slot: number): void {
    this.#live[slot] = 0;
    this.count--;
    this.#free.push(slot);
    this.#journal?.push(() => {
      this.#live[slot] = 1;
      this.count++;
      this.#free.pop();
    });
  }

  /** The live slots in ascending order. */
  liveSlots(): Uint32Array {
    const slots = new Uint32Array(this.count);
    let at = 0;
    for (let slot = 0; slot < this.size; slot++) if (this.#live[slot] === 1) slots[at++] = slot;
    return slots;
  }

  /** Runs `changes`; when it throws, the table is as it was. */
  atomically<T>(changes: () => T): T {
    const journal: (() => void)[] = [];
    this.#journal = journal;
    try {
      return changes();
    } catch (error) {
      while (journal.length > 0) journal.pop()?.();
      throw error;
    } finally {
      this.#journal = null;
    }
  }

  #grow(): void {
    const live = new Uint8Array(Math.max(16, 2 * this.#live.length));
    live.set(this.#live);
    this.#live = live;
  }
}
