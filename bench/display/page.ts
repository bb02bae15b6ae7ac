// The page of a run: figures and tables, in one file that needs nothing else.

import { escapeHtml } from "../../src/display/escape.ts";
import { renderScripts } from "../../studies/report.ts";
import style from "../../studies/report.css" with { type: "text" };
import type { BenchResults } from "../results.ts";
import { benchFigures } from "./figures.ts";
import { allTables, type Table } from "./tables.ts";

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
  const limits = results.limits.map(({ threads, gflops }) => `${gflops.toFixed(1)} (${threads})`).join(", ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Attune: benchmark</title>
<style>
${style}</style>
</head>
<body>
<header>
<p class="kicker">${escapeHtml(`${cpu}, ${cores} cores, ${system}, Deno ${deno}`)}</p>
<h1>What it costs to keep attention current</h1>
<p>The figures are of 128 queries and one thread, with quartiles; a peer recomputes after each edit. This machine does
at most ${escapeHtml(limits)} GFLOP/s of 128-bit multiply-adds (threads).</p>
</header>
<main>
${boxes.join("\n")}
${allTables(results).map(renderTable).join("\n")}
</main>
${renderScripts(figures, plotly)}
</body>
</html>
`;
}

function renderTable({ title, header, rows }: Table): string {
  const head = header.map((cell) => `<th scope="col">${escapeHtml(cell)}</th>`).join("");
  const body = rows.map(([first, ...cells]) =>
    `<tr><th scope="row">${escapeHtml(first)}</th>${
      cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")
    }</tr>`
  );
  return `<h2>${escapeHtml(title)}</h2>
<div class="scroll"><table>
<thead><tr>${head}</tr></thead>
<tbody>
${body.join("\n")}
</tbody>
</table></div>`;
}
