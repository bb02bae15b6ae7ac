/**
 * Numbers as coloured cells, and the bar that says which colour means what.
 */

import { toBase64 } from "../../../display/base64.ts";
import { colorAt, type ColorScale, SEQUENTIAL } from "../../../display/color_scales.ts";
import { heatmapPng } from "../../../display/heatmap.ts";
import { describe, InputError } from "../../../base/errors.ts";
import type { PlainObject, PlainValue } from "../figure_data.ts";
import { UNPAINTED } from "../palette.ts";
import type { Axis } from "./axis.ts";
import { type Box, pointIn } from "./frame.ts";
import { listOf, numberOf, objectOf, textOf, titleOf } from "./plain_reader.ts";
import { element, shownLines, textElement } from "./svg.ts";
import { formatTick, linearTicks, type Tick } from "./ticks.ts";

const BAR_WIDTH = 14;

/**
 * A trace of the type "heatmap"; `empty` is the colour of what has no number.
 *
 * @throws {InputError} When its cells are not all of a size.
 */
export async function drawHeatmap(
  operation: string,
  trace: PlainObject,
  { x, y }: { readonly x: Axis; readonly y: Axis },
  box: Box,
  empty: string,
): Promise<string> {
  const lines = listOf(trace.z).map(listOf);
  const height = lines.length, width = Math.max(0, ...lines.map((line) => line.length));
  if (width === 0) return "";
  const { least, most, scale } = colorsOf(trace);
  const background = colorAt(
    /^#[\da-f]{6}$/i.test(empty) ? [empty, empty] : [UNPAINTED.paper, UNPAINTED.paper],
    0,
  );
  const toPoint = pointIn(box);
  const [left, right] = edgesOf(operation, "x", trace.x, width, x);
  const [bottom, top] = edgesOf(operation, "y", trace.y, height, y);
  const start = toPoint(x.placeAt(left), y.placeAt(bottom));
  const stop = toPoint(x.placeAt(right), y.placeAt(top));
  if (start === null || stop === null) return "";
  const isFlippedX = stop[0] < start[0], isFlippedY = stop[1] < start[1];
  const png = await heatmapPng({
    rows: height,
    columns: width,
    colorOf: (row, column) => {
      const number = lines[isFlippedY ? height - 1 - row : row][isFlippedX ? width - 1 - column : column];
      return typeof number === "number" && Number.isFinite(number)
        ? colorAt(scale, most > least ? (number - least) / (most - least) : 0.5)
        : background;
    },
  });
  return element("image", {
    x: Math.min(start[0], stop[0]),
    y: Math.min(start[1], stop[1]),
    width: Math.abs(stop[0] - start[0]),
    height: Math.abs(stop[1] - start[1]),
    preserveAspectRatio: "none",
    "image-rendering": "optimizeSpeed",
    href: `data:image/png;base64,${toBase64(png)}`,
  });
}

/** The bar beside it, in the area of all plots. */
export function drawColorBar(trace: PlainObject, area: Box, color: string): string {
  const bar = objectOf(trace.colorbar);
  const { least, most, scale } = colorsOf(trace);
  const height = area.height * numberOf(bar.len, 1);
  const left = area.left + area.width * numberOf(bar.x, 1.02);
  const top = area.top + (area.height - height) / 2;
  const stops = scale.map((stop, at) =>
    element("stop", { offset: `${100 * at / (scale.length - 1)}%`, "stop-color": stop })
  );
  const id = `scale${Math.round(left)}`;
  const format = textOf(bar.tickformat, "");
  const ticks = most > least ? ticksOf(bar, least, most, height / 50) : [];
  return [
    element("linearGradient", { id, x1: 0, y1: 1, x2: 0, y2: 0 }, ...stops),
    element("rect", { x: left, y: top, width: BAR_WIDTH, height, fill: `url(#${id})` }),
    ...ticks.map(({ value, label }) =>
      textElement([textOf(bar.ticksuffix, "") === "" ? label : formatTick(Number(value), format)], {
        x: left + BAR_WIDTH + 5,
        y: top + height * (1 - (Number(value) - least) / (most - least)),
        size: 12,
        fill: color,
        anchor: "start",
      })
    ),
    textElement(shownLines(titleOf(bar.title)), {
      x: left,
      y: top - 12,
      size: 12,
      fill: color,
      anchor: "start",
    }),
  ].join("");
}

/** Those that the bar names, or round numbers. */
function ticksOf(bar: PlainObject, least: number, most: number, room: number): Tick[] {
  const format = textOf(bar.tickformat, "");
  if (!Array.isArray(bar.tickvals)) return linearTicks(least, most, room, format, 0);
  const texts = listOf(bar.ticktext);
  return listOf(bar.tickvals).flatMap((value, at): Tick[] =>
    typeof value === "number" && value >= least && value <= most
      ? [{ value, label: textOf(texts[at], formatTick(value, format)) }]
      : []
  );
}

function colorsOf(trace: PlainObject): { least: number; most: number; scale: ColorScale } {
  let least = Infinity, most = -Infinity;
  for (const number of listOf(trace.z).flatMap(listOf)) {
    if (typeof number !== "number" || !Number.isFinite(number)) continue;
    least = Math.min(least, number);
    most = Math.max(most, number);
  }
  if (least > most) [least, most] = [0, 1];
  return { least: numberOf(trace.zmin, least), most: numberOf(trace.zmax, most), scale: scaleOf(trace) };
}

/** Stops at equal distances, as colours of six digits. */
function scaleOf({ colorscale }: PlainObject): ColorScale {
  const colors = listOf(colorscale).map((stop) => textOf(listOf(stop)[1], ""));
  return colors.length > 1 && colors.every((color) => /^#[\da-f]{6}$/i.test(color)) ? colors : SEQUENTIAL;
}

/** Where the first cell begins and the last one ends, as numbers along an axis. */
function edgesOf(
  operation: string,
  name: "x" | "y",
  values: PlainValue | undefined,
  count: number,
  axis: Axis,
): readonly [number, number] {
  const given = listOf(values);
  const middles = Array.from(
    { length: count },
    (_, at) => given.length === 0 ? at : axis.numberOf(given[at]) ?? NaN,
  );
  const step = count > 1 ? middles[1] - middles[0] : axis.leastStep;
  for (let at = 1; at < count; at++) {
    if (Math.abs(middles[at] - middles[at - 1] - step) <= 1e-3 * Math.abs(step) && step !== 0) continue;
    throw new InputError(
      operation,
      `the cells of a heatmap begin at ${name} ${describe(given)}`,
      "places at equal distances, each of its own",
    );
  }
  return [middles[0] - step / 2, middles[count - 1] + step / 2];
}
