/**
 * Batches, as tensor libraries shape them. Every item of a batch is a problem of its own, with keys, masks
 * and answers of its own, and is computed as one: in an engine, too, a batch is several engines, since what
 * is edited, inserted or forgotten in one memory is no business of another's, and neither costs less
 * together.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, reading, type RowInput, takeList, toNumbers } from "../base/lists.ts";
import { isShaped, type Matrix, takeShaped, toMatrix } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { outputColumns } from "../numerics/head_layout.ts";
import { type Mask, type MaskInput, type MaskMatrix, toMask } from "../write/mask.ts";
import { toBiases } from "../write/mask_input.ts";
import { type AttentionOptions, type Problem, toProblem, withRules } from "./options.ts";

/** Rows of some problems: [batch, heads, tokens, d], or [batch, tokens, heads·d]. */
export interface BatchInput {
  /** The numbers, row-major, as many as the product of `shape`. */
  readonly data: RowInput;
  /** Four lengths, or three. */
  readonly shape: readonly number[];
}

/** Answers in the layout of the queries: [batch, heads, tokens, dv], or [batch, tokens, heads·dv]. */
export interface Batch {
  /** The numbers, row-major, as many as the product of `shape`. */
  readonly data: Float32Array<ArrayBuffer>;
  /** Four lengths, or three. */
  readonly shape: readonly number[];
}

/**
 * The options of {@link attentionBatch}; all others are those of {@link AttentionOptions}, the same for every
 * item.
 */
export interface BatchOptions extends Omit<AttentionOptions, "query" | "key" | "value" | "mask"> {
  /** Q. */
  readonly query: BatchInput;
  /** K; a batch of 1 is shared by all items. */
  readonly key: BatchInput;
  /** V, likewise. */
  readonly value: BatchInput;
  /** As {@link AttentionOptions.mask}, for every item; or `{ data, shape }` of [batch or 1, H or 1, m, n]. */
  readonly mask?: MaskInput | {
    readonly data: ArrayLike<number | boolean>;
    readonly shape: readonly number[];
  };
}

const OPTIONS: readonly (keyof BatchOptions)[] = [
  ...["query", "key", "value", "heads", "kvHeads", "scale", "softcap", "mask", "causal", "window"] as const,
  ...["biasBeforeSoftcap", "sinks", "alibi", "distanceBias", "rotary", "blockMask"] as const,
  ...["queryPositions", "keyPositions", "backend", "threads", "storage"] as const,
];

/**
 * {@link attention} of each item of a batch, in the shapes of PyTorch's `scaled_dot_product_attention`:
 * [batch, heads, tokens, d] (heads before tokens), or [batch, tokens, heads·d] with the option `heads`. One
 * item after the other, O(batch) times what `attention` costs.
 *
 * @throws {InputError} When shapes do not fit, a number is not finite or an option is unknown.
 *
 * @example
 * ```ts
 * import { attentionBatch } from "@attune/attention";
 * import { assertEquals } from "@std/assert";
 *
 * const { data, shape } = await attentionBatch({
 *   query: { data: new Float32Array(2 * 2 * 1 * 2), shape: [2, 2, 1, 2] },
 *   key: { data: new Float32Array(1 * 1 * 3 * 2), shape: [1, 1, 3, 2] }, // one memory and key head for all
 *   value: { data: [1, 2, 6], shape: [1, 1, 3, 1] },
 * });
 * assertEquals([...shape], [2, 2, 1, 1]);
 * assertEquals([...data], [3, 3, 3, 3]);
 * ```
 */
