/**
 * Rules of scores that most callers do not use, and their checks: they are loaded on demand.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, takeList, toFiniteNumbers } from "../base/lists.ts";
import type { Matrix } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { alibiSlopes, type DistanceBias, toTableBias } from "../numerics/distance_bias.ts";
import type { HeadLayout } from "../numerics/head_layout.ts";
import { type BlockBias, toBlockBias } from "../numerics/block_bias.ts";
import type { Rotary } from "../numerics/rotary.ts";
import { looksAtPositions, type ScoreRule } from "../numerics/score_rule.ts";
import type { BiasMatrix, MaskMatrix } from "../write/mask_input.ts";
import { checkPlaces } from "../write/places.ts";
import { addStorage, type StorageInput } from "./storage_options.ts";

/** A window by names. */
export interface WindowInput {
  /** How far before a query a key may lie; Infinity unless given. */
  readonly left?: number;
  /** How far after a query a key may lie; Infinity unless given. */
  readonly right?: number;
  /**
   * Keys at positions below this are never too far left; none unless given. With positions 0, 1, 2, … they
   * are the first `keepFirst` keys.
   */
  readonly keepFirst?: number;
}

/**
 * A bias by whole distances, keyPosition − queryPosition, of at most 2^20 distances:
 *
 *     { from, values }      values[distance − from], a list for all heads or a list of H lists
 *     { from, to, bias }    bias(distance, head), asked once for each distance from `from` to `to` and head
 *
 * Distances beyond the ends have the bias of the end. A bias is a number of float32 range, or −∞, which
 * forbids the pair. A function is held, and saved, as the table of its answers.
 */
export type DistanceBiasInput =
  | {
    readonly from: number;
    readonly values: ArrayLike<number> | readonly ArrayLike<number>[];
  }
  | {
    readonly from: number;
    readonly to: number;
    readonly bias: (distance: number, head: number) => number;
  };

/** Rotary positions by names. */
export interface RotaryInput {
  /** b in θ_i = position · b^(−2i/dims); 10,000 unless given. */
  readonly base?: number;
  /** Columns of a head that are turned, from the first on, an even number; d unless given. */
  readonly dims?: number;
  /**
   * Whether a pair is the columns 2i and 2i + 1, as in GPT-J, instead of i and i + dims/2, as in GPT-NeoX and
   * Llama; false unless given.
   */
  readonly interleaved?: boolean;
}

/** A mask by blocks of positions. */
export interface BlockMaskInput {
  /** Positions of a block, of queries and keys alike or of each; positive. */
  readonly size: number | readonly [query: number, key: number];
  /** An entry for each block of queries and of keys: one matrix, or one per head. */
  readonly entries: MaskMatrix | ArrayLike<MaskMatrix>;
}

/** Options that are checked here. */
export interface RuleExtras {
  /** A mask of blocks, its entries copied. */
  readonly blocks?: {
    readonly size: unknown;
    /** The sizes of a block in queries and in keys. */
    readonly sizes: readonly [query: unknown, key: unknown];
    readonly matrices: readonly BiasMatrix[];
  };
  readonly rotary?: boolean | RotaryInput;
  readonly biasBeforeSoftcap?: boolean;
  readonly sinks?: number | ArrayLike<number>;
  readonly alibi?: boolean | ArrayLike<number>;
  readonly distanceBias?: DistanceBiasInput;
  readonly window?: WindowInput;
  readonly storage?: StorageInput;
}

/** What rules are added to. */
interface Ruled {
  readonly layout: HeadLayout;
  readonly rule: ScoreRule;
  readonly queryPositions: Float64Array;
  readonly keyPositions: Float64Array;
  readonly key: Matrix;
  readonly value: Matrix;
}

/** The distances of a table, and how far from 0 they may begin. */
const MOST_DISTANCES = 2 ** 20, MOST_DISTANCE = 2 ** 24;

