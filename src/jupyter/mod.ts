/**
 * Attention in a notebook: displays, figures, progress, and a stop button that stops.
 *
 * Engines and matrices show themselves as the last value of a cell. {@link show} shows several values and loses none.
 * Figures are interactive, work off line, and carry a still picture and text for places that run no programs.
 * {@link progress} shows how far a loop is, {@link interruptible} lets the stop button end it and keeps the state.
 *
 * Everything works outside of a notebook too: figures give HTML and PNG, progress goes to the terminal.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { attentionHeatmap, readAttention, show } from "@attune/attention/jupyter";
 *
 * await using live = await DynamicAttention.create({
 *   query: [[1, 0], [0, 1]],
 *   key: [[1, 0], [0, 1], [1, 1]],
 *   value: [[10], [20], [30]],
 * });
 * const heatmap = attentionHeatmap(await readAttention(live), { queryLabels: ["the", "cat"] });
 * await show(heatmap); // or as the last value of a cell
 * ```
 *
 * @module
 */

export type { WeightedKey } from "../engine/answers.ts";
export { DISPLAY, INSPECT, type MimeBundle } from "../display/mime_bundle.ts";
export { AttentionError, InputError } from "../base/errors.ts";
export type { FigureData, PlainObject, PlainValue } from "./figures/figure_data.ts";
export type { FigureObject, FigureValue } from "./figures/plain_copy.ts";
export { plotlyText } from "./figures/layout.ts";
export type { Theme } from "./figures/palette.ts";
export type { CsrMatrix, Matrix, MatrixInput, RowInput } from "../base/matrix.ts";
export { attentionChange, type AttentionChangeOptions } from "./attention_change.ts";
export { attentionHeatmap, type AttentionHeatmapOptions } from "./attention_heatmap.ts";
export { type AttentionSelection, type AttentionWeights, readAttention } from "./attention_weights.ts";
export { costAgainstError, type CostAgainstErrorOptions, type CostPoint } from "./cost_against_error.ts";
export { figure } from "./custom_figure.ts";
export { embedPlotly, Figure, type FigureOptions, type PictureOptions } from "./figure.ts";
export type { HeatmapLabels } from "./heatmap_parts.ts";
export { heaviestKeys, type HeaviestKeysOptions } from "./heaviest_keys.ts";
export { InterruptedError, interruptible } from "./interruptible.ts";
export {
  liveAttention,
  type LiveAttentionOptions,
  type LiveDisplay,
  LiveFigure,
} from "./live/live_attention.ts";
export { progress, type ProgressLoop, type ProgressOptions } from "./progress.ts";
export { type Renderer, setRenderer } from "./renderer.ts";
export { display, type Displayable, show } from "./show.ts";
export {
  forecast,
  type ForecastSeries,
  keyWeight,
  type KeyWeightSeries,
  staleness,
  type StalenessRecord,
  type TimeFigureOptions,
  type Times,
} from "./time_figures.ts";
export { checkTypes } from "./check_types.ts";
export { table, type TableCell, type TableOptions } from "./table.ts";
export { type Timed, timed, type TimedOptions } from "./timed.ts";
