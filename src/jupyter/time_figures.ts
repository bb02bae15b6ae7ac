/**
 * What changes over time: staleness and its bound, the weight of a key, a forecast.
 */

import { countOf, formatNumber } from "../display/format.ts";
import { describe, InputError } from "../base/errors.ts";
import type { PlainObject } from "./figures/figure_data.ts";
import { axis, base, plotlyText } from "./figures/layout.ts";
import { SERIES } from "./figures/palette.ts";
import { reading } from "../base/lists.ts";
import { checkNames, takeOptions } from "../base/names.ts";
import { Figure, type FigureOptions, takeFigureOptions, titled } from "./figure.ts";
import { checkLength, checkList, checkNumberList, plainNumbers } from "./figure_input.ts";

/** Moments: numbers, or ISO dates. */
export type Times = readonly number[] | readonly string[];

/** What figures over time may be told. */
export interface TimeFigureOptions extends FigureOptions {
  /** Title of the axis of times. */
  readonly timeTitle?: string;
  /** Title of the axis of values. */
  readonly valueTitle?: string;
}

const TITLES: readonly (keyof TimeFigureOptions)[] = ["timeTitle", "valueTitle"];

/** How stale answers were. */
export interface StalenessRecord {
  /** A moment a peek, for example the number of edits before it. */
  readonly times: Times;
  /** The certified bound of each. */
  readonly bounds: ArrayLike<number>;
  /** How far each was from exact, where that was measured. */
  readonly distances?: ArrayLike<number>;
  /** What the bound was to stay below, where there was such a limit. */
  readonly limit?: number;
}

/**
 * Certified bounds of stale answers over time, on a logarithmic axis, with the measured distances from exact below
 * them where they are known: a promise and what became of it. What is exact has no place on such an axis and is a gap.
 *
 * @param record Moments, bounds, and distances.
 * @param options Titles, and how it is shown.
 * @throws {InputError} When lists differ in length.
 *
 * @example
 * ```ts
 * import { staleness } from "@attune/attention/jupyter";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const shown = staleness({ times: [1, 2, 3], bounds: [0.01, 0.02, 0.01], distances: [0.004, 0.015, 0.002] });
 * assertStringIncludes(Deno.inspect(shown), "0 of 3 answers were further off than their bound");
 * ```
 */
export function staleness(record: StalenessRecord, options: TimeFigureOptions = {}): Figure {
  const operation = "staleness";
  return reading(operation, () => {
    const given = takeFigureOptions(operation, options, TITLES);
    const taken = takeOptions(operation, record, ["times", "bounds", "distances", "limit"], "record field");
    const { times, bounds, distances, limit } = taken;
    checkTimes(operation, times, { bounds, ...(distances !== undefined && { distances }) }, { gaps: false });
    if (limit !== undefined && !(typeof limit === "number" && limit > 0 && limit < Infinity)) {
      throw new InputError(operation, `limit is ${describe(limit)}`, "a number above 0");
    }
    const shown = [bounds, distances ?? []].map((numbers) =>
      Array.from(numbers, (number) => number > 0 && number < Infinity ? number : null)
    );
    const data = [lineTrace("proven bound", times, shown[0], { color: "$blue" })];
    if (distances) {
      data.push(lineTrace("distance from exact", times, shown[1], { color: "$orange" }));
    }
    const drawn = shown.flat().filter((number) => number !== null);
    const isWide = Math.max(...drawn) > 30 * Math.min(...drawn);
    const layout = timeLayout(given, "edits", "Euclidean distance", {
      type: "log",
      exponentformat: "power",
      dtick: isWide ? 1 : "D2",
    });
    const limits = limit === undefined ? [] : [levelShape(limit)];
    const violations = Array.from(distances ?? []).filter((distance, at) => distance > bounds[at]).length;
    const description = distances
      ? `staleness over ${
        countOf(bounds.length, "answer")
      }: ${violations} of ${bounds.length} answers were further off ` +
        "than their bound"
      : `bounds of ${countOf(bounds.length, "stale answer")}, the largest ${formatNumber(largestOf(bounds))}`;
    return new Figure(operation, { data, layout: { ...layout, shapes: limits } }, description, given);
  });
}

/** The weight of a key at each moment. */
export interface KeyWeightSeries {
  /** What it is called. */
  readonly name: string;
  /** A weight a moment, null where the key was not there. */
  readonly weights: ArrayLike<number | null>;
}

/**
 * The weight of a key over time, or of some keys.
 *
 * @param times A moment each.
 * @param keys A weight a moment, for each key.
 * @param options Titles, and how it is shown.
 * @throws {InputError} When lists differ in length.
 *
 * @example
 * ```ts
 * import { keyWeight } from "@attune/attention/jupyter";
 *
 * keyWeight(["2026-01-01", "2026-01-02"], [{ name: "last Monday", weights: [0.1, 0.3] }]);
 * ```
 */
export function keyWeight(
  times: Times,
  keys: readonly KeyWeightSeries[],
  options: TimeFigureOptions = {},
): Figure {
  const operation = "keyWeight";
  return reading(operation, () => {
    const given = takeFigureOptions(operation, options, TITLES);
    checkSeries(operation, "keys", keys, "weights");
    const lists = keys.map(({ weights }, at) => [`keys[${at}].weights`, weights] as const);
    checkTimes(operation, times, Object.fromEntries(lists), { gaps: true });
    const data = keys.map(({ name, weights }, at) =>
      lineTrace(name, times, weights, { color: SERIES[at % SERIES.length] })
    );
    const description = `weights of ${countOf(keys.length, "key")} over ${countOf(times.length, "moment")}`;
    const layout = timeLayout(given, "time", "weight", { rangemode: "tozero", exponentformat: "e" });
    return new Figure(operation, { data, layout }, description, given);
  });
}

