// The result as a table, for the terminal and the report alike.

import type { ExperimentResult } from "./experiment.ts";

export interface Table {
  readonly header: readonly string[];
  /** The first cell of a row is text, the others are numbers. */
  readonly rows: readonly (readonly string[])[];
}

/** Cost and errors, a row a strategy. */
export function strategyTable({ strategies, horizons }: ExperimentResult): Table {
  return {
    header: [
      "strategy",
      "multiply-adds/day",
      "exp/day",
      "ms/day",
      "relative error",
      "largest error",
      ...horizons.map(horizonTitle),
    ],
    rows: strategies.map((strategy) => [
      strategy.name,
      formatCount(strategy.multiplyAddsPerDay),
      formatCount(strategy.exponentialsPerDay),
      strategy.millisecondsPerDay.toPrecision(3),
      formatError(strategy.relativeError),
      formatError(strategy.largestError),
      ...strategy.meanAbsoluteErrors.map(formatBirths),
    ]),
  };
}

/** Mean absolute errors of the forecast and of the baselines, a row each. */
export function forecastTable({ strategies, baselines, horizons }: ExperimentResult): Table {
  const exact = strategies.filter(({ family }) => family === "exact");
  return {
    header: ["forecast", ...horizons.map(horizonTitle)],
    rows: [...exact, ...baselines].map(({ name, meanAbsoluteErrors }) => [
      name,
      ...meanAbsoluteErrors.map(formatBirths),
    ]),
  };
}

/** Columns under each other, the first to the left, the others to the right. */
export function formatTable({ header, rows }: Table): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length))
  );
  return [header, ...rows].map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))
      .join("  ")
  ).join("\n");
}

/** `57,730`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** `2.9e-8`. */
export function formatError(error: number): string {
  return error.toExponential(1);
}

/** The two are not to be torn apart. */
function horizonTitle(horizon: number): string {
  return `MAE ${horizon}\u00a0d`;
}

function formatBirths(births: number): string {
  return births.toFixed(1);
}
