/**
 * The matrices that the library answers with: plain `{ data, shape }` that also know how to show themselves.
 *
 * Invariant: such a matrix equals the plain object with the same data and shape. What it can do beyond that are
 * properties that no enumeration, copy or comparison sees; a class of its own would be seen by comparisons. They cost
 * half a microsecond a matrix.
 */

import type { Matrix } from "../base/matrix.ts";
import { matrixText } from "./matrix_text.ts";
import { DISPLAY, INSPECT, type InspectOptions, type MimeBundle } from "./mime_bundle.ts";

const SHOWN_IN_NOTEBOOK = { value: displayMatrix, enumerable: false };
const SHOWN_ON_TERMINAL = { value: inspectMatrix, enumerable: false };

/** A matrix of these parts, which now belong to whoever receives it. */
export function shownMatrix(data: Matrix["data"], shape: Matrix["shape"]): Matrix {
  const matrix = { data, shape };
  Object.defineProperty(matrix, DISPLAY, SHOWN_IN_NOTEBOOK);
  Object.defineProperty(matrix, INSPECT, SHOWN_ON_TERMINAL);
  return matrix;
}

/** The table and the picture are loaded when a notebook asks for them. */
async function displayMatrix(this: Matrix): Promise<MimeBundle> {
  const { matrixBundle } = await import("./matrix_bundle.ts");
  return await matrixBundle(this);
}

function inspectMatrix(this: Matrix, _inspect: unknown, options: InspectOptions = {}): string {
  return matrixText(this, options.iterableLimit);
}
