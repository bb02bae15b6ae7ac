/**
 * One axis: from values to places along it, and its ticks.
 *
 * Invariant: a place is a share of the axis's length, 0 at its start (left, bottom) and 1 at its end.
 */

import type { PlainObject, PlainValue } from "../figure_data.ts";
import { UNPAINTED } from "../palette.ts";
import { listOf, numberOf, pairOf, textOf, titleOf } from "./plain_reader.ts";
import { type AxisType, numberIn, timeOf, typeOfValues } from "./axis_values.ts";
import { dateTicks, formatTick, linearTicks, logTicks, type Tick } from "./ticks.ts";

const DAY_MS = 86_400_000;

/** An axis of a layout, for the values that traces have along it. */
export class Axis {
  /** The part of the picture's width or height that it takes. */
  readonly domain: readonly [number, number];
  readonly title: string;
  readonly isVisible: boolean;
  readonly hasGrid: boolean;
  readonly gridColor: string;
  readonly type: AxisType;
  readonly #layout: PlainObject;
  readonly #categories: readonly string[];
  readonly #from: number;
  readonly #to: number;
  /** The least distance of two places of bars or cells; 0 where there are none. */
  readonly leastStep: number;

  /**
   * `values` of all traces; `isPadded` leaves room for markers at the ends, `fromZero` includes 0, `hasCells` leaves
   * room for half a bar or cell at either end. Along the places of bars there is a grid only where the layout asks for
   * it: `hasBars`.
   */
  constructor(
    layout: PlainObject,
    values: readonly PlainValue[],
    options: {
      readonly isPadded: boolean;
      readonly fromZero: boolean;
      readonly hasCells: boolean;
      readonly hasBars?: boolean;
    },
  ) {
    this.#layout = layout;
    this.domain = pairOf(layout.domain) ?? [0, 1];
    this.title = titleOf(layout.title);
    this.isVisible = layout.visible !== false && layout.showticklabels !== false;
    this.hasGrid = layout.visible !== false &&
      (options.hasBars ? layout.showgrid === true : layout.showgrid !== false);
    this.gridColor = textOf(layout.gridcolor, UNPAINTED.grid);
    this.type = typeOf(layout, values);
    this.#categories = this.type === "category" ? [...new Set(values.filter(isThere).map(String))] : [];
    this.leastStep = options.hasCells ? this.#leastStep(values) : 0;
    [this.#from, this.#to] = this.#rangeOf(values, options);
  }

  /** Where a value lies, or null where it has no place. */
  placeOf(value: PlainValue | undefined): number | null {
    const number = this.numberOf(value);
    return number === null ? null : this.placeAt(number);
  }

  /** Where a number lies that {@link numberOf} gave, or one between such numbers. */
  placeAt(number: number): number {
    return (number - this.#from) / (this.#to - this.#from);
  }

  /** The share of the axis that a bar or a cell has, the gap to its neighbour included. */
  get stepShare(): number {
    return Math.abs(this.leastStep / (this.#to - this.#from));
  }

  /** Ticks in view; about as many as `room` can hold. */
  ticks(room: number): Tick[] {
    const { tickvals, ticktext, tickformat, exponentformat } = this.#layout;
    const format = textOf(tickformat, "");
    const ticks = Array.isArray(tickvals)
      ? listOf(tickvals).map((value, at) => ({
        value,
        label: textOf(
          listOf(ticktext)[at],
          typeof value === "number" ? formatTick(value, format) : String(value),
        ),
      }))
      : this.type === "category"
      ? this.#categories.map((label) => ({ value: label, label }))
      : this.#numericTicks(room, format, textOf(exponentformat, ""));
    return ticks.filter(({ value }) => {
      const place = this.placeOf(value);
      return place !== null && place > -1e-9 && place < 1 + 1e-9;
    });
  }

  #numericTicks(room: number, format: string, exponent: string): Tick[] {
    const from = Math.min(this.#from, this.#to), to = Math.max(this.#from, this.#to);
    if (this.type === "log") return logTicks(from, to, format, exponent);
    if (this.type === "date") return dateTicks(from, to, room);
    return linearTicks(from, to, room, format, numberOf(this.#layout.dtick, 0));
  }

  #rangeOf(
    values: readonly PlainValue[],
    { isPadded, fromZero }: { isPadded: boolean; fromZero: boolean },
  ): readonly [number, number] {
    // The range of a logarithmic axis is given as exponents, and that of a category axis as indices.
    const [start, end, ...more] = listOf(this.#layout.range).map(this.type === "date" ? timeOf : numberIn);
    if (typeof start === "number" && typeof end === "number" && more.length === 0) return [start, end];
    const isReversed = this.#layout.autorange === "reversed";
    let from = Infinity, to = -Infinity;
    const half = this.leastStep / 2;
    for (const value of values) {
      const number = this.numberOf(value);
      if (number === null) continue;
      from = Math.min(from, number - half);
      to = Math.max(to, number + half);
    }
    if (this.type === "category") [from, to] = [-0.5, this.#categories.length - 0.5];
    if (fromZero && this.type === "linear") [from, to] = [Math.min(from, 0), Math.max(to, 0)];
    if (!(from <= to)) [from, to] = [0, 1];
    if (from === to) [from, to] = [from - 0.5, to + 0.5];
    const pad = isPadded && this.type !== "category" ? (to - from) * 0.05 : 0;
    if (!(fromZero && from === 0)) from -= pad;
    if (!(fromZero && to === 0)) to += pad;
    return isReversed ? [to, from] : [from, to];
  }

  /** The least distance of two places; where there is one alone, one, or a day. */
  #leastStep(values: readonly PlainValue[]): number {
    const numbers = values.map((value) => this.numberOf(value)).filter((number) => number !== null)
      .sort((a, b) => a - b);
    let least = Infinity;
    for (let at = 1; at < numbers.length; at++) {
      const step = numbers[at] - numbers[at - 1];
      if (step > 0 && step < least) least = step;
    }
    return least < Infinity ? least : this.type === "date" ? DAY_MS : 1;
  }

  /** A value as a number along the axis: of a date its time, of a logarithmic axis the logarithm. */
  numberOf(value: PlainValue | undefined): number | null {
    switch (this.type) {
      case "category": {
        const at = isThere(value) ? this.#categories.indexOf(String(value)) : -1;
        return at === -1 ? null : at;
      }
      case "date":
        return timeOf(value);
      case "log": {
        const number = numberIn(value);
        return number !== null && number > 0 ? Math.log10(number) : null;
      }
      case "linear":
        return numberIn(value);
    }
  }
}

function typeOf({ type }: PlainObject, values: readonly PlainValue[]): AxisType {
  if (type === "log" || type === "date" || type === "category" || type === "linear") return type;
  return typeOfValues(values);
}

function isThere(value: PlainValue | undefined): boolean {
  return value !== null && value !== undefined;
}
