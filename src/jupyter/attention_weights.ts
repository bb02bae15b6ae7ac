/**
 * The weights of an engine as plain data, for figures.
 */

import type { WeightTensor } from "../engine/answers.ts";
import type { DynamicAttention } from "../engine/dynamic_attention.ts";
import { isId, type RowId } from "../write/row_ids.ts";
import { describe, InputError } from "../base/errors.ts";
import { isCount, reading, takeList } from "../base/lists.ts";
import type { Matrix } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";

/** Weights of some queries over some keys, a matrix a head. */
export interface AttentionWeights {
  /** Slots or ids of the queries, a row each. */
  readonly queries: readonly RowId[];
  /** Slots or ids of the keys, a column each. */
  readonly keys: readonly RowId[];
  /** Numbers of the heads, a matrix each. */
  readonly heads: readonly number[];
  /** w_ij, queries × keys, for each head. */
  readonly weights: readonly Matrix[];
  /** ln Σ_j exp s_ij, queries × heads, from which a score is ln w_ij + logSumExp; null where it is not known. */
  readonly logSumExp: Matrix | null;
}

/** Which weights are wanted. */
export interface AttentionSelection {
  /** Query slots or ids; the first 64 live ones unless given. A query that was deleted is refused, as everywhere. */
  readonly queries?: readonly RowId[];
  /** Key slots or ids; all live ones unless given. */
  readonly keys?: readonly RowId[];
  /** Heads; all unless given. */
  readonly heads?: readonly number[];
}

const QUERIES = 64;
const NAMES = "slots or ids";

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
  live: DynamicAttention<RowId, RowId>,
  selection: AttentionSelection = {},
): Promise<AttentionWeights> {
  const operation = "readAttention";
  const { queries, keys, heads } = reading(operation, () => {
    if (typeof live !== "object" || live === null || typeof live.weightsOf !== "function") {
      throw new InputError(operation, `engine is ${describe(live)}`, "a DynamicAttention");
    }
    const given = takeOptions(operation, selection, ["queries", "keys", "heads"]);
    return {
      queries: toList(operation, "queries", given.queries, isName((name) => live.hasQuery(name)), NAMES) ??
        live.queryIds().slice(0, QUERIES),
      keys: toList(operation, "keys", given.keys, isName((name) => live.hasKey(name)), NAMES),
      heads: toList(operation, "heads", given.heads, isCount, "head numbers") ?? upTo(live.stats().heads),
    };
  });
  // Both are asked for in one turn, so that they are as of this call.
  const [logarithms, weights] = await Promise.all([
    live.logSumExp(queries),
    live.weightsOf(queries, { heads }),
  ]);
  const shown = keys ?? weights.keys;
  return {
    queries,
    keys: shown,
    heads,
    weights: heads.map((_, head) => toMatrix(weights, head, shown)),
    logSumExp: pickHeads(logarithms, heads),
  };
}

/** The weights of one head; 0 for a key that is not live. */
function toMatrix(
  { data, shape, keys }: WeightTensor<RowId, RowId>,
  head: number,
  shown: readonly RowId[],
): Matrix {
  const [rows, heads, width] = shape, places = new Map(keys.map((key, at) => [key, at]));
  const columns = shown.map((key) => places.get(key));
  const picked = new Float32Array(rows * columns.length);
  for (let i = 0; i < rows; i++) {
    columns.forEach((column, at) => {
      if (column === undefined) return;
      picked[i * columns.length + at] = data[(i * heads + head) * width + column];
    });
  }
  return { data: picked, shape: [rows, columns.length] };
}

function pickHeads({ data, shape: [rows, columns] }: Matrix, heads: readonly number[]): Matrix {
  const picked = Array.from({ length: rows }, (_, i) => heads.map((head) => data[i * columns + head])).flat();
  return { data: Float32Array.from(picked), shape: [rows, heads.length] };
}

/** A check that an entry can be a slot, or is an id. */
function isName(isThere: (name: RowId) => boolean): (entry: unknown) => entry is RowId {
  return (entry): entry is RowId =>
    isCount(entry) || (isId(entry) && (typeof entry !== "number" || isThere(entry)));
}

function toList<Entry>(
  operation: string,
  name: string,
  list: readonly Entry[] | undefined,
  passes: (entry: unknown) => entry is Entry,
  what: string,
): Entry[] | null {
  if (list === undefined) return null;
  const expected = `an array of ${what}`;
  const { length, entries } = takeList(operation, name, list, expected);
  const copies: Entry[] = [];
  for (let at = 0; at < length; at++) {
    const entry = entries[at];
    if (!passes(entry)) throw new InputError(operation, `${name} is ${describe(list)}`, expected);
    copies.push(entry);
  }
  return copies;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}
