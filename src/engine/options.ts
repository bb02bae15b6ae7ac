/**
 * The checks of the options of `attention`, of engines and of loading one.
 *
 * Invariant: the results of these checks are complete and valid.
 */

import type { BackendFactory } from "../backends/backend.ts";
import { type BackendName, selectBackend } from "../backends/select.ts";
import { describe, InputError } from "../base/errors.ts";
import type { HeadLayout } from "../numerics/head_layout.ts";
import { looksAtPositions, type ScoreRule } from "../numerics/score_parameters.ts";
import { type AnyMaskInput, type Mask, toMask } from "../write/mask.ts";
import { toMatrices } from "../write/mask_input.ts";
import type { RowErrors } from "../write/row_errors.ts";
import { RowIds } from "../write/row_ids.ts";
import { type FlushPolicy, toFlushPolicy } from "../schedule/planner.ts";
import { type Threshold, toThreshold } from "../schedule/threshold.ts";
import { isCount, reading, takeList, takePair, toFiniteNumbers } from "../base/lists.ts";
import { type Matrix, toJoinedRows } from "../base/matrix.ts";
import type { JoinedRows } from "../base/strided.ts";
import { takeOptions } from "../base/names.ts";
import type {
  AnyEngineOptions,
  AnyLoadOptions,
  AttentionOptions,
  DynamicAttentionOptions,
  LoadOptions,
} from "./option_types.ts";
import type { BlockMaskInput, RuleExtras } from "./rule_options.ts";

export type {
  AnyEngineOptions,
  AnyLoadOptions,
  AttentionOptions,
  DynamicAttentionOptions,
  LoadOptions,
} from "./option_types.ts";

/** The checked options of a computation. */
export interface Problem {
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly queryPositions: Float64Array;
  readonly keyPositions: Float64Array;
  readonly layout: HeadLayout;
  /** How far kept rows are from those that were given; null where all are float32. */
  readonly errors: RowErrors | null;
  readonly rule: ScoreRule;
  /** Rules that are read and not checked yet; null where there are none. */
  readonly extras: RuleExtras | null;
  readonly mask: Mask | null;
  readonly tolerance: number;
  /** The name that was asked for; `factory` makes the backend. */
  readonly backend: BackendName;
  readonly factory: BackendFactory;
}

/** Checked options of an engine. */
export interface EngineProblem extends Problem {
  /** null where keys are called by their slots. */
  readonly keyIds: RowIds | null;
  readonly queryIds: RowIds | null;
  readonly threshold: Threshold;
  readonly policy: FlushPolicy;
}

/** Checked options of a load. */
export interface LoadProblem extends Pick<AnyLoadOptions, "backend" | "threads" | "mask"> {
  /** A threshold that replaces the saved one; null to keep that. */
  readonly threshold: Threshold | null;
}

const ATTENTION_OPTIONS: readonly (keyof AttentionOptions)[] = [
  "query",
  "key",
  "value",
  "heads",
  "kvHeads",
  "scale",
  "softcap",
  "biasBeforeSoftcap",
  "sinks",
  "alibi",
  "distanceBias",
  "rotary",
  "blockMask",
  "mask",
  "causal",
  "window",
  "queryPositions",
  "keyPositions",
  "backend",
  "threads",
  "storage",
];
/** The names of all options of an engine. */
export const ENGINE_OPTIONS: readonly (keyof DynamicAttentionOptions)[] = [
  ...ATTENTION_OPTIONS,
  "editableMask",
  "keyIds",
  "queryIds",
  "lazyThreshold",
  "onThreshold",
  "tolerance",
];
const LOAD_OPTIONS: readonly (keyof LoadOptions)[] = ["backend", "threads", "mask", "lazyThreshold"];
const TOLERANCE = 1e-8;

/** Checks the options of `attention`. */
export function toProblem(operation: string, options: AttentionOptions): Problem {
  return reading(operation, () => {
    return toCheckedProblem(operation, takeOptions(operation, options, ATTENTION_OPTIONS), TOLERANCE);
  });
}

/** Checks the options of an engine. */
export function toEngineProblem(
  operation: string,
  options: AnyEngineOptions,
): EngineProblem {
  return reading(operation, () => {
    const given = takeOptions(operation, options, ENGINE_OPTIONS);
    const { tolerance = TOLERANCE, editableMask = false, keyIds, queryIds } = given;
    if (typeof editableMask !== "boolean") {
      throw new InputError(operation, `editableMask is ${describe(editableMask)}`, "a boolean");
    }
    const problem = toCheckedProblem(operation, given, checkTolerance(operation, tolerance), editableMask);
    return {
      ...problem,
      keyIds: RowIds.take(operation, "keyIds", keyIds, problem.key.shape[0]),
      queryIds: RowIds.take(operation, "queryIds", queryIds, problem.query.shape[0]),
      threshold: toThreshold(operation, given.lazyThreshold),
      policy: toFlushPolicy(operation, given.onThreshold),
    };
  });
}

