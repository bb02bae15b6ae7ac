/**
 * The history of the keys, as far as the states of standing queries need it, and the moment of each state.
 *
 * A moment is a *version*, the number of batches stored until then. A batch leaves an entry for each of its slots
 * whose row before some state still holds; that row is kept under the number that the entry notes. Invariant: for a
 * state of version v, the first entry of a slot that is newer than v notes the row that the state holds in it, and a
 * slot without one has not changed since.
 *
 * Entries that only states older than all others needed are at the front and go as soon as those states do. Others wait
 * until entries have doubled. So a batch and a change of r states cost what they touch, whatever the number of queries.
 */

import type { Cohort, RowSource, Since } from "../backends/backend.ts";
import { NO_ROW } from "../backends/since.ts";
import { MISSING, RowVersions } from "./row_versions.ts";

/** Rows that a history compares. */
export interface HistoryRows {
  readonly keys: RowSource;
  readonly kept: RowSource;
}

/** A cohort and the version that its states are of. */
export interface DatedCohort extends Cohort {
  readonly version: number;
}

/** States asked about: those that have to be computed first, and the others by their moment. */
export interface Standing {
  /** Query slots without a state. */
  readonly missing: Uint32Array;
  readonly cohorts: readonly DatedCohort[];
}

/** Entries below which clearing up is not worth it. */
const FEW_ENTRIES = 64;
const NO_QUERIES = new Uint32Array(0);

/** The history of one engine's keys, as far as states need it. */
export class KeyHistory {
  readonly #rows: HistoryRows;
  readonly #scratch: Float32Array;
  /** Whether a slot that holds what it held before counts as unchanged. */
  readonly #forgetsUndone: boolean;
  #version = 0;
  readonly #versions = new RowVersions();
  /** By query slot, the question in which it was last sorted. */
  #asked = new Float64Array(0);
  #question = 0;
  // Entries, the oldest first, from `#first` on.
  #first = 0;
  #entryVersions: number[] = [];
  #entrySlots: number[] = [];
  #entryKept: number[] = [];
  /** The version of the entry of the same slot before this one, 0 where it is the slot's first. */
  #entryBefore: number[] = [];
  /** Version of a slot's last entry. */
  readonly #changedAt = new Map<number, number>();
  readonly #freeNumbers: number[] = [];
  /** Numbers that were freed since `takeFreed`: what lies under them is wanted no more, but still there. */
  #freed: number[] = [];
  #numbersGiven = 0;
  #entriesLeft = 0;
  // What was found out since the last batch: by version, and by the number of a kept row whether its slot has changed.
  readonly #since = new Map<number, Since>();
  readonly #changed = new Map<number, boolean>();

  /** Rows are `width` numbers. */
  constructor(rows: HistoryRows, width: number, forgetsUndone: boolean) {
    this.#rows = rows;
    this.#scratch = new Float32Array(width);
    this.#forgetsUndone = forgetsUndone;
  }

  /** Batches stored. */
  get version(): number {
    return this.#version;
  }

  /** Rows kept. */
  get keptCount(): number {
    return this.#numbersGiven - this.#freeNumbers.length;
  }

  /** States that hold the newest keys, as far as those are stored. */
  get currentCount(): number {
    const newest = this.#versions.newest;
    return newest?.version === this.#version ? newest.count : 0;
  }

  /** Whether every state there is holds the newest keys. */
  get isCurrent(): boolean {
    const { oldest } = this.#versions;
    return oldest === null || oldest.version === this.#version;
  }

  /** Whether entries have doubled since the last clearing up. */
  get isGrown(): boolean {
    return this.#entryCount > 2 * this.#entriesLeft + FEW_ENTRIES;
  }

