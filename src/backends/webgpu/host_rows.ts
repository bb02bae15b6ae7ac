/**
 * The rows at the host, which are what the engine reads and what the device's tables are made of: keys and
 * values, stored and kept, with what a mask adds, and queries. They are the truth: a device can be lost
 * without losing any.
 */

import type { BackendConfig, Changes, RowChanges, Since } from "../backend.ts";
import { NO_ROW } from "../since.ts";
import { queryColumns } from "../../numerics/head_layout.ts";
import { CapacityError } from "../../base/errors.ts";
import type { KeyBlock } from "../host/key_block.ts";
import { KeyStore } from "../host/key_store.ts";
import { looksAtPositions } from "../../numerics/score_rule.ts";
import type { MeasuredKeys } from "../host/key_reach.ts";
import { RowStore } from "../host/row_store.ts";
import { placeOf, reachOf } from "./position_range.ts";
import { ADDED_KEY, EMPTY_KEY, KEY_START, QUERY_START, type RecordLayout } from "./record_layout.ts";

/** Rows of one engine. */
export class HostRows implements MeasuredKeys {
  readonly stored: KeyStore;
  readonly kept: KeyStore;
  readonly queries: RowStore;
  norms = new Float64Array(0);
  /** By the number of a kept row, the slot that held it: rows note heavy keys by slot. */
  #keptSlots = new Uint32Array(0);
  readonly #config: BackendConfig;
  readonly #looksAtPositions: boolean;

  constructor(config: BackendConfig) {
    const { layout, maskHeads, rule } = config;
    this.#config = config;
    this.#looksAtPositions = looksAtPositions(rule);
    this.stored = new KeyStore(layout, maskHeads);
    this.kept = new KeyStore(layout, maskHeads);
    this.queries = new RowStore(queryColumns(layout));
  }

  get size(): number {
    return this.stored.keys.size;
  }

  isLive(slot: number): boolean {
    return this.stored.keys.isLive(slot);
  }

  magnitude(slot: number, keyHead: number): number {
    const { kvHeads, valueDim } = this.#config.layout;
    return this.stored.block().values[(slot * kvHeads + keyHead + 1) * (valueDim + 2) - 1];
  }

  bytes(): number {
    return this.stored.bytes() + this.kept.bytes() + this.queries.bytes() + this.norms.byteLength;
  }

