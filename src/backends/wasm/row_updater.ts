/**
 * Brings head rows up to date with the kernels: makes the terms of a call, activates its rows, records heavy
 * keys, and builds rows that a patch leaves untrusted.
 */

import type { AttentionOutput, BackendConfig, Cohort, Work } from "../backend.ts";
import { keyHeadOf } from "../../numerics/head_layout.ts";
import { looksAtPositions } from "../../numerics/score_rule.ts";
import {
  BLOCK_BYTES,
  BLOCK_ROWS,
  JOB_BYTES,
  TERM_BIASES,
  TERM_COUNT,
  TERM_KEYS,
  TERM_POSITIONS,
} from "./job_fields.ts";
import type { HostRows } from "../host/host_rows.ts";
import type { RowsInBlocks } from "../host/state_store.ts";
import type { Kernels } from "./load_kernels.ts";
import { MemoryTable } from "./memory_table.ts";
import type { Arena } from "./arena.ts";
import type { HeavyEvent } from "./row_blocks.ts";
import type { RowReader } from "./row_reader.ts";
import type { HeavyKey, RowStates } from "./row_states.ts";
import { RowTile, tileSizes } from "./row_tile.ts";
import { type PassingTable, TermList } from "./term_list.ts";
import type { PieceRunner } from "./threads/piece_runner.ts";
import { type PieceRun, TILE_TERMS } from "./threads/pieces.ts";

const NO_ROWS = new Uint32Array(0);
/** Bytes of what is taken off the scores of a block, and the most of logarithms at a time unless one block has more. */
const OFFSET_BYTES = 8 * BLOCK_ROWS, MOST_LOG_BYTES = 2 ** 18;

/** The patches, builds and scores of one backend. */
export class RowUpdater {
  readonly #kernels: Kernels;
  readonly #runner: PieceRunner;
  readonly #arena: Arena;
  readonly #config: BackendConfig;
  readonly #work: Work;
  readonly #terms: TermList;
  /** null where rows are float32. */
  readonly #tile: RowTile | null;
  readonly #scores: MemoryTable;
  /** Bytes of scores of the last question, which are still in memory. */
  #scoreBytes = 0;

  constructor(kernels: Kernels, runner: PieceRunner, arena: Arena, config: BackendConfig, work: Work) {
    this.#kernels = kernels;
    this.#runner = runner;
    this.#arena = arena;
    this.#config = config;
    this.#work = work;
    this.#terms = new TermList(arena, config.maskHeads > 0, looksAtPositions(config.rule));
    this.#scores = new MemoryTable(arena);
    const sizes = tileSizes(config.layout);
    this.#tile = sizes && new RowTile(kernels, runner, sizes);
  }

  /** Makes room for calls of `count` terms. */
  reserve(count: number): void {
    this.#terms.reserve(count);
  }

  /** Notes that rows have been stored. */
  noteStored(): void {
    this.#terms.noteStored();
  }

  /** Bytes beside those in the memory of the kernels. */
  get bytes(): number {
    return this.#terms.bytes;
  }

  /** Wipes the scores and weights of the last question. */
  forget(): void {
    this.#scores.wipe(this.#scoreBytes);
    this.#scoreBytes = 0;
    this.#runner.forget();
  }

  /**
   * Computes head rows of one head from scratch; those of passing queries may have biases of their own. null when it is done.
   */
  build(
    states: RowStates,
    head: number,
    queries: Uint32Array,
    { stored }: HostRows,
    passing: PassingTable | null = null,
  ): Promise<void> | null {
    if (queries.length === 0) return null;
    const blocks = states.heads[head];
    this.#begin(head, passing);
    this.#terms.pushLive(stored);
    this.#terms.attach(blocks.job, stored.count);
    const building = states.withActive(
      head,
      queries,
      (ranges) => this.#run(blocks.toBuild(ranges), queries.length),
    );
    if (building) return building.then(() => this.#built(states, head, queries));
    this.#built(states, head, queries);
    return null;
  }

  #built(states: RowStates, head: number, queries: Uint32Array): void {
    for (const slot of queries) states.setHeavyKeys(head, slot, []);
    this.#count(queries.length, true);
    this.#work.rowsBuilt += queries.length;
  }

