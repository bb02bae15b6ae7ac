// The constants of the planner's cost model, measured: what a plain multiply-add, an exp and a compensated
// multiply-add take on the array backend, from how the time of a build and of a patch grows with d and dv.

import { DynamicAttention } from "../mod.ts";
import { Random } from "../testing/random.ts";
import { time } from "./stopwatch.ts";

/** Relative costs; a plain multiply-add is 1. */
export interface CostConstants {
  readonly multiplyAddNs: number;
  readonly exponential: number;
  readonly compensatedAdd: number;
}

const KEYS = 1024, QUERIES = 64, CHANGES = 64;
const NARROW = 16, WIDE = 144;

/** Nanoseconds a pair of one rebuild and of one patch. */
async function pairTimes(headDim: number, valueDim: number): Promise<{ build: number; patch: number }> {
  const random = new Random(2);
  const matrix = (rows: number, columns: number) => ({
    data: random.row(rows * columns),
    shape: [rows, columns] as const,
  });
  await using live = await DynamicAttention.create({
    query: matrix(QUERIES, headDim),
    key: matrix(KEYS, headDim),
    value: matrix(KEYS, valueDim),
    lazyThreshold: Infinity,
    onThreshold: "patch",
  });
  const build = await time(() => live.rebuild());
  const keys = random.rows(CHANGES + 1, headDim), values = random.rows(CHANGES + 1, valueDim);
  let round = 0;
  const patch = await time(async () => {
    round++;
    for (let t = 0; t < CHANGES; t++) {
      live.set(t, keys[(t + round) % keys.length], values[(t + round) % keys.length]);
    }
    await live.flush();
  });
  return { build: build.median * 1e6 / (QUERIES * KEYS), patch: patch.median * 1e6 / (QUERIES * CHANGES) };
}

/** Measures the constants, in about ten seconds. */
export async function measureCosts(): Promise<CostConstants> {
  const small = await pairTimes(NARROW, NARROW);
  const wideKeys = await pairTimes(WIDE, NARROW);
  const wideValues = await pairTimes(NARROW, WIDE);
  const steps = WIDE - NARROW;
  // A build: a score of d products, an exp and dv + 2 additions. A patch: two scores and exps, 2 (dv + 2) additions.
  const product = (wideKeys.build - small.build) / steps;
  const addition = (wideValues.build - small.build) / steps;
  const exponential = small.build - product * NARROW - addition * (NARROW + 2);
  const compensated = (wideValues.patch - small.patch) / (2 * steps);
  const multiplyAddNs = (product + addition) / 2;
  return {
    multiplyAddNs,
    exponential: exponential / multiplyAddNs,
    compensatedAdd: compensated / multiplyAddNs,
  };
}