  /** Makes room for a batch; throws before anything changes. */
  reserve({ keys, queries }: Changes, kept: Uint32Array): void {
    const { maskHeads, layout: { kvHeads } } = this.#config;
    const keyEnd = Math.max(this.size, endOf(keys.slots)),
      keptEnd = Math.max(this.kept.keys.size, endOf(kept));
    const queryEnd = Math.max(this.queries.size, endOf(queries.slots));
    const mentioned = ({ slots, bias }: RowChanges) =>
      bias && slots.length > 0 ? bias.length / slots.length / maskHeads : 0;
    const biasKeys = Math.max(keyEnd, mentioned(queries)), biasQueries = Math.max(queryEnd, mentioned(keys));
    const bytes = this.stored.bytesOf(keyEnd, biasKeys, biasQueries) +
      this.kept.bytesOf(keptEnd, keptEnd, biasQueries) + this.queries.bytesOf(queryEnd);
    CapacityError.guard("webgpu", `${keyEnd} keys and ${queryEnd} queries`, bytes, () => {
      this.stored.reserve(keyEnd, biasKeys, biasQueries);
      this.kept.reserve(keptEnd, keptEnd, biasQueries);
      this.queries.reserve(queryEnd);
      if (this.norms.length < keyEnd * kvHeads) {
        const norms = new Float64Array(Math.max(keyEnd * kvHeads, 2 * this.norms.length));
        norms.set(this.norms);
        this.norms.fill(0);
        this.norms = norms;
      }
      if (this.#keptSlots.length < keptEnd) {
        const slots = new Uint32Array(Math.max(keptEnd, 2 * this.#keptSlots.length));
        slots.set(this.#keptSlots);
        this.#keptSlots = slots;
      }
    });
  }

  /** Wipes kept rows that nobody wants any more. */
  drop(numbers: Uint32Array): void {
    for (const number of numbers) this.kept.wipe(number);
  }

  /** Keeps the row that a slot holds. */
  keep(slot: number, number: number): void {
    this.kept.copyFrom(this.stored, slot, number);
    this.#keptSlots[number] = slot;
  }

  /** Writes changed keys. */
  storeKeys(keys: RowChanges): void {
    const { kvHeads, headDim } = this.#config.layout;
    this.stored.store(keys);
    const { keys: rows } = this.stored.block();
    for (const slot of keys.slots) {
      for (let head = 0; head < kvHeads; head++) {
        const at = slot * kvHeads + head;
        this.norms[at] = norm(rows, at * headDim, headDim);
      }
    }
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
    this.stored.bias.storeQueries(queries);
  }

  /** ‖q‖₂ of one head of a query among rows. */
  queryNorm(rows: Float32Array, offset: number, head: number): number {
    const { headDim } = this.#config.layout;
    return norm(rows, offset + head * headDim, headDim);
  }

  /** Writes the record of a stored key. */
  writeStored(
    slot: number,
    words: Uint32Array,
    numbers: Float32Array,
    at: number,
    record: RecordLayout,
  ): void {
    this.#writeKey(this.stored, slot, slot, words, numbers, at, record);
  }

  /** Writes the record of a kept key, which has the slot that it was kept from. */
  writeKept(
    number: number,
    words: Uint32Array,
    numbers: Float32Array,
    at: number,
    record: RecordLayout,
  ): void {
    this.#writeKey(this.kept, number, this.#keptSlots[number], words, numbers, at, record);
  }

  #writeKey(
    store: KeyStore,
    row: number,
    slot: number,
    words: Uint32Array,
    numbers: Float32Array,
    at: number,
    { valueStart, biasStart, biasWords }: RecordLayout,
  ): void {
    const { keys, values, live, positions, bias, biasStride } = store.block();
    if (live[row] === 0) {
      words[at] = EMPTY_KEY;
      return;
    }
    words[at] = ADDED_KEY;
    words[at + 1] = slot;
    words.set(placeOf(positions[row]), at + 2);
    const keyWidth = valueStart - KEY_START, valueWidth = biasStart - valueStart;
    numbers.set(keys.subarray(row * keyWidth, (row + 1) * keyWidth), at + KEY_START);
    numbers.set(values.subarray(row * valueWidth, (row + 1) * valueWidth), at + valueStart);
    if (!bias) return;
    const biases = bias.subarray(row * biasStride, row * biasStride + Math.min(biasWords, biasStride));
    numbers.set(biases, at + biasStart);
  }

  /** Writes the record of a standing query; that of an empty slot is zeros. */
  writeQuery(slot: number, words: Uint32Array, numbers: Float32Array, at: number): void {
    if (!this.queries.isLive(slot)) return;
    const { rows, width, positions } = this.queries;
    this.writeRow(rows, slot * width, positions[slot], words, numbers, at);
  }

  /** Writes the record of any query. */
  writeRow(
    rows: Float32Array,
    offset: number,
    position: number,
    words: Uint32Array,
    numbers: Float32Array,
    at: number,
  ): void {
    numbers.set(rows.subarray(offset, offset + this.queries.width), at + QUERY_START);
    if (!this.#looksAtPositions) return;
    const { first, last } = reachOf(this.#config.rule, position);
    words.set(first, at);
    words.set(last, at + 2);
  }

  /** The stored keys as they were at some moment, in arrays of their own if that is not now. */
  blockAt({ slots, kept }: Since): KeyBlock {
    const block = this.stored.block();
    if (slots.length === 0) return block;
    const before = this.kept.block();
    const { keys, values, bias, biasStride, count } = block;
    const at = {
      ...block,
      keys: keys.slice(),
      values: values.slice(),
      bias: bias && bias.slice(),
      live: block.live.slice(),
      positions: block.positions.slice(),
    };
    const keyWidth = this.stored.keys.width, valueWidth = values.length / Math.max(1, at.live.length);
    const copy = (target: Float32Array, source: Float32Array, slot: number, from: number, width: number) =>
      target.set(source.subarray(from * width, (from + 1) * width), slot * width);
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t], from = kept[t];
      if (slot >= count) continue;
      at.live[slot] = from === NO_ROW ? 0 : 1;
      if (from === NO_ROW) continue;
      copy(at.keys, before.keys, slot, from, keyWidth);
      copy(at.values, before.values, slot, from, valueWidth);
      at.positions[slot] = before.positions[from];
      if (at.bias && before.bias) {
        const row = before.bias.subarray(from * before.biasStride, (from + 1) * before.biasStride);
        at.bias.set(row.subarray(0, biasStride), slot * biasStride);
      }
    }
    return at;
  }
}

function norm(rows: Float32Array, offset: number, length: number): number {
  let squared = 0;
  for (let c = offset; c < offset + length; c++) squared += rows[c] * rows[c];
  return Math.sqrt(squared);
}

/** One more than the largest number but for `NO_ROW`. */
function endOf(numbers: Uint32Array): number {
  let end = 0;
  for (const number of numbers) if (number !== NO_ROW) end = Math.max(end, number + 1);
  return end;
}
