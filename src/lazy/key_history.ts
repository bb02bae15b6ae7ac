/**
 * Which moment the state of each standing query is of, and what has happened to the keys since.
 *
 * A moment is a *version*, the number of batches stored until then. A batch leaves an entry for each of its slots
 * whose row before some state still holds; that row is kept under the number that the entry notes. Invariant: for a
 * state of version v, the first entry of a slot that is newer than v notes the row that the state holds in it, and a
 * slot without one has not changed since.
 */

import type { Cohort, RowSource, Since } from "../backends/backend.ts";
import { NO_ROW } from "../backends/since.ts";

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

/** The version of a query that has no state. */
const MISSING = -1;
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
  /** By query slot. */
  #versions = new Float64Array(0);
  /** By query slot, the question in which it was last sorted. */
  #asked = new Float64Array(0);
  #question = 0;
  /** How many states are of a version. */
  readonly #population = new Map<number, number>();
  // Entries, the oldest first.
  #entryVersions: number[] = [];
  #entrySlots: number[] = [];
  #entryKept: number[] = [];
  /** The version of the entry of the same slot before this one, 0 where it is the slot's first. */
  #entryBefore: number[] = [];
  /** Version of a slot's last entry. */
  readonly #changedAt = new Map<number, number>();
  readonly #freeNumbers: number[] = [];
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
    return this.#population.get(this.#version) ?? 0;
  }

  /** Whether every state there is holds the newest keys. */
  get isCurrent(): boolean {
    return this.#population.size === (this.currentCount > 0 ? 1 : 0);
  }

  /** Numbers for the rows that a batch is about to replace, `NO_ROW` for those that no state holds. */
  prepare(slots: Uint32Array): Uint32Array {
    const newest = this.#newest();
    return slots.map((slot) => {
      const isHeld = newest >= (this.#changedAt.get(slot) ?? 0);
      return isHeld && this.#rows.keys.isLive(slot)
        ? this.#freeNumbers.pop() ?? this.#numbersGiven++
        : NO_ROW;
    });
  }

  /** The batch was not stored. */
  abandon(kept: Uint32Array): void {
    for (const number of kept) this.#free(number);
  }

  /** The batch was stored; states of the queries in `lost` are gone with it. */
  commit(slots: Uint32Array, kept: Uint32Array, lost: Uint32Array): void {
    const newest = this.#newest();
    this.#version++;
    this.#since.clear();
    this.#changed.clear();
    slots.forEach((slot, t) => {
      const before = this.#changedAt.get(slot) ?? 0;
      if (newest < before) return;
      this.#entryBefore.push(before);
      this.#entryVersions.push(this.#version);
      this.#entrySlots.push(slot);
      this.#entryKept.push(kept[t]);
      this.#changedAt.set(slot, this.#version);
    });
    this.lose(lost);
  }

  /** Whether entries have doubled since the last clearing up. */
  get isGrown(): boolean {
    return this.#entrySlots.length > 2 * this.#entriesLeft + FEW_ENTRIES;
  }

  /** The states of these queries hold the newest keys now. */
  reach(queries: Uint32Array): void {
    this.#move(queries, this.#version);
    if (!this.isCurrent || this.#entrySlots.length === 0) return;
    // Nobody needs the past any more.
    this.#freeNumbers.length = this.#numbersGiven = 0;
    this.#entryVersions = [];
    this.#entrySlots = [];
    this.#entryKept = [];
    this.#entryBefore = [];
    this.#changedAt.clear();
    this.#since.clear();
    this.#changed.clear();
    this.#entriesLeft = 0;
  }

  /** These queries have no state. */
  lose(queries: Uint32Array): void {
    this.#move(queries, MISSING);
  }

  /** The version of a query's state; less than any for one without. */
  versionOf(query: number): number {
    return this.#versions[query] ?? MISSING;
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
    if (queries.length === 0 || queries[queries.length - 1] >= this.#versions.length) return null;
    const version = this.#versions[queries[0]];
    for (let at = 1; at < queries.length; at++) {
      if (queries[at] <= queries[at - 1] || this.#versions[queries[at]] !== version) return null;
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
    let version = this.#version;
    for (const other of this.#population.keys()) version = Math.min(version, other);
    if (version === this.#version) return null;
    const queries: number[] = [];
    this.#versions.forEach((other, query) => {
      if (other === version) queries.push(query);
    });
    return { version, queries: new Uint32Array(queries), since: this.since(version) };
  }

  #newest(): number {
    let newest = MISSING;
    for (const version of this.#population.keys()) newest = Math.max(newest, version);
    return newest;
  }

  /** The first entry that is newer than a version. */
  #firstAfter(version: number): number {
    let low = 0, high = this.#entryVersions.length;
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
    return !kept.equalsRow(number, this.#scratch, 0);
  }

  #move(queries: Uint32Array, to: number): void {
    let moved = 0, from = MISSING, left = 0;
    const leave = () => {
      if (left === 0 || from === MISSING) return;
      const rest = (this.#population.get(from) as number) - left;
      if (rest > 0) this.#population.set(from, rest);
      else this.#population.delete(from);
    };
    for (const query of queries) {
      if (query >= this.#versions.length) this.#grow(query + 1);
      const version = this.#versions[query];
      if (version === to) continue;
      if (version !== from) {
        leave();
        from = version;
        left = 0;
      }
      left++;
      moved++;
      this.#versions[query] = to;
    }
    leave();
    if (to !== MISSING && moved > 0) this.#population.set(to, (this.#population.get(to) ?? 0) + moved);
  }

  #grow(size: number): void {
    const versions = new Float64Array(Math.max(size, 2 * this.#versions.length)).fill(MISSING);
    versions.set(this.#versions);
    this.#versions = versions;
    const asked = new Float64Array(versions.length);
    asked.set(this.#asked);
    this.#asked = asked;
  }

  #free(number: number): void {
    if (number !== NO_ROW) this.#freeNumbers.push(number);
  }

  /** Drops what no state needs: an entry is needed while one is of a moment between the slot's last one and it. */
  clearUp(): void {
    this.#since.clear();
    const moments = Float64Array.from(this.#population.keys()).sort();
    const lastNeeded = new Map<number, number>();
    let left = 0;
    for (let at = 0; at < this.#entrySlots.length; at++) {
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
    this.#entryVersions.length = this.#entrySlots.length = left;
    this.#entryKept.length = this.#entryBefore.length = left;
    this.#entriesLeft = left;
    this.#changedAt.clear();
    for (const [slot, version] of lastNeeded) this.#changedAt.set(slot, version);
  }
}

/** Whether a sorted list has a number from `low` to less than `high`. */
function hasBetween(sorted: Float64Array, low: number, high: number): boolean {
  let from = 0, to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle] < low) from = middle + 1;
    else to = middle;
  }
  return from < sorted.length && sorted[from] < high;
}