/** Checks the options and adds their rules to a problem. */
export function addRules<P extends Ruled>(operation: string, problem: P, extras: RuleExtras): P {
  const { layout, queryPositions, keyPositions } = problem;
  const { softcap, before, after, ...rest } = problem.rule;
  const { left, right, keepBefore } = toWindow(operation, extras.window);
  const sinks = toSinks(operation, extras.sinks, layout);
  const distanceBias = toDistanceBias(operation, extras, layout);
  const biasFirst = toBiasOrder(operation, extras.biasBeforeSoftcap);
  const rotary = toRotary(operation, extras.rotary, layout);
  const blocks = toBlocks(operation, extras.blocks);
  // Rules that are not there are left out, so that nothing asks about them. Adding 0 turns −0 into 0.
  const rule: ScoreRule = {
    ...rest,
    softcap,
    before: Math.min(before, left) + 0,
    after: Math.min(after, right) + 0,
    ...(keepBefore > -Infinity && left < Infinity ? { keepBefore } : {}),
    ...(distanceBias ? { distanceBias } : {}),
    ...(biasFirst && softcap > 0 ? { biasFirst } : {}),
    ...(sinks ? { sinks } : {}),
    ...(rotary ? { rotary } : {}),
    ...(blocks ? { blocks } : {}),
  };
  const places = [["queryPositions", queryPositions], ["keyPositions", keyPositions]] as const;
  for (const [name, positions] of places) {
    if (looksAtPositions(rule)) checkPlaces(operation, name, positions, rule);
    // Rows that differ only in position must count as equal.
    else positions.fill(0);
  }
  return {
    ...problem,
    ...addStorage(operation, problem, extras.storage, rotary !== null),
    rule,
    extras: null,
  };
}

/** null without a mask of blocks. */
function toBlocks(operation: string, mask: RuleExtras["blocks"]): BlockBias | null {
  if (mask === undefined) return null;
  const { size, sizes: [querySize, keySize], matrices } = mask;
  for (const each of [querySize, keySize]) {
    if (typeof each === "number" && each >= 2 ** -60 && each <= 2 ** 60) continue;
    const expected = "a positive number, or [query size, key size]";
    throw new InputError(operation, `blockMask.size is ${describe(size)}`, expected);
  }
  const [{ rows, columns }] = matrices;
  for (const matrix of matrices) {
    if (matrix.rows === rows && matrix.columns === columns && rows > 0 && columns > 0) continue;
    const found = `blockMask.entries is ${matrix.rows} × ${matrix.columns}`;
    throw new InputError(operation, found, "matrices of one size, with at least one entry");
  }
  const count = rows * columns, values = new Float32Array(matrices.length * count);
  matrices.forEach(({ data }, head) => values.set(data, head * count));
  const sizes = { querySize: querySize as number, keySize: keySize as number };
  return toBlockBias({ ...sizes, heads: matrices.length, rows, columns, values });
}

/** null where rows are not turned. */
function toRotary(
  operation: string,
  rotary: RuleExtras["rotary"] = false,
  { headDim }: HeadLayout,
): Rotary | null {
  if (rotary === false) return null;
  if (rotary !== true && (typeof rotary !== "object" || rotary === null || Array.isArray(rotary))) {
    const expected = "a boolean or { base, dims, interleaved }";
    throw new InputError(operation, `rotary is ${describe(rotary)}`, expected);
  }
  const names = ["base", "dims", "interleaved"] as const;
  const given: RotaryInput = rotary === true ? {} : takeOptions(operation, rotary, names, "rotary field");
  const { base = 10_000, dims = headDim, interleaved = false } = given;
  if (typeof base !== "number" || !(base > 0 && base < Infinity)) {
    throw new InputError(operation, `rotary.base is ${describe(base)}`, "a finite number > 0");
  }
  if (!isCount(dims) || dims === 0 || dims % 2 !== 0 || dims > headDim) {
    const expected = `an even number from 2 to ${headDim} (columns of a head)`;
    throw new InputError(operation, `rotary.dims is ${describe(dims)}`, expected);
  }
  if (typeof interleaved !== "boolean") {
    throw new InputError(operation, `rotary.interleaved is ${describe(interleaved)}`, "a boolean");
  }
  return { base, dims, interleaved };
}

