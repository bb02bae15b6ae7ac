// The result as a table, for the terminal and the report alike.

import { formatCount } from "../src/display/format.ts";
import { compareBudgets, formatRatio } from "./budgets.ts";
import type { ExperimentResult } from "./experiment.ts";

/** The text in place of a missing number. */
export const NONE = "–";

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
      "ms/day",
      "multiply-adds/day",
      "exp/day",
      "relative error",
      "largest error",
      ...horizons.map(horizonTitle),
    ],
    rows: strategies.map((strategy) => [
      strategy.name,
      formatMilliseconds(strategy.millisecondsPerDay),
      formatCount(strategy.multiplyAddsPerDay),
      formatCount(strategy.exponentialsPerDay),
      formatError(strategy.relativeError),
      formatError(strategy.largestError),
      ...strategy.meanAbsoluteErrors.map(formatBirths),
    ]),
  };
}

/** Certificates of the error budgets and target errors, and the fixed count that each of them has to beat. */
export function budgetTable({ strategies }: ExperimentResult): Table {
  return {
    header: [
      "strategy",
      "largest error",
      "largest bound",
      "violations",
      "bound/distance",
      "cheapest count no worse",
      "work ÷ its work",
    ],
    rows: compareBudgets(strategies).map(({ budget, rival, workRatio }) => {
      const { certificates } = budget;
      return [
        budget.name,
        formatError(budget.largestError),
        formatError(certificates?.largestBound ?? NaN),
        certificates ? `${formatCount(certificates.violations)} of ${formatCount(certificates.given)}` : NONE,
        certificates?.medianRatio?.toFixed(2) ?? NONE,
        rival?.name ?? NONE,
        workRatio === null ? NONE : formatRatio(workRatio),
      ];
    }),
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

/** `2.9e-8`. */
export function formatError(error: number): string {
  return error.toExponential(1);
}

/** `6.1 × less`, of `own` beside `other`; where it costs more, it says so. */
export function formatSaving(own: number, other: number): string {
  const [ratio, word] = own <= other ? [other / own, "less"] : [own / other, "more"];
  return `${ratio < 10 ? Number(ratio.toPrecision(2)) : formatCount(ratio)} × ${word}`;
}

/** Milliseconds with two digits, or with all that are before the point: `0.42`, `7.3`, `120`. */
export function formatMilliseconds(milliseconds: number): string {
  return milliseconds < 99.5 ? milliseconds.toPrecision(2) : formatCount(milliseconds);
}

/** The two are not to be torn apart. */
function horizonTitle(horizon: number): string {
  return `MAE ${horizon}\u00a0d`;
}

/** `164.1`; nothing where no day was judged. */
export function formatBirths(births: number): string {
  return Number.isNaN(births) ? NONE : births.toFixed(1);
}
