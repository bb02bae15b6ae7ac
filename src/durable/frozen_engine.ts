/**
 * The rows and the editable mask of a running engine as of its newest edit, while edits go on.
 */

import type { EngineCore } from "../engine/engine_core.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import type { MaskChange } from "../write/edit_journal.ts";
import { FrozenMask, FrozenRows } from "../write/frozen_rows.ts";
import type { SavedErrors } from "../write/row_errors.ts";

/** Keys, queries and the editable mask of one moment. */
export class FrozenEngine {
  readonly keys: FrozenRows;
  readonly queries: FrozenRows;
  /** How far keys are from those that were given; null where all are float32. */
  readonly errors: SavedErrors | null;
  /** null for another mask, or none. */
  readonly mask: FrozenMask | null;

  constructor(
    { rules: { layout, mask, keySlots, querySlots, errors } }: EngineCore,
    newest: () => EngineCore["newest"],
  ) {
    this.mask = mask?.isEditable ? new FrozenMask(mask.matrices) : null;
    this.errors = errors?.save(keySlots.size) ?? null;
    const keyWidth = keyColumns(layout) + valueColumns(layout);
    this.keys = new FrozenRows(keySlots.save(), keyWidth, () => newest().keys);
    this.queries = new FrozenRows(querySlots.save(), queryColumns(layout), () => newest().queries);
  }

  /** An edit is of `slot`, and the newest rows do not know of it yet. */
  keepBefore(isQuery: boolean, slot: number): void {
    (isQuery ? this.queries : this.keys).keep(slot);
  }

  /** Entries of the mask are about to change. */
  keepMaskBefore(operation: string, change: MaskChange): void {
    this.mask?.keepBefore(operation, change);
  }
}
