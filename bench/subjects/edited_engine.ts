// An engine through its public surface alone, and beside it the rows that it should know, for the oracle.

import { type BackendName, DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import { EditStream, seededInputs } from "../data.ts";
import { checkOutput, rowsOf } from "../oracle_check.ts";
import type { EditKind, Shape } from "../workload.ts";

type Row = Float32Array<ArrayBuffer>;
export type EnginePolicy = Pick<DynamicAttentionOptions, "lazyThreshold" | "onThreshold">;

/** The seeded inputs as the engine takes them. */
export function engineOptions(shape: Shape) {
  const { queryCount, keyCount, headDim, valueDim } = shape;
  const { query, key, value } = seededInputs(shape);
  const matrix = (data: Row, rows: number, columns: number) => ({ data, shape: [rows, columns] as const });
  return {
    query: matrix(query, queryCount, headDim),
    key: matrix(key, keyCount, headDim),
    value: matrix(value, keyCount, valueDim),
  };
}

export class EditedEngine {
  readonly live: DynamicAttention;
  readonly #shape: Shape;
  readonly #query: readonly Row[];
  /** By slot. */
  readonly #keys: Row[];
  readonly #values: Row[];
  /** Live slots; a slide takes them in turn. */
  readonly #slots: number[];
  #oldest = 0;
  /** Slots whose key row is the mirror's own, so that it may be written into. */
  readonly #owned = new Set<number>();
  readonly #newKeys: EditStream;
  readonly #newValues: EditStream;

  private constructor(
    live: DynamicAttention,
    shape: Shape,
    query: readonly Row[],
    keys: Row[],
    values: Row[],
  ) {
    this.live = live;
    this.#shape = shape;
    this.#query = query;
    this.#keys = keys;
    this.#values = values;
    this.#slots = keys.map((_, slot) => slot);
    this.#newKeys = new EditStream(shape.keyCount, shape.headDim);
    this.#newValues = new EditStream(shape.keyCount, shape.valueDim);
  }

  static async create(shape: Shape, backend: BackendName, policy: EnginePolicy): Promise<EditedEngine> {
    const { query, key, value } = engineOptions(shape);
    const live = await DynamicAttention.create({ query, key, value, backend, ...policy });
    const [queryRows, keyRows, valueRows] = [query, key, value].map(({ data, shape: [, columns] }) =>
      rowsOf(data, columns)
    );
    return new EditedEngine(live, shape, queryRows, keyRows, valueRows);
  }

  /** Makes one edit, in the engine and in the mirror. */
  edit(kind: EditKind): void {
    const { key: at, row } = this.#newKeys.next();
    const slot = this.#slots[at];
    switch (kind) {
      case "key":
        this.live.setKey(slot, row);
        this.#setKey(slot, row);
        return;
      case "value":
        this.live.setValue(slot, row);
        this.#values[slot] = row;
        return;
      case "entry":
        return this.#addToKey(slot, at % this.#shape.headDim, row[0]);
      case "slide":
        return this.#slide(row);
    }
  }

  #setKey(slot: number, row: Row): void {
    this.#keys[slot] = row;
    this.#owned.delete(slot);
  }

  #addToKey(slot: number, column: number, delta: number): void {
    // Not unlimited growth, which would change what is measured.
    const change = delta - this.#keys[slot][column];
    this.live.addToKey(slot, column, change);
    if (!this.#owned.has(slot)) {
      this.#keys[slot] = this.#keys[slot].slice();
      this.#owned.add(slot);
    }
    this.#keys[slot][column] += change;
  }

  #slide(key: Row): void {
    const value = this.#newValues.next().row;
    this.live.delete(this.#slots[this.#oldest]);
    const slot = this.live.insert(key, value);
    this.#slots[this.#oldest] = slot;
    this.#oldest = (this.#oldest + 1) % this.#slots.length;
    this.#setKey(slot, key);
    this.#values[slot] = value;
  }

  /** Compares rows of an exact read with the oracle. */
  async check(): Promise<number> {
    const { data } = await this.live.read();
    return checkOutput({
      query: this.#query,
      key: this.#slots.map((slot) => this.#keys[slot]),
      value: this.#slots.map((slot) => this.#values[slot]),
      output: data,
      valueDim: this.#shape.valueDim,
    });
  }

  dispose(): Promise<void> {
    return this.live.dispose();
  }
}
