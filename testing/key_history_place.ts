// A history of keys with the rows that it needs, and states at moments of their own.

import type { RowSource, Since } from "../src/backends/backend.ts";
import { NO_ROW } from "../src/backends/since.ts";
import { KeyHistory } from "../src/schedule/key_history.ts";
import { assert, assertEquals, assertLess } from "./assert.ts";

export const WIDTH = 2;

/** WIDTH numbers, then the position. */
export type Row = readonly number[];
/** Rows by slot, or by the number under which they are kept. */
export type Rows = ReadonlyMap<number, Row>;

/** Rows in a map. One that is read must be there. */
export class MapSource implements RowSource {
  readonly rows = new Map<number, Row>();

  isLive(slot: number): boolean {
    return this.rows.has(slot);
  }

  element(slot: number, column: number): number {
    assertLess(column, WIDTH);
    return this.#row(slot)[column];
  }

  position(slot: number): number {
    return this.#row(slot)[WIDTH];
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    target.set(this.#row(slot).slice(0, WIDTH), offset);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    return this.#row(slot).slice(0, WIDTH).every((number, column) => rows[offset + column] === number);
  }

  #row(slot: number): Row {
    const row = this.rows.get(slot);
    assert(row, `row ${slot} was read while there is none`);
    return row;
  }
}

/** A batch: the row that each slot holds from then on, or null. */
export type Edits = readonly (readonly [slot: number, row: Row | null])[];

/** A history and the rows that it speaks of, which change as a backend changes them. */
export class Place {
  readonly keys = new MapSource();
  readonly retained = new MapSource();
  readonly history: KeyHistory;

  constructor(forgetsUndone = true) {
    this.history = new KeyHistory(this, WIDTH, forgetsUndone);
  }

  /** Stores a batch and says under which numbers the replaced rows are kept. */
  store(edits: Edits, lost: readonly number[] = []): number[] {
    this.wipe();
    const slots = Uint32Array.from(edits, ([slot]) => slot);
    const numbers = this.history.prepare(slots);
    edits.forEach(([slot, row], t) => {
      const replaced = this.keys.rows.get(slot);
      if (numbers[t] !== NO_ROW) {
        assert(replaced, `the row of empty slot ${slot} is to be kept`);
        this.retained.rows.set(numbers[t], replaced);
      }
      if (row) this.keys.rows.set(slot, row);
      else this.keys.rows.delete(slot);
    });
    this.history.commit(slots, numbers, Uint32Array.from(lost));
    // An engine uses its list again.
    slots.fill(0);
    return [...numbers];
  }

  /** Wipes the retained rows that no state includes any more. */
  wipe(): void {
    for (const number of this.history.takeFreed()) this.retained.rows.delete(number);
  }

  reach(...queries: number[]): void {
    this.history.reach(Uint32Array.from(queries));
  }

  lose(...queries: number[]): void {
    this.history.lose(Uint32Array.from(queries));
  }

  /** Slot by slot, the row that a state of an epoch holds where the stored one is another. */
  changesSince(epoch: number): Map<number, Row | null> {
    return rowsBefore(this.history.since(epoch), this.retained.rows);
  }
}

export function rowsBefore({ slots, retained }: Since, retainedRows: Rows): Map<number, Row | null> {
  assertEquals(retained.length, slots.length);
  const before = new Map<number, Row | null>();
  slots.forEach((slot, t) => {
    assert(!before.has(slot), `slot ${slot} is named twice`);
    const row = retained[t] === NO_ROW ? null : retainedRows.get(retained[t]);
    assert(row !== undefined, `nothing is kept under ${retained[t]}`);
    before.set(slot, row);
  });
  return before;
}

/** Slots 0 and 1 hold rows, slot 2 is empty; the states of queries 0 and 1 know that. */
export function makePlace(forgetsUndone = true): Place {
  const place = new Place(forgetsUndone);
  place.keys.rows.set(0, [1, 2, 0]).set(1, [3, 4, 1]);
  place.reach(0, 1);
  return place;
}
