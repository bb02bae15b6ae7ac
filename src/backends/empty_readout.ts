/**
 * An answer before anything is written to it.
 */

import { type HeadLayout, outputColumns } from "../core/head_layout.ts";
import type { Readout } from "./backend.ts";

/** Zeros for `count` queries. */
export function emptyReadout(layout: HeadLayout, count: number): Readout {
  return {
    output: new Float32Array(count * outputColumns(layout)),
    logSumExp: new Float32Array(count * layout.heads),
  };
}
