/**
 * The newest changes of a partition's keys, for states of queries that are behind.
 *
 * Invariant: changes are numbered 0, 1, 2 … as they came; those from `first` on are kept, at most
 * {@link MOST_CHANGES} of them.
 */

import type { KeyMask } from "./pair_masks.ts";

/** A state that is further behind is built anew. */
export const MOST_CHANGES = 4096;

/** A change of a key: the row that was, if there was one, then the row that is. */
export interface KeyChange {
  /** The record that made it. */
  readonly sequence: number;
  readonly rows: Float32Array;
  readonly exponents: Int16Array;
  /** The positions, likewise, and what was said of the key. */
  readonly positions: readonly [before: number, after: number];
  readonly masks: readonly [before: KeyMask | null, after: KeyMask | null];
  readonly had: boolean;
  readonly has: boolean;
}

/** Changes in their order. */
export class KeyChanges {
  #kept: KeyChange[] = [];
  #first = 0;
  #droppedSequence = 0;

  /** The number of the first change that is kept. */
  get first(): number {
    return this.#first;
  }

  /** The number of the change that comes next. */
  get end(): number {
    return this.#first + this.#kept.length;
  }

  /** The record of the last change that is not kept. */
  get droppedSequence(): number {
    return this.#droppedSequence;
  }

  /** Those that are kept. */
  get kept(): readonly KeyChange[] {
    return this.#kept;
  }

  /** Bytes of their rows. */
  get bytes(): number {
    return this.#kept.reduce((bytes, { rows }) => bytes + rows.byteLength, 0);
  }

  /** The change of a number that is kept. */
  at(number: number): KeyChange {
    return this.#kept[number - this.#first];
  }

  /** Keeps a change. */
  push(change: KeyChange): void {
    this.#kept.push(change);
    if (this.#kept.length > MOST_CHANGES) this.#drop(change.sequence);
  }

  /** Counts a change that nobody needs, of a record; none before it is kept. */
  skip(sequence: number): void {
    this.#drop(sequence);
    this.#first++;
  }

  #drop(sequence: number): void {
    this.#first = this.end;
    this.#droppedSequence = sequence;
    this.#kept = [];
  }
}
