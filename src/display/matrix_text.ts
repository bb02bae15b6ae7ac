/**
 * A matrix as text: all its numbers if they are few, else its corners.
 */

import type { Matrix } from "../base/matrix.ts";
import { formatNumber } from "./format.ts";

/** The rows and columns that are shown; null stands for those in between. */
export interface Excerpt {
  /** Row numbers from the top. */
  readonly rows: readonly (number | null)[];
  /** Column numbers from the left. */
  readonly columns: readonly (number | null)[];
}

const ROWS = 10, COLUMNS = 8, NUMBERS = 100;

/** All of a matrix of at most `most` numbers; else at most 10 of its rows and 8 of its columns. */
export function excerptOf([rows, columns]: Matrix["shape"], most: number = NUMBERS): Excerpt {
  if (rows * columns <= most) return { rows: ends(rows, Infinity), columns: ends(columns, Infinity) };
  return { rows: ends(rows, ROWS), columns: ends(columns, COLUMNS) };
}

/** `Matrix 64 × 32, float32`, and the numbers below. */
export function matrixText(matrix: Matrix, most?: number): string {
  const { data, shape } = matrix;
  const { rows, columns } = excerptOf(shape, most);
  const lines = rows.map((row) =>
    columns.map((column) => {
      if (row === null) return column === null ? "⋱" : "⋮";
      return column === null ? "…" : formatNumber(data[row * shape[1] + column]);
    })
  );
  const widths = columns.map((_, at) => Math.max(0, ...lines.map((line) => line[at].length)));
  const numbers = lines.map((line) => "  " + line.map((cell, at) => cell.padStart(widths[at])).join("  "));
  return [matrixTitle(matrix), ...numbers].join("\n");
}

/** `Matrix 64 × 32, float32`. */
export function matrixTitle({ shape: [rows, columns] }: Matrix): string {
  return `Matrix ${rows} × ${columns}, float32`;
}

function ends(count: number, most: number): (number | null)[] {
  if (count <= most) return Array.from({ length: count }, (_, at) => at);
  const half = Math.floor(most / 2);
  const first = Array.from({ length: half }, (_, at) => at);
  return [...first, null, ...first.map((at) => count - half + at)];
}
