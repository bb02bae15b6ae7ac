/**
 * The mask: what is added to the score of a pair beside the rule of `core/score_rule.ts`. A matrix answers for the
 * slots that it covers; a function is asked for the pairs of each row that was inserted or changed, when that row
 * is stored, and its answer then stays.
 */

import type { RowChanges } from "../backends/backend.ts";
import { CapacityError, describe, InputError } from "../errors.ts";
import { isCount, type RowInput } from "../matrix.ts";
import type { Entries } from "./edit_log.ts";

/** A bias that is added to a score (−∞ forbids the pair), or whether the pair is allowed. */
export type MaskEntry = number | boolean;

/** One matrix of a mask, m × n: an array of rows, or `{ data, shape }`. */
export type MaskMatrix = readonly (RowInput | readonly boolean[])[] | {
  /** `shape[0] * shape[1]` entries, row-major. */
  readonly data: RowInput | readonly boolean[];
  /** Rows (queries), then columns (keys). */
  readonly shape: readonly [rows: number, columns: number];
};

/** Asked for query slot i, key slot j and head; must answer without side effects. */
export type MaskFunction = (i: number, j: number, head: number) => MaskEntry;

/** One matrix for all heads, a matrix for each of the H heads, or a function. */
export type MaskInput = MaskMatrix | readonly MaskMatrix[] | MaskFunction;

/** A checked matrix of a mask: what is added, a row a query slot and a column a key slot. */
export interface BiasMatrix {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** A checked mask. */
export interface Mask {
  /** 1 when all heads share it, H otherwise. */
  readonly heads: number;
  /** Whether what it says of a slot can be another thing for the next row in that slot. */
  readonly isFunction: boolean;
  /** The matrices that it answers from, one for all heads or one a head; none for a function. */
  readonly matrices: readonly BiasMatrix[];
  /** Throws when it does not cover a key slot. */
  checkKey(operation: string, slot: number): void;
  /** Throws when it does not cover a query slot. */
  checkQuery(operation: string, slot: number): void;
  /** The bias of a pair. */
  bias(i: number, j: number, head: number): number;
}

/** Checks the option `mask`, for an engine that starts with `rows` queries and `columns` keys. */
export function toMask(
  operation: string,
  input: MaskInput | undefined,
  heads: number,
  rows: number,
  columns: number,
): Mask | null {
  if (input === undefined) return null;
  if (typeof input === "function") return new FunctionMask(input, heads);
  const matrices = isMatrixList(input) ? input : [input as MaskMatrix];
  if (matrices.length !== 1 && matrices.length !== heads) {
    throw new InputError(operation, `mask has ${matrices.length} matrices`, `1 or ${heads} (heads)`);
  }
  const mask = new MatrixMask(matrices.map((matrix, h) => {
    return toBiasMatrix(operation, matrices.length > 1 ? `mask[${h}]` : "mask", matrix);
  }));
  for (
    const [what, covered, needed] of [["rows", mask.rows, rows], ["columns", mask.columns, columns]] as const
  ) {
    if (covered < needed) {
      throw new InputError(
        operation,
        `mask has ${covered} ${what}`,
        `at least ${needed} (one a ${what === "rows" ? "query" : "key"})`,
      );
    }
  }
  return mask;
}

/** Which slots hold a row that a mask can be asked about. */
export interface MaskScope {
  /** One more than the largest key slot. */
  readonly keySize: number;
  /** One more than the largest query slot. */
  readonly querySize: number;
  hasKey(slot: number): boolean;
  hasQuery(slot: number): boolean;
}

/** Adds to changed keys what the mask says of them with every query. */
export function maskKeys(mask: Mask | null, keys: Entries, scope: MaskScope): RowChanges {
  if (!mask) return { ...keys, bias: null };
  const { heads } = mask;
  const stride = scope.querySize * heads;
  const bias = forbidden(keys.slots.length * stride);
  keys.slots.forEach((key, t) => {
    if (!scope.hasKey(key)) return;
    for (let query = 0; query < scope.querySize; query++) {
      if (!scope.hasQuery(query)) continue;
      for (let h = 0; h < heads; h++) bias[t * stride + query * heads + h] = mask.bias(query, key, h);
    }
  });
  return { ...keys, bias };
}

/** Adds to changed queries what the mask says of them with every key. */
export function maskQueries(mask: Mask | null, queries: Entries, scope: MaskScope): RowChanges {
  if (!mask) return { ...queries, bias: null };
  const { heads } = mask;
  const stride = scope.keySize * heads;
  const bias = forbidden(queries.slots.length * stride);
  queries.slots.forEach((query, t) => {
    if (!scope.hasQuery(query)) return;
    for (let key = 0; key < scope.keySize; key++) {
      if (!scope.hasKey(key)) continue;
      for (let h = 0; h < heads; h++) bias[t * stride + key * heads + h] = mask.bias(query, key, h);
    }
  });
  return { ...queries, bias };
}

/** Pairs that no mask was asked about. */
function forbidden(length: number): Float32Array {
  const what = `a bias for each of ${length} pairs`;
  return CapacityError.guard("mask", what, 4 * length, () => new Float32Array(length).fill(-Infinity));
}

class FunctionMask implements Mask {
  readonly heads: number;
  readonly isFunction = true;
  readonly matrices = [];
  readonly #ask: MaskFunction;

