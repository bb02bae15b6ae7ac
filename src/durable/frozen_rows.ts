/**
 * The rows and the editable mask of a running engine as of one moment, while edits go on: which slots were live is copied at
 * once, a row or a part of the mask when it is asked for, and before an edit changes it.
 *
 * Invariant: `keep` is called before a slot's row changes, so a row that is not kept is still the one of the moment; likewise
 * parts of the mask.
 */

import type { EngineCore } from "../engine/engine_core.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import type { MaskChange } from "../write/edit_journal.ts";
import type { EditLog } from "../write/edit_log.ts";
import type { BiasMatrix } from "../write/mask.ts";
import type { SlotNumbers } from "../write/slot_table.ts";
import { liveFlags } from "./image_rows.ts";

/** A row that an edit has changed since. */
interface KeptRow {
  readonly row: Float32Array;
  readonly position: number;
}

/** Rows of one kind. */
export class FrozenRows {
  readonly slots: SlotNumbers;
  readonly live: Uint8Array;
  readonly width: number;
  readonly #newest: () => EditLog;
  readonly #kept = new Map<number, KeptRow>();

  constructor(slots: SlotNumbers, width: number, newest: () => EditLog) {
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

/** So many numbers of a matrix are kept at once. */
const PART = 1024;

/** A matrix whose entries change one by one. */
export class FrozenMatrix {
  readonly length: number;
  readonly #columns: number;
  readonly #newest: Float32Array;
  /** Parts of `PART` numbers. */
  readonly #kept = new Map<number, Float32Array>();

  constructor({ data, columns }: BiasMatrix) {
    this.length = data.length;
    this.#columns = columns;
    this.#newest = data;
  }

  /** An entry is about to change. */
  keep(row: number, column: number): void {
    const part = Math.floor((row * this.#columns + column) / PART);
    if (!this.#kept.has(part)) this.#kept.set(part, this.#newest.slice(part * PART, (part + 1) * PART));
  }

  /** A copy of some numbers. */
  slice(from: number, end: number): Float32Array<ArrayBuffer> {
    const last = Math.min(end, this.length), copy = new Float32Array(this.#newest.subarray(from, last));
    for (let part = Math.floor(from / PART); part * PART < last; part++) {
      const kept = this.#kept.get(part);
      if (!kept) continue;
      const start = part * PART, first = Math.max(from, start);
      copy.set(kept.subarray(first - start, last - start), first - from);
    }
    return copy;
  }
}

/** Keys, queries and the editable mask of one moment. */
export class FrozenEngine {
  readonly keys: FrozenRows;
  readonly queries: FrozenRows;
  /** Of an editable mask; none of another one. */
  readonly matrices: readonly FrozenMatrix[];

  constructor(
    { rules: { layout, mask, keySlots, querySlots } }: EngineCore,
    newest: () => EngineCore["newest"],
  ) {
    this.matrices = mask?.isEditable ? mask.matrices.map((matrix) => new FrozenMatrix(matrix)) : [];
    const keyWidth = keyColumns(layout) + valueColumns(layout);
    this.keys = new FrozenRows(keySlots.save(), keyWidth, () => newest().keys);
    this.queries = new FrozenRows(querySlots.save(), queryColumns(layout), () => newest().queries);
  }

  /** An edit is of `slot`, and the newest rows do not know of it yet. */
  keepBefore(isQuery: boolean, slot: number): void {
    (isQuery ? this.queries : this.keys).keep(slot);
  }

  /** Entries of the mask are about to change. */
  keepMaskBefore({ queries, keys, heads }: MaskChange): void {
    for (const head of heads) {
      const matrix = this.matrices[head];
      for (const query of queries) for (const key of keys) matrix.keep(query, key);
    }
  }
}
