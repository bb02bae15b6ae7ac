// The experiment: the board of daily births under every strategy. What it returns is plain data; all of it
// but the times follows from the sources and the options.

import type { BackendName } from "../src/backends/select.ts";
import { type Audit, audit, drawStates } from "./audit.ts";
import { baselines } from "./baselines.ts";
import { type BirthsDay, loadBirths } from "./births.ts";
import { BoardRows, HORIZONS, KEY_COUNT, lastDayOf, LEARNT_DAYS, QUERY_COUNT } from "./board_rows.ts";
import { median } from "simple-statistics";
import type { CertificateRecord } from "./certificates.ts";
import { exactBoard } from "./exact_board.ts";
import { meanAbsoluteError, relativeError } from "./metrics.ts";
import { type Family, strategyName, sweepStrategies } from "./strategies.ts";
import type { RunOutcome } from "./strategy_run.ts";
import { runSweep, type SweepProgress } from "./sweep.ts";

export interface ExperimentOptions {
  readonly thresholds: readonly number[];
  /** Error budgets and target errors, in units of the output. */
  readonly errors: readonly number[];
  /** Days to run over, from the first that is not only learnt from. */
  readonly days: number;
  readonly backend: BackendName;
  readonly seed: number;
  /** Milliseconds of a day under each strategy of the sweep, from `timeStrategies`; without them there are no times. */
  readonly times?: readonly number[];
}

/** The cost and the accuracy of a strategy. */
export interface StrategyResult {
  readonly name: string;
  readonly family: Family;
  readonly threshold: number | null;
  readonly error: number | null;
  /** Days that it was run over; a few where every day is alike. */
  readonly days: number;
  readonly multiplyAddsPerDay: number;
  readonly exponentialsPerDay: number;
  /** NaN where it was not timed. */
  readonly millisecondsPerDay: number;
  /** ‖read − exact‖₂ / ‖exact‖₂ over all readings. */
  readonly relativeError: number;
  /** max |read − exact|, where 1 is the level of births. */
  readonly largestError: number;
  /** The certificates of its readings; null where it gives none. */
  readonly certificates: CertificateResult | null;
  /** Births a day, one number a horizon; NaN when it was not run over all days. */
  readonly meanAbsoluteErrors: readonly number[];
}

export interface CertificateResult {
  /** One a row of a reading. */
  readonly given: number;
  /** Rows that were further from exact than their bound. */
  readonly violations: number;
  readonly largestBound: number;
  /** Median of bound / distance from exact, over rows that are stale; null when none was. */
  readonly medianRatio: number | null;
}

export interface BaselineResult {
  readonly name: string;
  readonly meanAbsoluteErrors: readonly number[];
}

export interface ExperimentResult {
  readonly days: number;
  readonly firstDate: string;
  readonly lastDate: string;
  readonly backend: string;
  readonly queryCount: number;
  readonly keyCount: number;
  readonly horizons: readonly number[];
  /** Over the days run over. */
  readonly meanBirths: number;
  readonly strategies: readonly StrategyResult[];
  readonly baselines: readonly BaselineResult[];
  readonly audit: Audit;
  readonly elapsedMilliseconds: number;
}

/** The days run over, for the picture of the forecast. */
export interface ForecastSeries {
  readonly dates: readonly string[];
  readonly births: readonly number[];
  /** One list a horizon: what was forecast for each date, null where no forecast was made for it. */
  readonly forecasts: readonly (readonly (number | null)[])[];
}

export interface Experiment {
  readonly result: ExperimentResult;
  readonly series: ForecastSeries;
}

const AUDITED_STATES = 8;

/** How many days of `file` there are to run over. */
export function availableDays(file: readonly BirthsDay[]): number {
  return file.length - LEARNT_DAYS;
}

/** Runs the experiment over the repository's file. */
export async function runExperiment(
  options: ExperimentOptions,
  onProgress: (progress: SweepProgress) => void,
): Promise<Experiment> {
  const start = performance.now();
  const { days, backend, seed } = options;
  const file = await loadBirths();
  const rows = new BoardRows(file);
  const exact = exactBoard(rows, days + 1);
  const strategies = sweepStrategies(options.thresholds, options.errors);
  const audited = drawStates(seed, AUDITED_STATES, days + 1);
  const outcomes = await runSweep({ births: file, exact, strategies, days, backend, audited }, onProgress);

  const births = file.map((day) => day.births);
  const exactOutcome = outcomes[strategies.findIndex(({ family }) => family === "exact")];
  const scored = file.slice(LEARNT_DAYS, LEARNT_DAYS + days);
  return {
    result: {
      days,
      firstDate: scored[0].date,
      lastDate: scored[days - 1].date,
      backend: exactOutcome.backend,
      queryCount: QUERY_COUNT,
      keyCount: KEY_COUNT,
      horizons: HORIZONS,
      meanBirths: scored.reduce((sum, day) => sum + day.births, 0) / days,
      strategies: strategies.map((strategy, at) => ({
        name: strategyName(strategy),
        ...strategy,
        ...toMeasures(outcomes[at], births, days),
        millisecondsPerDay: options.times?.[at] ?? NaN,
      })),
      baselines: baselines(births).map(({ name, forecast }) => ({
        name,
        meanAbsoluteErrors: HORIZONS.map((horizon) =>
          meanAbsoluteError(births, forecast, { first: lastDayOf(0), count: days, horizon })
        ),
      })),
      audit: audit(seed, rows, exactOutcome.readings, exact),
      elapsedMilliseconds: performance.now() - start,
    },
    series: toSeries(scored, exactOutcome.forecasts),
  };
}

function toMeasures(outcome: RunOutcome, births: readonly number[], allDays: number) {
  const { days, forecasts, deviation, certificates } = outcome;
  const first = lastDayOf(0);
  return {
    days,
    multiplyAddsPerDay: outcome.multiplyAdds / days,
    exponentialsPerDay: outcome.exponentials / days,
    relativeError: relativeError(deviation),
    largestError: deviation.largest,
    certificates: certificates && toCertificateResult(certificates),
    meanAbsoluteErrors: HORIZONS.map((horizon, at) =>
      days < allDays
        ? NaN
        : meanAbsoluteError(births, (origin) => forecasts[(origin - first) * HORIZONS.length + at], {
          first,
          count: days,
          horizon,
        })
    ),
  };
}

function toCertificateResult(
  { given, violations, largestBound, ratios }: CertificateRecord,
): CertificateResult {
  return { given, violations, largestBound, medianRatio: ratios.length === 0 ? null : median([...ratios]) };
}

function toSeries(scored: readonly BirthsDay[], forecasts: Float64Array): ForecastSeries {
  return {
    dates: scored.map((day) => day.date),
    births: scored.map((day) => day.births),
    // The forecast for the day at `index` was made `horizon − 1` days before it was its turn to be learnt.
    forecasts: HORIZONS.map((horizon, at) =>
      scored.map((_, index) => {
        const origin = index - horizon + 1;
        return origin < 0 ? null : forecasts[origin * HORIZONS.length + at];
      })
    ),
  };
}
