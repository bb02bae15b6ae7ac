/**
 * The epoch of the state of each query slot. Query slots of one epoch form a group; groups are linked from
 * the oldest to the newest.
 *
 * Invariant: a query slot moves to the newest epoch or to none, so a new group is always the last one.
 * Finding the oldest group, and moving a query slot, takes the same time however many there are.
 */

/** The epoch of a query slot without a state. */
export const MISSING = -1;
/** No query slot, in the links. */
const NONE = -1;

/** Query slots whose states are of one epoch. */
export interface EpochGroup {
  readonly epoch: number;
  /** Query slots in the group; at least one. */
  readonly count: number;
}

interface Group {
  epoch: number;
  count: number;
  /** The first query slot of its list. */
  first: number;
  /** A list that is known to name all of its query slots in ascending order; null if none is. */
  whole: Uint32Array | null;
  older: Group | null;
  newer: Group | null;
}

/** Epochs by query slot. */
export class StateEpochs {
  readonly #groups: (Group | null)[] = [];
  /** The query slots before and after each one in the list of its group. */
  #before = new Int32Array(0);
  #after = new Int32Array(0);
  #oldest: Group | null = null;
  #newest: Group | null = null;

  /** The group of the oldest epoch; null when there is no state. */
  get oldest(): EpochGroup | null {
    return this.#oldest;
  }

  /** The group of the newest epoch that a state is of. */
  get newest(): EpochGroup | null {
    return this.#newest;
  }

  /** The epoch of a query slot's state, or {@link MISSING}. */
  epochOf(slot: number): number {
    return this.#groups[slot]?.epoch ?? MISSING;
  }

  /** The epochs that states are of, ascending. */
  epochs(): Float64Array {
    const epochs: number[] = [];
    for (let group = this.#oldest; group; group = group.newer) epochs.push(group.epoch);
    return new Float64Array(epochs);
  }

  /** The query slots of the oldest epoch, ascending; none when there is no state. */
  oldestSlots(): Uint32Array {
    const group = this.#oldest;
    const slots = new Uint32Array(group?.count ?? 0);
    let slot = group?.first ?? NONE;
    for (let at = 0; at < slots.length; at++, slot = this.#after[slot]) slots[at] = slot;
    return slots.sort();
  }

  /** Moves query slots to `epoch`, which must be the newest, or to {@link MISSING}. */
  move(slots: Uint32Array, epoch: number): void {
    const last = this.#newest;
    if (epoch !== MISSING && last?.epoch !== epoch && this.#areWhole(slots, last)) {
      last.epoch = epoch;
      last.whole = slots;
      return;
    }
    for (const slot of slots) {
      const group = this.#groups[slot] ?? null;
      if ((group?.epoch ?? MISSING) === epoch) continue;
      if (slot >= this.#before.length) this.#grow(slot + 1);
      if (group) this.#leave(slot, group);
      if (epoch !== MISSING) this.#join(slot, this.#groupOf(epoch));
    }
  }

  /** Moves all query slots of epoch `from` to `to`, which must be the newest, if they are the newest group. */
  renew(from: number, to: number): void {
    if (this.#newest?.epoch === from) this.#newest.epoch = to;
  }

  /** The epoch of a list that was moved as a whole, and is a group still; else null. Lists stay as they are. */
  epochOfWhole(slots: Uint32Array): number | null {
    return this.#newest !== null && this.#newest.whole === slots ? this.#newest.epoch : null;
  }

  /** Whether ascending query slots are all of a group. */
  #areWhole(slots: Uint32Array, group: Group | null): group is Group {
    if (slots.length !== group?.count) return false;
    if (group.whole === slots) return true;
    for (let at = 0; at < slots.length; at++) {
      if (this.#groups[slots[at]] !== group || (at > 0 && slots[at] <= slots[at - 1])) return false;
    }
    return true;
  }

  /** The group of the newest epoch. */
  #groupOf(epoch: number): Group {
    const last = this.#newest;
    if (last?.epoch === epoch) return last;
    const group: Group = { epoch, count: 0, first: NONE, whole: null, older: last, newer: null };
    if (last) last.newer = group;
    else this.#oldest = group;
    this.#newest = group;
    return group;
  }

  #join(slot: number, group: Group): void {
    this.#before[slot] = NONE;
    this.#after[slot] = group.first;
    if (group.first !== NONE) this.#before[group.first] = slot;
    group.first = slot;
    group.whole = null;
    group.count++;
    this.#groups[slot] = group;
  }

  #leave(slot: number, group: Group): void {
    const before = this.#before[slot], after = this.#after[slot];
    if (before === NONE) group.first = after;
    else this.#after[before] = after;
    if (after !== NONE) this.#before[after] = before;
    this.#groups[slot] = null;
    group.whole = null;
    if (--group.count > 0) return;
    if (group.older) group.older.newer = group.newer;
    else this.#oldest = group.newer;
    if (group.newer) group.newer.older = group.older;
    else this.#newest = group.older;
  }

  #grow(size: number): void {
    const capacity = Math.max(size, 2 * this.#before.length);
    const before = new Int32Array(capacity), after = new Int32Array(capacity);
    before.set(this.#before);
    after.set(this.#after);
    this.#before = before;
    this.#after = after;
  }
}
