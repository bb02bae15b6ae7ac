/**
 * Keys and values of float16 or int8 in a snapshot, as they are kept, with how far each is from the row that was
 * given:
 *
 *     float16   key         F16 [n, Hkv·d]
 *     int8      key         I8  [n, Hkv·d]    the whole numbers q
 *               key.scales  F32 [n, Hkv]      s; 0 where the slot is free
 *     both      key.errors  F32 [n, Hkv]      bounds on ‖k − k'‖
 *
 * and likewise value. In snapshots before these a row is F32 and has no errors, which are then those of a row that was
 * written once.
 */

import { type SavedArray, type SavedArrays, takeArray, takeNumbers } from "../base/saved_array.ts";
import { fromExactHalf, toExactHalf } from "../numerics/float16.ts";
import { type HeadLayout, keyColumns } from "../numerics/head_layout.ts";
import type { RowFormat } from "../numerics/row_format.ts";
import { largestOf, mostError, scaleOf } from "../numerics/row_storage.ts";
import type { TensorForm } from "./safetensors.ts";

/** Rows of one kind: what their tensor is called, their format, and the numbers of a head. */
export interface PackedKind {
  readonly name: "key" | "value";
  readonly format: RowFormat;
  readonly heads: number;
  readonly headWidth: number;
  /** The first column in a row `[key | value]`. */
  readonly first: number;
}

/** Keys and values of a layout. */
export function packedKinds(layout: HeadLayout): readonly [PackedKind, PackedKind] {
  const { storage, kvHeads: heads, headDim, valueDim } = layout;
  return [
    { name: "key", format: storage?.keys ?? "float32", heads, headWidth: headDim, first: 0 },
    {
      name: "value",
      format: storage?.values ?? "float32",
      heads,
      headWidth: valueDim,
      first: keyColumns(layout),
    },
  ];
}

/** The tensors of `size` rows of one kind. */
export function packedForms(
  { name, format, heads, headWidth }: PackedKind,
  size: number,
): Record<string, TensorForm> {
  const type = ({ float32: "F32", float16: "F16", int8: "I8" } as const)[format];
  const ofHeads: TensorForm = { type: "F32", shape: [size, heads] };
  return {
    [name]: { type, shape: [size, heads * headWidth] },
    ...(format === "int8" ? { [`${name}.scales`]: ofHeads } : {}),
    ...(format === "float32" ? {} : { [`${name}.errors`]: ofHeads }),
  };
}

/** Packs rows of one kind, `count` of them side by side, to numbers of their tensor. */
export function packRows(kind: PackedKind, rows: Float32Array<ArrayBuffer>): SavedArray["data"] {
  if (kind.format === "float16") return Uint16Array.from(rows, toExactHalf);
  if (kind.format === "float32") return rows;
  const { headWidth } = kind, packed = new Int8Array(rows.length);
  for (let from = 0; from < rows.length; from += headWidth) {
    const scale = scaleOf(largestOf(rows, from, headWidth));
    for (let c = from; c < from + headWidth; c++) packed[c] = rows[c] / scale;
  }
  return packed;
}

/** The scales of the heads of one row of int8, from `at` on. */
export function writeScales(
  { heads, headWidth }: PackedKind,
  row: Float32Array,
  to: Float32Array,
  at: number,
): void {
  for (let head = 0; head < heads; head++) {
    to[at + head] = scaleOf(largestOf(row, head * headWidth, headWidth));
  }
}

/** Reads the rows of one kind, `size` of them unless that is null; they are not checked. */
export function takeRows(
  operation: string,
  tensors: SavedArrays,
  { name, format, heads, headWidth }: PackedKind,
  count: number | null,
): { readonly size: number; readonly rows: Float32Array } {
  const width = heads * headWidth, shape = [count, width] as const;
  const isPlain = format === "float32" || isFloat32(tensors, name);
  if (isPlain) {
    const { shape: [size], data } = takeArray(operation, tensors, name, "F32", shape);
    return { size, rows: data };
  }
  if (format === "float16") {
    const { shape: [size], data } = takeArray(operation, tensors, name, "F16", shape);
    return { size, rows: Float32Array.from(data, fromExactHalf) };
  }
  const { shape: [size], data } = takeArray(operation, tensors, name, "I8", shape);
  const scales = takeNumbers(operation, tensors, `${name}.scales`, "F32", [size, heads]);
  // Adding 0 turns −0, which int8 has not, into 0.
  return { size, rows: Float32Array.from(data, (step, at) => step * scales[Math.floor(at / headWidth)] + 0) };
}

/** Reads how far rows of one kind are from those that were given; empty where they are float32. */
export function takeErrors(
  operation: string,
  tensors: SavedArrays,
  { name, format, heads, headWidth }: PackedKind,
  rows: Float32Array,
): Float32Array<ArrayBuffer> {
  if (format === "float32") return new Float32Array(0);
  const size = rows.length / (heads * headWidth);
  if (isFloat32(tensors, name) && !Object.hasOwn(tensors, `${name}.errors`)) {
    return Float32Array.from({ length: size * heads }, (_, at) => {
      return mostError(format, rows, at * headWidth, headWidth);
    });
  }
  return new Float32Array(takeNumbers(operation, tensors, `${name}.errors`, "F32", [size, heads]));
}

/** The names of all tensors that rows of one kind may have. */
export function packedNames({ name, format }: PackedKind): readonly string[] {
  if (format === "float32") return [name];
  return format === "int8" ? [name, `${name}.errors`, `${name}.scales`] : [name, `${name}.errors`];
}

function isFloat32(tensors: SavedArrays, name: string): boolean {
  return Object.hasOwn(tensors, name) && tensors[name].data instanceof Float32Array;
}
