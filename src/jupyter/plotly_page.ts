/**
 * HTML that draws figures in the page of a notebook: the library once, and each figure.
 *
 * Invariant: neither asks anything of a network unless the library is to come from one, and a figure whose library is
 * not in the page stays a picture that says what to run.
 */

import { toBase64 } from "../display/base64.ts";
import { embedJson, embedScript, escapeHtml } from "../display/escape.ts";
import { describe, InputError } from "../base/errors.ts";
import type { FigureData, PlainObject } from "./figures/figure_data.ts";
import { PAGE_PROGRAM } from "./figures/page_program.ts";
import { NO_MATH } from "./plain_text.ts";
import notebookPage from "./notebook_page.js" with { type: "text" };

/** Where it is fetched from by `"cdn"`; the bytes have to be those of the package that is embedded otherwise. */
export const CDN_ADDRESS = "https://cdn.plot.ly/plotly-cartesian-4.1.1.min.js";

/** The types of traces that the embedded plotly.js draws: those of its bundle "cartesian". */
const PAGE_TYPES =
  "scatter bar box contour heatmap histogram histogram2d histogram2dcontour image pie scatterternary violin"
    .split(" ");
/** How long a figure waits for the library before it says that there is none. */
const PATIENCE_MS = 3000;
const PAGE = "globalThis.attuneFigures ??= { figures: new Map() }";

let embedded: Promise<string> | null = null;

/** The library, compressed, and the program that draws with it. */
export function embeddedLibrary(): Promise<string> {
  embedded ??= compressedPlotly().then((packed) =>
    libraryHtml(`async () => {
  const bytes = Uint8Array.from(atob("${packed}"), (character) => character.charCodeAt(0));
  const text = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(text).text();
}`)
  );
  return embedded;
}

/** The program that draws, with the library from a network, whose bytes it checks. */
export async function remoteLibrary(): Promise<string> {
  const { PLOTLY_SOURCE } = await import("./figures/plotly_source.ts");
  const digest = await crypto.subtle.digest("SHA-384", new TextEncoder().encode(PLOTLY_SOURCE));
  const integrity = `sha384-${toBase64(new Uint8Array(digest))}`;
  return libraryHtml(`async () => {
  const answer = await fetch(${JSON.stringify(CDN_ADDRESS)}, { integrity: "${integrity}" });
  if (!answer.ok) throw new Error("cdn.plot.ly answers " + answer.status);
  return await answer.text();
}`);
}

/** What a figure's HTML is made of. */
export interface FigureBox {
  readonly id: string;
  readonly figure: FigureData;
  /** In CSS pixels. */
  readonly height: number;
  /** In words, for those who do not see it. */
  readonly description: string;
  /** A PNG in base64, or null where there is none. */
  readonly picture: string | null;
}

/** A box with the still picture, which becomes the figure as soon as the library is there. */
export function figureHtml({ id, figure, height, description, picture }: FigureBox): string {
  const image = picture === null
    ? ""
    : `<img alt="${escapeHtml(description)}" src="data:image/png;base64,${picture}" ` +
      'style="max-width:100%;max-height:100%;margin:0">';
  const note = picture === null
    ? "This figure needs plotly.js, which the page has not."
    : "This is a still picture.";
  return `<div data-attune-figure="${id}" class="${NO_MATH}" style="position:relative;width:100%;height:${height}px">${image}
<p data-attune-note hidden style="position:absolute;left:8px;bottom:0;margin:0;padding:2px 6px;background:#fff;color:#1d232a;font:13px system-ui,sans-serif">${note} Run <code>await embedPlotly()</code> in a cell of its own to make figures interactive.</p></div>
<script>(() => {
const page = ${PAGE};
page.figures.set("${id}", ${embedJson(figure)});
if (page.draw) return void page.draw();
setTimeout(() => {
  const notes = page.draw ? [] : document.querySelectorAll('[data-attune-figure="${id}"] [data-attune-note]');
  for (const note of notes) note.hidden = false;
}, ${PATIENCE_MS});
})();</script>`;
}

/** `readPlotly` is the program of an asynchronous function that gives the library's source. */
function libraryHtml(readPlotly: string): string {
  return `<script>(() => {
const page = ${PAGE};
if (page.draw) return;
const readPlotly = ${readPlotly};
${embedScript(PAGE_PROGRAM)}
${embedScript(notebookPage)}})();</script>`;
}

async function compressedPlotly(): Promise<string> {
  const { PLOTLY_SOURCE } = await import("./figures/plotly_source.ts");
  const stream = new Blob([PLOTLY_SOURCE]).stream().pipeThrough(new CompressionStream("gzip"));
  return toBase64(new Uint8Array(await new Response(stream).arrayBuffer()));
}

/** Refuses what the page would draw as something else: plotly.js takes a type that it does not have for a scatter. */
export function checkTypes(operation: string, traces: readonly PlainObject[]): void {
  traces.forEach(({ type = "scatter" }, at) => {
    if (typeof type === "string" && PAGE_TYPES.includes(type)) return;
    const types = PAGE_TYPES.join(", ");
    throw new InputError(
      operation,
      `data[${at}].type is ${describe(type)}`,
      `one of ${types}, or the renderer "json" for front ends that have all of plotly`,
    );
  });
}
