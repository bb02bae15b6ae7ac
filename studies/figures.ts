// The figures of the report.

import type { FigureData, PlainObject } from "../src/jupyter/figures/figure_data.ts";
import { axis, base, paddedRange } from "../src/jupyter/figures/layout.ts";
import type { ExperimentResult, ForecastSeries, StrategyResult } from "./experiment.ts";
import type { Family } from "./strategies.ts";
import { formatError, formatSaving } from "./table.ts";

/** The data of a strategy in the figures of cost against error. */
export type CostPoint =
  & Pick<
    StrategyResult,
    "name" | "family" | "threshold" | "error" | "multiplyAddsPerDay" | "relativeError" | "largestError"
  >
  & Partial<Pick<StrategyResult, "millisecondsPerDay">>;

/** Days of the forecast that are shown until the reader asks for others. */
const WINDOW_DAYS = 180;
/** The horizon that the picture of the forecast shows. */
const SHOWN_HORIZON = 7;
const NARROW_WINDOW_DAYS = 60;
/** A smaller error is float32 rounding, which is drawn apart from errors that were chosen. */
const ROUNDING = 1e-6;

/** The colours of the horizons, in their order. */
const HORIZON_COLORS = ["$blue", "$green", "$orange"];
/** The colours of forecasts that need no model. */
const BASELINE_COLORS = ["$grey", "$amber", "$sky", "$pink"];

/** The look of a family; families of one plan have one colour. */
interface Look {
  readonly title: string;
  readonly color: string;
  readonly symbol: string;
  readonly size: number;
  /** The dash of the line between its strategies; null for a family of one. */
  readonly dash: string | null;
  /** The position of the labels of its markers. */
  readonly label: string;
  /**
   * The position of labels when the next marker is above, below or close; by default that of the other
   * labels.
   */
  readonly crowdedLabel?: string;
}

const FAMILIES: Record<Family, Look> = {
  original: {
    title: "original: wait, then rebuild",
    color: "$orange",
    symbol: "square",
    size: 11,
    dash: "solid",
    label: "top center",
    crowdedLabel: "bottom center",
  },
  budgetRebuild: {
    title: "error budget, then rebuild",
    color: "$orange",
    symbol: "diamond-open",
    size: 11,
    dash: "dash",
    label: "bottom center",
    crowdedLabel: "top right",
  },
  patch: {
    title: "patch: wait, then exchange columns",
    color: "$blue",
    symbol: "circle",
    size: 11,
    dash: "solid",
    label: "middle left",
  },
  budgetPatch: {
    title: "error budget, then patch",
    color: "$blue",
    symbol: "triangle-up-open",
    size: 12,
    dash: "dash",
    label: "bottom right",
  },
  adaptive: {
    title: "target error, adaptive",
    color: "$indigo",
    symbol: "bowtie-open",
    size: 12,
    dash: "dashdot",
    label: "middle right",
  },
  everyAnswer: {
    title: "rebuild for each answer",
    color: "$mauve",
    symbol: "x",
    size: 13,
    dash: null,
    label: "top center",
  },
  exact: {
    title: "exact reads",
    color: "$green",
    symbol: "star",
    size: 18,
    dash: null,
    label: "top center",
  },
};
/** In the order in which they are drawn: what comes later lies on top. */
const DRAWN: readonly Family[] = [
  "original",
  "budgetRebuild",
  "patch",
  "budgetPatch",
  "adaptive",
  "everyAnswer",
  "exact",
];

/** An error to show, and the scale to show it on. */
interface Measure {
  readonly title: string;
  readonly of: (point: CostPoint) => number;
  /** Where it is drawn. */
  readonly height: (point: CostPoint) => number;
  /** Whether two markers lie so close that their labels would run into each other. */
  readonly isNear: (a: number, b: number) => boolean;
  readonly axis: PlainObject;
  /** Lines across the figure. */
  readonly shapes: readonly PlainObject[];
}

/** A kind of cost of a day, and its words in the figure. */
interface Cost {
  readonly title: string;
  /** "work" or "time". */
  readonly noun: string;
  readonly of: (point: CostPoint) => number;
  readonly hover: string;
}

