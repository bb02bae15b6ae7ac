/**
 * The public function for derivatives of a loss by queries, keys and values of an engine.
 */

import { checkSlot } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";
import {
  type HeadLayout,
  keyColumns,
  outputColumns,
  queryColumns,
  valueColumns,
} from "../numerics/head_layout.ts";
import type { DynamicAttention } from "../engine/dynamic_attention.ts";
import { EngineCore } from "../engine/engine_core.ts";
import { describe, InputError } from "../base/errors.ts";
import { isCount, type Matrix, type MatrixInput, type RowInput } from "../base/matrix.ts";
import type { PassingMask } from "../engine/passing_mask.ts";
import { reading, takeList, takePair } from "../base/lists.ts";
import { checkNames, takeOptions } from "../base/names.ts";
import { toPassing, toQuerySlots } from "../engine/question_options.ts";
import { askGradients } from "./gradient_question.ts";
import type { GradientRows } from "./gradient_rows.ts";

/** A matrix of derivatives, row-major float64. */
export interface GradientMatrix {
  /** `shape[0] * shape[1]` numbers. */
  readonly data: Float64Array<ArrayBuffer>;
  /** Rows, then columns. */
  readonly shape: readonly [rows: number, columns: number];
}

/** Options of {@link attentionGradients}. */
export interface GradientOptions<QueryId extends RowId = number, KeyId extends RowId = number> {
  /**
   * Slots of standing queries, one for each row of the output gradient; all live ones in slot order unless
   * given.
   */
  readonly rows?: ArrayLike<QueryId>;
  /** Passing queries, r × H·d, instead of standing ones. */
  readonly queries?: MatrixInput;
  /** Positions of the passing queries, as `attend` takes them. */
  readonly positions?: ArrayLike<number>;
  /** The mask of the passing queries, as `attend` takes it. */
  readonly mask?: PassingMask<KeyId>;
  /**
   * The number of heaviest keys of each head row that count; all unless given. The derivatives by these keys
   * are the same as with all keys; the derivatives by the others, and their part in the derivative by the
   * query, are set to 0.
   */
  readonly top?: number;
  /** Whether ∂L/∂s is computed, too; false unless given. */
  readonly bias?: boolean;
}

/** The answer of {@link attentionGradients}, for r queries and T touched keys. */
export interface AttentionGradients<KeyId extends RowId = number> {
  /** ∂L/∂q, r × H·d. */
  readonly query: GradientMatrix;
  /**
   * Slots of the touched keys in ascending order: all live ones, or those that are among the heaviest of some
   * head row.
   */
  readonly slots: Uint32Array<ArrayBuffer>;
  /** The ids of these keys, or their slots if keys have no ids. */
  readonly keys: KeyId[];
  /**
   * ∂L/∂k, T × Hkv·d in the order of `slots`, summed over queries and over the query heads that share a key
   * head.
   */
  readonly key: GradientMatrix;
  /** ∂L/∂v, T × Hkv·dv likewise. */
  readonly value: GradientMatrix;
  /**
   * ∂L/∂b, r·H × T: the derivative by a number that is added to the score of a query, head and key, such as a
   * mask's bias, before the cap or after it as the engine does. Without the option `bias` it has no rows.
   */
  readonly bias: GradientMatrix;
  /** The total weight of the keys that `top` leaves out, r × H; 0 when all keys count. */
  readonly leftOut: GradientMatrix;
}

const OPTIONS: readonly (keyof GradientOptions)[] = ["rows", "queries", "positions", "mask", "top", "bias"];

