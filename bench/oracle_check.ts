// Whether an output is attention at all: some of its rows against the float64 oracle.

import { referenceAttention } from "../src/numerics/reference.ts";

/** Largest allowed distance from the oracle, for values of size 1; float32 leaves some hundredths of it. */
export const TOLERANCE = 2e-6;
const CHECKED_ROWS = 4;

/** Rows of inputs, and the output that is to be judged. */
export interface CheckedOutput {
  readonly query: readonly ArrayLike<number>[];
  readonly key: readonly ArrayLike<number>[];
  readonly value: readonly ArrayLike<number>[];
  readonly output: ArrayLike<number>;
  readonly valueDim: number;
}

/** An output that is not attention. */
export class WrongOutput extends Error {
  override readonly name = "WrongOutput";
}

/**
 * The largest distance of the rows looked at from the oracle, over the largest value.
 *
 * @throws {WrongOutput} When it is above the tolerance, or the output has another length or holds NaN.
 */
export function checkOutput({ query, key, value, output, valueDim }: CheckedOutput): number {
  if (output.length !== query.length * valueDim) {
    throw new WrongOutput(`output has ${output.length} numbers, expected ${query.length * valueDim}`);
  }
  const rows = checkedRows(query.length);
  const reference = referenceAttention({
    query: rows.map((row) => query[row]),
    key,
    value,
    scale: 1 / Math.sqrt(query[0].length),
    valueDim,
  });
  const largest = largestOf(value);
  let error = 0;
  rows.forEach((row, at) => {
    for (let column = 0; column < valueDim; column++) {
      const distance = Math.abs(output[row * valueDim + column] - reference.output[at][column]);
      // Written so that NaN does not pass.
      if (!(distance <= TOLERANCE * largest)) {
        throw new WrongOutput(
          `output is off by ${distance} in row ${row}, expected at most ${TOLERANCE * largest}`,
        );
      }
      error = Math.max(error, distance);
    }
  });
  return largest === 0 ? error : error / largest;
}

function largestOf(rows: readonly ArrayLike<number>[]): number {
  let largest = 0;
  for (const row of rows) {
    for (let column = 0; column < row.length; column++) largest = Math.max(largest, Math.abs(row[column]));
  }
  return largest;
}

/** The first, the last, and some between. */
function checkedRows(count: number): number[] {
  const last = count - 1;
  return [
    ...new Set(Array.from({ length: CHECKED_ROWS }, (_, at) => Math.round(last * at / (CHECKED_ROWS - 1)))),
  ];
}

/** A row-major matrix as its rows, without copying. */
export function rowsOf(data: Float32Array<ArrayBuffer>, columns: number): Float32Array<ArrayBuffer>[] {
  return Array.from(
    { length: data.length / columns },
    (_, row) => data.subarray(row * columns, (row + 1) * columns),
  );
}
