/**
 * Masks as callers pass them: matrices of truth values or numbers, which are copied and checked.
 */

import { describe, InputError } from "../base/errors.ts";
import { allocate, type List, takeList } from "../base/lists.ts";
import { isShaped, takeShape } from "../base/matrix.ts";
import { checkNames } from "../base/names.ts";
import type { RowId } from "./row_ids.ts";

/**
 * A bias that is added to a score (−∞ forbids the pair), or a boolean that says whether the pair is allowed.
 */
export type MaskEntry = number | boolean;

/**
 * A row of entries. Arrays hold booleans or numbers. Typed arrays of floats hold numbers; a `Uint8Array`
 * holds truth values, 1 for a pair that may attend and 0 for one that may not, as tensors of booleans do in
 * JavaScript. Typed arrays of other whole numbers are refused: a mask of 1 and 0 would be added to the scores
 * without notice.
 */
export type MaskRow = ArrayLike<MaskEntry>;

/** One matrix of a mask, m × n: a list of rows, or `{ data, shape }`. */
export type MaskMatrix = ArrayLike<MaskRow> | {
  /** `shape[0] * shape[1]` entries, row-major. */
  readonly data: MaskRow;
  /** Rows (queries), then columns (keys). */
  readonly shape: readonly [rows: number, columns: number];
};

/**
 * A function that gives the entry of query slot i, key slot j (their ids, on an engine with ids) and a head;
 * it must have no side effects. If it throws, or returns no entry, the answer that needs the entry rejects,
 * and the function is called again for the next answer. It may not call methods of the engine that edit or
 * answer asynchronously ({@link ReentryError}).
 */
export type MaskFunction<QueryId extends RowId = number, KeyId extends RowId = number> = (
  i: QueryId,
  j: KeyId,
  head: number,
) => MaskEntry;

/** One matrix for all heads, a matrix for each of the H heads, or a function. */
export type MaskInput<QueryId extends RowId = number, KeyId extends RowId = number> =
  | MaskMatrix
  | ArrayLike<MaskMatrix>
  | MaskFunction<QueryId, KeyId>;

