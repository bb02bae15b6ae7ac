/**
 * Memory for the kernels: an arena that only grows, value rows in the layout that the kernels read, and
 * `RowBlocks`, the rows of one head with their job. `job_fields.ts` has the layouts.
 */

import { kernelSoftcap, type ScoreRule } from "../../numerics/score_rule.ts";
import { exponentOf, shiftedExp } from "../../numerics/power_shift.ts";
import type { RowStates as HeldStates } from "../host/row_states.ts";
import type { BlockBias } from "../../numerics/block_bias.ts";
import * as field from "./job_fields.ts";
import { ENTRY_BYTES, PIECE_BLOCKS, type PieceRun, TABLE_START } from "./threads/pieces.ts";

const PAGE_BYTES = 65536;
/** Shifts of rows that the kernels read lie well within ±2^22. */
const MOST_POWER = 2 ** 24;
/** The bytes that 32-bit addresses reach. */
const MOST_BYTES = 2 ** 32;

/** Allocates parts of a memory, which are never freed. */
export class Arena {
  readonly memory: WebAssembly.Memory;
  #next: number;
  #numbers: Float32Array;

  /** The arena begins at `start`, where the module's own data ends. */
  constructor(memory: WebAssembly.Memory, start: number) {
    this.memory = memory;
    this.#next = start;
    this.#numbers = new Float32Array(memory.buffer);
  }

  /** Allocates `bytes` zeros and returns their address, a multiple of 64. */
  take(bytes: number): number {
    const address = Math.ceil(this.#next / 64) * 64;
    if (address + bytes > MOST_BYTES) throw new RangeError(`WebAssembly has no ${address + bytes} bytes`);
    const missing = address + bytes - this.memory.buffer.byteLength;
    if (missing > 0) {
      this.memory.grow(Math.ceil(missing / PAGE_BYTES));
      this.#numbers = new Float32Array(this.memory.buffer);
    }
    this.#next = address + bytes;
    return address;
  }

  /** The end of the allocated bytes. */
  get bytes(): number {
    return this.#next;
  }

  /**
   * The whole memory as float32; the number at an address is element address / 4. Valid until the next
   * `take`.
   */
  get numbers(): Float32Array {
    return this.#numbers;
  }

  floats(address: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, count);
  }

  doubles(address: number, count: number): Float64Array {
    return new Float64Array(this.memory.buffer, address, count);
  }

  integers(address: number, count: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, count);
  }

  words(address: number, count: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, address, count);
  }
}

/** Columns of a value row: dv numbers, 1, their largest magnitude, and zeros up to a multiple of 4. */
export function columnsOf(valueDim: number): number {
  return Math.ceil((valueDim + 2) / 4) * 4;
}

/** Writes a value to the columns of its row; the columns that it does not write must be zero. */
export function writeValue(target: Float32Array, offset: number, value: ArrayLike<number>): void {
  let largest = 0;
  for (let c = 0; c < value.length; c++) {
    target[offset + c] = value[c];
    largest = Math.max(largest, Math.abs(target[offset + c]));
  }
  target[offset + value.length] = 1;
  target[offset + value.length + 1] = largest;
}

/** The words of a job that say how rows are kept. */
export interface PackedFields {
  readonly keyFormat: number;
  readonly valueFormat: number;
  /** Bytes from a lane to its tiles; 0 where rows are not packed. */
  readonly keyTile: number;
  readonly valueTile: number;
}

/** The parameters of all kernels of one head. */
export interface RowRule {
  /** d. */
  readonly headDim: number;
  /** dv. */
  readonly valueDim: number;
  readonly scale: number;
  /** 0 for none. */
  readonly softcap: number;
  /** The largest proven relative error of a row. */
  readonly tolerance: number;
  /** The largest distances of a key before and after the query, which are used only with positions. */
  readonly before: number;
  readonly after: number;
  /** How rows are kept; null where they are float32. */
  readonly packed?: PackedFields | null;
  /** As {@link ScoreRule} has them. */
  readonly extras?: Pick<ScoreRule, "keepBefore" | "distanceBias" | "blocks" | "biasFirst" | "sinks">;
}

/** One key with its value: addresses of both and, with a mask, of its biases from row 0 on. */
export interface Term {
  readonly key: number;
  readonly value: number;
  /** Whether the term is subtracted from the sums instead of added. */
  readonly isTakenOut?: boolean;
  readonly bias?: number;
  readonly position?: number;
}

/** The state of a row. */
export interface RowNumbers {
  readonly shift: number;
  readonly ceiling: number;
  readonly massError: number;
  readonly sumError: number;
  /** `columns` numbers each; missing ones count as 0. */
  readonly high: ArrayLike<number>;
  readonly low: ArrayLike<number>;
}

