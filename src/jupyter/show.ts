/**
 * Shows values below a cell, so that none is lost.
 */

import { matrixBundle } from "../display/matrix_bundle.ts";
import { matrixText } from "../display/matrix_text.ts";
import { DISPLAY, INSPECT, type MimeBundle } from "../display/mime_bundle.ts";
import { describe, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";
import { type Matrix, type MatrixInput, toMatrix } from "../base/matrix.ts";
import { type Kernel, notebookKernel } from "./kernel.ts";

/** Something that shows itself in a notebook and on a terminal. */
export interface Displayable {
  /** What a notebook shows. */
  [DISPLAY](): Promise<MimeBundle>;
  /** What a terminal shows. */
  [INSPECT](): string;
}

/**
 * The stock kernel may tell of a cell's end before its last outputs have left; front ends drop what comes later. So
 * much time lets them leave first, and so much more for each megabyte of them.
 */
const WAIT_MS = 15, WAIT_MS_PER_MEGABYTE = 40;

/**
 * Shows values below the cell that runs, one after the other, and waits until none of them can be lost. With no value
 * it only waits, for what was shown before.
 *
 * What has a `Symbol.for("Jupyter.display")` method shows itself, and so does a matrix, `{ data, shape }`; anything
 * else is shown as the kernel shows the last value of a cell. Outside of a notebook texts are printed.
 *
 * @param values Any values.
 *
 * @example
 * ```ts
 * import { show } from "@attune/attention/jupyter";
 *
 * await show({ data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] }, "two by two");
 * ```
 */
export async function show(...values: readonly unknown[]): Promise<void> {
  const kernel = notebookKernel();
  let bytes = 0;
  for (const value of values) {
    if (kernel) bytes += await showIn(kernel, value);
    else console.log(isMatrix(value) ? matrixText(value) : value);
  }
  if (kernel) await wait(WAIT_MS + WAIT_MS_PER_MEGABYTE * bytes / 1e6);
}

/**
 * A matrix as something that shows itself: its corners as a table, and all of it as a picture. For matrices that were
 * made by hand; those that the library answers with show themselves.
 *
 * @param matrix `{ data, shape }` or rows.
 * @throws {InputError} When it is no matrix of finite numbers.
 *
 * @example The last value of a cell
 * ```ts
 * import { display } from "@attune/attention/jupyter";
 * import { assertEquals } from "@std/assert";
 *
 * const shown = display([[1, 2], [3, 4]]);
 * assertEquals(Deno.inspect(shown), "Matrix 2 × 2, float32\n  1  2\n  3  4");
 * ```
 */
export function display(matrix: MatrixInput): Displayable {
  if (typeof matrix !== "object" || matrix === null) {
    throw new InputError("display", `matrix is ${describe(matrix)}`, "{ data, shape } or an array of rows");
  }
  const copy = reading("display", () => toMatrix("display", "matrix", matrix));
  return {
    [DISPLAY]: () => matrixBundle(copy),
    [INSPECT]: () => matrixText(copy),
  };
}

/** @returns How long the message about it is, more or less. */
async function showIn(kernel: Kernel, value: unknown): Promise<number> {
  const bundle = isMatrix(value) && !(DISPLAY in value)
    ? await matrixBundle(value)
    : await kernel.format(value);
  await kernel.display(bundle, { raw: true });
  return Object.values(bundle).reduce(
    (sum, content) => sum + (typeof content === "string" ? content : JSON.stringify(content) ?? "").length,
    0,
  );
}

function isMatrix(value: unknown): value is Matrix {
  if (typeof value !== "object" || value === null || !("data" in value) || !("shape" in value)) return false;
  const { data, shape } = value;
  return data instanceof Float32Array && Array.isArray(shape) && shape.length === 2 &&
    shape[0] * shape[1] === data.length;
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