const WORK: Cost = {
  title: "multiply-adds a day",
  noun: "work",
  of: ({ multiplyAddsPerDay }) => multiplyAddsPerDay,
  hover: "%{x:,.0f} multiply-adds a day",
};
const TIME: Cost = {
  title: "milliseconds a day",
  noun: "time",
  of: ({ millisecondsPerDay }) => millisecondsPerDay ?? NaN,
  hover: "%{x:.3g} ms a day",
};

/** On a logarithmic scale, which has no zero: strategies with only rounding lie on a line of their own below. */
function relativeErrorOf(points: readonly CostPoint[]): Measure {
  const chosen = points.map(({ relativeError }) => relativeError).filter((error) => error >= ROUNDING);
  const least = chosen.length === 0 ? ROUNDING : Math.min(...chosen);
  const most = Math.max(least, ...chosen);
  const decade = Math.floor(Math.log10(least)), last = Math.ceil(Math.log10(most));
  const rounding = 10 ** (decade - 1),
    decades = Array.from({ length: last - decade + 1 }, (_, at) => decade + at);
  return {
    title: "relative error",
    of: ({ relativeError }) => relativeError,
    height: ({ relativeError }) => relativeError < ROUNDING ? rounding : relativeError,
    isNear: (a, b) => Math.abs(Math.log10(a / b)) < 0.3,
    axis: {
      type: "log",
      range: [decade - 1.7, Math.log10(most) + 0.5],
      tickvals: [rounding, ...decades.map((power) => 10 ** power)],
      ticktext: ["rounding only", ...decades.map((power) => `10<sup>${power}</sup>`)],
    },
    shapes: [{
      type: "line",
      xref: "paper",
      x0: 0,
      x1: 1,
      y0: 10 ** (decade - 0.4),
      y1: 10 ** (decade - 0.4),
      line: { color: "$grid", width: 6 },
      layer: "below",
    }],
  };
}

/** Its scale is linear, since 0 is within reach and budgets are close to each other on a logarithmic one. */
function worstErrorOf(points: readonly CostPoint[]): Measure {
  const most = Math.max(...points.map(({ largestError }) => largestError));
  return {
    title: "worst error",
    of: ({ largestError }) => largestError,
    height: ({ largestError }) => largestError,
    isNear: (a, b) => Math.abs(a - b) < 0.005,
    axis: { range: [-0.12 * most, 1.2 * most] },
    shapes: [],
  };
}

/** The cost of a day against the relative error of the readings. */
export function costAgainstError(points: readonly CostPoint[]): FigureData {
  return costFigure(points, relativeErrorOf(points), true);
}

/** The cost of a day against the error of the worst reading. */
export function costAgainstWorstError(points: readonly CostPoint[]): FigureData {
  return costFigure(points, worstErrorOf(points), false);
}

/**
 * One line per family, its thresholds or budgets at the markers. Where all points have times, they are on the axis of
 * costs, and a switch puts work there.
 */
function costFigure(points: readonly CostPoint[], measure: Measure, hasSaving: boolean): FigureData {
  const isTimed = points.every(({ millisecondsPerDay = 0 }) => millisecondsPerDay > 0);
  const costs = isTimed ? [TIME, WORK] : [WORK];
  const sides = costs.map((cost) => costSide(points, measure, cost, hasSaving));
  const [first] = sides;
  return {
    data: first.data,
    layout: {
      ...base(),
      ...(isTimed ? { updatemenus: [costMenu(costs, sides)], margin: { l: 70, r: 24, t: 52, b: 56 } } : {}),
      xaxis: { ...axis(costs[0].title), type: "log", range: first.range, dtick: 1, exponentformat: "SI" },
      yaxis: { ...axis(`${measure.title} of what is read`), ...measure.axis },
      shapes: [...measure.shapes],
      hovermode: "closest",
    },
    narrow: { "xaxis.range": paddedRange(points.map(costs[0].of), 1.6) },
  };
}

/** The traces by one kind of cost, and the range of its axis. */
interface CostSide {
  readonly data: readonly PlainObject[];
  readonly range: readonly number[];
}

