/**
 * The rows of one head in the memory of the kernels: their queries and states, in blocks of eight, with the
 * job that points at them. `job_fields.ts` has the layouts.
 *
 * Invariant: only `reserve` moves a table, and the job has the addresses of all of them.
 */

import type { RowStates as HeldStates } from "../host/row_states.ts";
import type { Arena } from "./arena.ts";
import * as field from "./job_fields.ts";
import { columnsOf, placeRule, type RowRule } from "./row_rule.ts";
import { ENTRY_BYTES, PIECE_BLOCKS, type PieceRun, TABLE_START } from "./threads/pieces.ts";

/** The state of a row. */
export interface RowNumbers {
  readonly shift: number;
  readonly ceiling: number;
  readonly massError: number;
  readonly sumError: number;
  /** `columns` numbers; missing ones count as 0. */
  readonly sums: ArrayLike<number>;
}

/** The state over no keys, as a build without terms leaves it. */
const EMPTY_STATE: RowNumbers = {
  shift: field.EMPTY_SHIFT,
  ceiling: field.EMPTY_SHIFT,
  massError: 0,
  sumError: 0,
  sums: [],
};

/** A heavy key that a patch met. */
export interface HeavyEvent {
  readonly row: number;
  readonly term: number;
  readonly score: number;
}

const NO_EVENTS: readonly HeavyEvent[] = [], NO_ROWS = new Uint32Array(0);

/** Blocks `first` to `end` − 1. */
export type BlockRange = readonly [first: number, end: number];

/** The rows of one head: their queries, states and job. */
export class RowBlocks {
  /** Address of the job. */
  readonly job: number;
  readonly columns: number;
  #blocks = 0;
  readonly #arena: Arena;
  readonly #rule: RowRule;
  readonly #address = new Map<number, number>();
  /** The rows that `activateOnly` was given last. */
  #active: Uint32Array = NO_ROWS;
  /** Address of the table of pieces, which has room for one piece per block. */
  #pieces = 0;

  /** Makes room for `rows` rows of a query head, none of them active. */
  constructor(arena: Arena, rule: RowRule, rows: number, head = 0) {
    this.#arena = arena;
    this.#rule = rule;
    this.columns = columnsOf(rule.valueDim);
    this.job = arena.take(field.JOB_BYTES);
    this.#place(field.SCRATCH, arena.take(field.SCRATCH_BYTES));
    placeRule(arena, this.job, rule, head);
    this.reserve(rows);
  }

