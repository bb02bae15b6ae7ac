/**
 * The version, that is the moment, of each row's state. Rows of one version form a group; groups are linked from the oldest
 * to the newest.
 *
 * Invariant: a row moves to the newest version or to none, so a new group is always the last one. Nothing here grows with
 * the number of rows but what touches each of them: the oldest group is found, and a whole group moves, at once.
 */

/** The version of a row without a state. */
export const MISSING = -1;
/** No row, in the links. */
const NONE = -1;

/** Rows whose states are of one version. */
export interface VersionGroup {
  readonly version: number;
  /** How many rows there are; at least one. */
  readonly count: number;
}

interface Group {
  version: number;
  count: number;
  /** The first of its rows. */
  first: number;
  older: Group | null;
  newer: Group | null;
}

/** Versions by row number. */
export class RowVersions {
  readonly #groups: (Group | null)[] = [];
  /** The rows before and after a row in its group. */
  #before = new Int32Array(0);
  #after = new Int32Array(0);
  #oldest: Group | null = null;
  #newest: Group | null = null;

  /** The group of the oldest version; null when no row has a state. */
  get oldest(): VersionGroup | null {
    return this.#oldest;
  }

  /** The group of the newest version that a row is of. */
  get newest(): VersionGroup | null {
    return this.#newest;
  }

  /** The version of a row's state, or {@link MISSING}. */
  versionOf(row: number): number {
    return this.#groups[row]?.version ?? MISSING;
  }

  /** The versions that rows are of, ascending. */
  versions(): Float64Array {
    const versions: number[] = [];
    for (let group = this.#oldest; group; group = group.newer) versions.push(group.version);
    return new Float64Array(versions);
  }

  /** The rows of the oldest version, ascending; none when no row has a state. */
  oldestRows(): Uint32Array {
    const group = this.#oldest;
    const rows = new Uint32Array(group?.count ?? 0);
    let row = group?.first ?? NONE;
    for (let at = 0; at < rows.length; at++, row = this.#after[row]) rows[at] = row;
    return rows.sort();
  }

  /** Moves rows to `version`, which no row is beyond, or to {@link MISSING}. */
  move(rows: Uint32Array, version: number): void {
    for (const row of rows) {
      const group = this.#groups[row] ?? null;
      if ((group?.version ?? MISSING) === version) continue;
      if (row >= this.#before.length) this.#grow(row + 1);
      if (group) this.#leave(row, group);
      if (version !== MISSING) this.#join(row, this.#groupOf(version));
    }
  }

  /** The group of a version that no row is beyond. */
  #groupOf(version: number): Group {
    const last = this.#newest;
    if (last?.version === version) return last;
    const group: Group = { version, count: 0, first: NONE, older: last, newer: null };
    if (last) last.newer = group;
    else this.#oldest = group;
    this.#newest = group;
    return group;
  }

  #join(row: number, group: Group): void {
    this.#before[row] = NONE;
    this.#after[row] = group.first;
    if (group.first !== NONE) this.#before[group.first] = row;
    group.first = row;
    group.count++;
    this.#groups[row] = group;
  }

  #leave(row: number, group: Group): void {
    const before = this.#before[row], after = this.#after[row];
    if (before === NONE) group.first = after;
    else this.#after[before] = after;
    if (after !== NONE) this.#before[after] = before;
    this.#groups[row] = null;
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
