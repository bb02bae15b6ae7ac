/**
 * What being right costs: policies by their work and their error.
 */

import { formatNumber } from "../display/format.ts";
import { describe, InputError } from "../base/errors.ts";
import type { PlainObject } from "./figures/figure_data.ts";
import { groupBy } from "./figures/group_by.ts";
import { reading } from "../base/lists.ts";
import { checkNames } from "../base/names.ts";
import { axis, base, paddedRange, plotlyText } from "./figures/layout.ts";
import { SERIES } from "./figures/palette.ts";
import { Figure, type FigureOptions, takeFigureOptions, titled } from "./figure.ts";
import { checkList, plainNumber } from "./figure_input.ts";

/** One way of doing it. */
export interface CostPoint {
  /** What it is called. */
  readonly name: string;
  /** Ways of one family are joined by a line, in the order given; each its own unless given. */
  readonly family?: string;
  /** Written at the marker; nothing unless given. */
  readonly label?: string;
  /** What it costs, above 0. */
  readonly cost: number;
  /** How far it is off, ≥ 0. */
  readonly error: number;
  /** Whether it is the exact one that others are held against; false unless given. */
  readonly isExact?: boolean;
}

/** What {@link costAgainstError} may be told. */
export interface CostAgainstErrorOptions extends FigureOptions {
  /** Title of the axis of costs; "multiply-adds" unless given. */
  readonly costTitle?: string;
  /** Title of the axis of errors; "error" unless given. */
  readonly errorTitle?: string;
}

const POINT: readonly (keyof CostPoint)[] = ["name", "family", "label", "cost", "error", "isExact"];
const HEIGHT = 480;
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "bowtie", "x"];

/**
 * Cost against error on logarithmic axes: what is further left and further down is better. The Pareto front, the ways
 * that no other beats in both, is a grey line of steps; exact ways are stars, and a dotted line says what the cheapest
 * of them costs. A logarithmic axis has no zero: what has an error of 0 lies on a line of its own below the others.
 *
 * @param points The ways.
 * @param options Titles, and how it is shown.
 * @throws {InputError} When a cost is not above 0, or an error is negative or no number.
 *
 * @example
 * ```ts
 * import { costAgainstError } from "@attune/attention/jupyter";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const shown = costAgainstError([
 *   { name: "wait for 64", family: "wait", label: "64", cost: 1e5, error: 1e-3 },
 *   { name: "wait for 4", family: "wait", label: "4", cost: 1e6, error: 1e-4 },
 *   { name: "exact", cost: 6e4, error: 0, isExact: true },
 * ]);
 * assertStringIncludes(Deno.inspect(shown), "Pareto front: exact");
 * ```
 */
export function costAgainstError(
  points: readonly CostPoint[],
  options: CostAgainstErrorOptions = {},
): Figure {
  const operation = "costAgainstError";
  const given = takeFigureOptions(operation, options, ["costTitle", "errorTitle"]);
  const taken = reading(operation, () => takePoints(operation, points));
  const { data, layout, front } = drawPoints(taken, given);
  const names = front.map(({ name }) => name).join(", ");
  const description = `cost against error of ${taken.length} ways; Pareto front: ${names}`;
  return new Figure(operation, { data, layout: { ...layout, ...titled(given, HEIGHT) } }, description, {
    height: HEIGHT,
    ...given,
  });
}

/** The traces of all points, what is around them, and the front. */
function drawPoints(
  points: readonly CostPoint[],
  { costTitle = "multiply-adds", errorTitle = "error" }: Pick<
    CostAgainstErrorOptions,
    "costTitle" | "errorTitle"
  >,
): { data: PlainObject[]; layout: PlainObject; front: readonly CostPoint[] } {
  const errors = errorAxisOf(points);
  const shownError = ({ error }: CostPoint) => error > 0 ? error : errors.zero;
  const families = groupBy(points, (point) => point.isExact ? "" : point.family ?? point.name);
  const exact = families.get("") ?? [], front = paretoFront(points);
  families.delete("");
  const xRange = paddedRange(points.map(({ cost }) => cost), 0.35, 0.35);
  const yRange = paddedRange(points.map(shownError), 0.4, 0.4);
  const data = [
    ...frontTrace(front, shownError, xRange, yRange),
    ...[...families].map(([name, members], at) =>
      pointsTrace(name, members, shownError, {
        color: SERIES[at % SERIES.length],
        symbol: SYMBOLS[at % SYMBOLS.length],
        size: 10,
      })
    ),
  ];
  const lines: PlainObject[] = [];
  if (exact.length > 0) {
    const name = exact.length === 1 ? exact[0].name : "exact";
    data.push(pointsTrace(name, exact, shownError, { color: "$green", symbol: "star", size: 16 }));
    lines.push(cheapestLine(Math.min(...exact.map(({ cost }) => cost))));
  }
  const hasZero = points.some(({ error }) => error === 0);
  if (hasZero) lines.push(zeroLine(errors.border));
  const layout: PlainObject = {
    ...base(),
    xaxis: { ...axis(plotlyText(costTitle)), type: "log", range: xRange, dtick: 1, exponentformat: "SI" },
    yaxis: {
      ...axis(plotlyText(errorTitle)),
      type: "log",
      range: yRange,
      exponentformat: "power",
      ...(hasZero ? { tickvals: errors.ticks, ticktext: errors.texts } : { dtick: 1 }),
    },
    hovermode: "closest",
    showlegend: true,
    shapes: lines,
  };
  return { data, layout, front };
}

