// Holds the engine against the best fixed plan of each recorded trace.

import { engineCost, FIXED_PLANS } from "./plans.ts";
import type { Trace } from "./traces.ts";

/** How one trace came out. */
export interface Regret {
  readonly kind: string;
  readonly keys: number;
  readonly rows: number;
  readonly steps: number;
  /** The engine's cost, in multiply-adds. */
  readonly cost: number;
  /** The fixed plan that paid the least. */
  readonly best: string;
  readonly bestCost: number;
  /** cost / bestCost. */
  readonly ratio: number;
}

/** The regret of a trace. */
export async function regretOf(trace: Trace): Promise<Regret> {
  const { cost, prices } = await engineCost(trace);
  const plans = FIXED_PLANS.map((plan) => ({ name: plan.name, cost: plan.cost(trace, prices) }));
  const best = plans.reduce((least, plan) => plan.cost < least.cost ? plan : least);
  const { kind, keys, rows, steps } = trace;
  return {
    kind,
    keys,
    rows,
    steps: steps.length,
    cost: Math.round(cost),
    best: best.name,
    bestCost: Math.round(best.cost),
    ratio: cost / best.cost,
  };
}

/** A table for a page. */
export function toTable(regrets: readonly Regret[]): string[] {
  const thousands = (cost: number) => Math.round(cost / 1000).toLocaleString("en");
  return [
    "| trace | n | rows | engine | best fixed plan | its cost | ratio |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...regrets.map(({ kind, keys, rows, cost, best, bestCost, ratio }) =>
      `| ${kind} | ${keys} | ${rows} | ${thousands(cost)} | ${best} | ${thousands(bestCost)} | ${
        ratio.toFixed(2)
      } |`
    ),
  ];
}
