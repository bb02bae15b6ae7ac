/**
 * Heatmaps as PNG: matrices, weights of attention, and the cells of a figure's still picture.
 */

import { type Color, colorAt, WEIGHTS } from "./color_scales.ts";
import { encodePng } from "./png.ts";

/** The cells of a heatmap, `rows` × `columns`, the first row at the top. */
export interface HeatmapCells {
  readonly rows: number;
  readonly columns: number;
  /** The colour of a cell. */
  readonly colorOf: (row: number, column: number) => Color;
}

/** A picture in which a cell is a square of `size` pixels; O(rows · columns · size²). */
export function heatmapPng(
  { rows, columns, colorOf }: HeatmapCells,
  size: number = 1,
): Promise<Uint8Array<ArrayBuffer>> {
  const width = columns * size, height = rows * size;
  const pixels = new Uint8Array(3 * width * height);
  for (let row = 0; row < rows; row++) {
    const first = 3 * width * row * size;
    for (let column = 0; column < columns; column++) {
      const color = colorOf(row, column);
      for (let x = column * size; x < (column + 1) * size; x++) pixels.set(color, first + 3 * x);
    }
    // The other lines of the row are copies of its first.
    for (let y = 1; y < size; y++) pixels.copyWithin(first + 3 * width * y, first, first + 3 * width);
  }
  return encodePng(pixels, width, height);
}

/**
 * A heatmap of weights of attention, one row per query, as shares of the largest weight, in the colours of
 * light pages.
 */
export function weightsPng(
  weights: readonly ArrayLike<number>[],
  size: number,
): Promise<Uint8Array<ArrayBuffer>> {
  let largest = Number.MIN_VALUE;
  for (const row of weights) for (let j = 0; j < row.length; j++) largest = Math.max(largest, row[j]);
  return heatmapPng({
    rows: weights.length,
    columns: weights[0].length,
    colorOf: (row, column) => colorAt(WEIGHTS.light, weights[row][column] / largest),
  }, size);
}
