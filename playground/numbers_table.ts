/**
 * The numbers of a look, three ways side by side: stale answers with a certificate, exact ones, and computing all from
 * scratch at each edit.
 */

import { element, readable } from "../src/jupyter/live/page/dom.ts";
import type { Three } from "../src/jupyter/live/page/engine_pair.ts";
import { degrees, type Scene } from "./scene.ts";

const COLUMNS = [["stale", "stale, certified"], ["exact", "exact"], ["", "from scratch"]] as const;

/** Makes the table. */
export function numbersTable({ look, query }: Scene): HTMLElement {
  const { exact, stale, bounds, distances, pending, costs } = look;
  const rows: HTMLElement[] = [
    row("answer", [
      cell("stale", stale[query], degrees(stale[query], 3)),
      cell("exact", exact[query], degrees(exact[query], 3)),
      cell("", 0, "the same"),
    ]),
    row("off by, both heads", [cell("distance", distances[query]), cell("", 0), cell("", 0)]),
    row("proven to be off by at most", [
      cell("bound", bounds[query]),
      cell("", 0, "rounding"),
      cell("", 0, "rounding"),
    ]),
    row("changed keys it does not know", [cell("pending", pending), cell("", 0), cell("", 0)]),
    threeRow(
      `products, last ${costs.lastEdits === 1 ? "edit" : `${readable(costs.lastEdits)} edits`}`,
      "last",
      costs.last,
    ),
    threeRow(`products, all ${readable(costs.edits)} edits`, "total", costs.total),
    threeRow("… of those from scratch", "share", share(costs.total), (part) => `${readable(part * 100)} %`),
    threeRow(
      "milliseconds, edits and answer",
      "ms",
      costs.ms,
      (ms) => costs.edits === 0 ? "—" : milliseconds(ms),
    ),
  ];
  return element(
    "table",
    {},
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("td"),
        ...COLUMNS.map(([kind, name]) => element("th", { scope: "col", class: kind }, name)),
      ),
    ),
    element("tbody", {}, ...rows),
  );
}

function share([stale, exact, scratch]: Three): Three {
  return scratch === 0 ? [0, 0, 0] : [stale / scratch, exact / scratch, 1];
}

function threeRow(
  name: string,
  id: string,
  numbers: Three,
  say: (number: number) => string = readable,
): HTMLElement {
  const ids = [`${id}-stale`, `${id}-exact`, `${id}-scratch`];
  return row(name, numbers.map((number, at) => cell(ids[at], number, say(number))));
}

function row(name: string, cells: readonly HTMLElement[]): HTMLElement {
  return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
}

function cell(id: string, number: number, text: string = readable(number)): HTMLElement {
  return element(
    "td",
    {},
    element("data", { value: number, ...(id === "" ? {} : { "data-name": id }) }, text),
  );
}

/** Clocks of pages tick in tenths of a millisecond at best. */
function milliseconds(ms: number): string {
  return ms < 0.1 ? "< 0.1" : ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString("en");
}