function costSide(
  points: readonly CostPoint[],
  measure: Measure,
  cost: Cost,
  hasSaving: boolean,
): CostSide {
  const labelled: CostPoint[] = [];
  const families = DRAWN.map((family) => points.filter((point) => point.family === family))
    .filter((family) => family.length > 0)
    .map((family) => familyTrace(family, measure, cost, labelled));
  return {
    data: [...families, ...(hasSaving ? savingTrace(points, measure, cost) : [])],
    // On the left the labels of the cheapest need room.
    range: paddedRange(points.map(cost.of), 0.65),
  };
}

/** The switch between kinds of cost. */
function costMenu(costs: readonly Cost[], sides: readonly CostSide[]): PlainObject {
  return {
    type: "buttons",
    direction: "right",
    active: 0,
    showactive: true,
    x: 1,
    xanchor: "right",
    y: 1.02,
    yanchor: "bottom",
    pad: { t: 0, r: 0, b: 0, l: 0 },
    bgcolor: "$paper",
    bordercolor: "$grid",
    font: { color: "$text", size: 12 },
    buttons: costs.map(({ noun, title }, at) => ({
      label: noun,
      method: "update",
      args: [
        Object.fromEntries(
          ["x", "text", "textposition", "hovertemplate"].map((field) => [
            field,
            sides[at].data.map((trace) => trace[field] ?? null),
          ]),
        ),
        { "xaxis.title.text": title, "xaxis.range": [...sides[at].range] },
      ],
    })),
  };
}

/** The strategies of one family, at least one; `labelled` are those whose budget is written already. */
function familyTrace(
  points: readonly CostPoint[],
  measure: Measure,
  cost: Cost,
  labelled: CostPoint[],
): PlainObject {
  const { title, color, symbol, size, dash, label, crowdedLabel = label } = FAMILIES[points[0].family];
  const labels = markerLabels(points, measure, cost, labelled);
  const isCrowded = (at: number) =>
    [points[at - 1], points[at + 1]].some((next) => next && isNearInCost(cost, points[at], next));
  const isMoved = (at: number) => crowdedLabel !== label && isCrowded(at);
  // Room for the marker, and for the star that may lie upon it.
  const text = labels.map((limits) => limits.length === 0 ? "" : `\u2002${limits.join(", ")}\u2002`);
  return {
    type: "scatter",
    name: title,
    mode: dash === null ? "markers" : "lines+markers+text",
    x: points.map(cost.of),
    y: points.map(measure.height),
    text,
    textposition: labels.map((_, at) => isMoved(at) ? crowdedLabel : label),
    cliponaxis: false,
    customdata: points.map((point) => `${point.name}<br>${measure.title} ${formatError(measure.of(point))}`),
    hovertemplate: `%{customdata}<br>${cost.hover}<extra></extra>`,
    marker: { symbol, size, color, line: { width: 2, color } },
    line: { color, width: 2, ...(dash !== null && { dash }) },
    textfont: { size: 13, color },
    // Labels of two families would overlap if there is little room.
    meta: { narrowText: text.map((label, at) => dash !== "solid" || isMoved(at) ? "" : label) },
  };
}

/**
 * The thresholds or budgets to write at each marker: those of markers that lie together at the first of them.
 */
function markerLabels(
  points: readonly CostPoint[],
  measure: Measure,
  cost: Cost,
  labelled: CostPoint[],
): (number | null)[][] {
  const isNear = (a: CostPoint, b: CostPoint) =>
    isNearInCost(cost, a, b) && measure.isNear(measure.height(a), measure.height(b));
  // A budget that is written at a marker of another family nearby need not be written over it.
  const shown = points.filter((point) =>
    (point.threshold ?? point.error) !== null &&
    // On the line of what is only rounding all budgets lie side by side.
    (point.error === null || measure.height(point) === measure.of(point)) &&
    !labelled.some((other) => point.error !== null && point.error === other.error && isNear(point, other))
  );
  labelled.push(...shown);
  const labels = new Map<CostPoint, (number | null)[]>();
  let first: CostPoint | null = null;
  for (const point of shown) {
    if (first === null || !isNear(first, point)) labels.set(first = point, []);
    labels.get(first)?.push(point.threshold ?? point.error);
  }
  return points.map((point) => labels.get(point) ?? []);
}

