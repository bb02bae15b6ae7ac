// A page of `deno doc --html` as a page of the site: with links to the other pages and to all entry points, and with the names
// by which programs import what it describes.

import { escapeHtml } from "../../../src/display/escape.ts";

const PACKAGE = "@attune/attention";
/** The entry point without a name of its own, as `deno doc` calls it. */
const MAIN = "default";

/** The name by which programs import an entry point, "./learning" or "." in `deno.json`. */
const importName = (entry: string) => `${PACKAGE}${entry.slice(1)}`;

/**
 * The page at `path` below the reference's folder, which lies in the site's. `entries` are the names of `exports` in
 * `deno.json`. Links to sources are left out, since they are addresses of the machine that the page was written on. Names of
 * properties such as `image/png` have a hyphen in names of files, since hosts take %2F for a slash, and links to folders name
 * their page, so that they also work from a file.
 */
export function referencePage(text: string, path: string, entries: readonly string[]): string {
  const portable = text
    .replace(/<a\s+class="sourceButton"\s+href="file:[^"]*">[^]*?<\/a>/g, "")
    .replace(/%2F([\w.-]*\.html)/g, "-$1")
    .replace(/ href="(\.{1,2}(?:&#x2F;\.\.)*&#x2F;)"/g, ' href="$1index.html"');
  if (!path.endsWith(".html")) return portable;
  const folder = "../".repeat(path.split("/").length - 1);
  return portable
    .replace(
      /(import \{ (?:type )?[\w$]+ \} from &quot;)([\w.]+)(&quot;;)/g,
      (whole, before, name, after) => {
        const entry = name === "." ? "." : `./${name}`;
        return entries.includes(entry) ? `${before}${importName(entry)}${after}` : whole;
      },
    )
    .replace(`- ${MAIN} -`, `- ${PACKAGE} -`)
    .replaceAll(`class="contextLink">${MAIN}</a>`, `class="contextLink">${PACKAGE}</a>`)
    .replace("<head>", '<head>\n  <link rel="icon" href="data:,">')
    .replace('<div class="ddoc">', `${siteLinks(folder, entries)}\n<div class="ddoc">`);
}

/** Links to the site's other pages and to the entry points, from a page whose reference is at `folder`. */
function siteLinks(folder: string, entries: readonly string[]): string {
  const links = [
    [`${folder}../index.html`, "Playground"],
    [`${folder}../guide/index.html`, "Guide"],
    [`${folder}../benchmarks.html`, "Benchmarks"],
    ...entries.map((entry) => [
      `${folder}${entry === "." ? "" : `${entry.slice(2)}/`}index.html`,
      entry === "." ? importName(entry) : entry.slice(1),
    ]),
  ].map(([address, name]) => `<a href="${escapeHtml(address)}">${escapeHtml(name)}</a>`);
  return `<nav class="attune-site" aria-label="Site">${links.join(" ")}</nav>`;
}
