/**
 * The matrices of answers: plain objects `{ data, shape }` with methods for their display.
 *
 * Invariant: such a matrix equals the plain object with the same data and shape. Its methods are properties
 * that enumerations, copies and comparisons skip; comparisons would notice a class of its own. They take half
 * a microsecond per matrix.
 */

import type { Matrix } from "../base/matrix.ts";
import { matrixText } from "./matrix_text.ts";
import { DISPLAY, INSPECT, type InspectOptions, type MimeBundle } from "./mime_bundle.ts";

const SHOWN_IN_NOTEBOOK = { value: displayMatrix, enumerable: false };
const SHOWN_ON_TERMINAL = { value: inspectMatrix, enumerable: false };

/** Makes a matrix of these parts; the receiver owns them. */
export function shownMatrix(data: Matrix["data"], shape: Matrix["shape"]): Matrix {
  const matrix = { data, shape };
  Object.defineProperty(matrix, DISPLAY, SHOWN_IN_NOTEBOOK);
  Object.defineProperty(matrix, INSPECT, SHOWN_ON_TERMINAL);
  return matrix;
}

/** The code for the table and the picture is loaded when a notebook asks for it. */
async function displayMatrix(this: Matrix): Promise<MimeBundle> {
  const { matrixBundle } = await import("./matrix_bundle.ts");
  return await matrixBundle(this);
}

function inspectMatrix(this: Matrix, _inspect: unknown, options: InspectOptions = {}): string {
  return matrixText(this, options.iterableLimit);
}
