// Online linear regression of a day's births, the rival that learns as well: recursive least squares with
// forgetting, over what the calendar and the days up to the origin say. One model a horizon, as the board has
// one readout each.

import type { BoardRows } from "./board_rows.ts";
import { FEATURE_COUNT, keyFeatures } from "./calendar_features.ts";

const WEEK = 7;
const YEAR = 52 * WEEK;

/** How a regression forgets, chosen on the first 2,500 days alone. */
export interface RegressionSettings {
  /** Share of what is known that stays a day later. */
  readonly memory: number;
  /** Ridge: how much weights are held to 0 at the start. */
  readonly ridge: number;
}

export const REGRESSION: RegressionSettings = { memory: 0.999, ridge: 0.1 };

/**
 * The features of a forecast h days ahead of day t: the calendar of t as the board's keys have it, but for
 * its year; a constant; and, as shares of the level at the origin, births on the last three days of t's
 * weekday, 52 weeks before t, and on the last two days.
 */
export function regressionFeatures(rows: BoardRows, t: number, horizon: number): Float64Array {
  const origin = t - horizon, level = rows.levels[origin];
  const share = (day: number) => day >= 0 ? rows.days[day].births / level - 1 : 0;
  const newest = t - WEEK * Math.ceil(horizon / WEEK);
  const lags = [newest, newest - WEEK, newest - 2 * WEEK, t - YEAR, origin, origin - 1];
  const calendar = keyFeatures(rows.calendarDay(t)).subarray(0, FEATURE_COUNT - 1);
  return Float64Array.from([1, ...calendar, ...lags.map(share)]);
}

/**
 * Weights w that make Σ memory^age (y − w·x)² + ridge ‖w‖² memory^count least, O(features²) an example.
 *
 * Source: Haykin, "Adaptive Filter Theory", the exponentially weighted recursive least-squares algorithm.
 */
export class RecursiveLeastSquares {
  readonly #memory: number;
  readonly #weights: Float64Array;
  /** The inverse of the weighted correlation of features, row-major. */
  readonly #inverse: Float64Array;

  constructor(featureCount: number, { memory, ridge }: RegressionSettings) {
    this.#memory = memory;
    this.#weights = new Float64Array(featureCount);
    this.#inverse = new Float64Array(featureCount * featureCount);
    for (let c = 0; c < featureCount; c++) this.#inverse[c * featureCount + c] = 1 / ridge;
  }

  predictOne(x: Float64Array): number {
    return x.reduce((sum, feature, c) => sum + feature * this.#weights[c], 0);
  }

  learnOne(x: Float64Array, y: number): void {
    const count = x.length, inverse = this.#inverse, memory = this.#memory;
    const projected = new Float64Array(count);
    for (let a = 0; a < count; a++) {
      for (let b = 0; b < count; b++) projected[a] += inverse[a * count + b] * x[b];
    }
    const scale = memory + x.reduce((sum, feature, c) => sum + feature * projected[c], 0);
    const error = y - this.predictOne(x);
    for (let a = 0; a < count; a++) {
      const gain = projected[a] / scale;
      this.#weights[a] += gain * error;
      for (let b = 0; b <= a; b++) {
        // Kept symmetric, or rounding would make it something else than an inverse.
        const entry = (inverse[a * count + b] - gain * projected[b]) / memory;
        inverse[a * count + b] = inverse[b * count + a] = entry;
      }
    }
  }
}
