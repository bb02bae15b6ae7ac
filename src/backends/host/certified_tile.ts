/**
 * What certificates keep of 32 neighbouring query slots of a head: how far each row's sums go, the constants
 * of its bound, and, for rows that kernels do not answer for, the sums themselves and what each changed key
 * has in them.
 */

import { TILE_ROWS } from "./certificate_kernel.ts";

/** The moment of a row whose state has not been taken. */
export const UNTAKEN = -1;
/** Sums of a row: moved, gained, lost, shifted, doubt; then the largest moved + shifted and weights. */
const SUMS = 7;
/**
 * What a key has in a row: moved, change, shifted, doubt; then its score before, and the distance of its
 * value from o.
 */
const PARTS = 6;
/** Where the last two are. */
export const KNOWN_SCORE = 4, KNOWN_DISTANCE = 5;

/** The sums of a row, and the largest that two of them have ever been together. */
export interface RowSums {
  moved: number;
  gained: number;
  lost: number;
  shifted: number;
  doubt: number;
  movedPeak: number;
  weightPeak: number;
}

/** What one key has in the sums of a row, and what is known of the key before. */
export interface PairSums {
  moved: number;
  /** u − w. */
  change: number;
  shifted: number;
  doubt: number;
  /** The score of the key before; NaN where it is not known. */
  scoreBefore: number;
  /** The distance of its value from o; NaN where it is not known. */
  distanceBefore: number;
}

/** What one changed key has in the sums of the rows of a tile. */
export class HostPairs {
  static readonly BYTES: number = TILE_ROWS * (8 * PARTS + 4);
  readonly parts: Float64Array = new Float64Array(TILE_ROWS * PARTS);
  /** The age of the row for which this holds; 0 for none. */
  readonly ages: Uint32Array = new Uint32Array(TILE_ROWS);
}

/** The rows of a tile. */
export class CertifiedTile {
  static readonly BYTES = TILE_ROWS * 12;
  /**
   * By row, the moment up to which the changed keys are in its sums, while `shared` is UNTAKEN; else that is
   * the moment of all taken rows.
   */
  readonly #moments: Float64Array = new Float64Array(TILE_ROWS).fill(UNTAKEN);
  #shared = UNTAKEN;
  #taken = 0;
  /** Rows, as bits, that are answered at the host, and those whose scores are steep. */
  hostRows: number;
  steepRows = 0;
  /** Rows, as bits, whose queries the kernel has measured, and which have not changed since. */
  measuredRows = 0;
  /** Rows, as bits, of which the kernel has been told what rounding did to their weights, and for which of them that is. */
  roundedRows = 0;
  roundedFor: unknown = null;
  /** Rows, as bits, whose measured errors the kernel has been told. */
  toldRows = 0;
  /** The kernel's number of the tile; 0 for none. */
  kernelTile = 0;
  /** By key slot, where the kernel keeps what the key has in the tile. */
  readonly pairs: Map<number, number> = new Map();
  /** Key slots that are in sums, of which there was no room to keep what they have. */
  readonly unkept: Set<number> = new Set();
  /**
   * The diameter of values with which the kernel has computed bounds of the sums as they are; NaN where it has not.
   */
  boundFor = NaN;
  /** Exchanges since all sums of the kernel were begun. */
  exchanges = 0;
  /** The sums of its rows at the host. */
  host: HostSums | null = null;

  /** Rows that are bits of `hostRows` are answered at the host. */
  constructor(hostRows: number) {
    this.hostRows = hostRows;
  }

  /** The rows that have sums, as bits. */
  get taken(): number {
    return this.#taken;
  }

