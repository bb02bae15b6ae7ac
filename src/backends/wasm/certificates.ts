/**
 * Certificates by the kernels: records of changed keys and of rows in their memory, laid out as in
 * `certificate_fields.ts`.
 */

import type { BackendConfig, Work } from "../backend.ts";
import { keyHeadOf } from "../../numerics/head_layout.ts";
import { shiftedLog } from "../../numerics/power_shift.ts";
import { looksAtPositions } from "../../numerics/score_rule.ts";
import {
  type CertificateKernel,
  NOT_CHANGED,
  type TakenRow,
  type ValueBall,
} from "../host/certificate_kernel.ts";
import { countOf } from "../host/certified_tile.ts";
import type { HostRows } from "../host/host_rows.ts";
import type { KeyTable } from "../host/key_table.ts";
import { STEEP_SCORE } from "../host/key_reach.ts";
import { NO_ROW } from "../since.ts";
import * as field from "./certificate_fields.ts";
import type { Kernels } from "./load_kernels.ts";
import { RecordPool } from "./record_pool.ts";
import type { Arena } from "./arena.ts";
import type { RowStates } from "./row_states.ts";

/** Keys whose records are in memory at the same time. */
const MOST_CHANGES = 64;
/**
 * Sizes of values for which float32 neither overflows nor loses what matters, and columns whose sums it
 * rounds little.
 */
const LEAST_SIZE = 2 ** -30, MOST_SIZE = 2 ** 50, MOST_COLUMNS = 4096;
/** The smallest float32, over the rounding that is charged of a difference of keys. */
const LEAST_SHIFT = 2 ** -149 * 2 ** 24;
const LANES = field.TILE_ROWS - 1;
/** Covers the rounding of a norm, and of rounding it to float32. */
const UP = 1 + 2 ** -20;

/** The certificates of one backend. */
export class WasmCertificates implements CertificateKernel {
  readonly mostChanges: number = MOST_CHANGES;
  readonly pairBytes: number = field.TILE_BLOCKS * field.PAIR_BLOCK_BYTES;
  readonly taken: TakenRow = { norm: 0, reach: 0, massErrorShare: 0, sumErrorShare: 0, logSumExp: 0 };
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #states: RowStates;
  readonly #config: BackendConfig;
  readonly #work: Work;
  readonly #tiles: RecordPool;
  readonly #pairs: RecordPool;
  readonly #changeBytes: number;
  /**
   * Addresses of the record of a question, of those of changed keys, and of two lists of addresses; 0 before
   * the first.
   */
  #question = 0;
  #changes = 0;
  #changeList = 0;
  #pairList = 0;
  /** Exponentials of the first so many of these keys in one row. */
  readonly #exponentials = new Uint32Array(MOST_CHANGES + 1);
  #head = 0;
  #rows!: HostRows;

  constructor(kernels: Kernels, arena: Arena, states: RowStates, config: BackendConfig, work: Work) {
    const { headDim, valueDim } = config.layout;
    this.#kernels = kernels;
    this.#arena = arena;
    this.#states = states;
    this.#config = config;
    this.#work = work;
    this.#tiles = new RecordPool(arena, field.TILE_BYTES);
    this.#pairs = new RecordPool(arena, this.pairBytes);
    // The room is for differences and, where rows are packed, for both rows.
    const rows = config.layout.storage ? 2 : 0;
    const numbers = 2 * headDim + valueDim + rows * (headDim + valueDim);
    this.#changeBytes = field.CHANGE_BYTES + 8 * Math.ceil(numbers / 2);
  }

  attach(rows: HostRows): void {
    this.#rows = rows;
  }

