/**
 * Which slots are live, as of the newest edit, and the position that the next row takes if it is given none. Numbers are
 * given out 0, 1, 2, … and again when they are free, the one freed last first. A batch of changes can be taken back as a
 * whole.
 */

import { CapacityError } from "../base/errors.ts";
import { type RowId, RowIds, type SavedIds } from "./row_ids.ts";

/** All that a table holds. */
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

/** Is told of rows that are gone. */
export interface SlotWatcher {
  /** The row of `slot` was deleted, for good; another one may hold the slot by now. */
  released(slot: number): void;
}

/** Live slots of one kind of row. */
export class SlotTable {
  /** One more than the largest number ever given out. */
  size: number;
  /** Live slots. */
  count: number;
  /** Names of the rows; null where they are called by their slots. */
  readonly ids: RowIds | null;
  #live: Uint8Array<ArrayBuffer>;
  readonly #free: number[] = [];
  /** Of rows that came after the start. */
  readonly #identities = new Map<number, number>();
  #allocations = 0;
  #nextPosition: number;
  #journal: (() => void)[] | null = null;
  /** Slots released by a batch that may still be taken back. */
  readonly #released: number[] = [];
  readonly #watchers = new Set<WeakRef<SlotWatcher>>();

  /** Slots 0, 1, 2, … are live, a position each, and named by `ids` if there are any. */
  constructor(positions: Float64Array, ids: RowIds | null = null) {
    this.ids = ids;
    this.size = this.count = positions.length;
    this.#live = new Uint8Array(positions.length).fill(1);
    this.#nextPosition = positions.reduce((next, position) => Math.max(next, position + 1), 0);
  }

  /** A table that goes on where another one was. */
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

  /** What `restore` makes the same table of; a copy. */
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

  isLive(slot: number): boolean {
    // Anything may come from a caller; "3" would index as well as 3.
    return typeof slot === "number" && this.#live[slot] === 1;
  }

  /** The identity of the row that came last; 0 for all that were there at the start. */
  get newestIdentity(): number {
    return this.#allocations;
  }

  /** Tells the row of a live slot from all that held the slot before it; rows that come later have larger ones. */
  identityOf(slot: number): number {
    return this.#identities.get(slot) ?? 0;
  }

  /** Whether a live row is called so. */
  has(name: RowId): boolean {
    return this.ids ? this.ids.slotOf(name) !== undefined : this.isLive(name as number);
  }

  /** What the row in a live slot is called: its id, or the slot where rows have none. */
  nameOf(slot: number): RowId {
    return this.ids ? this.ids.of(slot) : slot;
  }

  /** What the live rows are called, in ascending order of their slots. */
  names(): RowId[] {
    return Array.from(this.liveSlots(), (slot) => this.nameOf(slot));
  }

  /** Gives out a slot for a row at `position`, which is to be called `id` where rows have ids of the caller's. */
  allocate(position: number, id?: RowId): number {
    // Memory may be refused here, before the first change.
    if (this.next >= this.#live.length) this.#grow();
    const nextPosition = this.#nextPosition;
    this.#nextPosition = Math.max(nextPosition, position + 1);
    const reused = this.#free.pop();
    const slot = reused ?? this.size++;
    this.#live[slot] = 1;
    this.count++;
    const identity = this.#identities.get(slot);
    this.#identities.set(slot, ++this.#allocations);
    this.ids?.bind(slot, id);
    this.#journal?.push(() => {
      this.ids?.undoBind(slot);
      this.#nextPosition = nextPosition;
      if (identity === undefined) this.#identities.delete(slot);
      else this.#identities.set(slot, identity);
      this.#live[slot] = 0;
      this.count--;
      if (reused === undefined) this.size--;
      else this.#free.push(slot);
    });
    return slot;
  }

  /** A live row has moved to `position`. */
  reach(position: number): void {
    const nextPosition = this.#nextPosition;
    if (position < nextPosition) return;
    this.#nextPosition = position + 1;
    this.#journal?.push(() => this.#nextPosition = nextPosition);
  }

  /** Takes back a live slot. */
  release(slot: number): void {
    const id = this.ids?.of(slot);
    this.ids?.unbind(slot);
    this.#live[slot] = 0;
    this.count--;
    this.#free.push(slot);
    this.#released.push(slot);
    if (!this.#journal) return this.#tellWatchers();
    this.#journal.push(() => {
      if (id !== undefined) this.ids?.bind(slot, id);
      this.#live[slot] = 1;
      this.count++;
      this.#free.pop();
      this.#released.pop();
    });
  }

  /** Tells `watcher`, which is held weakly, of every row that is deleted from now on. */
  watch(watcher: SlotWatcher): void {
    this.#watchers.add(new WeakRef(watcher));
  }

  /** The live slots in ascending order. */
  liveSlots(): Uint32Array<ArrayBuffer> {
    const slots = new Uint32Array(this.count);
    let at = 0;
    for (let slot = 0; slot < this.size; slot++) if (this.#live[slot] === 1) slots[at++] = slot;
    return slots;
  }

  /** Runs `changes`; when it throws, the table is as it was. */
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
