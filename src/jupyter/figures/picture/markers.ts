/**
 * The symbols of markers, by the names that plotly.js gives them.
 */

import { element, pathThrough } from "./svg.ts";

/** How a marker looks. */
export interface MarkerLook {
  readonly symbol: string;
  /** Diameter. */
  readonly size: number;
  readonly color: string;
  readonly lineWidth: number;
  readonly lineColor: string;
}

/** Corners around the middle, in units of the radius. */
const CORNERS: Record<string, readonly (readonly [number, number])[]> = {
  square: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  diamond: [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]],
  "triangle-up": [[0, -1.15], [1.05, 0.65], [-1.05, 0.65]],
  "triangle-down": [[0, 1.15], [1.05, -0.65], [-1.05, -0.65]],
  "triangle-left": [[-1.15, 0], [0.65, 1.05], [0.65, -1.05]],
  "triangle-right": [[1.15, 0], [-0.65, 1.05], [-0.65, -1.05]],
  bowtie: [[-1.1, -0.9], [1.1, 0.9], [1.1, -0.9], [-1.1, 0.9]],
  star: Array.from({ length: 10 }, (_, at) => {
    const angle = Math.PI * (at / 5 - 0.5), radius = at % 2 === 0 ? 1.35 : 0.55;
    return [radius * Math.cos(angle), radius * Math.sin(angle)] as const;
  }),
  x: [
    [-1, -0.6],
    [-0.6, -1],
    [0, -0.4],
    [0.6, -1],
    [1, -0.6],
    [0.4, 0],
    [1, 0.6],
    [0.6, 1],
    [0, 0.4],
    [-0.6, 1],
    [-1, 0.6],
    [-0.4, 0],
  ],
};

/** A marker at a place; symbols that are not known here are circles. */
export function marker(x: number, y: number, look: MarkerLook): string {
  const { symbol, size, color, lineWidth, lineColor } = look;
  const radius = size / 2;
  if (symbol.startsWith("x-thin")) {
    return [[-1, 1], [1, -1]].map(([from, to]) =>
      element("line", {
        x1: x - radius * 0.7,
        y1: y + from * radius * 0.7,
        x2: x + radius * 0.7,
        y2: y + to * radius * 0.7,
        stroke: lineColor,
        "stroke-width": lineWidth || 1,
      })
    ).join("");
  }
  const isOpen = symbol.endsWith("-open");
  const paint = {
    fill: isOpen ? "none" : color,
    stroke: isOpen ? color : lineWidth > 0 ? lineColor : undefined,
    "stroke-width": isOpen ? Math.max(1.5, lineWidth) : lineWidth || undefined,
  };
  const corners = CORNERS[symbol.replace("-open", "")];
  if (!corners) return element("circle", { cx: x, cy: y, r: radius, ...paint });
  const path = pathThrough(corners.map(([right, down]) => [x + right * radius, y + down * radius]));
  return element("path", { d: `${path}Z`, ...paint });
}
