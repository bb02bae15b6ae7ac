/**
 * Rows and editable masks as of one moment, while edits go on: which slots were live is copied at once, a row or a part of the
 * mask when it is asked for, and before an edit changes it.
 *
 * Invariant: `keep` is called before a slot's row changes, so a row that is not kept is still the one of the moment; likewise
 * parts of the mask.
 */

import { CapacityError } from "../base/errors.ts";
import type { MaskChange } from "./edit_journal.ts";
import type { BiasMatrix } from "./mask.ts";
import type { SlotNumbers } from "./slot_table.ts";

/** A row that an edit has changed since. */
interface KeptRow {
  readonly row: Float32Array;
  readonly position: number;
}

/** Where rows are that were not changed since. */
interface Rows {
  position(slot: number): number;
  copyRow(slot: number, target: Float32Array, offset: number): void;
}

/** Rows of one kind. */
export class FrozenRows {
  readonly slots: SlotNumbers;
  readonly live: Uint8Array;
  readonly width: number;
  readonly #newest: () => Rows;
  readonly #kept = new Map<number, KeptRow>();

  constructor(slots: SlotNumbers, width: number, newest: () => Rows) {
    this.slots = slots;
    this.live = liveFlags(slots);
    this.width = width;
    this.#newest = newest;
  }

  /** An edit is about to change a slot. */
  keep(slot: number): void {
    if (this.live[slot] !== 1 || this.#kept.has(slot)) return;
    const row = new Float32Array(this.width), newest = this.#newest();
    newest.copyRow(slot, row, 0);
    this.#kept.set(slot, { row, position: newest.position(slot) });
  }

  /** Copies the row of a live slot. */
  copyRow(slot: number, target: Float32Array, offset: number): void {
    const kept = this.#kept.get(slot);
    if (kept) target.set(kept.row, offset);
    else this.#newest().copyRow(slot, target, offset);
  }

  position(slot: number): number {
    return this.#kept.get(slot)?.position ?? this.#newest().position(slot);
  }
}

/** This many numbers of a matrix are kept at once. */
const PART = 1024;

/** A matrix whose entries change one by one. */
export class FrozenMatrix implements BiasMatrix {
  readonly rows: number;
  readonly columns: number;
  /** As it is now. */
  readonly data: Float32Array;
  /** Parts of `PART` numbers. */
  readonly #kept = new Map<number, Float32Array>();

  constructor({ data, rows, columns }: BiasMatrix) {
    this.data = data;
    this.rows = rows;
    this.columns = columns;
  }

  get length(): number {
    return this.data.length;
  }

  /** An entry is about to change; throws where memory is refused. */
  keep(operation: string, row: number, column: number): void {
    const part = Math.floor((row * this.columns + column) / PART);
    if (this.#kept.has(part)) return;
    const what = "a part of the mask, which is being saved,";
    const copy = () => new Float32Array(this.data.subarray(part * PART, (part + 1) * PART));
    this.#kept.set(part, CapacityError.guard(operation, what, 4 * PART, copy));
  }

  /** A copy of some numbers as of the moment. */
  slice(from: number, end: number): Float32Array<ArrayBuffer> {
    const last = Math.min(end, this.length), copy = new Float32Array(this.data.subarray(from, last));
    for (let part = Math.floor(from / PART); part * PART < last; part++) {
      const kept = this.#kept.get(part);
      if (!kept) continue;
      const start = part * PART, first = Math.max(from, start);
      copy.set(kept.subarray(first - start, last - start), first - from);
    }
    return copy;
  }
}

/** An editable mask. */
export class FrozenMask {
  readonly matrices: readonly FrozenMatrix[];

  constructor(matrices: readonly BiasMatrix[]) {
    this.matrices = matrices.map((matrix) => new FrozenMatrix(matrix));
  }

  /** Entries are about to change; throws where memory is refused. */
  keepBefore(operation: string, { queries, keys, heads }: MaskChange): void {
    for (const head of heads) {
      const matrix = this.matrices[head];
      for (const query of queries) for (const key of keys) matrix.keep(operation, query, key);
    }
  }
}

/** 1 for each live slot. */
export function liveFlags({ size, free }: Pick<SlotNumbers, "size" | "free">): Uint8Array {
  const live = new Uint8Array(size).fill(1);
  for (const slot of free) live[slot] = 0;
  return live;
}
