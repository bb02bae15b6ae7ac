// The claim that an error budget is for: at equal worst error it should cost less than any fixed count. Each budget
// is held against the cheapest count of the same plan whose worst reading was no worse.

import { STALE_DISTANCE } from "./certificates.ts";
import type { StrategyResult } from "./experiment.ts";
import type { Family } from "./strategies.ts";

/** A strategy as far as the claim needs to know it. */
export type ComparedStrategy = Pick<
  StrategyResult,
  "name" | "family" | "threshold" | "error" | "multiplyAddsPerDay" | "largestError"
>;

/** A budget and what a fixed count makes of the same worst error. */
export interface BudgetComparison<S extends ComparedStrategy = ComparedStrategy> {
  readonly budget: S;
  /** The cheapest fixed count that was never further off; null if each was. */
  readonly rival: S | null;
  /** Work of the budget over work of the rival: below 1 the budget wins. */
  readonly workRatio: number | null;
}

interface Plan {
  readonly name: string;
  readonly count: Family;
  readonly budget: Family;
}

const PLANS: readonly Plan[] = [
  { name: "rebuilds", count: "original", budget: "budgetRebuild" },
  { name: "patches", count: "patch", budget: "budgetPatch" },
];

/** Every budget of `strategies` with its rival, in their order. */
export function compareBudgets<S extends ComparedStrategy>(strategies: readonly S[]): BudgetComparison<S>[] {
  return PLANS.flatMap((plan) => comparePlan(plan, strategies));
}

/** What came of the claim, a sentence or more for each plan that has budgets. */
export function budgetVerdicts(strategies: readonly ComparedStrategy[]): string[] {
  return PLANS.flatMap((plan) => {
    const comparisons = comparePlan(plan, strategies);
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
      `With ${plan.name}, against the cheapest fixed count with no larger worst error, the error budget ` +
      `${parts.join(", and ")}.${describeWaiting(plan, strategies)}`,
    ];
  });
}

function comparePlan<S extends ComparedStrategy>(
  plan: Plan,
  strategies: readonly S[],
): BudgetComparison<S>[] {
  const counts = strategies.filter(({ family }) => family === plan.count)
    .toSorted((a, b) => a.multiplyAddsPerDay - b.multiplyAddsPerDay);
  return strategies.filter(({ family }) => family === plan.budget).map((budget) => {
    // What rounding alone makes is no error of a strategy.
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
function describeWaiting(plan: Plan, strategies: readonly ComparedStrategy[]): string {
  const waiting = strategies.filter(({ family, largestError }) =>
    family === plan.count && largestError > STALE_DISTANCE
  );
  if (waiting.length === 0) return "";
  const least = Math.min(...waiting.map(({ largestError }) => largestError));
  return ` Counts that wait (${waiting.map(({ threshold }) => threshold).join(", ")}) were off by ` +
    `${least.toPrecision(2)} or more at worst.`;
}

/** `0.083`. */
export function formatRatio(ratio: number): string {
  return ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3);
}
