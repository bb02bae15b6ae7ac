/**
 * Chooses the cheaper way in counted work, from sizes and a backend's cost constants. The unit is one plain
 * multiply-add; a *row* is one head of a query, a *pair* a row with a key.
 */

import type { Costs, Plan } from "../backends/backend.ts";
import { describe, InputError } from "../errors.ts";

/**
 * How a flush reaches the rows. "rebuild" computes every row from scratch, the original algorithm to the letter;
 * "patch" exchanges only what changed; "auto" takes the cheaper of the two.
 */
export type FlushPolicy = "auto" | "patch" | "rebuild";

/** What the costs depend on. */
export interface Sizes {
  /** Rows to keep: one a live query and head, m·H. */
  readonly rowCount: number;
  /** n, live. */
  readonly keyCount: number;
  /** d. */
  readonly headDim: number;
  /** dv. */
  readonly valueDim: number;
}

/** Checks the option `onThreshold`. */
export function toFlushPolicy(operation: string, policy: FlushPolicy = "auto"): FlushPolicy {
  if (policy === "auto" || policy === "patch" || policy === "rebuild") return policy;
  throw new InputError(operation, `onThreshold is ${describe(policy)}`, '"auto", "patch" or "rebuild"');
}

/** Chooses plans; remembers what overlays have cost since the edits they overlay began to wait. */
export class Planner {
  readonly #policy: FlushPolicy;
  readonly #costs: Costs;
  #overlaid = 0;

  constructor(policy: FlushPolicy, costs: Costs) {
    this.#policy = policy;
    this.#costs = costs;
  }

  /** The way to apply `changes` changed keys to all rows; with none there is nothing to rebuild for. */
  planFlush(sizes: Sizes, changes: number): Plan {
    if (changes === 0) return "patch";
    if (this.#policy !== "auto") return this.#policy;
    return this.#patchCost(sizes, changes) < this.#rebuildCost(sizes) ? "patch" : "rebuild";
  }

  /**
   * Whether a read of `rows` rows over `changes` pending keys should overlay them or flush first. An overlay is
   * work that the next read repeats, so edits may be overlaid until that has cost as much as the flush that would
   * have ended it: for the edits that are pending, never more than twice the cheaper of always overlaying and
   * flushing at once, whatever reads follow.
   */
  planRead(sizes: Sizes, rows: number, changes: number): "overlay" | "flush" {
    const overlay = rows * changes * this.#patchPair(sizes);
    const flush = this.planFlush(sizes, changes) === "patch"
      ? this.#patchCost(sizes, changes)
      : this.#rebuildCost(sizes);
    if (this.#overlaid + overlay >= flush) return "flush";
    this.#overlaid += overlay;
    return "overlay";
  }

  /** Tells that no key is pending any more: applied, or undone. */
  settled(): void {
    this.#overlaid = 0;
  }

  #patchCost(sizes: Sizes, changes: number): number {
    return sizes.rowCount * changes * this.#patchPair(sizes);
  }

  #rebuildCost(sizes: Sizes): number {
    const pair = sizes.headDim + sizes.valueDim + this.#costs.exponential;
    return sizes.rowCount * sizes.keyCount * pair;
  }

  /** A changed key costs a row two scores, two weights and two additions of a value. */
  #patchPair({ headDim, valueDim }: Sizes): number {
    return 2 * (headDim + this.#costs.exponential + valueDim * this.#costs.compensatedAdd);
  }
}
