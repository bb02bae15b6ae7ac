// Pages of the documentation as HTML: headings with anchors, code in colours, links that lead to pages of the site.

import { escapeHtml } from "../../../src/display/escape.ts";
import { gfmHeadingId } from "../../packages/heading_ids.ts";
import { highlighter } from "../../packages/highlight.ts";
import { formulas } from "../../packages/katex.ts";
import { Marked } from "../../packages/marked.ts";

/** Answers where a link of a page leads in the site. */
export type LinkOf = (target: string) => string;

/** A page or a cell as HTML. */
export function pageHtml(markdown: string, linkOf: LinkOf): string {
  const marked = new Marked(
    gfmHeadingId(),
    formulas({ output: "mathml", throwOnError: true, nonStandard: true }),
    {
      renderer: {
        code({ text, lang = "" }) {
          const [language, title = ""] = lang.split(" ");
          // A block that is a file says so by its name; other words after the language are for tests.
          const name = title.includes(".") ? `<p class="file">${escapeHtml(title)}</p>\n` : "";
          return name + codeHtml(text, language);
        },
        link({ href, tokens }) {
          return `<a href="${escapeHtml(linkOf(href))}">${this.parser.parseInline(tokens)}</a>`;
        },
        image: ({ href, text }) =>
          `<img src="${escapeHtml(linkOf(href))}" alt="${escapeHtml(text)}" loading="lazy">`,
      },
      hooks: {
        postprocess: (html) =>
          html.replaceAll(
            "<table>",
            '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>',
          )
            .replaceAll("</table>", "</table></div>")
            // A corner without words heads nothing.
            .replace(/<th([^>]*)><\/th>/g, "<td$1></td>"),
      },
    },
  );
  return marked.parse(markdown, { async: false });
}

/**
 * A block of code, in colours where the language is known; long lines of it wrap. What has no such language, a drawing made of
 * characters or what a program prints, keeps its columns.
 */
export function codeHtml(text: string, language: string): string {
  const known = highlighter.getLanguage(language) !== undefined;
  const html = known ? highlighter.highlight(text, { language }).value : escapeHtml(text);
  return `<pre${known ? "" : ' class="columned"'} tabindex="0"><code>${html}</code></pre>\n`;
}

/** A heading and the words below it, for the search. */
export interface Section {
  readonly anchor: string;
  readonly heading: string;
  readonly text: string;
}

/** The sections of a page's HTML; the first has the anchor of the title. */
export function sectionsOf(html: string): Section[] {
  const parts = html.split(/<h[1-3] id="([^"]*)">([^]*?)<\/h[1-3]>/);
  const sections: Section[] = [];
  for (let at = 1; at + 2 < parts.length; at += 3) {
    sections.push({ anchor: parts[at], heading: plainText(parts[at + 1]), text: plainText(parts[at + 2]) });
  }
  return sections;
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  "#39": "'",
  "#x27": "'",
};

function plainText(html: string): string {
  return html.replace(/<[^>]*>/g, " ").replace(/&(amp|lt|gt|quot|#39|#x27);/g, (_, name) => ENTITIES[name])
    .replace(/\s+/g, " ").trim();
}
