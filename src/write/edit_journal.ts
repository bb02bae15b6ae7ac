/**
 * What keeps the edits of an engine where they survive it. The engine tells it of each edit when it is performed, with the
 * slot it took, and asks it before an edit is accepted and before an answer is given.
 *
 * Invariant: a batch is told in the order in which its edits are performed, between `begin` and `end`; until `end`, the
 * newest rows of the engine are those from before the batch.
 */

import type { CheckedEdit, EditTarget } from "./edits.ts";

/** Takes the edits of one engine. */
export interface EditJournal {
  /** Throws where the engine may neither be edited nor asked any more. */
  check(operation: string): void;
  /** A batch of edits begins; throws where the engine may not be edited. */
  begin(operation: string): void;
  /** An edit was performed on `layer` and is of `slot`. */
  note(edit: CheckedEdit, slot: number, layer: EditTarget): void;
  /** The batch was performed as a whole, or nothing of it was. */
  end(isPerformed: boolean): void;
  /** Resolves when all that was noted so far is kept; rejects when it cannot be known to be. */
  kept(): Promise<void>;
}
