/**
 * The keys that a state holds: those stored, but for slots that have changed since, which held what is kept.
 */

import type { Since } from "../backend.ts";
import { NO_ROW } from "../since.ts";
import type { KeyTable } from "./key_table.ts";

/** A key, wherever it is. */
export interface KeyPlace {
  readonly table: KeyTable;
  readonly row: number;
}

/** Keys by slot as of some moment. */
export class Moment {
  readonly since: Since;
  readonly stored: KeyTable;
  readonly kept: KeyTable;
  /** The numbers of kept rows by slot; made when it is asked for first. */
  #changed: Map<number, number> | null = null;

  constructor(stored: KeyTable, kept: KeyTable, since: Since) {
    this.stored = stored;
    this.kept = kept;
    this.since = since;
  }

  /** What a slot held; null when it was empty. */
  find(slot: number): KeyPlace | null {
    const kept = this.since.slots.length === 0 ? undefined : this.#keptBySlot().get(slot);
    if (kept === undefined) return this.stored.isLive(slot) ? { table: this.stored, row: slot } : null;
    return kept === NO_ROW ? null : { table: this.kept, row: kept };
  }

  #keptBySlot(): Map<number, number> {
    if (this.#changed) return this.#changed;
    const { slots, kept } = this.since;
    const changed = this.#changed = new Map<number, number>();
    for (let t = 0; t < slots.length; t++) changed.set(slots[t], kept[t]);
    return changed;
  }
}
