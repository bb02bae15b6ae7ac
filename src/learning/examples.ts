/**
 * Examples of a learner: a query, the scores of its output and their targets, with the checks of all three.
 */

import type { PassingQueries } from "../backends/backend.ts";
import { type HeadLayout, keyHeadOf, outputColumns, queryColumns } from "../numerics/head_layout.ts";
import { describe, InputError } from "../base/errors.ts";
import { checkColumn } from "../write/edit_checks.ts";
import { type EditRules, findSlot } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";
import { reading, takeIdList, takeList } from "../base/lists.ts";
import { checkArray, toRow, type VectorInput } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { toPassing } from "../engine/question_options.ts";
import type { GradientRows } from "./gradient_rows.ts";

/** The scores of an example, which are computed from the output of its query. */
export interface ExampleScores<KeyId extends RowId = number> {
  /**
   * Slots of keys, or their ids: a score for each, the product of the output with its value. Each head of the
   * output is multiplied with the value head that it reads, and the products are added. Excludes `columns`.
   */
  readonly against?: KeyId | ArrayLike<KeyId>;
  /** Columns of the output that are the scores; all H·dv unless given. */
  readonly columns?: number | ArrayLike<number>;
  /** A number that is added to every score, such as the score of another model; 0 unless given. */
  readonly offset?: number;
}

/** An example of a standing query. */
export interface StandingExample<KeyId extends RowId = number, QueryId extends RowId = number>
  extends ExampleScores<KeyId> {
  /** Its slot, or its id. */
  readonly query: QueryId;
}

/** An example of a passing query, of which the engine keeps nothing. */
export interface PassingExample<KeyId extends RowId = number> extends ExampleScores<KeyId> {
  /** H·d numbers, or those that are not 0 with their columns. */
  readonly row: VectorInput;
  /** The position of the query, as `attend` takes it. */
  readonly position?: number;
}

/** An example of a stream: the x of River. */
export type Example<KeyId extends RowId = number, QueryId extends RowId = number> =
  | StandingExample<KeyId, QueryId>
  | PassingExample<KeyId>;

/** An example of a mini-batch. */
export interface BatchSample<KeyId extends RowId = number, QueryId extends RowId = number> {
  /** The question. */
  readonly x: Example<KeyId, QueryId>;
  /** The right answer. */
  readonly y: Target;
  /** How much it counts beside the others, ≥ 0; 1 unless given. */
  readonly weight?: number;
}

/** An x of an engine whose rows may have ids. */
export type AnyExample = Example<RowId, RowId>;

/**
 * The target of an example, the y of River: a number or boolean for each score, unless the loss takes other
 * targets.
 */
export type Target = number | boolean | ArrayLike<number>;

/** A checked example, which fits its engine. */
export interface CheckedExample {
  readonly rows: GradientRows;
  /** Key slots that are scored against, or null for columns. */
  readonly against: Uint32Array<ArrayBuffer> | null;
  readonly columns: Uint32Array<ArrayBuffer>;
  readonly offset: number;
}

const SCORES: readonly (keyof ExampleScores)[] = ["against", "columns", "offset"];

/** Checks an example; its slots must be live. `scores` are the fields that it may have beside its query or row. */
export function toExample(
  operation: string,
  x: AnyExample,
  rules: EditRules,
  scores: readonly (keyof ExampleScores)[] = SCORES,
): CheckedExample {
  return reading(operation, () => takeExample(operation, x, rules, scores));
}

function takeExample(
  operation: string,
  x: AnyExample,
  rules: EditRules,
  scores: readonly (keyof ExampleScores)[],
): CheckedExample {
  if (typeof x !== "object" || x === null || ("query" in x) === ("row" in x)) {
    const found = typeof x !== "object" || x === null
      ? `x is ${describe(x)}`
      : "query" in x
      ? "x has query and row"
      : "x has neither query nor row";
    throw new InputError(operation, found, "an object with a query slot, or with a row");
  }
  const given: AnyExample = "query" in x
    ? takeOptions(operation, x, ["query", ...scores])
    : takeOptions(operation, x, ["row", "position", ...scores]);
  const { layout, keySlots } = rules;
  const columnCount = outputColumns(layout);
  const { against, columns, offset = 0 } = given;
  if (against !== undefined && columns !== undefined) {
    throw new InputError(operation, "x has against and columns", "one of them");
  }
  if (typeof offset !== "number" || !Number.isFinite(offset)) {
    throw new InputError(operation, `offset is ${describe(offset)}`, "a finite number");
  }
  return {
    rows: toExampleRows(operation, given, rules),
    against: against === undefined
      ? null
      : toList(operation, "against", against, (slot) => findSlot(operation, "key", slot, keySlots)),
    columns: columns === undefined
      ? Uint32Array.from({ length: columnCount }, (_, column) => column)
      : toList(
        operation,
        "columns",
        columns,
        (column) => checkColumn(operation, column, columnCount, "heads × valueDim"),
      ),
    offset,
  };
}

/** Copies targets, or other numbers that error messages call `name`; all must be finite. */
export function toTargets(operation: string, y: Target, name = "y"): Float64Array<ArrayBuffer> {
  if (typeof y === "number" || typeof y === "boolean") return toTargets(operation, [Number(y)], name);
  return reading(operation, () => {
    if (typeof y !== "object") {
      throw new InputError(
        operation,
        `${name} is ${describe(y)}`,
        "a number, a truth value or an array of them",
      );
    }
    checkArray(operation, name, y);
    const numbers: number[] = [], { length } = y;
    // Entries are taken one by one, since a list may claim a length beyond all memory and have nothing in it.
    for (let at = 0; at < length; at++) {
      const entry: unknown = y[at], number = typeof entry === "boolean" ? Number(entry) : entry;
      if (typeof number !== "number" || !Number.isFinite(number)) {
        throw new InputError(
          operation,
          `${name} has ${describe(entry)} at index ${at}`,
          "finite numbers or truth values",
        );
      }
      numbers.push(number);
    }
    return Float64Array.from(numbers);
  });
}