export async function attentionBatch(options: BatchOptions): Promise<Batch> {
  const operation = "attentionBatch";
  // All of it is read, once, before anything is awaited.
  const { q, k, v, first, masks } = reading(operation, () => toBatchProblem(operation, options));
  if (first === null) return join([], q.shape, v.shape);
  const problem = await withRules(operation, first);
  const [{ compute }, { addStorage }] = await Promise.all([
    import("./fill_backend.ts"),
    import("./storage_options.ts"),
  ]);
  const { storage } = problem.layout;
  const outputs: Matrix[] = [];
  for (const [item, mask] of masks.entries()) {
    // Rows of all items are joined once, when it is their turn.
    const query = item === 0 ? problem.query : toMatrix(operation, "query", itemOf(q, item));
    const key = item === 0 || k.shape[0] === 1 ? problem.key : toMatrix(operation, "key", itemOf(k, item));
    const value = item === 0 || v.shape[0] === 1
      ? problem.value
      : toMatrix(operation, "value", itemOf(v, item));
    // The first item's are rounded, and rounding again changes nothing.
    if (storage && item > 0) {
      addStorage(
        operation,
        { layout: problem.layout, key, value },
        storage,
        problem.rule.rotary !== undefined,
      );
    }
    const { output } = await compute(operation, { ...problem, query, key, value, mask });
    outputs.push({ data: output, shape: [query.shape[0], outputColumns(problem.layout)] });
  }
  return join(outputs, q.shape, v.shape);
}

/** A checked batch. */
interface BatchProblem {
  readonly q: Batch;
  readonly k: Batch;
  readonly v: Batch;
  /** That of the first item, without its mask; null where there is no item. */
  readonly first: Problem | null;
  /** For each item. */
  readonly masks: readonly (Mask | null)[];
}

function toBatchProblem(operation: string, options: BatchOptions): BatchProblem {
  const { query, key, value, mask, ...rest } = takeOptions(operation, options, OPTIONS);
  const q = takeBatch(operation, "query", query);
  const [k, v] = [takeBatch(operation, "key", key), takeBatch(operation, "value", value)];
  for (const [name, { shape }] of [["key", k], ["value", v]] as const) {
    const fits = shape.length === q.shape.length && (shape[0] === 1 || shape[0] === q.shape[0]);
    if (fits) continue;
    const expected = `${q.shape.length} lengths, the first ${q.shape[0]} (as query) or 1`;
    throw new InputError(operation, `${name}.shape is ${describe(shape)}`, expected);
  }
  const count = q.shape[0];
  if (count === 0) return { q, k, v, first: null, masks: [] };
  const rows = { query: itemOf(q, 0), key: itemOf(k, 0), value: itemOf(v, 0) };
  const first = toProblem(operation, { ...rest, ...rows });
  return { q, k, v, first, masks: toMasks(operation, mask, count, first) };
}

/**
 * Rows of heads side by side, m × H·d, as [H, m, d]: heads before tokens, as tensor libraries have them. A
 * copy.
 *
 * @throws {InputError} When the columns are no multiple of `heads`, or `matrix` is no matrix of float32.
 *
 * @example
 * ```ts
 * import { splitHeads } from "@attune/attention";
 * import { assertEquals } from "@std/assert";
 *
 * const { data, shape } = splitHeads({ data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] }, 2);
 * assertEquals([[...data], [...shape]], [[1, 3, 2, 4], [2, 2, 1]]);
 * ```
 */
export function splitHeads(
  matrix: Matrix,
  heads: number,
): {
  readonly data: Float32Array<ArrayBuffer>;
  readonly shape: readonly [heads: number, rows: number, d: number];
} {
  const operation = "splitHeads";
  const { data, rows, columns } = reading(operation, () => {
    const given = takeOptions(operation, matrix, ["data", "shape"], "matrix field");
    const { list, shape: [rows, columns] } = takeShaped(operation, "matrix", given, 0);
    if (!(list.entries instanceof Float32Array)) {
      throw new InputError(operation, `matrix.data is ${describe(given.data)}`, "a Float32Array");
    }
    return { data: list.entries, rows, columns };
  });
  if (!isCount(heads) || heads === 0 || columns % heads !== 0) {
    throw new InputError(operation, `heads is ${describe(heads)}`, `a divisor of ${columns} (columns)`);
  }
  const width = columns / heads, split = new Float32Array(data.length);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < rows; i++) {
      const from = i * columns + h * width;
      split.set(data.subarray(from, from + width), (h * rows + i) * width);
    }
  }
  return { data: split, shape: [heads, rows, width] };
}

