/**
 * What the heatmaps of attention share: axes with labels, cells that have no weight, a menu of heads.
 */

import type { ColorScale } from "../display/color_scales.ts";
import { describe, InputError } from "../base/errors.ts";
import type { PlainObject, PlainValue } from "./figures/figure_data.ts";
import { axis, plotlyText } from "./figures/layout.ts";
import type { AttentionWeights } from "./attention_weights.ts";
import { isCount } from "../base/lists.ts";
import { isId, type RowId } from "../write/row_ids.ts";
import { checkNames } from "../base/names.ts";
import { checkEntries, checkLength, checkList, checkShape, checkTexts } from "./figure_input.ts";

/** Labels of rows and columns. */
export interface HeatmapLabels {
  /** Labels of the queries, in their order; "query" and the slot unless given. */
  readonly queryLabels?: readonly string[];
  /** Labels of the keys, in their order; the slots unless given. */
  readonly keyLabels?: readonly string[];
}

/** More cells than this no page draws well. */
const MOST_CELLS = 250_000;
/** With more marks than this, the marks would be all one sees. */
const MOST_MARKS = 2_000;
/** Characters of a label beside an axis. */
const LONGEST = 16;

const READ: readonly (keyof AttentionWeights)[] = ["queries", "keys", "heads", "weights", "logSumExp"];

/** Refuses what is not as {@link readAttention} returns it. */
export function checkAttention(
  operation: string,
  name: string,
  attention: unknown,
): asserts attention is AttentionWeights {
  if (typeof attention !== "object" || attention === null || !("weights" in attention)) {
    throw new InputError(operation, `${name} is ${describe(attention)}`, "what readAttention returns");
  }
  checkNames(operation, attention, READ, `${name} field`);
  const { queries, keys, heads, weights, logSumExp } = attention as Partial<Record<string, unknown>>;
  for (const [field, slots] of Object.entries({ queries, keys, heads })) {
    checkList(operation, `${name}.${field}`, slots);
    const [passes, what] = field === "heads" ? [isCount, "heads"] : [isId, "slots or ids"];
    checkEntries(operation, `${name}.${field}`, slots, passes, what);
  }
  const [queryCount, keyCount, headCount] = [queries, keys, heads].map((list) => (list as number[]).length);
  checkList(operation, `${name}.weights`, weights);
  checkLength(operation, `${name}.weights`, weights, headCount);
  Array.from(
    weights,
    (matrix, at) => checkShape(operation, `${name}.weights[${at}]`, matrix, queryCount, keyCount),
  );
  if (logSumExp !== null) checkShape(operation, `${name}.logSumExp`, logSumExp, queryCount, headCount);
}

/** Labels of rows and columns, checked; the figure is not too large. */
export function toLabels(
  operation: string,
  { queries, keys, weights }: AttentionWeights,
  { queryLabels, keyLabels }: HeatmapLabels,
): { readonly queryLabels: string[]; readonly keyLabels: string[] } {
  const cells = queries.length * keys.length * weights.length;
  if (cells > MOST_CELLS) {
    throw new InputError(
      operation,
      `there are ${cells} cells (${queries.length} queries × ${keys.length} keys × ${weights.length} heads)`,
      `at most ${MOST_CELLS}: name fewer to readAttention`,
    );
  }
  for (
    const [name, labels, length] of [
      ["queryLabels", queryLabels, queries.length],
      ["keyLabels", keyLabels, keys.length],
    ] as const
  ) {
    if (labels !== undefined) checkTexts(operation, name, labels, length);
  }
  return { queryLabels: labelsOf(queries, queryLabels), keyLabels: labelsOf(keys, keyLabels) };
}

/** Labels in the order of `slots`, as they came. */
function labelsOf(slots: readonly RowId[], labels: readonly string[] | undefined): string[] {
  return Array.from(slots, (slot, at) => labels ? String(labels[at]) : String(slot));
}

/** A label beside an axis, where there is little room; whoever hovers sees all of it. */
function shortened(label: string): string {
  const characters = [...label];
  return plotlyText(characters.length <= LONGEST ? label : `${characters.slice(0, LONGEST - 1).join("")}…`);
}

/**
 * An axis of cells 0, 1, 2, … with a label each: equal labels stay cells of their own, which categories would not.
 */
export function cellAxis(title: string, labels: readonly string[]): PlainObject {
  return {
    ...axis(title),
    tickvals: labels.map((_, at) => at),
    ticktext: labels.map(shortened),
    range: [-0.5, labels.length - 0.5],
    showgrid: false,
    ticks: "",
  };
}

/** The first row at the top. */
export function reversed(axis: PlainObject): PlainObject {
  const [from, to] = axis.range as readonly PlainValue[];
  return { ...axis, range: [to, from] };
}

/** Stops at equal distances. */
export function colorscale(scale: ColorScale): PlainValue {
  return scale.map((color, at) => [at / (scale.length - 1), color]);
}

/** A cross in each cell without a number, so that it is told from a small number without any colour. */
export function crosses(cells: readonly (readonly PlainValue[])[], trace: PlainObject): PlainObject[] {
  const empty = cells.flatMap((row, i) => row.flatMap((cell, j) => cell === null ? [[j, i]] : []));
  if (empty.length === 0 || empty.length > MOST_MARKS) return [];
  return [{
    ...trace,
    type: "scatter",
    mode: "markers",
    x: empty.map(([x]) => x),
    y: empty.map(([, y]) => y),
    marker: { symbol: "x-thin", size: 7, color: "$mark", line: { width: 1, color: "$mark" } },
    hoverinfo: "skip",
    showlegend: false,
  }];
}

/** Traces of each head, of which one is shown, and the menu that chooses it; none for a single head. */
export function withHeadMenu(
  heads: readonly number[],
  tracesOf: readonly (readonly PlainObject[])[],
): { readonly data: PlainObject[]; readonly updatemenus: PlainObject[] } {
  const data = tracesOf.flatMap((traces, at) => traces.map((trace) => ({ ...trace, visible: at === 0 })));
  if (heads.length < 2) return { data, updatemenus: [] };
  const buttons = heads.map((head, at) => ({
    method: "restyle",
    label: `head ${head}`,
    args: [{ visible: tracesOf.flatMap((traces, other) => traces.map(() => other === at)) }],
  }));
  const menu = {
    type: "dropdown",
    direction: "down",
    active: 0,
    buttons,
    x: 0,
    xanchor: "left",
    y: 1.02,
    yanchor: "bottom",
    pad: { t: 0, b: 4 },
    bgcolor: "$paper",
    bordercolor: "$grid",
    font: { size: 12, color: "$text" },
  };
  return { data, updatemenus: [menu] };
}

/** A height at which cells are neither crumbs nor tiles. */
export function heightOf(rows: number, around: number): number {
  return Math.round(Math.min(760, Math.max(180, rows * 22)) + around);
}
