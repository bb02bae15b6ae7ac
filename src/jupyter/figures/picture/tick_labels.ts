/**
 * What is written along axes: labels of ticks, turned or thinned out where there is little room, and titles.
 */

import type { Axis } from "./axis.ts";
import type { Box } from "./frame.ts";
import { element, shownLines, textElement } from "./svg.ts";
import type { TextMetrics } from "./text_metrics.ts";
import type { Tick } from "./ticks.ts";

const SIZE = 12, TITLE_SIZE = 13, LONGEST = 130;

/** The labels of an x axis that is so wide. */
export class XLabels {
  readonly ticks: readonly Tick[];
  /** Degrees by which they are turned. */
  readonly angle: number;
  /** What they need below the axis, its title included. */
  readonly height: number;

  constructor(axis: Axis, width: number, metrics: TextMetrics) {
    const ticks = axis.isVisible ? axis.ticks(width / 90).map((tick) => shorten(tick, metrics)) : [];
    const widest = Math.max(0, ...ticks.map(({ label }) => metrics.widthOf(label, SIZE)));
    const places = ticks.map(({ value }) => (axis.placeOf(value) ?? 0) * width).sort((a, b) => a - b);
    const room = Math.min(Infinity, ...places.slice(1).map((place, at) => place - places[at]));
    this.angle = widest + 10 > room ? -90 : 0;
    const needed = this.angle === 0 ? widest + 10 : SIZE * 1.15;
    const every = room < Infinity ? Math.max(1, Math.ceil(needed / Math.max(room, 1e-6))) : 1;
    this.ticks = this.angle === 0 ? ticks : ticks.filter((_, at) => at % every === 0);
    const labels = ticks.length === 0 ? 0 : this.angle === 0 ? SIZE + 10 : widest + 12;
    this.height = labels + (axis.title === "" ? 0 : TITLE_SIZE + 12);
  }
}

/** What the labels of a y axis need to its left, its title included. */
export function yLabelWidth(axis: Axis, height: number, metrics: TextMetrics): number {
  const labels = yTicks(axis, height, metrics).map(({ label }) => metrics.widthOf(label, SIZE));
  return Math.max(0, ...labels) + (axis.title === "" ? 6 : TITLE_SIZE + 16);
}

/** Labels and title below the box. */
export function drawXAxis(axis: Axis, labels: XLabels, box: Box, color: string): string {
  const bottom = box.top + box.height;
  const texts = labels.ticks.map(({ value, label }) =>
    textElement([label], {
      x: box.left + (axis.placeOf(value) ?? 0) * box.width,
      y: bottom + (labels.angle === 0 ? SIZE * 0.6 + 7 : 6),
      size: SIZE,
      fill: color,
      anchor: labels.angle === 0 ? "middle" : "end",
      angle: labels.angle,
    })
  ).map((text) =>
    labels.angle === 0 ? text : element("g", { transform: `translate(${-SIZE * 0.36} 0)` }, text)
  );
  const title = textElement(shownLines(axis.title), {
    x: box.left + box.width / 2,
    y: bottom + labels.height - TITLE_SIZE / 2,
    size: TITLE_SIZE,
    fill: color,
  });
  return texts.join("") + (axis.title === "" ? "" : title);
}

/** Labels and title to the left of the box. */
export function drawYAxis(axis: Axis, box: Box, metrics: TextMetrics, color: string): string {
  const ticks = yTicks(axis, box.height, metrics);
  const texts = ticks.map(({ value, label }) =>
    textElement([label], {
      x: box.left - 7,
      y: box.top + (1 - (axis.placeOf(value) ?? 0)) * box.height,
      size: SIZE,
      fill: color,
      anchor: "end",
    })
  );
  if (axis.title === "") return texts.join("");
  const widest = Math.max(0, ...ticks.map(({ label }) => metrics.widthOf(label, SIZE)));
  const title = textElement(shownLines(axis.title), {
    x: box.left - widest - 18,
    y: box.top + box.height / 2,
    size: TITLE_SIZE,
    fill: color,
    angle: -90,
  });
  return texts.join("") + title;
}

/** Not closer to each other than they are high. */
function yTicks(axis: Axis, height: number, metrics: TextMetrics): Tick[] {
  if (!axis.isVisible) return [];
  const ticks = axis.ticks(height / 70);
  const every = Math.max(1, Math.ceil(ticks.length * SIZE * 1.2 / height));
  return ticks.filter((_, at) => at % every === 0).map((tick) => shorten(tick, metrics));
}

function shorten(tick: Tick, metrics: TextMetrics): Tick {
  const label = shownLines(tick.label).join(" ");
  if (metrics.widthOf(label, SIZE) <= LONGEST) return { value: tick.value, label };
  const characters = [...label];
  while (characters.length > 1 && metrics.widthOf(`${characters.join("")}…`, SIZE) > LONGEST) {
    characters.pop();
  }
  return { value: tick.value, label: `${characters.join("")}…` };
}