function takeBatch(operation: string, name: string, input: BatchInput): Batch {
  const { data, shape } = takeOptions(operation, input, ["data", "shape"], `${name} field`);
  const lengths = takeLengths(operation, `${name}.shape`, shape, [3, 4]);
  const list = takeList(operation, `${name}.data`, data);
  const size = lengths.reduce((size, length) => size * length, 1);
  if (list.length !== size) {
    const expected = `${size} (shape ${lengths.join(" × ")})`;
    throw new InputError(operation, `${name}.data has ${list.length} numbers`, expected);
  }
  return { data: toNumbers(operation, `${name}.data`, list), shape: lengths };
}

function takeLengths(operation: string, name: string, shape: unknown, counts: readonly number[]): number[] {
  const list = takeList(operation, name, shape);
  const lengths = Array.from({ length: Math.min(list.length, 5) }, (_, at) => list.entries[at]);
  if (lengths.every(isCount) && counts.includes(lengths.length)) return lengths;
  const expected = `${
    counts.join(" or ")
  } whole numbers: [batch, heads, tokens, d] or [batch, tokens, heads·d]`;
  throw new InputError(operation, `${name} is ${describe(lengths)}`, expected);
}

/** The rows of one item, where they lie. */
function itemOf({ data, shape: [count, ...shape] }: Batch, item: number): AttentionOptions["query"] {
  const size = shape.reduce((size, length) => size * length, 1);
  const at = count === 1 ? 0 : item;
  const own = data.subarray(at * size, (at + 1) * size);
  return { data: own, shape: shape as [number, number, number] };
}

/** The masks of all items: one for all of them, or a tensor of [batch or 1, heads or 1, m, n]. */
function toMasks(
  operation: string,
  given: BatchOptions["mask"],
  count: number,
  { layout: { heads }, query: { shape: [m] }, key: { shape: [n] } }: Problem,
): (Mask | null)[] {
  const toOne = (mask: MaskInput | undefined) => toMask(operation, mask, heads, m, n);
  const forAll = (mask: MaskInput | undefined) => new Array<Mask | null>(count).fill(toOne(mask));
  if (!isShaped(given)) return forAll(given as MaskInput | undefined);
  const { data, shape } = takeOptions(operation, given, ["data", "shape"], "mask field");
  const isTensor = typeof shape === "object" && shape !== null && "length" in shape && shape.length === 4;
  if (!isTensor) return forAll({ data, shape } as MaskMatrix);
  const [items, matrices, rows, columns] = takeLengths(operation, "mask.shape", shape, [4]);
  if (items !== 1 && items !== count) {
    const expected = `a first length of ${count} (batch) or 1`;
    throw new InputError(operation, `mask.shape is ${describe(shape)}`, expected);
  }
  const biases = toBiases(operation, "mask", data), size = rows * columns;
  if (biases.length !== items * matrices * size) {
    const expected = `${items * matrices * size} (its shape)`;
    throw new InputError(operation, `mask has ${biases.length} entries`, expected);
  }
  const matrixAt = (at: number): MaskMatrix => {
    return { data: biases.subarray(at * size, (at + 1) * size), shape: [rows, columns] };
  };
  const masks = Array.from({ length: items }, (_, item) => {
    return toOne(Array.from({ length: matrices }, (_, head) => matrixAt(item * matrices + head)));
  });
  return items === 1 ? new Array<Mask | null>(count).fill(masks[0]) : masks;
}

/** Outputs in the layout of the queries. */
function join(
  outputs: readonly Matrix[],
  queryShape: readonly number[],
  valueShape: readonly number[],
): Batch {
  const isSplit = queryShape.length === 4;
  const [count, ...inner] = queryShape;
  const columns = isSplit ? valueShape[3] : outputs[0]?.shape[1] ?? 0;
  const shape = [count, ...inner.slice(0, -1), columns];
  const data = new Float32Array(shape.reduce((size, length) => size * length, 1));
  const size = count === 0 ? 0 : data.length / count;
  outputs.forEach((output, item) => {
    data.set(isSplit ? splitHeads(output, inner[0]).data : output.data, item * size);
  });
  return { data, shape };
}
