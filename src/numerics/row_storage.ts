/**
 * The formats in which keys and values are kept. Each rounds the numbers of one head of a row together:
 *
 *     float32   x as it is
 *     float16   the nearest binary16 number, the even one of two; |x' − x| ≤ max(2⁻¹¹·|x|, 2⁻²⁵)
 *     int8      s·q, q whole in ±127, s = max |x| / 127 of the head; |x' − x| ≤ max(max |x| / 254, 2⁻¹²⁷)
 *
 * Invariant: what a format keeps is exact in float32, and rounding it again changes nothing. So a row is
 * rounded once, when it is written, and from then on has the same bits in logs, backends, journals and files.
 * For int8 this holds because s is cut to 17 bits: s·q has 24, and 127·s / 127 is s again.
 */

import { InputError } from "../base/errors.ts";
import { fromFloat16Bits, toFloat16Bits } from "./float16.ts";
import { type HeadLayout, keyColumns } from "./head_layout.ts";
import type { RowFormat } from "./row_format.ts";

/** The names of all formats. */
export const ROW_FORMATS: readonly RowFormat[] = ["float32", "float16", "int8"];

/** The largest |q| of int8. */
export const MOST_STEPS = 127;
/** A scale is a normal number, so that all of its multiples are exact. */
const LEAST_SCALE = 2 ** -126;
/** In units of the last place of 17 bits. */
const SCALE_UNIT = 2 ** -16;

const { f16round } = Math as { readonly f16round?: (number: number) => number };

/** The binary16 number nearest to `number`, the even one of two; ±Infinity from 65520 on. */
export const toFloat16: (number: number) => number = f16round ??
  ((number) => fromFloat16Bits(toFloat16Bits(number)));

/** The scale of int8 for numbers up to `largest`. */
export function scaleOf(largest: number): number {
  const scale = largest / MOST_STEPS;
  if (scale <= LEAST_SCALE) return LEAST_SCALE;
  const unit = 2 ** exponentBelow(scale) * SCALE_UNIT;
  return Math.floor(scale / unit) * unit;
}

/** The largest e with 2^e ≤ `number`, which is positive and normal in float32. */
function exponentBelow(number: number): number {
  const exponent = Math.floor(Math.log2(number));
  // The logarithm may round up or down to a whole number.
  if (2 ** exponent > number) return exponent - 1;
  return 2 ** (exponent + 1) <= number ? exponent + 1 : exponent;
}

/** max |x| of `count` numbers from `from` on. */
export function largestOf(numbers: Float32Array, from: number, count: number): number {
  let largest = 0;
  for (let c = from; c < from + count; c++) largest = Math.max(largest, Math.abs(numbers[c]));
  return largest;
}

/** Rounds one head of a row in place; returns whether all of its numbers are within the format. */
function roundHead(format: RowFormat, numbers: Float32Array, from: number, count: number): boolean {
  const end = from + count;
  if (format === "float16") {
    let isWithin = true;
    for (let c = from; c < end; c++) {
      const number = numbers[c] = toFloat16(numbers[c]);
      if (number === Infinity || number === -Infinity) isWithin = false;
    }
    return isWithin;
  }
  if (format === "int8") {
    const scale = scaleOf(largestOf(numbers, from, count));
    // Adding 0 turns −0, which int8 has not, into 0.
    for (let c = from; c < end; c++) numbers[c] = scale * Math.round(numbers[c] / scale) + 0;
  }
  return true;
}

/**
 * Rounds part of a row `[key | value]` in place, `part` from `column` on, which is made of whole heads.
 *
 * @throws {InputError} When a number is beyond the format; `part` means nothing then.
 */
export function roundRow(operation: string, layout: HeadLayout, part: Float32Array, column: number): void {
  const { storage, headDim, valueDim } = layout;
  if (!storage) return;
  const keyEnd = keyColumns(layout) - column;
  for (let at = 0; at < part.length;) {
    const isKey = at < keyEnd, width = isKey ? headDim : valueDim;
    if (!roundHead(isKey ? storage.keys : storage.values, part, at, width)) {
      throw new InputError(
        operation,
        `${isKey ? "key" : "value"} has a number beyond float16`,
        "numbers up to 65504",
      );
    }
    at += width;
  }
}

/** A bound on ‖x − x'‖ of one head of a row that was written once, by what is kept of it. */
export function mostError(format: RowFormat, kept: Float32Array, from: number, count: number): number {
  if (format === "float32") return 0;
  const scale = format === "int8" ? scaleOf(largestOf(kept, from, count)) : 0;
  let squared = 0, largest = 0;
  for (let c = from; c < from + count; c++) {
    const size = Math.abs(kept[c]);
    // The error is half a step of the format, with a little to spare.
    const off = format === "int8" ? 0.51 * scale : Math.max(size * 2 ** -10.99, 2 ** -25);
    squared += off * off;
    largest = Math.max(largest, size);
  }
  return largest === 0 && format === "int8" ? 0 : Math.fround(Math.sqrt(squared) * (1 + 2 ** -20));
}

/** As `roundRow`, to a copy; the part itself where rows are float32. */
export function roundedCopy(
  operation: string,
  layout: HeadLayout,
  part: Float32Array,
  column: number,
): Float32Array {
  if (!layout.storage) return part;
  const copy = part.slice();
  roundRow(operation, layout, copy, column);
  return copy;
}

/** Whether a row `[key | value]` is one that was rounded. */
export function isRounded(layout: HeadLayout, row: Float32Array): boolean {
  const { storage } = layout;
  if (!storage) return true;
  for (let at = 0; at < row.length;) {
    const [, width] = headAt(layout, at), head = row.slice(at, at + width);
    roundHead(at < keyColumns(layout) ? storage.keys : storage.values, head, 0, width);
    if (!head.every((number, c) => Object.is(number, row[at + c]))) return false;
    at += width;
  }
  return true;
}

/** The head of a row `[key | value]` that has a column: its first column and its width. */
export function headAt(layout: HeadLayout, column: number): readonly [first: number, width: number] {
  const keyWidth = keyColumns(layout), { headDim, valueDim } = layout;
  if (column < keyWidth) return [column - column % headDim, headDim];
  return [column - (column - keyWidth) % valueDim, valueDim];
}
