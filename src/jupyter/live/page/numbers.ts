/**
 * Tables of what stale and exact answers are worth and cost, and computing all from scratch. Each number is there in full too,
 * as the value of a `data` element.
 */

import { element, readable } from "./dom.ts";
import type { Look } from "./model.ts";

/** A cell: a number, what finds it in the page, and how it is written where that is not as usual. */
export type Cell = readonly [number: number, name?: string, text?: string];

/** A row of three cells. */
export type Row = readonly [title: string, stale: Cell, exact: Cell, scratch: Cell];

/** A table of three columns, the last of which is called `scratch`. */
export function answersTable(scratch: string, rows: readonly Row[]): HTMLElement {
  const columns = [["stale", "stale, certified"], ["exact", "exact"], ["", scratch]];
  const head = columns.map(([kind, name]) => element("th", { scope: "col", class: kind }, name));
  const body = rows.map(([title, ...cells]) =>
    element("tr", {}, element("th", { scope: "row" }, title), ...cells.map(cellElement))
  );
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, element("td"), ...head)),
    element("tbody", {}, ...body),
  );
}

/** A row of numbers that are called `name-stale`, `name-exact` and `name-scratch`. */
export function rowOfThree(
  title: string,
  name: string,
  numbers: readonly [stale: number, exact: number, scratch: number],
  say: (number: number) => string = readable,
): Row {
  const cell = (at: 0 | 1 | 2, kind: string): Cell => [numbers[at], `${name}-${kind}`, say(numbers[at])];
  return [title, cell(0, "stale"), cell(1, "exact"), cell(2, "scratch")];
}

/** The table of a live figure. */
export function numbersTable({ bound, distance, pending, costs }: Look): HTMLElement {
  return answersTable("recomputed", [
    ["keys it does not know of", [pending, "pending"], [0], [0]],
    ["off by", [distance, "distance"], [0], [0]],
    ["proven to be off by at most", [bound, "bound"], [0], [0]],
    rowOfThree("products, last change", "last", costs.last),
    rowOfThree("products, all changes", "total", costs.total),
  ]);
}

function cellElement([number, name, text = readable(number)]: Cell): HTMLElement {
  return element("td", {}, element("data", { value: number, ...name && { "data-name": name } }, text));
}
