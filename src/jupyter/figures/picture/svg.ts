/**
 * Pieces of SVG as text.
 *
 * Invariant: names are the program's, everything else is escaped.
 */

import { escapeHtml } from "../../../display/escape.ts";

/** Values of attributes; what is undefined is left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** `<name a="1">children</name>`. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [` ${key}="${typeof value === "number" ? round(value) : escapeHtml(value)}"`]
  ).join("");
  return children.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${children.join("")}</${name}>`;
}

/** Where a text stands and how it looks. */
export interface TextPlace {
  readonly x: number;
  /** The height of the middle of a line, or of all lines. */
  readonly y: number;
  readonly size: number;
  readonly fill: string;
  /** Which side of the text is at `x`; its middle unless given. */
  readonly anchor?: "start" | "middle" | "end";
  /** Degrees, clockwise. */
  readonly angle?: number;
  readonly weight?: "bold";
}

/** Lines of text, one below the other. */
export function textElement(lines: readonly string[], place: TextPlace): string {
  const { x, y, size, fill, anchor = "middle", angle = 0, weight } = place;
  return lines.map((line, at) =>
    element("text", {
      x,
      // Letters rise about 0.7 of the size above the base line.
      y: y + size * (0.36 + 1.25 * (at - (lines.length - 1) / 2)),
      "font-size": size,
      fill,
      "text-anchor": anchor,
      "font-weight": weight,
      transform: angle === 0 ? undefined : `rotate(${angle} ${round(x)} ${round(y)})`,
    }, escapeHtml(line))
  ).join("");
}

/** Points as the path of a line through them. */
export function pathThrough(points: readonly (readonly [x: number, y: number])[]): string {
  return points.map(([x, y], at) => `${at === 0 ? "M" : "L"}${round(x)} ${round(y)}`).join("");
}

/**
 * What plotly.js would show of a text: `<br>` ends a line, other tags that it knows are dropped, and numeric and the
 * commonest named entities stand for characters. Any other tag is text.
 */
export function shownLines(text: string): string[] {
  return text.split(/<br\s*\/?>/i).map((line) =>
    line.replace(/<\/?(?:b|i|u|s|em|strong|sub|sup|span|a)(?:\s[^>]*)?>/gi, "").replace(
      /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(lt|gt|amp|nbsp|quot));/gi,
      (entity, decimal, hexadecimal, name) => {
        if (name) {
          return { lt: "<", gt: ">", amp: "&", nbsp: "\u00a0", quot: '"' }[String(name).toLowerCase()] ??
            entity;
        }
        const code = decimal ? Number(decimal) : Number.parseInt(hexadecimal, 16);
        return code <= 0x10ffff ? String.fromCodePoint(code) : entity;
      },
    )
  );
}

function round(number: number): number {
  return Math.round(number * 100) / 100;
}
