/**
 * Bars, upright or lying, several of them beside each other at a place.
 */

import type { PlainObject } from "../figure_data.ts";
import { UNPAINTED } from "../palette.ts";
import type { Axis } from "./axis.ts";
import { type Box, pointIn } from "./frame.ts";
import { eachOf, listOf, numberOf, objectOf, textOf } from "./plain_reader.ts";
import { element, shownLines, textElement } from "./svg.ts";

/** The share of the distance between two places that bars leave free. */
const GAP = 0.2;
const TEXT_SIZE = 12;

/** Whether bars lie; then x is their length. */
export function isLying(trace: PlainObject): boolean {
  return trace.orientation === "h";
}

/** A trace of the type "bar", the `index`-th of `count` beside each other; `step` is the distance of places. */
export function drawBars(
  trace: PlainObject,
  axes: { readonly x: Axis; readonly y: Axis },
  box: Box,
  group: { readonly index: number; readonly count: number; readonly step: number },
): string {
  const lying = isLying(trace);
  const places = listOf(lying ? trace.y : trace.x), lengths = listOf(lying ? trace.x : trace.y);
  const placeAxis = lying ? axes.y : axes.x, lengthAxis = lying ? axes.x : axes.y;
  const toPoint = pointIn(box);
  const share = group.step * (1 - GAP) / group.count;
  const zero = lengthAxis.placeOf(0) ?? 0;
  return lengths.map((length, at) => {
    const middle = placeAxis.placeOf(places.length > 0 ? places[at] : at);
    const end = lengthAxis.placeOf(length);
    if (middle === null || end === null) return "";
    const from = middle + (group.index - group.count / 2) * share, to = from + share;
    const [start, stop] = [Math.min(zero, end), Math.max(zero, end)];
    const a = lying ? toPoint(start, to) : toPoint(from, stop);
    const b = lying ? toPoint(stop, from) : toPoint(to, start);
    if (a === null || b === null) return "";
    const rectangle = element("rect", {
      x: a[0],
      y: a[1],
      width: b[0] - a[0],
      height: b[1] - a[1],
      fill: textOf(eachOf(objectOf(trace.marker).color, at), UNPAINTED.mark),
    });
    const text = textOf(eachOf(trace.text, at), "");
    if (text === "" || trace.textposition === "none") return rectangle;
    const font = objectOf(trace.textfont);
    return rectangle + textElement(shownLines(text), {
      x: lying ? b[0] + 6 : (a[0] + b[0]) / 2,
      y: lying ? (a[1] + b[1]) / 2 : a[1] - TEXT_SIZE * 0.8,
      size: numberOf(font.size, TEXT_SIZE),
      fill: textOf(font.color, UNPAINTED.text),
      anchor: lying ? "start" : "middle",
    });
  }).join("");
}