  /** Numbers for the rows that a batch is about to replace, `NO_ROW` for those that no state holds. */
  prepare(slots: Uint32Array): Uint32Array {
    const newest = this.#versions.newest?.version ?? MISSING;
    return slots.map((slot) => {
      const isHeld = newest >= (this.#changedAt.get(slot) ?? 0);
      return isHeld && this.#rows.keys.isLive(slot)
        ? this.#freeNumbers.pop() ?? this.#numbersGiven++
        : NO_ROW;
    });
  }

  /** The batch was not stored, and perhaps nothing was wiped of what it was to wipe. */
  abandon(kept: Uint32Array, dropped: Uint32Array): void {
    for (const number of kept) this.#free(number);
    this.#freed.push(...dropped);
  }

  /** The batch was stored; states of the queries in `lost` are gone with it. */
  commit(slots: Uint32Array, kept: Uint32Array, lost: Uint32Array): void {
    const newest = this.#versions.newest?.version ?? MISSING;
    this.#version++;
    this.#since.clear();
    this.#changed.clear();
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t], before = this.#changedAt.get(slot) ?? 0;
      if (newest < before) continue;
      this.#entryBefore.push(before);
      this.#entryVersions.push(this.#version);
      this.#entrySlots.push(slot);
      this.#entryKept.push(kept[t]);
      this.#changedAt.set(slot, this.#version);
    }
    this.lose(lost);
  }

  /** The states of these queries hold the newest keys now. */
  reach(queries: Uint32Array): void {
    this.#move(queries, this.#version);
  }

  /** These queries have no state. */
  lose(queries: Uint32Array): void {
    this.#move(queries, MISSING);
  }

  /** The version of a query's state; less than any for one without. */
  versionOf(query: number): number {
    return this.#versions.versionOf(query);
  }

  /** Numbers that were freed since the last call: the rows under them are to be wiped before they are given out again. */
  takeFreed(): Uint32Array {
    const freed = Uint32Array.from(this.#freed);
    this.#freed = [];
    return freed;
  }

  /** Sorts queries by the moments of their states; one that is named twice comes once. */
  standing(queries: Uint32Array): Standing {
    const shared = this.#sharedVersion(queries);
    if (shared !== null) {
      return shared === MISSING
        ? { missing: queries, cohorts: [] }
        : { missing: NO_QUERIES, cohorts: [{ version: shared, queries, since: this.since(shared) }] };
    }
    const groups = new Map<number, number[]>();
    let last = NaN, group: number[] = [];
    this.#question++;
    for (const query of queries) {
      if (query >= this.#asked.length) this.#grow(query + 1);
      if (this.#asked[query] === this.#question) continue;
      this.#asked[query] = this.#question;
      const version = this.versionOf(query);
      if (version !== last) {
        group = groups.get(version) ?? [];
        groups.set(version, group);
        last = version;
      }
      group.push(query);
    }
    const missing = new Uint32Array(groups.get(MISSING) ?? []);
    groups.delete(MISSING);
    const cohorts = Array.from(groups, ([version, group]) => {
      return { version, queries: new Uint32Array(group), since: this.since(version) };
    });
    return { missing, cohorts };
  }

  /** The version that all of some queries have, which are in order, each named once; null when it is not so. */
  #sharedVersion(queries: Uint32Array): number | null {
    if (queries.length === 0) return null;
    const version = this.versionOf(queries[0]);
    for (let at = 1; at < queries.length; at++) {
      if (queries[at] <= queries[at - 1] || this.versionOf(queries[at]) !== version) return null;
    }
    return version;
  }

  /** What has happened since a version, in the order in which it first happened to each slot. */
  since(version: number): Since {
    const known = this.#since.get(version);
    if (known) return known;
    const slots: number[] = [], kept: number[] = [];
    for (let at = this.#firstAfter(version); at < this.#entrySlots.length; at++) {
      if (this.#entryBefore[at] > version) continue;
      const slot = this.#entrySlots[at], number = this.#entryKept[at];
      if (!this.#isChanged(slot, number)) continue;
      slots.push(slot);
      kept.push(number);
    }
    const since = { slots: new Uint32Array(slots), kept: new Uint32Array(kept) };
    this.#since.set(version, since);
    return since;
  }

  /** The states of the oldest moment; null when all are of the newest, or there is none. */
  oldest(): DatedCohort | null {
    const { oldest } = this.#versions;
    if (oldest === null || oldest.version === this.#version) return null;
    const { version } = oldest;
    return { version, queries: this.#versions.oldestRows(), since: this.since(version) };
  }

  /** Takes the state from all that have missed `changes` changed slots or more. */
  loseBehind(changes: number): void {
    const moments = this.#versions.versions();
    // How many slots have changed since each moment, as differences from one moment to the next.
    const missed = new Int32Array(moments.length + 1);
    for (let at = this.#first; at < this.#entrySlots.length; at++) {
      if (!this.#isChanged(this.#entrySlots[at], this.#entryKept[at])) continue;
      missed[firstAtLeast(moments, this.#entryBefore[at])]++;
      missed[firstAtLeast(moments, this.#entryVersions[at])]--;
    }
    for (let at = 0, sum = 0; at < moments.length; at++) {
      sum += missed[at];
      if (sum < changes || moments[at] === this.#version) return;
      this.lose(this.#versions.oldestRows());
    }
  }

  /** Drops what no state needs: an entry is needed while one is of a moment between the slot's last one and it. */
  clearUp(): void {
    this.#since.clear();
    const moments = this.#versions.versions();
    const lastNeeded = new Map<number, number>();
    let left = 0;
    for (let at = this.#first; at < this.#entrySlots.length; at++) {
      const slot = this.#entrySlots[at], version = this.#entryVersions[at];
      const before = lastNeeded.get(slot) ?? 0;
      if (!hasBetween(moments, before, version)) {
        this.#free(this.#entryKept[at]);
        continue;
      }
      lastNeeded.set(slot, version);
      this.#entryVersions[left] = version;
      this.#entrySlots[left] = slot;
      this.#entryKept[left] = this.#entryKept[at];
      this.#entryBefore[left] = before;
      left++;
    }
    this.#cutEntries(left);
    this.#entriesLeft = left;
    this.#changedAt.clear();
    for (const [slot, version] of lastNeeded) this.#changedAt.set(slot, version);
  }

  get #entryCount(): number {
    return this.#entrySlots.length - this.#first;
  }

  /** The first entry that is newer than a version. */
  #firstAfter(version: number): number {
    let low = this.#first, high = this.#entryVersions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entryVersions[middle] > version) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #isChanged(slot: number, number: number): boolean {
    const { keys } = this.#rows;
    if (number === NO_ROW) return keys.isLive(slot);
    if (!this.#forgetsUndone || !keys.isLive(slot)) return true;
    let isChanged = this.#changed.get(number);
    if (isChanged === undefined) this.#changed.set(number, isChanged = this.#differs(slot, number));
    return isChanged;
  }

  #differs(slot: number, number: number): boolean {
    const { keys, kept } = this.#rows;
    if (keys.position(slot) !== kept.position(number)) return true;
    // Mostly enough, and cheaper than the copy below.
    if (keys.element(slot, 0) !== kept.element(number, 0)) return true;
    keys.copyRow(slot, this.#scratch, 0);
    const isEqual = kept.equalsRow(number, this.#scratch, 0);
    this.#scratch.fill(0);
    return !isEqual;
  }

  #move(queries: Uint32Array, to: number): void {
    if (queries.length === 0) return;
    const oldest = this.#versions.oldest?.version ?? MISSING;
    this.#versions.move(queries, to);
    if (this.isCurrent) this.#dropAll();
    else if (this.#versions.oldest?.version !== oldest) this.#dropFront();
  }

  /** Drops the entries that only states older than all there are needed. */
  #dropFront(): void {
    const oldest = this.#versions.oldest?.version ?? MISSING;
    const end = this.#firstAfter(oldest);
    for (let at = this.#first; at < end; at++) {
      this.#free(this.#entryKept[at]);
      const slot = this.#entrySlots[at];
      if (this.#changedAt.get(slot) === this.#entryVersions[at]) this.#changedAt.delete(slot);
    }
    this.#first = end;
    if (2 * this.#first > this.#entrySlots.length + FEW_ENTRIES) this.#closeGap();
  }

  #closeGap(): void {
    const left = this.#entryCount;
    for (const list of [this.#entryVersions, this.#entrySlots, this.#entryKept, this.#entryBefore]) {
      list.copyWithin(0, this.#first);
    }
    this.#cutEntries(left);
  }

  /** Nobody needs the past any more. */
  #dropAll(): void {
    if (this.#entryCount === 0) return;
    for (let at = this.#first; at < this.#entryKept.length; at++) {
      if (this.#entryKept[at] !== NO_ROW) this.#freed.push(this.#entryKept[at]);
    }
    this.#freeNumbers.length = this.#numbersGiven = 0;
    this.#cutEntries(0);
    this.#changedAt.clear();
    this.#since.clear();
    this.#changed.clear();
    this.#entriesLeft = 0;
  }

  #cutEntries(count: number): void {
    this.#first = 0;
    this.#entryVersions.length = this.#entrySlots.length = count;
    this.#entryKept.length = this.#entryBefore.length = count;
  }

  #grow(size: number): void {
    const asked = new Float64Array(Math.max(size, 2 * this.#asked.length));
    asked.set(this.#asked);
    this.#asked = asked;
  }

  #free(number: number): void {
    if (number === NO_ROW) return;
    this.#freeNumbers.push(number);
    this.#freed.push(number);
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
