/**
 * The drift ledger: for each block of query slots and each head, how far the exact outputs can have moved,
 * altogether, since the ledger was begun. The difference of two readings bounds what happened between them,
 * so a state, or a copy of an answer, is as far from exact as its block has drifted since its moment. A step
 * costs O(d + dv) and a few operations a block, no pair of a query and a key is looked at. Weights are noted
 * of keys that change, when they first do: a score for each row.
 *
 * Invariant between batches, for each row of a block and each live key that is noted: the exact weight of the
 * key in the row is at most code · growth · exp(a_B · path), and the row's log-sum-exp at least leastLog − ln
 * growth.
 */

import { largestBlockBias } from "../../numerics/block_bias.ts";
import { largestDistanceBias } from "../../numerics/distance_bias.ts";
import { type HeadLayout, keyHeadOf } from "../../numerics/head_layout.ts";
import { isBiasCapped, type ScoreRule } from "../../numerics/score_rule.ts";
import { type Changes, DRIFT_UP } from "../backend.ts";
import type { Work } from "../work.ts";
import { COMES, DriftChanges, GOES, MOVES } from "./drift_changes.ts";
import {
  addKey,
  type BlockDrift,
  dropKey,
  type KeyMove,
  moveKey,
  type NewKey,
  type ValueSizes,
} from "./drift_steps.ts";
import type { HostRows, RowSizes } from "./host_rows.ts";
import { codeOfLog, WeightTable } from "./weight_table.ts";

/** Query slots of a block, a power of two. */
const BLOCK_BITS = 3;
export const BLOCK_SLOTS: number = 1 << BLOCK_BITS;
/** A ledger of more bytes is not begun. */
const MOST_BYTES = 2 ** 28;
/** What a step costs a block, in multiply-adds. */
const STEP_WORK = 8;
/** Covers the rounding of a norm or a distance in float64. */
const UP = DRIFT_UP, DOWN = 1 - 2 ** -30;
/**
 * A key is noted anew when it has moved at least this often, and so far that its weights may be a quarter
 * larger than noted.
 */
const MANY_MOVES = 32, LOOSE_PATH = 1 / 4, MOST_MOVES = 0xffff;
/** Looseness takes a look at all keys: it is computed again after this number of batches. */
const SELDOM = 64;

/** What a row is when its weights are noted. */
export interface NotedRow {
  /** Its log-sum-exp; −∞ when it sees no key. */
  readonly logSumExp: number;
  /** By how much, as a natural logarithm, weights that are computed from its scores may be too small. */
  readonly doubt: number;
  /** Its largest |scale|·‖q‖. */
  readonly reach: number;
  /** Whether its scores are beyond what can be trusted. */
  readonly isSteep: boolean;
  /** A bound on the distance of its exact output from the centre. */
  readonly distance: number;
}

type FollowedCounts = Record<"batches" | "steps" | "notes" | "measured", number>;

/** The parts of a backend that its ledger depends on. */
export interface LedgerParts {
  readonly rows: HostRows;
  readonly work: Work;
  /** By key head, dv numbers: a point that values lie around. */
  readonly centres: Float64Array;
}

/** Ledger of one backend. */
export class DriftLedger {
  readonly #layout: HeadLayout;
  readonly #rule: ScoreRule;
  readonly #rows: HostRows;
  readonly #work: Work;
  readonly #heads: BlockDrift[];
  /** The blocks that it follows, where it does not follow all. */
  readonly #followed: ReadonlySet<number> | null;
  /** By block, 1 where it is followed, if not all are. */
  readonly #isFollowed: Uint8Array;
  /** By key slot and key head, how far the key has moved since its weights were noted. */
  #paths = new Float64Array(0);
  /** By key slot, in how many steps. */
  #moves = new Uint16Array(0);
  /** By key slot, 1 where weights are noted: of keys that have changed since the ledger was begun. */
  #noted = new Uint8Array(0);
  /** Multiply-adds of steps and notes so far. */
  upkeep = 0;
  /** As {@link Watched.followed}. */
  readonly followed: FollowedCounts = { batches: 0, steps: 0, notes: 0, measured: 0 };
  /** By query slot and head, the log-sum-exp, less its doubt, when its weights were noted. */
  #logs = new Float64Array(0);
  /** What `looseness` told last, and after how many batches. */
  #looseness = 1;
  #loosenessAt = 0;
  /** By query slot and head, the reading when the row's state was brought up to date. */
  #readings = new Float64Array(0);
  #keyRoom = 0;
  #slotRoom = 0;
  /** How the keys of the present batch change. */
  readonly #changes: DriftChanges;
  /** The change whose steps are taken. */
  readonly #move: KeyMove = { path: 0, keyShift: 0, valueShift: 0, distance: 0 };
  readonly #new: NewKey = { norm: 0, bias: 0, distance: 0 };

