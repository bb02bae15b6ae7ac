/**
 * The rows that a kernel is about, and where the states of their parts are, as text for a shader with `list` and `call`.
 *
 * The states of parts lie behind those of the queries of a page: for part p of the r-th row of the list in record
 * `partFirst` + p·count + r.
 */

import { FLAGGED_COUNTS, FLAGGED_PARTS } from "../record_layout.ts";

export const LISTED_ROWS = /* wgsl */ `
struct ListedRows {
  count: u32,
  parts: u32,
}

var<workgroup> listed: ListedRows;

/** How many rows of one head there are, and into how many parts their keys are cut. */
fn listedRows(head: u32) -> ListedRows {
  if (call.isFlagged != 0u) {
    return ListedRows(list[${FLAGGED_COUNTS}u + head], list[${FLAGGED_PARTS}]);
  }
  return ListedRows(call.listCount, max(call.parts, 1u));
}

/** Where the state begins that a part of a row is summed in. */
fn baseOf(rows: ListedRows, part: u32, row: u32, slot: u32, head: u32) -> u32 {
  let record = select(call.partFirst + part * rows.count + row, slot - call.slotBase, rows.parts == 1u);
  return (record * call.heads + head) * call.stateWords;
}
`;
