/**
 * The table of live slots of one kind of row, as of the newest edit, and the position that the next row takes
 * if the caller gives none. Slot numbers are given out 0, 1, 2, …; freed numbers are reused first, the one
 * freed last before the others. A batch of changes can be taken back as a whole.
 */

import { CapacityError } from "../base/errors.ts";
import { type RowId, RowIds, type SavedIds } from "./row_ids.ts";

/** The content of a table, as a snapshot holds it. */
export interface SlotNumbers {
  /** One more than the largest number ever given out. */
  readonly size: number;
  /** Numbers below `size` that are not live, in the order in which they were freed. */
  readonly free: Uint32Array;
  /** One more than the largest position so far. */
  readonly nextPosition: number;
  /** Names of the rows; null where they have none. */
  readonly ids: SavedIds | null;
}

/** A listener for deleted rows. */
export interface SlotWatcher {
  /** Called after the row of `slot` was deleted for good; another row may hold the slot by now. */
  released(slot: number): void;
}

/** The live slots of one kind of row. */
export class SlotTable {
  /** One more than the largest number ever given out. */
  size: number;
  /** The number of live slots. */
  count: number;
  /** Names of the rows; null where they are called by their slots. */
  readonly ids: RowIds | null;
  #live: Uint8Array<ArrayBuffer>;
  readonly #free: number[] = [];
  /** Identities of the rows that were inserted after the start, by slot. */
  readonly #identities = new Map<number, number>();
  #allocations = 0;
  #nextPosition: number;
  #journal: (() => void)[] | null = null;
  /** Slots that a batch has released, while the batch may still be taken back. */
  readonly #released: number[] = [];
  readonly #watchers = new Set<WeakRef<SlotWatcher>>();
  /** The live slots, until one is given out or freed. */
  #listed: Uint32Array<ArrayBuffer> | null = null;

  /** Slots 0, 1, 2, … are live, a position each, and named by `ids` if there are any. */
  constructor(positions: Float64Array, ids: RowIds | null = null) {
    this.ids = ids;
    this.size = this.count = positions.length;
    this.#live = new Uint8Array(positions.length).fill(1);
    this.#nextPosition = positions.reduce((next, position) => Math.max(next, position + 1), 0);
  }

  /** A table with the content that `save` of another one returned. */
  static restore({ size, free, nextPosition, ids }: SlotNumbers): SlotTable {
    const table = new SlotTable(new Float64Array(size), ids && RowIds.restore(ids));
    for (const slot of free) {
      table.#live[slot] = 0;
      table.#free.push(slot);
    }
    table.count -= free.length;
    table.#nextPosition = nextPosition;
    return table;
  }

  /** A copy of the content, for `restore`. */
  save(): SlotNumbers {
    return {
      size: this.size,
      free: Uint32Array.from(this.#free),
      nextPosition: this.#nextPosition,
      ids: this.ids && this.ids.save(this.size),
    };
  }

  /** The slot that `allocate` would give out. */
  get next(): number {
    return this.#free.at(-1) ?? this.size;
  }

  /** One more than the largest position so far. */
  get nextPosition(): number {
    return this.#nextPosition;
  }

  /** Rows to come begin elsewhere, after a move of all rows at the end. */
  set nextPosition(position: number) {
    this.#nextPosition = position;
  }

  isLive(slot: number): boolean {
    // A caller may pass any value, and "3" would index like 3.
    return typeof slot === "number" && this.#live[slot] === 1;
  }

  /** The identity of the newest row; rows that were there at the start have 0. */
  get newestIdentity(): number {
    return this.#allocations;
  }

  /**
   * A number that tells the row of a live slot from earlier rows of the slot; later rows have larger numbers.
   */
  identityOf(slot: number): number {
    return this.#identities.get(slot) ?? 0;
  }

  /** Whether a live row is called so. */
  has(name: RowId): boolean {
    return this.ids ? this.ids.slotOf(name) !== undefined : this.isLive(name as number);
  }

  /** The id of the row in a live slot, or the slot if rows have no ids. */
  nameOf(slot: number): RowId {
    return this.ids ? this.ids.of(slot) : slot;
  }

  /** The ids of the live rows, in ascending order of their slots. */
  names(): RowId[] {
    return Array.from(this.liveSlots(), (slot) => this.nameOf(slot));
  }

  /** Gives out a slot for a row at `position`, with the id `id` if rows have ids of the caller's. */
  allocate(position: number, id?: RowId): number {
    // This may throw for want of memory, so it comes before the first change.
    if (this.next >= this.#live.length) this.#grow();
    const nextPosition = this.#nextPosition;
    this.#nextPosition = Math.max(nextPosition, position + 1);
    const reused = this.#free.pop();
    const slot = reused ?? this.size++;
    this.#mark(slot, 1);
    const identity = this.#identities.get(slot);
    this.#identities.set(slot, ++this.#allocations);
    this.ids?.bind(slot, id);
    this.#journal?.push(() => {
      this.ids?.undoBind(slot);
      this.#nextPosition = nextPosition;
      if (identity === undefined) this.#identities.delete(slot);
      else this.#identities.set(slot, identity);
      this.#mark(slot, 0);
      if (reused === undefined) this.size--;
      else this.#free.push(slot);
    });
    return slot;
  }

