/**
 * Types of the numbers in files, by NumPy's names, and the bytes that hold them, little-endian. Numbers come into the typed
 * array of their own type, so that nothing is rounded; those that JavaScript has no array for, float16 and bfloat16,
 * come as float32, which holds them all, and booleans as bytes of 0 and 1.
 */

import { describe, FormatError, InputError } from "../base/errors.ts";
import { typedArrayKind } from "../base/lists.ts";
import { fromFloat16Bits, toFloat16Bits } from "../numerics/float16.ts";

/** The numbers of a tensor. */
export type TensorData =
  | Float64Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

/** The type of a tensor's numbers in a file, by NumPy's name for it. */
export type TensorType =
  | "float64"
  | "float32"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint64"
  | "uint32"
  | "uint16"
  | "uint8"
  | "bool";

interface ElementType {
  /** Bytes of a number in a file. */
  readonly bytes: number;
  /** The class of the typed array that holds such numbers. */
  readonly kind: string;
  /** Numbers of little-endian bytes that are nobody else's. */
  readonly decode: (bytes: Uint8Array<ArrayBuffer>) => TensorData;
  /** From numbers as they are to those that are written, where they differ; `null` for one that is out of range. */
  readonly encode?: (numbers: ArrayLike<number>) => Uint16Array<ArrayBuffer> | number;
}

/** The types that are read and written. */
export const ELEMENTS: Readonly<Record<TensorType, ElementType>> = {
  float64: { bytes: 8, kind: "Float64Array", decode: ({ buffer }) => new Float64Array(buffer) },
  float32: { bytes: 4, kind: "Float32Array", decode: ({ buffer }) => new Float32Array(buffer) },
  float16: {
    bytes: 2,
    kind: "Float32Array",
    decode: ({ buffer }) => Float32Array.from(new Uint16Array(buffer), fromFloat16Bits),
    encode: (numbers) => encodeHalves(numbers, toFloat16Bits, 0x7c00),
  },
  bfloat16: {
    bytes: 2,
    kind: "Float32Array",
    decode: ({ buffer }) => {
      const bits = Uint32Array.from(new Uint16Array(buffer), (half) => half << 16);
      return new Float32Array(bits.buffer);
    },
    encode: (numbers) => encodeHalves(numbers, toBfloat16Bits, 0x7f80),
  },
  int64: { bytes: 8, kind: "BigInt64Array", decode: ({ buffer }) => new BigInt64Array(buffer) },
  int32: { bytes: 4, kind: "Int32Array", decode: ({ buffer }) => new Int32Array(buffer) },
  int16: { bytes: 2, kind: "Int16Array", decode: ({ buffer }) => new Int16Array(buffer) },
  int8: { bytes: 1, kind: "Int8Array", decode: ({ buffer }) => new Int8Array(buffer) },
  uint64: { bytes: 8, kind: "BigUint64Array", decode: ({ buffer }) => new BigUint64Array(buffer) },
  uint32: { bytes: 4, kind: "Uint32Array", decode: ({ buffer }) => new Uint32Array(buffer) },
  uint16: { bytes: 2, kind: "Uint16Array", decode: ({ buffer }) => new Uint16Array(buffer) },
  uint8: { bytes: 1, kind: "Uint8Array", decode: (bytes) => bytes },
  bool: { bytes: 1, kind: "Uint8Array", decode: (bytes) => bytes },
};

/** Reads numbers of `type`, which may lie the other way round; the result shares nothing with `bytes`. */
export function decodeNumbers(
  operation: string,
  type: TensorType,
  bytes: Uint8Array,
  isBigEndian: boolean,
): TensorData {
  const { bytes: width, decode } = ELEMENTS[type];
  const own = new Uint8Array(bytes);
  if (isBigEndian) reverseEach(own, width);
  if (type !== "bool") return decode(own);
  const strange = own.findIndex((byte) => byte > 1);
  if (strange === -1) return own;
  throw new FormatError(operation, `boolean ${strange} is the byte ${own[strange]}`, "0 or 1");
}

/** The type that numbers of the caller's are written in; `wanted` is what the caller says of it, if anything. */
export function typeOfNumbers(operation: string, name: string, data: unknown, wanted: unknown): TensorType {
  const kind = typedArrayKind(data);
  const fitting = kind === "Float16Array" ? ["float16" as const] : typesOf(kind);
  if (fitting.length === 0) {
    throw new InputError(operation, `${name}.data is ${describe(data)}`, "a typed array of numbers");
  }
  const found = wanted === undefined ? fitting[0] : fitting.find((type) => type === wanted);
  if (found !== undefined) return found;
  const expected = `${fitting.map((type) => describe(type)).join(" or ")} for a ${kind}`;
  throw new InputError(operation, `${name}.dtype is ${describe(wanted)}`, expected);
}

function typesOf(kind: string | null): TensorType[] {
  const types = Object.keys(ELEMENTS) as TensorType[];
  return types.filter((type) => ELEMENTS[type].kind === kind);
}

/** The bytes of numbers whose type `typeOfNumbers` has said; what is finite must be in range of it. */
export function encodeNumbers(
  operation: string,
  name: string,
  type: TensorType,
  data: TensorData,
): Uint8Array<ArrayBuffer> {
  const { encode } = ELEMENTS[type];
  if (type === "bool") {
    const strange = (data as Uint8Array).findIndex((byte) => byte > 1);
    if (strange !== -1) {
      throw new InputError(operation, `${name}.data has ${data[strange]} at index ${strange}`, "0 or 1");
    }
  }
  if (!encode) return new Uint8Array(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const encoded = encode(data as Float32Array);
  if (typeof encoded !== "number") return new Uint8Array(encoded.buffer);
  throw new InputError(
    operation,
    `${name}.data has ${data[encoded]} at index ${encoded}`,
    `numbers of ${type} range where they are finite`,
  );
}

/** Halves of numbers, or the index of the first finite one that becomes infinite. */
function encodeHalves(
  numbers: ArrayLike<number>,
  toBits: (number: number) => number,
  infinity: number,
): Uint16Array<ArrayBuffer> | number {
  const halves = new Uint16Array(numbers.length);
  for (let at = 0; at < numbers.length; at++) {
    halves[at] = toBits(numbers[at]);
    if ((halves[at] & 0x7fff) === infinity && Number.isFinite(numbers[at])) return at;
  }
  return halves;
}

const SCRATCH = new DataView(new ArrayBuffer(4));

/** The nearest bfloat16 of a float32 number, the even one of two. */
function toBfloat16Bits(number: number): number {
  SCRATCH.setFloat32(0, number);
  const bits = SCRATCH.getUint32(0);
  if (Number.isNaN(number)) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** Turns each number's bytes around. */
function reverseEach(bytes: Uint8Array, width: number): void {
  for (let start = 0; start < bytes.length; start += width) bytes.subarray(start, start + width).reverse();
}
