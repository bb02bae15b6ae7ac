/**
 * The keys at a moment: those that are stored, but for slots that have changed since, which held what is kept.
 */

import { NO_ROW, type Since } from "../since.ts";
import type { KeyBlock } from "./key_block.ts";

/** A key, in one of two blocks. */
export interface KeyPlace {
  readonly block: KeyBlock;
  readonly row: number;
}

/** Keys by slot as of some moment. */
export class KeysAt {
  readonly stored: KeyBlock;
  readonly retained: KeyBlock;
  readonly since: Since;
  /** The numbers of kept rows by slot; made when it is asked for first. */
  #changed: Map<number, number> | null = null;

  constructor(stored: KeyBlock, retained: KeyBlock, since: Since) {
    this.stored = stored;
    this.retained = retained;
    this.since = since;
  }

  /** Whether they are the stored keys. */
  get areStored(): boolean {
    return this.since.slots.length === 0;
  }

  /** What a slot held; null when it was empty. */
  find(slot: number): KeyPlace | null {
    const retained = this.areStored ? undefined : this.changed.get(slot);
    if (retained === undefined) {
      return this.stored.live[slot] === 1 ? { block: this.stored, row: slot } : null;
    }
    return retained === NO_ROW ? null : { block: this.retained, row: retained };
  }

  /** By slot that has changed since, the number of the row that it held, or `NO_ROW`. */
  get changed(): ReadonlyMap<number, number> {
    if (this.#changed) return this.#changed;
    const { slots, retained } = this.since;
    const changed = this.#changed = new Map<number, number>();
    for (let t = 0; t < slots.length; t++) changed.set(slots[t], retained[t]);
    return changed;
  }
}
