/**
 * What rounding has done to the states of rows, measured: the host computes the row in float64 and compares. A bound that is
 * proven without looking has to reckon with the worst that a chain of roundings can do, some hundreds of times what it
 * does. A state is measured once; a device makes its asker wait for some ten milliseconds, so that the few that are measured
 * at a time cost little beside any answer of it.
 */

import { noWork } from "../work.ts";
import type { ScoreRule } from "../../numerics/score_rule.ts";
import type { HeadLayout } from "../../numerics/head_layout.ts";
import type { CertifiedTotals } from "./certifier.ts";
import { Kernels, type QueryHead } from "./kernels.ts";
import type { KeysAt } from "./keys_at.ts";
import { RowStates } from "./row_states.ts";
import { RowTotals } from "./row_totals.ts";

/** Multiply-adds that are spent on measuring for one question. */
const MOST_WORK = 2 ** 20;
const FLOAT64_ROUNDING = 2 ** -52;

/** How far a state is from exact. */
export interface StateError {
  /** At least ‖o − o*‖. */
  readonly output: number;
  /** At least |l − l*| as a share of l*. */
  readonly mass: number;
}

/** Errors of head rows, as far as they were measured. */
export class MeasuredRounding {
  readonly #layout: HeadLayout;
  readonly #kernels: Kernels;
  readonly #state: RowStates;
  readonly #totals: RowTotals;
  readonly #errors = new Map<number, StateError>();
  readonly #output: Float64Array;
  readonly #exact: Float64Array;
  #left = 0;

  constructor(layout: HeadLayout, rule: ScoreRule) {
    this.#layout = layout;
    // What measuring costs is not counted: it is no work that an answer needs.
    const work = noWork();
    this.#kernels = new Kernels(layout, rule, work);
    this.#totals = new RowTotals(layout, work);
    this.#state = new RowStates(layout.valueDim + 2, 1);
    this.#output = new Float64Array(layout.valueDim);
    this.#exact = new Float64Array(layout.valueDim);
  }

  bytes(): number {
    return 48 * this.#errors.size;
  }

  /** A question begins. */
  begin(): void {
    this.#left = MOST_WORK;
  }

  /** What is known of a head row. */
  errorOf(row: number): StateError | null {
    return this.#errors.get(row) ?? null;
  }

  /** The state of a head row has changed. */
  forget(row: number): void {
    this.#errors.delete(row);
  }

  /** Forgets all head rows, and returns those that were known. */
  forgetAll(): number[] {
    const known = [...this.#errors.keys()];
    this.#errors.clear();
    return known;
  }

  /** Wipes what is left of the row that was measured last. */
  wipe(): void {
    this.#kernels.forgetQuery();
    this.#state.clear(0);
    this.#totals.wipe();
    this.#output.fill(0);
    this.#exact.fill(0);
  }

  /** Measures a head row whose state holds `keys`, whose values lie within `diameter` of one another, if there is work left. */
  measure(row: number, query: QueryHead, totals: CertifiedTotals, keys: KeysAt, diameter: number): void {
    const { headDim, valueDim } = this.#layout;
    const work = keys.stored.count * (headDim + valueDim);
    if (work > this.#left || !(totals.mass > 0)) return;
    this.#left -= work;
    const kernels = this.#kernels;
    kernels.select(query);
    kernels.buildRow(this.#state, 0, keys);
    const exact = this.#totals;
    exact.take(this.#state, 0, keys, query.head);
    totals.writeOutput(this.#output, 0);
    exact.writeOutput(this.#exact, 0);
    let squared = 0, norm = 0;
    for (let c = 0; c < valueDim; c++) {
      squared += (this.#output[c] - this.#exact[c]) ** 2;
      norm += this.#exact[c] ** 2;
    }
    norm = Math.sqrt(norm);
    // The comparison is as exact as float64 is: its sums, and its scores, which exp makes shares of a weight.
    const massError = exact.massError / exact.mass;
    const sums = 2 * (Math.sqrt(valueDim) * exact.sumError / exact.mass + norm * massError);
    const scores = FLOAT64_ROUNDING * (Math.abs(exact.logSumExp()) + headDim + 64);
    const error = {
      output: Math.sqrt(squared) + sums + scores * diameter + 8 * FLOAT64_ROUNDING * norm,
      mass: Math.abs(Math.expm1(totals.logSumExp() - exact.logSumExp())) + 2 * massError + 2 * scores,
    };
    // Of a row that has lost its mass nothing is told.
    if (error.output < Infinity && error.mass < 1) this.#errors.set(row, error);
  }
}
