/**
 * A description of an engine, as a list of terms and as text.
 */

import type { JsonValue } from "../base/json.ts";
import type { DynamicAttentionStats } from "./answers.ts";
import { countOf, formatBytes, formatCount, formatNumber } from "../display/format.ts";

/** The facts that describe an engine. */
export interface EngineFacts {
  readonly stats: DynamicAttentionStats;
  /**
   * The largest bound of a stale answer over the first queries, `queries` in number; null if it was not
   * computed.
   */
  readonly bound: { readonly largest: number; readonly queries: number } | null;
}

/** Terms with their texts, the most interesting first. */
export function engineTerms({ stats, bound }: EngineFacts): [term: string, text: string][] {
  const { queryCount, keyCount, heads, kvHeads, headDim, valueDim } = stats;
  const keyHeads = kvHeads === heads ? "" : `, ${countOf(kvHeads, "key head")}`;
  const terms: [string, string][] = [
    ["size", `${countOf(queryCount, "query", "queries")} over ${countOf(keyCount, "key")}`],
    ["heads", `${countOf(heads, "head")}${keyHeads} of ${headDim} numbers a key and ${valueDim} a value`],
    ["backend", `${stats.backend}, ${countOf(stats.threads, "thread")}: ${stats.backendReason}`],
    [
      "pending",
      stats.pending === 0
        ? "nothing"
        : `${countOf(stats.pending, "changed slot")} that a stale answer need not include`,
    ],
  ];
  if (bound !== null) terms.push(["bound", boundText(bound, queryCount)]);
  terms.push(
    [
      "edits",
      `${formatCount(stats.edits)} accepted, ${formatCount(stats.applied)} in every answer, ` +
      `${formatCount(stats.coalesced)} that needed no work`,
    ],
    [
      "epoch",
      `${formatCount(stats.epoch)}, ${countOf(stats.behind, "query", "queries")} behind, ` +
      `${countOf(stats.retained, "old row")} kept`,
    ],
    [
      "rows",
      `${formatCount(stats.rowsBuilt)} built, ${formatCount(stats.rowsPatched)} patched, ` +
      `${formatCount(stats.refreshes)} refreshed`,
    ],
    [
      "work",
      `${formatCount(stats.multiplyAdds)} multiply-adds, ${formatCount(stats.exponentials)} exponentials, ` +
      `${formatNumber(stats.applyMs + stats.readMs)} ms` +
      (stats.deviceMs === null ? "" : `, the device busy for ${formatNumber(stats.deviceMs)} ms of them`),
    ],
    ["memory", formatBytes(stats.bytes)],
  );
  return terms;
}

/** Facts that say what an engine is, as JSON. */
export function engineSummary(
  type: string,
  { queryCount, keyCount, heads, kvHeads, headDim, valueDim, storage, backend, pending }:
    DynamicAttentionStats,
  sequence: number,
): { readonly [fact: string]: JsonValue } {
  const sizes = { queryCount, keyCount, heads, kvHeads, headDim, valueDim };
  return { type, ...sizes, ...(storage ? { storage: { ...storage } } : {}), backend, sequence, pending };
}

/** `DynamicAttention`, and one line per term. */
export function engineText(facts: EngineFacts): string {
  const terms = engineTerms(facts);
  const width = Math.max(...terms.map(([term]) => term.length));
  return ["DynamicAttention", ...terms.map(([term, text]) => `  ${term.padEnd(width)}  ${text}`)].join("\n");
}

function boundText({ largest, queries }: { largest: number; queries: number }, queryCount: number): string {
  const which = queries < queryCount ? `, over the first ${countOf(queries, "query", "queries")}` : "";
  return `a stale answer is at most ${formatNumber(largest)} from exact${which}`;
}
