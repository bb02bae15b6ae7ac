// Notebooks as pages: text, code, and what each cell shows. Figures are drawn anew in the colours of light and of dark pages;
// what needs a script or a kernel is shown by its picture.

import { stripVTControlCharacters } from "node:util";
import { escapeHtml } from "../../../src/display/escape.ts";
import { joined, parseNotebook, sourceOf } from "../../notebooks/document.ts";
import { figurePicture, figuresOf } from "../notebook_figures.ts";
import { codeHtml, type LinkOf, pageHtml } from "./markdown.ts";

/** A notebook's page, and the pictures that it names. */
export interface NotebookPage {
  readonly html: string;
  /** By their paths beside the page. */
  readonly pictures: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** The page of a notebook of that name. */
export async function notebookPage(name: string, text: string, linkOf: LinkOf): Promise<NotebookPage> {
  const notebook = parseNotebook(text);
  const figures = figuresOf(notebook);
  const pictures = new Map<string, Uint8Array<ArrayBuffer>>();
  const parts: string[] = [];
  let count = 0;
  for (const cell of notebook.cells) {
    const source = sourceOf(cell);
    if (cell.cell_type === "markdown") parts.push(pageHtml(source, linkOf));
    if (cell.cell_type !== "code") continue;
    parts.push(codeHtml(source, "typescript"));
    for (const output of cell.outputs ?? []) {
      const data = output.data as Readonly<Record<string, unknown>> | undefined;
      if (data !== undefined && "application/vnd.plotly.v1+json" in data) {
        const path = `${name}-${count}`, figure = figures[count++];
        for (const theme of ["light", "dark"] as const) {
          const svg = await figurePicture(figure, theme, "wide");
          pictures.set(`${path}-${theme}.svg`, new TextEncoder().encode(svg));
        }
        parts.push(figureHtml(path, figure.title, figure.description));
      } else if (data !== undefined && "text/markdown" in data) {
        parts.push(`<div class="output">${pageHtml(joined(data["text/markdown"]), linkOf)}</div>`);
      } else parts.push(outputHtml(data, joined(output.text)));
    }
  }
  return { html: parts.join("\n"), pictures };
}

function figureHtml(path: string, title: string, description: string): string {
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><picture>` +
    `<source media="(prefers-color-scheme: dark)" srcset="${path}-dark.svg">` +
    `<img src="${path}-light.svg" alt="${escapeHtml(description)}" loading="lazy"></picture></figure>`;
}

/** What a cell shows that is no figure: HTML without scripts, else a picture, else text. */
function outputHtml(data: Readonly<Record<string, unknown>> | undefined, printed: string): string {
  const html = joined(data?.["text/html"]), text = joined(data?.["text/plain"]);
  if (html !== "" && !/<script|<iframe/i.test(html)) {
    return `<div class="output scroll" tabindex="0">${html}</div>`;
  }
  if (data !== undefined && "image/png" in data) {
    const picture = joined(data["image/png"]).replace(/\s/g, "");
    return `<div class="output"><img src="data:image/png;base64,${picture}" alt="${
      escapeHtml(text)
    }" loading="lazy"></div>`;
  }
  const shown = text || printed;
  return shown === ""
    ? ""
    : `<pre class="output" tabindex="0">${escapeHtml(stripVTControlCharacters(shown))}</pre>`;
}
