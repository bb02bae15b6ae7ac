/**
 * Reads plotly data of which nothing is known but that it is plain.
 */

import type { PlainObject, PlainValue } from "../figure_data.ts";

/** A finite number, or `fallback`. */
export function numberOf(value: PlainValue | undefined, fallback: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : fallback;
}

/** A text, or `fallback`. */
export function textOf(value: PlainValue | undefined, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}

/** An object; an empty one if it is none. */
export function objectOf(value: PlainValue | undefined): PlainObject {
  return typeof value === "object" && value !== null && !isList(value) ? value : {};
}

/** A list; an empty one if it is none. */
export function listOf(value: PlainValue | undefined): readonly PlainValue[] {
  return isList(value) ? value : [];
}

/** Two numbers, or null. */
export function pairOf(value: PlainValue | undefined): readonly [number, number] | null {
  const [from, to] = listOf(value);
  return typeof from === "number" && typeof to === "number" ? [from, to] : null;
}

/** The entry `at` of a list, or the value that holds for all. */
export function eachOf(value: PlainValue | undefined, at: number): PlainValue | undefined {
  return isList(value) ? value[at] : value;
}

/** The text of a title, which is a text or an object with one. */
export function titleOf(value: PlainValue | undefined): string {
  return textOf(value, textOf(objectOf(value).text, ""));
}

function isList(value: PlainValue | undefined): value is readonly PlainValue[] {
  return Array.isArray(value);
}