/** Checks the options of `DynamicAttention.load`, as far as that can be done without the file. */
export function toLoadProblem(operation: string, options: AnyLoadOptions): LoadProblem {
  return reading(operation, () => {
    const { lazyThreshold, ...given } = takeOptions(operation, options, LOAD_OPTIONS);
    if (given.backend !== undefined || given.threads !== undefined) {
      selectBackend(operation, given.backend, given.threads);
    }
    const threshold = lazyThreshold === undefined ? null : toThreshold(operation, lazyThreshold);
    return { ...given, threshold };
  });
}

/** Checks a relative error that a caller allows. */
export function checkTolerance(operation: string, tolerance: unknown): number {
  if (typeof tolerance === "number" && tolerance > 0 && tolerance < 1) return tolerance;
  throw new InputError(operation, `tolerance is ${describe(tolerance)}`, "a number between 0 and 1");
}

function toCheckedProblem(
  operation: string,
  options: ComputedOptions,
  tolerance: number,
  editableMask = false,
): Problem {
  const query = toJoinedRows(operation, "query", options.query);
  const key = toJoinedRows(operation, "key", options.key);
  const value = toJoinedRows(operation, "value", options.value);
  const layout = toLayout(operation, options, query, key, value);
  const rule = toRule(operation, options, layout);
  const queryPositions = toPositions(operation, "queryPositions", options.queryPositions, query.shape[0]);
  const keyPositions = toPositions(operation, "keyPositions", options.keyPositions, key.shape[0]);
  const extras = takeExtras(operation, options, layout);
  // If no rule depends on positions, rows that differ only in position must count as equal.
  const matter = looksAtPositions(rule) || extras !== null;
  return {
    query,
    key,
    value,
    queryPositions: matter ? queryPositions : queryPositions.fill(0),
    keyPositions: matter ? keyPositions : keyPositions.fill(0),
    layout,
    rule,
    errors: null,
    extras,
    mask: toMask(operation, options.mask, layout.heads, query.shape[0], key.shape[0], editableMask),
    tolerance,
    backend: options.backend ?? "auto",
    factory: selectBackend(operation, options.backend, options.threads),
  };
}

/** Options that say what is computed; a mask may be asked by ids. */
type ComputedOptions = Omit<AttentionOptions, "mask"> & { readonly mask?: AnyMaskInput };

function toLayout(
  operation: string,
  options: ComputedOptions,
  query: JoinedRows,
  key: JoinedRows,
  value: JoinedRows,
): HeadLayout {
  const { heads = query.heads ?? 1 } = options;
  if (!isCount(heads) || heads === 0) {
    throw new InputError(operation, `heads is ${describe(heads)}`, "an integer ≥ 1");
  }
  const { kvHeads = key.heads ?? heads } = options;
  if (!isCount(kvHeads) || kvHeads === 0 || heads % kvHeads !== 0) {
    throw new InputError(operation, `kvHeads is ${describe(kvHeads)}`, `a divisor of ${heads} (heads)`);
  }
  for (
    const [name, found, count, what] of [
      ["query", query.heads, heads, "heads"],
      ["key", key.heads, kvHeads, "kvHeads"],
      ["value", value.heads, kvHeads, "kvHeads"],
    ] as const
  ) {
    if (found === null || found === count) continue;
    throw new InputError(operation, `${name}.shape has ${found} heads`, `${count} (${what})`);
  }
  if (query.shape[1] % heads !== 0) {
    throw new InputError(operation, `query has ${query.shape[1]} columns`, `a multiple of ${heads} (heads)`);
  }
  const headDim = query.shape[1] / heads;
  if (key.shape[1] !== kvHeads * headDim) {
    throw new InputError(
      operation,
      `key has ${key.shape[1]} columns`,
      `${kvHeads * headDim} (kvHeads × headDim)`,
    );
  }
  if (value.shape[0] !== key.shape[0]) {
    throw new InputError(operation, `value has ${value.shape[0]} rows`, `${key.shape[0]} (one per key)`);
  }
  if (value.shape[1] % kvHeads !== 0) {
    throw new InputError(
      operation,
      `value has ${value.shape[1]} columns`,
      `a multiple of ${kvHeads} (kvHeads)`,
    );
  }
  return { heads, kvHeads, headDim, valueDim: value.shape[1] / kvHeads };
}

function toRule(operation: string, options: ComputedOptions, { headDim }: HeadLayout): ScoreRule {
  const { scale = 1 / Math.sqrt(headDim), softcap = 0 } = options;
  if (typeof scale !== "number" || !Number.isFinite(Math.fround(scale))) {
    throw new InputError(operation, `scale is ${describe(scale)}`, "a finite number of float32 range");
  }
  if (typeof softcap !== "number" || !(softcap >= 0 && Number.isFinite(Math.fround(softcap)))) {
    throw new InputError(operation, `softcap is ${describe(softcap)}`, "a finite number ≥ 0");
  }
  const [left, right] = toWindow(operation, options.window);
  const after = Math.min(right, toOffset(operation, options.causal));
  // Adding 0 turns −0 into 0.
  return { scale, softcap, before: left + 0, after: after + 0 };
}