/**
 * The derivatives of a loss L by queries, keys and values, given g = ∂L/∂o for the attention of some queries:
 * vector-Jacobian products, exact as of the edits made before the call.
 *
 * With weights p_ij, outputs o_i and scores s_ij = cap(scale · q_i·k_j) + b_ij, where cap(s) = c·tanh(s/c),
 *
 *     ∂L/∂v_j  = Σ_i p_ij g_i
 *     ∂L/∂s_ij = p_ij g_i·(v_j − o_i)
 *     ∂L/∂q_i  = scale Σ_j (1 − (cap/c)²) ∂L/∂s_ij k_j
 *     ∂L/∂k_j  = scale Σ_i (1 − (cap/c)²) ∂L/∂s_ij q_i
 *
 * for each head, with the engine's mask and positions. A head row without an allowed key contributes 0.
 * Derivatives are at the float32 numbers that the engine holds.
 *
 * | asked for | arithmetic | cost |
 * |---|---|---|
 * | all keys, or passing queries | float64 from the stored rows, the same bits on every backend | O(r n H (d + dv)), and O(n m H) to read the biases of a mask function |
 * | `top` = k keys of standing queries | weights and outputs of the backend, rounded to float32 as `weights` and `read` answer them; the rest float64 | the backend's O(r n H d), O(r H n log k), and O(r H k (d + dv)) |
 *
 * @param outputGradient g, r × H·dv: a matrix, or a list of rows, one for each query.
 * @throws {InputError} When shapes do not fit, a number is not finite, an option is unknown, or a derivative
 * is beyond float64; with passing queries also when an engine with a mask gets none for them.
 * @throws {SlotError} When a slot is not live.
 * @throws {CapacityError} When 16 bytes for each query, head and key do not fit into memory.
 *
 * @example Derivatives of the loss ½(o − 3)²
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { attentionGradients } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({ query: [[0]], key: [[1], [2]], value: [[1], [3]] });
 * const [output] = (await live.read()).data; // 2, the mean
 * const { value, key } = await attentionGradients(live, [[output - 3]]);
 * assertEquals([...value.data], [-0.5, -0.5]); // both weights are ½
 * assertEquals([...key.data].map(Math.abs), [0, 0]); // a query of 0 has the same scores for any keys
 * ```
 *
 * Source: Dao, Fu, Ermon, Rudra, Ré, "FlashAttention", arXiv 2205.14135, appendix B.2; the rest by the chain
 * rule, see `numerics/attention_gradient.ts`.
 */
export async function attentionGradients<KeyId extends RowId = number, QueryId extends RowId = number>(
  live: DynamicAttention<KeyId, QueryId>,
  outputGradient: ArrayLike<RowInput> | { readonly data: RowInput; readonly shape: Matrix["shape"] },
  options: GradientOptions<QueryId, KeyId> = {},
): Promise<AttentionGradients<KeyId>> {
  const operation = "attentionGradients";
  const { rules } = EngineCore.of(operation, live);
  const { layout } = rules;
  const given = takeOptions(operation, options, OPTIONS);
  const { top, bias = false } = given;
  const rows = reading(operation, () => toGradientRows(operation, given, live));
  const count = rows.kind === "standing" ? rows.slots.length : rows.queries.count;
  const g = reading(
    operation,
    () => toFloat64Rows(operation, outputGradient, count, outputColumns(layout)),
  );
  if (typeof bias !== "boolean") throw new InputError(operation, `bias is ${describe(bias)}`, "a boolean");
  // Reading the arguments may have run code of the caller's that has deleted a query.
  if (rows.kind === "standing") {
    for (const slot of rows.slots) checkSlot(operation, "query", slot, rules.querySlots);
  }
  const { keySlots } = rules;
  // An edit that comes before the answer may take a name away.
  const names = keySlots.ids &&
    new Map(Array.from(keySlots.liveSlots(), (slot) => [slot, keySlots.nameOf(slot)]));
  const answer = await askGradients(operation, live, {
    rows,
    top: toTop(operation, top),
    wantsRows: true,
    wantsBias: bias,
    toOutputGradient: () => g,
  });
  const { heads } = layout;
  const touched = answer.slots.length;
  const { key, value } = splitRows(answer.rows, touched, layout);
  return {
    query: { data: answer.query, shape: [count, queryColumns(layout)] },
    slots: answer.slots,
    keys: Array.from(answer.slots, (slot) => names ? names.get(slot) : slot) as KeyId[],
    key,
    value,
    bias: { data: answer.bias, shape: [bias ? count * heads : 0, touched] },
    leftOut: { data: answer.leftOut, shape: [count, heads] },
  };
}

