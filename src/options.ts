/**
 * The options of the two entry points, and their check: what leaves this file is complete and valid.
 */

import type { BackendFactory } from "./backends/backend.ts";
import { type BackendName, selectBackend } from "./backends/select.ts";
import { InputError } from "./errors.ts";
import { type FlushPolicy, toFlushPolicy } from "./lazy/planner.ts";
import { type LazyThreshold, type ThresholdTest, toThresholdTest } from "./lazy/threshold.ts";
import { describe, type Matrix, type MatrixInput, toMatrix } from "./matrix.ts";

/** What `attention` is asked. */
export interface AttentionOptions {
  /** Q, m × d. */
  readonly query: MatrixInput;
  /** K, n × d; n may be 0. */
  readonly key: MatrixInput;
  /** V, n × dv. */
  readonly value: MatrixInput;
  /** Multiplies q·k; 1 / √d unless given. */
  readonly scale?: number;
  /** Where to compute; "auto" unless given. */
  readonly backend?: BackendName;
}

/** What an engine is made of. */
export interface DynamicAttentionOptions extends AttentionOptions {
  /**
   * How many changed slots may be pending before they are applied: an integer ≥ 1, or Infinity for never; 64
   * unless given. Edits of one slot count once, an undone edit does not count.
   */
  readonly lazyThreshold?: LazyThreshold;
  /** How pending edits are applied: "auto" (the default), "patch" or "rebuild". */
  readonly onThreshold?: FlushPolicy;
  /**
   * How large the bound on the rounding error that a row has collected may grow, relative to its sums, before the
   * row is computed from scratch; 1e-8 unless given, below a rounding of the float32 output.
   */
  readonly tolerance?: number;
}

/** Checked options of a computation. */
export interface Problem {
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly scale: number;
  readonly factory: BackendFactory;
}

/** Checked options of an engine. */
export interface EngineProblem extends Problem {
  readonly tolerance: number;
  readonly threshold: ThresholdTest;
  readonly policy: FlushPolicy;
}

const ATTENTION_OPTIONS = ["query", "key", "value", "scale", "backend"];
const ENGINE_OPTIONS = [...ATTENTION_OPTIONS, "lazyThreshold", "onThreshold", "tolerance"];

/** Checks the options of `attention`. */
export function toProblem(operation: string, options: AttentionOptions): Problem {
  checkNames(operation, options, ATTENTION_OPTIONS);
  return toCheckedProblem(operation, options);
}

/** Checks the options of an engine. */
export function toEngineProblem(operation: string, options: DynamicAttentionOptions): EngineProblem {
  checkNames(operation, options, ENGINE_OPTIONS);
  const { tolerance = 1e-8 } = options;
  if (!(tolerance > 0 && tolerance < 1)) {
    throw new InputError(operation, `tolerance is ${describe(tolerance)}`, "a number between 0 and 1");
  }
  return {
    ...toCheckedProblem(operation, options),
    tolerance,
    threshold: toThresholdTest(operation, options.lazyThreshold),
    policy: toFlushPolicy(operation, options.onThreshold),
  };
}

function toCheckedProblem(operation: string, options: AttentionOptions): Problem {
  const query = toMatrix(operation, "query", options.query);
  const key = toMatrix(operation, "key", options.key);
  const value = toMatrix(operation, "value", options.value);
  const headDim = query.shape[1];
  if (key.shape[1] !== headDim) {
    throw new InputError(operation, `key has ${key.shape[1]} columns`, `${headDim} (headDim, as query)`);
  }
  if (value.shape[0] !== key.shape[0]) {
    throw new InputError(operation, `value has ${value.shape[0]} rows`, `${key.shape[0]} (one a key)`);
  }
  const { scale = 1 / Math.sqrt(headDim) } = options;
  if (typeof scale !== "number" || !Number.isFinite(Math.fround(scale))) {
    throw new InputError(operation, `scale is ${describe(scale)}`, "a finite number of float32 range");
  }
  return { query, key, value, scale, factory: selectBackend(operation, options.backend) };
}

/** A misspelt option must not be taken for its default. */
function checkNames(operation: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new InputError(operation, `options are ${describe(options)}`, "an object");
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new InputError(operation, `option ${describe(name)} is unknown`, `one of ${known.join(", ")}`);
    }
  }
}
