/**
 * Keys and values of the `wasm` backend by slot, where the kernels read them: a row of keys, a row of widened values, and
 * what the mask adds, for each key slot and mask head a number for each query slot, so that eight rows of a block lie
 * side by side.
 */

import type { RowChanges, RowSource } from "../backend.ts";
import { type HeadLayout, keyColumns, valueColumns } from "../../numerics/head_layout.ts";
import { equalRun, RowStore } from "../host/row_store.ts";
import type { ValueRows } from "../host/value_spread.ts";
import { MemoryTable } from "./memory_table.ts";
import { type Arena, columnsOf, writeValue } from "./row_blocks.ts";

/** A table of keys with their values. */
export class KeyTable implements RowSource {
  readonly #arena: Arena;
  readonly #layout: HeadLayout;
  readonly #maskHeads: number;
  /** Numbers of a value with its upkeep, one key head. */
  readonly columns: number;
  /** Which slots are live, and where; rows of no numbers, since those lie in the memory. */
  readonly #marks = new RowStore(0);
  readonly #keys: MemoryTable;
  readonly #values: MemoryTable;
  #bias: MemoryTable;
  #count = 0;
  #biasKeys = 0;
  /** Query slots that the biases have room for, a multiple of 8. */
  #biasQueries = 0;
  /** Bytes from one key to the next. */
  readonly keyBytes: number;
  /** Bytes from one value to the next. */
  readonly valueBytes: number;
  /** ‖k‖₂ by slot and key head. */
  norms = new Float64Array(0);

  constructor(arena: Arena, layout: HeadLayout, maskHeads: number) {
    this.#arena = arena;
    this.#layout = layout;
    this.#maskHeads = maskHeads;
    this.columns = columnsOf(layout.valueDim);
    this.keyBytes = 4 * keyColumns(layout);
    this.valueBytes = 4 * layout.kvHeads * this.columns;
    this.#keys = new MemoryTable(arena);
    this.#values = new MemoryTable(arena);
    this.#bias = new MemoryTable(arena);
  }

  /** One more than the largest slot ever written. */
  get size(): number {
    return this.#marks.size;
  }

  /** How many slots are live. */
  get count(): number {
    return this.#count;
  }