  constructor(ask: MaskFunction, heads: number) {
    this.#ask = ask;
    this.heads = heads;
  }

  checkKey(): void {}
  checkQuery(): void {}

  bias(i: number, j: number, head: number): number {
    const answer = this.#answer(i, j, head);
    const bias = toBias(answer);
    if (Number.isNaN(bias)) {
      throw new InputError(`mask(${i}, ${j}, ${head})`, `answer is ${describe(answer)}`, ENTRY);
    }
    return bias;
  }

  #answer(i: number, j: number, head: number): MaskEntry {
    try {
      return this.#ask(i, j, head);
    } catch (cause) {
      throw new InputError(`mask(${i}, ${j}, ${head})`, `the function threw ${describe(cause)}`, ENTRY, {
        cause,
      });
    }
  }
}

class MatrixMask implements Mask {
  readonly isFunction = false;
  readonly rows: number;
  readonly columns: number;
  readonly matrices: readonly BiasMatrix[];

  constructor(matrices: readonly BiasMatrix[]) {
    this.matrices = matrices;
    this.rows = Math.min(...matrices.map((matrix) => matrix.rows));
    this.columns = Math.min(...matrices.map((matrix) => matrix.columns));
  }

  get heads(): number {
    return this.matrices.length;
  }

  checkKey(operation: string, slot: number): void {
    if (slot < this.columns) return;
    throw new InputError(
      operation,
      `the mask has ${this.columns} columns and the key would take slot ${slot}`,
      "a mask that covers it, or a mask function",
    );
  }

  checkQuery(operation: string, slot: number): void {
    if (slot < this.rows) return;
    throw new InputError(
      operation,
      `the mask has ${this.rows} rows and the query would take slot ${slot}`,
      "a mask that covers it, or a mask function",
    );
  }

  bias(i: number, j: number, head: number): number {
    const { data, columns } = this.matrices[head];
    return data[i * columns + j];
  }
}

const ENTRY = "a boolean, a finite number of float32 range or −Infinity";

/** NaN for what cannot be a mask's entry. */
function toBias(entry: unknown): number {
  if (typeof entry === "boolean") return entry ? 0 : -Infinity;
  const bias = typeof entry === "number" ? Math.fround(entry) : NaN;
  return bias === Infinity ? NaN : bias;
}

function toBiasMatrix(operation: string, name: string, input: MaskMatrix): BiasMatrix {
  const { data, shape } = isShaped(input) ? input : fromRows(operation, name, input);
  const [rows, columns] = Array.isArray(shape) && shape.length === 2 ? shape : [NaN, NaN];
  if (!isCount(rows) || !isCount(columns)) {
    throw new InputError(operation, `${name}.shape is ${describe(shape)}`, "[rows ≥ 0, columns ≥ 0]");
  }
  if (data?.length !== rows * columns) {
    throw new InputError(
      operation,
      `${name} has ${data?.length} entries`,
      `${rows} × ${columns} (its shape)`,
    );
  }
  const bias = Float32Array.from(data as ArrayLike<MaskEntry>, toBias);
  const bad = bias.findIndex(Number.isNaN);
  if (bad >= 0) throw new InputError(operation, `${name} has ${describe(data[bad])} at index ${bad}`, ENTRY);
  return { data: bias, rows, columns };
}

function fromRows(operation: string, name: string, rows: readonly ArrayLike<MaskEntry>[]) {
  if (!Array.isArray(rows)) {
    throw new InputError(
      operation,
      `${name} is ${describe(rows)}`,
      "{ data, shape }, an array of rows or a function",
    );
  }
  const columns = rows[0]?.length ?? 0;
  rows.forEach((row, i) => {
    if (row?.length === columns) return;
    throw new InputError(operation, `${name}[${i}] has ${row?.length} entries`, `${columns} (as ${name}[0])`);
  });
  return { data: rows.flatMap((row) => Array.from(row)), shape: [rows.length, columns] as const };
}

type ShapedMatrix = Exclude<MaskMatrix, readonly unknown[]>;

function isShaped(input: unknown): input is ShapedMatrix {
  return typeof input === "object" && input !== null && "data" in input && "shape" in input;
}

/** A list of matrices, where a matrix may itself be a list of rows. */
function isMatrixList(input: MaskMatrix | readonly MaskMatrix[]): input is readonly MaskMatrix[] {
  if (!Array.isArray(input)) return false;
  const first = input[0];
  return Array.isArray(first) ? typeof first[0] === "object" : isShaped(first);
}