function toBiasOrder(operation: string, isFirst: unknown = false): boolean {
  if (typeof isFirst === "boolean") return isFirst;
  throw new InputError(operation, `biasBeforeSoftcap is ${describe(isFirst)}`, "a boolean");
}

/** The sinks of all heads; null without any. */
function toSinks(
  operation: string,
  sinks: RuleExtras["sinks"],
  { heads }: HeadLayout,
): Float64Array | null {
  if (sinks === undefined) return null;
  const isOne = typeof sinks === "number";
  const { length, entries } = isOne
    ? { length: heads, entries: new Array<unknown>(heads).fill(sinks) }
    : takeList(operation, "sinks", sinks);
  if (length !== heads) {
    throw new InputError(operation, `sinks has ${length} numbers`, `${heads} (one per head), or one number`);
  }
  const logits = new Float64Array(heads);
  for (let head = 0; head < heads; head++) {
    const sink = entries[head];
    if (typeof sink !== "number" || !(sink === -Infinity || Number.isFinite(Math.fround(sink)))) {
      const name = isOne ? "sinks" : `sinks[${head}]`;
      throw new InputError(
        operation,
        `${name} is ${describe(sink)}`,
        "a number of float32 range, or −Infinity",
      );
    }
    // Adding 0 turns −0 into 0.
    logits[head] = sink + 0;
  }
  return logits.some((sink) => sink > -Infinity) ? logits : null;
}

function toDistanceBias(
  operation: string,
  { alibi = false, distanceBias }: RuleExtras,
  { heads }: HeadLayout,
): DistanceBias | null {
  if (alibi !== false && distanceBias !== undefined) {
    throw new InputError(operation, "both alibi and distanceBias are given", "one of them");
  }
  if (distanceBias !== undefined) return toTable(operation, distanceBias, heads);
  if (alibi === false) return null;
  if (alibi === true) return { kind: "slopes", slopes: alibiSlopes(heads) };
  const slopes = toFiniteNumbers(
    operation,
    "alibi",
    takeList(operation, "alibi", alibi, "true, or an array of slopes"),
  );
  if (slopes.length !== heads) {
    throw new InputError(operation, `alibi has ${slopes.length} slopes`, `${heads} (one per head), or true`);
  }
  slopes.forEach((slope, head) => {
    if (slope >= 0 && slope <= 2 ** 60) return;
    throw new InputError(operation, `alibi[${head}] is ${describe(slope)}`, "a number from 0 to 2^60");
  });
  return { kind: "slopes", slopes: slopes.map((slope) => slope + 0) };
}

function toTable(operation: string, input: unknown, heads: number): DistanceBias {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    const expected = "{ from, values }, or { from, to, bias } with bias a function of the distance";
    throw new InputError(operation, `distanceBias is ${describe(input)}`, expected);
  }
  const given = takeOptions(
    operation,
    input as { from: unknown; to?: unknown; values?: unknown; bias?: unknown },
    ["from", "to", "values", "bias"],
    "distanceBias field",
  );
  const { from, to, values, bias } = given;
  if (typeof from !== "number" || !Number.isInteger(from) || Math.abs(from) > MOST_DISTANCE) {
    throw new InputError(operation, `distanceBias.from is ${describe(from)}`, "a whole number within ±2^24");
  }
  const isFunction = bias !== undefined;
  if (isFunction === (values !== undefined)) {
    const found = isFunction ? "has both values and bias" : "has neither values nor bias";
    throw new InputError(operation, `distanceBias ${found}`, "{ from, values } or { from, to, bias }");
  }
  const lists = isFunction
    ? askAll(operation, from, to, bias, heads)
    : takeTables(operation, to, values, heads);
  const count = lists[0].length;
  const all = new Float32Array(lists.length * count);
  lists.forEach((list, head) =>
    list.forEach((bias, at) => {
      if (typeof bias === "number" && (bias === -Infinity || Number.isFinite(Math.fround(bias)))) {
        all[head * count + at] = bias;
        return;
      }
      const where = lists.length > 1 ? ` of head ${head}` : "";
      throw new InputError(
        operation,
        `distanceBias${where} is ${describe(bias)} at distance ${from + at}`,
        "a number of float32 range, or −Infinity",
      );
    })
  );
  return toTableBias(from + 0, lists.length, all);
}

