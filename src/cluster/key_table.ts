/**
 * The keys of a partition with their values: each in a slot of typed arrays, found by its id.
 *
 * Invariant: every live id has a slot of its own; slots of keys that are gone are zeros, and the next keys
 * take them. Norms bound those of all rows that were ever there.
 */

import { placesOf, type Scoring, type SummedKeys, turnedRow, valueExponent } from "./exact_sums.ts";
import { keyColumns, valueColumns } from "../numerics/head_layout.ts";

const FIRST_SLOTS = 64;

/** A key as it is stored. */
export interface KeptKey {
  readonly row: Float32Array<ArrayBuffer>;
  /** 0 where no rule looks at positions. */
  readonly position: number;
}

/** Slots with their rows. */
export class KeyTable {
  readonly #scoring: Scoring;
  readonly #width: number;
  readonly #slots = new Map<string, number>();
  #ids: (string | null)[] = [];
  readonly #free: number[] = [];
  /** Rows as they are multiplied: with rotary positions, keys are turned. */
  #rows: Float32Array<ArrayBuffer>;
  /** Keys as they came; null where they are not turned. */
  #given: Float32Array<ArrayBuffer> | null;
  /** Empty where no rule looks at positions. */
  #positions: Float64Array<ArrayBuffer>;
  #isLive = new Uint8Array(FIRST_SLOTS);
  #exponents: Int16Array<ArrayBuffer>;
  #scratch = new Float64Array(FIRST_SLOTS);
  #keyNorm = 0;
  #valueNorm = 0;

  constructor(scoring: Scoring) {
    const { layout } = scoring;
    this.#scoring = scoring;
    this.#width = keyColumns(layout) + valueColumns(layout);
    this.#rows = new Float32Array(FIRST_SLOTS * this.#width);
    this.#given = scoring.rule?.rotary ? new Float32Array(FIRST_SLOTS * keyColumns(layout)) : null;
    this.#positions = new Float64Array(placesOf(scoring) ? FIRST_SLOTS : 0);
    this.#exponents = new Int16Array(FIRST_SLOTS * layout.kvHeads);
  }

  /** Live keys. */
  get count(): number {
    return this.#slots.size;
  }

  /** Numbers of a row. */
  get width(): number {
    return this.#width;
  }

  /** Room for a number a slot; each call that computes something may write over it. */
  get scratch(): Float64Array<ArrayBuffer> {
    return this.#scratch;
  }

  /** An upper bound of the norms of key rows. */
  get keyNorm(): number {
    return this.#keyNorm;
  }

  /** An upper bound of the norms of value rows. */
  get valueNorm(): number {
    return this.#valueNorm;
  }

