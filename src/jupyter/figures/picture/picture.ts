/**
 * A figure as a still picture, without a browser: SVG drawn from the data that plotly.js would draw.
 *
 * It knows scatter (lines, markers, texts, areas down to the bottom), bar and heatmap traces on linear, logarithmic,
 * date and category axes, several of which may share the picture; titles, legend, colour bars, straight lines,
 * annotations without arrows and the label of the active button of a menu. Anything else is refused, not left out.
 */

import type { FigureData, PlainObject, PlainValue } from "../figure_data.ts";
import { groupBy } from "../group_by.ts";
import { UNPAINTED } from "../palette.ts";
import { Axis } from "./axis.ts";
import { drawBars, isLying } from "./bars.ts";
import { type Box, boxOf, pointIn } from "./frame.ts";
import { checkDrawable } from "./drawable.ts";
import { drawColorBar, drawHeatmap } from "./heatmap.ts";
import { Legend } from "./legend.ts";
import { listOf, numberOf, objectOf, textOf, titleOf } from "./plain_reader.ts";
import { drawScatter } from "./scatter.ts";
import { element, pathThrough, shownLines, textElement } from "./svg.ts";
import type { TextMetrics } from "./text_metrics.ts";
import { drawXAxis, drawYAxis, XLabels, yLabelWidth } from "./tick_labels.ts";

/** Size of a picture, in CSS pixels. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** Traces on one pair of axes. */
interface Plot {
  readonly x: Axis;
  readonly y: Axis;
  readonly traces: readonly PlainObject[];
}

const TITLE_SIZE = 15;

/**
 * The picture as SVG. Colours in `figure` are colours, not names.
 *
 * @throws {InputError} When there is a trace that it cannot draw.
 */
export async function drawPicture(
  operation: string,
  { data, layout }: FigureData,
  { width, height }: PictureSize,
  metrics: TextMetrics,
): Promise<string> {
  const shown = data.map((trace, at) => withColor(trace, layout, at));
  const traces = shown.filter(({ visible }) => visible !== false && visible !== "legendonly");
  checkDrawable(operation, traces, { data, layout });
  const color = textOf(objectOf(layout.font).color, UNPAINTED.text);
  const plots = toPlots(traces, layout);
  const annotations = listOf(layout.annotations).map(objectOf);
  const menus = listOf(layout.updatemenus).map(objectOf);
  const bars = traces.filter(({ type, showscale }) => type === "heatmap" && showscale !== false);
  const title = shownLines(titleOf(layout.title)).filter((line) => line !== "");
  const titleHeight = title.length === 0 ? 0 : title.length * TITLE_SIZE * 1.25 + 12;
  const left = 24 + Math.max(
    0,
    ...plots.filter(({ x }) => x.domain[0] === 0).map(({ y }) => yLabelWidth(y, height, metrics)),
  );
  const room = width - left - (bars.length > 0 ? 86 : 28);
  const legend = new Legend(traces, layout, room, metrics);
  const top = 18 + titleHeight + legend.height + heightAbove(traces, annotations, menus);
  const xLabels = plots.map(({ x }) => new XLabels(x, room * (x.domain[1] - x.domain[0]), metrics));
  const bottom = 14 + Math.max(0, ...xLabels.map((labels) => labels.height));
  const area: Box = { left, top, width: room, height: height - top - bottom };

  const parts = await Promise.all(
    plots.map((plot, at) => drawPlot(operation, plot, layout, area, `clip${at}`)),
  );
  const axes = plots.map(({ x, y }, at) => {
    const box = boxOf(area, x, y);
    return drawXAxis(x, xLabels[at], box, color) + drawYAxis(y, box, metrics, color);
  });
  const titlePlace = { x: left, y: 10 + titleHeight / 2, size: TITLE_SIZE, fill: color } as const;
  const frame = { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "DejaVu Sans" };
  return element(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", ...frame },
    element("rect", { width, height, fill: textOf(layout.paper_bgcolor, UNPAINTED.paper) }),
    ...parts,
    ...axes,
    ...bars.map((trace) => drawColorBar(trace, area, color)),
    ...plots.slice(0, 1).flatMap((plot) => drawShapes(layout, plot, area)),
    ...annotations.map((annotation) => drawAnnotation(annotation, plots[0], area, color)),
    ...menus.map((menu) => drawMenu(menu, area, color)),
    legend.draw(left, 12 + titleHeight, color),
    textElement(title, { ...titlePlace, anchor: "start", weight: "bold" }),
  );
}

