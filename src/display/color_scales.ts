/**
 * Colour scales for numbers, which readers with any kind of colour vision can read, also in grey.
 */

/** Colours at equal distances from the smallest number to the largest, each `#` and six digits. */
export type ColorScale = readonly string[];

/** Red, green and blue, 0 to 255. */
export type Color = readonly [red: number, green: number, blue: number];

/** From little to much: viridis, whose lightness only grows. */
export const SEQUENTIAL: ColorScale = [
  "#440154",
  "#472d7b",
  "#3b528b",
  "#2c728e",
  "#21918c",
  "#28ae80",
  "#5ec962",
  "#addc30",
  "#fde725",
];

/**
 * From less to more, with nothing in the middle: blue and orange, the pair that red-green blindness spares.
 */
export const DIVERGING: ColorScale = [
  "#08407a",
  "#0072b2",
  "#7fb8d8",
  "#f4f4f4",
  "#f0b27f",
  "#d55e00",
  "#7f3300",
];

/**
 * From no weight, which is nearly the page, to the largest: blues that differ in lightness alone, on light
 * and on dark pages.
 */
export const WEIGHTS: Readonly<Record<"light" | "dark", ColorScale>> = {
  light: ["#f7fafd", "#c6dbef", "#6baed6", "#2171b5", "#08306b"],
  dark: ["#181e25", "#163a5e", "#21699e", "#56aade", "#d6eeff"],
};

/** From paper to ink. */
export const GREYS: ColorScale = ["#ffffff", "#111820"];

/** Black or white, whichever is read better on a colour. */
export function inkOn([red, green, blue]: Color): "#000000" | "#ffffff" {
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000000" : "#ffffff";
}

const parsed = new WeakMap<ColorScale, readonly Color[]>();

/** The colour at `share` of the way along the scale; shares beyond its ends are its ends. */
export function colorAt(scale: ColorScale, share: number): Color {
  let colors = parsed.get(scale);
  if (!colors) parsed.set(scale, colors = scale.map(parse));
  const place = Math.min(1, Math.max(0, share)) * (colors.length - 1);
  const at = Math.min(colors.length - 2, Math.floor(place));
  const from = colors[at], to = colors[at + 1];
  const mix = (channel: 0 | 1 | 2) =>
    Math.round(from[channel] + (to[channel] - from[channel]) * (place - at));
  return [mix(0), mix(1), mix(2)];
}

/** The same as style sheets and canvases take it. */
export function styleAt(scale: ColorScale, share: number, alpha = 1): string {
  return `rgb(${colorAt(scale, share).join(" ")} / ${alpha})`;
}

function parse(color: string): Color {
  const bits = Number.parseInt(color.slice(1), 16);
  return [bits >> 16, (bits >> 8) & 255, bits & 255];
}
