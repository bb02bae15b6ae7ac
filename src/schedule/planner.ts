/**
 * Chooses the cheaper way to bring a head row up to date, by counted work from sizes and a backend's cost
 * constants. The unit is one plain multiply-add.
 */

import type { Costs, Work } from "../backends/backend.ts";
import { takeWord } from "../base/names.ts";

/**
 * How edits reach the states of standing queries. "rebuild" computes every state from scratch, as the
 * original algorithm does; "patch" exchanges only the contributions of changed keys; "auto" takes the cheaper
 * of the two for each query that is asked for.
 */
export type FlushPolicy = "auto" | "patch" | "rebuild";

/** How a head row is brought up to date. */
export type Plan = "patch" | "build";

/** The sizes that costs depend on. */
export interface Sizes {
  /** n, live keys. */
  readonly keyCount: number;
  /** d. */
  readonly headDim: number;
  /** dv. */
  readonly valueDim: number;
}

/** Checks the option `onThreshold`. */
export function toFlushPolicy(operation: string, policy: FlushPolicy = "auto"): FlushPolicy {
  return takeWord(operation, "onThreshold", policy, ["auto", "patch", "rebuild"]);
}

/** The cost constants that plans depend on. */
type PlannedCosts = Pick<Costs, "exponential" | "compensatedAdd">;

/** The number of rows that may always be retained; they take a few MB. */
const FEW_RETAINED = 4096;

/** Plans by policy and cost. */
export class Planner {
  readonly policy: FlushPolicy;
  readonly #backend: { readonly costs: PlannedCosts };

  /** Costs are computed with the constants that `backend` has at the time of a call. */
  constructor(policy: FlushPolicy, backend: { readonly costs: PlannedCosts }) {
    this.policy = policy;
    this.#backend = backend;
  }

  /** The way to bring a head row up to date that has missed `changes` changed keys. */
  plan(sizes: Sizes, changes: number): Plan {
    if (this.policy === "patch") return "patch";
    if (this.policy === "rebuild") return "build";
    return this.patchCost(sizes, changes) < this.buildCost(sizes) ? "patch" : "build";
  }

  /** The cost of bringing a head row up to date that has missed `changes` changed keys. */
  cost(sizes: Sizes, changes: number): number {
    if (changes === 0) return 0;
    return this.plan(sizes, changes) === "patch" ? this.patchCost(sizes, changes) : this.buildCost(sizes);
  }

  /**
   * The number of missed changes from which building a head row costs no more than patching it. A state that
   * has missed as many needs no retained rows.
   */
  breakEven(sizes: Sizes): number {
    if (this.policy === "patch") return Infinity;
    if (this.policy === "rebuild") return sizes.keyCount;
    return this.buildCost(sizes) / this.patchCost(sizes, 1);
  }

  /** The number of rows that may be retained, for states of all epochs together. */
  retainedLimit(sizes: Sizes): number {
    return Math.max(FEW_RETAINED, Math.min(this.breakEven(sizes), sizes.keyCount));
  }

  /** The cost of counted work. */
  costOf({ multiplyAdds, exponentials }: Pick<Work, "multiplyAdds" | "exponentials">): number {
    return multiplyAdds + exponentials * this.#backend.costs.exponential;
  }

  /** The cost of a patch: two scores, two weights and two additions of a value per changed key. */
  patchCost({ headDim, valueDim }: Sizes, changes: number): number {
    return 2 * changes *
      (headDim + this.#backend.costs.exponential + valueDim * this.#backend.costs.compensatedAdd);
  }

  /** The cost of a build: a score, a weight and an addition of a value per key. */
  buildCost({ keyCount, headDim, valueDim }: Sizes): number {
    return keyCount * (headDim + valueDim + this.#backend.costs.exponential);
  }
}