/** A dotted line at the cost of the cheapest exact way. */
function cheapestLine(cost: number): PlainObject {
  const line = { color: "$green", width: 1.5, dash: "dot" };
  return { type: "line", xref: "x", yref: "paper", x0: cost, x1: cost, y0: 0, y1: 1, line };
}

/** The border between what has an error of 0 and the others. */
function zeroLine(error: number): PlainObject {
  const line = { color: "$grid", width: 5 };
  return { type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: error, y1: error, line };
}

/** Where an error of 0 is drawn, what sets it apart, and the numbers at the axis. */
function errorAxisOf(points: readonly CostPoint[]) {
  const positive = points.map(({ error }) => error).filter((error) => error > 0);
  const first = positive.length === 0 ? 0 : Math.floor(Math.log10(Math.min(...positive)));
  const last = positive.length === 0 ? 0 : Math.ceil(Math.log10(Math.max(...positive)));
  const powers = Array.from({ length: last - first + 1 }, (_, at) => first + at);
  const zero = 10 ** (first - 0.7);
  return {
    zero,
    border: 10 ** (first - 0.25),
    ticks: [zero, ...powers.map((power) => 10 ** power)],
    texts: ["0", ...powers.map((power) => formatNumber(10 ** power))],
  };
}

/**
 * The points that no other beats: none is cheaper without being further off. Cheapest first; of equal ones the first.
 */
export function paretoFront(points: readonly CostPoint[]): CostPoint[] {
  const front: CostPoint[] = [];
  for (const point of [...points].sort((a, b) => a.cost - b.cost || a.error - b.error)) {
    if (front.length === 0 || point.error < front[front.length - 1].error) front.push(point);
  }
  return front;
}

function frontTrace(
  front: readonly CostPoint[],
  shownError: (point: CostPoint) => number,
  [, right]: readonly number[],
  [, top]: readonly number[],
): PlainObject[] {
  if (front.length === 0) return [];
  const last = front[front.length - 1];
  return [{
    type: "scatter",
    mode: "lines",
    name: "Pareto front",
    x: [front[0].cost, ...front.map(({ cost }) => cost), 10 ** right],
    y: [10 ** top, ...front.map(shownError), shownError(last)],
    line: { color: "$grey", width: 5, shape: "hv" },
    opacity: 0.4,
    hoverinfo: "skip",
  }];
}

function pointsTrace(
  name: string,
  points: readonly CostPoint[],
  shownError: (point: CostPoint) => number,
  { color, symbol, size }: { readonly color: string; readonly symbol: string; readonly size: number },
): PlainObject {
  const hasLabels = points.some(({ label }) => label !== undefined);
  return {
    type: "scatter",
    name: plotlyText(name),
    mode: `${points.length > 1 ? "lines+" : ""}markers${hasLabels ? "+text" : ""}`,
    x: points.map(({ cost }) => plainNumber(cost)),
    y: points.map((point) => plainNumber(shownError(point))),
    text: points.map(({ label }) => label === undefined ? "" : plotlyText(label)),
    textposition: "top center",
    textfont: { size: 12, color },
    cliponaxis: false,
    customdata: points.map((point) =>
      `${plotlyText(point.name)}<br>cost ${formatNumber(point.cost)}<br>error ${formatNumber(point.error)}`
    ),
    hovertemplate: "%{customdata}<extra></extra>",
    marker: { symbol, size, color },
    line: { color, width: 2 },
  };
}

/** Copies of the points, each field read once. */
function takePoints(operation: string, points: readonly CostPoint[]): CostPoint[] {
  checkList(operation, "points", points);
  if (points.length === 0) throw new InputError(operation, "there are 0 points", "at least 1");
  return Array.from(points, (point, at) => takePoint(operation, `points[${at}]`, point));
}

function takePoint(operation: string, place: string, given: CostPoint): CostPoint {
  if (typeof given !== "object" || given === null) {
    throw new InputError(operation, `${place} is ${describe(given)}`, "{ name, cost, error }");
  }
  checkNames(operation, given, POINT, `${place} field`);
  const { name, family, label, cost, error, isExact = false } = given;
  if (typeof name !== "string") {
    throw new InputError(operation, `${place}.name is ${describe(name)}`, "{ name, cost, error }");
  }
  if (!(typeof cost === "number" && cost > 0 && cost < Infinity)) {
    throw new InputError(operation, `${place}.cost is ${describe(cost)}`, "a number above 0");
  }
  if (!(typeof error === "number" && error >= 0 && error < Infinity)) {
    throw new InputError(operation, `${place}.error is ${describe(error)}`, "a number ≥ 0");
  }
  for (const [field, text] of Object.entries({ family, label })) {
    if (text === undefined || typeof text === "string") continue;
    throw new InputError(operation, `${place}.${field} is ${describe(text)}`, "a text");
  }
  if (typeof isExact !== "boolean") {
    throw new InputError(operation, `${place}.isExact is ${describe(isExact)}`, "a boolean");
  }
  return {
    ...{ name, cost, error, isExact },
    ...(family !== undefined && { family }),
    ...(label !== undefined && { label }),
  };
}
