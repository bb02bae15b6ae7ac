// The page of a run: figures and tables, in one file that needs nothing else.

import { escapeHtml } from "../../src/display/escape.ts";
import { renderPage, renderTable } from "../../studies/figure_page.ts";
import type { BenchResults } from "../results.ts";
import { benchFigures } from "./figures.ts";
import { allTables } from "./tables.ts";

const TITLES: Record<string, string> = {
  "rebuild": "Computing everything once",
  "keep-current": "One edit, then all rows are read",
  "break-even": "Where it loses",
};

export function renderBenchPage(results: BenchResults, plotly: string): string {
  const { cpu, cores, system, deno } = results.machine;
  const figures = benchFigures(results);
  const boxes = Object.keys(figures).map((name) =>
    `<h2>${escapeHtml(TITLES[name])}</h2>\n<div class="figure" id="${name}"></div>`
  );
  const tables = allTables(results).map((table) =>
    `<h2>${escapeHtml(table.title)}</h2>\n<div class="scroll">${renderTable(table)}</div>`
  );
  const limits = results.limits.map(({ threads, gflops }) => `${gflops.toFixed(1)} (${threads})`).join(", ");
  return renderPage({
    title: "Attune: benchmark",
    body: `<header>
<p class="kicker">${escapeHtml(`${cpu}, ${cores} cores, ${system}, Deno ${deno}`)}</p>
<h1>What it costs to keep attention current</h1>
<p>The figures are of 128 queries and one thread, with quartiles; a peer recomputes after each edit. This machine does
at most ${escapeHtml(limits)} GFLOP/s of 128-bit multiply-adds (threads).</p>
</header>
<main>
${boxes.join("\n")}
${tables.join("\n")}
</main>`,
    figures,
    plotly,
  });
}
