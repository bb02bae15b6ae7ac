/**
 * What an edit did to attention: before, after, and the difference.
 */

import type { RowId } from "../write/row_ids.ts";
import { DIVERGING, SEQUENTIAL } from "../display/color_scales.ts";
import { countOf, formatNumber } from "../display/format.ts";
import { describe, InputError } from "../base/errors.ts";
import type { PlainObject } from "./figures/figure_data.ts";
import { base, plotlyText } from "./figures/layout.ts";
import { reading } from "../base/lists.ts";
import type { AttentionWeights } from "./attention_weights.ts";
import { Figure, type FigureOptions, takeFigureOptions, titled } from "./figure.ts";
import { plainNumber } from "./figure_input.ts";
import {
  cellAxis,
  checkAttention,
  colorscale,
  crosses,
  type HeatmapLabels,
  heightOf,
  reversed,
  toLabels,
  withHeadMenu,
} from "./heatmap_parts.ts";

/** What {@link attentionChange} may be told; key labels are of all keys, the slots of before and after in order. */
export interface AttentionChangeOptions extends FigureOptions, HeatmapLabels {}

const DOMAINS = [[0, 0.265], [0.305, 0.57], [0.72, 0.985]] as const;

/**
 * Weights before and after an edit on one scale, and their difference on one of its own, in which blue has become less
 * and orange more. Keys that were inserted or deleted in between have no weight on one of the sides.
 *
 * @param before What {@link readAttention} read before the edit.
 * @param after The same queries and heads, read after it.
 * @param options Labels, and how it is shown.
 * @throws {InputError} When queries or heads differ, labels are missing or too many, or there are too many cells.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { attentionChange, readAttention } from "@attune/attention/jupyter";
 * import { assertStringIncludes } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({ query: [[1]], key: [[0], [0]], value: [[1], [2]] });
 * const before = await readAttention(live);
 * live.setKey(1, [Math.log(3)]);
 * const change = attentionChange(before, await readAttention(live));
 * assertStringIncludes(Deno.inspect(change), "changed by at most 0.25");
 * ```
 */
export function attentionChange(
  before: AttentionWeights,
  after: AttentionWeights,
  options: AttentionChangeOptions = {},
): Figure {
  const operation = "attentionChange";
  const given = takeFigureOptions(operation, options, ["queryLabels", "keyLabels"]);
  return reading(operation, () => {
    checkAttention(operation, "before", before);
    checkAttention(operation, "after", after);
    checkSame(operation, "queries", before.queries, after.queries);
    checkSame(operation, "heads", before.heads, after.heads);
    const keys = inOrder([...new Set([...before.keys, ...after.keys])]);
    const labels = toLabels(operation, { ...before, keys }, given);
    const compared = compare(before, after, keys, labels);
    const description = `attention of ${countOf(before.queries.length, "query", "queries")} over ${
      countOf(keys.length, "key")
    } before and after an edit; weights changed by at most ${formatNumber(compared.largestChange)}`;
    return new Figure(operation, drawCompared(compared, before.heads, given), description, {
      height: heightOf(before.queries.length, 150),
      ...given,
    });
  });
}

function drawCompared(
  compared: Compared,
  heads: AttentionWeights["heads"],
  given: AttentionChangeOptions,
): { data: PlainObject[]; layout: PlainObject } {
  const { data, updatemenus } = withHeadMenu(heads, heads.map((_, head) => tracesOf(compared, head)));
  const layout: PlainObject = {
    ...base(),
    ...titled(given),
    margin: { l: 70, r: 24, t: (given.title === undefined ? 30 : 66) + (heads.length > 1 ? 30 : 0), b: 56 },
    plot_bgcolor: "$masked",
    ...Object.assign({}, ...DOMAINS.map((_, at) => axesOf(compared, at))),
    annotations: ["before", "after", "difference"].map(titleOf),
    hovermode: "closest",
    updatemenus: updatemenus.map((menu) => ({ ...menu, y: 1.1 })),
  };
  return { data, layout };
}

/** Weights by head, query and key; null where there is none. */
type Cells = readonly (readonly (readonly (number | null)[])[])[];

/** Two sides of an edit and their difference. */
interface Compared {
  readonly queryLabels: readonly string[];
  readonly keyLabels: readonly string[];
  /** Before and after. */
  readonly sides: readonly Cells[];
  readonly differences: readonly (readonly (readonly number[])[])[];
  readonly largestWeight: number;
  readonly largestChange: number;
}

