/**
 * An answer before anything is written to it.
 */

import { type HeadLayout, outputColumns } from "../../numerics/head_layout.ts";
import { CapacityError } from "../../base/errors.ts";
import type { AttentionOutput } from "../backend.ts";

/** Zeros for `count` queries. */
export function emptyOutput(layout: HeadLayout, count: number): AttentionOutput {
  const columns = outputColumns(layout), { heads } = layout;
  const bytes = count * (4 * columns + 8 * heads);
  return CapacityError.guard("read", `an answer of ${count} × ${columns} numbers`, bytes, () => ({
    output: new Float32Array(count * columns),
    logSumExp: new Float64Array(count * heads),
  }));
}
