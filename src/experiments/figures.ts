// The figures as plain plotly data. A colour is a name with a dollar sign, `$patch`; whoever draws puts the colour of
// light or dark surroundings in its place (`paint` in report_page.js).

import type { ExperimentResult, ForecastSeries, StrategyResult } from "./experiment.ts";
import type { Family } from "./strategies.ts";
import { formatError } from "./table.ts";

export type PlainValue = null | boolean | number | string | readonly PlainValue[] | PlainObject;
export interface PlainObject {
  readonly [name: string]: PlainValue;
}

export interface Figure {
  readonly data: readonly PlainObject[];
  readonly layout: PlainObject;
  /** What of the layout is different on a narrow screen, by the path of each attribute. */
  readonly narrow: PlainObject;
}

/** What the picture of cost against error needs to know of a strategy. */
export type CostPoint = Pick<
  StrategyResult,
  "name" | "family" | "threshold" | "multiplyAddsPerDay" | "relativeError"
>;

/** Days of the forecast that are shown until the reader asks for others. */
const WINDOW_DAYS = 180;
/** The horizon that the picture of the forecast shows. */
const SHOWN_HORIZON = 7;
const NARROW_WINDOW_DAYS = 60;
/** A logarithmic axis has no zero: the smallest error that is shown. */
const LOWEST_ERROR = 3e-9;

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
const LEGEND_ABOVE = { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" };

const FAMILIES: Record<Family, { title: string; symbol: string; mode: string; size: number; label: string }> =
  {
    original: {
      title: "original: wait, then rebuild",
      symbol: "square",
      mode: "lines+markers+text",
      size: 11,
      label: "top center",
    },
    patch: {
      title: "patch: wait, then exchange columns",
      symbol: "circle",
      mode: "lines+markers+text",
      size: 11,
      label: "middle left",
    },
    everyEdit: {
      title: "rebuild at every edit",
      symbol: "x",
      mode: "markers",
      size: 13,
      label: "top center",
    },
    exact: { title: "exact reads", symbol: "star", mode: "markers", size: 18, label: "top center" },
  };

/** Work a day against the error of what is read; one line a family, thresholds at the markers. */
export function costAgainstError(points: readonly CostPoint[]): Figure {
  const order: Family[] = ["original", "patch", "everyEdit", "exact"];
  const work = points.map((point) => point.multiplyAddsPerDay);
  return {
    data: [
      ...order.map((family) => familyTrace(family, points.filter((point) => point.family === family))),
      ...savingTrace(points),
    ],
    layout: {
      ...base(),
      xaxis: {
        ...axis("multiply-adds a day"),
        type: "log",
        // On the left the labels of the cheapest need room.
        range: paddedRange(work, 0.65),
        dtick: 1,
        exponentformat: "SI",
      },
      yaxis: {
        ...axis("relative error of what is read"),
        type: "log",
        range: paddedRange([LOWEST_ERROR, ...points.map((point) => point.relativeError)], 0.33, 0.5),
        dtick: 1,
        exponentformat: "power",
      },
      hovermode: "closest",
    },
    narrow: { "xaxis.range": paddedRange(work, 1.1) },
  };
}

function familyTrace(family: Family, points: readonly CostPoint[]): PlainObject {
  const { title, symbol, mode, size, label } = FAMILIES[family];
  return {
    type: "scatter",
    name: title,
    mode,
    x: points.map((point) => point.multiplyAddsPerDay),
    y: points.map(shownError),
    text: thresholdLabels(points),
    textposition: label,
    cliponaxis: false,
    customdata: points.map((point) => `${point.name}<br>relative error ${formatError(point.relativeError)}`),
    hovertemplate: "%{customdata}<br>%{x:,.0f} multiply-adds a day<extra></extra>",
    marker: { symbol, size, color: `$${family}` },
    line: { color: `$${family}`, width: 2 },
    textfont: { size: 13, color: `$${family}` },
  };
}

/** Labels of markers that lie upon each other are written as one, at the last of them. */
function thresholdLabels(points: readonly CostPoint[]): string[] {
  let first = 0;
  return points.map((point, at) => {
    if (!isNear(point, points[first])) first = at;
    const isLast = at === points.length - 1 || !isNear(points[at + 1], points[first]);
    if (!isLast || point.threshold === null) return "";
    const label = points.slice(first, at + 1).map(({ threshold }) => threshold).join(", ");
    // Room for the marker, and for the star that may lie upon it.
    return `\u2002${label}\u2002`;
  });
}

function isNear(a: CostPoint, b: CostPoint): boolean {
  return Math.abs(Math.log10(a.multiplyAddsPerDay / b.multiplyAddsPerDay)) < 0.25 &&
    Math.abs(Math.log10(shownError(a) / shownError(b))) < 0.3;
}

/** What exact reads save, as a line between them and rebuilding at every edit. */
function savingTrace(points: readonly CostPoint[]): PlainObject[] {
  const exact = points.find(({ family }) => family === "exact");
  const rebuilt = points.find(({ family }) => family === "everyEdit");
  if (!exact || !rebuilt) return [];
  const from = exact.multiplyAddsPerDay, to = rebuilt.multiplyAddsPerDay;
  const height = shownError(exact) / 4;
  return [{
    type: "scatter",
    mode: "lines+markers+text",
    showlegend: false,
    hoverinfo: "skip",
    x: [from, Math.sqrt(from * to), to],
    y: [height, height, height],
    text: ["", `${Math.round(to / from)} × less work, the same error`, ""],
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

function shownError({ relativeError }: CostPoint): number {
  return Math.max(relativeError, LOWEST_ERROR);
}

/** The range of a logarithmic axis around values, with some of a decade more on either side. */
function paddedRange(values: readonly number[], below = 0.33, above = 0.33): number[] {
  const shown = values.map((value) => Math.max(value, LOWEST_ERROR));
  return [Math.log10(Math.min(...shown)) - below, Math.log10(Math.max(...shown)) + above];
}

/** Births as they came and as they were forecast, the last days first in view. */
export function forecastAgainstBirths(series: ForecastSeries, horizons: readonly number[]): Figure {
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
        line: { width: 2, color: `$horizon${at}` },
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
export function errorPerHorizon({ strategies, baselines, horizons }: ExperimentResult): Figure {
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
      marker: { color: at === 0 ? "$exact" : `$baseline${at - 1}` },
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

function base(): PlainObject {
  return {
    font: { family: FONT, size: 13, color: "$text" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 70, r: 24, t: 16, b: 56 },
    legend: LEGEND_ABOVE,
    hoverlabel: { font: { family: FONT, color: "$text" }, bgcolor: "$paper", bordercolor: "$grid" },
  };
}

function axis(title: string): PlainObject {
  return {
    title: { text: title, standoff: 8 },
    gridcolor: "$grid",
    linecolor: "$grid",
    zeroline: false,
    automargin: true,
  };
}
