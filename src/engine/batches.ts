/**
 * Batches, as tensor libraries shape them. Every item of a batch is a problem of its own, with keys, masks
 * and answers of its own, and is computed as one: in an engine, too, a batch is several engines, since what
 * is edited, inserted or forgotten in one memory is no business of another's, and neither costs less
 * together.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, type RowInput, takeList, toNumbers, typedArrayKind } from "../base/lists.ts";
import type { Matrix } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import type { MaskInput, MaskMatrix } from "../write/mask.ts";
import { attention } from "./attention.ts";
import type { AttentionOptions } from "./options.ts";

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
  ...["queryPositions", "keyPositions", "backend", "threads"] as const,
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
  const masks = Array.from({ length: count }, (_, item) => maskOf(operation, mask, item, count));
  // All of it is read before anything is awaited.
  const problems = masks.map((own, item) => ({
    ...rest,
    query: itemOf(q, item),
    key: itemOf(k, item),
    value: itemOf(v, item),
    ...(own === undefined ? {} : { mask: own }),
  }));
  const outputs: Matrix[] = [];
  for (const problem of problems) outputs.push(await attention(problem));
  return join(outputs, q.shape, v.shape);
}

/**
 * Rows of heads side by side, m × H·d, as [H, m, d]: heads before tokens, as tensor libraries have them. A
 * copy.
 *
 * @throws {InputError} When the columns are no multiple of `heads`.
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
  const [rows, columns] = matrix.shape;
  if (!isCount(heads) || heads === 0 || columns % heads !== 0) {
    throw new InputError("splitHeads", `heads is ${describe(heads)}`, `a divisor of ${columns} (columns)`);
  }
  const width = columns / heads, data = new Float32Array(matrix.data.length);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < rows; i++) {
      const from = i * columns + h * width;
      data.set(matrix.data.subarray(from, from + width), (h * rows + i) * width);
    }
  }
  return { data, shape: [heads, rows, width] };
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

/** The mask of one item. */
function maskOf(
  operation: string,
  mask: BatchOptions["mask"],
  item: number,
  count: number,
): MaskInput | undefined {
  const isTensor = typeof mask === "object" && mask !== null && "shape" in mask && mask.shape?.length === 4;
  if (!isTensor) return mask as MaskInput | undefined;
  const { data, shape } = mask as {
    readonly data: ArrayLike<number | boolean>;
    readonly shape: readonly number[];
  };
  const [items, heads, rows, columns] = takeLengths(operation, "mask.shape", shape, [4]);
  if (items !== 1 && items !== count) {
    throw new InputError(
      operation,
      `mask.shape is ${describe(shape)}`,
      `a first length of ${count} (batch) or 1`,
    );
  }
  const first = (items === 1 ? 0 : item) * heads;
  return Array.from({ length: heads }, (_, head): MaskMatrix => {
    const start = (first + head) * rows * columns, end = start + rows * columns;
    const own = typedArrayKind(data) === null
      ? Array.prototype.slice.call(data, start, end)
      : (data as Float32Array).subarray(start, end);
    return { data: own, shape: [rows, columns] };
  });
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