  begin(head: number, { diameter, size }: ValueBall): boolean {
    if (!(size >= LEAST_SIZE && size <= MOST_SIZE) || this.#config.layout.valueDim > MOST_COLUMNS) {
      return false;
    }
    if (this.#question === 0) this.#reserve();
    this.#head = head;
    const { numbers } = this.#arena, at = this.#question / 4;
    numbers[at + field.DIAMETER / 4] = diameter * UP;
    numbers[at + field.SIZE / 4] = size * UP;
    this.#arena.allDoubles[(this.#question + field.WIDE_DIAMETER) / 8] = diameter;
    return true;
  }

  makeTile(): number {
    return this.#tiles.take();
  }

  makePairs(): number {
    try {
      return this.#pairs.take();
    } catch (cause) {
      if (cause instanceof RangeError) return 0;
      throw cause;
    }
  }

  freePairs(pairs: number): void {
    // Nothing else is looked at where the age is that of no row.
    const { numbers } = this.#arena, block = field.PAIR_BLOCK_BYTES / 4;
    let at = (pairs + field.PAIR_AGE) / 4;
    for (const end = at + field.TILE_BLOCKS * block; at < end; at += block) numbers.fill(0, at, at + 8);
    this.#pairs.give(pairs);
  }

  take(tile: number, tileNumber: number, rows: number, measured: number): number {
    const { job } = this.#states.heads[this.#head], first = tileNumber * field.TILE_BLOCKS;
    let odd = this.#kernels.takeRows(job, tile, first, this.#blocksFrom(first), rows, measured, STEEP_SCORE);
    if (!this.#states.hasHeavyKeys(this.#head)) return odd;
    for (let lane = 0; lane < field.TILE_ROWS; lane++) {
      const slot = tileNumber * field.TILE_ROWS + lane;
      if ((rows >>> lane & 1) === 1 && this.#states.heavyKeys(this.#head, slot).length > 0) odd |= 1 << lane;
    }
    return odd;
  }

  setChanges(slots: Uint32Array, retained: Float64Array, first: number, count: number): void {
    const words = this.#words(), exponentials = this.#exponentials;
    for (let t = 0; t < count; t++) {
      const isChanged = retained[first + t] !== NOT_CHANGED, at = this.#changes + t * this.#changeBytes;
      words[this.#changeList / 4 + t] = isChanged ? at : 0;
      exponentials[t + 1] = exponentials[t] +
        (isChanged ? this.#writeChange(at, slots[first + t], retained[first + t]) : 0);
    }
  }

  add(tile: number, tileNumber: number, rows: number, pairs: Uint32Array, count: number): number {
    const { job } = this.#states.heads[this.#head], words = this.#words();
    const first = tileNumber * field.TILE_BLOCKS;
    for (let t = 0; t < count; t++) words[this.#pairList / 4 + t] = pairs[t];
    this.#work.exponentials += countOf(rows) * this.#exponentials[count];
    const odd = this.#kernels.addChanges(
      job,
      tile,
      first,
      this.#blocksFrom(first),
      rows,
      count,
      this.#changeList,
      this.#pairList,
      this.#question,
    );
    this.#work.multiplyAdds += words[(this.#question + field.MULTIPLY_ADDS) / 4];
    return odd;
  }

  stateOf(tile: number, slot: number): TakenRow {
    const { taken } = this, { numbers } = this.#arena, at = blockOf(tile, slot) / 4 + slot % 8;
    taken.norm = numbers[at + field.NORM / 4];
    taken.reach = numbers[at + field.REACH / 4];
    taken.massErrorShare = numbers[at + field.MASS_ERROR_SHARE / 4];
    taken.sumErrorShare = numbers[at + field.SUM_ERROR_SHARE / 4];
    taken.logSumExp = this.#config.maskHeads === 0
      ? Infinity
      : shiftedLog(1 / numbers[at + field.SHARE / 4], this.#states.heads[this.#head].shift(slot));
    return taken;
  }

  setWeights(tile: number, slot: number, variation: number, massDoubt: number): void {
    const { allDoubles: doubles, numbers } = this.#arena,
      block = blockOf(tile, slot),
      at = block / 8 + slot % 8;
    const massError = numbers[(block + field.MASS_ERROR_SHARE) / 4 + slot % 8];
    doubles[at + field.VARIATION / 8] = variation;
    doubles[at + field.WEIGHT_DOUBT / 8] = massDoubt;
    doubles[at + field.MASS_DOUBT / 8] = massDoubt + 2 * massError;
  }

  setRounding(tile: number, slot: number, variation: number, fixed: number, massDoubt: number): void {
    const doubles = this.#arena.allDoubles, at = blockOf(tile, slot) / 8 + slot % 8;
    doubles[at + field.VARIATION / 8] = variation;
    doubles[at + field.FIXED / 8] = fixed;
    doubles[at + field.MASS_DOUBT / 8] = massDoubt;
  }

  bound(tile: number, tileNumber: number, rounded: number): number {
    this.#arena.allDoubles[(this.#question + field.EXCHANGED) / 8] = rounded;
    const { job } = this.#states.heads[this.#head], blocks = this.#blocksFrom(tileNumber * field.TILE_BLOCKS);
    return this.#kernels.boundRows(job, tile, blocks, this.#question);
  }

  addBounds(
    tile: number,
    slots: Uint32Array,
    first: number,
    count: number,
    target: Float64Array,
    areSquares: boolean,
  ): void {
    const doubles = this.#arena.allDoubles, start = (tile + field.BOUNDS) / 8, end = first + count;
    if (areSquares) {
      for (let at = first; at < end; at++) target[at] += doubles[start + (slots[at] & LANES)] ** 2;
    } else for (let at = first; at < end; at++) target[at] += doubles[start + (slots[at] & LANES)];
  }

  forget(): void {
    this.#tiles.clear();
    this.#pairs.clear();
    if (this.#question === 0) return;
    const { numbers } = this.#arena;
    numbers.fill(0, this.#question / 4, (this.#question + field.QUESTION_BYTES) / 4);
    numbers.fill(0, this.#changes / 4, (this.#changes + MOST_CHANGES * this.#changeBytes) / 4);
    this.#words()[(this.#question + field.HAS_POSITIONS) / 4] = looksAtPositions(this.#config.rule) ? 1 : 0;
  }

  #reserve(): void {
    const list = 4 * MOST_CHANGES, changes = MOST_CHANGES * this.#changeBytes;
    const addresses = this.#arena.takeEach([changes, list, list, field.QUESTION_BYTES]);
    [this.#changes, this.#changeList, this.#pairList, this.#question] = addresses;
    this.#words()[(this.#question + field.HAS_POSITIONS) / 4] = looksAtPositions(this.#config.rule) ? 1 : 0;
  }

  /**
   * Writes the record of a changed key: the earlier row, or the present one if there was none, and
   * differences. Returns the number of exponentials that it takes in a row.
   */
  #writeChange(at: number, slot: number, retainedId: number): number {
    const { layout: { kvHeads, headDim, valueDim, heads }, maskHeads } = this.#config;
    const { stored, retained } = this.#rows, { numbers } = this.#arena, words = this.#words();
    const keyHead = keyHeadOf(this.#config.layout, this.#head);
    const wasLive = retainedId !== NO_ROW, isLive = stored.isLive(slot), isBoth = wasLive && isLive;
    const base = wasLive ? retained : stored, baseRow = wasLive ? retainedId : slot;
    const delta = (at + field.CHANGE_BYTES) / 4, room = delta + 2 * headDim + valueDim;
    const key = base.placeKey(baseRow, keyHead, numbers, room);
    const value = base.placeValue(baseRow, keyHead, numbers, room + headDim);
    let keyShift = 0, valueShift = 0;
    if (isBoth) {
      const nowAt = room + headDim + valueDim;
      const keyNow = stored.placeKey(slot, keyHead, numbers, nowAt);
      const valueNow = stored.placeValue(slot, keyHead, numbers, nowAt + headDim);
      keyShift = this.#kernels.difference(4 * keyNow, 4 * key, 4 * delta, headDim);
      valueShift = this.#kernels.difference(4 * valueNow, 4 * value, 4 * (delta + headDim), valueDim);
    }
    const normOf = (table: KeyTable, row: number) => table.norms[row * kvHeads + keyHead];
    const norm = Math.max(wasLive ? normOf(retained, retainedId) : 0, isLive ? normOf(stored, slot) : 0);
    const word = at / 4, maskHead = maskHeads === heads ? this.#head : 0;
    words[word + field.KEY / 4] = 4 * key;
    words[word + field.KEY_DELTA / 4] = keyShift > 0 ? 4 * delta : 0;
    words[word + field.VALUE / 4] = 4 * value;
    words[word + field.VALUE_DELTA / 4] = valueShift > 0 ? 4 * (delta + headDim) : 0;
    words[word + field.WAS_LIVE / 4] = wasLive ? 1 : 0;
    words[word + field.IS_LIVE / 4] = isLive ? 1 : 0;
    words[word + field.BIAS_BEFORE / 4] = maskHeads > 0 && wasLive
      ? 4 * retained.biasIndex(retainedId, maskHead)
      : 0;
    words[word + field.BIAS_AFTER / 4] = maskHeads > 0 && isLive ? 4 * stored.biasIndex(slot, maskHead) : 0;
    if (keyShift > 0) {
      const list = 4 * (delta + headDim + valueDim);
      words[word + field.MOVED_COUNT / 4] = this.#kernels.listMoved(4 * delta, headDim, list);
      words[word + field.MOVED_LIST / 4] = list;
    }
    const doubles = this.#arena.allDoubles;
    doubles[(at + field.POSITION_BEFORE) / 8] = wasLive ? retained.position(retainedId) : 0;
    doubles[(at + field.POSITION_AFTER) / 8] = isLive ? stored.position(slot) : 0;
    numbers[word + field.KEY_NORM / 4] = norm * UP;
    // Differences below the range of float32 are charged as if they were in it.
    numbers[word + field.KEY_SHIFT / 4] =
      (keyShift > 0 ? Math.max(keyShift, LEAST_SHIFT * Math.sqrt(headDim)) : 0) * UP;
    numbers[word + field.VALUE_SHIFT / 4] = valueShift * UP;
    return isBoth ? 2 : 1;
  }

  /** Blocks of a tile that there are. */
  #blocksFrom(first: number): number {
    return Math.min(field.TILE_BLOCKS, this.#states.capacity / 8 - first);
  }

  #words(): Int32Array {
    return this.#arena.allIntegers;
  }
}

/** The address of the block of a query slot in its tile. */
function blockOf(tile: number, slot: number): number {
  return tile + (slot % field.TILE_ROWS >> 3) * field.TILE_BLOCK_BYTES;
}
