// docs/applications.md as HTML. `marked` reads it; here stands how each kind of block is written, for the style of the page.
//
// Invariant: texts stay texts, and a kind of block for which the page has no style is refused, so that nothing is shown as it
// was not meant.

import { Marked, type Tokens } from "marked";
import { escapeHtml } from "../../src/display/escape.ts";

/** A second-level heading, and what is below it. */
export interface Section {
  readonly title: string;
  readonly text: string;
}

/** The sections of a page; what is above the first is not among them. */
export function sectionsOf(markdown: string): Section[] {
  return markdown.split(/^## /m).slice(1).map((text) => {
    const end = text.indexOf("\n");
    return { title: text.slice(0, end).trim(), text: text.slice(end).trim() };
  });
}

/** The blocks and the parts of lines that the page has a style for. */
const KNOWN = new Set([
  ...["paragraph", "heading", "list", "list_item", "table", "space"],
  ...["text", "strong", "em", "codespan", "link", "escape", "html"],
]);

/**
 * The blocks of a section as HTML. `linkOf` says where a link leads; null leaves its text alone.
 *
 * @throws {Error} When there is a block that the page has no style for.
 */
export function toHtml(markdown: string, linkOf: (target: string) => string | null): string {
  const marked = new Marked({
    walkTokens: (token) => {
      if (!isKnown(token as Tokens.Generic)) {
        throw new Error(
          `markdown: a block begins with ${JSON.stringify(token.raw.slice(0, 20))}, ` +
            "expected a paragraph, a list, a smaller heading or a table",
        );
      }
    },
    renderer: {
      heading({ tokens }) {
        return `<h4>${this.parser.parseInline(tokens)}</h4>\n`;
      },
      table({ header, rows }) {
        const head = header.map((cell) => `<th scope="col">${this.parser.parseInline(cell.tokens)}</th>`);
        const body = rows.map((row) => {
          const [name, ...cells] = row.map((cell) => this.parser.parseInline(cell.tokens));
          return `<tr><th scope="row">${name}</th>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
        });
        return `<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n` +
          `<thead><tr>${head.join("")}</tr></thead>\n<tbody>\n${body.join("\n")}\n</tbody>\n</table></div>\n`;
      },
      link({ href, tokens }) {
        const target = linkOf(href), text = this.parser.parseInline(tokens);
        return target === null ? text : `<a href="${escapeHtml(target)}">${text}</a>`;
      },
      // A tag inside a line is text here.
      html: ({ text }) => escapeHtml(text),
    },
  });
  return marked.parse(markdown, { async: false }).trim();
}

function isKnown(token: Tokens.Generic): boolean {
  if (!KNOWN.has(token.type)) return false;
  if (token.type === "heading") return token.depth >= 3;
  if (token.type === "list") return !token.ordered;
  if (token.type === "html") return token.block !== true;
  // A table without its rule.
  return token.type !== "paragraph" || !token.raw.startsWith("|");
}