  /**
   * Patches head rows of one head: exchanges the keys of their epoch for the stored ones, and builds rows
   * that are not trusted afterwards. null when it is done.
   */
  patch(states: RowStates, head: number, cohort: Cohort, rows: HostRows): Promise<void> | null {
    // Packed rows of many keys are unpacked and exchanged part by part.
    if (this.#tile !== null) return this.#patchInParts(states, head, cohort, rows);
    const { run, running } = this.#exchange(states, head, cohort, rows);
    if (running) return running.then(() => this.#patched(states, head, cohort, rows, run) ?? undefined);
    return this.#patched(states, head, cohort, rows, run);
  }

  /** Whether a patch is small enough for the caller's thread, and done in one part. */
  staysHere(rows: number, changes: number): boolean {
    const { headDim, valueDim } = this.#config.layout;
    return this.#tile === null &&
      this.#runner.staysHere(2 * rows * changes * (headDim + valueDim), rows / BLOCK_ROWS);
  }

  /**
   * As `patch`, of an engine of one head, and answers the head rows on the way. Returns whether the answer
   * holds: not if a row has a heavy key, was built after all, or is steep.
   */
  patchAndRead(
    states: RowStates,
    cohort: Cohort,
    rows: HostRows,
    reader: RowReader,
    attention: AttentionOutput,
  ): boolean | Promise<boolean> {
    const { queries } = cohort, blocks = states.heads[0];
    this.#exchangeTerms(states, 0, cohort, rows);
    blocks.activateOnly(queries);
    blocks.beginEvents();
    const found = reader.patchAndRead(states, queries, attention);
    const events = blocks.eventsAmong(queries);
    this.#count(queries.length, true);
    this.#work.rowsPatched += queries.length;
    if (found === 0 && events.length === 0) return true;
    const distrusted = this.#distrusted(states, 0, queries, events);
    if (distrusted.length === 0) return false;
    const building = this.#refresh(states, 0, queries, new Set(distrusted), rows);
    return building === null ? false : building.then(() => false);
  }

  #patched(
    states: RowStates,
    head: number,
    { queries }: Cohort,
    rows: HostRows,
    run: PieceRun,
  ): Promise<void> | null {
    const distrusted = this.#patchedRows(states, head, queries, run);
    this.#work.rowsPatched += queries.length;
    return distrusted.length === 0 ? null : this.#refresh(states, head, queries, new Set(distrusted), rows);
  }

  async #patchInParts(
    states: RowStates,
    head: number,
    { queries, since }: Cohort,
    rows: HostRows,
  ): Promise<void> {
    const { slots, retained } = since, distrusted = new Set<number>(), most = TILE_TERMS / 2;
    for (let first = 0; first < slots.length || first === 0; first += most) {
      const end = first + most;
      const part = { slots: slots.subarray(first, end), retained: retained.subarray(first, end) };
      const { run, running } = this.#exchange(states, head, { queries, since: part }, rows);
      if (running) await running;
      for (const slot of this.#patchedRows(states, head, queries, run)) distrusted.add(slot);
    }
    this.#work.rowsPatched += queries.length;
    if (distrusted.size > 0) await this.#refresh(states, head, queries, distrusted, rows);
  }

  #refresh(
    states: RowStates,
    head: number,
    queries: Uint32Array,
    distrusted: ReadonlySet<number>,
    rows: HostRows,
  ): Promise<void> | null {
    this.#work.refreshes += distrusted.size;
    return this.build(states, head, queries.filter((slot) => distrusted.has(slot)), rows);
  }

