/**
 * Colour scales for numbers, which readers with any kind of colour vision can read, also in grey.
 */

/** Colours at equal distances from the smallest number to the largest. */
export type ColorScale = readonly string[];

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
 * Red, green and blue, 0 to 255, at `share` of the way along the scale; shares outside [0, 1] are clamped.
 */
export function colorAt(scale: ColorScale, share: number): [red: number, green: number, blue: number] {
  const place = Math.min(1, Math.max(0, share)) * (scale.length - 1);
  const at = Math.min(scale.length - 2, Math.floor(place));
  const from = parse(scale[at]), to = parse(scale[at + 1]);
  const mix = (channel: 0 | 1 | 2) =>
    Math.round(from[channel] + (to[channel] - from[channel]) * (place - at));
  return [mix(0), mix(1), mix(2)];
}

function parse(color: string): readonly [number, number, number] {
  const bits = Number.parseInt(color.slice(1), 16);
  return [bits >> 16, (bits >> 8) & 255, bits & 255];
}
