// The claim that an error budget is for: at equal worst error it should cost less than any fixed count. Each
// budget is held against the cheapest count of the same plan whose worst reading was no worse; a target
// error, which leaves the plan to the engine, against the cheapest such count of all plans.

import { STALE_DISTANCE } from "./certificates.ts";
import type { StrategyResult } from "./experiment.ts";
import type { Family } from "./strategies.ts";

/** A strategy as far as the claim needs to know it. */
export type ComparedStrategy = Pick<
  StrategyResult,
  "name" | "family" | "threshold" | "error" | "multiplyAddsPerDay" | "largestError"
>;

/** A budget or a target error, and what a fixed count makes of the same worst error. */
export interface BudgetComparison<S extends ComparedStrategy = ComparedStrategy> {
  readonly budget: S;
  /** The cheapest fixed count that was never further off; null if each was. */
  readonly rival: S | null;
  /** Work of the budget over work of the rival: below 1 the budget wins. */
  readonly workRatio: number | null;
}

/** A family of budgets and the families of counts that it should beat. */
interface Claim {
  readonly budget: Family;
  readonly counts: readonly Family[];
  /** The two sides of a comparison, as a verdict names them. */
  readonly opening: string;
  readonly subject: string;
}

const CLAIMS: readonly Claim[] = [
  {
    budget: "budgetRebuild",
    counts: ["original"],
    opening: "With rebuilds, against the cheapest fixed count",
    subject: "the error budget",
  },
  {
    budget: "budgetPatch",
    counts: ["patch"],
    opening: "With patches, against the cheapest fixed count",
    subject: "the error budget",
  },
  {
    budget: "adaptive",
    counts: ["original", "patch"],
    opening: "With an adaptive threshold, against the cheapest fixed count of any plan",
    subject: "the target error",
  },
];

/** Every budget of `strategies` with its rival, in their order. */
export function compareBudgets<S extends ComparedStrategy>(strategies: readonly S[]): BudgetComparison<S>[] {
  return CLAIMS.flatMap((claim) => compare(claim, strategies));
}

/** The verdicts on the claim, a sentence or more for each family of budgets. */
export function budgetVerdicts(strategies: readonly ComparedStrategy[]): string[] {
  return CLAIMS.flatMap((claim) => {
    const comparisons = compare(claim, strategies);
    if (comparisons.length === 0) return [];
    const won = comparisons.filter(({ workRatio }) => workRatio !== null && workRatio < 1);
    const lost = comparisons.filter(({ workRatio }) => workRatio !== null && workRatio >= 1);
    const unmatched = comparisons.filter(({ workRatio }) => workRatio === null);
    const parts = [
      ...(won.length > 0 ? [`wins ${describe(won)}`] : []),
      ...(lost.length > 0 ? [`${won.length > 0 ? "loses" : "only loses"} ${describe(lost)}`] : []),
      ...(unmatched.length > 0 ? [`has no rival ${atBudgets(unmatched)}`] : []),
    ];
    return [
      `${claim.opening} with no larger worst error, ${claim.subject} ` +
      `${parts.join(", and ")}.${describeWaiting(claim, strategies)}`,
    ];
  });
}

function compare<S extends ComparedStrategy>(
  claim: Claim,
  strategies: readonly S[],
): BudgetComparison<S>[] {
  const counts = strategies.filter(({ family }) => claim.counts.includes(family))
    .toSorted((a, b) => a.multiplyAddsPerDay - b.multiplyAddsPerDay);
  return strategies.filter(({ family }) => family === claim.budget).map((budget) => {
    // An error by rounding alone does not count as an error of a strategy.
    const worst = Math.max(budget.largestError, STALE_DISTANCE);
    const rival = counts.find(({ largestError }) => largestError <= worst) ?? null;
    const workRatio = rival && budget.multiplyAddsPerDay / rival.multiplyAddsPerDay;
    return { budget, rival, workRatio };
  });
}

/** `at 0.001 to 0.01, with 0.08 to 0.83 of the work`. */
function describe(comparisons: readonly BudgetComparison[]): string {
  const ratios = comparisons.map(({ workRatio }) => workRatio ?? NaN);
  const least = formatRatio(Math.min(...ratios)), most = formatRatio(Math.max(...ratios));
  return `${atBudgets(comparisons)}, with ${least === most ? least : `${least} to ${most}`} times the work`;
}

function atBudgets(comparisons: readonly BudgetComparison[]): string {
  return `at ${comparisons.map(({ budget }) => budget.error).join(", ")}`;
}

/** How far off the counts that let something wait were at worst. */
function describeWaiting({ counts }: Claim, strategies: readonly ComparedStrategy[]): string {
  // Of several plans it would only repeat what is said of each.
  if (counts.length > 1) return "";
  const waiting = strategies.filter(({ family, largestError }) =>
    counts.includes(family) && largestError > STALE_DISTANCE
  );
  if (waiting.length === 0) return "";
  const least = Math.min(...waiting.map(({ largestError }) => largestError));
  return ` Counts that wait (${waiting.map(({ threshold }) => threshold).join(", ")}) were off by ` +
    `${least.toPrecision(2)} or more at worst.`;
}

/** `0.083`; near 1 with more digits, `1.0007`, lest a loss look like a draw. */
export function formatRatio(ratio: number): string {
  if (ratio !== 1 && Math.abs(ratio - 1) < 0.01) return ratio.toFixed(4);
  return ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3);
}
