/**
 * The display of a matrix in a notebook: a table of its corners and a picture of the whole matrix.
 *
 * It fits light and dark pages: text inherits its colour, and lines are half transparent.
 */

import type { Matrix } from "../base/matrix.ts";
import { toBase64 } from "./base64.ts";
import { colorAt, DIVERGING, SEQUENTIAL } from "./color_scales.ts";
import { formatNumber } from "./format.ts";
import { heatmapPng } from "./heatmap.ts";
import { excerptOf, matrixText, matrixTitle } from "./matrix_text.ts";
import type { MimeBundle } from "./mime_bundle.ts";

const LINE = "1px solid rgba(128,128,128,.35)";
const CELL = `border:0;border-bottom:${LINE};padding:2px 8px;text-align:right;background:none;font:inherit`;
/** The colour of numbers that are not finite, such as the −∞ of a row without keys. */
const NO_NUMBER = [128, 128, 128] as const;
/**
 * The largest number of pixels per side before a picture is enlarged, and the number that it is enlarged to.
 */
const MOST_PIXELS = 512, SHOWN_PIXELS = 320;

/** A bundle of text, HTML and PNG; a matrix without numbers has no picture. */
export async function matrixBundle(matrix: Matrix): Promise<MimeBundle> {
  const plain = matrixText(matrix);
  if (matrix.data.length === 0) return { "text/plain": plain, "text/html": matrixHtml(matrix, null) };
  const { png, width, height } = await heatmap(matrix);
  const image = toBase64(png);
  return {
    "text/plain": plain,
    "text/html": matrixHtml(matrix, { image, width, height }),
    "image/png": image,
  };
}

interface Picture {
  readonly image: string;
  readonly width: number;
  readonly height: number;
}

function matrixHtml(matrix: Matrix, picture: Picture | null): string {
  const { data, shape } = matrix;
  const { rows, columns } = excerptOf(shape);
  const head = columns.map((column) => `<th style="${CELL};opacity:.6">${column ?? "…"}</th>`).join("");
  const body = rows.map((row) => {
    const cells = columns.map((column) => {
      if (row === null || column === null) return row === column ? "⋱" : row === null ? "⋮" : "…";
      return formatNumber(data[row * shape[1] + column]);
    });
    return `<tr><th style="${CELL};opacity:.6">${row ?? "⋮"}</th>${
      cells.map((cell) => `<td style="${CELL}">${cell}</td>`).join("")
    }</tr>`;
  });
  const { least, most } = rangeOf(data);
  const title = `${matrixTitle(matrix)}, ${formatNumber(least)} to ${formatNumber(most)}`;
  const image = picture === null
    ? ""
    : `<img alt="heatmap of the matrix" width="${picture.width}" height="${picture.height}" style="image-rendering:pixelated;max-width:none;margin:0" src="data:image/png;base64,${picture.image}">`;
  return `<figure style="margin:4px 0;font:13px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums;color:inherit">
<figcaption style="margin-bottom:4px">${data.length === 0 ? matrixTitle(matrix) : title}</figcaption>
<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start;overflow-x:auto">
<table style="border-collapse:collapse;margin:0"><thead><tr><th style="${CELL}"></th>${head}</tr></thead><tbody>
${body.join("\n")}
</tbody></table>${image}</div></figure>`;
}

function rangeOf(data: Float32Array): { readonly least: number; readonly most: number } {
  let least = Infinity, most = -Infinity;
  for (const number of data) {
    if (!Number.isFinite(number)) continue;
    if (number < least) least = number;
    if (number > most) most = number;
  }
  return { least, most };
}

/**
 * A heatmap with one pixel per number, or per mean of a block of numbers if they are too many; a small one is
 * enlarged.
 */
async function heatmap(
  { data, shape: [rows, columns] }: Matrix,
): Promise<{ readonly png: Uint8Array<ArrayBuffer>; readonly width: number; readonly height: number }> {
  const height = Math.min(rows, MOST_PIXELS), width = Math.min(columns, MOST_PIXELS);
  const means = new Float64Array(width * height);
  const counts = new Uint32Array(width * height);
  for (let row = 0; row < rows; row++) {
    const line = Math.floor(row * height / rows) * width;
    for (let column = 0; column < columns; column++) {
      const number = data[row * columns + column];
      const pixel = line + Math.floor(column * width / columns);
      if (Number.isFinite(number)) means[pixel] += (number - means[pixel]) / ++counts[pixel];
    }
  }
  const { least, most } = rangeOf(data);
  const isSigned = least < 0 && most > 0;
  const end = Math.max(-least, most);
  const [from, to] = isSigned ? [-end, end] : [least, most];
  const size = Math.max(1, Math.min(16, Math.floor(SHOWN_PIXELS / Math.max(width, height))));
  const png = await heatmapPng({
    rows: height,
    columns: width,
    colorOf: (row, column) => {
      const pixel = row * width + column;
      if (counts[pixel] === 0) return NO_NUMBER;
      return colorAt(
        isSigned ? DIVERGING : SEQUENTIAL,
        to > from ? (means[pixel] - from) / (to - from) : 0.5,
      );
    },
  }, size);
  return { png, width: width * size, height: height * size };
}
