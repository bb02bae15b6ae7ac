/**
 * Chooses the cheaper way in counted work, from sizes and a backend's cost constants. The unit is one plain
 * multiply-add; a *row* is one head of a query, a *pair* a row with a key.
 */

import type { Costs, Work } from "../backends/backend.ts";
import { takeWord } from "../base/names.ts";

/**
 * How what changed reaches the rows. "rebuild" computes rows from scratch, the original algorithm to the letter;
 * "patch" exchanges only what changed; "auto" takes the cheaper of the two, and not before a row is asked for.
 */
export type FlushPolicy = "auto" | "patch" | "rebuild";

/** How a row is brought up to date. */
export type Plan = "patch" | "build";

/** What the costs depend on. */
export interface Sizes {
  /** n, live. */
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

/** So many old rows may always be kept: they take a few MB. */
const FEW_RETAINED = 4096;

/** Plans by policy and cost. */
export class Planner {
  readonly policy: FlushPolicy;
  readonly #backend: { readonly costs: Costs };

  /** Costs are those that the backend has at the time. */
  constructor(policy: FlushPolicy, backend: { readonly costs: Costs }) {
    this.policy = policy;
    this.#backend = backend;
  }

  /** The way to bring a row up to date that has missed so many changed keys. */
  plan(sizes: Sizes, changes: number): Plan {
    if (this.policy === "patch") return "patch";
    if (this.policy === "rebuild") return "build";
    return this.patchCost(sizes, changes) < this.buildCost(sizes) ? "patch" : "build";
  }

  /** What it costs. */
  cost(sizes: Sizes, changes: number): number {
    if (changes === 0) return 0;
    return this.plan(sizes, changes) === "patch" ? this.patchCost(sizes, changes) : this.buildCost(sizes);
  }

  /** A row that has missed so many changed keys is built for no more than patching it costs: it needs no old rows. */
  breakEven(sizes: Sizes): number {
    if (this.policy === "patch") return Infinity;
    if (this.policy === "rebuild") return sizes.keyCount;
    return this.buildCost(sizes) / this.patchCost(sizes, 1);
  }

  /** How many old rows may be kept, for rows of all moments together. */
  retainedLimit(sizes: Sizes): number {
    return Math.max(FEW_RETAINED, Math.min(this.breakEven(sizes), sizes.keyCount));
  }

  /** What counted work has cost. */
  costOf({ multiplyAdds, exponentials }: Pick<Work, "multiplyAdds" | "exponentials">): number {
    return multiplyAdds + exponentials * this.#backend.costs.exponential;
  }

  /** A changed key costs a row two scores, two weights and two additions of a value. */
  patchCost({ headDim, valueDim }: Sizes, changes: number): number {
    return 2 * changes *
      (headDim + this.#backend.costs.exponential + valueDim * this.#backend.costs.compensatedAdd);
  }

  /** Each key costs a row a score, a weight and an addition of a value. */
  buildCost({ keyCount, headDim, valueDim }: Sizes): number {
    return keyCount * (headDim + valueDim + this.#backend.costs.exponential);
  }
}
