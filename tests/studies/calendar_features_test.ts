import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../../testing/assert.ts";
import { type BirthsDay, loadBirths, parseBirths } from "../../studies/births.ts";
import {
  addDays,
  BirthsLevel,
  type CalendarDay,
  dayKind,
  dayNumber,
  FEATURE_COUNT,
  FEATURE_NAMES,
  forecast,
  holiday,
  keyFeatures,
  queryFeatures,
  VALUE_COUNT,
  valueRow,
  weekday,
} from "../../studies/calendar_features.ts";

const HEADER = "year,month,date_of_month,day_of_week,births";

function on(iso: string): CalendarDay {
  const [year, month, day] = iso.split("-").map(Number);
  return { year, month, day };
}

function score(query: string, key: string): number {
  const q = queryFeatures(on(query));
  return keyFeatures(on(key)).reduce((sum, entry, column) => sum + entry * q[column], 0);
}

Deno.test("holiday: known dates in several years", () => {
  const known: Record<string, ReturnType<typeof holiday>> = {
    "1969-01-01": "New Year's Day",
    "1986-01-20": "Martin Luther King Day",
    "1985-01-21": undefined,
    "1970-02-22": "Presidents' Day",
    "1976-02-16": "Presidents' Day",
    "1976-02-22": undefined,
    "1970-05-30": "Memorial Day",
    "1970-05-25": undefined,
    "1971-05-31": "Memorial Day",
    "1988-05-30": "Memorial Day",
    "1976-07-04": "Independence Day",
    "1976-07-05": "Independence Day (observed)",
    "1987-07-03": "Independence Day (observed)",
    "1977-07-05": undefined,
    "1980-09-01": "Labor Day",
    "1987-09-07": "Labor Day",
    "1987-09-14": undefined,
    "1970-10-12": undefined,
    "1975-10-13": "Columbus Day",
    "1975-11-27": "Thanksgiving",
    "1973-11-22": "Thanksgiving",
    "1979-11-22": "Thanksgiving",
    "1979-11-29": undefined,
    "1988-12-25": "Christmas Day",
    "1988-12-26": undefined,
  };
  for (const [date, expected] of Object.entries(known)) assertEquals(holiday(on(date)), expected, date);
});

