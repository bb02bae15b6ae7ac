// Nearest neighbours of a coming day, the rival that remembers and does not learn: the mean share of the
// level that the k remembered days most like it had, by what the calendar says and what was observed up to
// the origin.

import type { BoardRows } from "./board_rows.ts";
import { KEY_COUNT } from "./board_rows.ts";
import { FEATURE_COUNT } from "./calendar_features.ts";
import { regressionFeatures } from "./linear_regression.ts";

/** The constants, chosen on the first 2,500 days alone. */
export interface NeighbourSettings {
  /** k. */
  readonly count: number;
  /** The weight of observed shares of the level beside the calendar, whose entries are from −1 to 1. */
  readonly shareWeight: number;
}

export const NEIGHBOURS: NeighbourSettings = { count: 4, shareWeight: 1 };

/** The first day that has all days it is described by. */
const FIRST_DESCRIBED = 400;

/** The nearest neighbours at one horizon; it remembers as many days as the board. */
export class NearestNeighbours {
  readonly #rows: BoardRows;
  readonly #horizon: number;
  readonly #settings: NeighbourSettings;
  readonly #descriptions: Float64Array[] = [];

  constructor(rows: BoardRows, horizon: number, settings: NeighbourSettings = NEIGHBOURS) {
    this.#rows = rows;
    this.#horizon = horizon;
    this.#settings = settings;
  }

  /** Births forecast for the day `horizon` days after `origin`, from days up to it; O(remembered days). */
  forecast(origin: number): number {
    const { days, levels } = this.#rows, horizon = this.#horizon;
    const asked = this.#describe(origin + horizon);
    const first = Math.max(FIRST_DESCRIBED, origin - KEY_COUNT + 1);
    const distances = new Float64Array(Math.max(0, origin - first + 1));
    for (let at = 0; at < distances.length; at++) distances[at] = distance(this.#describe(first + at), asked);
    // The k-th smallest distance; days at just that distance all count.
    const reach = distances.toSorted()[Math.min(this.#settings.count, distances.length) - 1];
    let sum = 0, found = 0;
    for (let at = 0; at < distances.length; at++) {
      if (distances[at] > reach) continue;
      const day = first + at;
      sum += days[day].births / levels[day - horizon];
      found++;
    }
    return sum / found * levels[origin];
  }

  #describe(day: number): Float64Array {
    return this.#descriptions[day] ??= regressionFeatures(this.#rows, day, this.#horizon).map((feature, c) =>
      c < FEATURE_COUNT ? feature : feature * this.#settings.shareWeight
    );
  }
}

function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += (a[c] - b[c]) ** 2;
  return sum;
}
