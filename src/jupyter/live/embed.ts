/**
 * The figure as HTML: a host with the data and a picture, and a script that brings it to life.
 *
 * Each output carries the program itself, so that it lives also when the cell above it is deleted, is exported alone, or is
 * shown in a frame of its own; a page that has several starts the program once.
 */

import { toBase64 } from "../../display/base64.ts";
import { escapeHtml } from "../../display/escape.ts";
import type { FigureData } from "./figure_data.ts";
import { NO_MATH } from "../plain_text.ts";

/** What an output is made of. */
export interface EmbedParts {
  readonly data: FigureData;
  /** A PNG, shown until the figure lives, or instead of it. */
  readonly picture: Uint8Array;
  /** How wide and high the picture is shown. */
  readonly size: readonly [width: number, height: number];
  /** Says what is seen to those who see neither. */
  readonly text: string;
  /** The program: a script, compressed by gzip, in base64. */
  readonly program: string;
  /** Tells programs of different versions apart in one page. */
  readonly version: string;
}

/** The output of a cell. */
export function embedFigure(
  { data, picture, size: [width, height], text, program, version }: EmbedParts,
): string {
  const source = `data:image/png;base64,${toBase64(picture)}`;
  return `<div data-attune-live="waiting" data-attune-program="${version}" class="attune-live ${NO_MATH}"` +
    ` data-figure="${escapeHtml(JSON.stringify(data))}">` +
    `<p><strong>${escapeHtml(data.title)}</strong></p>` +
    `<img src="${source}" width="${width}" height="${height}" alt="${escapeHtml(text)}"` +
    ` style="image-rendering:pixelated;max-width:100%">` +
    `<p>A row a query, a column a key. Where scripts run this figure has sliders.</p></div>\n` +
    `<script>${starter(program, version)}</script>`;
}

/** A page of its own around an output. */
export function embedPage(title: string, output: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>:root { color-scheme: light dark } body { margin: 16px; font-family: system-ui, sans-serif }</style>
</head>
<body>
${output}
</body>
</html>
`;
}

/**
 * Unpacks the program, once a page, and starts the hosts that wait for it, in shadow trees too. A front end may run the
 * script before its output is in the page, so it looks again for a while. The program runs as a script element, for which the page has given
 * leave when this one runs.
 */
function starter(program: string, version: string): string {
  return `(() => {
const name = "attuneLive_${version}";
const load = () => globalThis[name] ??= (async () => {
const bytes = Uint8Array.from(atob("${program}"), (letter) => letter.charCodeAt(0));
const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const script = document.createElement("script");
script.textContent = await new Response(unpacked).text();
document.head.append(script);
script.remove();
const start = globalThis.attuneLiveStart;
delete globalThis.attuneLiveStart;
return start;
})();
const find = (root) => {
const hosts = [...root.querySelectorAll('[data-attune-live="waiting"][data-attune-program="${version}"]')];
const trees = hosts.length > 0 ? [] : [...root.querySelectorAll("*")].filter((one) => one.shadowRoot);
return hosts.concat(...trees.map((one) => find(one.shadowRoot)));
};
let looks = 0;
const look = async () => {
const hosts = find(document);
if (hosts.length === 0 && looks++ < 50) setTimeout(look, 100);
for (const host of hosts) host.dataset.attuneLive = "starting";
for (const host of hosts) (await load())(host);
};
look();
})();`;
}
