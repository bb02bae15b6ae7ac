/**
 * NumPy's `.npy` format, for single matrices.
 *
 *     6 bytes   "\x93NUMPY"
 *     2 bytes   version: 1.0, 2.0 or 3.0
 *     2 bytes   length of the header, little-endian (4 bytes from version 2.0 on)
 *     header    a Python dict, {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, padded with spaces and
 *               ended by a newline
 *     the rest  data
 *
 * The format is implemented here, since the packages of npm trust the lengths that a file names, and read
 * big-endian numbers and column-major arrays wrongly instead of refusing them.
 *
 * Source: NumPy Enhancement Proposal 1, and `numpy.lib.format`.
 */

import { describe, FormatError, InputError } from "../base/errors.ts";
import { allocate, checkArray, type List, reading, typedArrayKind } from "../base/lists.ts";
import { type Matrix, takeShaped } from "../base/matrix.ts";

const MAGIC = "\x93NUMPY";
const ALIGNMENT = 64;
/** The bytes before the header, in any version. */
const LEAST_BYTES = 12;

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
    return { data: toFloat32(operation, "matrix.data", list), shape };
  });
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`;
  const start = MAGIC.length + 4;
  const dataStart = Math.ceil((start + dict.length + 1) / ALIGNMENT) * ALIGNMENT;
  const header = `${MAGIC}\x01\x00\x00\x00${dict}`.padEnd(dataStart - 1) + "\n";
  const bytes = new Uint8Array(dataStart + 4 * data.length);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < header.length; at++) bytes[at] = header.charCodeAt(at);
  view.setUint16(start - 2, dataStart - start, true);
  new Float32Array(bytes.buffer, dataStart).set(data);
  return bytes;
}

/** Copies numbers to float32; throws for finite ones that float32 cannot hold. */
function toFloat32(operation: string, name: string, { length, entries }: List): Float32Array {
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
 * Reads the matrix in the bytes of an `.npy` file: float32, float64 or float16, little-endian, row-major; an
 * array of one dimension is one row. Float64 is rounded to float32. Infinities and NaN are kept, since masks
 * may have −∞; engines refuse them elsewhere.
 *
 * @throws {FormatError} When the bytes are not an `.npy` file, have another element type, order or number of
 * dimensions, are too short or too long for the shape, or hold a finite number beyond float32.
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
  if (typedArrayKind(bytes) !== "Uint8Array") {
    throw new InputError(operation, `bytes are ${describe(bytes)}`, "a Uint8Array");
  }
  checkArray(operation, "bytes", bytes);
  const { dict, dataStart } = splitHeader(operation, bytes);
  const { descr, shape } = parseDict(operation, dict);
  const read = READERS[descr];
  if (!read) throw new FormatError(operation, `descr is ${describe(descr)}`, "'<f4', '<f8' or '<f2'");
  const [rows, columns] = shape.length === 1 ? [1, shape[0]] : shape;
  if (shape.length < 1 || shape.length > 2 || columns === 0) {
    throw new FormatError(
      operation,
      `shape is (${shape.join(", ")})`,
      "(rows, columns ≥ 1), or one dimension for one row",
    );
  }
  const found = bytes.length - dataStart, needed = rows * columns * read.bytes;
  if (found !== needed) {
    throw new FormatError(
      operation,
      `data has ${found} bytes`,
      `${needed} for ${descr} (${shape.join(", ")})`,
    );
  }
  if (!shape.every(Number.isSafeInteger)) {
    throw new FormatError(operation, `shape is (${shape.join(", ")})`, "lengths below 2⁵³");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + dataStart, found);
  const data = new Float32Array(rows * columns);
  for (let at = 0; at < data.length; at++) {
    const number = read.number(view, at * read.bytes);
    data[at] = number;
    if (Number.isFinite(number) && !Number.isFinite(data[at])) {
      throw new FormatError(operation, `number ${at} is ${number}`, "numbers of float32 range");
    }
  }
  return { data, shape: [rows, columns] };
}

interface Reader {
  readonly bytes: number;
  readonly number: (view: DataView, at: number) => number;
}

const READERS: Readonly<Record<string, Reader | undefined>> = Object.assign(Object.create(null), {
  "<f2": { bytes: 2, number: (view: DataView, at: number) => toFloat16(view.getUint16(at, true)) },
  "<f4": { bytes: 4, number: (view: DataView, at: number) => view.getFloat32(at, true) },
  "<f8": { bytes: 8, number: (view: DataView, at: number) => view.getFloat64(at, true) },
});

/**
 * The float16 number of 16 bits. `DataView.prototype.getFloat16` reads it, too, but Node has that only from
 * version 24 on.
 */
function toFloat16(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function splitHeader(operation: string, bytes: Uint8Array): { dict: string; dataStart: number } {
  const latin1 = new TextDecoder("latin1");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const magic = Array.from(bytes.subarray(0, 6), (byte) => String.fromCharCode(byte)).join("");
  if (magic !== MAGIC) {
    throw new FormatError(
      operation,
      `file of ${bytes.length} bytes begins with ${describe(magic)}`,
      describe(MAGIC),
    );
  }
  if (bytes.length < LEAST_BYTES) {
    throw new FormatError(operation, `file has ${bytes.length} bytes`, `at least ${LEAST_BYTES}`);
  }
  const version = `${bytes[6]}.${bytes[7]}`;
  if (!["1.0", "2.0", "3.0"].includes(version)) {
    throw new FormatError(operation, `version is ${version}`, "1.0, 2.0 or 3.0");
  }
  const start = version === "1.0" ? 10 : 12;
  const length = version === "1.0" ? view.getUint16(8, true) : view.getUint32(8, true);
  if (start + length > bytes.length) {
    throw new FormatError(
      operation,
      `header has ${length} bytes`,
      `at most ${bytes.length - start}, the file's rest`,
    );
  }
  return { dict: latin1.decode(bytes.subarray(start, start + length)), dataStart: start + length };
}

