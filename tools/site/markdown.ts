// The part of Markdown that docs/applications.md is written in, as HTML: paragraphs, lists, smaller headings, tables, code,
// bold, emphasis and links. Anything
// else is refused, so that nothing is shown as it was not meant.

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

/** `linkOf` says where a link leads; null leaves its text alone. */
export function toHtml(markdown: string, linkOf: (target: string) => string | null): string {
  const blocks = markdown.split(/\n{2,}/).filter((block) => block.trim() !== "");
  return blocks.map((block) => {
    const heading = /^###+ (.+)$/.exec(block.trim());
    if (heading) return `<h4>${inline(heading[1], linkOf)}</h4>`;
    if (block.startsWith("- ")) {
      const items = block.slice(2).split(/\n- /).map((item) => `<li>${inline(item, linkOf)}</li>`);
      return `<ul>\n${items.join("\n")}\n</ul>`;
    }
    if (block.startsWith("|")) return tableOf(block, linkOf);
    if (/^(#|>|```|!\[|[*+] |\d+\. |<| {4})/.test(block)) {
      throw new Error(
        `markdown: a block begins with ${
          JSON.stringify(block.slice(0, 20))
        }, expected a paragraph, a list or a table`,
      );
    }
    return `<p>${inline(block, linkOf)}</p>`;
  }).join("\n");
}

function tableOf(block: string, linkOf: (target: string) => string | null): string {
  const lines = block.trim().split("\n").map((line) =>
    line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => inline(cell.trim(), linkOf))
  );
  const [head, rule, ...rows] = lines;
  if (!rule?.every((cell) => /^:?-+:?$/.test(cell)) || rows.some((row) => row.length !== head.length)) {
    throw new Error(
      `markdown: a table begins with ${
        JSON.stringify(block.slice(0, 40))
      }, expected a rule and rows of a length`,
    );
  }
  const header = head.map((cell) => `<th scope="col">${cell}</th>`).join("");
  const body = rows.map(([name, ...cells]) =>
    `<tr><th scope="row">${name}</th>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`
  );
  return `<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n<thead><tr>${header}</tr></thead>\n<tbody>\n${
    body.join("\n")
  }\n</tbody>\n</table></div>`;
}

function inline(text: string, linkOf: (target: string) => string | null): string {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*|\b_[^_]+_\b|\[[^\]]+\]\([^)]+\))/).map((part) => {
    const link = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part);
    if (link) {
      const target = linkOf(link[2]);
      return target === null
        ? escapeHtml(link[1])
        : `<a href="${escapeHtml(target)}">${escapeHtml(link[1])}</a>`;
    }
    if (/^`.+`$/s.test(part)) return `<code>${escapeHtml(part.slice(1, -1))}</code>`;
    if (/^\*\*.+\*\*$/s.test(part)) return `<strong>${escapeHtml(part.slice(2, -2))}</strong>`;
    if (/^(\*.+\*|_.+_)$/s.test(part)) return `<em>${escapeHtml(part.slice(1, -1))}</em>`;
    return escapeHtml(part);
  }).join("");
}
