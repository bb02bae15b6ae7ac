/**
 * Tables of texts and numbers, as results are shown: HTML in a notebook, aligned columns on a terminal.
 */

import { describe, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import { escapeHtml } from "../display/escape.ts";
import { formatCount, formatNumber } from "../display/format.ts";
import { DISPLAY, INSPECT, type MimeBundle } from "../display/mime_bundle.ts";
import { NO_MATH, terminalText } from "./plain_text.ts";
import type { Displayable } from "./show.ts";

/** The content of a cell; null for none. */
export type TableCell = string | number | null;

/** The options of {@link table}. */
export interface TableOptions {
  /** A sentence above the table; none unless given. */
  readonly caption?: string;
}

const LINE = "1px solid rgba(128,128,128,.35)";
/** Front ends stripe tables of their own accord. */
const CELL =
  `border:0;border-bottom:${LINE};padding:3px 12px 3px 0;background:none;font:inherit;color:inherit`;

/**
 * A table that shows itself, as the last value of a cell or by `show`. Columns whose cells are numbers, or texts that
 * begin with one, are aligned to the right. Whole numbers are shown in full and other numbers to four digits; give a
 * text for another form. Text inherits its colour, so that it fits light and dark pages. O(cells).
 *
 * @param columns The heads of the columns.
 * @param rows One list per row, with a cell per column.
 * @param options A caption.
 * @throws {InputError} When a row has more or fewer cells than there are columns, or a cell is of another type.
 *
 * @example
 * ```ts
 * import { table } from "@attune/attention/jupyter";
 * import { assertEquals } from "@std/assert";
 *
 * const shown = table(["way", "ms"], [["kept current", 0.049], ["computed again", 3.2]]);
 * assertEquals(
 *   Deno.inspect(shown),
 *   "way                ms\nkept current    0.049\ncomputed again    3.2",
 * );
 * ```
 */
export function table(
  columns: readonly string[],
  rows: readonly (readonly TableCell[])[],
  options: TableOptions = {},
): Displayable {
  const operation = "table";
  const heads = reading(operation, () => checkedRow(operation, "columns", columns));
  const cells = reading(operation, () => checkedRows(operation, rows, heads.length));
  const { caption = "" } = takeOptions(operation, options, ["caption"]);
  if (typeof caption !== "string") {
    throw new InputError(operation, `caption is ${describe(caption)}`, "a text");
  }
  const content: TableContent = {
    caption,
    heads,
    cells,
    isNumeric: heads.map((_, at) => cells.length > 0 && cells.every((row) => isNumeric(row[at]))),
  };
  return {
    [DISPLAY]: () => Promise.resolve(bundle(content)),
    [INSPECT]: () => textOf(content),
  };
}

interface TableContent {
  readonly caption: string;
  readonly heads: readonly string[];
  readonly cells: readonly (readonly string[])[];
  /** One per column. */
  readonly isNumeric: readonly boolean[];
}

function isNumeric(text: string): boolean {
  return text === "" || /^[−+-]?\d/.test(text);
}

function checkedRows(operation: string, rows: readonly (readonly TableCell[])[], count: number): string[][] {
  if (!Array.isArray(rows)) throw new InputError(operation, `rows is ${describe(rows)}`, "a list of rows");
  // A loop is used, since `map` skips holes.
  return Array.from(rows, (row: readonly TableCell[], at) => {
    const cells = checkedRow(operation, `rows[${at}]`, row);
    if (cells.length === count) return cells;
    throw new InputError(
      operation,
      `rows[${at}] has ${cells.length} cells`,
      `${count}, one per column`,
    );
  });
}

function checkedRow(operation: string, name: string, row: readonly TableCell[]): string[] {
  if (!Array.isArray(row)) throw new InputError(operation, `${name} is ${describe(row)}`, "a list");
  return Array.from(row, (cell: TableCell, at) => {
    if (cell === null) return "";
    if (typeof cell === "string") return cell;
    if (typeof cell === "number") return numberText(cell);
    throw new InputError(operation, `${name}[${at}] is ${describe(cell)}`, "a text, a number or null");
  });
}

function numberText(number: number): string {
  return Number.isSafeInteger(number) ? formatCount(number).replace("-", "−") : formatNumber(number);
}

function bundle(content: TableContent): MimeBundle {
  return { "text/plain": textOf(content), "text/html": htmlOf(content) };
}

function htmlOf({ caption, heads, cells, isNumeric }: TableContent): string {
  const style = (at: number, more = "") => `${CELL};text-align:${isNumeric[at] ? "right" : "left"}${more}`;
  const head = heads.map((text, at) =>
    `<th scope="col" style="${style(at, ";font-weight:600")}">${escapeHtml(text)}</th>`
  );
  const body = cells.map((row) =>
    `<tr style="background:none">${
      row.map((text, at) => `<td style="${style(at)}">${escapeHtml(text)}</td>`).join("")
    }</tr>`
  );
  const above = caption === ""
    ? ""
    : `<caption style="caption-side:top;text-align:left;color:inherit;padding:0 0 4px">${
      escapeHtml(caption)
    }</caption>`;
  return `<div class="${NO_MATH}" style="overflow-x:auto"><table style="border-collapse:collapse;margin:4px 0;font:14px/1.45 system-ui,sans-serif;font-variant-numeric:tabular-nums;color:inherit">
${above}<thead><tr style="background:none">${head.join("")}</tr></thead>
<tbody>
${body.join("\n")}
</tbody></table></div>`;
}

function textOf(content: TableContent): string {
  const { caption, isNumeric } = content;
  const heads = content.heads.map(terminalText), cells = content.cells.map((row) => row.map(terminalText));
  const widths = heads.map((head, at) => Math.max(head.length, ...cells.map((row) => row[at].length)));
  const lines = [heads, ...cells].map((row) =>
    row.map((text, at) => isNumeric[at] ? text.padStart(widths[at]) : text.padEnd(widths[at])).join("  ")
      .trimEnd()
  );
  return [...(caption === "" ? [] : [terminalText(caption)]), ...lines].join("\n");
}
