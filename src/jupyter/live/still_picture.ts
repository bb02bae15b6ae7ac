/**
 * Weights as a PNG, for pages in which no script runs, in the colours that the live figure has on a light page.
 */

import { colorAt, type ColorScale } from "../../display/color_scales.ts";
import { encodePng } from "../../display/png.ts";

/** From weight 0 to the largest. */
const BLUES: ColorScale = ["#f7fafd", "#c6dbef", "#6baed6", "#2171b5", "#08306b"];

/** The picture of weights, a row a query, each pair a square of `size` pixels. */
export async function weightsPicture(
  weights: readonly Float32Array[],
  size: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const width = weights[0].length * size, height = weights.length * size;
  const largest = weights.reduce((most, row) => row.reduce((a, b) => Math.max(a, b), most), Number.MIN_VALUE);
  const pixels = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const row = weights[Math.floor(y / size)];
    for (let x = 0; x < width; x++) {
      pixels.set(colorAt(BLUES, row[Math.floor(x / size)] / largest), 3 * (y * width + x));
    }
  }
  return await encodePng(pixels, width, height);
}
