// The rows of the forecast board, by day. Day t is the t-th of the file, from 0 on; state i of the board is
// the one in which the days up to `lastDayOf(i)` are observed and the days after it are asked for. No row
// looks ahead: the value of a day is taken relative to the level before it, the forecast uses the level of
// the last day observed.

import type { BirthsDay } from "./births.ts";
import {
  addDays,
  BirthsLevel,
  type CalendarDay,
  keyFeatures,
  queryFeatures,
  valueRow,
} from "./calendar_features.ts";

/** m: the coming days that stand on the board. */
export const QUERY_COUNT = 56;
/** n: the observed days that it remembers. */
export const KEY_COUNT = 2400;
/** Days that are only learnt from; the constants of the features were chosen on them. */
export const LEARNT_DAYS = 2500;
/** How many days ahead a forecast is scored. */
export const HORIZONS: readonly number[] = [1, 7, 28];

/** The last day observed in state `state`. */
export function lastDayOf(state: number): number {
  return LEARNT_DAYS - 1 + state;
}

/** Key, value and query rows of the days of a file. */
export class BoardRows {
  readonly days: readonly BirthsDay[];
  /** `levels[t]` is the level once day t is observed. */
  readonly levels: Float64Array;

  constructor(days: readonly BirthsDay[]) {
    const level = new BirthsLevel();
    this.days = days;
    this.levels = Float64Array.from(days, ({ births }) => {
      level.observe(births);
      return level.value;
    });
  }

  key(t: number): Float32Array {
    return keyFeatures(this.days[t]);
  }

  /** t ≥ 1: before day 0 there is no level. */
  value(t: number): Float32Array {
    return valueRow(this.days[t].births, this.levels[t - 1]);
  }

  /** t may lie beyond the file. */
  query(t: number): Float32Array {
    return queryFeatures(this.calendarDay(t));
  }

  /** t may lie beyond the file. */
  calendarDay(t: number): CalendarDay {
    return t < this.days.length ? this.days[t] : addDays(this.days[0], t);
  }

  /** Queries, keys and values of state `state`, the earliest day first. */
  ofState(state: number): { query: Float32Array[]; key: Float32Array[]; value: Float32Array[] } {
    const last = lastDayOf(state);
    const observed = Array.from({ length: KEY_COUNT }, (_, j) => last - KEY_COUNT + 1 + j);
    return {
      query: Array.from({ length: QUERY_COUNT }, (_, i) => this.query(last + 1 + i)),
      key: observed.map((t) => this.key(t)),
      value: observed.map((t) => this.value(t)),
    };
  }
}