  /** The number of blocks that there is room for. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Makes room for `rows` rows; new ones have no keys and are not active. */
  reserve(rows: number): void {
    const had = this.#blocks, blocks = Math.ceil(rows / field.BLOCK_ROWS);
    if (blocks <= had && this.#address.has(field.QUERIES)) return;
    const arena = this.#arena, row = field.BLOCK_BYTES, tables = this.#blockTables();
    const addresses = arena.takeEach([
      ...tables.map(([_, bytes]) => blocks * bytes),
      blocks * 8 * field.ROW_EVENTS * field.EVENT_BYTES,
      TABLE_START + blocks * ENTRY_BYTES,
    ]);
    for (const [t, [at, bytes]] of tables.entries()) {
      if (had > 0) {
        const left = arena.words(this.#at(at), had * bytes / 4);
        arena.words(addresses[t], had * bytes / 4).set(left);
        left.fill(0);
      }
      this.#place(at, addresses[t]);
    }
    this.#place(field.EVENTS, addresses[tables.length]);
    this.#pieces = addresses[tables.length + 1];
    for (const at of [field.SHIFT, field.CEILING]) {
      const start = this.#at(at) + had * row;
      arena.integers(start, 8 * (blocks - had)).fill(field.EMPTY_SHIFT);
    }
    this.#blocks = blocks;
  }

  /** Stores a query and makes its row active. */
  setQuery(row: number, query: ArrayLike<number>, position = 0): void {
    const { headDim } = this.#rule;
    const start = Math.floor(row / 8) * 8 * headDim + row % 8;
    const packed = this.#arena.floats(this.#at(field.QUERIES), this.blocks * 8 * headDim);
    for (let c = 0; c < headDim; c++) packed[start + 8 * c] = query[c];
    this.#arena.doubles(this.#at(field.ROW_POSITIONS), this.blocks * 8)[row] = position;
    this.activate(row, true);
  }

  /** Wipes the scratch of the job, in which single blocks are scored. */
  wipeScratch(): void {
    this.#arena.words(this.#at(field.SCRATCH), field.SCRATCH_BYTES / 4).fill(0);
  }

  /** Wipes a query, and makes its row inactive. */
  wipeQuery(row: number): void {
    this.setQuery(row, new Float32Array(this.#rule.headDim));
    this.activate(row, false);
  }

  /** Makes a row active or inactive in the next calls, and those of the last list inactive. */
  activate(row: number, isActive: boolean): void {
    this.activateOnly(NO_ROWS);
    this.#arena.integers(this.#at(field.ROW_MASK), this.blocks * 8)[row] = isActive ? -1 : 0;
  }

  /** The work of building the active rows of some blocks from the terms. */
  toBuild(ranges: readonly BlockRange[] = [[0, this.#blocks]]): PieceRun {
    return this.#toRun("build", ranges);
  }

  /** The work of patching the active rows of some blocks with the terms; `eventsOf` has its heavy keys. */
  toPatch(ranges: readonly BlockRange[] = [[0, this.#blocks]]): PieceRun {
    return this.#toRun("patch", ranges);
  }

  /** The heavy keys that a patch met, row by row in the order of their terms. */
  eventsOf({ table, pieceCount }: PieceRun): readonly HeavyEvent[] {
    const { allWords: words } = this.#arena, first = (table + TABLE_START) / 4;
    let found: HeavyEvent[] | null = null;
    for (let at = first; at < first + pieceCount * ENTRY_BYTES / 4; at += ENTRY_BYTES / 4) {
      if (words[at + 2] === 0) continue;
      found ??= [];
      for (let row = 8 * words[at]; row < 8 * words[at + 1]; row++) this.#takeEvents(row, found);
    }
    return found ?? NO_EVENTS;
  }

  /** Begins to count the heavy keys that calls with this job meet. */
  beginEvents(): void {
    this.#arena.allWords[(this.job + field.EVENT_COUNT) / 4] = 0;
  }

  /** Those that were met since, among ascending rows. */
  eventsAmong(rows: Uint32Array): readonly HeavyEvent[] {
    if (this.#arena.allWords[(this.job + field.EVENT_COUNT) / 4] === 0) return NO_EVENTS;
    const found: HeavyEvent[] = [];
    for (const row of rows) this.#takeEvents(row, found);
    return found;
  }

  #takeEvents(row: number, found: HeavyEvent[]): void {
    const count = this.#arena.words(this.#at(field.EVENT_COUNTS), 8 * this.#blocks)[row];
    const address = this.#at(field.EVENTS) + row * field.ROW_EVENTS * field.EVENT_BYTES;
    const terms = this.#arena.words(address, 2 * count), scores = this.#arena.floats(address, 2 * count);
    for (let at = 0; at < 2 * count; at += 2) found.push({ row, term: terms[at], score: scores[at + 1] });
  }

  /** The address of the sums. Only `reserve` changes it and the next one. */
  get sumAddress(): number {
    return this.#at(field.SUMS);
  }

  /** The address of the shifts, an i32 per row. */
  get shiftAddress(): number {
    return this.#at(field.SHIFT);
  }

  /** The shift of a row. */
  shift(row: number): number {
    return this.#arena.integers(this.#at(field.SHIFT), 8 * this.blocks)[row];
  }

  /** One sum of a row: dv columns of the weighted sum, the mass, the magnitude. */
  sum(row: number, column: number): number {
    return this.#arena.allDoubles[this.#sumAt(row, column)];
  }

  /** Proven bounds on the errors of the mass and of each other sum of a row. */
  errors(row: number): readonly [mass: number, sum: number] {
    const bound = (at: number) => this.#arena.floats(this.#at(at), 8 * this.blocks)[row];
    return [bound(field.MASS_ERROR), bound(field.SUM_ERROR)];
  }

  /**
   * Makes the rows of a list, which nobody changes, active in the next calls, in place of those of the last
   * list: most often it is the same one.
   */
  activateOnly(rows: Uint32Array): void {
    const before = this.#active, { allIntegers: numbers } = this.#arena;
    if (rows === before) return;
    const mask = this.#at(field.ROW_MASK) / 4;
    for (let at = 0; at < before.length; at++) numbers[mask + before[at]] = 0;
    for (let at = 0; at < rows.length; at++) numbers[mask + rows[at]] = -1;
    this.#active = rows;
  }

  /** The rows among `rows` that the last patch left untrusted. */
  flaggedAmong(rows: Uint32Array): Uint32Array {
    const { allIntegers: numbers } = this.#arena, flags = this.#at(field.FLAGS) / 4;
    for (let at = 0; at < rows.length; at++) {
      if (numbers[flags + rows[at]] !== 0) return rows.filter((row) => numbers[flags + row] !== 0);
    }
    return NO_ROWS;
  }

  /** Makes a row's state that over no keys. */
  clearState(row: number): void {
    this.writeState(row, EMPTY_STATE);
  }

  /** Reads a row's state; the caller gives `sums` with room for `columns` numbers. */
  readState(row: number, sums: Float64Array): RowNumbers {
    for (let c = 0; c < this.columns; c++) sums[c] = this.sum(row, c);
    const [massError, sumError] = this.errors(row);
    const ceiling = this.#arena.integers(this.#at(field.CEILING) + 4 * row, 1)[0];
    return { shift: this.shift(row), ceiling, massError, sumError, sums };
  }

  /** Writes a row's state. */
  writeState(row: number, { shift, ceiling, massError, sumError, sums }: RowNumbers): void {
    const { numbers, allDoubles } = this.#arena;
    // Adding 0 turns −0 into 0.
    for (let c = 0; c < this.columns; c++) allDoubles[this.#sumAt(row, c)] = (sums[c] ?? 0) + 0;
    numbers[this.#at(field.MASS_ERROR) / 4 + row] = massError;
    numbers[this.#at(field.SUM_ERROR) / 4 + row] = sumError;
    this.#arena.integers(this.#at(field.SHIFT) + 4 * row, 1)[0] = shift;
    this.#arena.integers(this.#at(field.CEILING) + 4 * row, 1)[0] = ceiling;
  }

  /**
   * Copies the sums of a row with their bounds and shift to the first row of `target`, without heavy keys.
   */
  copySums(row: number, target: HeldStates): void {
    const { numbers, allDoubles } = this.#arena, { high, width } = target;
    for (let c = 0, at = this.#sumAt(row, 0); c < width; c++, at += 8) high[c] = allDoubles[at];
    const shift = this.shift(row);
    target.shift[0] = shift === field.EMPTY_SHIFT ? -Infinity : shift;
    target.massError[0] = numbers[this.#at(field.MASS_ERROR) / 4 + row];
    target.sumError[0] = numbers[this.#at(field.SUM_ERROR) / 4 + row];
  }

  /** Cuts ranges into pieces, none of which is taken yet. */
  #toRun(kind: PieceRun["kind"], ranges: readonly BlockRange[]): PieceRun {
    const { allWords: words } = this.#arena, entries = (this.#pieces + TABLE_START) / 4;
    words[this.#pieces / 4] = 0;
    let at = entries;
    for (const [start, end] of ranges) {
      for (let first = start; first < end; first += PIECE_BLOCKS, at += ENTRY_BYTES / 4) {
        words[at] = first;
        words[at + 1] = Math.min(first + PIECE_BLOCKS, end);
        words[at + 2] = 0;
      }
    }
    const pieceCount = 4 * (at - entries) / ENTRY_BYTES;
    return { kind, job: this.job, table: this.#pieces, pieceCount };
  }

  /** Index of a sum among the float64 numbers of the memory. */
  #sumAt(row: number, column: number): number {
    return this.#at(field.SUMS) / 8 + (Math.floor(row / 8) * this.columns + column) * 8 + row % 8;
  }

  #at(at: number): number {
    return this.#address.get(at)!;
  }

  #place(at: number, address: number): void {
    this.#address.set(at, address);
    this.#arena.words(this.job, field.JOB_BYTES / 4)[at / 4] = address;
  }

  /** The tables that are stored block by block, with the bytes of a block. */
  #blockTables(): readonly (readonly [at: number, bytes: number])[] {
    const row = field.BLOCK_BYTES;
    return [
      [field.QUERIES, this.#rule.headDim * row],
      [field.ROW_POSITIONS, 2 * row],
      [field.SUMS, this.columns * field.COLUMN_BYTES],
      [field.ROW_MASK, row],
      [field.SHIFT, row],
      [field.CEILING, row],
      [field.MASS_ERROR, row],
      [field.SUM_ERROR, row],
      [field.FLAGS, row],
      [field.EVENT_COUNTS, row],
    ];
  }
}
