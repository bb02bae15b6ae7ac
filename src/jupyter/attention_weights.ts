/**
 * The weights of an engine as plain data, for figures.
 */

import type { DynamicAttention } from "../engine/dynamic_attention.ts";
import { describe, InputError } from "../base/errors.ts";
import { isCount, reading, takeList } from "../base/lists.ts";
import type { Matrix } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";

/** Weights of some queries over some keys, a matrix a head. */
export interface AttentionWeights {
  /** Slots of the queries, a row each. */
  readonly queries: readonly number[];
  /** Slots of the keys, a column each. */
  readonly keys: readonly number[];
  /** Numbers of the heads, a matrix each. */
  readonly heads: readonly number[];
  /** w_ij, queries × keys, for each head. */
  readonly weights: readonly Matrix[];
  /** ln Σ_j exp s_ij, queries × heads, from which a score is ln w_ij + logSumExp; null where it is not known. */
  readonly logSumExp: Matrix | null;
}

/** Which weights are wanted. */
export interface AttentionSelection {
  /** Query slots; the first 64 live ones unless given. A query that was deleted is refused, as everywhere. */
  readonly queries?: readonly number[];
  /** Key slots; all live ones unless given. */
  readonly keys?: readonly number[];
  /** Heads; all unless given. */
  readonly heads?: readonly number[];
}

const QUERIES = 64;

/**
 * Reads weights from an engine, exact, in O(queries · heads · n d).
 *
 * @param live The engine.
 * @param selection Which queries, keys and heads.
 * @returns Data of the caller's own, which later edits do not change: read it before and after an edit, and
 * {@link attentionChange} draws what became of it.
 * @throws {InputError} When a key or head is not a number of one.
 * @throws {SlotError} When a query is not live.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { readAttention } from "@attune/attention/jupyter";
 * import { assertEquals } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({ query: [[0]], key: [[1], [2]], value: [[1], [3]] });
 * live.delete(0);
 * const { keys, weights } = await readAttention(live);
 * assertEquals(keys, [1]);
 * assertEquals([...weights[0].data], [1]);
 * ```
 */
export async function readAttention(
  live: DynamicAttention,
  selection: AttentionSelection = {},
): Promise<AttentionWeights> {
  const operation = "readAttention";
  const { queries, keys, heads } = reading(operation, () => {
    if (typeof live !== "object" || live === null || typeof live.logSumExp !== "function") {
      throw new InputError(operation, `engine is ${describe(live)}`, "a DynamicAttention");
    }
    const given = takeOptions(operation, selection, ["queries", "keys", "heads"]);
    return {
      queries: toNumbers(operation, "queries", given.queries) ??
        [...live.querySlots().subarray(0, QUERIES)],
      keys: toNumbers(operation, "keys", given.keys) ?? [...live.keySlots()],
      heads: toNumbers(operation, "heads", given.heads) ?? upTo(live.stats().heads),
    };
  });
  // Asked for at once, so that all of them are as of this call.
  const logSumExp = live.logSumExp(queries);
  const rows = heads.map((head) => queries.map((query) => live.weights(query, { head })));
  const [logarithms, weights] = await Promise.all([
    logSumExp,
    Promise.all(rows.map((head) => Promise.all(head))),
  ]);
  return {
    queries,
    keys,
    heads,
    weights: weights.map((head) => toMatrix(head, keys)),
    logSumExp: pickHeads(logarithms, heads),
  };
}

function toMatrix(rows: readonly Float32Array[], keys: readonly number[]): Matrix {
  const data = new Float32Array(rows.length * keys.length);
  rows.forEach((row, i) => keys.forEach((key, at) => data[i * keys.length + at] = row[key] ?? 0));
  return { data, shape: [rows.length, keys.length] };
}

function pickHeads({ data, shape: [rows, columns] }: Matrix, heads: readonly number[]): Matrix {
  const picked = Array.from({ length: rows }, (_, i) => heads.map((head) => data[i * columns + head])).flat();
  return { data: Float32Array.from(picked), shape: [rows, heads.length] };
}

function toNumbers(operation: string, name: string, numbers: readonly number[] | undefined): number[] | null {
  if (numbers === undefined) return null;
  const expected = "an array of slot or head numbers";
  const { length, entries } = takeList(operation, name, numbers, expected);
  const copies: number[] = [];
  for (let at = 0; at < length; at++) {
    const entry = entries[at];
    if (!isCount(entry)) throw new InputError(operation, `${name} is ${describe(numbers)}`, expected);
    copies.push(entry);
  }
  return copies;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}
