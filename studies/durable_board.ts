// The forecast board in a durable folder: each day is one call of a client, on disk before the next one is
// learnt. A process that is killed at any point leaves a board that goes on with the day behind the last one
// that it has.

import type { BackendName } from "../src/backends/select.ts";
import { openDurable } from "../src/durable/mod.ts";
import { BoardRows, KEY_COUNT, lastDayOf, QUERY_COUNT } from "./board_rows.ts";
import { loadBirths } from "./births.ts";
import { type CalendarDay, forecast } from "./calendar_features.ts";

/** What a run is told. */
export interface DurableBoardOptions {
  /** The folder that keeps the board. */
  readonly folder: string;
  /** Days to learn in all, those of runs before included. */
  readonly days: number;
  readonly backend: BackendName;
}

/** What has become of the board. */
export interface DurableBoardResult {
  readonly folder: string;
  /** Days that it had learnt when it was opened. */
  readonly before: number;
  /** Days that it has learnt now. */
  readonly days: number;
  /** The last day observed. */
  readonly lastDate: string;
  /**
   * Mean absolute error of the forecasts for the next day, in births, over the days of this run; null without
   * any.
   */
  readonly meanAbsoluteError: number | null;
  /** Forecasts for the coming days, in births. */
  readonly coming: readonly { readonly date: string; readonly births: number }[];
}

const CLIENT = "board";

/** Learns the days that are missing; `onDay` is told of each. */
export async function runDurableBoard(
  { folder, days, backend }: DurableBoardOptions,
  onDay: (learnt: number, days: number) => void = () => {},
): Promise<DurableBoardResult> {
  const rows = new BoardRows(await loadBirths());
  await using live = await openDurable(folder, {
    create: { ...rows.ofState(0), scale: 1, backend, lazyThreshold: Infinity },
    client: CLIENT,
  });
  const before = live.lastClientSequence();
  let state = before, error = 0;
  const show = async () => (await live.read(querySlotsOf(state))).data;
  while (state < days) {
    const level = rows.levels[lastDayOf(state)], [next] = await show();
    const day = lastDayOf(state + 1), slot = state % KEY_COUNT;
    error += Math.abs(forecast([next], level) - rows.days[day].births);
    // The day that comes takes the slot of the one that goes.
    await live.edit([
      { kind: "delete", slot },
      { kind: "insert", key: rows.key(day), value: rows.value(day) },
      { kind: "setQuery", slot: state % QUERY_COUNT, query: rows.query(day + QUERY_COUNT) },
    ], { clientSequence: state + 1 });
    onDay(++state, days);
  }
  const level = rows.levels[lastDayOf(state)];
  const coming = Array.from(await show(), (output, at) => {
    const date = isoDate(rows.calendarDay(lastDayOf(state) + 1 + at));
    return { date, births: forecast([output], level) };
  });
  const { date: lastDate } = rows.days[lastDayOf(state)];
  const meanAbsoluteError = state > before ? error / (state - before) : null;
  return { folder, before, days: state, lastDate, meanAbsoluteError, coming };
}

/** The query slots in state `state`, that of the next day first: each day the first one goes to the end. */
function querySlotsOf(state: number): number[] {
  return Array.from({ length: QUERY_COUNT }, (_, at) => (state + at) % QUERY_COUNT);
}

function isoDate({ year, month, day }: CalendarDay): string {
  return [String(year), ...[month, day].map((part) => String(part).padStart(2, "0"))].join("-");
}
