// The applications: for each section of docs/applications.md a sentence, figures of its notebook and its
// numbers.
//
// Invariant: nothing is drawn or written here that the committed notebooks and that page do not hold; a
// figure that a notebook no longer has is an error.

import { escapeHtml } from "../../src/display/escape.ts";
import type { Theme } from "../../src/jupyter/figures/palette.ts";
import { parseNotebook } from "../notebooks/document.ts";
import { sectionsOf, toHtml } from "./markdown.ts";
import { figurePicture, figuresOf, type NotebookFigure } from "./notebook_figures.ts";

const ROOT = new URL("../../", import.meta.url);

/** The texts about a notebook, and its figures that are shown. */
interface Exhibit {
  readonly sentence: string;
  readonly data: string;
  /** How titles begin. */
  readonly figures: readonly string[];
}

/** A notebook that is not here shows its first figures, without a sentence. */
const EXHIBITS: Readonly<Record<string, Exhibit>> = {
  "03_online_learning": {
    sentence:
      "A forecast board looks at days like the one asked for, and learns from each day how much of its own errors to count.",
    data: "Daily births in the USA, 1969 to 1988.",
    figures: ["Mean absolute error one day ahead", "Time of a day's board"],
  },
  "04_adaptive_language": {
    sentence:
      "Standing questions follow ten topics over four decades of speeches, and a reader corrects what one of them looks at.",
    data: "Forty-one State of the Union speeches, 1981 to 2021; GloVe word vectors.",
    figures: ["Attention to each year", "The marked sentences"],
  },
  "05_dynamic_vision": {
    sentence: "A handwritten digit moves through a frame, and only the patches that changed are read again.",
    data: "MNIST digits over made-up clutter.",
    figures: ["A digit that moves"],
  },
  "06_recommendation": {
    sentence:
      "Users are standing queries and films are keys: a recommender learns from every rating, and forgets a user to the bit.",
    data: "A hundred thousand ratings of MovieLens' small sample, of which only means are shown.",
    figures: ["How far off each model is", "What users differ in"],
  },
  "07_scaling": {
    sentence: "What grows with the number of keys, and from how many edits on other libraries are faster.",
    data: "A kept run of the benchmark, on one machine.",
    figures: ["Milliseconds of one answer", "Above the line the engine"],
  },
};
const FIRST_FIGURES = 2;

/** Where a notebook is: in a folder elsewhere, or as a page of this site, where no address is given. */
function notebookAddress(name: string, elsewhere: string | undefined): string {
  return elsewhere === undefined ? `notebooks/${name}.html` : `${elsewhere}${name}.ipynb`;
}

/** All of the gallery as HTML. `notebooks` is the address of a folder elsewhere in which they are. */
export async function gallery(notebooks?: string): Promise<string> {
  const sections = sectionsOf(await Deno.readTextFile(new URL("docs/applications.md", ROOT)));
  const articles = await Promise.all(sections.map(async ({ title, text }) => {
    const name = /notebooks\/([\w-]+)\.ipynb/.exec(text)?.[1];
    if (!name) {
      throw new Error(`site: the section "${title}" of docs/applications.md names no notebook, expected one`);
    }
    const found = figuresOf(parseNotebook(await Deno.readTextFile(new URL(`notebooks/${name}.ipynb`, ROOT))));
    const exhibit = EXHIBITS[name];
    const chosen = exhibit
      ? exhibit.figures.map((start) => named(found, name, start))
      : found.slice(0, FIRST_FIGURES);
    const pictures = await Promise.all(chosen.map(pictureHtml));
    const linkOf = (target: string) =>
      /notebooks\/[\w-]+\.ipynb$/.test(target)
        ? notebookAddress(target.split("/").at(-1)!.replace(/\.ipynb$/, ""), notebooks)
        : null;
    return `<article>
<h3>${escapeHtml(title)}</h3>
<p>${escapeHtml(exhibit?.sentence ?? "")} <a href="${
      escapeHtml(notebookAddress(name, notebooks))
    }">The notebook</a></p>
<div class="pictures">
${pictures.join("\n")}
</div>
${exhibit ? `<p class="note">Data: ${escapeHtml(exhibit.data)}</p>` : ""}
<details>
<summary>All numbers, the losses too</summary>
${toHtml(text, linkOf)}
</details>
</article>`;
  }));
  return articles.join("\n");
}

/** The notebooks that are no applications. */
export function moreNotebooks(notebooks?: string): string {
  const link = (name: string, text: string) =>
    `<a href="${escapeHtml(notebookAddress(name, notebooks))}">${text}</a>`;
  return `<p>More: ${link("01_quickstart", "a first look")}, ${
    link("02_cost_and_error", "what a board of forecasts costs, exact and stale")
  }, ${link("09_live_board", "a live board of 2,000 readers")} and ${
    link("08_ways_compared", "every way of keeping current, compared")
  }.</p>`;
}

function named(figures: readonly NotebookFigure[], notebook: string, start: string): NotebookFigure {
  const found = figures.find(({ title }) => title.startsWith(start));
  if (!found) {
    throw new Error(`site: ${notebook} has no figure whose title begins with "${start}", expected one`);
  }
  return found;
}

async function pictureHtml(figure: NotebookFigure): Promise<string> {
  const source = async (theme: Theme, room: "wide" | "narrow") =>
    address(await figurePicture(figure, theme, room));
  const dark = "(prefers-color-scheme: dark)", narrow = "(max-width: 40rem)";
  return `<figure><figcaption>${escapeHtml(figure.title)}</figcaption><picture>
<source media="${narrow} and ${dark}" srcset="${await source("dark", "narrow")}">
<source media="${narrow}" srcset="${await source("light", "narrow")}">
<source media="${dark}" srcset="${await source("dark", "wide")}">
<img src="${await source("light", "wide")}" alt="${escapeHtml(figure.description)}" decoding="async">
</picture></figure>`;
}

function address(svg: string): string {
  return `data:image/svg+xml;base64,${new TextEncoder().encode(svg).toBase64()}`;
}
