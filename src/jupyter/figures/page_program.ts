/**
 * The program with which pages draw figures: the palettes, `paint` and `drawFigure`, as text.
 */

import drawFigure from "./draw_figure.js" with { type: "text" };
import { paint } from "./paint.ts";
import { PALETTES } from "./palette.ts";

/** Declares `PALETTES`, `paint` and `drawFigure(Plotly, box, figure, isDark)`. */
export const PAGE_PROGRAM: string = [
  `const PALETTES = ${JSON.stringify(PALETTES)};`,
  `const paint = ${paint};`,
  drawFigure,
].join("\n");
