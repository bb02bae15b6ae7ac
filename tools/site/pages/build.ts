// The documentation as pages of the site: the guide, the notebooks, the internals and the API reference, with a search.
//
// Invariant: the same sources give the same bytes, every link leads to a file of the site or to the web, and no page asks
// another host for anything.

import { escapeHtml } from "../../../src/display/escape.ts";
import { pageColorRules } from "../../../src/jupyter/figures/palette.ts";
import { bundle } from "../../bundle.ts";
import { type Chapter, type PageSource, readContents, sitePath } from "./contents.ts";
import { pageHtml, type Section, sectionsOf } from "./markdown.ts";
import { notebookPage } from "./notebook.ts";
import { buildReference } from "./reference.ts";

const ROOT = new URL("../../../", import.meta.url);
const REFERENCE = "api/";
/** Sources that notebooks and pages name beside pages, and that the site shows as they are. */
const ATTACHED = /\.(png|svg|json)$/;

type Files = Map<string, Uint8Array<ArrayBuffer>>;

/** What the search finds. */
interface SearchEntry {
  readonly id: number;
  readonly title: string;
  readonly page: string;
  readonly text: string;
  readonly path: string;
}

/** The files of the pages, by path. */
export async function buildPages(): Promise<Files> {
  const chapters = await readContents();
  const pages = chapters.flatMap((chapter) => chapter.pages);
  const paths = new Set(pages.map(({ source }) => source));
  const files: Files = new Map(), encoder = new TextEncoder();
  const sections: { readonly page: PageSource; readonly section: Section }[] = [];
  for (const page of pages) {
    const attached = new Set<string>();
    const linkOf = (target: string) => linkFrom(page, target, paths, attached);
    const html = await bodyOf(page, linkOf, files);
    files.set(page.path, encoder.encode(await frame(page, html, chapters)));
    for (const source of attached) files.set(sitePath(source), await Deno.readFile(new URL(source, ROOT)));
    for (const section of sectionsOf(html)) sections.push({ page, section });
  }
  const entries = entriesOf(sections);
  const reference = await buildReference();
  for (const [path, bytes] of reference.files) files.set(REFERENCE + path, bytes);
  for (const { name, kind, text, path } of reference.symbols) {
    entries.push({ id: entries.length, title: name, page: `API, ${kind}`, text, path: REFERENCE + path });
  }
  const program = await bundle(new URL("search_program.ts", import.meta.url), { format: "iife" });
  files.set("search.js", encoder.encode(program));
  files.set(
    "search_index.js",
    encoder.encode(`globalThis.attuneSearchEntries = ${JSON.stringify(entries)};\n`),
  );
  const sheet = await Deno.readTextFile(new URL("pages.css", import.meta.url));
  files.set("pages.css", encoder.encode(`${pageColorRules()}\n${sheet}`));
  return files;
}

/** The entries of the search for the pages. A heading that several pages have follows the title of its page. */
function entriesOf(
  sections: readonly { readonly page: PageSource; readonly section: Section }[],
): SearchEntry[] {
  const uses = Map.groupBy(sections, ({ section }) => section.heading);
  return sections.map(({ page, section: { anchor, heading, text } }, id) => {
    const isShared = uses.get(heading)!.length > 1 && heading !== page.title;
    const title = isShared ? `${page.title}: ${heading}` : heading;
    return { id, title, page: page.title, text, path: `${page.path}#${anchor}` };
  });
}

async function bodyOf(page: PageSource, linkOf: (target: string) => string, files: Files): Promise<string> {
  if (!page.source.endsWith(".ipynb")) return pageHtml(page.text, linkOf);
  const name = page.source.slice(page.source.lastIndexOf("/") + 1, -".ipynb".length);
  const { html, pictures } = await notebookPage(name, page.text, linkOf);
  for (const [path, bytes] of pictures) files.set(`notebooks/${path}`, bytes);
  return `<p class="note"><a href="${name}.ipynb" download>The notebook itself</a>, for Jupyter</p>\n${html}`;
}

/** Where a link of a page leads, seen from the page. What it leads to in the repository must be in the site. */
function linkFrom(
  page: PageSource,
  target: string,
  paths: ReadonlySet<string>,
  attached: Set<string>,
): string {
  if (/^([a-z]+:|#)/i.test(target)) return target;
  const [path, anchor] = target.split("#", 2);
  const source = new URL(path, `file:///${page.source}`).pathname.slice(1);
  if (!paths.has(source)) {
    if (!ATTACHED.test(source)) {
      throw new Error(`site: ${page.source} links to ${target}, which is no page of the site`);
    }
    attached.add(source);
  }
  return relative(page.path, sitePath(source)) + (anchor === undefined ? "" : `#${anchor}`);
}

function relative(from: string, to: string): string {
  return "../".repeat(from.split("/").length - 1) + to;
}

async function frame(page: PageSource, body: string, chapters: readonly Chapter[]): Promise<string> {
  const up = (to: string) => escapeHtml(relative(page.path, to));
  const navigation = chapters.map(({ title, pages }) => {
    const links = pages.map(({ path, title }) =>
      `<li><a href="${up(path)}"${path === page.path ? ' aria-current="page"' : ""}>${
        escapeHtml(title)
      }</a></li>`
    );
    const open = pages.some(({ path }) => path === page.path) || title === "Guide" ? " open" : "";
    return `<details${open}><summary>${title}</summary><ul>${links.join("")}</ul></details>`;
  });
  const parts: Readonly<Record<string, string>> = {
    title: `${escapeHtml(page.title)} · Attune`,
    style: up("pages.css"),
    playground: up("index.html"),
    guide: up("guide/index.html"),
    reference: up(`${REFERENCE}index.html`),
    benchmarks: up("benchmarks.html"),
    script: up("search.js"),
    navigation: navigation.join("\n"),
    body,
  };
  const shell = await Deno.readTextFile(new URL("page.html", import.meta.url));
  return shell.replace(/\{\{ ?(\w+) ?\}\}/g, (_, name) => parts[name]);
}
