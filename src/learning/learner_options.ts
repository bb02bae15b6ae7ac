/**
 * The options of a learner and their checks.
 */

import type { RowId } from "../write/row_ids.ts";
import { describe, InputError } from "../base/errors.ts";
import type { RowKind } from "../write/newest_rows.ts";
import { reading } from "../base/lists.ts";
import { isCount } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { toTop } from "./attention_gradients.ts";
import { takeNamed } from "./callbacks.ts";
import { type Loss, squaredLoss } from "./losses.ts";
import { type Optimizer, sgd } from "./optimizers.ts";
import { type RateSchedule, toSchedule } from "./rates.ts";

/** Learning rates by kind of row; `false` for rows that do not learn. */
export interface PartRates {
  /** The rate of keys. */
  readonly keys?: number | RateSchedule | false;
  /** The rate of values. */
  readonly values?: number | RateSchedule | false;
  /** The rate of standing queries. */
  readonly queries?: number | RateSchedule | false;
}

/** Options of a learner. */
export interface LearnerOptions<KeyId extends RowId = number, QueryId extends RowId = number> {
  /** The loss; {@link squaredLoss} unless given. */
  readonly loss?: Loss;
  /** The optimizer; {@link sgd} unless given. */
  readonly optimizer?: Optimizer;
  /** The learning rate, or its schedule over the examples learned from; 0.01 unless given. */
  readonly rate?: number | RateSchedule;
  /** Other rates for keys, values or queries, or `false` for none. */
  readonly rates?: PartRates;
  /**
   * Multiplies the rate of one row, by its kind ("key", "value" or "query") and slot or id; 0 leaves it as it
   * is. Must depend on nothing else.
   */
  readonly rowRate?: (kind: RowKind, slot: KeyId | QueryId) => number;
  /** The number of heaviest keys of a head row that learn from an example; all unless given. */
  readonly top?: number;
  /**
   * How `predictOne` reads standing queries: "exact" (the default), or "stale" by the engine's `peek`, whose
   * staleness the engine's `lazyThreshold` limits. Learning is always exact.
   */
  readonly reads?: "exact" | "stale";
  /**
   * How far, as a Euclidean distance, the output of a standing query may be from exact by which it predicts and
   * learns; 0, for exact ones, unless given. Outputs are then copies that the engine keeps by drift, as
   * `DynamicAttention.follow` does. Steps tell bounds; with `top` they also save what bringing the query up to date
   * takes, without it they are computed from all keys and exact. It goes with `reads: "exact"` alone.
   */
  readonly error?: number;
  /** The seed of {@link OnlineLearner.random}; 0 unless given. */
  readonly seed?: number;
}

/** Checked options. */
export interface LearnerConfig {
  readonly loss: Loss;
  readonly optimizer: Optimizer;
  /** The rate of each kind of row; null for a kind that does not learn. */
  readonly rates: Readonly<Record<RowKind, RateSchedule | null>>;
  readonly rowRate: (kind: RowKind, slot: RowId) => number;
  readonly top: number;
  readonly reads: "exact" | "stale";
  /** 0 for exact outputs. */
  readonly error: number;
  readonly seed: number;
}

export const LEARNER_OPTIONS: readonly (keyof LearnerOptions)[] = [
  ...["loss", "optimizer", "rate", "rates", "rowRate", "top", "reads", "error", "seed"] as const,
];

/** Checks the options of a learner, whose names have been checked already. */
export function toLearnerConfig(operation: string, options: LearnerOptions<never, never>): LearnerConfig {
  const { loss = squaredLoss(), optimizer = sgd(), rate = 0.01, rates = {}, reads = "exact" } = options;
  const { error = 0, seed = 0 } = options;
  // The types ensure that the function takes the ids of the engine's rows.
  const rowRate = (options.rowRate ?? (() => 1)) as LearnerConfig["rowRate"];
  const ownRates = takeOptions(`${operation}.rates`, rates, ["keys", "values", "queries"]);
  if (typeof rowRate !== "function") {
    throw new InputError(operation, `rowRate is ${describe(rowRate)}`, "a function of kind and slot");
  }
  if (reads !== "exact" && reads !== "stale") {
    throw new InputError(operation, `reads is ${describe(reads)}`, '"exact" or "stale"');
  }
  if (typeof error !== "number" || !(error >= 0 && error < Infinity)) {
    throw new InputError(operation, `error is ${describe(error)}`, "a finite number ≥ 0");
  }
  if (error > 0 && reads === "stale") {
    const expected = '0, or reads: "exact"; lazyThreshold of the engine limits stale reads';
    throw new InputError(operation, `error is ${error} with reads: "stale"`, expected);
  }
  if (!isCount(seed) || seed >= 2 ** 32) {
    throw new InputError(operation, `seed is ${describe(seed)}`, "an integer from 0 to 2³² − 1");
  }
  const ofPart = (name: keyof PartRates) => {
    const own = ownRates[name];
    return own === false
      ? null
      : toSchedule(operation, own === undefined ? "rate" : `rates.${name}`, own === undefined ? rate : own);
  };
  return {
    loss: takeLoss(operation, loss),
    optimizer: takeOptimizer(operation, optimizer),
    rates: { key: ofPart("keys"), value: ofPart("values"), query: ofPart("queries") },
    rowRate,
    top: toTop(operation, options.top),
    reads,
    error,
    seed,
  };
}

/** A loss with the name that it has now; its methods are the caller's. */
export function takeLoss(operation: string, loss: Loss): Loss {
  const name = takeNamed(operation, "loss", loss, ["check", "predict", "value", "gradient"]);
  const smoothness = reading(operation, () => loss.smoothness);
  return {
    name,
    check: (...given) => loss.check(...given),
    predict: (...given) => loss.predict(...given),
    value: (...given) => loss.value(...given),
    gradient: (...given) => loss.gradient(...given),
    ...(smoothness !== undefined && { smoothness: (count) => smoothness.call(loss, count) }),
  };
}

/** An optimizer with the name that it has now; its methods are the caller's. */
export function takeOptimizer(operation: string, optimizer: Optimizer): Optimizer {
  const name = takeNamed(operation, "optimizer", optimizer, ["stateLength", "step"]);
  return {
    name,
    stateLength: (...given) => optimizer.stateLength(...given),
    step: (...given) => optimizer.step(...given),
  };
}
