/**
 * The rows of one engine at the host, which are authoritative whatever a store of states holds: stored and
 * retained keys with their values and biases, and queries.
 */

import type { BackendConfig, Changes, Cohort, RowChanges } from "../backend.ts";
import { NO_ROW } from "../since.ts";
import { queryColumns } from "../../numerics/head_layout.ts";
import { largestFinite, type MeasuredKeys } from "./key_reach.ts";
import type { KeyLayout } from "./key_table.ts";
import { KeyTable, normOf } from "./key_table.ts";
import { KeysAt } from "./keys_at.ts";
import type { QueryHead } from "./kernels.ts";
import { RowStore } from "./row_store.ts";

/** The sizes of tables that a batch needs. */
export interface RowSizes {
  /** One more than the largest key slot. */
  readonly keys: number;
  /** One more than the largest id of a retained row. */
  readonly retained: number;
  /** One more than the largest query slot, including those in biases. */
  readonly queries: number;
  /** One more than the largest key slot in biases. */
  readonly biasKeys: number;
  /** The number of query slots that biases and states have room for afterwards, a multiple of 8. */
  readonly queryCapacity: number;
}

/** The rows of one engine. */
export class HostRows implements MeasuredKeys {
  readonly stored: KeyTable;
  readonly retained: KeyTable;
  readonly queries: RowStore;
  readonly #config: BackendConfig;
  /** The key slot that held a retained row, by the row's id. States refer to heavy keys by slot. */
  #retainedSlots = new Uint32Array(0);
  #queryCapacity = 0;

  constructor(config: BackendConfig, keyLayout: KeyLayout) {
    this.#config = config;
    this.queries = new RowStore(queryColumns(config.layout), keyLayout.hasPositions);
    this.stored = new KeyTable(keyLayout, this.queries);
    this.retained = new KeyTable(keyLayout, this.queries);
  }

  get size(): number {
    return this.stored.size;
  }

  get norms(): Float64Array {
    return this.stored.norms;
  }

  isLive(slot: number): boolean {
    return this.stored.isLive(slot);
  }

  magnitude(slot: number, keyHead: number): number {
    return this.stored.magnitude(slot, keyHead);
  }

  largestBias(): number {
    const { live, size } = this.queries, { bias } = this.stored.block();
    let largest = 0;
    if (bias === null) return largest;
    for (let slot = 0; slot < this.size; slot++) {
      if (!this.isLive(slot)) continue;
      for (let head = 0; head < bias.heads; head++) {
        const start = this.stored.biasIndex(slot, head);
        for (let query = 0; query < size; query++) {
          if (live[query] === 1) largest = Math.max(largest, largestFinite(bias.numbers, start + query, 1));
        }
      }
    }
    return largest;
  }

  /** Bytes of the numbers of keys and values. */
  keyBytes(): number {
    return this.stored.numberBytes() + this.retained.numberBytes();
  }

  /** All other bytes. */
  bytes(): number {
    return this.stored.markBytes() + this.retained.markBytes() + this.queries.bytes() +
      this.#retainedSlots.byteLength;
  }

