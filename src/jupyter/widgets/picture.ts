/**
 * A panel's pictures and words, safe to be put into a page.
 */

import { toBase64 } from "../../display/base64.ts";
import { NO_MATH, terminalText } from "../plain_text.ts";
import type { Panel } from "./panel.ts";

/** A picture as HTML. As the source of an image nothing in it can run. */
export function pictureHtml(svg: string): string {
  return `<img alt="" style="display:block;max-width:100%" src="data:image/svg+xml;base64,${
    toBase64(new TextEncoder().encode(svg))
  }">`;
}

/** What a terminal shows of a panel. */
export function plainText(panel: Panel): string {
  return [...panel.controls].map(([name, { kind, label }]) =>
    terminalText(`${kind} ${label}: ${panel.value(name)}`)
  ).join("\n");
}

/** A panel where nothing comes back from the front end: its values, and why they stay. */
export function stillHtml(panel: Panel): string {
  const rows = plainText(panel).split("\n").map((line) => `<div>${escapeHtml(line)}</div>`);
  const note = "This kernel does not hear its front end: in the kernel Deno (Attune) these can be moved.";
  return `<div class="${NO_MATH}">${rows.join("")}${
    panel.pictures.map(pictureHtml).join("")
  }<small>${note}</small></div>`;
}

/** A text that is shown and not run. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
