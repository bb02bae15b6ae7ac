/**
 * The checks of what the engine's methods are asked beside rows of numbers: which queries, which head, where.
 */

import type { PassingQueries } from "./backends/backend.ts";
import { type HeadLayout, queryColumns } from "./core/head_layout.ts";
import { describe, InputError } from "./errors.ts";
import { checkSlot, type EditRules } from "./lazy/edits.ts";
import type { SlotTable } from "./lazy/slot_table.ts";
import { checkArray, isCount, type MatrixInput, toMatrix } from "./matrix.ts";
import { checkNames, toPositions } from "./options.ts";

/** Live query slots, in the order wanted; all of them in slot order when none are named. */
export function toRows(
  operation: string,
  rows: ArrayLike<number> | undefined,
  querySlots: SlotTable,
): Uint32Array {
  if (rows === undefined) return querySlots.liveSlots();
  checkArray(operation, "rows", rows);
  return Uint32Array.from(rows, (slot) => checkSlot(operation, "query", slot, querySlots));
}

/** The head that is asked about; the first unless given. */
export function toHead(
  operation: string,
  options: { readonly head?: number },
  { heads }: HeadLayout,
): number {
  checkNames(operation, options, ["head"]);
  const { head = 0 } = options;
  if (isCount(head) && head < heads) return head;
  throw new InputError(
    operation,
    `head is ${describe(head)}`,
    `an integer from 0 to ${heads - 1} (below heads)`,
  );
}

/** What an edit takes from the options of an insert; the position itself is checked with the edit. */
export function toPosition(
  operation: string,
  options: { readonly position?: number },
): { position?: number } {
  checkNames(operation, options, ["position"]);
  return options.position === undefined ? {} : { position: options.position };
}

/** Passing queries, r × H·d; they lie behind the standing ones unless `positions` says where. */
export function toPassing(
  operation: string,
  queries: MatrixInput,
  positions: ArrayLike<number> | undefined,
  { layout, mask, querySlots }: EditRules,
): PassingQueries {
  if (mask) {
    throw new InputError(operation, "the engine has a mask", "none, or the query among the standing ones");
  }
  const { data, shape: [count, columns] } = toMatrix(operation, "queries", queries);
  if (columns !== queryColumns(layout)) {
    throw new InputError(
      operation,
      `queries have ${columns} columns`,
      `${queryColumns(layout)} (heads × headDim)`,
    );
  }
  const next = querySlots.nextPosition;
  return { count, rows: data, positions: toPositions(operation, "positions", positions, count, next) };
}
