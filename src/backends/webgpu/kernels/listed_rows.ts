/**
 * The head rows that a kernel computes, as text for a shader with `list` and `call`: those of a list, or a
 * batch of those that a patch has flagged, which are a count per head and then a list per head.
 */

export const LISTED_ROWS = /* wgsl */ `
var<workgroup> listedCount: u32;

/** How many rows of one head there are in this batch. */
fn countRows(head: u32) -> u32 {
  if (call.isFlagged == 0u) {
    return call.listCount;
  }
  return clamp(list[head], call.rowFirst, call.rowFirst + call.batchRows) - call.rowFirst;
}

/** The slot of a row of this batch. */
fn slotOf(head: u32, row: u32) -> u32 {
  return list[call.listFirst + head * call.listStride + call.rowFirst + row];
}

/**
 * Where the state begins that a row is summed in, or a part of it where there are several, which have a table
 * of their own.
 */
fn baseOf(part: u32, row: u32, slot: u32, head: u32) -> u32 {
  let record = select(part * call.batchRows + row, slot - call.slotBase, call.partCount <= 1u);
  return (record * call.heads + head) * call.stateWords;
}
`;