function isNearInCost(cost: Cost, a: CostPoint, b: CostPoint): boolean {
  return Math.abs(Math.log10(cost.of(a) / cost.of(b))) < 0.2;
}

/** The saving of exact reads, as a line between them and one rebuild for each answer. */
function savingTrace(points: readonly CostPoint[], measure: Measure, cost: Cost): PlainObject[] {
  const exact = points.find(({ family }) => family === "exact");
  const rebuilt = points.find(({ family }) => family === "everyAnswer");
  if (!exact || !rebuilt) return [];
  const from = cost.of(exact), to = cost.of(rebuilt);
  const height = measure.height(exact) / 2;
  return [{
    type: "scatter",
    mode: "lines+markers+text",
    showlegend: false,
    hoverinfo: "skip",
    x: [from, Math.sqrt(from * to), to],
    y: [height, height, height],
    text: ["", `${formatSaving(from, to)} ${cost.noun}`, ""],
    textposition: "bottom center",
    textfont: { size: 13, color: "$text" },
    // The one in the middle is invisible and holds the text off the line.
    marker: {
      symbol: ["triangle-left", "circle", "triangle-right"],
      size: 9,
      color: ["$text", "rgba(0,0,0,0)", "$text"],
      line: { width: 0 },
    },
    line: { color: "$text", width: 1, dash: "dot" },
  }];
}

/** Births as they came and as they were forecast, the last days first in view. */
export function forecastAgainstBirths(series: ForecastSeries, horizons: readonly number[]): FigureData {
  const { dates, births, forecasts } = series;
  return {
    data: [
      {
        type: "scatter",
        mode: "lines+markers",
        name: "births",
        x: dates,
        y: births,
        marker: { size: 4, color: "$text" },
        line: { width: 1, color: "$text" },
        hovertemplate: "%{y:,.0f}",
      },
      ...horizons.map((horizon, at) => ({
        type: "scatter",
        mode: "lines",
        name: `forecast ${daysAhead(horizon)}`,
        visible: horizon === SHOWN_HORIZON ? true : "legendonly",
        x: dates,
        y: forecasts[at].map((value) => value === null ? null : Math.round(value)),
        line: { width: 2, color: HORIZON_COLORS[at] },
        hovertemplate: "%{y:,.0f}",
      })),
    ],
    layout: {
      ...base(),
      xaxis: {
        ...axis(""),
        type: "date",
        range: lastDays(dates, WINDOW_DAYS),
        rangeslider: { visible: true, thickness: 0.12, bgcolor: "$faint" },
      },
      yaxis: { ...axis("births a day"), tickformat: ",.0f", fixedrange: true },
      hovermode: "x unified",
    },
    narrow: { "xaxis.range": lastDays(dates, NARROW_WINDOW_DAYS) },
  };
}

/** Mean absolute errors at each horizon, the board beside what needs no model. */
export function errorPerHorizon({ strategies, baselines, horizons }: ExperimentResult): FigureData {
  const board = strategies.filter(({ family }) => family === "exact");
  const bars = [...board.map((strategy) => ({ ...strategy, name: "attention board" })), ...baselines];
  return {
    data: bars.map(({ name, meanAbsoluteErrors }, at) => ({
      type: "bar",
      name,
      x: horizons.map((horizon) => horizon === 1 ? "1 day" : `${horizon} days`),
      y: meanAbsoluteErrors,
      text: meanAbsoluteErrors.map((error) => Math.round(error).toLocaleString("en-US")),
      textposition: "outside",
      textangle: 0,
      cliponaxis: false,
      marker: { color: at === 0 ? "$green" : BASELINE_COLORS[at - 1] },
      hovertemplate: `${name}, %{x} ahead: %{y:,.1f} births a day<extra></extra>`,
    })),
    layout: {
      ...base(),
      barmode: "group",
      xaxis: axis("how far ahead"),
      yaxis: { ...axis("mean absolute error, births a day"), tickformat: ",.0f", rangemode: "tozero" },
    },
    narrow: {},
  };
}

function lastDays(dates: readonly string[], count: number): string[] {
  return [dates[Math.max(0, dates.length - count)], dates[dates.length - 1]];
}

function daysAhead(horizon: number): string {
  return horizon === 1 ? "1 day ahead" : `${horizon} days ahead`;
}
