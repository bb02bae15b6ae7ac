/**
 * Tells dates, numbers and names on an axis apart as plotly.js does. The rules are those of its `lib/dates.js`,
 * `lib/clean_number.js` and `plots/cartesian/axis_autotype.js`.
 *
 * Invariant: a date is the time that its clock shows, whatever zone it names and wherever it is drawn.
 */

import type { PlainValue } from "../figure_data.ts";

/** How an axis lays out its values. */
export type AxisType = "linear" | "log" | "date" | "category";

const DATE =
  /^\s*(-?\d\d\d\d|\d\d)(-(\d?\d)(-(\d?\d)([ Tt]([01]?\d|2[0-3])(:([0-5]\d)(:([0-5]\d(\.\d+)?))?(Z|z|[+-]\d\d(:?\d\d)?)?)?)?)?)?\s*$/m;
const MINUTE_MS = 60_000;
/** Signs that plotly.js ignores around a number and within it. */
const AROUND_NUMBERS = /^['"%,$#\s]+|[, ]|['"%,$#\s]+$/g;
/** The number of values of a long list that decide the type of an axis. */
const LOOKED_AT = 1000;

/** The time of a date, in milliseconds since 1970 by its own clock; null for what is none. */
export function timeOf(value: PlainValue | undefined): number | null {
  if (typeof value !== "string" && typeof value !== "number") return null;
  const found = DATE.exec(String(value));
  if (found) return timeOfParts(found);
  const number = isNumeric(value) ? Number(value) : NaN;
  // A number is a moment in time, shown in the time zone of the machine that draws it.
  const moment = new Date(number);
  return Number.isNaN(moment.getTime()) ? null : number - moment.getTimezoneOffset() * MINUTE_MS;
}

function timeOfParts(found: RegExpExecArray): number | null {
  const [, year, , month = "1", , day = "1", , hour = "0", , minute = "0", , second = "0"] = found;
  // As in plotly.js, a year with two digits lies in the century that began seventy years ago.
  const first = new Date().getFullYear() - 70;
  const fullYear = year.length === 2 ? (Number(year) + 2000 - first) % 100 + first : Number(year);
  const date = new Date(Date.UTC(2000, Number(month) - 1, Number(day), Number(hour), Number(minute)));
  date.setUTCFullYear(fullYear);
  const isReal = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  return isReal ? date.getTime() + Number(second) * 1000 : null;
}

/** A number, or a text with one, `"1,234"` or `"5 %"` for example; null for anything else. */
export function numberIn(value: PlainValue | undefined): number | null {
  const bare = typeof value === "string" ? value.replace(AROUND_NUMBERS, "") : value;
  return isNumeric(bare) ? Number(bare) : null;
}

function isNumeric(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  return typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value));
}

/** The type that plotly.js gives an axis whose layout names none. */
export function typeOfValues(values: readonly PlainValue[]): AxisType {
  const step = Math.max(1, (values.length - 1) / LOOKED_AT);
  const looked = new Map<string, PlainValue>();
  for (let at = 0; at < values.length; at += step) {
    const value = values[Math.round(at)];
    looked.set(String(value), value);
  }
  let dates = 0, numbers = 0, names = 0, clean = 0;
  for (const value of looked.values()) {
    if (DATE.test(String(value)) && timeOf(value) !== null) dates++;
    if (isNumeric(value)) numbers++;
    if (typeof value === "boolean") names++;
    else if (numberIn(value) !== null) clean++;
    else if (typeof value === "string") names++;
  }
  return dates > 2 * numbers ? "date" : names > 2 * clean ? "category" : "linear";
}