  /** Bytes of rows. */
  get bytes(): number {
    return this.#rows.byteLength + this.#exponents.byteLength + 9 * this.#isLive.length +
      (this.#given?.byteLength ?? 0) + this.#positions.byteLength;
  }

  /** Live ids with their slots. */
  get slots(): ReadonlyMap<string, number> {
    return this.#slots;
  }

  /** Live ids with their rows, which are views or copies, and positions; in no particular order. */
  *kept(): Generator<readonly [string, KeptKey]> {
    for (const [id, slot] of this.#slots) yield [id, this.#keptAt(slot)];
  }

  /** A copy of a key's row [key | value] with its position; null if it is not there. */
  copy(id: string): KeptKey | null {
    const slot = this.#slots.get(id);
    if (slot === undefined) return null;
    const { row, position } = this.#keptAt(slot);
    return { row: row.slice(), position };
  }

  /** The id in a slot that is in use. */
  idAt(slot: number): string {
    return this.#ids[slot] as string;
  }

  /** The position of the key in a slot; 0 where no rule looks at positions. */
  positionAt(slot: number): number {
    return this.#positions.length === 0 ? 0 : this.#positions[slot];
  }

  /** Bounds of the norms of rows that were there before. */
  noteNorms(key: number, value: number): void {
    this.#keyNorm = Math.max(this.#keyNorm, key);
    this.#valueNorm = Math.max(this.#valueNorm, value);
  }

  /** Copies a slot as it is multiplied: its row, and the exponents of its values. */
  copySlot(
    slot: number,
    rows: Float32Array,
    start: number,
    exponents: Int16Array,
    exponentsAt: number,
  ): void {
    const { kvHeads } = this.#scoring.layout;
    rows.set(this.#rows.subarray(slot * this.#width, (slot + 1) * this.#width), start);
    exponents.set(this.#exponents.subarray(slot * kvHeads, (slot + 1) * kvHeads), exponentsAt);
  }

  /** The keys as sums take them, with biases of theirs by slot. */
  summed(biases: Float64Array | null): SummedKeys {
    return {
      size: this.#ids.length,
      width: this.#width,
      rows: this.#rows,
      isLive: this.#isLive,
      exponents: this.#exponents,
      positions: this.#positions,
      biases,
    };
  }

  /** Sets the row and the position of a key, which may be new; returns its slot. */
  put(id: string, given: Float32Array, position: number): number {
    const { layout } = this.#scoring, { kvHeads, valueDim } = layout, columns = keyColumns(layout);
    const row = turnedRow(this.#scoring, given, kvHeads, position);
    let slot = this.#slots.get(id);
    if (slot === undefined) {
      slot = this.#takeSlot();
      this.#slots.set(id, slot);
      this.#ids[slot] = id;
      this.#isLive[slot] = 1;
    }
    this.#rows.set(row, slot * this.#width);
    this.#given?.set(given.subarray(0, columns), slot * columns);
    if (this.#positions.length > 0) this.#positions[slot] = position;
    const values = slot * this.#width + columns;
    for (let head = 0; head < kvHeads; head++) {
      const exponent = valueExponent(this.#rows, values + head * valueDim, valueDim);
      this.#exponents[slot * kvHeads + head] = exponent;
    }
    this.noteNorms(norm(row, 0, columns), norm(row, columns, row.length));
    return slot;
  }

  /** Takes a key out that is there. */
  remove(id: string, slot: number): void {
    this.#slots.delete(id);
    this.#ids[slot] = null;
    this.#isLive[slot] = 0;
    this.#rows.fill(0, slot * this.#width, (slot + 1) * this.#width);
    this.#free.push(slot);
  }

  #keptAt(slot: number): KeptKey {
    const row = this.#rows.subarray(slot * this.#width, (slot + 1) * this.#width), given = this.#given;
    const position = this.positionAt(slot);
    if (given === null) return { row, position };
    const columns = keyColumns(this.#scoring.layout), kept = row.slice();
    kept.set(given.subarray(slot * columns, (slot + 1) * columns));
    return { row: kept, position };
  }

  #takeSlot(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const slot = this.#ids.length;
    if (slot === this.#isLive.length) this.#grow(2 * slot);
    this.#ids.push(null);
    return slot;
  }

  #grow(slots: number): void {
    const { kvHeads } = this.#scoring.layout;
    const rows = new Float32Array(slots * this.#width), exponents = new Int16Array(slots * kvHeads);
    const isLive = new Uint8Array(slots);
    this.#scratch = new Float64Array(slots);
    rows.set(this.#rows);
    if (this.#given !== null) {
      const given = new Float32Array(slots * keyColumns(this.#scoring.layout));
      given.set(this.#given);
      this.#given = given;
    }
    if (this.#positions.length > 0) {
      const positions = new Float64Array(slots);
      positions.set(this.#positions);
      this.#positions = positions;
    }
    exponents.set(this.#exponents);
    isLive.set(this.#isLive);
    [this.#rows, this.#exponents, this.#isLive] = [rows, exponents, isLive];
  }
}

function norm(row: Float32Array, start: number, end: number): number {
  let sum = 0;
  for (let at = start; at < end; at++) sum += row[at] * row[at];
  return Math.sqrt(sum) * (1 + 2 ** -40);
}