  /** Makes the changes of a cohort the terms of a head. */
  #exchangeTerms(states: RowStates, head: number, { since }: Cohort, rows: HostRows): void {
    // There is room for a build already, which suffices for all patches but those of more than half the keys.
    this.#terms.reserve(2 * since.slots.length);
    this.#begin(head);
    this.#terms.exchange(rows, since);
    this.#terms.attach(states.heads[head].job, rows.stored.count);
  }

  /** Exchanges keys in head rows of one head. */
  #exchange(
    states: RowStates,
    head: number,
    cohort: Cohort,
    rows: HostRows,
  ): { readonly run: PieceRun; readonly running: Promise<void> | null } {
    const blocks = states.heads[head], { queries } = cohort;
    this.#exchangeTerms(states, head, cohort, rows);
    this.#tile?.unpack(blocks.job);
    let run!: PieceRun;
    const running = states.withActive(head, queries, (ranges) => {
      run = blocks.toPatch(ranges);
      return this.#run(run, queries.length);
    });
    return { run, running };
  }

  /** Counts what a run has patched, and returns the query slots that are not trusted after it. */
  #patchedRows(
    states: RowStates,
    head: number,
    queries: Uint32Array,
    run: PieceRun,
  ): ArrayLike<number> & Iterable<number> {
    this.#count(queries.length, true);
    return this.#distrusted(states, head, queries, states.heads[head].eventsOf(run));
  }

  /** Notes heavy keys, and returns the query slots that are not trusted after an exchange. */
  #distrusted(
    states: RowStates,
    head: number,
    queries: Uint32Array,
    events: readonly HeavyEvent[],
  ): ArrayLike<number> & Iterable<number> {
    const blocks = states.heads[head];
    this.#noteHeavy(states, head, events);
    const overloaded = events.length === 0
      ? NO_ROWS
      : queries.filter((slot) => states.isOverloaded(head, slot));
    const flagged = blocks.flaggedAmong(queries);
    return flagged.length + overloaded.length === 0 ? NO_ROWS : [...flagged, ...overloaded];
  }

  /** The scores of a head row with all stored keys by slot; −∞ for slots without a key. */
  scores(states: RowStates, head: number, slot: number, { stored }: HostRows): Float64Array {
    const blocks = states.heads[head];
    this.#begin(head);
    this.#terms.pushLive(stored);
    const terms = this.#terms, { count } = terms;
    this.#scores.reserve(count * BLOCK_BYTES);
    this.#scoreBytes = Math.max(this.#scoreBytes, count * BLOCK_BYTES);
    this.#terms.attach(blocks.job, stored.count);
    const lane = slot % BLOCK_ROWS;
    this.#score(blocks.job, blockOf(slot), 1 << lane);
    this.#count(1, false);
    const scores = new Float64Array(stored.size).fill(-Infinity);
    const found = this.#arena.floats(this.#scores.address, count * BLOCK_ROWS);
    for (let term = 0; term < count; term++) {
      scores[terms.slotOf(term)] = found[term * BLOCK_ROWS + lane];
    }
    return scores;
  }

  /** As {@link StateStore.blockLogs}. */
  blockLogs(
    states: RowStates,
    head: number,
    { firsts, offsets }: RowsInBlocks,
    keys: Uint32Array,
    { stored }: HostRows,
    take: (from: number, count: number, logs: Float64Array) => void,
  ): void {
    const blocks = states.heads[head], stride = 8 * keys.length;
    this.#begin(head);
    for (const key of keys) this.#terms.push(stored, key, key, false);
    const most = Math.max(1, Math.floor(MOST_LOG_BYTES / stride));
    this.#scores.reserve(most * (stride + OFFSET_BYTES));
    this.#terms.attach(blocks.job, stored.count);
    for (let from = 0, end = 0; from < firsts.length; from = end) {
      for (end = from + 1; end < firsts.length && end < from + most; end++) {
        if (firsts[end] !== firsts[end - 1] + BLOCK_ROWS) break;
      }
      const count = end - from, target = this.#scores.address + count * OFFSET_BYTES;
      const at = (head * firsts.length + from) * BLOCK_ROWS;
      this.#arena.allDoubles.set(offsets.subarray(at, at + count * BLOCK_ROWS), this.#scores.address / 8);
      this.#largestLogs(blocks.job, blockOf(firsts[from]), count, target, stride);
      this.#scoreBytes = Math.max(this.#scoreBytes, count * (OFFSET_BYTES + stride));
      for (let block = 0; block < count; block++) this.#count(BLOCK_ROWS, false);
      take(from, count, this.#arena.doubles(target, count * keys.length));
    }
  }

  /** Scores all terms with rows of blocks, and takes the largest. */
  #largestLogs(job: number, first: number, count: number, target: number, stride: number): void {
    const offsets = this.#scores.address, end = first + count;
    this.#inTiles(job, (term) => {
      this.#kernels.largestLogs(job, first, end, offsets, target + 8 * term, stride);
    });
  }

  /** Scores all terms with rows of a block. */
  #score(job: number, block: number, lanes: number): void {
    const { address } = this.#scores;
    this.#inTiles(job, (term) => this.#kernels.score(job, block, lanes, address + BLOCK_BYTES * term));
  }

  /** Runs a kernel on all terms, or on tiles of them from a term on, whose keys are unpacked. */
  #inTiles(job: number, run: (term: number) => void): void {
    if (this.#tile === null) return run(0);
    const { count } = this.#terms, words = this.#arena.words(job, JOB_BYTES / 4);
    const keys = words[TERM_KEYS / 4], biases = words[TERM_BIASES / 4], positions = words[TERM_POSITIONS / 4];
    for (let term = 0; term < count; term += TILE_TERMS) {
      words[TERM_COUNT / 4] = Math.min(TILE_TERMS, count - term);
      words[TERM_KEYS / 4] = keys + 4 * term;
      if (biases !== 0) words[TERM_BIASES / 4] = biases + 4 * term;
      if (positions !== 0) words[TERM_POSITIONS / 4] = positions + 8 * term;
      this.#tile.unpackKeys(job, term);
      run(term);
    }
    words[TERM_COUNT / 4] = count;
    words[TERM_KEYS / 4] = keys;
    words[TERM_BIASES / 4] = biases;
    words[TERM_POSITIONS / 4] = positions;
  }

  #run(run: PieceRun, rows: number): Promise<void> | null {
    const { headDim, valueDim } = this.#config.layout;
    return this.#runner.run(run, rows * this.#terms.count * (headDim + valueDim));
  }

  #begin(head: number, passing: PassingTable | null = null): void {
    const maskHead = passing || this.#config.maskHeads > 1 ? head : 0;
    this.#terms.begin(keyHeadOf(this.#config.layout, head), maskHead, passing);
  }

  /** Records and removes heavy keys in the order of their terms. */
  #noteHeavy(states: RowStates, head: number, events: readonly HeavyEvent[]): void {
    if (events.length === 0) return;
    const changed = new Map<number, HeavyKey[]>();
    for (const { row, term, score } of events) {
      let keys = changed.get(row);
      if (!keys) changed.set(row, keys = [...states.heavyKeys(head, row)]);
      const slot = this.#terms.slotOf(term);
      if (this.#terms.isTakenOut(term)) keys = keys.filter((key) => key.slot !== slot);
      else keys.push({ slot, score });
      changed.set(row, keys);
    }
    for (const [row, keys] of changed) states.setHeavyKeys(head, row, keys);
  }

  #count(rows: number, isSummed: boolean): void {
    const { layout: { headDim, valueDim }, rule } = this.#config;
    const { keyCount, valueCount } = this.#terms;
    this.#work.multiplyAdds += rows * (keyCount * headDim + (isSummed ? valueCount * (valueDim + 2) : 0));
    this.#work.exponentials += rows * keyCount * ((isSummed ? 1 : 0) + (rule.softcap > 0 ? 1 : 0));
  }
}

function blockOf(row: number): number {
  return Math.floor(row / BLOCK_ROWS);
}
