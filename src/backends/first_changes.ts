/**
 * The batch that fills an empty backend.
 */

import type { Matrix } from "../matrix.ts";
import type { Changes, RowChanges } from "./backend.ts";

/** Rows 0, 1, 2, … of K and V, and of Q, as one batch of inserted rows. */
export function firstChanges(query: Matrix | null, key: Matrix, value: Matrix): Changes {
  const [count, headDim] = key.shape;
  const valueDim = value.shape[1];
  const rows = new Float32Array(count * (headDim + valueDim));
  for (let j = 0; j < count; j++) {
    const start = j * (headDim + valueDim);
    rows.set(key.data.subarray(j * headDim, (j + 1) * headDim), start);
    rows.set(value.data.subarray(j * valueDim, (j + 1) * valueDim), start + headDim);
  }
  return {
    keys: insertedRows(count, rows),
    queries: insertedRows(query?.shape[0] ?? 0, query?.data ?? new Float32Array(0)),
  };
}

function insertedRows(count: number, rows: Float32Array): RowChanges {
  return {
    slots: Uint32Array.from({ length: count }, (_, slot) => slot),
    live: new Uint8Array(count).fill(1),
    rows,
  };
}
