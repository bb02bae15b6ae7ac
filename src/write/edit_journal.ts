/**
 * The interface of a journal that makes the edits of an engine durable. The engine notes each edit, with its
 * slot, when it is performed, and checks with the journal before it accepts an edit and before it gives an
 * answer.
 *
 * Invariant: the edits of a batch are noted in the order in which they are performed, between `begin` and
 * `end`. Until `end`, the newest rows of the engine are those before the batch.
 */

import type { CheckedEdit, EditTarget } from "./edits.ts";

/** The journal of one engine. */
export interface EditJournal {
  /** Throws if the engine may no longer be edited or asked. */
  check(operation: string): void;
  /** Begins a batch of edits; throws if the engine may not be edited. */
  begin(operation: string): void;
  /** Notes an edit of `slot`, which was performed on `layer`. */
  note(edit: CheckedEdit, slot: number, layer: EditTarget): void;
  /** Behind a batch that moved rows: the positions of the next key and the next query that are inserted without one. */
  noteNext(key: number, query: number): void;
  /** Ends a batch, which was performed as a whole or not at all. */
  end(isPerformed: boolean): void;
  /** Resolves when all edits noted so far are durable; rejects if that is uncertain. */
  kept(): Promise<void>;
}
