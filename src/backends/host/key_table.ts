/**
 * Keys and values by slot: a row of keys, a row of widened values, and the biases of the mask.
 *
 * A widened value has two more columns for each key head, (v, 1, ‖v‖∞), so that a head row's mass and
 * magnitude are sums like the others. Biases lie by key slot, mask head and query slot, so that those of
 * neighbouring query slots are side by side.
 *
 * Keys and values of a format other than float32 are packed (`packed_rows.ts`): an index is then that of the
 * first word of a head.
 */

import { type HeadLayout, keyColumns, valueColumns } from "../../numerics/head_layout.ts";
import type { RowChanges, RowSource } from "../backend.ts";
import type { KeyBlock } from "./key_block.ts";
import type { NumberTable } from "./number_table.ts";
import { PackedRows } from "./packed_rows.ts";
import { equalRun, RowStore, setRun } from "./row_store.ts";

/** The layout of keys. */
export interface KeyLayout {
  readonly layout: HeadLayout;
  /** 0 without a mask. */
  readonly maskHeads: number;
  /** Numbers of a widened value, at least dv + 2. */
  readonly columns: number;
  /** Whether keys have positions; all are at 0 otherwise. */
  readonly hasPositions: boolean;
  /** Makes an empty table for numbers, in the memory where the store computes. */
  makeTable(): NumberTable;
}

/** Rows of which some are live. */
export interface LiveRows {
  isLive(slot: number): boolean;
}

/** A table of keys with their values. */
export class KeyTable implements RowSource {
  readonly #queries: LiveRows;
  readonly #layout: HeadLayout;
  readonly #maskHeads: number;
  /** Numbers of a widened value of one key head. */
  readonly columns: number;
  /** Flags and positions of slots: a table of rows without numbers. */
  readonly #marks: RowStore;
  readonly #keys: NumberTable;
  readonly #values: NumberTable;
  /** null where they are float32. */
  readonly #packedKeys: PackedRows | null;
  readonly #packedValues: PackedRows | null;
  /** Words of a head of a key and of a value. */
  readonly #keyWords: number;
  readonly #valueWords: number;
  #bias: NumberTable;
  readonly #makeTable: () => NumberTable;
  #biasKeys = 0;
  #queryCapacity = 0;
  /** ‖k‖₂ by slot and key head. */
  norms = new Float64Array(0);

