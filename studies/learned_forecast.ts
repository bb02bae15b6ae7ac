// Does learning help? The board with learned readouts against the board without, online linear regression and
// the baselines: every model forecasts a day before it may learn from it, over the days that nothing was
// chosen on. What it returns is plain data.

import type { BackendName } from "../src/backends/select.ts";
import { type Interval, MAE, type MetricOptions, RunningMean } from "../src/learning/mod.ts";
import { baselines } from "./baselines.ts";
import { type BirthsDay, loadBirths } from "./births.ts";
import { BoardRows, HORIZONS, lastDayOf, LEARNT_DAYS, QUERY_COUNT } from "./board_rows.ts";
import { exactBoard } from "./exact_board.ts";
import { LearnedBoard, type LearnedBoardSettings, SETTINGS } from "./learned_board.ts";
import { NearestNeighbours } from "./nearest_neighbours.ts";
import { RecursiveLeastSquares, REGRESSION, regressionFeatures } from "./linear_regression.ts";
import type { Forecaster } from "./metrics.ts";

/** Learning starts on this day; the days before it are only remembered. */
export const FIRST_LEARNED = 700;
/** Constants were chosen by the errors from this day on, up to the first that is judged. */
const FIRST_CHOSEN_ON = 1200;

export interface LearnedForecastOptions {
  /** Days that are judged, from the first that nothing was chosen on. */
  readonly days: number;
  readonly backend: BackendName;
  readonly settings?: LearnedBoardSettings;
  /** Learning starts on this day; `FIRST_LEARNED` unless given. */
  readonly firstLearned?: number;
}

/** Mean absolute errors of a model, births a day, one number a horizon. */
export interface ModelErrors {
  readonly name: string;
  readonly errors: readonly number[];
}

/** By how much the learned board's absolute error is below another's, day by day. */
export interface Gain {
  readonly over: string;
  /** Mean and 95 % interval by means of long batches of days, one per horizon. */
  readonly gains: readonly { readonly mean: number; readonly interval: Interval }[];
}

export interface LearnedForecast {
  readonly days: number;
  readonly firstDate: string;
  readonly lastDate: string;
  readonly horizons: readonly number[];
  /** The learned board first. */
  readonly models: readonly ModelErrors[];
  readonly gains: readonly Gain[];
  /** The final weights of the three heads in each horizon's forecast. */
  readonly readouts: readonly (readonly number[])[];
  /** For each judged day and model, what was forecast a day ahead: for a picture. */
  readonly series: {
    readonly dates: readonly string[];
    readonly births: readonly number[];
    /**
     * Mean absolute errors at the first horizon, fading by half a year, of the learned board and of the plain
     * one.
     */
    readonly learnedError: readonly number[];
    readonly plainError: readonly number[];
  };
  readonly elapsedMilliseconds: number;
}

export const LEARNED = "board with learned readouts", PLAIN = "board without learning";
const REGRESSION_NAME = "online linear regression", NEIGHBOURS_NAME = "nearest neighbours";