function toWindow(operation: string, window: AttentionOptions["window"]): [left: number, right: number] {
  if (window === undefined || isNamed(window)) return [Infinity, Infinity];
  const [left, right] = takePair(window) ?? [];
  if (isReach(left) && isReach(right)) return [left, right];
  const given = left === undefined ? window : [left, right];
  throw new InputError(operation, `window is ${describe(given)}`, "[left ≥ 0, right ≥ 0]");
}

/** Whether a window is one by names, which is among the rules that are checked later. */
function isNamed(window: AttentionOptions["window"]): boolean {
  return typeof window === "object" && window !== null && !("length" in window);
}

function isReach(reach: unknown): reach is number {
  return typeof reach === "number" && reach >= 0;
}

/** The largest distance of a key after the query that `causal` allows. */
function toOffset(operation: string, causal: AttentionOptions["causal"] = false): number {
  if (typeof causal === "boolean") return causal ? 0 : Infinity;
  const expected = "a boolean or { offset: a finite number }";
  if (typeof causal !== "object" || causal === null || Array.isArray(causal)) {
    throw new InputError(operation, `causal is ${describe(causal)}`, expected);
  }
  const { offset } = takeOptions(operation, causal, ["offset"], "causal field");
  if (typeof offset === "number" && Number.isFinite(offset)) return offset;
  throw new InputError(
    operation,
    `causal is ${describe(causal)}`,
    `${expected}; its offset is ${describe(offset)}`,
  );
}

/** The rules of scores that most callers do not use; null where there are none. */
function takeExtras(operation: string, options: ComputedOptions, { heads }: HeadLayout): RuleExtras | null {
  const { biasBeforeSoftcap, sinks, alibi, distanceBias, rotary, window, storage } = options;
  const own = isNamed(window) ? window : undefined;
  const extras = Object.entries({
    biasBeforeSoftcap,
    sinks,
    alibi,
    distanceBias,
    rotary,
    window: own,
    storage,
  })
    .filter(([, option]) => option !== undefined)
    .map(([name, option]) => [name, copied(operation, name, option)] as const);
  const blocks = options.blockMask === undefined ? {} : { blocks: takeBlocks(operation, options, heads) };
  if (extras.length === 0 && !("blocks" in blocks)) return null;
  return { ...Object.fromEntries(extras), ...blocks };
}

/** The parts of a mask of blocks; its entries are read and copied as those of a mask. */
function takeBlocks(
  operation: string,
  { blockMask }: ComputedOptions,
  heads: number,
): NonNullable<RuleExtras["blocks"]> {
  const fields = ["size", "entries"] as const;
  const { size, entries } = takeOptions(operation, blockMask as BlockMaskInput, fields, "blockMask field");
  const sizes = takePair(size) ?? [size, size];
  return { size, sizes, matrices: toMatrices(operation, entries, heads, "blockMask.entries") };
}

/** No list of these options is longer. */
const MOST_LISTED = 2 ** 20;

/** A copy of lists and objects: the caller may change them before they are checked. */
function copied(operation: string, name: string, input: unknown, depth = 0): unknown {
  if (typeof input !== "object" || input === null || depth > 3) return input;
  if (ArrayBuffer.isView(input) || "length" in input) {
    const { length, entries } = takeList(operation, name, input);
    if (length > MOST_LISTED) {
      throw new InputError(operation, `${name} has ${length} numbers`, "at most 2^20");
    }
    return Array.from({ length }, (_, at) => {
      const entry = entries[at];
      return typeof entry === "object" ? copied(operation, `${name}[${at}]`, entry, depth + 1) : entry;
    });
  }
  // Maps and sets are refused by their own names.
  if (Symbol.iterator in input) return input;
  const fields = Object.entries(input);
  return Object.fromEntries(
    fields.map(([field, value]) => [field, copied(operation, `${name}.${field}`, value, depth + 1)]),
  );
}

/**
 * The problem with all of its rules. Those that most callers do not use are read with the other options, and
 * checked here, by code that is loaded on demand.
 */
export async function withRules<P extends Problem>(operation: string, problem: P): Promise<P> {
  if (!problem.extras) return problem;
  const { addRules } = await import("./rule_options.ts");
  return addRules(operation, problem, problem.extras);
}

/** Checks positions of `count` rows; by default they are `first`, `first` + 1, … */
export function toPositions(
  operation: string,
  name: string,
  input: ArrayLike<number> | undefined,
  count: number,
  first = 0,
): Float64Array {
  if (input === undefined) return Float64Array.from({ length: count }, (_, at) => first + at);
  const list = takeList(operation, name, input);
  if (list.length !== count) {
    throw new InputError(operation, `${name} has ${list.length} numbers`, `${count} (one per row)`);
  }
  return toFiniteNumbers(operation, name, list);
}