/** The query slots and key slots that an example names. */
export function namedBy(
  { rows, against }: CheckedExample,
): { readonly keys: Iterable<number>; readonly queries: Iterable<number> } {
  return { keys: against ?? [], queries: rows.kind === "standing" ? rows.slots : [] };
}

/** The number of scores of an example. */
export function scoreCountOf({ against, columns }: CheckedExample): number {
  return (against ?? columns).length;
}

/** The scores of an output; `valueOf` gives the value of a key slot. */
export function scoresOf(
  { against, columns, offset }: CheckedExample,
  output: ArrayLike<number>,
  valueOf: (slot: number) => ArrayLike<number>,
  layout: HeadLayout,
): Float64Array<ArrayBuffer> {
  if (!against) return Float64Array.from(columns, (column) => output[column] + offset);
  return Float64Array.from(against, (slot) => {
    const value = valueOf(slot);
    let sum = 0;
    for (let at = 0; at < output.length; at++) sum += output[at] * value[partnerOf(at, layout)];
    return sum + offset;
  });
}

/** ∂L/∂o from ∂L/∂score. */
export function outputGradientOf(
  { against, columns }: CheckedExample,
  byScore: Float64Array,
  valueOf: (slot: number) => ArrayLike<number>,
  layout: HeadLayout,
): Float64Array<ArrayBuffer> {
  const g = new Float64Array(outputColumns(layout));
  if (!against) {
    columns.forEach((column, at) => g[column] += byScore[at]);
    return g;
  }
  against.forEach((slot, at) => {
    const value = valueOf(slot);
    for (let c = 0; c < g.length; c++) g[c] += byScore[at] * value[partnerOf(c, layout)];
  });
  return g;
}

/** ∂L/∂v of a key that is scored against, apart from its part in the output: ∂L/∂score · o, head by head. */
export function matchGradientOf(
  byScore: number,
  output: ArrayLike<number>,
  layout: HeadLayout,
): Float64Array<ArrayBuffer> {
  const gradient = new Float64Array(layout.kvHeads * layout.valueDim);
  for (let at = 0; at < output.length; at++) gradient[partnerOf(at, layout)] += byScore * output[at];
  return gradient;
}

/** The column of a value by which a column of the output is multiplied. */
export function partnerOf(column: number, layout: HeadLayout): number {
  const { valueDim } = layout;
  const head = Math.floor(column / valueDim);
  return keyHeadOf(layout, head) * valueDim + column % valueDim;
}

function toExampleRows(operation: string, x: AnyExample, rules: EditRules): GradientRows {
  if ("query" in x) {
    return {
      kind: "standing",
      slots: Uint32Array.of(findSlot(operation, "query", x.query, rules.querySlots)),
    };
  }
  const { position } = x;
  const positions = position === undefined ? undefined : [position];
  const row = toRow(operation, "row", x.row, queryColumns(rules.layout), "heads × headDim");
  const queries: PassingQueries = toPassing(operation, [row], positions, rules);
  return { kind: "passing", queries };
}

function toList<Name extends RowId>(
  operation: string,
  name: string,
  input: Name | ArrayLike<Name>,
  check: (entry: Name) => number,
): Uint32Array<ArrayBuffer> {
  if (typeof input !== "object") return Uint32Array.of(check(input as Name));
  const { length, entries } = takeIdList(operation, name, input);
  if (length === 0) throw new InputError(operation, `${name} is empty`, "at least one");
  // Reading an entry may run the caller's code, so all are read before the first is looked up.
  return Uint32Array.from(Array.from({ length }, (_, at) => entries[at] as Name).map(check));
}

/** How much an example counts; 1 unless given. */
export function toWeight(operation: string, weight: unknown = 1, name = "weight"): number {
  if (typeof weight === "number" && weight >= 0 && weight < Infinity) return weight;
  throw new InputError(operation, `${name} is ${describe(weight)}`, "a finite number ≥ 0");
}

/** The samples of a mini-batch as they came, with checked targets and weights. */
export interface Batch<KeyId extends RowId, QueryId extends RowId> {
  readonly batch: readonly {
    readonly x: Example<KeyId, QueryId>;
    readonly targets: Float64Array;
    readonly weight: number;
  }[];
  /** Σ w, above 0. */
  readonly sum: number;
}

/** Checks the samples of a mini-batch, but for what depends on the engine. */
export function toBatch<KeyId extends RowId, QueryId extends RowId>(
  operation: string,
  samples: readonly BatchSample<KeyId, QueryId>[],
): Batch<KeyId, QueryId> {
  const batch = reading(operation, () => {
    const { length, entries } = takeList(operation, "samples", samples, "an array of { x, y }");
    return Array.from({ length }, (_, at) => {
      const name = `samples[${at}]`, sample = entries[at] as BatchSample<KeyId, QueryId>;
      const { x, y, weight } = takeOptions(operation, sample, ["x", "y", "weight"], `${name} field`);
      const targets = toTargets(operation, y, `${name}.y`);
      return { x, targets, weight: toWeight(operation, weight, `${name}.weight`) };
    });
  });
  const sum = batch.reduce((sum, { weight }) => sum + weight, 0);
  if (sum > 0 && sum < Infinity) return { batch, sum };
  const found = `the weights of ${batch.length} samples add up to ${sum}`;
  throw new InputError(operation, found, "a finite number above 0");
}
