/**
 * Rows of answers that a client gives again while they are young enough.
 */

import type { PartitionPlace } from "./cluster_answers.ts";

/** Rows that are kept; the one that was given longest ago goes first. */
const MOST_ROWS = 16_384;

/** A row of an answer. */
export interface KeptRow {
  readonly data: Float32Array<ArrayBuffer>;
  readonly bound: number;
  /** The version of its query. */
  readonly version: number;
  /** Where it stood, with ages as of `at`. */
  readonly places: readonly PartitionPlace[];
  readonly at: number;
}

/** Rows by the ids of their queries. */
export class KeptRows {
  readonly #rows = new Map<string, KeptRow>();

  /** Keeps a row in the place of the one before. */
  set(id: string, row: KeptRow): void {
    this.#rows.delete(id);
    this.#rows.set(id, row);
    if (this.#rows.size <= MOST_ROWS) return;
    for (const oldest of this.#rows.keys()) {
      this.#rows.delete(oldest);
      break;
    }
  }

  /** Forgets a row, since its query was set anew. */
  drop(id: string): void {
    this.#rows.delete(id);
  }

  /** The row of a query, however old; null if there is none. */
  any(id: string): KeptRow | null {
    return this.#rows.get(id) ?? null;
  }

  /** The row of a query, if it is at most `maxAge` milliseconds old at `now`; else null. */
  get(id: string, now: number, maxAge: number): KeptRow | null {
    const row = this.#rows.get(id);
    if (!row || maxAge === 0) return null;
    const oldest = row.places.reduce((age, { ageMs }) => Math.max(age, ageMs), 0);
    return oldest + now - row.at <= maxAge ? row : null;
  }
}