Deno.test("holiday: each year has each of its holidays once", () => {
  for (let year = 1969; year <= 1989; year++) {
    const counts = new Map<string, number>();
    for (let day = on(`${year}-01-01`); day.year === year; day = addDays(day, 1)) {
      const name = holiday(day);
      if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const observed = [6, 7].includes(weekday(on(`${year}-07-04`)));
    assertEquals(
      counts.size,
      7 + (year >= 1971 ? 1 : 0) + (year >= 1986 ? 1 : 0) + (observed ? 1 : 0),
      `${year}`,
    );
    assert([...counts.values()].every((count) => count === 1), `${year}`);
  }
});

Deno.test("dayKind: days that lean on a holiday", () => {
  const known: Record<string, ReturnType<typeof dayKind>> = {
    "1975-11-27": "holiday",
    "1975-11-28": "bridge",
    "1975-11-29": "ordinary",
    "1975-12-23": "bridge",
    "1975-12-24": "eve",
    "1975-12-31": "yearEnd",
    "1976-01-02": "eve",
    "1976-01-03": "bridge",
    "1976-01-05": "ordinary",
    "1976-02-16": "minorHoliday",
    "1976-07-05": "holiday",
  };
  for (const [date, expected] of Object.entries(known)) assertEquals(dayKind(on(date)), expected, date);
});

Deno.test("date arithmetic: weekdays, leap days and turns of the year", () => {
  assertEquals(weekday(on("1969-01-01")), 3);
  assertEquals(weekday(on("1988-12-25")), 7);
  assertEquals(addDays(on("1972-02-28"), 1), on("1972-02-29"));
  assertEquals(addDays(on("1973-02-28"), 1), on("1973-03-01"));
  assertEquals(addDays(on("1989-01-10"), -11), on("1988-12-30"));
  assertEquals(dayNumber(on("1988-12-31")) - dayNumber(on("1969-01-01")), 7304);
});

Deno.test("features: every row has FEATURE_COUNT finite, moderate entries and no score reaches 60", () => {
  assertEquals(FEATURE_NAMES.length, FEATURE_COUNT);
  assertEquals(new Set(FEATURE_NAMES).size, FEATURE_COUNT);
  let largest = 0;
  for (let day = on("1969-01-01"); day.year < 1990; day = addDays(day, 1)) {
    const key = keyFeatures(day);
    const query = queryFeatures(day);
    assertEquals([key.length, query.length], [FEATURE_COUNT, FEATURE_COUNT]);
    assert(key.every((entry) => Math.abs(entry) <= 21) && query.every((entry) => Math.abs(entry) <= 14));
    // No key scores higher than a day's own: the matches, and the sum of the season's amplitudes.
    largest = Math.max(largest, key.reduce((sum, entry, column) => sum + entry * query[column], 0));
  }
  assert(largest > 30 && largest < 60, `largest score ${largest}`);
});

Deno.test("features: a date has the same season in leap and common years", () => {
  const season = (iso: string) =>
    keyFeatures(on(iso)).filter((_, column) => FEATURE_NAMES[column].startsWith("season"));
  assertEquals(season("1972-12-25"), season("1973-12-25"));
  assertEquals(season("1972-03-01"), season("1973-03-01"));
  assert(season("1972-02-29")[1] !== season("1972-03-01")[1]);
});

Deno.test("features: a query prefers what resembles its day", () => {
  // Same weekday over other weekdays, though the others are as near.
  assert(score("1980-05-14", "1980-05-07") > score("1980-05-14", "1980-05-08") + 5);
  // Newer over older when weekday and date agree.
  assert(score("1980-05-14", "1975-05-14") > score("1980-05-14", "1969-05-14") + 4);
  // Last year's holiday over last week's same weekday, also when it moved or fell on another weekday.
  for (
    const [day, last, plain] of [
      ["1980-11-27", "1979-11-22", "1980-11-20"],
      ["1980-12-25", "1979-12-25", "1980-12-18"],
      ["1980-07-04", "1979-07-04", "1980-06-27"],
      ["1980-09-01", "1979-09-03", "1980-08-25"],
      ["1980-12-30", "1979-12-31", "1980-12-23"],
    ]
  ) assert(score(day, last) > score(day, plain) + 5, day);
  // Its own holiday over another one, which is of the same kind.
  assert(score("1980-12-25", "1979-12-25") > score("1980-12-25", "1980-11-27") + 5);
  // An ordinary day is not misled by a holiday on its weekday.
  assert(score("1980-12-18", "1979-12-20") > score("1980-12-18", "1979-12-25") + 2);
});

Deno.test("level: follows its formula, does not see the weekday and undoes the season", () => {
  const level = new BirthsLevel();
  assertThrows(() => level.value, Error, "expected at least one");
  assertThrows(() => level.observe(Number.NaN), Error, "expected a finite number above 0");
  assertThrows(() => level.observe(0), Error, "expected a finite number above 0");
  level.observe(90);
  level.observe(110);
  assertEquals(level.value, 100);

  const steady = new BirthsLevel();
  for (let t = 0; t < 2600; t++) {
    // Growth by a tenth in 364 days, a season of exactly 364 days and a low Sunday, as products.
    const season = 1 + 0.2 * Math.sin(2 * Math.PI * t / 364);
    steady.observe(1000 * 1.1 ** (t / 364) * season * (t % 7 === 6 ? 0.7 : 1));
    // Measured 28-day mean against the mean of the year around it: growth cancels but for its curvature.
    if (t > 1500) assertAlmostEquals(steady.value / (1000 * 1.1 ** (t / 364) * 6.7 / 7), 1, 0.02);
  }
});

Deno.test("level: agrees with the definition, summed day by day", async () => {
  const births = (await loadBirths()).map((day) => day.births);
  const mean = (end: number, length: number) =>
    births.slice(end - length, end).reduce((sum, count) => sum + count, 0) / length;
  const level = new BirthsLevel();
  for (let count = 1; count <= 3000; count++) {
    level.observe(births[count - 1]);
    if (count % 97 !== 0) continue;
    const shares = [1, 2, 3].filter((k) => count - 364 * k >= 182)
      .map((k) => mean(count - 364 * k, 28) / mean(count - 364 * k + 182, 364));
    const expected = shares.length === 0
      ? mean(count, Math.min(count, 364))
      : mean(count, 28) / (shares.reduce((sum, share) => sum + share) / shares.length);
    assertAlmostEquals(level.value, expected, 1e-6);
  }
});

Deno.test("value rows and forecasts undo each other", () => {
  const row = valueRow(9000, 10_000);
  assertEquals(row, Float32Array.of(0.9));
  assertEquals(row.length, VALUE_COUNT);
  assertAlmostEquals(forecast(row, 12_000), 10_800, 1e-3);
});

Deno.test("births: 7,305 consecutive days", async () => {
  const days = await loadBirths();
  assertEquals(days.length, 7305);
  assertEquals(days[0], { date: "1969-01-01", year: 1969, month: 1, day: 1, weekday: 3, births: 8486 });
  assertEquals(days[7304].date, "1988-12-31");
  for (let t = 1; t < days.length; t++) assertEquals(dayNumber(days[t]), dayNumber(days[0]) + t);
});

Deno.test("births: malformed rows throw and say where", () => {
  assertEquals(parseBirths(`${HEADER}\n1969,1,1,3,8486\n1969,1,2,4,9002\n`).length, 2);
  const malformed: Record<string, string> = {
    "": "header",
    "year,month,births\n1969,1,3": "header",
    [`${HEADER}\n`]: "expected at least one",
    [`${HEADER}\n1969,1,1,3`]: "line 2",
    [`${HEADER}\n1969,1,1,3,many`]: "expected 5 whole numbers",
    [`${HEADER}\n1969,1,1,3,-1`]: "expected 5 whole numbers",
    [`${HEADER}\n1969,1,1,3,`]: "expected 5 whole numbers",
    [`${HEADER}\n1969,1,1,3,0`]: "expected births above 0",
    [`${HEADER}\n1969,2,30,7,8486`]: "expected a date",
    [`${HEADER}\n1969,1,1,4,8486`]: "expected day_of_week 3",
    [`${HEADER}\n1969,1,1,3,8486\n1969,1,3,5,9542`]:
      "line 3 is 1969-01-03, expected the day after 1969-01-01",
    [`${HEADER}\n1969,1,1,3,8486\n1969,1,1,3,8486`]: "line 3",
  };
  for (const [text, message] of Object.entries(malformed)) {
    assertThrows(() => parseBirths(text), Error, message);
  }
});

Deno.test("forecasts: on every 40th unseen day they beat last week's value by a third", async () => {
  const days: BirthsDay[] = await loadBirths();
  const level = new BirthsLevel();
  const keys: Float32Array[] = [];
  const values: Float32Array[] = [];
  const absolute = { board: 0, lastWeek: 0, count: 0 };
  for (const [t, day] of days.entries()) {
    if (t >= 2500 && t % 40 === 0) {
      const predicted = forecast(
        attend(queryFeatures(day), keys.slice(-2400), values.slice(-2400)),
        level.value,
      );
      absolute.board += Math.abs(day.births - predicted);
      absolute.lastWeek += Math.abs(day.births - days[t - 7].births);
      absolute.count++;
    }
    if (t > 0) {
      keys.push(keyFeatures(day));
      values.push(valueRow(day.births, level.value));
    }
    level.observe(day.births);
  }
  assertEquals(absolute.count, 120);
  assert(absolute.board < 2 / 3 * absolute.lastWeek, `${absolute.board} against ${absolute.lastWeek}`);
});

/** Softmax attention of one query, in plain loops. */
function attend(query: Float32Array, keys: Float32Array[], values: Float32Array[]): number[] {
  const scores = keys.map((key) => key.reduce((sum, entry, column) => sum + entry * query[column], 0));
  const shift = Math.max(...scores);
  const weights = scores.map((entry) => Math.exp(entry - shift));
  const mass = weights.reduce((sum, weight) => sum + weight, 0);
  return [weights.reduce((sum, weight, j) => sum + weight * values[j][0], 0) / mass];
}
