/**
 * The history of the key slots, as far as the states of standing queries need it, and the epoch of each
 * state.
 *
 * An *epoch* is the number of batches stored so far. A batch leaves an entry for each of its key slots whose
 * previous row some state still includes; the backend retains that row under the id in the entry. Invariant:
 * for a state of epoch v, the first entry of a key slot that is newer than v names the row that the state
 * includes for it, and a key slot without such an entry has not changed since v.
 *
 * Entries that only the oldest states needed lie at the front and are dropped together with those states. The
 * others stay until the number of entries has doubled. So the cost of a batch, or of moving r states to
 * another epoch, does not depend on the number of query slots.
 */

import type { Cohort, RowSource, Since } from "../backends/backend.ts";
import { NO_ROW, NOTHING } from "../backends/since.ts";
import { SinceList } from "./since_list.ts";
import { inSlotOrder } from "./slot_order.ts";
import { MISSING, StateEpochs } from "./state_epochs.ts";
import { WordPages } from "./word_pages.ts";

/** The stored and the retained rows of keys, which a history compares. */
export interface HistoryRows {
  readonly keys: RowSource;
  readonly retained: RowSource;
}

/** A cohort with the epoch of its states. */
export interface DatedCohort extends Cohort {
  readonly epoch: number;
}

/** Query slots sorted by epoch. */
export interface Standing {
  /** Query slots without a state. */
  readonly missing: Uint32Array;
  readonly cohorts: readonly DatedCohort[];
}

/** With fewer entries, clearing up is not worth its time. */
const FEW_ENTRIES = 64;
const NO_QUERIES = new Uint32Array(0), NO_IDS = new Uint32Array(0);
/** Lists of changes that are kept, for how many batches without a question, and up to how large a batch. */
const MOST_KEPT = 16, KEPT_BATCHES = 64, MOST_KEPT_CHANGES = 64;

/** Entries and epochs of one engine. */
export class KeyHistory {
  readonly #rows: HistoryRows;
  readonly #scratch: Float32Array;
  readonly #pages = new WordPages();
  /** Whether a key slot that holds its earlier row again counts as unchanged. */
  readonly #forgetsUndone: boolean;
  #epoch = 0;
  readonly #epochs = new StateEpochs();
  /** By query slot, the call of `standing` in which it was last met. */
  #asked = new Float64Array(0);
  #question = 0;
  /** Changes of entries or epochs so far. */
  changes = 0;
  // Entries from index `#first` on, the oldest first.
  #first = 0;
  #entryEpochs: number[] = [];
  #entrySlots: number[] = [];
  #entryIds: number[] = [];
  /** The epoch of the previous entry of the same key slot; 0 for its first entry. */
  #entryBefore: number[] = [];
  /** The epoch of each key slot's last entry. */
  readonly #changedAt = new Map<number, number>();
  readonly #freeIds: number[] = [];
  /** Ids freed since the last call of `takeFreed`. The backend still holds the rows under them. */
  #freed: number[] = [];
  #idsGiven = 0;
  #entriesLeft = 0;
  // Results since the last batch: changes by epoch, and whether a key slot differs from a retained row, by
  // the row's id.
  readonly #since = new Map<number, Since>();
  /** Lists that grow instead of being made anew, by epoch. */
  readonly #kept = new Map<number, SinceList>();
  /** The last batches, which kept lists lack that have not been asked for since. */
  readonly #batches: { readonly slots: Uint32Array; readonly retained: Uint32Array }[] = [];
  readonly #changed = new Map<number, boolean>();

  /** `width` is the number of columns of a row `[key | value]`. */
  constructor(rows: HistoryRows, width: number, forgetsUndone: boolean) {
    this.#rows = rows;
    this.#scratch = new Float32Array(width);
    this.#forgetsUndone = forgetsUndone;
  }

  /** Batches stored. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The number of rows that the backend retains. */
  get retainedCount(): number {
    return this.#idsGiven - this.#freeIds.length;
  }

  /** States of the newest epoch. */
  get currentCount(): number {
    const newest = this.#epochs.newest;
    return newest?.epoch === this.#epoch ? newest.count : 0;
  }

  /** Whether every state is of the newest epoch. */
  get isCurrent(): boolean {
    const { oldest } = this.#epochs;
    return oldest === null || oldest.epoch === this.#epoch;
  }