interface Header {
  readonly descr: string;
  readonly shape: number[];
}

const DICT = /^\s*\{(?<entries>[^{}]*)\}\s*$/;
const ENTRY =
  /\s*(?<quote>['"])(?<name>\w+)\k<quote>\s*:\s*(?<value>'[^']*'|"[^"]*"|True|False|\([\d\s,]*\))\s*(?:,\s*|$)/y;

function parseDict(operation: string, dict: string): Header {
  const entries = new Map<string, string>();
  const text = DICT.exec(dict)?.groups?.entries ?? "";
  ENTRY.lastIndex = 0;
  let end = 0;
  for (let match = ENTRY.exec(text); match?.groups; match = ENTRY.exec(text)) {
    entries.set(match.groups.name, match.groups.value);
    end = ENTRY.lastIndex;
  }
  const descr = entries.get("descr")?.slice(1, -1), order = entries.get("fortran_order");
  const shape = toShape(entries.get("shape") ?? "");
  if (end < text.length || entries.size !== 3 || descr === undefined || !shape) {
    throw new FormatError(
      operation,
      `header is ${describe(dict.trim().slice(0, 100))}`,
      "{'descr': text, 'fortran_order': False, 'shape': whole numbers}",
    );
  }
  if (order !== "False") {
    throw new FormatError(
      operation,
      `fortran_order is ${order}`,
      "False, as numpy.ascontiguousarray makes it",
    );
  }
  return { descr, shape };
}

/** The lengths in a tuple; null if the text is no tuple of lengths. */
function toShape(tuple: string): number[] | null {
  if (!tuple.startsWith("(")) return null;
  const lengths = tuple.slice(1, -1).split(",").map((length) => length.trim());
  // Python writes a tuple of one number with a comma at the end.
  if (lengths.at(-1) === "") lengths.pop();
  return lengths.every((length) => /^\d+$/.test(length)) ? lengths.map(Number) : null;
}
