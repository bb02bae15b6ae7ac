// Forecasts without a model, as baselines for the board. Each uses only days up to the origin.

import type { Forecaster } from "./metrics.ts";

export interface Baseline {
  readonly name: string;
  readonly forecast: Forecaster;
}

const WEEK = 7;
const YEAR = 52 * WEEK;

/** The baselines over a series of births a day; origin and horizon as in {@link Forecaster}. */
export function baselines(births: ArrayLike<number>): Baseline[] {
  const totals = [0];
  for (let t = 0; t < births.length; t++) totals.push(totals[t] + births[t]);
  return [
    { name: "yesterday", forecast: (origin) => births[origin] },
    { name: "same day last week", forecast: lastObserved(births, WEEK) },
    { name: "same day 52 weeks ago", forecast: lastObserved(births, YEAR) },
    { name: "running mean", forecast: (origin) => totals[origin + 1] / (origin + 1) },
  ];
}

/** The newest observed day that lies a whole number of periods before the day forecast. */
function lastObserved(births: ArrayLike<number>, period: number): Forecaster {
  return (origin, horizon) => births[origin + horizon - period * Math.ceil(horizon / period)];
}
