/**
 * The keys that a state holds: those stored, but for slots that have changed since, which held what is kept.
 */

import { NO_ROW, type Since } from "../backend.ts";
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
  readonly #changed: Map<number, number>;

  constructor(stored: KeyTable, kept: KeyTable, since: Since) {
    this.stored = stored;
    this.kept = kept;
    this.since = since;
    this.#changed = new Map(Array.from(since.slots, (slot, t) => [slot, since.kept[t]]));
  }

  /** What a slot held; null when it was empty. */
  find(slot: number): KeyPlace | null {
    const kept = this.#changed.size === 0 ? undefined : this.#changed.get(slot);
    if (kept === undefined) return this.stored.isLive(slot) ? { table: this.stored, row: slot } : null;
    return kept === NO_ROW ? null : { table: this.kept, row: kept };
  }
}