  /** Whether the kernel has sums of some row. */
  get isInKernel(): boolean {
    return (this.#taken & ~this.hostRows) !== 0;
  }

  /** Whether the host has sums of some row. */
  get isAtHost(): boolean {
    return (this.#taken & this.hostRows) !== 0;
  }

  /** The moment of all rows that have sums; UNTAKEN where they differ, or none has. */
  get shared(): number {
    return this.#shared;
  }

  /** The moment of a row. */
  momentOf(row: number): number {
    if ((this.#taken >>> row & 1) === 0) return UNTAKEN;
    return this.#shared === UNTAKEN ? this.#moments[row] : this.#shared;
  }

  /** Those of some rows, as bits, whose moment this is. */
  withMoment(rows: number, moment: number): number {
    if (this.#shared !== UNTAKEN) return moment === this.#shared ? rows & this.#taken : rows & ~this.#taken;
    let same = rows;
    for (let rest = rows; rest !== 0; rest &= rest - 1) {
      const row = lowest(rest);
      if (this.momentOf(row) !== moment) same &= ~(1 << row);
    }
    return same;
  }

  /** The sums of rows, as bits, are those of a moment. */
  reach(rows: number, moment: number): void {
    if (rows === 0) return;
    if ((this.#taken & ~rows) === 0) {
      this.#taken = rows;
      this.#shared = moment;
      return;
    }
    if (this.#shared !== moment) this.#part();
    this.#taken |= rows;
    if (this.#shared === moment) return;
    for (let rest = rows; rest !== 0; rest &= rest - 1) this.#moments[lowest(rest)] = moment;
    for (let rest = this.#taken; rest !== 0; rest &= rest - 1) {
      if (this.#moments[lowest(rest)] !== moment) return;
    }
    this.#shared = moment;
  }

  /** The sums of rows, as bits, do not hold any more. */
  leave(rows: number): void {
    this.toldRows &= ~rows;
    this.#taken &= ~rows;
    if (this.#taken === 0) this.#shared = UNTAKEN;
  }

  #part(): void {
    if (this.#shared === UNTAKEN) return;
    for (let rest = this.#taken; rest !== 0; rest &= rest - 1) this.#moments[lowest(rest)] = this.#shared;
    this.#shared = UNTAKEN;
  }
}

/** The lowest of the rows that are bits of a number. */
export function lowest(rows: number): number {
  return 31 - Math.clz32(rows & -rows);
}

/** The number of rows that are bits of a number. */
export function countOf(rows: number): number {
  const pairs = rows - (rows >>> 1 & 0x55555555);
  const fours = (pairs & 0x33333333) + (pairs >>> 2 & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Sums of the rows of a tile at the host. */
export class HostSums {
  readonly #sums = new Float64Array(TILE_ROWS * SUMS);
  readonly #ages = new Uint32Array(TILE_ROWS);
  readonly #exchanges = new Float64Array(TILE_ROWS);
  readonly #pairs = new Map<number, HostPairs>();
  readonly #unkept = new Set<number>();

  static readonly BYTES: number = TILE_ROWS * (8 * SUMS + 12);

  /** The pairs of changed keys with the rows that the host keeps. */
  get pairs(): ReadonlyMap<number, HostPairs> {
    return this.#pairs;
  }

  /** Begins the sums of a row. */
  begin(row: number): void {
    this.#ages[row]++;
    this.#exchanges[row] = 0;
    this.#sums.fill(0, row * SUMS, (row + 1) * SUMS);
  }

  /** Whether what a key has in the rows can be taken out. */
  isKept(slot: number): boolean {
    return !this.#unkept.has(slot);
  }

  /** What a key has in the sums of a row; null if it has nothing, or that is not kept. */
  partsOf(row: number, slot: number): Float64Array | null {
    const pairs = this.#pairs.get(slot);
    if (pairs?.ages[row] !== this.#ages[row]) return null;
    return pairs.parts.subarray(row * PARTS, (row + 1) * PARTS);
  }

  /**
   * Replaces what a key has in the sums of a row; of a key that nothing is kept of, it is kept in `room`, if
   * any.
   */
  exchange(
    row: number,
    slot: number,
    { moved, change, shifted, doubt, scoreBefore, distanceBefore }: Readonly<PairSums>,
    room: HostPairs | null,
  ): void {
    const sums = this.#sums, at = row * SUMS;
    let pairs = this.#pairs.get(slot);
    if (!pairs && room) this.#pairs.set(slot, pairs = room);
    if (pairs) {
      const { parts, ages } = pairs, start = row * PARTS;
      if (ages[row] === this.#ages[row]) {
        sums[at] -= parts[start];
        sums[at + 1] -= Math.max(0, parts[start + 1]);
        sums[at + 2] -= Math.max(0, -parts[start + 1]);
        sums[at + 3] -= parts[start + 2];
        sums[at + 4] -= parts[start + 3];
      }
      ages[row] = this.#ages[row];
      parts[start] = moved;
      parts[start + 1] = change;
      parts[start + 2] = shifted;
      parts[start + 3] = doubt;
      parts[start + KNOWN_SCORE] = scoreBefore;
      parts[start + KNOWN_DISTANCE] = distanceBefore;
    } else if (moved + Math.abs(change) + doubt !== 0) this.#unkept.add(slot);
    sums[at] += moved;
    sums[at + 1] += Math.max(0, change);
    sums[at + 2] += Math.max(0, -change);
    sums[at + 3] += shifted;
    sums[at + 4] += doubt;
    sums[at + 5] = Math.max(sums[at + 5], sums[at] + sums[at + 3]);
    sums[at + 6] = Math.max(sums[at + 6], sums[at + 1] + sums[at + 2] + sums[at + 4]);
    this.#exchanges[row]++;
  }

  /** Reads the sums of a row to `target`; returns the number of exchanges since they were begun. */
  read(row: number, target: RowSums): number {
    const sums = this.#sums, at = row * SUMS;
    target.moved = sums[at];
    target.gained = sums[at + 1];
    target.lost = sums[at + 2];
    target.shifted = sums[at + 3];
    target.doubt = sums[at + 4];
    target.movedPeak = sums[at + 5];
    target.weightPeak = sums[at + 6];
    return this.#exchanges[row];
  }
}