  /** A live row has moved to `position`. */
  reach(position: number): void {
    const nextPosition = this.#nextPosition;
    // A position may lie less than one below the next one.
    if (position + 1 <= nextPosition) return;
    this.#nextPosition = position + 1;
    this.#journal?.push(() => this.#nextPosition = nextPosition);
  }

  /** Frees a live slot. */
  release(slot: number): void {
    const id = this.ids?.of(slot);
    this.ids?.unbind(slot);
    this.#mark(slot, 0);
    this.#free.push(slot);
    this.#released.push(slot);
    if (!this.#journal) return this.#tellWatchers();
    this.#journal.push(() => {
      if (id !== undefined) this.ids?.bind(slot, id);
      this.#mark(slot, 1);
      this.#free.pop();
      this.#released.pop();
    });
  }

  /** Calls `watcher`, which is held weakly, for every row that is deleted from now on. */
  watch(watcher: SlotWatcher): void {
    this.#watchers.add(new WeakRef(watcher));
  }

  /** The live slots in ascending order, as an array of the receiver's. */
  liveSlots(): Uint32Array<ArrayBuffer> {
    return this.allSlots().slice();
  }

  /** The same, as an array that nobody may write to. */
  allSlots(): Uint32Array<ArrayBuffer> {
    if (this.#listed) return this.#listed;
    const slots = new Uint32Array(this.count);
    let at = 0;
    for (let slot = 0; slot < this.size; slot++) if (this.#live[slot] === 1) slots[at++] = slot;
    return this.#listed = slots;
  }

  #mark(slot: number, live: 0 | 1): void {
    this.#live[slot] = live;
    this.count += live === 1 ? 1 : -1;
    this.#listed = null;
  }

  /** Runs `changes`; if it throws, the table is restored. */
  atomically<T>(changes: () => T): T {
    const outer = this.#journal;
    const journal: (() => void)[] = [];
    this.#journal = journal;
    let result: T;
    try {
      result = changes();
      outer?.push(...journal);
    } catch (error) {
      while (journal.length > 0) journal.pop()?.();
      throw error;
    } finally {
      this.#journal = outer;
    }
    if (!outer) this.#tellWatchers();
    return result;
  }

  #tellWatchers(): void {
    for (const reference of this.#watchers) {
      const watcher = reference.deref();
      if (!watcher) this.#watchers.delete(reference);
      else for (const slot of this.#released) watcher.released(slot);
    }
    this.#released.length = 0;
  }

  #grow(): void {
    const capacity = Math.max(16, 2 * this.#live.length);
    const live = CapacityError.guard("edit", `${capacity} slots`, capacity, () => new Uint8Array(capacity));
    live.set(this.#live);
    this.#live = live;
  }
}
