/**
 * NumPy's `.npy` format, for single arrays: a header (`npy_header.ts`), then the numbers.
 *
 * Written here: what npm offers takes a file's lengths on trust and does not refuse what it then reads
 * wrongly.
 */

import { describe, FormatError, InputError } from "../base/errors.ts";
import { allocate, checkArray, type List, reading, typedArrayKind } from "../base/lists.ts";
import { type Matrix, takeShaped } from "../base/matrix.ts";
import { decodeNumbers, encodeNumbers, type TensorData } from "./element_types.ts";
import { checkLength, decodeNpyHeader, encodeNpyHeader, hasLetters } from "./npy_header.ts";
import { type CheckedTensor, checkTensor, type Tensor, toFloat32 } from "./tensor.ts";

/**
 * Writes a matrix as the bytes of an `.npy` file, which `numpy.load` reads: 128 bytes plus 4 for each number.
 *
 * All numbers are written, also −∞ and NaN, in version 1.0, as `<f4`, row-major. NumPy writes the same bytes.
 *
 * @throws {InputError} When `shape` does not fit `data`, or `data` has an entry that is no number or is
 * finite and beyond float32.
 *
 * @example
 * ```ts
 * import { fromNpy, toNpy } from "@attune/attention/store";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = toNpy({ data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] });
 * assertEquals(bytes.length, 128 + 4 * 6);
 * assertEquals(fromNpy(bytes).shape, [2, 3]);
 * ```
 */
export function toNpy(matrix: Matrix): Uint8Array<ArrayBuffer> {
  const operation = "toNpy";
  const { data, shape: [rows, columns] } = reading(operation, () => {
    const fields = typeof matrix === "object" && matrix !== null
      ? matrix
      : { data: undefined, shape: undefined };
    const { list, shape } = takeShaped(operation, "matrix", fields, 1);
    return { data: listToFloat32(operation, "matrix.data", list), shape };
  });
  const header = encodeNpyHeader("float32", [rows, columns]);
  const bytes = new Uint8Array(header.length + 4 * data.length);
  bytes.set(header);
  new Float32Array(bytes.buffer, header.length).set(data);
  return bytes;
}

/** Copies numbers to float32; throws for finite ones that float32 cannot hold. */
function listToFloat32(operation: string, name: string, { length, entries }: List): Float32Array {
  const numbers = allocate(operation, name, length, () => new Float32Array(length));
  for (let at = 0; at < length; at++) {
    const entry = entries[at];
    if (typeof entry === "number") {
      numbers[at] = entry;
      if (Number.isFinite(numbers[at]) || !Number.isFinite(entry)) continue;
    }
    const expected = "numbers, of float32 range where they are finite";
    throw new InputError(operation, `${name} has ${describe(entry)} at index ${at}`, expected);
  }
  return numbers;
}

/**
 * The matrix in the bytes of an `.npy` file, as float32: any type of real number, in either order of bytes
 * and of dimensions; an array of one dimension is one row, and one of three is for {@link decodeNpy}. Wider
 * types are rounded to float32. Infinities and NaN are kept, since masks may have −∞; engines refuse them
 * elsewhere.
 *
 * @throws {FormatError} When the bytes are no such file, or one of another type or number of dimensions, are
 * cut off or go on too long, or hold a finite number beyond float32.
 *
 * @example Reading the file that `numpy.save(file, numpy.float64([1, 2]))` writes
 * ```ts
 * import { fromNpy } from "@attune/attention/store";
 * import { assertEquals } from "@std/assert";
 *
 * const header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }".padEnd(117) + "\n";
 * const numbers = new Uint8Array(Float64Array.of(1, 2).buffer);
 * const bytes = Uint8Array.of(0x93, ...new TextEncoder().encode("NUMPY\x01\x00v\x00" + header), ...numbers);
 * assertEquals(fromNpy(bytes), { data: Float32Array.of(1, 2), shape: [1, 2] });
 * ```
 */
export function fromNpy(bytes: Uint8Array): Matrix {
  const operation = "fromNpy";
  checkBytes(operation, bytes);
  const { data, shape } = readNpy(operation, bytes, (shape) => {
    if (shape.length === 2 ? shape[1] > 0 : shape.length === 1 && shape[0] > 0) return;
    throw new FormatError(
      operation,
      `shape is (${shape.join(", ")})`,
      "(rows, columns ≥ 1), or one dimension for one row; decodeNpy reads every shape",
    );
  });
  const [rows, columns] = shape.length === 1 ? [1, shape[0]] : shape;
  const numbers = toFloat32(operation, data, (at) => {
    throw new FormatError(operation, `number ${at} is ${data[at]}`, "numbers of float32 range");
  });
  return { data: numbers, shape: [rows, columns] };
}

