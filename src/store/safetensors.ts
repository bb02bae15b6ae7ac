/**
 * The safetensors format: named tensors and a map of strings, in one file that many tools read.
 *
 *     8 bytes   N, the length of the header, little-endian
 *     N bytes   header, JSON: { "__metadata__": { name: text }, name: { dtype, shape, data_offsets: [begin, end] } },
 *               padded with spaces
 *     the rest  data: little-endian, row-major, tensor after tensor without gap or overlap
 *
 * The format is implemented here, since the packages of npm only read, check nothing and need a browser's
 * database.
 *
 * Invariant: every length that a file names is compared with the bytes that are there before memory is
 * allocated for it.
 *
 * Source: https://github.com/huggingface/safetensors, section "Format".
 */

import { CapacityError, describe, FormatError } from "../base/errors.ts";
import { isCount } from "../base/lists.ts";
import {
  ELEMENT_TYPES,
  type ElementType,
  elementTypeOf,
  type SavedArray,
  type SavedArrays,
} from "../base/saved_array.ts";

/** The content of a file. */
export interface TensorFile {
  /** The map of strings. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors by name. */
  readonly tensors: SavedArrays;
}

const PREFIX_BYTES = 8;
/** Limits that are far above the needs of any engine, and low enough for a check in a moment. */
const MOST_TENSORS = 2 ** 16, LARGEST_HEADER = 2 ** 24;
/** The levels of nesting: the header, an entry, its shape. */
const DEEPEST = 3;
const METADATA = "__metadata__";
const ELEMENT_BYTES: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(ELEMENT_TYPES).map(([type, { BYTES_PER_ELEMENT }]) => [type, BYTES_PER_ELEMENT]),
);

/**
 * Writes a file. The same tensors in the same order give the same bytes.
 *
 * @throws {CapacityError} When there are more tensors, or longer texts, than the reader accepts.
 */