/** A trace that names no colour has the next one of the layout's, as in plotly.js. */
function withColor(trace: PlainObject, layout: PlainObject, at: number): PlainObject {
  const colors = listOf(layout.colorway), color = colors[at % colors.length];
  if (color === undefined || trace.type === "heatmap") return trace;
  const line = objectOf(trace.line), marker = objectOf(trace.marker);
  const own = textOf(line.color, textOf(marker.color, textOf(color, UNPAINTED.mark)));
  return {
    ...trace,
    ...(trace.type !== "bar" && { line: { color: own, ...line } }),
    marker: { color: own, ...marker },
  };
}

/** What annotations, titles of colour bars and menus need between the legend and the plots. */
function heightAbove(
  traces: readonly PlainObject[],
  annotations: readonly PlainObject[],
  menus: readonly PlainObject[],
): number {
  const isAbove = annotations.some(({ y, yref }) => yref === "paper" && numberOf(y, 0) >= 1);
  const hasBarTitle = traces.some(({ colorbar }) => titleOf(objectOf(colorbar).title) !== "");
  return Math.max(isAbove ? 22 : 0, hasBarTitle || menus.length > 0 ? 20 : 0);
}

function toPlots(traces: readonly PlainObject[], layout: PlainObject): Plot[] {
  const pairs = groupBy(traces, (trace) => `${textOf(trace.xaxis, "x")} ${textOf(trace.yaxis, "y")}`);
  return [...pairs].map(([pair, members]) => {
    const [x, y] = pair.split(" ");
    const sharing = (id: string, name: "xaxis" | "yaxis") =>
      traces.filter((trace) => textOf(trace[name], name[0]) === id);
    return {
      x: toAxis(objectOf(layout[x.replace("x", "xaxis")]), sharing(x, "xaxis"), "x"),
      y: toAxis(objectOf(layout[y.replace("y", "yaxis")]), sharing(y, "yaxis"), "y"),
      traces: members,
    };
  });
}

function toAxis(layout: PlainObject, traces: readonly PlainObject[], name: "x" | "y"): Axis {
  const values = traces.flatMap((trace) => valuesOf(trace, name));
  const isLength = (trace: PlainObject) => trace.type === "bar" && isLying(trace) === (name === "x");
  const hasBars = traces.some((trace) => trace.type === "bar" && !isLength(trace));
  const hasCells = hasBars || traces.some(({ type }) => type === "heatmap");
  return new Axis(layout, values, {
    isPadded: traces.every((trace) => trace.type !== "heatmap") && (name === "y" || traces.some(hasMarkers)),
    fromZero: layout.rangemode === "tozero" || traces.some(isLength),
    hasCells,
    hasBars,
  });
}

function hasMarkers({ type = "scatter", mode }: PlainObject): boolean {
  return type === "scatter" && textOf(mode, "lines+markers").includes("markers");
}

function valuesOf(trace: PlainObject, name: "x" | "y"): readonly PlainValue[] {
  const given = listOf(trace[name]);
  if (given.length > 0) return given;
  const lines = listOf(trace.z);
  const count = trace.type !== "heatmap"
    ? listOf(trace[name === "x" ? "y" : "x"]).length
    : name === "y"
    ? lines.length
    : listOf(lines[0]).length;
  return Array.from({ length: count }, (_, at) => at);
}

