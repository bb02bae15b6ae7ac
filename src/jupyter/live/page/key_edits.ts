/**
 * The ways in which a slider changes a key. Each starts from the key as it was when it was picked, so that a slider that is
 * moved back undoes what it did.
 */

/** The part of a row that one head reads. */
export interface Slice {
  readonly start: number;
  readonly length: number;
}

/** The row with the length of a slice multiplied. */
export function scaledKey(row: Float32Array<ArrayBuffer>, slice: Slice, factor: number) {
  return changed(row, slice, (number) => number * factor);
}

/** The row with one of its numbers replaced. */
export function keyWithEntry(row: Float32Array<ArrayBuffer>, column: number, number: number) {
  return row.with(column, number);
}

/** Whether a slice has a plane with `query` in which it can be turned. */
export function canTurn(row: Float32Array<ArrayBuffer>, slice: Slice, query: Float32Array): boolean {
  return planeOf(row, slice, query) !== null;
}

/** The row with a slice turned by so many degrees towards `query`, its length kept. */
export function turnedKey(
  row: Float32Array<ArrayBuffer>,
  slice: Slice,
  query: Float32Array,
  degrees: number,
): Float32Array<ArrayBuffer> {
  const plane = planeOf(row, slice, query);
  if (!plane) return row.slice();
  const angle = degrees * Math.PI / 180;
  const along = Math.cos(angle), across = plane.length * Math.sin(angle);
  return changed(row, slice, (number, at) => along * number + across * plane.across[at]);
}

/** The length of the slice, and the direction from it to the query at a right angle; null where there is none. */
function planeOf(row: Float32Array<ArrayBuffer>, { start, length: size }: Slice, query: Float32Array) {
  const key = Float64Array.from(row.subarray(start, start + size));
  const length = Math.hypot(...key), queryLength = Math.hypot(...query);
  if (length === 0 || queryLength === 0) return null;
  const dot = key.reduce((sum, number, at) => sum + number * query[at], 0);
  const across = key.map((number, at) => query[at] - number * dot / length ** 2);
  const size2 = Math.hypot(...across);
  if (size2 <= 1e-6 * queryLength) return null;
  return { length, across: across.map((number) => number / size2) };
}

function changed(
  row: Float32Array<ArrayBuffer>,
  { start, length }: Slice,
  change: (number: number, at: number) => number,
): Float32Array<ArrayBuffer> {
  return row.map((number, at) => at < start || at >= start + length ? number : change(number, at - start));
}