export function encodeTensors(file: TensorFile, operation = "encodeTensors"): Uint8Array<ArrayBuffer> {
  const { header, ordered, dataBytes } = layOut(operation, file);
  const dataStart = PREFIX_BYTES + header.length;
  const bytes = new Uint8Array(dataStart + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, PREFIX_BYTES);
  let at = dataStart;
  for (const { data } of ordered) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * Reads a file. Tensors that are aligned in `bytes` are views of it, others are copies.
 *
 * @throws {FormatError} When the bytes are no safetensors file, are cut off or damaged, or have elements
 * other than F64, F32, U32 and U8.
 */
export function decodeTensors(operation: string, bytes: Uint8Array<ArrayBuffer>): TensorFile {
  const { metadata, entries, data } = readTensorEntries(operation, bytes, ELEMENT_BYTES, () => true);
  const tensors = entries.map(({ name, dtype, shape, begin, end }): [string, SavedArray] => {
    // `readTensorEntries` has refused all other types.
    return [name, { shape, data: numbersAt(dtype as ElementType, data, begin, end) }];
  });
  return { metadata, tensors: Object.fromEntries(tensors) };
}

/** A tensor as the header of a file lists it. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** The place of its bytes in the file's data. */
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads a header: the map of strings, the tensors in the order of the header, and the data that they lie in.
 *
 * @param elementBytes How many bytes a number of each known type has.
 * @param isWanted Whether the tensor of a name must be of a known type; the bytes of others are only compared
 * with those of their neighbours.
 * @throws {FormatError} When the file is no such file, is cut off or damaged, or a wanted tensor is of an
 * unknown type.
 */
export function readTensorEntries(
  operation: string,
  bytes: Uint8Array<ArrayBuffer>,
  elementBytes: Readonly<Record<string, number>>,
  isWanted: (name: string) => boolean,
): {
  readonly metadata: Readonly<Record<string, string>>;
  readonly entries: readonly TensorEntry[];
  readonly data: Uint8Array<ArrayBuffer>;
} {
  const dataStart = dataStartOf(operation, bytes);
  const header = parseHeader(operation, bytes.subarray(PREFIX_BYTES, dataStart));
  const data = bytes.subarray(dataStart);
  const entries = Object.entries(header).filter(([name]) => name !== METADATA).map(([name, entry]) => {
    return toEntry(operation, name, entry, data.length, elementBytes, isWanted(name));
  });
  checkSpans(operation, [...entries], data.length);
  const metadata = Object.hasOwn(header, METADATA) ? toStrings(operation, header[METADATA]) : {};
  return { metadata, entries, data };
}

/**
 * Throws when a header is not, byte by byte, the one that `encodeTensors` writes for its content, for example
 * because a name occurs twice, names are in another order or numbers in another notation, or there are
 * further fields.
 *
 * @throws {FormatError} When the header is another one, or the file cannot be read.
 */
export function checkHeader(operation: string, bytes: Uint8Array<ArrayBuffer>): void {
  const { header } = layOut(operation, decodeTensors(operation, bytes));
  const found = bytes.subarray(PREFIX_BYTES, dataStartOf(operation, bytes));
  if (found.length === header.length && found.every((byte, at) => byte === header[at])) return;
  throw new FormatError(
    operation,
    "safetensors header is not the one that its content is written with",
    "each name once, tensors in their order, and nothing else",
  );
}

/** The header of a file, padded, and its tensors in the order of their data. */
function layOut(operation: string, { metadata, tensors }: TensorFile): {
  readonly header: Uint8Array<ArrayBuffer>;
  readonly ordered: readonly SavedArray[];
  readonly dataBytes: number;
} {
  const forms = Object.entries(tensors).map(([name, tensor]) => [name, formOf(tensor)] as const);
  const { header, order, dataBytes } = layOutHeader(operation, metadata, Object.fromEntries(forms));
  return { header, ordered: order.map((name) => tensors[name]), dataBytes };
}

/** A tensor without its numbers. */
export interface TensorForm {
  readonly type: ElementType;
  readonly shape: readonly number[];
}

export function formOf({ shape, data }: SavedArray): TensorForm {
  return { type: elementTypeOf(data), shape };
}

/**
 * The header of a file, padded, the names of its tensors in the order of their data, and the bytes of these.
 *
 * @throws {CapacityError} When there are more tensors, or longer texts, than the reader accepts.
 */
export function layOutHeader(
  operation: string,
  metadata: Readonly<Record<string, string>>,
  forms: Readonly<Record<string, TensorForm>>,
): {
  readonly header: Uint8Array<ArrayBuffer>;
  readonly order: readonly string[];
  readonly dataBytes: number;
} {
  // Tensors of the widest elements come first, so that every tensor begins at a multiple of its element size.
  const ordered = Object.entries(forms).sort(([, a], [, b]) => {
    return ELEMENT_TYPES[b.type].BYTES_PER_ELEMENT - ELEMENT_TYPES[a.type].BYTES_PER_ELEMENT;
  });
  let end = 0;
  const entries = ordered.map(([name, { type, shape }]) => {
    const begin = end;
    end += shape.reduce((size, length) => size * length, ELEMENT_TYPES[type].BYTES_PER_ELEMENT);
    return [name, { dtype: type, shape, data_offsets: [begin, end] }];
  });
  const json = new TextEncoder().encode(
    JSON.stringify({ [METADATA]: metadata, ...Object.fromEntries(entries) }),
  );
  const headerBytes = Math.ceil(json.length / 8) * 8;
  if (ordered.length > MOST_TENSORS || headerBytes > LARGEST_HEADER) {
    const cause = new RangeError(`at most ${MOST_TENSORS} tensors and ${LARGEST_HEADER} bytes of header`);
    throw new CapacityError(operation, `a header of ${ordered.length} tensors`, headerBytes, cause);
  }
  const header = new Uint8Array(headerBytes).fill(0x20);
  header.set(json);
  return { header, order: ordered.map(([name]) => name), dataBytes: end };
}

/** The index at which the data of a file begin. */
export function dataStartOf(operation: string, bytes: Uint8Array<ArrayBuffer>): number {
  const least = PREFIX_BYTES + 2;
  if (bytes.length < least) {
    throw new FormatError(
      operation,
      `file has ${bytes.length} bytes`,
      `a safetensors file of at least ${least}`,
    );
  }
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const most = Math.min(bytes.length - PREFIX_BYTES, LARGEST_HEADER);
  if (headerBytes > most) {
    throw new FormatError(
      operation,
      `safetensors header has ${headerBytes} bytes`,
      `at most ${most} in a file of ${bytes.length}`,
    );
  }
  return PREFIX_BYTES + headerBytes;
}

function parseHeader(operation: string, bytes: Uint8Array<ArrayBuffer>): Readonly<Record<string, unknown>> {
  checkExtent(operation, bytes);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError(operation, `safetensors header cannot be read (${reason})`, "JSON in UTF-8");
  }
  if (isRecord(header)) return header;
  throw new FormatError(operation, `safetensors header is ${describe(header)}`, "a JSON object");
}