/** A forecast, a value a moment. */
export interface ForecastSeries {
  /** What it is called. */
  readonly name: string;
  /** A value a moment, null where nothing was forecast. */
  readonly values: ArrayLike<number | null>;
}

/**
 * Forecasts against what happened.
 *
 * @param times A moment each.
 * @param truth What happened, null where it is not known.
 * @param forecasts What was forecast for each moment; one or several.
 * @param options Titles, and how it is shown.
 * @throws {InputError} When lists differ in length.
 *
 * @example
 * ```ts
 * import { forecast } from "@attune/attention/jupyter";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const shown = forecast([1, 2, 3], [10, 12, 11], [{ name: "a week before", values: [null, 11, 11] }]);
 * assertStringIncludes(Deno.inspect(shown), "a week before is off by 0.5 on average");
 * ```
 */
export function forecast(
  times: Times,
  truth: ArrayLike<number | null>,
  forecasts: readonly ForecastSeries[],
  options: TimeFigureOptions = {},
): Figure {
  const operation = "forecast";
  return reading(operation, () => {
    const given = takeFigureOptions(operation, options, TITLES);
    checkSeries(operation, "forecasts", forecasts, "values");
    const named = forecasts.map(({ values }, at) => [`forecasts[${at}].values`, values] as const);
    checkTimes(operation, times, { truth, ...Object.fromEntries(named) }, { gaps: true });
    const data = [
      lineTrace("what happened", times, truth, { color: "$text", width: 1.2 }),
      ...forecasts.map(({ name, values }, at) =>
        lineTrace(name, times, values, { color: SERIES[at % SERIES.length], width: 2 })
      ),
    ];
    const errors = forecasts.map(({ name, values }) =>
      `${name} is off by ${formatNumber(meanDistance(truth, values))} on average`
    );
    const description = [`forecasts over ${countOf(times.length, "moment")}`, ...errors].join("; ");
    return new Figure(
      operation,
      { data, layout: timeLayout(given, "time", "value", {}) },
      description,
      given,
    );
  });
}

function timeLayout(options: TimeFigureOptions, time: string, value: string, more: PlainObject): PlainObject {
  return {
    ...base(),
    ...titled(options),
    xaxis: axis(plotlyText(options.timeTitle ?? time)),
    yaxis: { ...axis(plotlyText(options.valueTitle ?? value)), ...more },
    hovermode: "x unified",
  };
}

function lineTrace(
  name: string,
  times: Times,
  values: ArrayLike<number | null>,
  { color, width = 2 }: { readonly color: string; readonly width?: number },
): PlainObject {
  // A line through a single point would be invisible.
  const isShort = times.length < 40;
  return {
    type: "scatter",
    mode: isShort ? "lines+markers" : "lines",
    name: plotlyText(name),
    x: [...times],
    y: plainNumbers(values),
    line: { color, width },
    marker: { color, size: 6 },
    hovertemplate: "%{y:.4g}",
  };
}

function levelShape(limit: number): PlainObject {
  return {
    type: "line",
    xref: "paper",
    yref: "y",
    x0: 0,
    x1: 1,
    y0: limit,
    y1: limit,
    line: { color: "$grey", width: 1.5, dash: "dash" },
  };
}

function checkTimes(
  operation: string,
  times: Times,
  lists: Readonly<Record<string, unknown>>,
  options: { readonly gaps: boolean },
): void {
  checkList(operation, "times", times);
  const isTime = (time: unknown) =>
    typeof time === "string" ? !Number.isNaN(Date.parse(time)) : Number.isFinite(time);
  const strange = times.findIndex((time) => !isTime(time));
  if (strange >= 0) {
    throw new InputError(operation, `times has ${describe(times[strange])}`, "finite numbers or ISO dates");
  }
  for (const [name, list] of Object.entries(lists)) {
    checkNumberList(operation, name, list, options);
    checkLength(operation, name, list, times.length);
  }
}

/** Refuses what is no list of `{ name, … }`, with a list named `values`. */
function checkSeries(operation: string, name: string, series: unknown, values: string): void {
  checkList(operation, name, series);
  for (let at = 0; at < series.length; at++) {
    const one = series[at], place = `${name}[${at}]`;
    if (typeof one !== "object" || one === null) {
      throw new InputError(operation, `${place} is ${describe(one)}`, `{ name, ${values} }`);
    }
    checkNames(operation, one, ["name", values], `${place} field`);
    const { name: called } = one as Partial<Record<string, unknown>>;
    if (typeof called !== "string") {
      throw new InputError(operation, `${place}.name is ${describe(called)}`, "a text");
    }
  }
}

function meanDistance(truth: ArrayLike<number | null>, values: ArrayLike<number | null>): number {
  let sum = 0, count = 0;
  for (let at = 0; at < truth.length; at++) {
    const was = truth[at], said = values[at];
    if (was === null || said === null || !Number.isFinite(was - said)) continue;
    sum += Math.abs(was - said);
    count++;
  }
  return sum / count;
}

function largestOf(numbers: ArrayLike<number>): number {
  return Array.from(numbers).reduce((a, b) => Math.max(a, b), 0);
}
