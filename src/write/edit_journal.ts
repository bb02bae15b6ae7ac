/**
 * The interface of a journal that makes the edits of an engine durable. The engine notes each edit, with its
 * slot, when it is performed, and checks with the journal before it accepts an edit and before it gives an
 * answer.
 *
 * Invariant: the edits of a batch are noted in the order in which they are performed, between `begin` and
 * `end`. Until `end`, the newest rows of the engine are those before the batch.
 */

import type { JsonValue } from "../base/json.ts";
import type { CheckedEdit, EditTarget } from "./edits.ts";
import type { RowId } from "./row_ids.ts";

/** The row that an edit was of. */
export interface EditedRow {
  readonly slot: number;
  /** Its id, or its slot where rows have none. */
  readonly name: RowId;
  /** Whether the edit has inserted it. */
  readonly isNew: boolean;
}

/** Rows that move together. */
export interface RowShift {
  /** What is added to positions. */
  readonly by: number;
  /** Those from this one on move, */
  readonly from: number;
  /** and below this one. */
  readonly to: number;
  /** The positions that the next key and the next query get then that are inserted without one. */
  readonly nextKey: number;
  readonly nextQuery: number;
}

/** Entries of a mask that change. */
export interface MaskChange {
  readonly queries: Uint32Array;
  readonly keys: Uint32Array;
  /** Numbers of matrices. */
  readonly heads: readonly number[];
  /** Queries × keys. */
  readonly block: Float32Array;
}

/** The journal of one engine. */
export interface EditJournal {
  /** Throws if the engine may no longer be edited or asked. */
  check(operation: string): void;
  /** Begins a batch of edits; throws if the engine may not be edited. */
  begin(operation: string): void;
  /** Notes an edit of a row, which was performed on `layer`. */
  note(edit: CheckedEdit, row: EditedRow, layer: EditTarget): void;
  /**
   * Begins the moves of all rows whose positions are in a range, keys and queries alike; each is noted as in a batch. Throws, as
   * `noteMask` and `noteMetadata` do, if nothing may change.
   */
  beginShift(operation: string, shift: RowShift): void;
  /** Before entries of the mask change. */
  noteMask(operation: string, change: MaskChange): void;
  /** Before the caller's metadata change. */
  noteMetadata(operation: string, metadata: JsonValue): void;
  /** Ends a batch, which was performed as a whole or not at all. */
  end(isPerformed: boolean): void;
  /** Resolves when all edits noted so far are durable; rejects if that is uncertain. */
  kept(): Promise<void>;
}
