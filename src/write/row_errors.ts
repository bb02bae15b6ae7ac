/**
 * How far the keys and values that are kept lie from those that were given, where rows are float16 or int8: by slot and
 * key head, bounds on ‖k − k'‖ and on ‖v − v'‖, and the largest of all live rows.
 *
 * Invariant: a bound holds for everything that was given of a row since it was last written as a whole, so
 * rounded additions add up. Maxima are those of live rows: the bound of an empty slot is 0.
 */

import { CapacityError } from "../base/errors.ts";
import { type HeadLayout, keyColumns } from "../numerics/head_layout.ts";
import type { LargestErrors } from "../numerics/storage_bound.ts";
import { MaximumTable } from "./maximum_table.ts";

/** The bounds of all slots, as a snapshot holds them; an array is empty where its rows are float32. */
export interface SavedErrors {
  /** By slot and key head. */
  readonly keys: Float32Array<ArrayBuffer>;
  readonly values: Float32Array<ArrayBuffer>;
}

/** Bounds of one engine's keys and values. */
export class RowErrors {
  readonly #layout: HeadLayout;
  /** null where they are float32. */
  readonly #keys: MaximumTable | null;
  readonly #values: MaximumTable | null;
  /** What a batch has overwritten: table, place, number. */
  #overwritten: [MaximumTable, number, number][] | null = null;

  /** An engine without rows. */
  constructor(layout: HeadLayout) {
    const { storage, kvHeads } = layout;
    this.#layout = layout;
    this.#keys = storage && storage.keys !== "float32" ? new MaximumTable(kvHeads) : null;
    this.#values = storage && storage.values !== "float32" ? new MaximumTable(kvHeads) : null;
  }

  /** The bounds that `save` of other ones returned. */
  static restore(layout: HeadLayout, { keys, values }: SavedErrors): RowErrors {
    const errors = new RowErrors(layout);
    errors.#keys?.fill(keys);
    errors.#values?.fill(values);
    return errors;
  }

  /** Copies the bounds of the slots below `size`. */
  save(size: number): SavedErrors {
    return { keys: this.#keys?.save(size) ?? NONE, values: this.#values?.save(size) ?? NONE };
  }

  get bytes(): number {
    return (this.#keys?.bytes ?? 0) + (this.#values?.bytes ?? 0);
  }

  /** The largest bounds of all live rows now, by key head. */
  largest(): LargestErrors {
    const { kvHeads } = this.#layout;
    return {
      keys: this.#keys?.largest() ?? new Float64Array(kvHeads),
      values: this.#values?.largest() ?? new Float64Array(kvHeads),
    };
  }

  /** A bound on ‖v − v'‖ of one head of a live row. */
  ofValue(slot: number, keyHead: number): number {
    return this.#values?.at(slot, keyHead) ?? 0;
  }

  /** Makes room for a slot; all or nothing. */
  reserve(slot: number): void {
    const { kvHeads } = this.#layout;
    CapacityError.guard("edit", `errors of ${slot + 1} rows`, 16 * kvHeads * (slot + 1), () => {
      this.#keys?.reserve(slot + 1);
      this.#values?.reserve(slot + 1);
    });
  }

  /**
   * Notes what rounding has made of part of a row, whole heads from `column` on; `carried` is how far what is rounded
   * here may be from what was given already.
   */
  note(slot: number, column: number, given: Float32Array, kept: Float32Array, carried = 0): void {
    const { headDim, valueDim } = this.#layout, keyEnd = keyColumns(this.#layout);
    for (let at = 0; at < kept.length;) {
      const isKey = column + at < keyEnd, width = isKey ? headDim : valueDim;
      const table = isKey ? this.#keys : this.#values;
      const head = isKey ? (column + at) / headDim : (column + at - keyEnd) / valueDim;
      if (table) this.#write(table, slot, head, roundedUp(carried + distance(given, kept, at, width)));
      at += width;
    }
  }

  /** The bound of the head of a row that has a column. */
  at(slot: number, column: number): number {
    const { headDim, valueDim } = this.#layout, valueColumn = column - keyColumns(this.#layout);
    return valueColumn < 0
      ? this.#keys?.at(slot, Math.floor(column / headDim)) ?? 0
      : this.#values?.at(slot, Math.floor(valueColumn / valueDim)) ?? 0;
  }

  /** The row of a slot is gone. */
  clear(slot: number): void {
    for (let head = 0; head < this.#layout.kvHeads; head++) {
      if (this.#keys) this.#write(this.#keys, slot, head, 0);
      if (this.#values) this.#write(this.#values, slot, head, 0);
    }
  }

  /** Runs `changes`; if they throw, all bounds are as before. */
  atomically<T>(changes: () => T): T {
    if (this.#overwritten) return changes();
    const overwritten: [MaximumTable, number, number][] = this.#overwritten = [];
    try {
      return changes();
    } catch (error) {
      for (let at = overwritten.length - 1; at >= 0; at--) {
        const [table, place, number] = overwritten[at];
        table.put(place, number);
      }
      throw error;
    } finally {
      this.#overwritten = null;
    }
  }

  #write(table: MaximumTable, slot: number, head: number, number: number): void {
    const place = table.placeOf(slot, head);
    this.#overwritten?.push([table, place, table.get(place)]);
    table.put(place, number);
  }
}

const NONE = new Float32Array(0);

/** ‖a − b‖₂ of `width` numbers from `from` on. */
function distance(a: Float32Array, b: Float32Array, from: number, width: number): number {
  let squared = 0;
  for (let c = from; c < from + width; c++) {
    const off = a[c] - b[c];
    squared += off * off;
  }
  return Math.sqrt(squared);
}

/** A float32 that is not below a number in float64, nor below what rounding of a sum of squares may have hidden. */
function roundedUp(number: number): number {
  return number === 0 ? 0 : Math.fround(number * (1 + 2 ** -22) + 2 ** -149);
}
