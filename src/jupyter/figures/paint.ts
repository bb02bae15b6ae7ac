/**
 * Puts the colours of a palette in the place of their names.
 *
 * Invariant: `paint` uses nothing from outside itself, since its source text is what pages run.
 */

import type { PlainValue } from "./figure_data.ts";
import type { Palette } from "./palette.ts";

/** A copy of plain data in which `$name`, under a name that ends in "color", "colorscale" or "colorway", is the palette's colour. */
export function paint<T extends PlainValue>(value: T, palette: Palette): T;
export function paint(value: PlainValue, palette: Palette): PlainValue {
  const copy = (value: PlainValue, isColor: boolean): PlainValue => {
    if (typeof value === "string") {
      return isColor && value.startsWith("$") ? palette[value.slice(1)] ?? value : value;
    }
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map((entry) => copy(entry, isColor));
    return Object.fromEntries(
      Object.entries(value).map(([name, entry]) => [name, copy(entry, /color(scale|way)?$/.test(name))]),
    );
  };
  return copy(value, false);
}
