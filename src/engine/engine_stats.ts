/**
 * What an engine tells of itself.
 */

import type { DynamicAttentionStats } from "./answers.ts";
import type { Backend } from "../backends/backend.ts";
import type { EditPipeline } from "../schedule/edit_pipeline.ts";
import type { EditRules } from "../write/edits.ts";

/** Sizes, versions and counted work, as of now. */
export function statsOf(
  { layout, keySlots, querySlots }: EditRules,
  pipeline: EditPipeline,
  backend: Backend,
): DynamicAttentionStats {
  const { written, applied, changesStored, readMs } = pipeline.counts;
  const { version: epoch, behind, kept, rebuilds, applyMs } = pipeline.rows;
  const { pending, unstored } = pipeline;
  return {
    backend: backend.name,
    backendReason: backend.reason,
    threads: backend.threads,
    queryCount: querySlots.count,
    keyCount: keySlots.count,
    ...layout,
    edits: written,
    coalesced: written - changesStored - unstored,
    applied: pending === 0 ? written : applied,
    pending,
    epoch,
    behind,
    kept,
    rebuilds,
    ...backend.work,
    applyMs,
    readMs,
    deviceMs: backend.deviceMs,
    bytes: backend.bytes(),
  };
}
