/**
 * The keys as of an epoch: the stored rows, except for slots that have changed since, whose earlier rows are
 * retained.
 */

import { NO_ROW, type Since } from "../since.ts";
import type { KeyBlock } from "./key_block.ts";

/** A key, in one of two blocks. */
export interface KeyPlace {
  readonly block: KeyBlock;
  readonly row: number;
}

/** Keys by slot as of an epoch. */
export class KeysAt {
  readonly stored: KeyBlock;
  readonly retained: KeyBlock;
  readonly since: Since;
  /** The ids of retained rows by slot, made on first use. */
  #changed: Map<number, number> | null = null;

  constructor(stored: KeyBlock, retained: KeyBlock, since: Since) {
    this.stored = stored;
    this.retained = retained;
    this.since = since;
  }

  /** Whether no key has changed since the epoch. */
  get areStored(): boolean {
    return this.since.slots.length === 0;
  }

  /** The row that a slot held; null if it was empty. */
  find(slot: number): KeyPlace | null {
    const retained = this.areStored ? undefined : this.changed.get(slot);
    if (retained === undefined) {
      return this.stored.live[slot] === 1 ? { block: this.stored, row: slot } : null;
    }
    return retained === NO_ROW ? null : { block: this.retained, row: retained };
  }

  /** For each slot that has changed since, the id of the row that it held, or `NO_ROW`. */
  get changed(): ReadonlyMap<number, number> {
    if (this.#changed) return this.#changed;
    const { slots, retained } = this.since;
    const changed = this.#changed = new Map<number, number>();
    for (let t = 0; t < slots.length; t++) changed.set(slots[t], retained[t]);
    return changed;
  }
}