  /** Makes room for slots below `size` and biases with query slots below `queries`, a multiple of 8. */
  reserve(size: number, biasKeys: number, queries: number): void {
    const { kvHeads } = this.#layout;
    this.#keys.reserve(size * this.keyBytes);
    this.#values.reserve(size * this.valueBytes);
    if (this.#maskHeads > 0) this.#reserveBias(biasKeys, queries);
    this.#marks.reserve(size);
    if (this.norms.length < size * kvHeads) {
      const norms = new Float64Array(Math.max(size * kvHeads, 2 * this.norms.length));
      norms.set(this.norms);
      this.norms.fill(0);
      this.norms = norms;
    }
  }

  /** Bytes of memory for `size` slots with so many biases. */
  bytesOf(size: number, biasKeys: number, queries: number): number {
    return size * (this.keyBytes + this.valueBytes) + 4 * this.#maskHeads * biasKeys * queries;
  }

  /** Bytes held outside the memory of the kernels. */
  bytes(): number {
    return this.#marks.bytes() + this.norms.byteLength;
  }

  /** Writes or empties the slots of a batch. */
  store({ slots, live, rows, positions, bias }: RowChanges): void {
    const { kvHeads, headDim, valueDim } = this.#layout;
    const keyWidth = keyColumns(this.#layout), rowWidth = keyWidth + valueColumns(this.#layout);
    const { numbers } = this.#arena;
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t];
      this.#count += live[t] - (this.isLive(slot) ? 1 : 0);
      this.#marks.mark(slot, live[t], positions[t]);
      if (live[t] === 0) {
        this.#wipeRow(slot);
        continue;
      }
      const start = t * rowWidth;
      numbers.set(rows.subarray(start, start + keyWidth), this.#keyStart(slot));
      for (let head = 0; head < kvHeads; head++) {
        const from = start + keyWidth + head * valueDim;
        writeValue(numbers, this.#valueStart(slot, head), rows.subarray(from, from + valueDim));
        this.norms[slot * kvHeads + head] = norm(rows, start + head * headDim, headDim);
      }
    }
    if (bias) this.#storeKeyBias(slots, bias);
  }

  /** Stores what the mask adds to the scores of changed queries. */
  storeQueryBias({ slots, bias }: RowChanges): void {
    if (!bias || slots.length === 0) return;
    const { numbers } = this.#arena, heads = this.#maskHeads;
    const keys = bias.length / slots.length / heads;
    slots.forEach((slot, t) => {
      for (let j = 0; j < keys; j++) {
        for (let head = 0; head < heads; head++) {
          numbers[this.biasAddress(j, head) / 4 + slot] = bias[(t * keys + j) * heads + head];
        }
      }
    });
  }

  /** Empties a slot, if there is one, and wipes all that it held. */
  wipe(slot: number): void {
    if (slot >= this.size) return;
    if (this.isLive(slot)) this.#count--;
    this.#marks.mark(slot, 0, 0);
    this.#wipeRow(slot);
    if (this.#maskHeads === 0) return;
    const start = this.biasAddress(slot, 0) / 4;
    this.#arena.numbers.fill(0, start, start + this.#maskHeads * this.#biasQueries);
  }

  #wipeRow(slot: number): void {
    const { numbers } = this.#arena, { kvHeads } = this.#layout;
    const keyStart = this.#keyStart(slot), valueStart = this.#valueStart(slot, 0);
    numbers.fill(0, keyStart, keyStart + this.keyBytes / 4);
    numbers.fill(0, valueStart, valueStart + this.valueBytes / 4);
    this.norms.fill(0, slot * kvHeads, (slot + 1) * kvHeads);
  }

  /** Copies a live slot of another table, which has room for as many queries. */
  copyFrom(source: KeyTable, slot: number, to: number): void {
    const { numbers } = this.#arena, { kvHeads } = this.#layout;
    const copy = (from: number, target: number, count: number) =>
      numbers.copyWithin(target, from, from + count);
    if (!this.isLive(to)) this.#count++;
    this.#marks.mark(to, 1, source.position(slot));
    copy(source.#keyStart(slot), this.#keyStart(to), this.keyBytes / 4);
    copy(source.#valueStart(slot, 0), this.#valueStart(to, 0), this.valueBytes / 4);
    this.norms.set(source.norms.subarray(slot * kvHeads, (slot + 1) * kvHeads), to * kvHeads);
    if (this.#maskHeads === 0) return;
    copy(source.biasAddress(slot, 0) / 4, this.biasAddress(to, 0) / 4, this.#maskHeads * this.#biasQueries);
  }

  /** Address of a key's d numbers. */
  keyAddress(slot: number, keyHead: number): number {
    return 4 * (this.#keyStart(slot) + keyHead * this.#layout.headDim);
  }

  /** Address of a value's columns. */
  valueAddress(slot: number, keyHead: number): number {
    return 4 * this.#valueStart(slot, keyHead);
  }

  /** Address of what is added to the scores of a key, query slot 0 on; 0 without a mask. */
  biasAddress(slot: number, maskHead: number): number {
    if (this.#maskHeads === 0) return 0;
    return this.#bias.address + 4 * (slot * this.#maskHeads + maskHead) * this.#biasQueries;
  }

  /** What the mask adds to the score of a pair. */
  bias(slot: number, maskHead: number, query: number): number {
    return this.#maskHeads === 0 ? 0 : this.#arena.numbers[this.biasAddress(slot, maskHead) / 4 + query];
  }

  /** ‖v‖∞ of a live value. */
  magnitude(slot: number, keyHead: number): number {
    return this.#arena.numbers[this.#valueStart(slot, keyHead) + this.#layout.valueDim + 1];
  }

  /** Values as the balls around them are laid. */
  valueRows(): ValueRows {
    const values = this.#arena.floats(this.#values.address, this.size * this.valueBytes / 4);
    return { count: this.size, live: this.#marks.live, values };
  }

  /** Copies what the mask adds, `keys` × `queries` × heads numbers; null without a mask. */
  saveBias(keys: number, queries: number): Float32Array | null {
    const heads = this.#maskHeads;
    if (heads === 0) return null;
    const saved = new Float32Array(keys * queries * heads).fill(-Infinity);
    for (let j = 0; j < Math.min(keys, this.#biasKeys); j++) {
      for (let query = 0; query < Math.min(queries, this.#biasQueries); query++) {
        for (let head = 0; head < heads; head++) {
          saved[(j * queries + query) * heads + head] = this.bias(j, head, query);
        }
      }
    }
    return saved;
  }

  isLive(slot: number): boolean {
    return this.#marks.isLive(slot);
  }

  position(slot: number): number {
    return this.#marks.position(slot);
  }

  element(slot: number, column: number): number {
    const keyWidth = keyColumns(this.#layout), { valueDim } = this.#layout;
    if (column < keyWidth) return this.#arena.numbers[this.#keyStart(slot) + column];
    const valueColumn = column - keyWidth;
    const start = this.#valueStart(slot, Math.floor(valueColumn / valueDim));
    return this.#arena.numbers[start + valueColumn % valueDim];
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    const { numbers } = this.#arena, { kvHeads, valueDim } = this.#layout;
    const start = this.#keyStart(slot), keyWidth = keyColumns(this.#layout);
    target.set(numbers.subarray(start, start + keyWidth), offset);
    for (let head = 0; head < kvHeads; head++) {
      const from = this.#valueStart(slot, head);
      target.set(numbers.subarray(from, from + valueDim), offset + keyWidth + head * valueDim);
    }
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    const { numbers } = this.#arena, { kvHeads, valueDim } = this.#layout;
    const keyWidth = keyColumns(this.#layout);
    if (!equalRun(numbers, this.#keyStart(slot), rows, offset, keyWidth)) return false;
    for (let head = 0; head < kvHeads; head++) {
      const at = offset + keyWidth + head * valueDim;
      if (!equalRun(numbers, this.#valueStart(slot, head), rows, at, valueDim)) return false;
    }
    return true;
  }

  /** Whether two live keys have all in common that the scores of a head depend on. */
  scoresAs(slot: number, other: KeyTable, otherSlot: number, keyHead: number, maskHead: number): boolean {
    const { numbers } = this.#arena, { headDim } = this.#layout;
    const start = (table: KeyTable, at: number) => table.keyAddress(at, keyHead) / 4;
    const biasStart = (table: KeyTable, at: number) => table.biasAddress(at, maskHead) / 4;
    return this.position(slot) === other.position(otherSlot) &&
      equalRun(numbers, start(this, slot), numbers, start(other, otherSlot), headDim) &&
      equalRun(numbers, biasStart(this, slot), numbers, biasStart(other, otherSlot), this.#biasQueries);
  }

  /** Whether two live keys have the same value in a head. */
  hasValueOf(slot: number, other: KeyTable, otherSlot: number, keyHead: number): boolean {
    const { numbers } = this.#arena;
    const start = this.#valueStart(slot, keyHead), otherStart = other.#valueStart(otherSlot, keyHead);
    return equalRun(numbers, start, numbers, otherStart, this.#layout.valueDim);
  }

  #keyStart(slot: number): number {
    return (this.#keys.address + slot * this.keyBytes) / 4;
  }

  #valueStart(slot: number, keyHead: number): number {
    return (this.#values.address + slot * this.valueBytes) / 4 + keyHead * this.columns;
  }

  #reserveBias(keys: number, queries: number): void {
    const heads = this.#maskHeads, had = this.#biasQueries;
    if (queries > had) {
      // Rows move apart: a new table, into which each is copied.
      const bias = new MemoryTable(this.#arena);
      bias.reserve(4 * heads * queries * Math.max(keys, this.#biasKeys));
      const { numbers } = this.#arena;
      for (let row = 0; row < this.#biasKeys * heads; row++) {
        const from = this.#bias.address / 4 + row * had;
        numbers.copyWithin(bias.address / 4 + row * queries, from, from + had);
        numbers.fill(0, from, from + had);
      }
      this.#bias = bias;
      this.#biasQueries = queries;
    }
    this.#bias.reserve(4 * heads * this.#biasQueries * keys);
    this.#biasKeys = Math.max(keys, this.#biasKeys);
  }

  #storeKeyBias(slots: Uint32Array, bias: Float32Array): void {
    const { numbers } = this.#arena, heads = this.#maskHeads;
    const queries = bias.length / Math.max(1, slots.length) / heads;
    slots.forEach((slot, t) => {
      for (let head = 0; head < heads; head++) {
        const to = this.biasAddress(slot, head) / 4;
        for (let query = 0; query < queries; query++) {
          numbers[to + query] = bias[(t * queries + query) * heads + head];
        }
      }
    });
  }
}

function norm(rows: Float32Array, offset: number, length: number): number {
  let squared = 0;
  for (let c = offset; c < offset + length; c++) squared += rows[c] * rows[c];
  return Math.sqrt(squared);
}
