/**
 * Lines, markers and texts at points.
 */

import type { PlainObject } from "../figure_data.ts";
import { UNPAINTED } from "../palette.ts";
import type { Axis } from "./axis.ts";
import { type Box, pointIn } from "./frame.ts";
import { marker, type MarkerLook } from "./markers.ts";
import { eachOf, listOf, numberOf, objectOf, textOf } from "./plain_reader.ts";
import { element, pathThrough, shownLines, textElement } from "./svg.ts";

type Point = readonly [x: number, y: number];

const DASHES: Record<string, string> = {
  dot: "2 4",
  dash: "8 5",
  longdash: "13 6",
  dashdot: "8 4 2 4",
};
const TEXT_SIZE = 12, MARKER_SIZE = 6;

/** A trace of the type "scatter"; `clip` names the clip path of its box. */
export function drawScatter(trace: PlainObject, x: Axis, y: Axis, box: Box, clip: string): string {
  const mode = textOf(trace.mode, "lines+markers");
  const xs = listOf(trace.x), ys = listOf(trace.y), toPoint = pointIn(box);
  const points = ys.map((value, at) => toPoint(x.placeOf(xs.length > 0 ? xs[at] : at), y.placeOf(value)));
  const parts: string[] = [];
  if (textOf(trace.fill, "none") !== "none") parts.push(drawFill(trace, points, box));
  if (mode.includes("lines")) parts.push(drawLine(trace, points));
  const clipped = element("g", { "clip-path": `url(#${clip})` }, ...parts);
  const shown = points.map((point) => point !== null && isNear(point, box) ? point : null);
  const markers = mode.includes("markers")
    ? shown.map((point, at) => point && drawMarker(trace, point, at))
    : [];
  const texts = mode.includes("text") ? shown.map((point, at) => point && drawText(trace, point, at)) : [];
  const drawn = [clipped, ...markers, ...texts].filter((part) => part !== null);
  return typeof trace.opacity === "number"
    ? element("g", { opacity: trace.opacity }, ...drawn)
    : drawn.join("");
}

/** How the line and the markers of a trace look, for the legend. */
export function drawScatterKey(trace: PlainObject, x: number, y: number, width: number): string {
  const mode = textOf(trace.mode, "lines+markers");
  const line = mode.includes("lines") ? drawLine(trace, [[x, y], [x + width, y]]) : "";
  const marker = mode.includes("markers") ? drawMarker(trace, [x + width / 2, y], 0) : "";
  return element("g", { opacity: numberOf(trace.opacity, 1) }, line, marker);
}

function drawLine(trace: PlainObject, points: readonly (Point | null)[]): string {
  const line = objectOf(trace.line);
  const path = runsOf(points, trace.connectgaps === true).map((run) =>
    pathThrough(line.shape === "hv" ? stepsOf(run) : run)
  ).join("");
  return element("path", {
    d: path,
    fill: "none",
    stroke: textOf(line.color, UNPAINTED.mark),
    "stroke-width": numberOf(line.width, 2),
    "stroke-dasharray": DASHES[textOf(line.dash, "solid")],
    "stroke-linejoin": "round",
  });
}

/** Down to the bottom of the box. */
function drawFill(trace: PlainObject, points: readonly (Point | null)[], box: Box): string {
  const bottom = box.top + box.height;
  return runsOf(points, true).map((run) =>
    element("path", {
      d: `${pathThrough([[run[0][0], bottom], ...run, [run[run.length - 1][0], bottom]])}Z`,
      fill: textOf(trace.fillcolor, textOf(objectOf(trace.line).color, UNPAINTED.mark)),
      "fill-opacity": trace.fillcolor === undefined ? 0.25 : 1,
    })
  ).join("");
}

function drawMarker(trace: PlainObject, [x, y]: Point, at: number): string {
  const look = objectOf(trace.marker), line = objectOf(look.line);
  const color = textOf(eachOf(look.color, at), textOf(objectOf(trace.line).color, UNPAINTED.mark));
  const drawn: MarkerLook = {
    symbol: textOf(eachOf(look.symbol, at), "circle"),
    size: numberOf(eachOf(look.size, at), MARKER_SIZE),
    color,
    lineWidth: numberOf(line.width, 0),
    lineColor: textOf(line.color, color),
  };
  return marker(x, y, drawn);
}

function drawText(trace: PlainObject, [x, y]: Point, at: number): string {
  const text = textOf(eachOf(trace.text, at), "");
  if (text === "") return "";
  const font = objectOf(trace.textfont);
  const size = numberOf(font.size, TEXT_SIZE);
  const [vertical, horizontal] = textOf(eachOf(trace.textposition, at), "middle center").split(" ");
  const away = size * 0.95;
  return textElement(shownLines(text), {
    x: x + (horizontal === "left" ? -4 : horizontal === "right" ? 4 : 0),
    y: y + (vertical === "top" ? -away : vertical === "bottom" ? away : 0),
    size,
    fill: textOf(eachOf(font.color, at), UNPAINTED.text),
    anchor: horizontal === "left" ? "end" : horizontal === "right" ? "start" : "middle",
  });
}

/** Points without gaps; a gap ends a run unless it is to be bridged. */
function runsOf(points: readonly (Point | null)[], areConnected: boolean): Point[][] {
  const runs: Point[][] = [[]];
  for (const point of points) {
    if (point !== null) runs[runs.length - 1].push(point);
    else if (!areConnected && runs[runs.length - 1].length > 0) runs.push([]);
  }
  return runs.filter((run) => run.length > 0);
}

/** To the right first, then up or down. */
function stepsOf(run: readonly Point[]): Point[] {
  return run.flatMap((point, at): Point[] => at === 0 ? [point] : [[point[0], run[at - 1][1]], point]);
}

function isNear([x, y]: Point, { left, top, width, height }: Box): boolean {
  return x > left - 1 && x < left + width + 1 && y > top - 1 && y < top + height + 1;
}
