/**
 * The arguments of a learner over a cluster, and their checks.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, reading, takeList } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import type { CheckedExample } from "../learning/examples.ts";
import { type PartRates, takeLoss, takeOptimizer } from "../learning/learner_options.ts";
import { type Loss, squaredLoss } from "../learning/losses.ts";
import { type Optimizer, sgd } from "../learning/optimizers.ts";
import { type RateSchedule, toSchedule } from "../learning/rates.ts";
import { type HeadLayout, outputColumns } from "../numerics/head_layout.ts";
import type { RowKind } from "../write/newest_rows.ts";
import { toId, toIds } from "./ids.ts";

/** Options of a {@link ClusterLearner}; losses, optimizers and schedules are those of `@attune/attention/learning`. */
export interface ClusterLearnerOptions {
  /** The loss; `squaredLoss()` unless given. */
  readonly loss?: Loss;
  /** The optimizer; `sgd()` unless given. Its states are kept by this learner alone. */
  readonly optimizer?: Optimizer;
  /** The learning rate, or its schedule over the examples learned from; 0.01 unless given. */
  readonly rate?: number | RateSchedule;
  /** Other rates for keys, values or queries, or `false` for none. */
  readonly rates?: PartRates;
  /** The number of heaviest keys of a head that learn from an example, 1 to 4,096; 100 unless given. */
  readonly top?: number;
}

/** An example: a standing query, and the scores that are made of its output. */
export interface ClusterExample {
  /** The id of the query. */
  readonly query: string;
  /**
   * Ids of keys: a score for each, the product of the output with its value. Each head of the output is
   * multiplied with the value head that it reads, and the products are added. Excludes `columns`.
   */
  readonly against?: string | readonly string[];
  /** Columns of the output that are the scores; all H·dv unless given. */
  readonly columns?: number | ArrayLike<number>;
  /** A number that is added to every score; 0 unless given. */
  readonly offset?: number;
}

/** The largest list that `topKeys` gives. */
const MOST_KEYS = 4096, USUAL_TOP = 100;

/** A checked example, and the ids of the keys that it is scored against. */
export interface LearnerQuestion {
  readonly id: string;
  readonly against: readonly string[];
  readonly scores: CheckedExample;
}

/** Checked options. */
export interface LearnerConfig {
  readonly loss: Loss;
  readonly optimizer: Optimizer;
  /** The rate of each kind of row; null for a kind that does not learn. */
  readonly rates: Readonly<Record<RowKind, RateSchedule | null>>;
  readonly top: number;
}

/** Checks the options of a learner. */
export function toLearnerConfig(operation: string, options: ClusterLearnerOptions): LearnerConfig {
  const { loss = squaredLoss(), optimizer = sgd(), rate = 0.01, rates = {}, top = USUAL_TOP } = takeOptions(
    operation,
    options,
    ["loss", "optimizer", "rate", "rates", "top"],
  );
  const ownRates = takeOptions(`${operation}.rates`, rates, ["keys", "values", "queries"]);
  if (!isCount(top) || top === 0 || top > MOST_KEYS) {
    throw new InputError(operation, `top is ${describe(top)}`, `a whole number from 1 to ${MOST_KEYS}`);
  }
  const ofPart = (name: keyof PartRates) => {
    const own = ownRates[name];
    return own === false
      ? null
      : toSchedule(operation, own === undefined ? "rate" : `rates.${name}`, own ?? rate);
  };
  return {
    ...{ loss: takeLoss(operation, loss), optimizer: takeOptimizer(operation, optimizer), top },
    rates: { key: ofPart("keys"), value: ofPart("values"), query: ofPart("queries") },
  };
}

/** Checks an example. */
export function toLearnerQuestion(
  operation: string,
  x: ClusterExample,
  layout: HeadLayout,
): LearnerQuestion {
  const columnCount = outputColumns(layout);
  return reading(operation, () => {
    const given = takeOptions(operation, x, ["query", "against", "columns", "offset"], "x field");
    const { against, columns, offset = 0 } = given;
    if (against !== undefined && columns !== undefined) {
      throw new InputError(operation, "x has against and columns", "one of them");
    }
    if (typeof offset !== "number" || !Number.isFinite(offset)) {
      throw new InputError(operation, `offset is ${describe(offset)}`, "a finite number");
    }
    const ids = against === undefined
      ? []
      : toIds(operation, "against", typeof against === "string" ? [against] : against);
    const shown = columns === undefined
      ? Array.from({ length: columnCount }, (_, column) => column)
      : toColumns(operation, columns, columnCount);
    if (shown.length === 0 || (against !== undefined && ids.length === 0)) {
      throw new InputError(
        operation,
        `${against === undefined ? "columns" : "against"} is empty`,
        "at least one",
      );
    }
    return {
      id: toId(operation, "x.query", given.query),
      against: ids,
      scores: {
        rows: { kind: "standing", slots: Uint32Array.of() },
        against: against === undefined ? null : Uint32Array.from(ids, (_, at) => at),
        ...{ columns: Uint32Array.from(shown), offset },
      },
    };
  });
}

/** Checks columns of the output, one by one, since a list may say that it is of any length. */
function toColumns(operation: string, columns: unknown, columnCount: number): number[] {
  const { length, entries } = takeList(
    operation,
    "columns",
    typeof columns === "number" ? [columns] : columns,
    `numbers below ${columnCount}`,
  );
  const shown: number[] = [];
  for (let at = 0; at < length; at++) {
    const column: unknown = entries[at];
    if (!isCount(column) || column >= columnCount) {
      throw new InputError(operation, `columns has ${describe(column)}`, `numbers below ${columnCount}`);
    }
    shown.push(column);
  }
  return shown;
}
