/**
 * What all figures have in common.
 */

import type { PlainObject } from "./figure_data.ts";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
const LEGEND_ABOVE = { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" };

/** What their layouts have in common. */
export function base(): PlainObject {
  return {
    font: { family: FONT, size: 13, color: "$text" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 70, r: 24, t: 16, b: 56 },
    legend: LEGEND_ABOVE,
    hoverlabel: { font: { family: FONT, color: "$text" }, bgcolor: "$paper", bordercolor: "$grid" },
  };
}

/** What their axes have in common. */
export function axis(title: string): PlainObject {
  return {
    title: { text: title, standoff: 8 },
    gridcolor: "$grid",
    linecolor: "$grid",
    zeroline: false,
    automargin: true,
  };
}

/** The range of a logarithmic axis around values above 0, with some of a decade more on either side. */
export function paddedRange(values: readonly number[], below = 0.33, above = 0.33): number[] {
  return [Math.log10(Math.min(...values)) - below, Math.log10(Math.max(...values)) + above];
}

/**
 * Text that plotly.js shows as it is: it reads `<b>`, `&lt;` and, where MathJax is about, `$x$` as more than text.
 */
export function plotlyText(text: string): string {
  return text.replace(/[&<>$]/g, (character) => `&#${character.charCodeAt(0)};`);
}