  /** Whether the entries have doubled since they were last cleared up. */
  get isGrown(): boolean {
    return this.#entryCount > 2 * this.#entriesLeft + FEW_ENTRIES;
  }

  /** Gives an id to each row that a batch is about to replace; `NO_ROW` to those that no state includes. */
  prepare(slots: Uint32Array): Uint32Array {
    const newest = this.#epochs.newest?.epoch ?? MISSING;
    const retained = new Uint32Array(slots.length);
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t], isHeld = newest >= (this.#changedAt.get(slot) ?? 0);
      const isRetained = isHeld && this.#rows.keys.isLive(slot);
      retained[t] = isRetained ? this.#freeIds.pop() ?? this.#idsGiven++ : NO_ROW;
    }
    return retained;
  }

  /** Takes back `prepare` after the batch failed; the rows in `dropped` may not have been wiped. */
  abandon(retained: Uint32Array, dropped: Uint32Array): void {
    for (const retainedId of retained) this.#free(retainedId);
    for (const retainedId of dropped) this.#freed.push(retainedId);
  }

  /** Notes a stored batch; the query slots in `lost` have no state from then on. */
  commit(slots: Uint32Array, retained: Uint32Array, lost: Uint32Array): void {
    this.changes++;
    const newest = this.#epochs.newest?.epoch ?? MISSING;
    this.#epoch++;
    // Where no key has changed, current states have missed nothing.
    if (slots.length === 0) this.#epochs.renew(this.#epoch - 1, this.#epoch);
    this.#since.clear();
    this.#changed.clear();
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t], before = this.#changedAt.get(slot) ?? 0;
      if (newest < before) continue;
      this.#entryBefore.push(before);
      this.#entryEpochs.push(this.#epoch);
      this.#entrySlots.push(slot);
      this.#entryIds.push(retained[t]);
      this.#changedAt.set(slot, this.#epoch);
    }
    this.#keepBatch(slots, retained);
    this.lose(lost);
  }

  /** Notes that the states of these query slots are of the newest epoch. */
  reach(queries: Uint32Array): void {
    this.#move(queries, this.#epoch);
  }

  /** Notes that these query slots have no state. */
  lose(queries: Uint32Array): void {
    this.#move(queries, MISSING);
  }

  /** The epoch of a query slot's state; less than any other where there is none. */
  epochOf(query: number): number {
    return this.#epochs.epochOf(query);
  }

  /** The ids freed since the last call. Their rows must be wiped before the ids are given out again. */
  takeFreed(): Uint32Array {
    if (this.#freed.length === 0) return NO_IDS;
    const freed = new Uint32Array(this.#freed);
    this.#freed = [];
    return freed;
  }

  /** The same changes in the order of their slots. */
  inSlotOrder(since: Since): Since {
    return inSlotOrder(since, this.#pages);
  }

  /** Sorts query slots by the epochs of their states; a slot that occurs twice comes once. */
  standing(queries: Uint32Array): Standing {
    const shared = this.#sharedEpoch(queries);
    if (shared !== null) {
      return shared === MISSING
        ? { missing: queries, cohorts: [] }
        : { missing: NO_QUERIES, cohorts: [{ epoch: shared, queries, since: this.since(shared) }] };
    }
    const groups = new Map<number, number[]>();
    let last = NaN, group: number[] = [];
    this.#question++;
    for (const query of queries) {
      if (query >= this.#asked.length) this.#grow(query + 1);
      if (this.#asked[query] === this.#question) continue;
      this.#asked[query] = this.#question;
      const epoch = this.epochOf(query);
      if (epoch !== last) {
        group = groups.get(epoch) ?? [];
        groups.set(epoch, group);
        last = epoch;
      }
      group.push(query);
    }
    const missing = new Uint32Array(groups.get(MISSING) ?? []);
    groups.delete(MISSING);
    const cohorts = Array.from(groups, ([epoch, group]) => {
      return { epoch, queries: new Uint32Array(group), since: this.since(epoch) };
    });
    return { missing, cohorts };
  }

  /**
   * The epoch that all of these query slots share, if they are in ascending order without repetition; else
   * null.
   */
  #sharedEpoch(queries: Uint32Array): number | null {
    if (queries.length === 0) return null;
    const known = this.#epochs.epochOfWhole(queries);
    if (known !== null) return known;
    const epoch = this.epochOf(queries[0]);
    for (let at = 1; at < queries.length; at++) {
      if (queries[at] <= queries[at - 1] || this.epochOf(queries[at]) !== epoch) return null;
    }
    return epoch;
  }

  /** The key slots that have changed since an epoch, in any order. */
  since(epoch: number): Since {
    if (epoch === this.#epoch) return NOTHING;
    const known = this.#since.get(epoch);
    if (known) return known;
    let list = this.#kept.get(epoch);
    if (list) this.#extend(list);
    else {
      const first = this.#firstAfter(epoch);
      list = new SinceList(this.#pages, this.#entrySlots.length - first);
      for (let at = first; at < this.#entrySlots.length; at++) {
        if (this.#entryBefore[at] > epoch) continue;
        const slot = this.#entrySlots[at], retainedId = this.#entryIds[at];
        if (this.#isChanged(slot, retainedId)) list.append(slot, retainedId);
        else list.add(slot, retainedId, false);
      }
      if (this.#kept.size === MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? NaN);
      this.#kept.set(epoch, list);
    }
    list.asked = this.#epoch;
    const since = list.toSince();
    this.#since.set(epoch, since);
    return since;
  }

  /** Keeps a batch for the lists that are asked for later, and forgets lists that nobody has asked for long. */
  #keepBatch(slots: Uint32Array, retained: Uint32Array): void {
    if (slots.length > MOST_KEPT_CHANGES) this.#kept.clear();
    for (const [epoch, { asked }] of this.#kept) {
      if (this.#epoch - asked > KEPT_BATCHES) this.#kept.delete(epoch);
    }
    if (this.#kept.size === 0) this.#batches.length = 0;
    // The caller uses its list of slots again.
    else if (this.#batches.push({ slots: slots.slice(), retained }) > KEPT_BATCHES) this.#batches.shift();
  }

  /** Brings a kept list up to the batches that were stored since it was asked for. */
  #extend(list: SinceList): void {
    const batches = this.#batches;
    for (let at = batches.length - (this.#epoch - list.asked); at < batches.length; at++) {
      const { slots, retained } = batches[at];
      for (let t = 0; t < slots.length; t++) {
        const slot = slots[t], id = list.idOf(slot) ?? retained[t];
        list.add(slot, id, this.#isChanged(slot, id));
      }
    }
  }

  /** The states of the oldest epoch; null when all are of the newest, or there is none. */
  oldest(): DatedCohort | null {
    const { oldest } = this.#epochs;
    if (oldest === null || oldest.epoch === this.#epoch) return null;
    const { epoch } = oldest;
    return { epoch, queries: this.#epochs.oldestSlots(), since: this.since(epoch) };
  }

  /** Gives up all states that have missed `changes` changed key slots or more. */
  loseBehind(changes: number): void {
    const epochs = this.#epochs.epochs();
    // The number of key slots that have changed since each epoch, as differences from one epoch to the next.
    const missed = new Int32Array(epochs.length + 1);
    for (let at = this.#first; at < this.#entrySlots.length; at++) {
      if (!this.#isChanged(this.#entrySlots[at], this.#entryIds[at])) continue;
      missed[firstAtLeast(epochs, this.#entryBefore[at])]++;
      missed[firstAtLeast(epochs, this.#entryEpochs[at])]--;
    }
    for (let at = 0, sum = 0; at < epochs.length; at++) {
      sum += missed[at];
      if (sum < changes || epochs[at] === this.#epoch) return;
      this.lose(this.#epochs.oldestSlots());
    }
  }

  /** Drops entries that no state needs: those with no state between the slot's previous entry and them. */
  clearUp(): void {
    this.changes++;
    this.#since.clear();
    this.#kept.clear();
    const epochs = this.#epochs.epochs();
    const lastNeeded = new Map<number, number>();
    let left = 0;
    for (let at = this.#first; at < this.#entrySlots.length; at++) {
      const slot = this.#entrySlots[at], epoch = this.#entryEpochs[at];
      const before = lastNeeded.get(slot) ?? 0;
      if (!hasBetween(epochs, before, epoch)) {
        this.#free(this.#entryIds[at]);
        continue;
      }
      lastNeeded.set(slot, epoch);
      this.#entryEpochs[left] = epoch;
      this.#entrySlots[left] = slot;
      this.#entryIds[left] = this.#entryIds[at];
      this.#entryBefore[left] = before;
      left++;
    }
    this.#cutEntries(left);
    this.#entriesLeft = left;
    this.#changedAt.clear();
    for (const [slot, epoch] of lastNeeded) this.#changedAt.set(slot, epoch);
  }

  get #entryCount(): number {
    return this.#entrySlots.length - this.#first;
  }

  /** The first entry that is newer than an epoch. */
  #firstAfter(epoch: number): number {
    let low = this.#first, high = this.#entryEpochs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entryEpochs[middle] > epoch) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #isChanged(slot: number, retainedId: number): boolean {
    const { keys } = this.#rows;
    if (retainedId === NO_ROW) return keys.isLive(slot);
    if (!this.#forgetsUndone || !keys.isLive(slot)) return true;
    let isChanged = this.#changed.get(retainedId);
    if (isChanged === undefined) this.#changed.set(retainedId, isChanged = this.#differs(slot, retainedId));
    return isChanged;
  }

  #differs(slot: number, retainedId: number): boolean {
    const { keys, retained } = this.#rows, last = this.#scratch.length - 1;
    // A number of the value or of the key usually differs, and comparing two is cheaper than the copy below.
    if (keys.element(slot, last) !== retained.element(retainedId, last)) return true;
    if (keys.element(slot, 0) !== retained.element(retainedId, 0)) return true;
    if (keys.position(slot) !== retained.position(retainedId)) return true;
    keys.copyRow(slot, this.#scratch, 0);
    const isEqual = retained.equalsRow(retainedId, this.#scratch, 0);
    this.#scratch.fill(0);
    return !isEqual;
  }

  #move(queries: Uint32Array, to: number): void {
    if (queries.length === 0) return;
    this.changes++;
    const oldest = this.#epochs.oldest?.epoch ?? MISSING;
    this.#epochs.move(queries, to);
    if (this.isCurrent) this.#dropAll();
    else if (this.#epochs.oldest?.epoch !== oldest) this.#dropFront();
  }

  /** Drops the entries before the oldest state. */
  #dropFront(): void {
    const oldest = this.#epochs.oldest?.epoch ?? MISSING;
    const end = this.#firstAfter(oldest);
    for (const epoch of this.#kept.keys()) if (epoch < oldest) this.#kept.delete(epoch);
    for (let at = this.#first; at < end; at++) {
      this.#free(this.#entryIds[at]);
      const slot = this.#entrySlots[at];
      if (this.#changedAt.get(slot) === this.#entryEpochs[at]) this.#changedAt.delete(slot);
    }
    this.#first = end;
    if (2 * this.#first > this.#entrySlots.length + FEW_ENTRIES) this.#closeGap();
  }

  #closeGap(): void {
    const left = this.#entryCount;
    for (const list of [this.#entryEpochs, this.#entrySlots, this.#entryIds, this.#entryBefore]) {
      list.copyWithin(0, this.#first);
    }
    this.#cutEntries(left);
  }

  /** Drops all entries. */
  #dropAll(): void {
    if (this.#entryCount === 0) return;
    for (let at = this.#first; at < this.#entryIds.length; at++) {
      if (this.#entryIds[at] !== NO_ROW) this.#freed.push(this.#entryIds[at]);
    }
    this.#freeIds.length = this.#idsGiven = 0;
    this.#cutEntries(0);
    this.#changedAt.clear();
    this.#since.clear();
    this.#kept.clear();
    this.#changed.clear();
    this.#entriesLeft = 0;
  }

  #cutEntries(count: number): void {
    this.#first = 0;
    this.#entryEpochs.length = this.#entrySlots.length = count;
    this.#entryIds.length = this.#entryBefore.length = count;
  }

  #grow(size: number): void {
    const asked = new Float64Array(Math.max(size, 2 * this.#asked.length));
    asked.set(this.#asked);
    this.#asked = asked;
  }

  #free(retainedId: number): void {
    if (retainedId === NO_ROW) return;
    this.#freeIds.push(retainedId);
    this.#freed.push(retainedId);
  }
}

/** Whether a sorted list has a number from `low` to less than `high`. */
function hasBetween(sorted: Float64Array, low: number, high: number): boolean {
  const at = firstAtLeast(sorted, low);
  return at < sorted.length && sorted[at] < high;
}

/** Where the first number of a sorted list is that is not less than `low`. */
function firstAtLeast(sorted: Float64Array, low: number): number {
  let from = 0, to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle] < low) from = middle + 1;
    else to = middle;
  }
  return from;
}
