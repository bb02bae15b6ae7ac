/**
 * Memory for the kernels: an arena that only grows, value rows in the form that the kernels read, and `RowBlocks`, the
 * rows of one head with the job that speaks of them. `job_fields.ts` has the layouts.
 */

import * as field from "./job_fields.ts";
import type { Kernels } from "./load_kernels.ts";

const PAGE_BYTES = 65536;
/** A build takes so many terms at a time, whose rows the second cache holds, with so many blocks a call. */
const TILE_TERMS = 512;
const TILE_BLOCKS = 4;

/** Hands out parts of a memory, never to get them back. */
export class Arena {
  readonly memory: WebAssembly.Memory;
  #next: number;

  /** Starts at `start`, where the module's own data ends. */
  constructor(memory: WebAssembly.Memory, start: number) {
    this.memory = memory;
    this.#next = start;
  }

  /** The address of `bytes` zeros, a multiple of 64. */
  take(bytes: number): number {
    const address = Math.ceil(this.#next / 64) * 64;
    this.#next = address + bytes;
    const missing = this.#next - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE_BYTES));
    return address;
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

/** Writes a value row into its columns, which are zero where it has none. */
export function writeValue(target: Float32Array, offset: number, value: ArrayLike<number>): void {
  let largest = 0;
  for (let c = 0; c < value.length; c++) {
    target[offset + c] = value[c];
    largest = Math.max(largest, Math.abs(target[offset + c]));
  }
  target[offset + value.length] = 1;
  target[offset + value.length + 1] = largest;
}

/** The numbers that all kernels of one head go by. */
export interface RowRule {
  /** d. */
  readonly headDim: number;
  /** dv. */
  readonly valueDim: number;
  readonly scale: number;
  /** 0 for none. */
  readonly softcap: number;
  /** Largest proven relative error of a row. */
  readonly tolerance: number;
  /** How far before and after the query a key may lie; looked at only with positions. */
  readonly before: number;
  readonly after: number;
}

/** One key with its value: addresses of both and, where there are any, of its biases with row 0 on. */
export interface Term {
  readonly key: number;
  readonly value: number;
  /** Whether it is taken out of the sums, not added. */
  readonly isTakenOut?: boolean;
  readonly bias?: number;
  readonly position?: number;
}

/** A heavy key that a patch met. */
export interface HeavyEvent {
  readonly row: number;
  readonly term: number;
  readonly score: number;
}

/** The rows of one head: queries, states, and a job of its own. */
export class RowBlocks {
  /** Address of the job. */
  readonly job: number;
  readonly blocks: number;
  readonly columns: number;
  readonly #arena: Arena;
  readonly #rule: RowRule;
  readonly #address = new Map<number, number>();
  #termCapacity = 0;

  /** Room for `rows` rows, none of them active; `eventCapacity` heavy keys can be met in one patch. */
  constructor(arena: Arena, rule: RowRule, rows: number, eventCapacity = rows) {
    this.#arena = arena;
    this.#rule = rule;
    this.blocks = Math.ceil(rows / field.BLOCK_ROWS);
    this.columns = columnsOf(rule.valueDim);
    this.job = arena.take(field.JOB_BYTES);
    const blocks = this.blocks, row = blocks * field.BLOCK_BYTES;
    this.#reserve(field.QUERIES, rule.headDim * row);
    this.#reserve(field.ROW_POSITIONS, 2 * row);
    this.#reserve(field.HIGH, this.columns * row);
    this.#reserve(field.LOW, this.columns * row);
    for (const at of [field.ROW_MASK, field.SHIFT, field.CEILING, field.MASS_ERROR, field.SUM_ERROR]) {
      this.#reserve(at, row);
    }
    this.#reserve(field.FLAGS, row);
    this.#reserve(field.SCRATCH, field.SCRATCH_BYTES);
    this.#reserve(field.EVENTS, eventCapacity * field.EVENT_BYTES);
    const words = arena.words(this.job, field.JOB_BYTES / 4), floats = arena.floats(this.job, 6);
    words[field.HEAD_DIM / 4] = rule.headDim;
    words[field.COLUMNS / 4] = this.columns;
    words[field.VALUE_DIM / 4] = rule.valueDim;
    floats[field.SCALE / 4] = rule.scale;
    floats[field.SOFTCAP / 4] = rule.softcap;
    floats[field.TOLERANCE / 4] = rule.tolerance;
    arena.doubles(this.job + field.BEFORE, 2).set([rule.before, rule.after]);
    words[field.EVENT_CAPACITY / 4] = eventCapacity;
    arena.integers(this.#at(field.SHIFT), 8 * blocks).fill(field.EMPTY_SHIFT);
    arena.integers(this.#at(field.CEILING), 8 * blocks).fill(field.EMPTY_SHIFT);
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

  /** Says whether the next calls are about a row. */
  activate(row: number, isActive: boolean): void {
    this.#arena.integers(this.#at(field.ROW_MASK), this.blocks * 8)[row] = isActive ? -1 : 0;
  }

  /** Takes the terms that the next calls are about. All have a bias or none, and likewise a position. */
  setTerms(terms: readonly Term[]): void {
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
    const table = (at: number, isUsed: boolean) => {
      words[at / 4] = isUsed ? this.#at(at) : 0;
      return arena.words(this.#at(at), count);
    };
    if (count === 0) return;
    const hasBias = terms[0].bias !== undefined, hasPosition = terms[0].position !== undefined;
    table(field.TERM_KEYS, true).set(terms.map(({ key }) => key));
    table(field.TERM_VALUES, true).set(terms.map(({ value }) => value));
    table(field.TERM_SIGNS, true).set(terms.map(({ isTakenOut }) => isTakenOut ? 0x80000000 : 0));
    table(field.TERM_BIASES, hasBias).set(terms.map(({ bias = 0 }) => bias));
    table(field.TERM_POSITIONS, hasPosition);
    arena.doubles(this.#at(field.TERM_POSITIONS), count).set(terms.map(({ position = 0 }) => position));
  }

  /** Builds the active rows from the terms. */
  build(kernels: Kernels): void {
    const words = this.#arena.words(this.job, field.JOB_BYTES / 4);
    const saved = words.slice(field.TERM_COUNT / 4, field.TERM_POSITIONS / 4 + 1);
    const count = words[field.TERM_COUNT / 4];
    kernels.clear(this.job, 0, this.blocks);
    for (let first = 0; first < count; first += TILE_TERMS) {
      words[field.TERM_COUNT / 4] = Math.min(TILE_TERMS, count - first);
      for (let block = 0; block < this.blocks; block += TILE_BLOCKS) {
        kernels.build(this.job, block, Math.min(block + TILE_BLOCKS, this.blocks));
      }
      for (const at of [field.TERM_KEYS, field.TERM_VALUES, field.TERM_SIGNS, field.TERM_BIASES]) {
        if (words[at / 4] !== 0) words[at / 4] += 4 * TILE_TERMS;
      }
      if (words[field.TERM_POSITIONS / 4] !== 0) words[field.TERM_POSITIONS / 4] += 8 * TILE_TERMS;
    }
    words.set(saved, field.TERM_COUNT / 4);
    kernels.settle(this.job, 0, this.blocks);
  }

  /** Patches the active rows with the terms; returns the heavy keys that it met. */
  patch(kernels: Kernels): HeavyEvent[] {
    const words = this.#arena.words(this.job, field.JOB_BYTES / 4);
    words[field.EVENT_COUNT / 4] = 0;
    kernels.patch(this.job, 0, this.blocks);
    const events = this.#arena.words(this.#at(field.EVENTS), 3 * words[field.EVENT_COUNT / 4]);
    const scores = this.#arena.floats(this.#at(field.EVENTS), events.length);
    const found: HeavyEvent[] = [];
    for (let at = 0; at < events.length; at += 3) {
      found.push({ row: events[at], term: events[at + 1], score: scores[at + 2] });
    }
    return found;
  }

  /** Active rows that the last patch left untrusted. */
  flagged(): number[] {
    const flags = this.#arena.integers(this.#at(field.FLAGS), 8 * this.blocks);
    return Array.from(flags.keys()).filter((row) => flags[row] !== 0);
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

  #at(at: number): number {
    return this.#address.get(at)!;
  }

  #reserve(at: number, bytes: number): void {
    const address = this.#arena.take(bytes);
    this.#address.set(at, address);
    this.#arena.words(this.job, field.JOB_BYTES / 4)[at / 4] = address;
  }
}
