/**
 * Rows of answers that a client gives again while they are young enough.
 */

import { shownMatrix } from "../display/shown_matrix.ts";
import type { ClusterOutput, PartitionPlace } from "./cluster_answers.ts";

/** Rows that are kept; the one that was given longest ago goes first. */
const MOST_ROWS = 16_384;

/** A row of an answer. */
export interface KeptRow {
  readonly data: Float32Array<ArrayBuffer>;
  readonly bound: number;
  /** The version of its query. */
  readonly version: number;
  /** The records that it includes; the ages are those at the time `at`. */
  readonly places: readonly PartitionPlace[];
  readonly at: number;
}

/** Rows by the ids of their queries. */
export class KeptRows {
  readonly #rows = new Map<string, KeptRow>();

  /** Keeps a row, and forgets the earlier one of its query. */
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

  /** Forgets all rows. */
  clear(): void {
    this.#rows.clear();
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

/** The facts that `joinRows` needs. */
export interface JoinContext {
  /** Columns of a row. */
  readonly columns: number;
  readonly now: number;
  /** The newest record of a partition that is known of. */
  readonly newestOf: (partition: number) => number;
}

/**
 * Rows that were kept, and those of `asked`, which `fresh` has, in the order of `ids`; where they stand is
 * that of the oldest.
 */
export function joinRows(
  ids: readonly string[],
  kept: ReadonlyMap<string, KeptRow>,
  asked: readonly string[],
  fresh: ClusterOutput | null,
  { columns, now, newestOf }: JoinContext,
): ClusterOutput {
  const output = new Float32Array(ids.length * columns), bounds = new Float64Array(ids.length);
  const places = new Map<number, PartitionPlace>();
  const take = (all: readonly PartitionPlace[], older: number) => {
    for (const { partition, sequence, ageMs } of all) {
      const before = places.get(partition);
      places.set(partition, {
        partition,
        sequence: Math.min(sequence, before?.sequence ?? Infinity),
        ageMs: Math.max(ageMs + older, before?.ageMs ?? 0),
        newest: newestOf(partition),
      });
    }
  };
  if (fresh) take(fresh.partitions, 0);
  const rowOf = new Map(asked.map((id, row) => [id, row]));
  ids.forEach((id, at) => {
    const row = kept.get(id), place = rowOf.get(id);
    if (row) {
      output.set(row.data, at * columns);
      bounds[at] = row.bound;
      take(row.places, now - row.at);
    } else if (fresh && place !== undefined) {
      output.set(fresh.output.data.subarray(place * columns, (place + 1) * columns), at * columns);
      bounds[at] = fresh.bounds[place];
    }
  });
  const partitions = [...places.values()].sort((a, b) => a.partition - b.partition);
  return {
    output: shownMatrix(output, [ids.length, columns]),
    bounds,
    partitions,
    missing: fresh?.missing ?? [],
  };
}
