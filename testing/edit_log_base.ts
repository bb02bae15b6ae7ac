// Bases of edit logs for tests: rows in a map, and the content of a log or a source as maps.

import type { RowSource } from "../src/backends/backend.ts";
import { EditLog, type Entries } from "../src/write/edit_log.ts";
import { assert, assertEquals } from "./assert.ts";

export const WIDTH = 2;

/** Rows in a map, each followed by its position: what a log lies on, and what it should come to be. */
export class MapSource implements RowSource {
  readonly rows: Map<number, number[]>;

  constructor(rows: Iterable<readonly [number, number[]]> = []) {
    this.rows = new Map(rows);
  }

  isLive(slot: number): boolean {
    return this.rows.has(slot);
  }

  element(slot: number, column: number): number {
    assert(column < WIDTH);
    return this.#row(slot)[column];
  }

  position(slot: number): number {
    return this.#row(slot)[WIDTH];
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    target.set(this.#row(slot).slice(0, WIDTH), offset);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    return this.#row(slot).slice(0, WIDTH).every((number, c) => rows[offset + c] === number);
  }

  #row(slot: number): number[] {
    const row = this.rows.get(slot);
    assert(row, `slot ${slot} of the base was read while empty`);
    return row;
  }
}

/** Entries as slot → row and position, or null for an emptied slot. */
export function entriesOf({ slots, live, rows, positions }: Entries): Map<number, number[] | null> {
  assertEquals(
    [live.length, rows.length, positions.length],
    [slots.length, slots.length * WIDTH, slots.length],
  );
  const entries = new Map<number, number[] | null>();
  slots.forEach((slot, at) => {
    assert(!entries.has(slot), `slot ${slot} is there twice`);
    const row = [...rows.subarray(at * WIDTH, (at + 1) * WIDTH), positions[at]];
    entries.set(slot, live[at] === 1 ? row : null);
  });
  return entries;
}

/** Live rows of a source among slots 0 … limit − 1, each followed by its position. */
export function rowsOf(source: RowSource, limit: number): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let slot = 0; slot < limit; slot++) {
    if (!source.isLive(slot)) continue;
    const copy = new Float32Array(WIDTH + 2).fill(-7);
    source.copyRow(slot, copy, 1);
    const row = [...copy.subarray(1, WIDTH + 1)];
    assertEquals([copy[0], copy[WIDTH + 1]], [-7, -7], "copyRow wrote outside of the row");
    assertEquals(row, row.map((_, c) => source.element(slot, c)));
    assert(source.equalsRow(slot, copy, 1));
    copy[WIDTH] += 1;
    assert(!source.equalsRow(slot, copy, 1));
    found.set(slot, [...row, source.position(slot)]);
  }
  return found;
}

export function makeLog(keepsInserts = false): { base: MapSource; log: EditLog } {
  const base = new MapSource([[0, [1, 2, 0.5]], [1, [3, 4, 7]], [2, [5, 6, -1]]]);
  return { base, log: new EditLog(WIDTH, base, keepsInserts) };
}
