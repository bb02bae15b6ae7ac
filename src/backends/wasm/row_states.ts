/**
 * The states of standing queries on the backend `wasm`: for each head the blocks of rows of the kernels, one
 * row per query slot, and each row's *heavy keys*, which are not in its sums.
 */

import type { RowStates as HeldStates } from "../host/row_states.ts";
import type { HeadLayout } from "../../numerics/head_layout.ts";
import { EVENT_BYTES, ROW_EVENTS } from "./job_fields.ts";
import type { Arena } from "./arena.ts";
import { type BlockRange, RowBlocks } from "./row_blocks.ts";
import type { RowRule } from "./row_rule.ts";

/** The number of heavy keys with which a row need not be computed anew. */
export const HEAVY_KEYS = 8;

/** A heavy key, which is not in the sums of a row. */
export interface HeavyKey {
  readonly slot: number;
  readonly score: number;
}

const NONE: readonly HeavyKey[] = [];

/** States by head and query slot. */
export class RowStates {
  readonly heads: readonly RowBlocks[];
  readonly #layout: HeadLayout;
  readonly #heavy: readonly Map<number, HeavyKey[]>[];
  /** The number of query slots that there is room for, a multiple of 8. */
  capacity = 0;

  constructor(arena: Arena, layout: HeadLayout, rule: RowRule) {
    this.#layout = layout;
    this.heads = Array.from({ length: layout.heads }, (_, head) => new RowBlocks(arena, rule, 0, head));
    this.#heavy = this.heads.map(() => new Map());
  }

  /** Makes room for query slots below `size`. */
  reserve(size: number): void {
    const capacity = this.capacityFor(size);
    if (capacity === this.capacity) return;
    for (const rows of this.heads) rows.reserve(capacity);
    this.capacity = capacity;
  }

  /** The capacity for query slots below `size`. */
  capacityFor(size: number): number {
    return size <= this.capacity ? this.capacity : 8 * Math.ceil(Math.max(size, 2 * this.capacity) / 8);
  }

  /** Bytes of memory for `capacity` query slots. */
  bytesOf(capacity: number): number {
    const { headDim, heads } = this.#layout;
    return heads * capacity * (4 * headDim + 8 * this.heads[0].columns + 38 + ROW_EVENTS * EVENT_BYTES);
  }

  /** Stores a query, which has no state afterwards. */
  setQuery(slot: number, rows: Float32Array, offset: number, position: number): void {
    const { headDim } = this.#layout;
    this.heads.forEach((blocks, head) => {
      const start = offset + head * headDim;
      blocks.setQuery(slot, rows.subarray(start, start + headDim), position);
      blocks.activate(slot, false);
    });
    this.clear(slot);
  }

  /** Wipes the scratch of scoring. */
  wipeScratch(): void {
    for (const blocks of this.heads) blocks.wipeScratch();
  }

  /** Wipes a query and its states. */
  wipe(slot: number): void {
    for (const blocks of this.heads) blocks.wipeQuery(slot);
    this.clear(slot);
  }

  /** Makes a query's states those over no keys. */
  clear(slot: number): void {
    this.heads.forEach((blocks, head) => {
      blocks.clearState(slot);
      this.#heavy[head].delete(slot);
    });
  }

  /** Runs a call with the rows of some queries active; null when it has run. */
  withActive(
    head: number,
    queries: Uint32Array,
    call: (ranges: readonly BlockRange[]) => Promise<void> | null,
  ): Promise<void> | null {
    this.heads[head].activateOnly(queries);
    return call(blockRanges(queries));
  }

  /** Copies the state of a head row to the first row of `target`. */
  copyTo(target: HeldStates, slot: number, head: number): void {
    this.heads[head].copySums(slot, target);
    const heavy = this.heavyKeys(head, slot);
    target.heavyCount[0] = heavy.length;
    for (let at = 0; at < heavy.length; at++) {
      target.heavySlots[at] = heavy[at].slot;
      target.heavyScores[at] = heavy[at].score;
    }
  }

  /** The heavy keys of a row. */
  heavyKeys(head: number, slot: number): readonly HeavyKey[] {
    return this.#heavy[head].get(slot) ?? NONE;
  }

  /** Whether any row of a head has heavy keys. */
  hasHeavyKeys(head: number): boolean {
    return this.#heavy[head].size > 0;
  }

  /** Whether a row has more heavy keys than it may. */
  isOverloaded(head: number, slot: number): boolean {
    return this.heavyKeys(head, slot).length > HEAVY_KEYS;
  }

  /** Replaces the heavy keys of a row. */
  setHeavyKeys(head: number, slot: number, keys: readonly HeavyKey[]): void {
    if (keys.length === 0) this.#heavy[head].delete(slot);
    else this.#heavy[head].set(slot, [...keys]);
  }
}

/** The runs of blocks that hold some rows. */
export function blockRanges(rows: Uint32Array): BlockRange[] {
  const sorted = isAscending(rows) ? rows : rows.slice().sort();
  const ranges: [number, number][] = [];
  for (let at = 0; at < sorted.length; at++) {
    const block = sorted[at] >>> 3;
    const last = ranges[ranges.length - 1];
    if (last && block < last[1]) continue;
    if (last && block === last[1]) last[1]++;
    else ranges.push([block, block + 1]);
  }
  return ranges;
}

function isAscending(rows: Uint32Array): boolean {
  for (let at = 1; at < rows.length; at++) if (rows[at] < rows[at - 1]) return false;
  return true;
}
