/**
 * Keys and values in plain arrays, by slot: a table of keys, a table of widened values and what the mask adds.
 * A value has two columns of upkeep a head, (v, 1, ‖v‖∞), so that a row's mass and magnitude are sums like any other.
 */

import type { RowChanges, RowSource } from "../backend.ts";
import { type HeadLayout, keyColumns, valueColumns } from "../../numerics/head_layout.ts";
import { BiasTable } from "./bias_table.ts";
import type { KeyBlock } from "./key_block.ts";
import { KeyValueSource } from "./key_value_source.ts";
import { equalRun, RowStore } from "./row_store.ts";

/** A table of keys with their values. */
export class KeyStore {
  readonly keys: RowStore;
  readonly bias: BiasTable;
  /** The rows as the engine knows them, `[key | value]`. */
  readonly source: RowSource;
  readonly #layout: HeadLayout;
  readonly #values: RowStore;

  constructor(layout: HeadLayout, maskHeads: number) {
    this.#layout = layout;
    this.keys = new RowStore(keyColumns(layout));
    this.#values = new RowStore(layout.kvHeads * (layout.valueDim + 2));
    this.bias = new BiasTable(maskHeads);
    this.source = new KeyValueSource(this.keys, this.#values, layout);
  }

  /** Makes room for slots below `size` and biases with `queries` query slots; throws before anything changes. */
  reserve(size: number, biasKeys: number, queries: number): void {
    this.keys.reserve(size);
    this.#values.reserve(size);
    this.bias.reserve(biasKeys, queries);
  }

  /** Writes or empties the slots of a batch. */
  store({ slots, live, rows, positions, bias }: RowChanges): void {
    const { kvHeads, valueDim } = this.#layout;
    const keyWidth = this.keys.width, valueWidth = this.#values.width;
    const rowWidth = keyWidth + valueColumns(this.#layout);
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t];
      this.keys.mark(slot, live[t], positions[t]);
      if (live[t] === 0) {
        this.wipe(slot);
        continue;
      }
      const start = t * rowWidth;
      this.keys.rows.set(rows.subarray(start, start + keyWidth), slot * keyWidth);
      for (let head = 0; head < kvHeads; head++) {
        const from = start + keyWidth + head * valueDim;
        widenValue(rows, from, this.#values.rows, slot * valueWidth + head * (valueDim + 2), valueDim);
      }
    }
    this.bias.storeKeys({ slots, bias });
  }

  /** Empties a slot and wipes all that it held. */
  wipe(slot: number): void {
    this.keys.wipe(slot);
    this.#values.wipe(slot);
    this.bias.wipeKey(slot);
  }

  /** Copies a live slot of another store. */
  copyFrom(source: KeyStore, slot: number, to: number): void {
    this.keys.mark(to, 1, source.keys.position(slot));
    source.keys.copyRow(slot, this.keys.rows, to * this.keys.width);
    source.#values.copyRow(slot, this.#values.rows, to * this.#values.width);
    this.bias.copyKey(source.bias, slot, to);
  }

  /** Whether two live rows have all in common that their scores depend on. */
  scoresAs(slot: number, other: KeyStore, otherSlot: number): boolean {
    const { bias, keys } = this;
    return keys.position(slot) === other.keys.position(otherSlot) &&
      keys.equalsRow(slot, other.keys.rows, otherSlot * keys.width) &&
      equalRun(
        bias.data,
        slot * bias.stride,
        other.bias.data,
        otherSlot * other.bias.stride,
        Math.min(bias.stride, other.bias.stride),
      );
  }

  /** The table as the kernels take it. */
  block(): KeyBlock {
    return {
      count: this.keys.size,
      live: this.keys.live,
      keys: this.keys.rows,
      values: this.#values.rows,
      positions: this.keys.positions,
      bias: this.bias.heads > 0 ? this.bias.data : null,
      biasStride: this.bias.stride,
    };
  }

  bytes(): number {
    return this.keys.bytes() + this.#values.bytes() + this.bias.bytes();
  }

  /** Bytes that `size` slots take, with biases of so many key and query slots. */
  bytesOf(size: number, biasKeys: number, queries: number): number {
    return this.keys.bytesOf(size) + this.#values.bytesOf(size) + this.bias.bytesOf(biasKeys, queries);
  }
}

/** (v, 1, ‖v‖∞) of the value at `from`. */
function widenValue(
  rows: Float32Array,
  from: number,
  values: Float32Array,
  to: number,
  valueDim: number,
): void {
  let largest = 0;
  for (let c = 0; c < valueDim; c++) {
    values[to + c] = rows[from + c];
    largest = Math.max(largest, Math.abs(rows[from + c]));
  }
  values[to + valueDim] = 1;
  values[to + valueDim + 1] = largest;
}
