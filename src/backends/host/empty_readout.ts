/**
 * An answer before anything is written to it.
 */

import { type HeadLayout, outputColumns } from "../../numerics/head_layout.ts";
import { CapacityError } from "../../base/errors.ts";
import type { Readout, Wanted } from "../backend.ts";
import { outputFor } from "../wanted.ts";

/** Room for the answer of `count` queries: zeros, or the caller's array, with log-sum-exps where they are wanted. */
export function emptyReadout(layout: HeadLayout, count: number, { into, logs }: Wanted): Readout {
  const columns = outputColumns(layout), logCount = logs ? count * layout.heads : 0;
  const bytes = 4 * (into ? 0 : count * columns) + 8 * logCount;
  return CapacityError.guard("read", `an answer of ${count} × ${columns} numbers`, bytes, () => ({
    output: outputFor(into, count * columns),
    logSumExp: new Float64Array(logCount),
  }));
}