  /** Makes an empty table; `queries` are the rows that biases are with. */
  constructor({ layout, maskHeads, columns, hasPositions, makeTable }: KeyLayout, queries: LiveRows) {
    this.#marks = new RowStore(0, hasPositions);
    this.#queries = queries;
    this.#layout = layout;
    this.#maskHeads = maskHeads;
    this.columns = columns;
    this.#makeTable = makeTable;
    this.#keys = makeTable();
    this.#values = makeTable();
    this.#bias = makeTable();
    const { headDim, valueDim } = layout, { keys = "float32", values = "float32" } = layout.storage ?? {};
    this.#packedKeys = keys === "float32" ? null : new PackedRows(this.#keys, keys, headDim, headDim, false);
    this.#packedValues = values === "float32"
      ? null
      : new PackedRows(this.#values, values, valueDim, columns, true);
    this.#keyWords = this.#packedKeys?.headWords ?? headDim;
    this.#valueWords = this.#packedValues?.headWords ?? columns;
  }

  /** One more than the largest slot ever written. */
  get size(): number {
    return this.#marks.size;
  }

  /** The number of live slots. */
  get count(): number {
    return this.#marks.liveCount;
  }

  /** The number of query slots that biases have room for. */
  get queryCapacity(): number {
    return this.#queryCapacity;
  }

  /** The stride of keys, in words. */
  get keyWidth(): number {
    return this.#layout.kvHeads * this.#keyWords;
  }

  /** The stride of values. */
  get valueWidth(): number {
    return this.#layout.kvHeads * this.#valueWords;
  }

  /**
   * Makes room for slots below `size`, and for biases of `biasKeys` keys with query slots below `queries`.
   */
  reserve(size: number, biasKeys: number, queries: number): void {
    const { kvHeads } = this.#layout;
    this.#keys.reserve(roomFor(size * this.keyWidth, this.#packedKeys));
    this.#values.reserve(roomFor(size * this.valueWidth, this.#packedValues));
    this.#packedKeys?.dropAll();
    this.#packedValues?.dropAll();
    if (this.#maskHeads > 0) this.#reserveBias(biasKeys, queries);
    this.#marks.reserve(size);
    if (this.norms.length >= size * kvHeads) return;
    const norms = new Float64Array(Math.max(size * kvHeads, 2 * this.norms.length));
    norms.set(this.norms);
    this.norms.fill(0);
    this.norms = norms;
  }

  /** Bytes of the numbers of `size` slots, with biases of `biasKeys` keys with `queries` query slots. */
  bytesOf(size: number, biasKeys: number, queries: number): number {
    const { kvHeads } = this.#layout;
    const row = 4 * (this.keyWidth + this.valueWidth) + 8 * kvHeads;
    return size * row + this.#marks.bytesOf(size) + 4 * this.#maskHeads * biasKeys * queries;
  }

  /** Bytes of the numbers. */
  numberBytes(): number {
    return 4 * (this.#keys.capacity + this.#values.capacity + this.#bias.capacity);
  }

  /** Bytes of flags and positions. */
  markBytes(): number {
    return this.#marks.bytes() + this.norms.byteLength;
  }

  /** Writes or empties the slots of a batch. */
  store({ slots, live, rows, positions, bias }: RowChanges): void {
    const { kvHeads, headDim, valueDim } = this.#layout;
    const keyWidth = keyColumns(this.#layout), rowWidth = keyWidth + valueColumns(this.#layout);
    const keys = this.#keys.numbers, packedKeys = this.#packedKeys, packedValues = this.#packedValues;
    const bits = new Uint32Array(rows.buffer, rows.byteOffset, rows.length);
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t];
      this.#marks.mark(slot, live[t], positions[t]);
      if (live[t] === 0) {
        this.wipe(slot);
        continue;
      }
      const start = t * rowWidth;
      if (packedKeys === null) setRun(keys, this.keyIndex(slot, 0), rows, start, keyWidth);
      for (let head = 0; head < kvHeads; head++) {
        packedKeys?.write(this.keyIndex(slot, head), rows, bits, start + head * headDim);
        const from = start + keyWidth + head * valueDim, to = this.valueIndex(slot, head);
        if (packedValues === null) this.#widen(rows, from, to);
        else packedValues.write(to, rows, bits, from);
        this.norms[slot * kvHeads + head] = normOf(rows, start + head * headDim, headDim);
      }
    }
    if (bias) this.#storeBias(slots, bias);
  }

  /** Stores the biases of changed queries. */
  storeQueryBias({ slots, bias }: RowChanges): void {
    if (!bias || slots.length === 0) return;
    const { numbers } = this.#bias, heads = this.#maskHeads;
    const keys = bias.length / slots.length / heads;
    slots.forEach((slot, t) => {
      for (let j = 0; j < keys; j++) {
        for (let head = 0; head < heads; head++) {
          numbers[this.biasIndex(j, head) + slot] = bias[(t * keys + j) * heads + head];
        }
      }
    });
  }

  /** Deletes the row of a slot, if it has one, and wipes its numbers. */
  wipe(slot: number): void {
    if (slot >= this.size) return;
    this.#marks.mark(slot, 0, 0);
    const { kvHeads } = this.#layout;
    const key = this.keyIndex(slot, 0), value = this.valueIndex(slot, 0);
    this.#packedKeys?.drop(key, kvHeads);
    this.#packedValues?.drop(value, kvHeads);
    this.#keys.numbers.fill(0, key, key + this.keyWidth);
    this.#values.numbers.fill(0, value, value + this.valueWidth);
    this.norms.fill(0, slot * kvHeads, (slot + 1) * kvHeads);
    if (this.#maskHeads === 0 || slot >= this.#biasKeys) return;
    const bias = this.biasIndex(slot, 0);
    this.#bias.numbers.fill(0, bias, bias + this.#maskHeads * this.#queryCapacity);
  }

  /** Copies a live slot of another table, which has room for as many queries. */
  copyFrom(source: KeyTable, slot: number, to: number): void {
    const { kvHeads } = this.#layout;
    this.#marks.mark(to, 1, source.position(slot));
    this.#packedKeys?.drop(this.keyIndex(to, 0), kvHeads);
    this.#packedValues?.drop(this.valueIndex(to, 0), kvHeads);
    copyRun(source.#keys, source.keyIndex(slot, 0), this.#keys, this.keyIndex(to, 0), this.keyWidth);
    copyRun(
      source.#values,
      source.valueIndex(slot, 0),
      this.#values,
      this.valueIndex(to, 0),
      this.valueWidth,
    );
    setRun(this.norms, to * kvHeads, source.norms, slot * kvHeads, kvHeads);
    if (this.#maskHeads === 0) return;
    const count = this.#maskHeads * this.#queryCapacity;
    copyRun(source.#bias, source.biasIndex(slot, 0), this.#bias, this.biasIndex(to, 0), count);
  }

  /** Index of the first of a key's d numbers among those of its table. */
  keyIndex(slot: number, keyHead: number): number {
    return this.#keys.start + slot * this.keyWidth + keyHead * this.#keyWords;
  }

  /** Index of the first column of a value. */
  valueIndex(slot: number, keyHead: number): number {
    return this.#values.start + slot * this.valueWidth + keyHead * this.#valueWords;
  }

  /** The numbers among which `#openKey` says where a key is. */
  get #keyNumbers(): Float32Array {
    return this.#packedKeys?.numbers ?? this.#keys.numbers;
  }

  get #valueNumbers(): Float32Array {
    return this.#packedValues?.numbers ?? this.#values.numbers;
  }

  /** Where a key's d numbers are; if they were packed, only until two other rows have been asked for. */
  #openKey(slot: number, keyHead: number): number {
    const index = this.keyIndex(slot, keyHead);
    return this.#packedKeys === null ? index : this.#packedKeys.open(index);
  }

  /** Where the columns of a value are, likewise. */
  #openValue(slot: number, keyHead: number): number {
    const index = this.valueIndex(slot, keyHead);
    return this.#packedValues === null ? index : this.#packedValues.open(index);
  }

  /**
   * The index of a key's d numbers among those of its table; a packed one is unpacked to `numbers`, from `at` on, and is
   * there.
   */
  placeKey(slot: number, keyHead: number, numbers: Float32Array, at: number): number {
    const from = this.#openKey(slot, keyHead), packed = this.#packedKeys;
    if (packed === null) return from;
    numbers.set(packed.numbers.subarray(from, from + this.#layout.headDim), at);
    return at;
  }

  /** Likewise of a value's dv numbers. */
  placeValue(slot: number, keyHead: number, numbers: Float32Array, at: number): number {
    const from = this.#openValue(slot, keyHead), packed = this.#packedValues;
    if (packed === null) return from;
    numbers.set(packed.numbers.subarray(from, from + this.#layout.valueDim), at);
    return at;
  }

  /** Copies a live key to `target`, from `at` on. */
  #copyKey(slot: number, target: Float32Array, at: number): void {
    const { kvHeads, headDim } = this.#layout, keys = this.#keyNumbers;
    // A row that is not packed has its heads side by side.
    const [count, width] = this.#packedKeys === null ? [1, this.keyWidth] : [kvHeads, headDim];
    for (let head = 0; head < count; head++) {
      const from = this.#openKey(slot, head);
      target.set(keys.subarray(from, from + width), at + head * width);
    }
  }

  /** Copies a live key to `target` from `keyAt` on, and its widened value from `valueAt` on. */
  copyWidened(slot: number, target: Float32Array, keyAt: number, valueAt: number): void {
    const { columns } = this, values = this.#valueNumbers;
    this.#copyKey(slot, target, keyAt);
    for (let head = 0; head < this.#layout.kvHeads; head++) {
      const from = this.#openValue(slot, head);
      target.set(values.subarray(from, from + columns), valueAt + head * columns);
    }
  }

  /** Index of the bias of a key with query slot 0; those with the next query slots follow. */
  biasIndex(slot: number, maskHead: number): number {
    return this.#bias.start + (slot * this.#maskHeads + maskHead) * this.#queryCapacity;
  }

  /** The bias of a key with a query slot. */
  bias(slot: number, query: number, maskHead: number): number {
    return this.#bias.numbers[this.biasIndex(slot, maskHead) + query];
  }

  /** ‖v‖∞ of a live value. */
  magnitude(slot: number, keyHead: number): number {
    const index = this.valueIndex(slot, keyHead), packed = this.#packedValues;
    return packed === null
      ? this.#values.numbers[index + this.#layout.valueDim + 1]
      : packed.magnitude(index);
  }

  /** The table as a block for loops, valid until the table grows. */
  block(): KeyBlock {
    const heads = this.#maskHeads;
    return {
      count: this.size,
      live: this.#marks.live,
      positions: this.#marks.positions,
      keys: this.#packedKeys?.numbers ?? this.#keys.numbers,
      keyStart: this.#keys.start,
      keyStride: this.keyWidth,
      keyWords: this.#keyWords,
      packedKeys: this.#packedKeys,
      values: this.#packedValues?.numbers ?? this.#values.numbers,
      valueStart: this.#values.start,
      valueStride: this.valueWidth,
      valueWords: this.#valueWords,
      packedValues: this.#packedValues,
      bias: heads === 0 ? null : {
        numbers: this.#bias.numbers,
        start: this.#bias.start,
        keyStride: heads * this.#queryCapacity,
        queryStride: 1,
        headStride: this.#queryCapacity,
        heads,
      },
    };
  }

  /** Copies the biases by key slot, query slot and mask head; null without a mask. */
  saveBias(keys: number, queries: number): Float32Array | null {
    const heads = this.#maskHeads;
    if (heads === 0) return null;
    const { numbers } = this.#bias;
    const saved = new Float32Array(keys * queries * heads).fill(-Infinity);
    const queryEnd = Math.min(queries, this.#queryCapacity);
    for (let j = 0; j < Math.min(keys, this.#biasKeys); j++) {
      for (let head = 0; head < heads; head++) {
        const start = this.biasIndex(j, head);
        for (let query = 0; query < queryEnd; query++) {
          saved[(j * queries + query) * heads + head] = numbers[start + query];
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
    const { headDim, valueDim } = this.#layout, valueColumn = column - keyColumns(this.#layout);
    if (valueColumn < 0) {
      const key = this.#openKey(slot, Math.floor(column / headDim));
      return this.#keyNumbers[key + column % headDim];
    }
    const value = this.#openValue(slot, Math.floor(valueColumn / valueDim));
    return this.#valueNumbers[value + valueColumn % valueDim];
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    const { kvHeads, valueDim } = this.#layout, valuesAt = offset + keyColumns(this.#layout);
    const values = this.#valueNumbers;
    this.#copyKey(slot, target, offset);
    for (let head = 0; head < kvHeads; head++) {
      setRun(target, valuesAt + head * valueDim, values, this.#openValue(slot, head), valueDim);
    }
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    const { kvHeads, headDim, valueDim } = this.#layout, valuesAt = offset + keyColumns(this.#layout);
    const keys = this.#keyNumbers, values = this.#valueNumbers;
    for (let head = 0; head < kvHeads; head++) {
      if (!equalRun(keys, this.#openKey(slot, head), rows, offset + head * headDim, headDim)) return false;
      if (!equalRun(values, this.#openValue(slot, head), rows, valuesAt + head * valueDim, valueDim)) {
        return false;
      }
    }
    return true;
  }

  /** Whether all that the scores of a head depend on is equal in two live keys. */
  scoresAs(slot: number, other: KeyTable, otherSlot: number, keyHead: number, maskHead: number): boolean {
    return this.position(slot) === other.position(otherSlot) &&
      equalRun(
        this.#keyNumbers,
        this.#openKey(slot, keyHead),
        other.#keyNumbers,
        other.#openKey(otherSlot, keyHead),
        this.#layout.headDim,
      ) &&
      (this.#maskHeads === 0 || this.#hasBiasesOf(slot, other, otherSlot, maskHead));
  }

  /** Whether two keys have the same biases with all live queries; what is left of others has no meaning. */
  #hasBiasesOf(slot: number, other: KeyTable, otherSlot: number, maskHead: number): boolean {
    const numbers = this.#bias.numbers, from = this.biasIndex(slot, maskHead);
    const others = other.#bias.numbers, otherFrom = other.biasIndex(otherSlot, maskHead);
    const count = Math.min(this.#queryCapacity, other.#queryCapacity);
    for (let query = 0; query < count; query++) {
      if (numbers[from + query] !== others[otherFrom + query] && this.#queries.isLive(query)) return false;
    }
    return true;
  }

  /** As `scoresAs`, for all heads. */
  scoresAlike(slot: number, other: KeyTable, otherSlot: number): boolean {
    const { heads, kvHeads } = this.#layout;
    for (let head = 0; head < Math.max(kvHeads, this.#maskHeads); head++) {
      const keyHead = Math.min(head, kvHeads - 1),
        maskHead = Math.min(head, Math.max(0, this.#maskHeads - 1));
      if (!this.scoresAs(slot, other, otherSlot, keyHead, maskHead)) return false;
    }
    return heads > 0;
  }

  /** Whether two live keys have the same value in a head. */
  hasValueOf(slot: number, other: KeyTable, otherSlot: number, keyHead: number): boolean {
    return equalRun(
      this.#valueNumbers,
      this.#openValue(slot, keyHead),
      other.#valueNumbers,
      other.#openValue(otherSlot, keyHead),
      this.#layout.valueDim,
    );
  }

  /** Writes (v, 1, ‖v‖∞) of the value at `from`; further columns remain 0. */
  #widen(rows: Float32Array, from: number, to: number): void {
    const { valueDim } = this.#layout, values = this.#values.numbers;
    let largest = 0;
    for (let c = 0; c < valueDim; c++) {
      values[to + c] = rows[from + c];
      largest = Math.max(largest, Math.abs(rows[from + c]));
    }
    values[to + valueDim] = 1;
    values[to + valueDim + 1] = largest;
  }

  #reserveBias(keys: number, queries: number): void {
    const heads = this.#maskHeads, had = this.#queryCapacity;
    if (queries > had) {
      // The stride of the rows grows, so each row is copied to a new table.
      const bias = this.#makeTable(), left = this.#bias;
      bias.reserve(heads * queries * Math.max(keys, this.#biasKeys));
      for (let row = 0; row < this.#biasKeys * heads; row++) {
        const from = left.start + row * had;
        copyRun(left, from, bias, bias.start + row * queries, had);
        left.numbers.fill(0, from, from + had);
      }
      this.#bias = bias;
      this.#queryCapacity = queries;
    }
    this.#bias.reserve(heads * this.#queryCapacity * keys);
    this.#biasKeys = Math.max(keys, this.#biasKeys);
  }

  #storeBias(slots: Uint32Array, bias: Float32Array): void {
    const { numbers } = this.#bias, heads = this.#maskHeads;
    const queries = bias.length / Math.max(1, slots.length) / heads;
    slots.forEach((slot, t) => {
      for (let head = 0; head < heads; head++) {
        const to = this.biasIndex(slot, head);
        for (let query = 0; query < queries; query++) {
          numbers[to + query] = bias[(t * queries + query) * heads + head];
        }
      }
    });
  }
}

function copyRun(source: NumberTable, from: number, target: NumberTable, to: number, count: number): void {
  if (source.numbers === target.numbers) target.numbers.copyWithin(to, from, from + count);
  else target.numbers.set(source.numbers.subarray(from, from + count), to);
}

/** Words for rows; kernels read packed ones eight bytes at a time, so the last one has some words behind it. */
function roomFor(words: number, packed: PackedRows | null): number {
  return packed === null || words === 0 ? words : words + 2;
}

/** ‖x‖₂ of `length` numbers from `offset` on. */
export function normOf(numbers: Float32Array, offset: number, length: number): number {
  let squared = 0;
  for (let c = offset; c < offset + length; c++) squared += numbers[c] * numbers[c];
  return Math.sqrt(squared);
}