/** Runs all models over the repository's file. */
export async function learnedForecast(
  options: LearnedForecastOptions,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<LearnedForecast> {
  const start = performance.now();
  const { days, backend, settings = SETTINGS, firstLearned = FIRST_LEARNED } = options;
  const file = (await loadBirths()).slice(0, LEARNT_DAYS + days);
  const births = file.map((day) => day.births);
  const rows = new BoardRows(file);
  const learned = await learnedForecaster(rows, firstLearned, backend, settings, onProgress);
  const models: [name: string, forecast: Forecaster][] = [
    [LEARNED, learned.forecast],
    [PLAIN, plainForecaster(rows, days)],
    [REGRESSION_NAME, regressionForecaster(rows)],
    [NEIGHBOURS_NAME, neighboursForecaster(rows)],
    ...baselines(births).map(({ name, forecast }) => [name, forecast] as [string, Forecaster]),
  ];
  const judged = Array.from({ length: days }, (_, at) => LEARNT_DAYS + at);
  const errorOf = (forecast: Forecaster, day: number, horizon: number) =>
    Math.abs(births[day] - forecast(day - horizon, horizon));
  // As the experiment without learning judges it: from the first origin that knows all days nothing is judged
  // on.
  const daysOf = (horizon: number) => judged.filter((day) => day - horizon >= lastDayOf(0));
  return {
    days,
    firstDate: file[judged[0]].date,
    lastDate: file[judged[days - 1]].date,
    horizons: HORIZONS,
    models: models.map(([name, forecast]) => ({
      name,
      errors: HORIZONS.map((horizon) => {
        const metric = new MAE();
        for (const day of daysOf(horizon)) metric.update(births[day], forecast(day - horizon, horizon));
        return metric.get();
      }),
    })),
    // The others are far off.
    gains: models.slice(1, 4).map(([over, forecast]) => ({
      over,
      gains: HORIZONS.map((horizon) => {
        const mean = new RunningMean();
        for (const day of daysOf(horizon)) {
          mean.add(errorOf(forecast, day, horizon) - errorOf(learned.forecast, day, horizon));
        }
        return { mean: mean.mean, interval: mean.interval({ method: "batchMeans" }) };
      }),
    })),
    readouts: learned.readouts,
    series: seriesOf(file, judged, learned.forecast, models[1][1]),
    elapsedMilliseconds: performance.now() - start,
  };
}

/** Mean absolute errors, one per horizon, on the days that constants are chosen on. */
export async function errorsToChooseBy(
  backend: BackendName,
  settings: LearnedBoardSettings,
): Promise<number[]> {
  const file = (await loadBirths()).slice(0, LEARNT_DAYS);
  const { forecast } = await learnedForecaster(new BoardRows(file), FIRST_LEARNED, backend, settings);
  return HORIZONS.map((horizon) => {
    const metric = new MAE();
    for (let day = FIRST_CHOSEN_ON; day < LEARNT_DAYS; day++) {
      metric.update(file[day].births, forecast(day - horizon, horizon));
    }
    return metric.get();
  });
}

/** Forecasts of a learned board, each made before the days after its origin were learned from. */
async function learnedForecaster(
  rows: BoardRows,
  firstLearned: number,
  backend: BackendName,
  settings: LearnedBoardSettings,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<{ readonly forecast: Forecaster; readonly readouts: number[][] }> {
  const count = rows.days.length;
  const forecasts = HORIZONS.map(() => new Float64Array(count).fill(NaN));
  await using board = await LearnedBoard.create(rows, firstLearned - 1, backend, settings);
  while (board.last < count - 1) {
    for (const [at, horizon] of HORIZONS.entries()) {
      if (board.last + horizon < count) forecasts[at][board.last] = await board.forecast(at);
    }
    await board.observe();
    onProgress(board.last - firstLearned + 1, count - firstLearned);
  }
  return {
    forecast: (origin, horizon) => forecasts[HORIZONS.indexOf(horizon)][origin],
    readouts: HORIZONS.map((_, at) => board.readout(at)),
  };
}

/** The board of the experiment without learning, in float64. */
function plainForecaster(rows: BoardRows, days: number): Forecaster {
  const outputs = exactBoard(rows, days);
  return (origin, horizon) =>
    outputs[(origin - lastDayOf(0)) * QUERY_COUNT + horizon - 1] * rows.levels[origin];
}

function regressionForecaster(rows: BoardRows): Forecaster {
  const forecasts = HORIZONS.map((horizon) => {
    const ofOrigin = new Float64Array(rows.days.length).fill(NaN);
    let model: RecursiveLeastSquares | null = null;
    // It needs the days of 52 weeks before; from then on it learns from each.
    for (let day = 400; day < rows.days.length; day++) {
      const x = regressionFeatures(rows, day, horizon);
      model ??= new RecursiveLeastSquares(x.length, REGRESSION);
      model.learnOne(x, rows.days[day].births / rows.levels[day - horizon] - 1);
      if (day + horizon >= rows.days.length) continue;
      ofOrigin[day] = (1 + model.predictOne(regressionFeatures(rows, day + horizon, horizon))) *
        rows.levels[day];
    }
    return ofOrigin;
  });
  return (origin, horizon) => forecasts[HORIZONS.indexOf(horizon)][origin];
}

function neighboursForecaster(rows: BoardRows): Forecaster {
  const models = HORIZONS.map((horizon) => new NearestNeighbours(rows, horizon));
  const known = HORIZONS.map(() => new Map<number, number>());
  return (origin, horizon) => {
    const at = HORIZONS.indexOf(horizon);
    const forecast = known[at].get(origin) ?? models[at].forecast(origin);
    known[at].set(origin, forecast);
    return forecast;
  };
}

function seriesOf(
  file: readonly BirthsDay[],
  judged: readonly number[],
  learned: Forecaster,
  plain: Forecaster,
): LearnedForecast["series"] {
  const fading: MetricOptions = { halfLife: 182 };
  const [horizon] = HORIZONS;
  const course = (forecast: Forecaster) => {
    const metric = new MAE(fading);
    return judged.map((day) => {
      metric.update(file[day].births, forecast(day - horizon, horizon));
      return metric.get();
    });
  };
  return {
    dates: judged.map((day) => file[day].date),
    births: judged.map((day) => file[day].births),
    learnedError: course(learned),
    plainError: course(plain),
  };
}
