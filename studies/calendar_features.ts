// The features of a day on the forecast board. With key row k(s) of a past day, query row q(t) of a coming
// one and value row v(s) = births / level of the days before s, the forecast is
//
//     births(t) ≈ level now × Σ_s softmax_s(q(t)·k(s)) v(s)          (scale 1: the bandwidths are in the query)
//
// Keys are plain descriptions, one-hot where they can be. The query says how much each description counts, so
// an ordinary Tuesday and a Christmas Day weigh the same past differently, and no row has to change once it
// is inserted.

/** A day of the Gregorian calendar: month 1 to 12, day 1 to 31. */
export interface CalendarDay {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

export type Holiday =
  | "New Year's Day"
  | "Martin Luther King Day"
  | "Presidents' Day"
  | "Memorial Day"
  | "Independence Day"
  | "Independence Day (observed)"
  | "Labor Day"
  | "Columbus Day"
  | "Thanksgiving"
  | "Christmas Day";

/** How a day of its kind departs from its weekday; the season tells two holidays of one kind apart. */
export type DayKind = "ordinary" | "holiday" | "minorHoliday" | "eve" | "bridge" | "yearEnd";

// Every constant of this file was chosen on the first 2,500 days alone (mean absolute error over horizons 1,
// 7 and 28, days 1,200 to 2,499) and rounded.

/**
 * The score of a query with a key of the same weekday, of the same part of the week, and of the same kind.
 */
const ORDINARY_MATCH = { weekday: 8, partOfWeek: 0, kind: 2 };
const SPECIAL_MATCH = { weekday: 1, partOfWeek: 4, kind: 14 };
/** Amplitudes of the first, second and third harmonic of the year: together a kernel of about 9 days. */
const SEASON = [8, 6, 5];
/** A special day has to tell Christmas from New Year's Day, and finds few of its kind. */
const SPECIAL_SEASON_FACTOR = 1.2;
/** How much a year of age takes from a score. */
const RECENCY_PER_YEAR = { ordinary: 0.75, special: 0.5 };

const EPOCH = dayNumber({ year: 1969, month: 1, day: 1 });
const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const KINDS: readonly DayKind[] = ["ordinary", "holiday", "minorHoliday", "eve", "bridge", "yearEnd"];
const MONDAY = 1;
const THURSDAY = 4;
const FRIDAY = 5;
const SATURDAY = 6;

const KIND_COLUMN = WEEKDAYS.length;
const SEASON_COLUMN = KIND_COLUMN + KINDS.length;
const RECENCY_COLUMN = SEASON_COLUMN + 2 * SEASON.length;

/** The meaning of each column of a key row. */
export const FEATURE_NAMES: readonly string[] = [
  ...WEEKDAYS,
  ...KINDS,
  ...SEASON.flatMap((_, index) => [`season cosine ${index + 1}`, `season sine ${index + 1}`]),
  "years since 1969",
];
export const FEATURE_COUNT = FEATURE_NAMES.length;

/**
 * A value row holds one number, so the engine's bound on an output is, times the level, a bound in births.
 */
export const VALUE_COUNT = 1;

/** Days since 1970-01-01, in UTC: no time zone and no daylight saving enters. */
export function dayNumber(day: CalendarDay): number {
  return Date.UTC(day.year, day.month - 1, day.day) / 86_400_000;
}

/** The calendar day `count` days after (before, when negative) a day. */
export function addDays(day: CalendarDay, count: number): CalendarDay {
  const date = new Date(Date.UTC(day.year, day.month - 1, day.day + count));
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

/** 1 = Monday to 7 = Sunday. */
export function weekday(day: CalendarDay): number {
  return new Date(Date.UTC(day.year, day.month - 1, day.day)).getUTCDay() || 7;
}

/** The holiday of a day in the United States, by the law of its year; `undefined` on all other days. */
export function holiday(day: CalendarDay): Holiday | undefined {
  const { year, month } = day;
  const date = day.day;
  // The Uniform Monday Holiday Act moved three holidays to Mondays from 1971 on.
  const mondays = year >= 1971;
  const isMonday = weekday(day) === MONDAY;
  switch (month) {
    case 1:
      if (date === 1) return "New Year's Day";
      return year >= 1986 && isMonday && isNthOfMonth(date, 3) ? "Martin Luther King Day" : undefined;
    case 2:
      return (mondays ? isMonday && isNthOfMonth(date, 3) : date === 22) ? "Presidents' Day" : undefined;
    case 5:
      return (mondays ? isMonday && date > 31 - 7 : date === 30) ? "Memorial Day" : undefined;
    case 7:
      if (date === 4) return "Independence Day";
      return (date === 3 && weekday(day) === FRIDAY) || (date === 5 && isMonday)
        ? "Independence Day (observed)"
        : undefined;
    case 9:
      return isMonday && isNthOfMonth(date, 1) ? "Labor Day" : undefined;
    case 10:
      return mondays && isMonday && isNthOfMonth(date, 2) ? "Columbus Day" : undefined;
    case 11:
      return weekday(day) === THURSDAY && isNthOfMonth(date, 4) ? "Thanksgiving" : undefined;
    case 12:
      return date === 25 ? "Christmas Day" : undefined;
    default:
      return undefined;
  }
}

/** Whether a date is the n-th of its weekday in its month. */
function isNthOfMonth(date: number, n: number): boolean {
  return Math.ceil(date / 7) === n;
}

/** The kind of a day: its holiday's, or that of a day that leans on one. */
export function dayKind(day: CalendarDay): DayKind {
  switch (holiday(day)) {
    case undefined:
      return kindBesideHoliday(day);
    case "Martin Luther King Day":
    case "Presidents' Day":
    case "Columbus Day":
      return "minorHoliday";
    default:
      return "holiday";
  }
}

function kindBesideHoliday(day: CalendarDay): DayKind {
  const date = day.day;
  if (day.month === 1) return date === 2 ? "eve" : date <= 4 ? "bridge" : "ordinary";
  if (day.month === 12) {
    if (date === 24) return "eve";
    if (date === 23 || date === 26) return "bridge";
    // A child born before the year ends counts for that year's taxes.
    return date >= 27 ? "yearEnd" : "ordinary";
  }
  return holiday(addDays(day, -1)) === "Thanksgiving" ? "bridge" : "ordinary";
}

/** The key row of an observed day: what the day is. */
export function keyFeatures(day: CalendarDay): Float32Array {
  const row = new Float32Array(FEATURE_COUNT);
  row[weekday(day) - 1] = 1;
  row[KIND_COLUMN + KINDS.indexOf(dayKind(day))] = 1;
  writeSeason(row, day, 1);
  row[RECENCY_COLUMN] = (dayNumber(day) - EPOCH) / 365.25;
  return row;
}

/**
 * The query row of a day to be forecast: what counts for it. The age of a key enters as `rate × years since
 * 1969`; it differs from `−rate × age` by a constant of the row, which softmax does not see.
 */
export function queryFeatures(day: CalendarDay): Float32Array {
  const row = new Float32Array(FEATURE_COUNT);
  const own = weekday(day);
  const kind = dayKind(day);
  const special = kind !== "ordinary";
  const match = special ? SPECIAL_MATCH : ORDINARY_MATCH;
  for (let other = 1; other <= WEEKDAYS.length; other++) {
    if (isWeekend(other) === isWeekend(own)) row[other - 1] = match.partOfWeek;
  }
  row[own - 1] += match.weekday;
  row[KIND_COLUMN + KINDS.indexOf(kind)] = match.kind;
  writeSeason(row, day, special ? SPECIAL_SEASON_FACTOR : 1, SEASON);
  row[RECENCY_COLUMN] = special ? RECENCY_PER_YEAR.special : RECENCY_PER_YEAR.ordinary;
  return row;
}

function isWeekend(weekdayNumber: number): boolean {
  return weekdayNumber >= SATURDAY;
}

function writeSeason(row: Float32Array, day: CalendarDay, factor: number, amplitudes = SEASON.map(() => 1)) {
  // Counted in a leap year, so that a date has one angle in all years.
  const ofYear = dayNumber({ ...day, year: 1972 }) - dayNumber({ year: 1972, month: 1, day: 1 });
  const angle = 2 * Math.PI * ofYear / 366;
  for (const [index, amplitude] of amplitudes.entries()) {
    row[SEASON_COLUMN + 2 * index] = factor * amplitude * Math.cos((index + 1) * angle);
    row[SEASON_COLUMN + 2 * index + 1] = factor * amplitude * Math.sin((index + 1) * angle);
  }
}

/** The value row of an observed day; `level` is the level as it stood before that day. */
export function valueRow(births: number, level: number): Float32Array {
  return Float32Array.of(births / level);
}

/** Births forecast from a row of the attention's output and the level as it stands now. */
export function forecast(output: ArrayLike<number>, level: number): number {
  return output[0] * level;
}

// 364 days are 52 whole weeks, so every mean below holds each weekday equally often.
const YEAR = 364;
const RECENT = 28;
const SEASONS = 3;

/**
 * The level of births, free of the season and the weekday, from the days observed so far:
 *
 *     level = mean of the last 28 days / mean over up to three earlier years of their seasonal share
 *     share of a year = mean of the 28 days 364·k days ago / mean of the 364 days around them
 *
 * Until a first share is known it is the mean of at most 364 days. O(1) a day; it keeps one number a day.
 */
export class BirthsLevel {
  /** `sums[t]` is the total of the first t days: whole numbers, so differences are exact. */
  readonly #sums: number[] = [0];

  /** Takes in the next day. */
  observe(births: number): void {
    if (!(births > 0 && Number.isFinite(births))) {
      throw new Error(`BirthsLevel.observe: births is ${births}, expected a finite number above 0`);
    }
    this.#sums.push(this.#sums[this.#sums.length - 1] + births);
  }

  /** The level as of the last day observed. */
  get value(): number {
    const count = this.#sums.length - 1;
    if (count === 0) throw new Error("BirthsLevel.value: no day was observed, expected at least one");
    let shares = 0;
    let years = 0;
    for (let k = 1; k <= SEASONS; k++) {
      const then = count - k * YEAR;
      const around = then + YEAR / 2;
      if (around < YEAR) break;
      shares += this.#mean(then, RECENT) / this.#mean(around, YEAR);
      years++;
    }
    return years === 0
      ? this.#mean(count, Math.min(count, YEAR))
      : this.#mean(count, RECENT) * years / shares;
  }

  /** Mean of the `length` days that end with the `count`-th. */
  #mean(count: number, length: number): number {
    return (this.#sums[count] - this.#sums[count - length]) / length;
  }
}
