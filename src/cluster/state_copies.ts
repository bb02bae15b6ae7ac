/**
 * Copies of a host's partitions for hosts that take them over: snapshots that are given in pieces, since a
 * reply is small.
 *
 * Invariant: pieces that name the same record are of one snapshot, whatever was edited between them.
 */

import type { StatePiece, StateQuestion } from "./messages.ts";

/** Copies that are kept; the one that was asked for longest ago goes first. */
const MOST_COPIES = 2;
/** A copy that nobody has asked for in this time is forgotten. */
const KEPT_MS = 10_000;

interface Copy {
  readonly sequence: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly askedAt: number;
}

/** The snapshots that a host has given pieces of. */
export class StateCopies {
  readonly #copies = new Map<number, Copy>();

  /**
   * A piece of a copy of a partition. A copy that is no longer there is made anew, and begins at its first
   * byte.
   *
   * @param sequence The record that the partition is at.
   * @param make Makes a snapshot of the partition.
   */
  piece(
    partition: number,
    question: StateQuestion,
    now: number,
    { sequence, make }: { readonly sequence: number; readonly make: () => Uint8Array<ArrayBuffer> },
  ): StatePiece {
    this.forgetOld(now);
    const kept = this.#copies.get(partition),
      isKept = kept !== undefined && kept.sequence === question.sequence;
    const copy = isKept ? kept : { sequence, bytes: make() };
    const from = isKept ? Math.min(question.from, copy.bytes.length) : 0;
    const bytes = copy.bytes.subarray(from, from + Math.max(1, question.room)), { length } = copy.bytes;
    this.#copies.delete(partition);
    if (from + bytes.length < length) this.#copies.set(partition, { ...copy, askedAt: now });
    if (this.#copies.size > MOST_COPIES) {
      for (const oldest of this.#copies.keys()) {
        this.#copies.delete(oldest);
        break;
      }
    }
    return { sequence: copy.sequence, length, from, bytes };
  }

  /** Forgets copies that nobody has asked for lately. */
  forgetOld(now: number): void {
    for (const [partition, { askedAt }] of this.#copies) {
      if (now - askedAt > KEPT_MS) this.#copies.delete(partition);
    }
  }
}