function compare(
  before: AttentionWeights,
  after: AttentionWeights,
  keys: readonly RowId[],
  labels: Pick<Compared, "queryLabels" | "keyLabels">,
): Compared {
  const sides = [before, after].map((side) => side.heads.map((_, head) => cellsOf(side, head, keys)));
  const differences = sides[0].map((cells, head) =>
    cells.map((row, i) => row.map((was, j) => (sides[1][head][i][j] ?? 0) - (was ?? 0)))
  );
  return {
    ...labels,
    sides,
    differences,
    largestWeight: Math.max(...sides.flat(3).map((weight) => weight ?? 0)) || 1,
    largestChange: Math.max(...differences.flat(2).map(Math.abs)),
  };
}

/** The heatmaps of one head: before, after, the difference. */
function tracesOf(compared: Compared, head: number): PlainObject[] {
  const { sides, differences } = compared, difference = differences[head];
  const largest = compared.largestChange || 1;
  const weights = sides.flatMap((cells, at) => {
    const side = cells[head];
    return [{
      ...heatmapAt(compared, at, (i, j) => {
        return side[i][j] === null ? "no weight" : `weight ${formatNumber(side[i][j] ?? 0)}`;
      }, side.map((row) => row.map((weight) => weight && plainNumber(weight)))),
      zmin: 0,
      zmax: compared.largestWeight,
      colorscale: colorscale(SEQUENTIAL),
      showscale: at === 1,
      colorbar: colorbarAt(DOMAINS[1][1] + 0.01, "weight"),
    }, ...crosses(side, placeOf(at))];
  });
  return [...weights, {
    ...heatmapAt(compared, 2, (i, j) => {
      return `difference ${formatNumber(difference[i][j])}`;
    }, difference.map((row) => row.map(plainNumber))),
    zmin: -largest,
    zmax: largest,
    colorscale: colorscale(DIVERGING),
    colorbar: colorbarAt(0.995, "change"),
  }];
}

/** A heatmap in one of the three places, whose cells say on hovering which they are and what `textOf` says. */
function heatmapAt(
  { queryLabels, keyLabels }: Compared,
  at: number,
  textOf: (query: number, key: number) => string,
  z: readonly (readonly (number | null)[])[],
): PlainObject {
  const text = queryLabels.map((query, i) =>
    keyLabels.map((key, j) => `${plotlyText(`query ${query}, key ${key}`)}<br>${textOf(i, j)}`)
  );
  return {
    type: "heatmap",
    hovertemplate: "%{text}<extra></extra>",
    hoverongaps: true,
    ...placeOf(at),
    z,
    text,
  };
}

function colorbarAt(x: number, text: string): PlainObject {
  return { title: { text }, thickness: 12, outlinewidth: 0, x, xpad: 2 };
}

function placeOf(at: number): PlainObject {
  return { xaxis: axisName("x", at), yaxis: axisName("y", at) };
}

/** The axes of one of the three places; only the first names the queries. */
function axesOf({ queryLabels, keyLabels }: Compared, at: number): PlainObject {
  return {
    [`xaxis${at === 0 ? "" : at + 1}`]: {
      ...cellAxis("key", keyLabels),
      domain: DOMAINS[at],
      anchor: axisName("y", at),
    },
    [`yaxis${at === 0 ? "" : at + 1}`]: {
      ...reversed(cellAxis(at === 0 ? "query" : "", queryLabels)),
      anchor: axisName("x", at),
      ...(at === 0 ? {} : { showticklabels: false }),
    },
  };
}

function titleOf(text: string, at: number): PlainObject {
  return {
    text,
    showarrow: false,
    xref: "paper",
    yref: "paper",
    x: (DOMAINS[at][0] + DOMAINS[at][1]) / 2,
    xanchor: "center",
    y: 1,
    yanchor: "bottom",
    font: { size: 13 },
  };
}

/** Slots in ascending order; ids as they came. */
function inOrder(keys: RowId[]): RowId[] {
  return keys.every((key) => typeof key === "number") ? keys.sort((a, b) => Number(a) - Number(b)) : keys;
}

/** Weights of one head, null where there is none. */
function cellsOf(side: AttentionWeights, head: number, keys: readonly RowId[]): (number | null)[][] {
  const columns = new Map(side.keys.map((key, at) => [key, at]));
  const { data, shape } = side.weights[head];
  return side.queries.map((_, row) =>
    keys.map((key) => {
      const column = columns.get(key);
      return column === undefined ? null : data[row * shape[1] + column] || null;
    })
  );
}

function axisName(letter: "x" | "y", at: number): string {
  return at === 0 ? letter : `${letter}${at + 1}`;
}

function checkSame(
  operation: string,
  name: string,
  before: readonly RowId[],
  after: readonly RowId[],
): void {
  if (before.length === after.length && before.every((number, at) => number === after[at])) return;
  throw new InputError(
    operation,
    `${name} after are ${describe(after)}`,
    `those before, ${describe(before)}`,
  );
}
