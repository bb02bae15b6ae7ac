/**
 * Rows as of the newest edit, whether they lie in the top layer, in a sealed one or at the backend.
 */

import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import { type EditRules, type EditTarget, findSlot } from "./edits.ts";
import type { RowId } from "./row_ids.ts";

/** The kinds of rows. */
export type RowKind = "key" | "value" | "query";

/** A copy of the newest row of a live slot. */
export function copyNewest(
  operation: string,
  what: RowKind,
  slot: RowId,
  { keys, queries }: EditTarget,
  { layout, keySlots, querySlots }: EditRules,
): Float32Array<ArrayBuffer> {
  if (what === "query") {
    const row = new Float32Array(queryColumns(layout));
    queries.copyRow(findSlot(operation, "query", slot, querySlots), row, 0);
    return row;
  }
  const row = new Float32Array(keyColumns(layout) + valueColumns(layout));
  keys.copyRow(findSlot(operation, "key", slot, keySlots), row, 0);
  return what === "key" ? row.slice(0, keyColumns(layout)) : row.slice(keyColumns(layout));
}
