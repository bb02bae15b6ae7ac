/**
 * Arrays of numbers as files hold them: of any number of dimensions and any type of number, the last
 * dimension running fastest. What an engine takes is a `Matrix`; `toMatrix` makes one.
 */

import { describe, FormatError, InputError } from "../base/errors.ts";
import { allocate, isCount, reading, takeList } from "../base/lists.ts";
import type { Matrix } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { type TensorData, type TensorType, typeOfNumbers } from "./element_types.ts";

export type { TensorData, TensorType } from "./element_types.ts";

/** More than NumPy's own arrays may have. */
const MOST_DIMENSIONS = 64;

/** Numbers in a shape, row-major: for `shape` [a, b, c], number (i, j, k) is `data[(i * b + j) * c + k]`. */
export interface Tensor {
  /** The numbers, as many as the product of `shape`. */
  readonly data: TensorData;
  /** Lengths, the outermost first; none for a single number. */
  readonly shape: readonly number[];
  /**
   * The type of the numbers in a file. In what is written it may be left out, and then follows from the class
   * of `data`; a `Float32Array` may be written as "float16" or "bfloat16" too, rounded, and a `Uint8Array` of
   * 0 and 1 as "bool".
   */
  readonly dtype?: TensorType;
}

/** A tensor that is ready to be written. */
export interface CheckedTensor {
  readonly data: TensorData;
  readonly shape: readonly number[];
  readonly type: TensorType;
}

/** Checks a tensor of the caller's; `name` is what the message calls it. */
export function checkTensor(operation: string, name: string, tensor: Tensor): CheckedTensor {
  const { data, shape, dtype } = takeOptions(operation, tensor, ["data", "shape", "dtype"], `${name} field`);
  const type = typeOfNumbers(operation, name, data, dtype);
  const list = takeList(operation, `${name}.shape`, shape);
  const lengths = Array.from(
    { length: Math.min(list.length, MOST_DIMENSIONS + 1) },
    (_, at) => list.entries[at],
  );
  if (!lengths.every(isCount) || lengths.length > MOST_DIMENSIONS) {
    const expected = `at most ${MOST_DIMENSIONS} whole numbers ≥ 0`;
    throw new InputError(operation, `${name}.shape is ${describe(lengths)}`, expected);
  }
  const needed = lengths.reduce((size, length) => size * length, 1);
  if (data.length === needed) return { data, shape: lengths, type };
  throw new InputError(
    operation,
    `${name}.data has ${data.length} numbers`,
    `${needed} (shape ${lengths.join(" × ")})`,
  );
}

/** How many numbers a shape of a file has; refuses what cannot be a shape. */
export function countOf(operation: string, shape: readonly number[]): number {
  if (shape.length > MOST_DIMENSIONS) {
    throw new FormatError(operation, `shape has ${shape.length} dimensions`, `at most ${MOST_DIMENSIONS}`);
  }
  return shape.reduce((size, length) => size * length, 1);
}

/**
 * A tensor as a matrix for an engine, rounded to float32: one dimension is one row, and of three or more, all
 * but the last are rows, as they lie; [tokens, heads, d] becomes tokens × heads·d by a `shape` of the
 * caller's instead. Booleans become 1 and 0; a mask of booleans is `{ data, shape }` of the tensor itself.
 * What is not finite is passed on, for masks.
 *
 * @throws {InputError} When there are no columns, or a finite number is beyond float32.
 *
 * @example
 * ```ts
 * import { toMatrix } from "@attune/attention/store";
 * import { assertEquals } from "@std/assert";
 *
 * const counts = { data: BigInt64Array.of(1n, 2n, 3n), shape: [3] };
 * assertEquals(toMatrix(counts), { data: Float32Array.of(1, 2, 3), shape: [1, 3] });
 * ```
 */
export function toMatrix(tensor: Tensor): Matrix {
  const operation = "toMatrix";
  const { data, shape } = reading(operation, () => checkTensor(operation, "tensor", tensor));
  const columns = shape.at(-1) ?? 0;
  if (columns === 0) {
    throw new InputError(operation, `tensor.shape is [${shape.join(", ")}]`, "a last length ≥ 1");
  }
  const numbers = toFloat32(operation, data, (at) => {
    throw new InputError(operation, `tensor.data has ${data[at]} at index ${at}`, "numbers of float32 range");
  });
  return { data: numbers, shape: [data.length / columns, columns] };
}

/** A copy in float32; calls `refuse` with the first finite number that float32 cannot hold. */
export function toFloat32(
  operation: string,
  data: TensorData,
  refuse: (at: number) => never,
): Float32Array<ArrayBuffer> {
  if (data instanceof Float32Array) return new Float32Array(data);
  const { length } = data;
  const numbers = allocate(operation, "data", length, () => new Float32Array(length));
  for (let at = 0; at < length; at++) {
    const number = Number(data[at]);
    numbers[at] = number;
    if (Number.isFinite(number) && !Number.isFinite(numbers[at])) refuse(at);
  }
  return numbers;
}
