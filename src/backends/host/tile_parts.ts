/**
 * The rows of a tile that certificates bring up to the present together, and what is left to the host.
 */

import { ALL_ROWS, TILE_ROWS } from "./certificate_kernel.ts";
import { type CertifiedTile, countOf, lowest } from "./certified_tile.ts";

/** Some rows of a tile. */
export interface Part {
  readonly tile: CertifiedTile;
  readonly number: number;
  /** As bits. */
  rows: number;
  /** That of their sums. */
  readonly moment: number;
  /** How many of the changed keys are to be exchanged: the first ones. */
  count: number;
}

/** The moment of a row whose sums have been begun. */
export const BEGUN = -2;
/** Sorts rows of a tile, but for those of the present, by their moments. */
export function group(parts: Part[], tile: CertifiedTile, number: number, rows: number, now: number): void {
  for (let left = rows; left !== 0;) {
    const moment = tile.momentOf(lowest(left));
    const same = tile.withMoment(left, moment);
    left &= ~same;
    if (moment !== now) parts.push({ tile, number, rows: same, moment, count: 0 });
  }
}

/** Whether some of these keys are in the sums of a tile and cannot be taken out. */
export function hasUnkept({ unkept }: CertifiedTile, slots: Uint32Array): boolean {
  return unkept.size > 0 && slots.some((slot) => unkept.has(slot));
}

/** The number of rows that a kernel computes for these: four neighbours at a time. */
export function neighboursOf(rows: number): number {
  if (rows === ALL_ROWS) return TILE_ROWS;
  const pairs = rows | rows >>> 1, fours = pairs | pairs >>> 2;
  return 4 * countOf(fours & 0x11111111);
}

/** The number of keys of which something is kept in a tile. */
export function knownAmong({ pairs, host }: CertifiedTile, slots: Uint32Array): number {
  let known = 0;
  for (const slot of slots) if (pairs.has(slot) || host?.pairs.has(slot)) known++;
  return known;
}

/** Leaves rows to the host until their states change. */
export function leaveToHost(tile: CertifiedTile, rows: number): void {
  tile.hostRows |= rows;
  tile.leave(rows);
}

/** Notes which rows are steep; those for which that is new are begun anew, steep ones at the host. */
export function noteSteep(
  tile: CertifiedTile,
  number: number,
  rows: number,
  isSteep: (slot: number) => boolean,
): void {
  for (let rest = rows; rest !== 0; rest &= rest - 1) {
    const row = lowest(rest),
      is = isSteep(number * TILE_ROWS + row),
      was = (tile.steepRows >>> row & 1) === 1;
    if (is === was) continue;
    tile.steepRows ^= 1 << row;
    tile.leave(1 << row);
    tile.hostRows = is ? tile.hostRows | 1 << row : tile.hostRows & ~(1 << row);
  }
}
