/**
 * The rows of a running engine as of one moment, while edits go on: which slots were live is copied at once, a row when it is
 * asked for, and before an edit changes it.
 *
 * Invariant: `keep` is called before a slot's row changes, so a row that is not kept is still the one of the moment.
 */

import type { EngineCore } from "../engine/engine_core.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import type { EditLog } from "../write/edit_log.ts";
import type { CheckedEdit } from "../write/edits.ts";
import type { SlotNumbers } from "../write/slot_table.ts";
import { liveFlags } from "./image.ts";

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

/** Keys and queries of one moment. */
export class FrozenEngine {
  readonly keys: FrozenRows;
  readonly queries: FrozenRows;

  constructor({ rules: { layout, keySlots, querySlots } }: EngineCore, newest: () => EngineCore["newest"]) {
    const keyWidth = keyColumns(layout) + valueColumns(layout);
    this.keys = new FrozenRows(keySlots.save(), keyWidth, () => newest().keys);
    this.queries = new FrozenRows(querySlots.save(), queryColumns(layout), () => newest().queries);
  }

  /** An edit is of `slot`, and the newest rows do not know of it yet. */
  keepBefore({ kind }: CheckedEdit, slot: number): void {
    const isQuery = kind.endsWith("Query");
    (isQuery ? this.queries : this.keys).keep(slot);
  }
}
