/**
 * Who attends to what: weights as a heatmap.
 */

import { SEQUENTIAL } from "../display/color_scales.ts";
import { countOf, formatNumber } from "../display/format.ts";
import type { PlainObject } from "./figures/figure_data.ts";
import { base, plotlyText } from "./figures/layout.ts";
import { reading } from "../base/lists.ts";
import type { Matrix } from "../base/matrix.ts";
import type { AttentionWeights } from "./attention_weights.ts";
import { Figure, type FigureOptions, takeFigureOptions, titled } from "./figure.ts";
import { checkMatrix, plainNumber, rowsOf } from "./figure_input.ts";
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

/** What {@link attentionHeatmap} may be told. */
export interface AttentionHeatmapOptions extends FigureOptions, HeatmapLabels {}

/**
 * Weights w_ij as colours, a row a query and a column a key, with a menu of heads where there are several. Hovering
 * shows the weight and the score. A cell without weight is grey and crossed: mask, causality or window forbid the
 * pair, or its weight is below the smallest float32.
 *
 * @param attention What {@link readAttention} read, or a matrix of weights.
 * @param options Labels, and how it is shown.
 * @throws {InputError} When labels are missing or too many, or there are more than 250,000 cells.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { attentionHeatmap, readAttention } from "@attune/attention/jupyter";
 * import { assertStringIncludes } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({
 *   query: [[1, 0], [0, 1]],
 *   key: [[1, 0], [0, 1]],
 *   value: [[1], [2]],
 *   causal: true,
 * });
 * const shown = attentionHeatmap(await readAttention(live), { queryLabels: ["the", "cat"] });
 * assertStringIncludes(Deno.inspect(shown), "2 queries over 2 keys");
 * ```
 */
export function attentionHeatmap(
  attention: AttentionWeights | Matrix,
  options: AttentionHeatmapOptions = {},
): Figure {
  const operation = "attentionHeatmap";
  const given = takeFigureOptions(operation, options, ["queryLabels", "keyLabels"]);
  return reading(operation, () => {
    const read = toWeights(operation, attention);
    const { queries, keys, heads, weights } = read;
    const { queryLabels, keyLabels } = toLabels(operation, read, given);
    const most = weights.reduce((most, { data }) => data.reduce((a, b) => Math.max(a, b), most), 0);
    const traces = heads.map((_, at) => headTraces(read, at, { queryLabels, keyLabels, most }));
    const { data, updatemenus } = withHeadMenu(heads, traces);
    const layout: PlainObject = {
      ...base(),
      ...titled(given),
      plot_bgcolor: "$masked",
      xaxis: cellAxis("key", keyLabels),
      yaxis: reversed(cellAxis("query", queryLabels)),
      hovermode: "closest",
      updatemenus,
      ...(heads.length > 1 && { margin: { l: 70, r: 24, t: given.title === undefined ? 44 : 84, b: 56 } }),
    };
    const description = `attention of ${countOf(queries.length, "query", "queries")} over ${
      countOf(keys.length, "key")
    }, ${countOf(heads.length, "head")}; the largest weight is ${formatNumber(most)}`;
    return new Figure(operation, { data, layout }, description, {
      height: heightOf(queries.length, 150),
      ...given,
    });
  });
}

function headTraces(
  { weights, logSumExp }: AttentionWeights,
  at: number,
  { queryLabels, keyLabels, most }: {
    readonly queryLabels: readonly string[];
    readonly keyLabels: readonly string[];
    readonly most: number;
  },
): PlainObject[] {
  const matrix = weights[at], columns = matrix.shape[1];
  const weightOf = (row: number, column: number) => matrix.data[row * columns + column];
  const cells = rowsOf(
    matrix,
    (row, column) => weightOf(row, column) > 0 ? plainNumber(weightOf(row, column)) : null,
  );
  const texts = rowsOf(matrix, (row, column) => {
    const pair = plotlyText(`query ${queryLabels[row]}, key ${keyLabels[column]}`);
    const weight = weightOf(row, column);
    if (!(weight > 0)) return `${pair}<br>no weight`;
    const score = logSumExp ? Math.log(weight) + logSumExp.data[row * logSumExp.shape[1] + at] : null;
    return `${pair}<br>weight ${formatNumber(weight)}${
      score === null ? "" : `<br>score ${formatNumber(score)}`
    }`;
  });
  const heatmap: PlainObject = {
    type: "heatmap",
    z: cells,
    text: texts,
    zmin: 0,
    zmax: most || 1,
    colorscale: colorscale(SEQUENTIAL),
    colorbar: { title: { text: "weight" }, thickness: 14, outlinewidth: 0 },
    xgap: columns <= 60 ? 1 : 0,
    ygap: matrix.shape[0] <= 60 ? 1 : 0,
    hovertemplate: "%{text}<extra></extra>",
    hoverongaps: true,
  };
  return [heatmap, ...crosses(cells, {})];
}

function toWeights(operation: string, attention: AttentionWeights | Matrix): AttentionWeights {
  if (typeof attention === "object" && attention !== null && "weights" in attention) {
    checkAttention(operation, "attention", attention);
    return attention;
  }
  checkMatrix(operation, "attention", attention);
  const [rows, columns] = attention.shape;
  return {
    queries: Array.from({ length: rows }, (_, at) => at),
    keys: Array.from({ length: columns }, (_, at) => at),
    heads: [0],
    weights: [attention],
    logSumExp: null,
  };
}