  /** Follows the blocks in `followed`, or all. */
  constructor(
    layout: HeadLayout,
    rule: ScoreRule,
    { rows, work, centres }: LedgerParts,
    followed: ReadonlySet<number> | null,
  ) {
    this.#followed = followed;
    this.#isFollowed = new Uint8Array(followed === null ? 0 : Math.max(-1, ...followed) + 1);
    for (const block of followed ?? []) this.#isFollowed[block] = 1;
    this.#layout = layout;
    this.#rule = rule;
    this.#rows = rows;
    this.#work = work;
    this.#changes = new DriftChanges(layout, rows, centres);
    this.#heads = Array.from({ length: layout.heads }, () => ({
      table: new WeightTable(),
      reach: new Float64Array(0),
      growth: new Float64Array(0),
      drift: new Float64Array(0),
      centred: new Float64Array(0),
      leastLog: new Float64Array(0),
      count: 0,
    }));
  }

  /** Whether a ledger of such sizes is worth its memory. */
  static fits({ heads }: HeadLayout, keys: number, queries: number): boolean {
    return heads * WeightTable.bytesOf(keys, Math.ceil(queries / BLOCK_SLOTS)) <= MOST_BYTES;
  }

  get bytes(): number {
    const numbers = this.#paths.byteLength + this.#moves.byteLength + this.#noted.byteLength +
      2 * this.#readings.byteLength + this.#changes.bytes;
    return this.#heads.reduce(
      (sum, { table, drift }) => sum + table.bytes + 5 * drift.byteLength,
      numbers,
    );
  }

  /** Makes room; throws before anything changes. */
  reserve({ keys, queryCapacity }: Pick<RowSizes, "keys" | "queryCapacity">, changes: number): void {
    const { heads, kvHeads } = this.#layout, blocks = Math.ceil(queryCapacity / BLOCK_SLOTS);
    for (const head of this.#heads) {
      head.table.reserve(keys, blocks);
      if (head.drift.length >= blocks) continue;
      head.reach = grown(head.reach, blocks, 0);
      head.growth = grown(head.growth, blocks, 1);
      head.leastLog = grown(head.leastLog, blocks, Infinity);
      head.drift = grown(head.drift, blocks, 0);
      head.centred = grown(head.centred, blocks, 0);
    }
    for (const head of this.#heads) head.count = Math.max(head.count, blocks);
    if (keys > this.#keyRoom) {
      this.#keyRoom = Math.max(keys, 2 * this.#keyRoom);
      this.#paths = grown(this.#paths, this.#keyRoom * kvHeads, 0);
      const moves = new Uint16Array(this.#keyRoom);
      moves.set(this.#moves);
      this.#moves = moves;
      const noted = new Uint8Array(this.#keyRoom);
      noted.set(this.#noted);
      this.#noted = noted;
    }
    if (queryCapacity > this.#slotRoom) {
      this.#slotRoom = queryCapacity;
      this.#readings = grown(this.#readings, queryCapacity * heads, 0);
      this.#logs = grown(this.#logs, queryCapacity * heads, -Infinity);
    }
    this.#changes.reserve(changes);
  }

  /** Notes how keys are about to change: what they were is still stored. */
  measure(changes: Changes): void {
    this.#changes.measure(changes);
  }

  /** Takes the steps that were measured; `sizes` are those of all values by key head, before and after. */
  apply(slots: Uint32Array, sizes: (keyHead: number) => ValueSizes): void {
    const { heads, kvHeads } = this.#layout, { softcap } = this.#rule;
    const ceiling = { cap: softcap > 0 ? softcap : Infinity, isBiasCapped: isBiasCapped(this.#rule) };
    const paths = this.#paths, { kinds } = this.#changes;
    for (let head = 0; head < heads; head++) {
      const blocks = this.#heads[head], keyHead = keyHeadOf(this.#layout, head), values = sizes(keyHead);
      const { distanceBias, blocks: blockBias } = this.#rule;
      const ruleBias = largestDistanceBias(distanceBias, head) + largestBlockBias(blockBias, head);
      for (let t = 0; t < slots.length; t++) {
        const slot = slots[t], kind = kinds[t], move = this.#move, coming = this.#new;
        move.path = paths[slot * kvHeads + keyHead];
        this.#changes.describe(t, keyHead, move, coming);
        coming.bias += ruleBias;
        if (kind === MOVES) moveKey(blocks, slot, move, values);
        if (kind & GOES) dropKey(blocks, slot, move, values);
        if (kind & COMES) addKey(blocks, slot, coming, ceiling, values);
        const steps = STEP_WORK * (this.#followed?.size ?? blocks.count);
        this.#work.multiplyAdds += steps;
        this.upkeep += steps;
        this.followed.steps += steps / STEP_WORK;
      }
    }
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t], start = slot * kvHeads;
      if (kinds[t] !== MOVES) {
        this.#settle(slot);
        // The bound of a key that comes is that of its weights.
        this.#noted[slot] = kinds[t] & COMES ? 1 : 0;
      } else {
        for (let h = 0; h < kvHeads; h++) paths[start + h] += this.#changes.shiftOf(t, h);
        this.#moves[slot] = Math.min(MOST_MOVES, this.#moves[slot] + 1);
      }
    }
    if (slots.length > 0) this.followed.batches++;
    this.#changes.clear(slots.length);
  }

  /** Whether it follows all blocks. */
  get isWhole(): boolean {
    return this.#followed === null;
  }

  /** Whether it follows the block of a query slot. */
  follows(slot: number): boolean {
    return this.#followed === null || this.#isFollowed[slot >>> BLOCK_BITS] === 1;
  }

  /** The weights of a key are noted. */
  #settle(slot: number): void {
    const { kvHeads } = this.#layout;
    this.#paths.fill(0, slot * kvHeads, (slot + 1) * kvHeads);
    this.#moves[slot] = 0;
  }

  /** The keys in these slots whose weights have to be noted before they change. */
  unnotedAmong(slots: Uint32Array): Uint32Array {
    const { stored } = this.#rows, noted = this.#noted;
    let count = 0;
    for (const slot of slots) if (noted[slot] === 0 && stored.isLive(slot)) count++;
    return count === 0 ? NO_SLOTS : slots.filter((slot) => noted[slot] === 0 && stored.isLive(slot));
  }

  /** The live keys whose weights are noted. */
  notedKeys(): Uint32Array {
    const { stored } = this.#rows, slots = Uint32Array.from(this.#noted.keys());
    return slots.filter((slot) => this.#noted[slot] === 1 && slot < stored.size && stored.isLive(slot));
  }

  /** The weights of these keys have been noted in all rows; it took `work` multiply-adds. */
  noted(slots: Uint32Array, work: number): void {
    for (const slot of slots) {
      this.#settle(slot);
      this.#noted[slot] = 1;
    }
    this.upkeep += work;
    this.followed.notes += slots.length * this.#layout.heads * (this.#followed?.size ?? this.#heads[0].count);
  }

  /** The log-sum-exp, less its doubt, when a row was begun. */
  logOf(slot: number, head: number): number {
    return this.#logs[slot * this.#layout.heads + head];
  }

  /**
   * Whether a key has moved so often and so far that noting its weights anew is worth a score for each row.
   */
  isLoose(slot: number): boolean {
    if (this.#moves[slot] < MANY_MOVES) return false;
    const { kvHeads } = this.#layout;
    let path = 0, reach = 0;
    for (let h = 0; h < kvHeads; h++) path = Math.max(path, this.#paths[slot * kvHeads + h]);
    for (const blocks of this.#heads) for (const a of blocks.reach) reach = Math.max(reach, a);
    return reach * path > LOOSE_PATH;
  }

  /** Notes the weights of one key anew, from its scores with the rows of all blocks that are followed. */
  noteKey(key: number, rows: Iterable<number>, scoreOf: (slot: number, head: number) => number): void {
    const { heads } = this.#layout;
    for (const { table } of this.#heads) table.empty(key);
    for (const slot of rows) {
      for (let head = 0; head < heads; head++) {
        const log = scoreOf(slot, head) - this.#logs[slot * heads + head];
        const code = log === -Infinity ? 0 : codeOfLog(log);
        this.#heads[head].table.raise(key, slot >>> BLOCK_BITS, code);
      }
    }
    this.#settle(key);
  }

  /** Notes one head of a query slot, whose weights are about to be raised. */
  begin(slot: number, head: number, row: NotedRow): void {
    const blocks = this.#heads[head], b = Math.floor(slot / BLOCK_SLOTS);
    blocks.reach[b] = Math.max(blocks.reach[b], row.reach * UP);
    const centred = row.distance - blocks.drift[b] * DOWN;
    blocks.centred[b] = centred < Infinity ? Math.max(blocks.centred[b], centred) : Infinity;
    blocks.leastLog[b] = Math.min(blocks.leastLog[b], row.isSteep ? -Infinity : row.logSumExp - row.doubt);
    this.#logs[slot * this.#layout.heads + head] = row.isSteep ? -Infinity : row.logSumExp - row.doubt;
    if (row.isSteep) blocks.table.giveUp(b, this.#rows.size);
  }

  /**
   * Notes the weights of keys in `count` blocks side by side, whose rows were begun, from the block number `from` in
   * `firsts` on: by block and key, the largest logarithm.
   */
  noteLogs(
    head: number,
    firsts: readonly number[],
    from: number,
    count: number,
    keys: Uint32Array,
    logs: Float64Array,
  ): void {
    const { table } = this.#heads[head];
    for (let t = 0; t < keys.length; t++) {
      // The blocks lie side by side.
      table.raiseRun(keys[t], firsts[from] >>> BLOCK_BITS, { logs, first: t, step: keys.length, count });
    }
  }

  /** Notes a weight from its score in a row that was begun. */
  note(slot: number, head: number, keySlot: number, score: number): void {
    if (score === -Infinity) return;
    const code = codeOfLog(score - this.logOf(slot, head));
    this.#heads[head].table.raise(keySlot, slot >>> BLOCK_BITS, code);
  }

  /** The states of these query slots are of the stored keys. */
  reach(slots: Uint32Array): void {
    const { heads } = this.#layout, readings = this.#readings;
    const isWhole = this.isWhole, isFollowed = this.#isFollowed;
    for (let head = 0; head < heads; head++) {
      const { drift } = this.#heads[head];
      for (let at = 0; at < slots.length; at++) {
        const slot = slots[at], block = slot >>> BLOCK_BITS;
        if (isWhole || isFollowed[block] === 1) readings[slot * heads + head] = drift[block];
      }
    }
  }

  /** How far blocks have drifted, by head. */
  get drifts(): readonly Float64Array[] {
    return this.#heads.map(({ drift }) => drift);
  }

  /** A bound on how far the state of a query slot is from exact in one head, but for rounding. */
  sinceState(slot: number, head: number): number {
    const drift = this.#heads[head].drift[slot >>> BLOCK_BITS] - this.readingOfState(slot, head);
    return drift >= 0 ? drift * UP : Infinity;
  }

  /** The reading as of the state of a query slot. */
  readingOfState(slot: number, head: number): number {
    return this.#readings[slot * this.#layout.heads + head];
  }

  /**
   * How much larger than necessary drift is by now, or was some batches ago, as a factor: weights only grow
   * until they are noted anew.
   */
  looseness(): number {
    const { batches } = this.followed;
    if (batches < this.#loosenessAt + SELDOM) return this.#looseness;
    this.#loosenessAt = batches;
    return this.#looseness = this.#loosenessNow();
  }

  #loosenessNow(): number {
    const { kvHeads } = this.#layout;
    let paths = 0;
    for (const path of this.#paths) paths += path;
    const path = paths / Math.max(1, this.#rows.stored.count * kvHeads);
    let sum = 0, count = 0;
    for (const { reach, growth, count: blocks } of this.#heads) {
      for (let b = 0; b < blocks; b++, count++) sum += Math.min(700, reach[b] * path + Math.log(growth[b]));
    }
    return Math.exp(sum / Math.max(1, count));
  }

  /** Starts the readings anew: what decided them is gone, and all states are of the stored keys. */
  forget(): void {
    for (const { drift, centred } of this.#heads) {
      for (let b = 0; b < drift.length; b++) centred[b] = (centred[b] + drift[b]) * UP;
      drift.fill(0);
    }
    this.#readings.fill(0);
  }
}

const NO_SLOTS = new Uint32Array(0);

function grown(numbers: Float64Array, length: number, filled: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(length).fill(filled, numbers.length);
  larger.set(numbers);
  return larger;
}
