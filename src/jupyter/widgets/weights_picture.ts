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
  const keys = weights[0]?.length ?? 0, size = sizeOf(keys);
  const top = heaviestOf(weights);
  const squares = weights.map((row, y) => squaresOf(row, TOP + y * size, size, top)).join("");
  const bottom = TOP + weights.length * size;
  const mark = key >= 0 && key < keys ? markOf(key, size, TOP, bottom - TOP) : "";
  return svgOf(bottom + words.length * LINE + 8, `${squares}${mark}${linesOf(words, bottom)}`);
}

/** As an SVG for each row, and one of the words: a row is the same text while nothing of it changes. */
export function drawRows({ weights, key, words }: WeightsPicture): { rows: string[]; words: string } {
  const keys = weights.reduce((most, { length }) => Math.max(most, length), 0), size = sizeOf(keys);
  const top = darkestOf(weights);
  const rows = weights.map((row) => {
    const mark = key >= 0 && key < row.length ? markOf(key, size, 1, size) : "";
    return svgOf(row.length === 0 ? 1 : size + 2, `${squaresOf(row, 1, size, top)}${mark}`);
  });
  return { rows, words: svgOf(words.length * LINE + 8, linesOf(words, 0)) };
}

/** The weight that `drawRows` draws darkest: the heaviest, rounded up to a power of 2, so that it changes seldom. */
export function darkestOf(weights: readonly Float32Array[]): number {
  return 2 ** Math.ceil(Math.log2(heaviestOf(weights)));
}

function heaviestOf(weights: readonly Float32Array[]): number {
  return weights.reduce((most, row) => row.reduce((a, b) => Math.max(a, b), most), 1e-9);
}

function sizeOf(keys: number): number {
  return Math.max(3, Math.min(24, (WIDTH - LEFT - 8) / Math.max(1, keys)));
}

function squaresOf(row: Float32Array, y: number, size: number, top: number): string {
  return Array.from(row, (weight, x) => {
    const color = PALE.map((pale, at) => Math.round(pale + (DARK[at] - pale) * weight / top));
    return `<rect x="${LEFT + x * size}" y="${y}" width="${size - 1}" height="${
      size - 1
    }" fill="rgb(${color})"/>`;
  }).join("");
}

function markOf(key: number, size: number, top: number, height: number): string {
  return `<rect x="${LEFT + key * size - 1}" y="${top - 2}" width="${size + 1}" height="${
    height + 3
  }" fill="none" stroke="#d95f02" stroke-width="2"/>`;
}

function linesOf(words: readonly string[], top: number): string {
  const lines = words.map((word, at) =>
    `<text x="${LEFT}" y="${top + (at + 1) * LINE}">${escapeHtml(word)}</text>`
  );
  return `<g fill="${INK}">${lines.join("")}</g>`;
}

function svgOf(height: number, content: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">${content}</svg>`;
}