/** What a function of the distance answers, for each head. */
function askAll(operation: string, from: number, to: unknown, bias: unknown, heads: number): unknown[][] {
  if (typeof bias !== "function") {
    throw new InputError(
      operation,
      `distanceBias.bias is ${describe(bias)}`,
      "a function of distance and head",
    );
  }
  if (typeof to !== "number" || !Number.isInteger(to) || to < from || to - from >= MOST_DISTANCES) {
    const expected = `a whole number from ${from} (from) to ${from + MOST_DISTANCES - 1}`;
    throw new InputError(operation, `distanceBias.to is ${describe(to)}`, expected);
  }
  return Array.from(
    { length: heads },
    (_, head) =>
      Array.from({ length: to - from + 1 }, (_, at): unknown => {
        try {
          return bias(from + at, head);
        } catch (cause) {
          const found = `distanceBias.bias(${from + at}, ${head}) threw ${describe(cause)}`;
          throw new InputError(operation, found, "a number", { cause });
        }
      }),
  );
}

/** One list for all heads, or one per head. */
function takeTables(operation: string, to: unknown, values: unknown, heads: number): unknown[][] {
  const take = (name: string, input: unknown): unknown[] => {
    const { length, entries } = takeList(operation, name, input);
    return Array.from({ length }, (_, at) => entries[at]);
  };
  const first = take("distanceBias.values", values);
  const isPerHead = typeof first[0] === "object" && first[0] !== null;
  const lists = isPerHead ? first.map((list, head) => take(`distanceBias.values[${head}]`, list)) : [first];
  if (lists.length !== heads && lists.length !== 1) {
    const found = `distanceBias.values has ${lists.length} lists`;
    throw new InputError(operation, found, `${heads} (one per head), or one list of numbers`);
  }
  const count = lists[0].length;
  const odd = lists.findIndex((list) => list.length !== count);
  if (odd >= 0) {
    const found = `distanceBias.values[${odd}] has ${lists[odd].length} numbers`;
    throw new InputError(operation, found, `${count}, as values[0]`);
  }
  if (!isCount(count) || count === 0 || count > MOST_DISTANCES) {
    throw new InputError(operation, `distanceBias.values has ${count} numbers`, "1 to 2^20");
  }
  if (to !== undefined) {
    throw new InputError(operation, `distanceBias.to is ${describe(to)}`, "none beside values");
  }
  return lists;
}

/** A checked window. */
interface Window {
  readonly left: number;
  readonly right: number;
  readonly keepBefore: number;
}

function toWindow(operation: string, window: RuleExtras["window"]): Window {
  if (window === undefined) return { left: Infinity, right: Infinity, keepBefore: -Infinity };
  const names = ["left", "right", "keepFirst"] as const;
  const { left = Infinity, right = Infinity, keepFirst } = takeOptions(
    operation,
    window,
    names,
    "window field",
  );
  for (const [name, reach] of [["left", left], ["right", right]] as const) {
    if (isReach(reach)) continue;
    throw new InputError(operation, `window.${name} is ${describe(reach)}`, "a number ≥ 0");
  }
  if (keepFirst === undefined) return { left, right, keepBefore: -Infinity };
  if (typeof keepFirst === "number" && Number.isFinite(keepFirst)) {
    return { left, right, keepBefore: keepFirst + 0 };
  }
  throw new InputError(operation, `window.keepFirst is ${describe(keepFirst)}`, "a finite number");
}

function isReach(reach: unknown): reach is number {
  return typeof reach === "number" && reach >= 0;
}
