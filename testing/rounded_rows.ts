// Rounding of rows as `storage` describes it, by other means than the library's: `Float16Array`, and the bits of
// float64 numbers.

import type { RowStorage } from "../src/numerics/row_format.ts";

/** Formats of keys and of values. */
export const STORAGES: readonly RowStorage[] = [
  { keys: "float16", values: "float16" },
  { keys: "int8", values: "int8" },
  { keys: "int8", values: "float16" },
  { keys: "float32", values: "int8" },
  { keys: "float16", values: "float32" },
];

/** What is kept of a key or a value whose heads have `width` numbers. */
export function roundedRow(
  row: ArrayLike<number>,
  width: number,
  storage: RowStorage | undefined,
  part: "keys" | "values",
): Float32Array<ArrayBuffer> {
  const format = storage?.[part];
  const rounded = Float32Array.from(row);
  if (format === "float16") return Float32Array.from(Float16Array.from(rounded));
  if (format !== "int8") return rounded;
  for (let head = 0; head < rounded.length; head += width) {
    const numbers = rounded.subarray(head, head + width);
    const scale = Math.max(2 ** -126, cut(numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / 127));
    numbers.set(numbers.map((x) => scale * Math.round(x / scale) + 0));
  }
  return rounded;
}

/** A number's first 17 bits. */
function cut(number: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, number);
  view.setBigUint64(0, view.getBigUint64(0) >> 36n << 36n);
  return view.getFloat64(0);
}
