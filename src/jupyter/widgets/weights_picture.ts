/**
 * Draws attention weights as a table of squares, darker the heavier, with one key marked.
 */

import { escapeHtml } from "./picture.ts";

/** What is drawn. */
export interface WeightsPicture {
  /** A row a query, an entry a key. */
  readonly weights: readonly Float32Array[];
  /** The place of the key that is marked; −1 for none. */
  readonly key: number;
  /** Lines below. */
  readonly words: readonly string[];
}

const WIDTH = 640, LEFT = 40, TOP = 8, LINE = 18;
/** From nothing to all of the weight: a scale that is also told apart without colours. */
const PALE = [247, 251, 255], DARK = [8, 48, 107];
/** It is read on light pages and on dark ones, which a picture cannot tell apart: 4.5 to 1 on white, 4.2 to 1 on #111. */
const INK = "#767676";

/** As SVG. */
export function drawWeights({ weights, key, words }: WeightsPicture): string {
  const keys = weights[0]?.length ?? 0;
  const size = Math.max(3, Math.min(24, (WIDTH - LEFT - 8) / Math.max(1, keys)));
  const top = weights.reduce((most, row) => row.reduce((a, b) => Math.max(a, b), most), 1e-9);
  const squares = weights.map((row, y) =>
    Array.from(row, (weight, x) => {
      const color = PALE.map((pale, at) => Math.round(pale + (DARK[at] - pale) * weight / top));
      return `<rect x="${LEFT + x * size}" y="${TOP + y * size}" width="${size - 1}" height="${
        size - 1
      }" fill="rgb(${color})"/>`;
    }).join("")
  ).join("");
  const bottom = TOP + weights.length * size;
  const mark = key >= 0 && key < keys
    ? `<rect x="${LEFT + key * size - 1}" y="${TOP - 2}" width="${size + 1}" height="${
      bottom - TOP + 3
    }" fill="none" stroke="#d95f02" stroke-width="2"/>`
    : "";
  const lines = words.map((word, at) =>
    `<text x="${LEFT}" y="${bottom + (at + 1) * LINE}">${escapeHtml(word)}</text>`
  ).join("");
  const height = bottom + words.length * LINE + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">${squares}${mark}<g fill="${INK}">${lines}</g></svg>`;
}