/** Checks the option `top`; Infinity, for all keys, unless given. */
export function toTop(operation: string, top: number | undefined): number {
  if (top === undefined || top === Infinity || (isCount(top) && top > 0)) return top ?? Infinity;
  throw new InputError(operation, `top is ${describe(top)}`, "an integer ≥ 1, or Infinity for all keys");
}

function toGradientRows<KeyId extends RowId, QueryId extends RowId>(
  operation: string,
  { rows, queries, positions, mask }: GradientOptions<QueryId, KeyId>,
  live: DynamicAttention<KeyId, QueryId>,
): GradientRows {
  const { rules } = EngineCore.of(operation, live);
  if (queries === undefined) {
    if (positions !== undefined) {
      throw new InputError(operation, "positions are given without queries", "both, or rows");
    }
    if (mask !== undefined) {
      throw new InputError(
        operation,
        "mask is given without queries",
        "both, since standing queries have the engine's",
      );
    }
    return { kind: "standing", slots: toQuerySlots(operation, "rows", rows, rules.querySlots) };
  }
  if (rows !== undefined) throw new InputError(operation, "both rows and queries are given", "one of them");
  return { kind: "passing", queries: toPassing(operation, queries, positions, rules, mask) };
}

/** Copies and checks a matrix of this shape, without rounding it to float32. */
function toFloat64Rows(
  operation: string,
  input: unknown,
  rows: number,
  columns: number,
): Float64Array {
  const name = "outputGradient";
  const numbers = new Float64Array(rows * columns);
  const copy = (from: unknown, what: string, length: number, at: number) => {
    const list = takeList(operation, what, from);
    if (list.length !== length) {
      throw new InputError(operation, `${what} has ${list.length} numbers`, `${length} (heads × valueDim)`);
    }
    for (let c = 0; c < length; c++) {
      const entry = list.entries[c];
      if (typeof entry !== "number" || !Number.isFinite(entry)) {
        throw new InputError(operation, `${what} has ${describe(entry)} at index ${c}`, "finite numbers");
      }
      numbers[at + c] = entry;
    }
  };
  if (typeof input === "object" && input !== null && "data" in input) {
    checkNames(operation, input, ["data", "shape"], `${name} field`);
    const { data, shape } = input as Partial<Matrix>, given = takePair(shape);
    if (given?.[0] !== rows || given[1] !== columns) {
      throw new InputError(
        operation,
        `${name}.shape is ${describe(given ?? shape)}`,
        `[${rows}, ${columns}]`,
      );
    }
    copy(data, `${name}.data`, rows * columns, 0);
    return numbers;
  }
  const expected = `${rows} rows (one for each query)`;
  const { length, entries, kind } = takeList(operation, name, input, expected);
  if (kind !== null || length !== rows) {
    const what = kind === null ? `has ${length} rows` : `is ${describe(input)}`;
    throw new InputError(operation, `${name} ${what}`, expected);
  }
  for (let i = 0; i < rows; i++) copy(entries[i], `${name}[${i}]`, columns, i * columns);
  return numbers;
}

/** Rows `[key | value]` as a matrix of keys and one of values. */
function splitRows(
  rows: Float64Array,
  count: number,
  layout: HeadLayout,
): { readonly key: GradientMatrix; readonly value: GradientMatrix } {
  const keyWidth = keyColumns(layout), valueWidth = valueColumns(layout);
  const key = new Float64Array(count * keyWidth), value = new Float64Array(count * valueWidth);
  for (let t = 0; t < count; t++) {
    const from = t * (keyWidth + valueWidth), middle = from + keyWidth;
    key.set(rows.subarray(from, middle), t * keyWidth);
    value.set(rows.subarray(middle, middle + valueWidth), t * valueWidth);
  }
  return { key: { data: key, shape: [count, keyWidth] }, value: { data: value, shape: [count, valueWidth] } };
}
