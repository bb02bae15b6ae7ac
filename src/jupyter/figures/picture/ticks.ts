/**
 * Round numbers and dates along an axis.
 */

import type { PlainValue } from "../figure_data.ts";

/** A value on an axis and what is written there. */
export interface Tick {
  readonly value: PlainValue;
  readonly label: string;
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const DAY = 86_400_000;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Multiples of 1, 2 or 5 times a power of ten, or of `step` where one is given. */
export function linearTicks(from: number, to: number, room: number, format: string, step: number): Tick[] {
  const wanted = Math.max(2, room);
  const raw = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const chosen = step > 0 ? step : power * ([1, 2, 5].find((factor) => factor * power >= raw) ?? 10);
  const digits = Math.max(0, -Math.floor(Math.log10(chosen) + 1e-9));
  const ticks: Tick[] = [];
  for (let at = Math.ceil(from / chosen - 1e-9); at * chosen <= to + chosen * 1e-9; at++) {
    const value = Number((at * chosen).toFixed(Math.min(20, digits)));
    ticks.push({ value, label: formatTick(value, format, digits) });
  }
  return ticks;
}

/** Powers of ten between two exponents, every one of them or every few. */
export function logTicks(from: number, to: number, format: string, exponent: string): Tick[] {
  const every = Math.max(1, Math.ceil((to - from) / 10));
  const ticks: Tick[] = [];
  for (let power = Math.ceil(from / every - 1e-9) * every; power <= to + 1e-9; power += every) {
    ticks.push({ value: 10 ** power, label: powerLabel(power, format, exponent) });
  }
  if (ticks.length >= 2) return ticks;
  // An axis of hardly more than a decade gets some of the numbers in between as well.
  return [1, 2, 5].flatMap((factor) =>
    Array.from(
      { length: Math.ceil(to) - Math.floor(from) + 1 },
      (_, at) => factor * 10 ** (Math.floor(from) + at),
    )
  ).filter((value) => Math.log10(value) >= from && Math.log10(value) <= to)
    .sort((a, b) => a - b)
    .map((value) => ({ value, label: formatTick(value, format) }));
}

/** Steps within a day, in milliseconds: of thousandths, seconds, minutes and hours. */
const SHORT_STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((seconds) => 1000 * seconds),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => 60_000 * minutes),
  ...[1, 2, 3, 6, 12].map((hours) => 3_600_000 * hours),
];

/** Times of day, or starts of days, months or years. */
export function dateTicks(from: number, to: number, room: number): Tick[] {
  const days = (to - from) / DAY / Math.max(2, room);
  const short = SHORT_STEPS.find((step) => step >= days * DAY);
  if (short !== undefined) return timeTicks(from, to, short);
  if (days <= 14) {
    const step = [1, 2, 7, 14].find((step) => step >= days) ?? 14;
    const ticks: Tick[] = [];
    for (let time = Math.ceil(from / DAY) * DAY; time <= to; time += step * DAY) {
      const date = new Date(time);
      ticks.push({
        value: date.toISOString(),
        label: `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`,
      });
    }
    return ticks;
  }
  const step = [1, 2, 3, 6, 12, 24, 60, 120, 240].find((step) => step * 30.44 >= days) ?? 600;
  const first = new Date(from);
  let month = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / step) * step;
  if (Date.UTC(Math.floor(month / 12), month % 12) < from) month += step;
  const ticks: Tick[] = [];
  for (; Date.UTC(Math.floor(month / 12), month % 12) <= to; month += step) {
    const date = new Date(Date.UTC(Math.floor(month / 12), month % 12));
    const year = String(date.getUTCFullYear());
    ticks.push({
      value: date.toISOString(),
      label: step >= 12 ? year : `${MONTHS[date.getUTCMonth()]} ${year}`,
    });
  }
  return ticks;
}

/** Ticks of times; the first one of each day, and midnight, also show the day. */
function timeTicks(from: number, to: number, step: number): Tick[] {
  const ticks: Tick[] = [];
  let day = "";
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
    const date = new Date(time), value = date.toISOString();
    const clock = value.slice(11, step < 1000 ? 23 : step < 60_000 ? 19 : 16);
    const thisDay = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
    ticks.push({ value, label: thisDay === day ? clock : `${thisDay}, ${clock}` });
    day = thisDay;
  }
  return ticks;
}

/** A number in one of the formats that figures use, `,.0f`, `.0%`, `.1e`, or in as many digits as it needs. */
export function formatTick(value: number, format: string, digits = 6): string {
  const [, comma, precision, kind] = /^(,?)(?:\.(\d))?([fe%])?$/.exec(format) ?? [];
  let text: string;
  if (kind === "%") text = `${(value * 100).toFixed(Number(precision ?? 0))} %`;
  else if (kind === "e") text = value.toExponential(Number(precision ?? 0));
  else if (kind === "f") text = withCommas(value, Number(precision ?? digits), comma === ",");
  else if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e7)) {
    text = value.toExponential().replace("+", "");
  } else text = withCommas(value, digits, comma === ",", true);
  return text.replace(/^-/, "−");
}

function withCommas(value: number, digits: number, useGrouping: boolean, mayEndEarly = false): string {
  const most = Math.min(20, digits);
  return value.toLocaleString("en-US", {
    useGrouping,
    maximumFractionDigits: most,
    minimumFractionDigits: mayEndEarly && digits === 6 ? 0 : most,
  });
}

function powerLabel(power: number, format: string, exponent: string): string {
  if (format !== "") return formatTick(10 ** power, format);
  if (exponent === "SI") {
    const unit = ["", "k", "M", "G", "T", "P"][Math.floor(power / 3)];
    if (unit !== undefined) return `${10 ** (power % 3)}${unit}`;
  }
  const plain = exponent === "power" ? [0, 1] : [-3, 4];
  if (power >= plain[0] && power <= plain[1]) return String(10 ** power);
  const digits = String(Math.abs(power)).replace(/\d/g, (digit) => SUPERSCRIPTS[Number(digit)]);
  return `10${power < 0 ? "⁻" : ""}${digits}`;
}
