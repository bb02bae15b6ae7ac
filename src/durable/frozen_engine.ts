/**
 * The rows and the editable mask of a running engine as of its newest edit, while edits go on.
 */

import type { EngineCore } from "../engine/engine_core.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import type { MaskChange } from "../write/edit_journal.ts";
import { FrozenMask, FrozenRows } from "../write/frozen_rows.ts";

/** Keys, queries and the editable mask of one moment. */
export class FrozenEngine {
  readonly keys: FrozenRows;
  readonly queries: FrozenRows;
  /** null for another mask, or none. */
  readonly mask: FrozenMask | null;

  constructor(
    { rules: { layout, mask, keySlots, querySlots } }: EngineCore,
    newest: () => EngineCore["newest"],
  ) {
    this.mask = mask?.isEditable ? new FrozenMask(mask.matrices) : null;
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
