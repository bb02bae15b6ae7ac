// Daily births in the United States, 1969-1988: the stream of the forecast board.

import { parseCsv } from "deno-std/csv";
import { dayNumber, weekday } from "./calendar_features.ts";

/** One observed day. */
export interface BirthsDay {
  /** ISO date, `1969-01-01`. */
  readonly date: string;
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** 1 to 31. */
  readonly day: number;
  /** 1 = Monday to 7 = Sunday. */
  readonly weekday: number;
  readonly births: number;
}

const FILE = new URL("../notebooks/data/us-births-1969-1988.csv", import.meta.url);
const HEADER = ["year", "month", "date_of_month", "day_of_week", "births"];

/** Reads and checks the file of the repository; needs read permission. */
export async function loadBirths(): Promise<BirthsDay[]> {
  return parseBirths(await Deno.readTextFile(FILE));
}

/**
 * The days of a CSV text with the columns year, month, date_of_month, day_of_week, births.
 *
 * @throws {Error} when a row is malformed, contradicts the calendar or does not follow the day before it.
 */
export function parseBirths(text: string): BirthsDay[] {
  const [header, ...lines] = parseCsv(text);
  if (header?.join() !== HEADER.join()) {
    throw new Error(`parseBirths: header is "${header?.join() ?? ""}", expected "${HEADER.join()}"`);
  }
  if (lines.length === 0) throw new Error("parseBirths: no day follows the header, expected at least one");

  const days: BirthsDay[] = [];
  for (const [index, fields] of lines.entries()) {
    const day = parseDay(fields, index + 2);
    const previous = days.at(-1);
    if (previous !== undefined && dayNumber(day) !== dayNumber(previous) + 1) {
      throw new Error(
        `parseBirths: line ${index + 2} is ${day.date}, expected the day after ${previous.date}`,
      );
    }
    days.push(day);
  }
  return days;
}

function parseDay(fields: string[], line: number): BirthsDay {
  const shown = `parseBirths: line ${line} is "${fields.join()}"`;
  if (fields.length !== HEADER.length || !fields.every((field) => /^\d{1,9}$/.test(field))) {
    throw new Error(`${shown}, expected ${HEADER.length} whole numbers`);
  }
  const [year, month, day, givenWeekday, births] = fields.map(Number);
  const date = [String(year).padStart(4, "0"), String(month).padStart(2, "0"), String(day).padStart(2, "0")]
    .join("-");
  // Date.UTC rolls February 30 over into March: only a real date survives the round trip.
  const time = Date.UTC(year, month - 1, day);
  if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== date) {
    throw new Error(`${shown}, expected a date of the calendar`);
  }
  const expectedWeekday = weekday({ year, month, day });
  if (givenWeekday !== expectedWeekday) {
    throw new Error(`${shown}, expected day_of_week ${expectedWeekday} (1 = Monday)`);
  }
  if (births === 0) throw new Error(`${shown}, expected births above 0`);
  return { date, year, month, day, weekday: givenWeekday, births };
}
