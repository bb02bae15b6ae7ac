/**
 * The display of an engine in a notebook: a table of facts that takes its colours from the page around it.
 */

import { type EngineFacts, engineTerms, engineText } from "./engine_text.ts";
import { escapeHtml } from "../display/escape.ts";
import type { MimeBundle } from "../display/mime_bundle.ts";
import type { RowId } from "../write/row_ids.ts";
import type { DynamicAttentionStats } from "./answers.ts";

const LINE = "1px solid rgba(128,128,128,.35)";

/**
 * A notebook shows the largest bound over this number of queries at most, so that showing an engine takes
 * little time.
 */
const SHOWN_BOUNDS = 1024;

/** An engine that is shown. */
interface Shown {
  queryIds(): readonly RowId[];
  stats(): DynamicAttentionStats;
  peek(rows: readonly RowId[]): Promise<{ readonly bounds: Float64Array }>;
}

/** Text and HTML. */
export async function engineBundle(live: Shown): Promise<MimeBundle> {
  const rows = live.queryIds().slice(0, SHOWN_BOUNDS);
  // The facts are read before the peek, which may bring states up to date.
  const stats = live.stats(), { bounds } = await live.peek(rows);
  const facts = { stats, bound: { largest: Math.max(0, ...bounds), queries: rows.length } };
  return { "text/plain": engineText(facts), "text/html": engineHtml(facts) };
}

function engineHtml(facts: EngineFacts): string {
  const cell = `border:0;border-top:${LINE};padding:3px 12px 3px 0;text-align:left;vertical-align:top;` +
    "background:none;font:inherit";
  const rows = engineTerms(facts).map(([term, text]) =>
    `<tr><th scope="row" style="${cell};opacity:.65">${escapeHtml(term)}</th>` +
    `<td style="${cell};white-space:normal">${escapeHtml(text)}</td></tr>`
  );
  return `<figure style="margin:4px 0;font:13px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums;color:inherit">
<figcaption style="font-weight:600;margin-bottom:4px">DynamicAttention</figcaption>
<table style="border-collapse:collapse;margin:0;border-bottom:${LINE}"><tbody>
${rows.join("\n")}
</tbody></table></figure>`;
}