/** The state over no keys, as a build without terms leaves it. */
const EMPTY_STATE: RowNumbers = {
  shift: field.EMPTY_SHIFT,
  ceiling: field.EMPTY_SHIFT,
  massError: 0,
  sumError: 0,
  high: [],
  low: [],
};

/** A heavy key that a patch met. */
export interface HeavyEvent {
  readonly row: number;
  readonly term: number;
  readonly score: number;
}

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
  #termCapacity = 0;
  /** Address of the table of pieces, which has room for one piece per block. */
  #pieces = 0;

  /** Makes room for `rows` rows of a query head, none of them active. */
  constructor(arena: Arena, rule: RowRule, rows: number, head = 0) {
    this.#arena = arena;
    this.#rule = rule;
    this.columns = columnsOf(rule.valueDim);
    this.job = arena.take(field.JOB_BYTES);
    this.#place(field.SCRATCH, arena.take(field.SCRATCH_BYTES));
    const words = arena.words(this.job, field.JOB_BYTES / 4), floats = arena.floats(this.job, 6);
    words[field.HEAD_DIM / 4] = rule.headDim;
    words[field.COLUMNS / 4] = this.columns;
    words[field.VALUE_DIM / 4] = rule.valueDim;
    words[field.EXACT_TERMS / 4] = field.FEW_TERMS;
    floats[field.SCALE / 4] = rule.scale;
    floats[field.SOFTCAP / 4] = kernelSoftcap(rule.softcap);
    floats[field.TOLERANCE / 4] = rule.tolerance;
    arena.doubles(this.job + field.BEFORE, 2).set([rule.before, rule.after]);
    if (rule.packed) {
      words[field.KEY_FORMAT / 4] = rule.packed.keyFormat;
      words[field.VALUE_FORMAT / 4] = rule.packed.valueFormat;
      words[field.KEY_TILE / 4] = rule.packed.keyTile;
      words[field.VALUE_TILE / 4] = rule.packed.valueTile;
    }
    if (rule.extras?.blocks) this.#placeBlocks(rule.extras.blocks, head);
    this.#placeExtras(rule.extras ?? {}, head);
    this.reserve(rows);
  }

  /** Writes the rules that only some engines have. */
  #placeBlocks({ querySize, keySize, heads, rows, columns, values }: BlockBias, head: number): void {
    const arena = this.#arena, count = rows * columns, start = heads > 1 ? head * count : 0;
    const table = arena.take(4 * count);
    arena.floats(table, count).set(values.subarray(start, start + count));
    const words = arena.words(this.job, field.JOB_BYTES / 4);
    const doubles = arena.doubles(this.job, field.JOB_BYTES / 8);
    words[field.BLOCK_BIASES / 4] = table;
    words[field.BLOCK_ROW_COUNT / 4] = rows;
    words[field.BLOCK_COLUMN_COUNT / 4] = columns;
    doubles[field.QUERY_BLOCK / 8] = querySize;
    doubles[field.KEY_BLOCK / 8] = keySize;
  }

  #placeExtras({ keepBefore, distanceBias, biasFirst, sinks }: NonNullable<RowRule["extras"]>, head: number) {
    const arena = this.#arena;
    let table = 0;
    if (distanceBias?.kind === "table") {
      // This may let the memory grow, so it comes before any view of it.
      const { values, count, heads } = distanceBias;
      table = arena.take(4 * count);
      const start = heads > 1 ? head * count : 0;
      arena.floats(table, count).set(values.subarray(start, start + count));
    }
    const words = arena.words(this.job, field.JOB_BYTES / 4);
    const doubles = arena.doubles(this.job, field.JOB_BYTES / 8);
    words[field.BIAS_FIRST / 4] = biasFirst ? 1 : 0;
    doubles[field.KEEP_BEFORE / 8] = keepBefore ?? -Infinity;
    if (distanceBias?.kind === "slopes") doubles[field.SLOPE / 8] = distanceBias.slopes[head];
    if (distanceBias?.kind === "table") {
      words[field.DISTANCE_BIASES / 4] = table;
      doubles[field.FIRST_DISTANCE / 8] = distanceBias.from;
      words[field.DISTANCE_COUNT / 4] = distanceBias.count;
    }
    if (sinks && sinks[head] > -Infinity) {
      const power = exponentOf(sinks[head]);
      doubles[field.SINK / 8] = shiftedExp(sinks[head], power);
      // Far from the shifts of all rows, how far makes no difference.
      words[field.SINK_POWER / 4] = Math.max(-MOST_POWER, Math.min(power, MOST_POWER));
    }
  }

  /** The number of blocks that there is room for. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Makes room for `rows` rows; new ones have no keys and are not active. */
  reserve(rows: number): void {
    const had = this.#blocks, blocks = Math.ceil(rows / field.BLOCK_ROWS);
    if (blocks <= had && this.#address.has(field.QUERIES)) return;
    const arena = this.#arena, row = field.BLOCK_BYTES;
    const tables = this.#blockTables().map(([at, bytes]) => {
      return { at, bytes, address: arena.take(blocks * bytes) };
    });
    const events = arena.take(blocks * 8 * field.ROW_EVENTS * field.EVENT_BYTES);
    for (const { at, bytes, address } of tables) {
      if (had > 0) {
        const left = arena.words(this.#at(at), had * bytes / 4);
        arena.words(address, had * bytes / 4).set(left);
        left.fill(0);
      }
      this.#place(at, address);
    }
    this.#place(field.EVENTS, events);
    this.#pieces = arena.take(TABLE_START + blocks * ENTRY_BYTES);
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

  /** Makes a row active or inactive in the next calls. */
  activate(row: number, isActive: boolean): void {
    this.#arena.integers(this.#at(field.ROW_MASK), this.blocks * 8)[row] = isActive ? -1 : 0;
  }

  /**
   * Sets the terms of the next calls. All have a bias or none, and likewise a position. The two terms of each
   * of the first `pairs` pairs share a key, with its bias and position; those of the next `sharedValuePairs`
   * pairs share a value. Only a patch may have pairs.
   */
  setTerms(terms: readonly Term[], pairs = 0, sharedValuePairs = 0): void {
    const arena = this.#arena, count = terms.length;
    if (count > this.#termCapacity) {
      this.#termCapacity = Math.max(count, 2 * this.#termCapacity);
      for (const at of [field.TERM_KEYS, field.TERM_VALUES, field.TERM_SIGNS, field.TERM_BIASES]) {
        this.#address.set(at, arena.take(4 * this.#termCapacity));
      }
      this.#address.set(field.TERM_POSITIONS, arena.take(8 * this.#termCapacity));
    }
    const words = arena.words(this.job, field.JOB_BYTES / 4);
    words[field.TERM_COUNT / 4] = count;
    words[field.PAIR_COUNT / 4] = pairs;
    words[field.SHARED_VALUE_PAIR_COUNT / 4] = sharedValuePairs;
    const keys = terms.filter((_, t) => t >= 2 * pairs || t % 2 === 0);
    const table = (at: number, isUsed: boolean) => {
      words[at / 4] = isUsed ? this.#at(at) : 0;
      return arena.words(this.#at(at), count);
    };
    if (count === 0) return;
    const hasBias = terms[0].bias !== undefined, hasPosition = terms[0].position !== undefined;
    table(field.TERM_KEYS, true).set(keys.map(({ key }) => key));
    table(field.TERM_VALUES, true).set(terms.map(({ value }) => value));
    table(field.TERM_SIGNS, true).set(terms.map(({ isTakenOut }) => isTakenOut ? 0x80000000 : 0));
    table(field.TERM_BIASES, hasBias).set(keys.map(({ bias = 0 }) => bias));
    table(field.TERM_POSITIONS, hasPosition);
    arena.doubles(this.#at(field.TERM_POSITIONS), count).set(keys.map(({ position = 0 }) => position));
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
  eventsOf({ table, pieceCount }: PieceRun): HeavyEvent[] {
    const entries = this.#arena.words(table + TABLE_START, pieceCount * ENTRY_BYTES / 4);
    const found: HeavyEvent[] = [];
    for (let at = 0; at < entries.length; at += 3) {
      if (entries[at + 2] === 0) continue;
      for (let row = 8 * entries[at]; row < 8 * entries[at + 1]; row++) this.#takeEvents(row, found);
    }
    return found;
  }

  #takeEvents(row: number, found: HeavyEvent[]): void {
    const count = this.#arena.words(this.#at(field.EVENT_COUNTS), 8 * this.#blocks)[row];
    const address = this.#at(field.EVENTS) + row * field.ROW_EVENTS * field.EVENT_BYTES;
    const terms = this.#arena.words(address, 2 * count), scores = this.#arena.floats(address, 2 * count);
    for (let at = 0; at < 2 * count; at += 2) found.push({ row, term: terms[at], score: scores[at + 1] });
  }

  /** The active rows that the last patch left untrusted. */
  flagged(): number[] {
    const flags = this.#arena.integers(this.#at(field.FLAGS), 8 * this.blocks);
    return Array.from(flags.keys()).filter((row) => flags[row] !== 0);
  }

  /** The address of the high parts of the sums. Only `reserve` changes it and the next two. */
  get highAddress(): number {
    return this.#at(field.HIGH);
  }

  /** The address of the low parts. */
  get lowAddress(): number {
    return this.#at(field.LOW);
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
    const at = (Math.floor(row / 8) * this.columns + column) * 8 + row % 8;
    const count = this.blocks * 8 * this.columns;
    return this.#arena.floats(this.#at(field.HIGH), count)[at] +
      this.#arena.floats(this.#at(field.LOW), count)[at];
  }

  /** Proven bounds on the errors of the mass and of each other sum of a row. */
  errors(row: number): readonly [mass: number, sum: number] {
    const bound = (at: number) => this.#arena.floats(this.#at(at), 8 * this.blocks)[row];
    return [bound(field.MASS_ERROR), bound(field.SUM_ERROR)];
  }

  /** Natural log of Σ exp s; −∞ for a row without mass. */
  logSumExp(row: number): number {
    const mass = this.sum(row, this.#rule.valueDim);
    return mass > 0 ? Math.log(mass) + this.shift(row) * Math.LN2 : -Infinity;
  }

  /** Makes some rows active or inactive in the next calls. */
  activateAll(rows: Uint32Array, isActive: boolean): void {
    const mask = this.#arena.integers(this.#at(field.ROW_MASK), this.#blocks * 8);
    for (let at = 0; at < rows.length; at++) mask[rows[at]] = isActive ? -1 : 0;
  }

  /** The rows among `rows` that the last patch left untrusted. */
  flaggedAmong(rows: Uint32Array): Uint32Array {
    const flags = this.#arena.integers(this.#at(field.FLAGS), this.#blocks * 8);
    return rows.filter((row) => flags[row] !== 0);
  }

  /** Makes a row's state that over no keys. */
  clearState(row: number): void {
    this.writeState(row, EMPTY_STATE);
  }

  /** Reads a row's state; the caller gives `high` and `low` with room for `columns` numbers each. */
  readState(row: number, high: Float32Array, low: Float32Array): RowNumbers {
    const { numbers } = this.#arena;
    for (let c = 0; c < this.columns; c++) {
      high[c] = numbers[this.#sumAt(field.HIGH, row, c)];
      low[c] = numbers[this.#sumAt(field.LOW, row, c)];
    }
    const [massError, sumError] = this.errors(row);
    const ceiling = this.#arena.integers(this.#at(field.CEILING) + 4 * row, 1)[0];
    return { shift: this.shift(row), ceiling, massError, sumError, high, low };
  }

  /** Writes a row's state. */
  writeState(row: number, { shift, ceiling, massError, sumError, high, low }: RowNumbers): void {
    const { numbers } = this.#arena;
    for (let c = 0; c < this.columns; c++) {
      numbers[this.#sumAt(field.HIGH, row, c)] = high[c] ?? 0;
      numbers[this.#sumAt(field.LOW, row, c)] = low[c] ?? 0;
    }
    numbers[this.#at(field.MASS_ERROR) / 4 + row] = massError;
    numbers[this.#at(field.SUM_ERROR) / 4 + row] = sumError;
    this.#arena.integers(this.#at(field.SHIFT) + 4 * row, 1)[0] = shift;
    this.#arena.integers(this.#at(field.CEILING) + 4 * row, 1)[0] = ceiling;
  }

  /**
   * Copies the sums of a row with their bounds and shift to the first row of `target`, without heavy keys.
   */
  copySums(row: number, target: HeldStates): void {
    const { numbers } = this.#arena, { high, low, width } = target;
    let highAt = this.#sumAt(field.HIGH, row, 0), lowAt = this.#sumAt(field.LOW, row, 0);
    for (let c = 0; c < width; c++, highAt += 8, lowAt += 8) {
      high[c] = numbers[highAt];
      low[c] = numbers[lowAt];
    }
    const shift = this.shift(row);
    target.shift[0] = shift === field.EMPTY_SHIFT ? -Infinity : shift;
    target.massError[0] = numbers[this.#at(field.MASS_ERROR) / 4 + row];
    target.sumError[0] = numbers[this.#at(field.SUM_ERROR) / 4 + row];
  }

  /** Cuts ranges into pieces, none of which is taken yet. */
  #toRun(kind: PieceRun["kind"], ranges: readonly BlockRange[]): PieceRun {
    const words = this.#arena.words(this.#pieces, (TABLE_START + this.#blocks * ENTRY_BYTES) / 4);
    words[0] = 0;
    let at = TABLE_START / 4;
    for (const [start, end] of ranges) {
      for (let first = start; first < end; first += PIECE_BLOCKS, at += ENTRY_BYTES / 4) {
        words.set([first, Math.min(first + PIECE_BLOCKS, end), 0], at);
      }
    }
    const pieceCount = (4 * at - TABLE_START) / ENTRY_BYTES;
    return { kind, job: this.job, table: this.#pieces, pieceCount };
  }

  /** Index of a sum among the numbers of the memory. */
  #sumAt(at: number, row: number, column: number): number {
    return this.#at(at) / 4 + (Math.floor(row / 8) * this.columns + column) * 8 + row % 8;
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
      [field.HIGH, this.columns * row],
      [field.LOW, this.columns * row],
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