/**
 * The array in the bytes of an `.npy` file, of any shape, its numbers in the type that they have there
 * (float16 in a `Float32Array`, booleans in a `Uint8Array` of 0 and 1) and row-major, whichever way they lay.
 *
 * @throws {FormatError} When the bytes are no such file, or one of no numbers (text, records, complex
 * numbers, objects), or are cut off or go on too long.
 *
 * @example What `numpy.save(file, numpy.array([7, 9], ">i8"))` writes
 * ```ts
 * import { decodeNpy } from "@attune/attention/store";
 * import { assertEquals } from "@std/assert";
 *
 * const header = "{'descr': '>i8', 'fortran_order': False, 'shape': (2,), }".padEnd(117) + "\n";
 * const numbers = new Uint8Array(16);
 * numbers[7] = 7;
 * numbers[15] = 9;
 * const bytes = Uint8Array.of(0x93, ...new TextEncoder().encode("NUMPY\x01\x00v\x00" + header), ...numbers);
 * assertEquals(decodeNpy(bytes), { data: BigInt64Array.of(7n, 9n), shape: [2], dtype: "int64" });
 * ```
 */
export function decodeNpy(bytes: Uint8Array): Tensor {
  checkBytes("decodeNpy", bytes);
  return readNpy("decodeNpy", bytes);
}

/**
 * A tensor as the bytes of an `.npy` file, in the type of its `data` or in its `dtype`; the same bytes as
 * NumPy's.
 *
 * @throws {InputError} When `shape` does not fit `data`, or `dtype` does not ("bfloat16" is a type that NumPy
 * lacks), or a finite number is beyond it.
 *
 * @example
 * ```ts
 * import { decodeNpy, encodeNpy } from "@attune/attention/store";
 * import { assertEquals } from "@std/assert";
 *
 * const heads = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 1, 2], dtype: "float16" as const };
 * const bytes = encodeNpy(heads);
 * assertEquals(bytes.length, 128 + 2 * 6);
 * assertEquals(decodeNpy(bytes), heads);
 * ```
 */
export function encodeNpy(tensor: Tensor): Uint8Array<ArrayBuffer> {
  const operation = "encodeNpy";
  return writeNpy(operation, "tensor", reading(operation, () => checkTensor(operation, "tensor", tensor)));
}

/** As `encodeNpy`, of a tensor that `checkTensor` has seen. */
export function writeNpy(
  operation: string,
  name: string,
  { data, shape, type }: CheckedTensor,
): Uint8Array<ArrayBuffer> {
  if (!hasLetters(type)) {
    throw new InputError(operation, `${name}.dtype is ${describe(type)}`, "a type that NumPy has");
  }
  const header = encodeNpyHeader(type, shape), numbers = encodeNumbers(operation, name, type, data);
  const bytes = new Uint8Array(header.length + numbers.length);
  bytes.set(header);
  bytes.set(numbers, header.length);
  return bytes;
}

/** As `decodeNpy`, of bytes that are some; `checkShape` refuses shapes before data are looked at. */
export function readNpy(
  operation: string,
  bytes: Uint8Array,
  checkShape: (shape: readonly number[]) => void = () => {},
): Tensor {
  const header = decodeNpyHeader(operation, bytes);
  const { type, isBigEndian, isFortran, shape, dataStart } = header;
  checkShape(shape);
  checkLength(operation, bytes, header);
  const data = decodeNumbers(operation, type, bytes.subarray(dataStart), isBigEndian);
  return { data: isFortran ? fromFortran(data, shape) : data, shape, dtype: type };
}

/** Refuses what are no bytes. */
export function checkBytes(operation: string, bytes: unknown): asserts bytes is Uint8Array {
  if (typedArrayKind(bytes) !== "Uint8Array") {
    throw new InputError(operation, `bytes are ${describe(bytes)}`, "a Uint8Array");
  }
  checkArray(operation, "bytes", bytes);
}

/** Numbers whose first dimension runs fastest, laid so that the last one does. */
function fromFortran(data: TensorData, shape: readonly number[]): TensorData {
  const rowMajor = data.slice();
  // How far apart neighbours of each dimension lie in `data`.
  const strides: number[] = [];
  shape.reduce((stride, length) => (strides.push(stride), stride * length), 1);
  const index = shape.map(() => 0);
  let from = 0;
  for (let at = 0; at < data.length; at++) {
    rowMajor[at] = data[from];
    // Counts as an odometer does, the last digit first.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return rowMajor;
}
