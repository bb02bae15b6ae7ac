// Certificates held against exact attention, and budgets against fixed counts.

import { assertEquals } from "../../testing/assert.ts";
import { budgetVerdicts, compareBudgets, type ComparedStrategy, formatRatio } from "../../studies/budgets.ts";
import { CertificateRecorder, joinCertificates } from "../../studies/certificates.ts";
import type { Family } from "../../studies/strategies.ts";

Deno.test("certificates: a broken one, one that is kept to the letter, and rows that only rounding moved", () => {
  const recorder = new CertificateRecorder();
  recorder.add([1.5, 2.25, 3], [0.25, 0.25, 0.125], [9, 1, 2, 3 + 1e-8], 1);
  assertEquals(recorder.record(), {
    given: 3,
    violations: 1,
    largestBound: 0.25,
    ratios: Float64Array.of(0.5, 1),
  });
});

Deno.test("certificates: a NaN breaks a promise, whether it was read or promised", () => {
  const recorder = new CertificateRecorder();
  recorder.add([NaN, 1], [Infinity, NaN], [1, 1], 0);
  assertEquals([recorder.record().violations, recorder.record().largestBound], [2, NaN]);
});

Deno.test("certificates: parts join to the whole, and none to none", () => {
  const read = [1.5, 2.5, 3.5, 4], bounds = [0.25, 2, 1, 3], exact = [1, 2, 3, 4];
  const whole = new CertificateRecorder(), head = new CertificateRecorder(), tail = new CertificateRecorder();
  whole.add(read, bounds, exact, 0);
  head.add(read.slice(0, 1), bounds, exact, 0);
  tail.add(read.slice(1), bounds.slice(1), exact, 1);
  assertEquals(joinCertificates(head.record(), tail.record()), whole.record());
  assertEquals(joinCertificates(null, null), null);
  assertEquals(joinCertificates(null, whole.record()), whole.record());
});

function strategy(
  family: Family,
  limit: number,
  multiplyAddsPerDay: number,
  largestError: number,
): ComparedStrategy {
  const isCount = family === "original" || family === "patch";
  return {
    name: `${family} ${limit}`,
    family,
    threshold: isCount ? limit : null,
    error: isCount ? null : limit,
    multiplyAddsPerDay,
    largestError,
  };
}

const STRATEGIES = [
  strategy("original", 1, 1000, 6e-8),
  strategy("original", 4, 500, 0.02),
  strategy("original", 16, 200, 0.04),
  strategy("budgetRebuild", 0.001, 900, 0.001),
  strategy("budgetRebuild", 0.02, 600, 0.02),
  strategy("patch", 1, 50, 6e-8),
  strategy("patch", 4, 49, 0.02),
  strategy("budgetPatch", 0.01, 60, 7e-8),
];

const ADAPTIVE = [
  strategy("adaptive", 0.001, 50.02, 0.001),
  strategy("adaptive", 0.02, 48, 0.02),
];

Deno.test("budgets: each meets the cheapest count of its own plan that was never further off", () => {
  const compared = compareBudgets(STRATEGIES).map(({ budget, rival, workRatio }) => [
    budget.name,
    rival?.name,
    workRatio,
  ]);
  assertEquals(compared, [
    ["budgetRebuild 0.001", "original 1", 0.9],
    ["budgetRebuild 0.02", "original 4", 1.2],
    ["budgetPatch 0.01", "patch 1", 1.2], // 7e-8 and 6e-8 are both rounding
  ]);
});

Deno.test("budgets: a budget that no count can match has no rival, not a free victory", () => {
  const [comparison] = compareBudgets(STRATEGIES.filter(({ name }) => name !== "original 1"));
  assertEquals([comparison.rival, comparison.workRatio], [null, null]);
  assertEquals(
    budgetVerdicts(
      STRATEGIES.filter(({ name }) => name !== "original 1" && name !== "budgetRebuild 0.02"),
    )[0],
    "With rebuilds, against the cheapest fixed count with no larger worst error, the error budget has no rival at " +
      "0.001. Counts that wait (4, 16) were off by 0.020 or more at worst.",
  );
});

Deno.test("budgets: the verdict says where a budget wins and where it loses, and by how much", () => {
  assertEquals(budgetVerdicts(STRATEGIES), [
    "With rebuilds, against the cheapest fixed count with no larger worst error, the error budget wins at 0.001, " +
    "with 0.900 times the work, and loses at 0.02, with 1.20 times the work. " +
    "Counts that wait (4, 16) were off by 0.020 or more at worst.",
    "With patches, against the cheapest fixed count with no larger worst error, the error budget only loses at 0.01, " +
    "with 1.20 times the work. Counts that wait (4) were off by 0.020 or more at worst.",
  ]);
  assertEquals(budgetVerdicts(STRATEGIES.filter(({ error }) => error === null)), []);
});

Deno.test("target errors: each meets the cheapest count of any plan that was never further off", () => {
  const rivals = (strategies: readonly ComparedStrategy[]) =>
    compareBudgets(strategies).filter(({ budget }) => budget.family === "adaptive")
      .map(({ rival, workRatio }) => [rival?.name, workRatio]);
  const all = [...STRATEGIES, ...ADAPTIVE];
  assertEquals(rivals(all), [["patch 1", 50.02 / 50], ["patch 4", 48 / 49]]);
  const originalIsCheaper = all.map((strategy) =>
    strategy.name === "original 4" ? { ...strategy, multiplyAddsPerDay: 40 } : strategy
  );
  assertEquals(rivals(originalIsCheaper), [["patch 1", 50.02 / 50], ["original 4", 48 / 40]]);
  assertEquals(compareBudgets(all).slice(0, 3), compareBudgets(STRATEGIES), "budgets meet their own plan");
});

Deno.test("target errors: their verdict comes last, and a narrow loss is no draw", () => {
  const verdicts = budgetVerdicts([...STRATEGIES, ...ADAPTIVE]);
  assertEquals(verdicts.slice(0, 2), budgetVerdicts(STRATEGIES));
  assertEquals(verdicts.slice(2), [
    "With an adaptive threshold, against the cheapest fixed count of any plan with no larger worst error, the target " +
    "error wins at 0.02, with 0.980 times the work, and loses at 0.001, with 1.0004 times the work.",
  ]);
});

Deno.test("ratios: three digits, more beside 1, none behind the point of large ones", () => {
  const ratios = [0.0241, 0.825, 0.9962, 1, 1.0004, 1.011, 12.34, 161.2];
  assertEquals(ratios.map(formatRatio), [
    "0.0241",
    "0.825",
    "0.9962",
    "1.00",
    "1.0004",
    "1.01",
    "12.3",
    "161",
  ]);
});
