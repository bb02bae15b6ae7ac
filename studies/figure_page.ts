// Pages of figures and tables that need nothing else: the report of the experiment and that of the benchmark.

import { embedJson, embedScript, escapeHtml } from "../src/display/escape.ts";
import type { FigureData } from "../src/jupyter/figures/figure_data.ts";
import { PAGE_PROGRAM } from "../src/jupyter/figures/page_program.ts";
import { pageColorRules } from "../src/jupyter/figures/palette.ts";
import pageScript from "./report_page.js" with { type: "text" };
import style from "./report.css" with { type: "text" };

/** The parts of a page. */
export interface FigurePage {
  readonly title: string;
  /** HTML with an empty element for each figure, whose id is the figure's name. */
  readonly body: string;
  readonly figures: Readonly<Record<string, FigureData>>;
  /** The source of plotly.js. */
  readonly plotly: string;
}

/** The page in the colours that its reader wants. */
export function renderPage({ title, body, figures, plotly }: FigurePage): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>
${pageColorRules()}
${style}</style>
</head>
<body>
${body}
${renderScripts(figures, plotly)}
</body>
</html>
`;
}

/** The scripts that draw figures, each in the element whose id is its name. */
export function renderScripts(figures: FigurePage["figures"], plotly: string): string {
  return `<script type="application/json" id="figures">${embedJson(figures)}</script>
<script>
${embedScript(plotly)}
</script>
<script>
${embedScript(PAGE_PROGRAM)}
${embedScript(pageScript)}</script>`;
}

/** A table whose first column names its rows; those that are called `exact reads` are set apart. */
export function renderTable(
  { header, rows }: { readonly header: readonly string[]; readonly rows: readonly (readonly string[])[] },
): string {
  const head = header.map((cell) => `<th scope="col">${escapeHtml(cell)}</th>`).join("");
  const body = rows.map(([name, ...cells]) => {
    const numbers = cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("");
    const highlight = name === "exact reads" ? ' class="exact"' : "";
    return `<tr${highlight}><th scope="row">${escapeHtml(name)}</th>${numbers}</tr>`;
  });
  return `<table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${body.join("\n")}\n</tbody>\n</table>`;
}
