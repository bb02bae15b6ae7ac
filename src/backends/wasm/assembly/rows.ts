// Sets of rows of a block, one bit for each.

import { BLOCK_BYTES, ROW_MASK } from "../job_fields.ts";

/** Up to this number of rows take less time one after the other than a whole block does. */
const FEW_ROWS: i32 = 2;

/** The active rows of a block. */
@inline
export function activeRows(job: usize, block: i32): i32 {
  const mask = load<usize>(job + ROW_MASK) + <usize> block * BLOCK_BYTES;
  return i32x4.bitmask(v128.load(mask)) | (i32x4.bitmask(v128.load(mask, 16)) << 4);
}

/** Whether rows are computed one after the other. */
@inline
export function areFew(rows: i32): bool {
  return popcnt(rows) <= FEW_ROWS;
}