  /** The sizes of tables that a batch needs. */
  sizesFor({ keys, queries }: Changes, retained: Uint32Array): RowSizes {
    const { maskHeads } = this.#config;
    const mentioned = ({ slots, bias }: RowChanges) =>
      bias && slots.length > 0 ? bias.length / slots.length / maskHeads : 0;
    const keyEnd = Math.max(this.stored.size, endOf(keys.slots));
    const queryEnd = Math.max(this.queries.size, endOf(queries.slots), mentioned(keys));
    return {
      keys: keyEnd,
      retained: Math.max(this.retained.size, endOf(retained)),
      queries: queryEnd,
      biasKeys: Math.max(keyEnd, mentioned(queries)),
      queryCapacity: queryEnd <= this.#queryCapacity
        ? this.#queryCapacity
        : 8 * Math.ceil(Math.max(queryEnd, 2 * this.#queryCapacity) / 8),
    };
  }

  /** Bytes of tables of such sizes. */
  bytesOf({ keys, retained, queries, biasKeys, queryCapacity }: RowSizes): number {
    return this.stored.bytesOf(keys, biasKeys, queryCapacity) +
      this.retained.bytesOf(retained, retained, queryCapacity) +
      this.queries.bytesOf(queries);
  }

  /** Makes room; throws before anything changes. */
  reserve({ keys, retained, queries, biasKeys, queryCapacity }: RowSizes): void {
    this.stored.reserve(keys, biasKeys, queryCapacity);
    this.retained.reserve(retained, retained, queryCapacity);
    this.queries.reserve(queries);
    if (this.#retainedSlots.length < retained) {
      const slots = new Uint32Array(Math.max(retained, 2 * this.#retainedSlots.length));
      slots.set(this.#retainedSlots);
      this.#retainedSlots = slots;
    }
    this.#queryCapacity = queryCapacity;
  }

  /** Wipes the retained rows of these ids. */
  drop(retainedIds: Uint32Array): void {
    for (const retainedId of retainedIds) this.retained.wipe(retainedId);
  }

  /** Retains the row that a key slot holds, under an id. */
  retain(slot: number, retainedId: number): void {
    this.retained.copyFrom(this.stored, slot, retainedId);
    this.#retainedSlots[retainedId] = slot;
  }

  /** The key slot that held a retained row. */
  retainedSlot(retainedId: number): number {
    return this.#retainedSlots[retainedId];
  }

  /** Writes changed queries. */
  storeQueries(queries: RowChanges): void {
    const { slots, live, rows, positions } = queries;
    const { width } = this.queries;
    for (let t = 0; t < slots.length; t++) {
      this.queries.mark(slots[t], live[t], positions[t]);
      if (live[t] === 1) this.queries.rows.set(rows.subarray(t * width, (t + 1) * width), slots[t] * width);
      else this.queries.wipe(slots[t]);
    }
    this.stored.storeQueryBias(queries);
  }

  /**
   * Whether the stored key of a slot has the biases of a changed one, with every live query: `count` numbers
   * from `start` on.
   */
  hasBias(slot: number, bias: Float32Array, start: number, count: number): boolean {
    const heads = this.#config.maskHeads, { live, size } = this.queries;
    for (let query = 0; query < Math.min(size, count / heads); query++) {
      if (live[query] === 0) continue;
      for (let head = 0; head < heads; head++) {
        if (this.stored.bias(slot, query, head) !== bias[start + query * heads + head]) return false;
      }
    }
    return true;
  }

  /** The keys that the states of a cohort include. */
  keysAt(since: Cohort["since"]): KeysAt {
    return new KeysAt(this.stored.block(), this.retained.block(), since);
  }

  /** One head of a standing query. */
  queryHead(slot: number, head: number): QueryHead {
    const { rows, width } = this.queries;
    return { rows, offset: slot * width, head, position: this.queries.position(slot), slot };
  }

  /** ‖q‖₂ of one head of a query. */
  queryNorm({ rows, offset, head }: QueryHead): number {
    const { headDim } = this.#config.layout;
    return normOf(rows, offset + head * headDim, headDim);
  }

  /** The slots of live queries, ascending. */
  liveQueries(): Uint32Array {
    const { live, size, liveCount } = this.queries;
    const slots = new Uint32Array(liveCount);
    for (let slot = 0, at = 0; slot < size; slot++) if (live[slot] === 1) slots[at++] = slot;
    return slots;
  }
}

/** One more than the largest id, without `NO_ROW`. */
function endOf(numbers: Uint32Array): number {
  let end = 0;
  for (const number of numbers) if (number !== NO_ROW) end = Math.max(end, number + 1);
  return end;
}
