/**
 * Brings head rows up to date with the kernels: makes the terms of a call, activates its rows, records heavy
 * keys, and builds rows that a patch leaves untrusted.
 */

import type { BackendConfig, Cohort, Work } from "../backend.ts";
import { keyHeadOf } from "../../numerics/head_layout.ts";
import { looksAtPositions } from "../../numerics/score_rule.ts";
import { BLOCK_BYTES, BLOCK_ROWS } from "./job_fields.ts";
import type { HostRows } from "../host/host_rows.ts";
import type { Kernels } from "./load_kernels.ts";
import { MemoryTable } from "./memory_table.ts";
import type { Arena } from "./arena.ts";
import type { HeavyEvent } from "./row_blocks.ts";
import type { HeavyKey, RowStates } from "./row_states.ts";
import { type PassingTable, TermList } from "./term_list.ts";
import type { PieceRunner } from "./threads/piece_runner.ts";
import type { PieceRun } from "./threads/pieces.ts";

const NO_ROWS = new Uint32Array(0);
/** All rows of a block. */
const ALL_LANES = 2 ** BLOCK_ROWS - 1;

/** The patches, builds and scores of one backend. */
export class RowUpdater {
  readonly #kernels: Kernels;
  readonly #runner: PieceRunner;
  readonly #arena: Arena;
  readonly #config: BackendConfig;
  readonly #work: Work;
  readonly #terms: TermList;
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
  }

  /** Makes room for calls of `count` terms. */
  reserve(count: number): void {
    this.#terms.reserve(count);
  }

  /** Wipes the scores and weights of the last question. */
  forget(): void {
    this.#scores.wipe(this.#scoreBytes);
    this.#scoreBytes = 0;
    this.#runner.forget();
  }

  /** Computes head rows of one head from scratch; those of passing queries may have biases of their own. */
  async build(
    states: RowStates,
    head: number,
    queries: Uint32Array,
    { stored }: HostRows,
    passing: PassingTable | null = null,
  ): Promise<void> {
    if (queries.length === 0) return;
    const blocks = states.heads[head];
    this.#begin(head, passing);
    this.#terms.pushLive(stored);
    this.#terms.attach(blocks.job, stored.count);
    const building = states.withActive(
      head,
      queries,
      (ranges) => this.#run(blocks.toBuild(ranges), queries.length),
    );
    if (building) await building;
    for (const slot of queries) states.setHeavyKeys(head, slot, []);
    this.#count(queries.length, true);
    this.#work.rowsBuilt += queries.length;
  }

  /**
   * Patches head rows of one head: exchanges the keys of their epoch for the stored ones, and builds rows
   * that are not trusted afterwards.
   */
  async patch(states: RowStates, head: number, { queries, since }: Cohort, rows: HostRows): Promise<void> {
    const blocks = states.heads[head];
    // There is room for a build already, which suffices for all patches but those of more than half the keys.
    this.#terms.reserve(2 * since.slots.length);
    this.#begin(head);
    this.#terms.exchange(rows, since);
    this.#work.rowsPatched += queries.length;
    this.#terms.attach(blocks.job, rows.stored.count);
    let run!: PieceRun;
    const patching = states.withActive(head, queries, (ranges) => {
      run = blocks.toPatch(ranges);
      return this.#run(run, queries.length);
    });
    if (patching) await patching;
    const events = blocks.eventsOf(run);
    this.#count(queries.length, true);
    this.#noteHeavy(states, head, events);
    const overloaded = events.length === 0
      ? NO_ROWS
      : queries.filter((slot) => states.isOverloaded(head, slot));
    const flagged = blocks.flaggedAmong(queries);
    if (flagged.length + overloaded.length === 0) return;
    const distrusted = new Set([...flagged, ...overloaded]);
    this.#work.refreshes += distrusted.size;
    await this.build(states, head, queries.filter((slot) => distrusted.has(slot)), rows);
  }

  /** The scores of a head row with all stored keys by slot; −∞ for slots without a key. */
  scores(states: RowStates, head: number, slot: number, { stored }: HostRows): Float64Array {
    const blocks = states.heads[head];
    this.#begin(head);
    this.#terms.pushLive(stored);
    const { count, slots } = this.#terms;
    this.#scores.reserve(count * BLOCK_BYTES);
    this.#scoreBytes = Math.max(this.#scoreBytes, count * BLOCK_BYTES);
    this.#terms.attach(blocks.job, stored.count);
    const lane = slot % BLOCK_ROWS;
    this.#kernels.score(blocks.job, blockOf(slot), 1 << lane, this.#scores.address);
    this.#count(1, false);
    const scores = new Float64Array(stored.size).fill(-Infinity);
    const found = this.#arena.floats(this.#scores.address, count * BLOCK_ROWS);
    for (let term = 0; term < count; term++) {
      scores[slots[term]] = found[term * BLOCK_ROWS + lane];
    }
    return scores;
  }

  /** Scores of stored keys with a block of rows at a time, 8 numbers a term. */
  blockScores(
    states: RowStates,
    head: number,
    firsts: readonly number[],
    keys: Uint32Array,
    { stored }: HostRows,
    take: (first: number, slots: ArrayLike<number>, count: number, scores: Float32Array) => void,
  ): void {
    const blocks = states.heads[head];
    this.#begin(head);
    for (const key of keys) this.#terms.push(stored, key, key, false);
    const { count, slots } = this.#terms;
    this.#scores.reserve(count * BLOCK_BYTES);
    this.#scoreBytes = Math.max(this.#scoreBytes, count * BLOCK_BYTES);
    this.#terms.attach(blocks.job, stored.count);
    const found = this.#arena.floats(this.#scores.address, count * BLOCK_ROWS);
    for (const first of firsts) {
      this.#kernels.score(blocks.job, blockOf(first), ALL_LANES, this.#scores.address);
      this.#count(BLOCK_ROWS, false);
      take(first, slots, count, found);
    }
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
      const slot = this.#terms.slots[term];
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
