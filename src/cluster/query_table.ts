/**
 * The standing queries of a cluster by id, as its subject "query" orders them. Every host has all of them.
 */

import { type BatchForms, decodeBatch, hashOf, PLAIN_FORMS } from "./batch.ts";
import { Ledger } from "./ledger.ts";
import type { LogRecord } from "./log.ts";
import type { StandingQuery } from "./partition.ts";
import { type NamedShift, placeAfter, ShiftNames } from "./position_shift.ts";

/** Standing queries. */
export class QueryTable {
  readonly ledger = new Ledger();
  /** Moves of rows that were made. */
  readonly shifts = new ShiftNames();
  readonly #width: number;
  readonly #forms: BatchForms;
  readonly #queries = new Map<string, StandingQuery>();

  /**
   * @param width H·d.
   * @param forms The forms of edits that the cluster has.
   */
  constructor(width: number, forms: BatchForms = PLAIN_FORMS) {
    this.#width = width;
    this.#forms = forms;
  }

  /** How many there are. */
  get size(): number {
    return this.#queries.size;
  }

  /** Ids and queries. */
  get all(): Iterable<readonly [string, StandingQuery]> {
    return this.#queries;
  }

  /** A query; undefined if it is not there. */
  get(id: string): StandingQuery | undefined {
    return this.#queries.get(id);
  }

  /** Sets a query without a record, for a snapshot. */
  load(id: string, query: StandingQuery): void {
    this.#queries.set(id, query);
  }

  /**
   * Applies a record; records that are not newer are left out.
   *
   * @returns The ids that are no longer there.
   * @throws {Damage} When it is not what was written, or one before it is missing. Nothing has changed then.
   */
  apply({ sequence, body }: LogRecord): string[] {
    if (sequence <= this.ledger.sequence) return [];
    const batch = decodeBatch(body, "queries", this.#width, this.#forms), gone: string[] = [];
    const isNew = this.ledger.isNew(batch);
    for (const { id, row, position, shift } of isNew ? batch.edits : []) {
      if (shift) this.#shift(shift, sequence);
      else if (row !== null) {
        this.#queries.set(id, { row: row.slice(), position: position ?? 0, version: sequence });
      } else if (position !== undefined) {
        const moved = this.#queries.get(id);
        if (moved) this.#queries.set(id, { row: moved.row, position, version: sequence });
      } else if (this.#queries.delete(id)) gone.push(id);
    }
    this.ledger.note(sequence, body, isNew ? batch : null, hashOf(body));
    return gone;
  }

  /** Moves all queries of a range, once. */
  #shift(shift: NamedShift, version: number): void {
    const { places } = this.#forms;
    if (places === null || !this.shifts.isNew(shift.name)) return;
    for (const [id, { row, position }] of this.#queries) {
      const place = placeAfter(places, shift, position);
      if (place !== position) this.#queries.set(id, { row, position: place, version });
    }
  }
}
