/**
 * The header of an `.npy` file.
 *
 *     6 bytes   "\x93NUMPY"
 *     2 bytes   version: 1.0, 2.0 or 3.0
 *     2 bytes   length of the header, little-endian (4 bytes from version 2.0 on)
 *     header    a Python dict, {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, padded with spaces and
 *               ended by a newline
 *
 * Source: NumPy Enhancement Proposal 1, and `numpy.lib.format`.
 */

import { describe, FormatError } from "../base/errors.ts";
import { countOf } from "./tensor.ts";
import { ELEMENTS, type TensorType } from "./element_types.ts";

const MAGIC = "\x93NUMPY";
const ALIGNMENT = 64;
/** The number of digits that NumPy leaves room for in the first length. */
const GROWING_DIGITS = 21;
/** Up to the length of the header, whatever the version. */
const LEAST_BYTES = 12;

/** NumPy's letters of types. A `bfloat16` has none. */
const LETTERS: Readonly<Partial<Record<TensorType, string>>> = {
  float64: "f8",
  float32: "f4",
  float16: "f2",
  int64: "i8",
  int32: "i4",
  int16: "i2",
  int8: "i1",
  uint64: "u8",
  uint32: "u4",
  uint16: "u2",
  uint8: "u1",
  bool: "b1",
};
const TYPES: ReadonlyMap<string, TensorType> = new Map(
  Object.entries(LETTERS).map(([type, letters]) => [letters, type as TensorType]),
);

/** The content of a header: the layout of the bytes that follow it. */
export interface NpyHeader {
  readonly type: TensorType;
  /** The type and order of bytes as they are written there. */
  readonly descr: string;
  readonly isBigEndian: boolean;
  /** Whether the first dimension runs fastest. */
  readonly isFortran: boolean;
  readonly shape: readonly number[];
  readonly dataStart: number;
}

/** Whether the format has a name for this type. */
export function hasLetters(type: TensorType): boolean {
  return LETTERS[type] !== undefined;
}

/** All up to the data, as NumPy writes it; the shortest is 128 bytes. */
export function encodeNpyHeader(type: TensorType, shape: readonly number[]): Uint8Array<ArrayBuffer> {
  const order = ELEMENTS[type].bytes === 1 ? "|" : "<";
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const room = shape.length === 0 ? 0 : GROWING_DIGITS - String(shape[0]).length;
  const dict = `{'descr': '${order}${LETTERS[type]}', 'fortran_order': False, 'shape': ${tuple}, }` +
    " ".repeat(room);
  const start = MAGIC.length + 4;
  const dataStart = Math.ceil((start + dict.length + 1) / ALIGNMENT) * ALIGNMENT;
  const text = `${MAGIC}\x01\x00\x00\x00${dict}`.padEnd(dataStart - 1) + "\n";
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  new DataView(bytes.buffer).setUint16(start - 2, dataStart - start, true);
  return bytes;
}

/** Reads a header. */
export function decodeNpyHeader(operation: string, bytes: Uint8Array): NpyHeader {
  const { dict, dataStart } = splitHeader(operation, bytes);
  const { descr, shape, isFortran } = parseDict(operation, dict);
  const [, order = "", letters = ""] = /^([<>|])([a-z]\d+)$/.exec(descr) ?? [];
  const type = TYPES.get(letters);
  if (!type || (order === "|" && ELEMENTS[type].bytes > 1)) {
    const known = `${[...TYPES.keys()].join(", ")}, with "<" or ">" before those of several bytes`;
    throw new FormatError(operation, `descr is ${describe(descr)}`, `one of ${known}`);
  }
  return { type, descr, isBigEndian: order === ">", isFortran, shape, dataStart };
}

/** Compares what a header says with the length of the file. */
export function checkLength(operation: string, bytes: Uint8Array, header: NpyHeader): void {
  const { type, descr, shape, dataStart } = header;
  const found = bytes.length - dataStart, needed = countOf(operation, shape) * ELEMENTS[type].bytes;
  if (found !== needed) {
    throw new FormatError(
      operation,
      `data has ${found} bytes`,
      `${needed} for ${descr} (${shape.join(", ")})`,
    );
  }
  if (shape.every(Number.isSafeInteger)) return;
  throw new FormatError(operation, `shape is (${shape.join(", ")})`, "lengths below 2⁵³");
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

const DICT = /^\s*\{(?<entries>[^{}]*)\}\s*$/;
const ENTRY =
  /\s*(?<quote>['"])(?<name>\w+)\k<quote>\s*:\s*(?<value>'[^']*'|"[^"]*"|True|False|\([\d\s,]*\))\s*(?:,\s*|$)/y;

function parseDict(
  operation: string,
  dict: string,
): { readonly descr: string; readonly shape: number[]; readonly isFortran: boolean } {
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
  if (order !== "False" && order !== "True") {
    throw new FormatError(operation, `fortran_order is ${order}`, "True or False");
  }
  return { descr, shape, isFortran: order === "True" };
}

/** The lengths of a tuple; null for what is none. */
function toShape(tuple: string): number[] | null {
  if (!tuple.startsWith("(")) return null;
  const lengths = tuple.slice(1, -1).split(",").map((length) => length.trim());
  // Python ends a tuple of one with a comma, and one of none has no length.
  if (lengths.at(-1) === "") lengths.pop();
  return lengths.every((length) => /^\d+$/.test(length)) ? lengths.map(Number) : null;
}