/** Throws, before the header is parsed, when it lists too many tensors or is nested too deeply. */
function checkExtent(operation: string, bytes: Uint8Array<ArrayBuffer>): void {
  let depth = 0, entries = 0, isText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (isText) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isText = false;
    } else if (byte === QUOTE) isText = true;
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      if (depth === 1) entries++;
      if (++depth > DEEPEST) {
        throw new FormatError(operation, `safetensors header is nested more than ${DEEPEST} deep`, "entries");
      }
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth--;
  }
  // One of the entries is the map of strings.
  if (entries <= MOST_TENSORS + 1) return;
  throw new FormatError(
    operation,
    `safetensors header has ${entries} entries`,
    `at most ${MOST_TENSORS} tensors`,
  );
}

const QUOTE = 0x22, BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b, CLOSE_OBJECT = 0x7d, OPEN_LIST = 0x5b, CLOSE_LIST = 0x5d;

function toEntry(
  operation: string,
  name: string,
  entry: unknown,
  dataBytes: number,
  elementBytes: Readonly<Record<string, number>>,
  isWanted: boolean,
): TensorEntry {
  if (!isRecord(entry)) {
    throw new FormatError(operation, `tensor ${describe(name)} is ${describe(entry)}`, "a JSON object");
  }
  const { dtype, shape, data_offsets: offsets } = entry;
  const what = `tensor ${describe(name)}`;
  const isKnown = typeof dtype === "string" && Object.hasOwn(elementBytes, dtype);
  if (typeof dtype !== "string" || (isWanted && !isKnown)) {
    const known = Object.keys(elementBytes).join(", ");
    throw new FormatError(operation, `${what} has dtype ${describe(dtype)}`, `one of ${known}`);
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw new FormatError(operation, `${what} has shape ${describe(shape)}`, "a list of whole numbers ≥ 0");
  }
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? offsets : [NaN, NaN];
  if (!isCount(begin) || !isCount(end) || begin > end || end > dataBytes) {
    throw new FormatError(
      operation,
      `${what} has data_offsets ${describe(offsets)}`,
      `[begin, end] with begin ≤ end ≤ ${dataBytes}, the bytes of data`,
    );
  }
  const needed = isKnown ? shape.reduce((size, length) => size * length, elementBytes[dtype]) : end - begin;
  if (end - begin !== needed) {
    throw new FormatError(
      operation,
      `${what} has ${end - begin} bytes`,
      `${needed} for ${dtype} ${describe(shape)}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** Throws unless the tensors lie end to end and fill the data. */
function checkSpans(
  operation: string,
  spans: { readonly name: string; readonly begin: number; readonly end: number }[],
  dataBytes: number,
): void {
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let filled = 0;
  for (const { name, begin, end } of spans) {
    if (begin !== filled) {
      throw new FormatError(
        operation,
        `tensor ${describe(name)} begins at byte ${begin}`,
        `${filled}, where the one before it ends`,
      );
    }
    filled = end;
  }
  if (filled !== dataBytes) {
    throw new FormatError(operation, `tensors end at byte ${filled}`, `${dataBytes}, the end of the data`);
  }
}

function numbersAt(
  type: ElementType,
  data: Uint8Array<ArrayBuffer>,
  begin: number,
  end: number,
): SavedArray["data"] {
  const Numbers = ELEMENT_TYPES[type];
  const isAligned = (data.byteOffset + begin) % Numbers.BYTES_PER_ELEMENT === 0;
  const { buffer, byteOffset } = isAligned ? data.subarray(begin, end) : data.slice(begin, end);
  return new Numbers(buffer, byteOffset, (end - begin) / Numbers.BYTES_PER_ELEMENT);
}

function toStrings(operation: string, metadata: unknown): Record<string, string> {
  const found = isRecord(metadata) ? Object.entries(metadata) : [[METADATA, metadata] as const];
  const strings: [string, string][] = [];
  for (const [name, text] of found) {
    if (typeof text !== "string") {
      throw new FormatError(operation, `metadata ${describe(name)} is ${describe(text)}`, "text");
    }
    strings.push([name, text]);
  }
  return Object.fromEntries(strings);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
