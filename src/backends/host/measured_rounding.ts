/**
 * Measured rounding errors of states: the host computes the head row in float64 and compares. An a-priori
 * bound has to assume the worst case of a chain of roundings, which is some hundred times the usual error. A
 * state is measured once. An answer of a device takes some ten milliseconds anyway, so measuring a few states
 * for each question adds little.
 */

import { noWork } from "../work.ts";
import type { ScoreRule } from "../../numerics/score_rule.ts";
import type { HeadLayout } from "../../numerics/head_layout.ts";
import type { WeightRounding } from "./weight_rounding.ts";
import type { CertifiedTotals } from "./pair_terms.ts";
import { Kernels, type QueryHead } from "./kernels.ts";
import type { KeysAt } from "./keys_at.ts";
import { RowStates } from "./row_states.ts";
import { RowTotals } from "./row_totals.ts";

const FLOAT64_ROUNDING = 2 ** -52;

/** The error of a state. */
export interface StateError {
  /** An upper bound of ‖o − o*‖. */
  readonly output: number;
  /** An upper bound of |l − l*| / l*. */
  readonly mass: number;
}

/** The measured errors of head rows. */
export class MeasuredRounding {
  readonly #layout: HeadLayout;
  readonly #kernels: Kernels;
  readonly #state: RowStates;
  readonly #totals: RowTotals;
  readonly #errors = new Map<number, StateError>();
  readonly #output: Float64Array;
  readonly #exact: Float64Array;
  #left = Infinity;

  constructor(layout: HeadLayout, rule: ScoreRule) {
    this.#layout = layout;
    // The work of measuring is not counted, since answers do not need it.
    const work = noWork();
    this.#kernels = new Kernels(layout, rule, work);
    this.#totals = new RowTotals(layout, work, false, rule.sinks);
    this.#state = new RowStates(layout.valueDim + 2, 1);
    this.#output = new Float64Array(layout.valueDim);
    this.#exact = new Float64Array(layout.valueDim);
  }

  bytes(): number {
    return 48 * this.#errors.size;
  }

  /** Begins a question, which may spend `work` multiply-adds more than those before it, and `most` altogether. */
  begin(most: number, work: number): void {
    this.#left = Math.min(most, this.#left + work);
  }

  /** Whether no error is known. */
  get isEmpty(): boolean {
    return this.#errors.size === 0;
  }

  /** Whether there is work left to measure a row of `keyCount` keys. */
  canMeasure(keyCount: number): boolean {
    return keyCount * (this.#layout.headDim + this.#layout.valueDim) <= this.#left;
  }

  /** The measured error of a head row; null if it was not measured. */
  errorOf(row: number): StateError | null {
    return this.#errors.get(row) ?? null;
  }

  /** Forgets the error of a head row, whose state has changed. */
  forget(row: number): void {
    this.#errors.delete(row);
  }

  /** Forgets the errors of all head rows. */
  forgetAll(): void {
    this.#errors.clear();
  }

  /** Wipes the scratch of the last measurement. */
  wipe(): void {
    this.#kernels.forgetQuery();
    this.#state.clear(0);
    this.#totals.wipe();
    this.#output.fill(0);
    this.#exact.fill(0);
  }

  /**
   * Measures a head row whose state includes `keys`, if work is left. The values of the keys must lie within
   * `diameter` of one another; `rounding` is what float64 may do to the weights of the row.
   */
  measure(
    row: number,
    query: QueryHead,
    totals: CertifiedTotals,
    keys: KeysAt,
    diameter: number,
    rounding: WeightRounding,
  ): void {
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
    // The errors of the float64 computation are added: those of its sums, and those of its scores, which
    // change weights by a factor. Terms of a score that cancel may have lost the same digits in both
    // computations.
    const massError = exact.massError / exact.mass;
    const sums = 2 * (Math.sqrt(valueDim) * exact.sumError / exact.mass + norm * massError);
    const scores = FLOAT64_ROUNDING * (Math.abs(exact.logSumExp()) + headDim + 64);
    const error = {
      output: Math.sqrt(squared) + sums + Math.max(scores, rounding.variation) * diameter +
        8 * FLOAT64_ROUNDING * norm,
      mass: Math.abs(Math.expm1(totals.logSumExp() - exact.logSumExp())) + 2 * massError +
        2 * Math.max(scores, rounding.mass),
    };
    // The error of a head row that has lost its mass has no meaning.
    if (error.output < Infinity && error.mass < 1) this.#errors.set(row, error);
  }
}