/** A checked matrix of a mask: the biases, one row per query slot and one column per key slot. */
export interface BiasMatrix {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** The condition on an entry, in words. */
export const ENTRY = "a boolean, a finite number of float32 range or −Infinity";
const TRUTH = "1, which lets a pair attend, or 0 in a Uint8Array";
const WHOLE = "{ data, shape }, an array of rows or a function";
const MATRIX = "{ data, shape } or an array of rows", ROW = "an array of booleans or numbers";
const KINDS = "booleans, a Uint8Array of 1, which lets a pair attend, and 0, or floats, which are added";

/** A call of a mask function, as errors name it. */
export function callOf(query: RowId, key: RowId, head: number): string {
  return `mask(${describe(query)}, ${describe(key)}, ${head})`;
}

/** The bias of an entry; NaN for a value that is no entry. */
export function toBias(entry: unknown): number {
  if (typeof entry === "boolean") return entry ? 0 : -Infinity;
  if (typeof entry !== "number") return NaN;
  const bias = Math.fround(entry);
  return Number.isFinite(bias) || entry === -Infinity ? bias : NaN;
}

/** As `toBias`, for an entry of a `Uint8Array`. */
function toTruthBias(entry: unknown): number {
  return entry === 1 ? 0 : entry === 0 ? -Infinity : NaN;
}

/** The matrices of a mask: one for all heads, or one per head; error messages call it `name`. */
export function toMatrices(operation: string, input: unknown, heads: number, name = "mask"): BiasMatrix[] {
  if (isShaped(input)) return [fromShaped(operation, name, input)];
  const expected = name === "mask" ? WHOLE : MATRIX;
  const outer = settled(operation, name, takeList(operation, name, input, expected));
  if (outer.kind !== null) throw new InputError(operation, `${name} is ${describe(input)}`, expected);
  if (outer.length === 0) return [{ data: new Float32Array(0), rows: 0, columns: 0 }];
  const [first] = outer.entries;
  if (isShaped(first)) return toHeadMatrices(operation, name, outer.entries, null, heads);
  const inner = settled(operation, name, takeList(operation, `${name}[0]`, first, ROW));
  // The input is a list of matrices if its first element is a matrix, which may itself be a list of rows.
  const isList = typeof inner.entries[0] === "object" && inner.entries[0] !== null;
  return isList
    ? toHeadMatrices(operation, name, outer.entries, inner, heads)
    : [fromRows(operation, name, outer.entries, inner)];
}

/** The matrices of the heads. The rows of the first one may have been read already. */
function toHeadMatrices(
  operation: string,
  whole: string,
  matrices: readonly unknown[],
  firstRows: SettledList | null,
  heads: number,
): BiasMatrix[] {
  const count = matrices.length;
  if (count !== 1 && count !== heads) {
    throw new InputError(operation, `${whole} has ${count} matrices`, `1 or ${heads} (heads)`);
  }
  return matrices.map((matrix, h) => {
    const name = count > 1 ? `${whole}[${h}]` : whole;
    if (isShaped(matrix)) return fromShaped(operation, name, matrix);
    const rows = h === 0 && firstRows
      ? firstRows
      : settled(operation, name, takeList(operation, name, matrix, MATRIX));
    if (rows.length === 0) return { data: new Float32Array(0), rows: 0, columns: 0 };
    const [row] = rows.entries;
    return fromRows(
      operation,
      name,
      rows.entries,
      settled(operation, name, takeList(operation, `${name}[0]`, row, ROW)),
    );
  });
}

/** The biases of a list of entries. */
export function toBiases(operation: string, name: string, input: unknown): Float32Array {
  const list = takeList(operation, name, input, ROW);
  const data = allocate(operation, name, list.length, () => new Float32Array(list.length));
  writeBias(operation, name, list, data, 0);
  return data;
}

function fromShaped(
  operation: string,
  name: string,
  input: { readonly data: unknown; readonly shape: unknown },
): BiasMatrix {
  checkNames(operation, input, ["data", "shape"], `${name} field`);
  const list = takeList(operation, `${name}.data`, input.data, ROW);
  const [rows, columns] = takeShape(operation, `${name}.shape`, input.shape, 0);
  if (list.length !== rows * columns) {
    throw new InputError(operation, `${name} has ${list.length} entries`, `${rows} × ${columns} (its shape)`);
  }
  const data = allocate(operation, name, list.length, () => new Float32Array(list.length));
  writeBias(operation, name, list, data, 0);
  return { data, rows, columns };
}

/** A matrix given by rows, of which the first one has been read already. */
function fromRows(
  operation: string,
  name: string,
  rows: readonly unknown[],
  first: List,
): BiasMatrix {
  const columns = first.length, size = rows.length * columns;
  const data = allocate(operation, name, size, () => new Float32Array(size));
  rows.forEach((input, i) => {
    const row = i === 0 ? first : takeList(operation, `${name}[${i}]`, input, ROW);
    if (row.length !== columns) {
      const expected = `${columns} (as ${name}[0])`;
      throw new InputError(operation, `${name}[${i}] has ${row.length} entries`, expected);
    }
    writeBias(operation, name, row, data, i * columns);
  });
  return { data, rows: rows.length, columns };
}

/** Writes the biases of a list's entries to `data`, from `offset` on. */
function writeBias(
  operation: string,
  name: string,
  { length, entries, kind }: List,
  data: Float32Array,
  offset: number,
): void {
  if (kind !== null && kind !== "Uint8Array" && !kind.startsWith("Float")) {
    throw new InputError(operation, `${name} has the whole numbers of ${kind}`, KINDS);
  }
  const isTruth = kind === "Uint8Array";
  for (let at = 0; at < length; at++) {
    const entry = entries[at];
    const bias = isTruth ? toTruthBias(entry) : toBias(entry);
    if (Number.isNaN(bias)) {
      const expected = isTruth ? TRUTH : ENTRY;
      throw new InputError(operation, `${name} has ${describe(entry)} at index ${offset + at}`, expected);
    }
    data[offset + at] = bias;
  }
}

/** A list whose entries may be read again. */
interface SettledList extends List {
  readonly entries: readonly unknown[];
}

/**
 * Copies a list of entries or of lists. The first element that can be neither throws, so that a long list of
 * wrong elements is not copied.
 */
function settled(operation: string, name: string, { length, entries, kind }: List): SettledList {
  const copies: unknown[] = [];
  for (let at = 0; at < length; at++) {
    const entry = entries[at];
    const isPlausible = typeof entry === "number" || typeof entry === "boolean" || typeof entry === "object";
    if (!isPlausible) throw new InputError(operation, `${name} has ${describe(entry)} at index ${at}`, ENTRY);
    copies.push(entry);
  }
  return { length, entries: copies, kind };
}

/** A mask whose function may be asked by names of any type. */
export type AnyMaskInput = MaskInput<never, never>;

/** A copy of entries for a block of a mask: one for all pairs, or a matrix. */
export function takeBlock(operation: string, input: unknown): number | BiasMatrix {
  if (typeof input !== "object" || input === null) {
    const bias = toBias(input);
    if (!Number.isNaN(bias)) return bias;
    throw new InputError(operation, `entries are ${describe(input)}`, `${ENTRY}, or a matrix of them`);
  }
  const matrices = toMatrices(operation, input, 1, "entries");
  return matrices[0];
}

/** The entries of a block of so many rows and columns, row-major. */
export function toBlock(
  operation: string,
  block: number | BiasMatrix,
  rows: number,
  columns: number,
): Float32Array {
  if (typeof block === "number") {
    const size = rows * columns;
    return allocate(operation, "entries", size, () => new Float32Array(size)).fill(block);
  }
  if (block.rows === rows && (rows === 0 || block.columns === columns)) return block.data;
  throw new InputError(
    operation,
    `entries are ${block.rows} × ${block.columns}`,
    `${rows} × ${columns} (queries × keys)`,
  );
}