async function drawPlot(
  operation: string,
  plot: Plot,
  layout: PlainObject,
  area: Box,
  clip: string,
): Promise<string> {
  const { x, y, traces } = plot;
  const box = boxOf(area, x, y);
  const background = textOf(layout.plot_bgcolor, "none");
  const { left, top, width, height } = box;
  const bars = traces.filter(({ type }) => type === "bar");
  const count = layout.barmode === "overlay" ? 1 : bars.length;
  const cells = await Promise.all(
    traces.filter(({ type }) => type === "heatmap").map((trace) =>
      drawHeatmap(operation, trace, plot, box, background)
    ),
  );
  return [
    element("clipPath", { id: clip }, element("rect", { x: left, y: top, width, height })),
    element("rect", {
      x: left,
      y: top,
      width,
      height,
      fill: background === "rgba(0,0,0,0)" ? "none" : background,
    }),
    cells.length > 0 ? "" : drawGrid(plot, box),
    ...cells,
    ...bars.map((trace, at) => {
      const index = count === 1 ? 0 : at, along = isLying(trace) ? y : x;
      return drawBars(trace, { x, y }, box, { index, count, step: along.stepShare });
    }),
    ...traces.filter(({ type = "scatter" }) => type === "scatter").map((trace) =>
      drawScatter(trace, x, y, box, clip)
    ),
  ].join("");
}

function drawGrid({ x, y }: Plot, box: Box): string {
  const { left, top, width, height } = box;
  const lines = (axis: Axis, isUpright: boolean) =>
    !axis.hasGrid ? [] : axis.ticks(isUpright ? width / 90 : height / 70).map(({ value }) => {
      const place = axis.placeOf(value) ?? 0;
      const at = isUpright ? left + place * width : top + (1 - place) * height;
      const ends = isUpright
        ? { x1: at, x2: at, y1: top, y2: top + height }
        : { x1: left, x2: left + width, y1: at, y2: at };
      return element("line", { ...ends, stroke: axis.gridColor, "stroke-width": 1 });
    });
  return [...lines(x, true), ...lines(y, false)].join("");
}

/** Straight lines of the layout, of which each end is in data or in shares of the area. */
function drawShapes({ shapes }: PlainObject, { x, y }: Plot, area: Box): string[] {
  const toPoint = pointIn(area);
  return listOf(shapes).map(objectOf).filter(({ type }) => type === "line").map((shape) => {
    const place = (axis: Axis, reference: PlainValue | undefined, value: PlainValue) =>
      reference === "paper" ? numberOf(value, 0) : axis.placeOf(value);
    const from = toPoint(place(x, shape.xref, shape.x0), place(y, shape.yref, shape.y0));
    const to = toPoint(place(x, shape.xref, shape.x1), place(y, shape.yref, shape.y1));
    if (from === null || to === null) return "";
    const line = objectOf(shape.line);
    return element("path", {
      d: pathThrough([from, to]),
      stroke: textOf(line.color, UNPAINTED.mark),
      "stroke-width": numberOf(line.width, 1),
      "stroke-dasharray": line.dash === "dot" ? "2 4" : line.dash === "dash" ? "8 5" : undefined,
    });
  });
}

function drawAnnotation(annotation: PlainObject, plot: Plot | undefined, area: Box, color: string): string {
  const { xref, yref, xanchor, yanchor } = annotation;
  const x = xref === "paper" || !plot ? numberOf(annotation.x, 0) : plot.x.placeOf(annotation.x);
  const y = yref === "paper" || !plot ? numberOf(annotation.y, 0) : plot.y.placeOf(annotation.y);
  const point = pointIn(area)(x, y);
  if (point === null) return "";
  const font = objectOf(annotation.font), size = numberOf(font.size, 13);
  return textElement(shownLines(textOf(annotation.text, "")), {
    x: point[0] + numberOf(annotation.xshift, 0),
    y: point[1] + (yanchor === "bottom" ? -size * 0.8 : yanchor === "top" ? size * 0.8 : 0) -
      numberOf(annotation.yshift, 0),
    size,
    fill: textOf(font.color, color),
    anchor: xanchor === "left" ? "start" : xanchor === "right" ? "end" : "middle",
  });
}

function drawMenu(menu: PlainObject, area: Box, color: string): string {
  const button = objectOf(listOf(menu.buttons)[numberOf(menu.active, 0)]);
  return textElement(shownLines(textOf(button.label, "")), {
    x: area.left,
    y: area.top - 14,
    size: 12,
    fill: color,
    anchor: "start",
  });
}
