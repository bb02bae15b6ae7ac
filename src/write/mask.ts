/**
 * The mask: a bias that is added to the score of a pair after the rule of `numerics/score_rule.ts`. A matrix
 * has the biases of the slots that it covers. A function is called for the pairs of each row that was
 * inserted or changed, when that row is stored, and its answers are kept from then on.
 */

import type { RowChanges } from "../backends/backend.ts";
import { CapacityError, describe, InputError } from "../base/errors.ts";
import type { Entries } from "./edit_log.ts";
import type { RowId } from "./row_ids.ts";
import {
  type AnyMaskInput,
  type BiasMatrix,
  callOf,
  ENTRY,
  type MaskEntry,
  type MaskFunction,
  toBias,
  toMatrices,
} from "./mask_input.ts";

export type {
  AnyMaskInput,
  BiasMatrix,
  MaskEntry,
  MaskFunction,
  MaskInput,
  MaskMatrix,
  MaskRow,
} from "./mask_input.ts";

/** A checked mask. */
export interface Mask {
  /** The number of mask heads: 1 when all heads share the mask, else H. */
  readonly heads: number;
  /** Whether the mask is a function, whose answers may differ for the next row in a slot. */
  readonly isFunction: boolean;
  /** Whether the function is being called right now. */
  readonly isAsked: boolean;
  /** The matrices of the mask, one for all heads or one per head; empty for a function. */
  readonly matrices: readonly BiasMatrix[];
  /** Throws when the mask does not cover a key slot. */
  checkKey(operation: string, slot: number): void;
  /** Throws when the mask does not cover a query slot. */
  checkQuery(operation: string, slot: number): void;
  /** Lets a function be asked by what rows are called; each pair that it is asked about is of live rows. */
  speakOf(keys: RowNames, queries: RowNames): void;
  /** Whether `set` may be called: the engine was made so. */
  readonly isEditable: boolean;
  /** The bias of a pair of slots. */
  bias(i: number, j: number, head: number): number;
  /** Writes the bias of a pair that an editable mask covers. */
  set(i: number, j: number, head: number, bias: number): void;
}

/** The ids of rows. */
export interface RowNames {
  nameOf(slot: number): RowId;
}

/** Checks the option `mask`, for an engine that starts with `rows` queries and `columns` keys. */
export function toMask(
  operation: string,
  input: AnyMaskInput | undefined,
  heads: number,
  rows: number,
  columns: number,
  isEditable = false,
): Mask | null {
  if (isEditable && (input === undefined || typeof input === "function")) {
    throw new InputError(operation, "editableMask is true", "a mask of matrices beside it");
  }
  if (input === undefined) return null;
  if (typeof input === "function") return new FunctionMask(input, heads);
  const mask = new MatrixMask(toMatrices(operation, input, heads), isEditable);
  for (
    const [what, covered, needed] of [["rows", mask.rows, rows], ["columns", mask.columns, columns]] as const
  ) {
    if (covered < needed) {
      throw new InputError(
        operation,
        `mask has ${covered} ${what}`,
        `at least ${needed} (one per ${what === "rows" ? "query" : "key"})`,
      );
    }
  }
  return mask;
}

/** The slots whose rows a mask can be asked about. */
export interface MaskScope {
  /** One more than the largest key slot. */
  readonly keySize: number;
  /** One more than the largest query slot. */
  readonly querySize: number;
  hasKey(slot: number): boolean;
  hasQuery(slot: number): boolean;
}

/** Adds to changed keys their biases with every query. */
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

/** Adds to changed queries their biases with every key. */
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

/** Biases of −∞, the initial value of pairs that no mask was asked about. */
function forbidden(length: number): Float32Array {
  const what = `a bias for each of ${length} pairs`;
  return CapacityError.guard("mask", what, 4 * length, () => new Float32Array(length).fill(-Infinity));
}

/** Rows without ids. */
const SLOTS: RowNames = { nameOf: (slot) => slot };

class FunctionMask implements Mask {
  readonly heads: number;
  readonly isFunction = true;
  readonly isEditable = false;
  readonly matrices = [];
  readonly #ask: MaskFunction<RowId, RowId>;
  #keys = SLOTS;
  #queries = SLOTS;
  #isAsked = false;

  constructor(ask: MaskFunction<never, never>, heads: number) {
    // The types of an engine's options ensure that the function takes the ids of its rows.
    this.#ask = ask as MaskFunction<RowId, RowId>;
    this.heads = heads;
  }

  get isAsked(): boolean {
    return this.#isAsked;
  }

  checkKey(): void {}
  checkQuery(): void {}
  set(): void {}

  speakOf(keys: RowNames, queries: RowNames): void {
    this.#keys = keys;
    this.#queries = queries;
  }

  bias(query: number, key: number, head: number): number {
    const i = this.#queries.nameOf(query), j = this.#keys.nameOf(key);
    const answer = this.#answer(i, j, head);
    const bias = toBias(answer);
    if (Number.isNaN(bias)) {
      throw new InputError(callOf(i, j, head), `answer is ${describe(answer)}`, ENTRY);
    }
    return bias;
  }

  #answer(i: RowId, j: RowId, head: number): MaskEntry {
    this.#isAsked = true;
    try {
      return this.#ask(i, j, head);
    } catch (cause) {
      throw new InputError(callOf(i, j, head), `the function threw ${describe(cause)}`, ENTRY, {
        cause,
      });
    } finally {
      this.#isAsked = false;
    }
  }
}

/** A matrix goes by slots. */
class MatrixMask implements Mask {
  readonly isFunction = false;
  readonly isEditable: boolean;
  readonly isAsked = false;
  readonly rows: number;
  readonly columns: number;
  readonly matrices: readonly BiasMatrix[];

  constructor(matrices: readonly BiasMatrix[], isEditable: boolean) {
    this.isEditable = isEditable;
    this.matrices = matrices;
    this.rows = matrices.reduce((least, { rows }) => Math.min(least, rows), Infinity);
    this.columns = matrices.reduce((least, { columns }) => Math.min(least, columns), Infinity);
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

  speakOf(): void {}

  bias(i: number, j: number, head: number): number {
    const { data, columns } = this.matrices[head];
    return data[i * columns + j];
  }

  set(i: number, j: number, head: number, bias: number): void {
    const { data, columns } = this.matrices[head];
    data[i * columns + j] = bias;
  }
}
