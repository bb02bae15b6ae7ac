/**
 * The table of what stale and exact answers are worth and cost. Each number is there in full too, as the value of a `data`
 * element.
 */

import { element, readable } from "./dom.ts";
import type { Look } from "./model.ts";

const COLUMNS = [["stale", "stale, certified"], ["exact", "exact"], ["", "recomputed"]] as const;

/** Makes the table. */
export function numbersTable({ bound, distance, pending, costs }: Look): HTMLElement {
  const rows:
    readonly (readonly [name: string, cells: readonly (readonly [id: string, number: number])[]])[] = [
      ["keys it does not know of", [["pending", pending], ["", 0], ["", 0]]],
      ["off by", [["distance", distance], ["", 0], ["", 0]]],
      ["proven to be off by at most", [["bound", bound], ["", 0], ["", 0]]],
      ["products, last change", names("last").map((name, at) => [name, costs.last[at]])],
      ["products, all changes", names("total").map((name, at) => [name, costs.total[at]])],
    ];
  const head = COLUMNS.map(([kind, name]) => element("th", { scope: "col", class: kind }, name));
  const body = rows.map(([name, cells]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      ...cells.map(([id, number]) =>
        element(
          "td",
          {},
          element("data", { value: number, ...(id ? { "data-name": id } : {}) }, readable(number)),
        )
      ),
    )
  );
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, element("th", {}, ""), ...head)),
    element("tbody", {}, ...body),
  );
}

function names(of: string): string[] {
  return [`${of}-stale`, `${of}-exact`, `${of}-scratch`];
}
