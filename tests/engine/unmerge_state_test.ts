// Taking a part out: the bound is held against the error there is, and must not be far above it.

import fc from "fast-check";
import { AccuracyError, AttentionError, InputError, mergeStates, unmergeState } from "../../mod.ts";
import { type RowState, unmerge } from "../../src/numerics/attention_state.ts";
import { referenceAttention, type ReferenceCase } from "../../src/numerics/reference.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
  assertNotEquals,
  assertThrows,
} from "../../testing/assert.ts";
import { matrixOf } from "../../testing/accuracy.ts";
import {
  all,
  bitsOf,
  caseOf,
  distance,
  LAYOUTS,
  NO,
  norm,
  partOf,
  restrict,
  ROUNDING,
  rowOf,
  stateOf,
  trueRows,
  uniform,
} from "../../testing/partial_attention.ts";
import { Random } from "../../testing/random.ts";

/** One row's largest relative error against exact, as the bound means it. */
function errorOf(actual: RowState, exact: RowState, totalL: number): number {
  const scale = Math.max(norm(exact.output), 2 ** -126);
  const output = distance(actual.output, exact.output) / scale;
  // The roundings of the two log-sum-exps are not the bound's.
  const free = ROUNDING * (Math.abs(actual.logSumExp) + Math.abs(totalL)) + 1e-12;
  const mass = Math.expm1(Math.max(0, Math.abs(actual.logSumExp - exact.logSumExp) - free));
  return Math.max(output, mass);
}

/** Ratios of bound and error, for the record. */
class Tightness {
  readonly #ratios: number[] = [];
  add(bound: number, error: number): void {
    if (error > 0) this.#ratios.push(bound / error);
  }
  get median(): number {
    return this.#ratios.sort((a, b) => a - b)[this.#ratios.length >> 1];
  }
  toString(): string {
    return `bound / error: least ${Math.min(...this.#ratios).toFixed(2)}, median ${this.median.toFixed(1)} ` +
      `of ${this.#ratios.length} rows`;
  }
}

/** Every row's share of `part` in the whole is moved to `share`, by a bias that float32 holds. */
function withShare(whole: ReferenceCase, part: readonly number[], rest: readonly number[], share: number) {
  const partL = referenceAttention(restrict(whole, part)).logSumExp;
  const restL = referenceAttention(restrict(whole, rest)).logSumExp;
  const isPart = new Set(part);
  const wanted = Math.log(share) - Math.log1p(-share);
  const bias = (i: number, j: number, h: number) =>
    isPart.has(j) ? Math.fround(wanted + restL[i][h] - partL[i][h]) : 0;
  return { ...whole, bias };
}

const SHARES = [1e-9, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.99, 0.999, 1 - 1e-4, 1 - 1e-5, 1 - 1e-6, 1 - 1e-9];
const TOLERANCES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2];

Deno.test("what is taken out of the whole leaves the rest within the bound, for shares from 1e-9 to 1 − 1e-9", async () => {
  const random = new Random(13);
  const lines: string[] = [];
  const total = { accepted: 0, refused: 0 };
  for (const share of SHARES) {
    const tightness = new Tightness();
    let accepted = 0, refused = 0, largest = 0, largestBound = 0;
    for (let round = 0; round < 12; round++) {
      const sizes = { queries: 3, keys: 10, size: random.pick([0.3, 1, 3]), ...random.pick(LAYOUTS) };
      const plain = caseOf(random, sizes);
      const chosen = all(plain).filter(() => random.next() < 0.4);
      const part = chosen.length === 0 ? [3] : chosen.slice(0, 9);
      const rest = all(plain).filter((j) => !part.includes(j));
      const whole = withShare(plain, part, rest, share);
      const [before, out] = [await partOf(whole, all(whole)), await partOf(whole, part)];
      const exact = trueRows(restrict(whole, rest));
      const bounds = exact.map((expected, row) => {
        const { state, bound } = unmerge(rowOf(before.state, row), rowOf(out.state, row));
        const rounded = {
          output: Float32Array.from(state.output),
          logSumExp: Math.fround(state.logSumExp),
        };
        if (bound === Infinity) return bound;
        const error = errorOf(rounded, expected, before.state.logSumExp.data[row]);
        assertLessOrEqual(error, bound, `share ${share}, row ${row}`);
        // Beyond that a bound says no more than that nothing is known.
        if (bound > 0.1) return bound;
        tightness.add(bound, error);
        largest = Math.max(largest, error);
        largestBound = Math.max(largestBound, bound);
        return bound;
      });
      for (const tolerance of TOLERANCES) {
        if (Math.max(...bounds) <= tolerance) {
          const left = unmergeState(before.state, out.state, { tolerance });
          exact.forEach((expected, row) => {
            const error = errorOf(rowOf(left, row), expected, before.state.logSumExp.data[row]);
            assertLessOrEqual(error, tolerance, `share ${share}, row ${row}`);
          });
          accepted++;
        } else {
          const error = assertThrows(
            () => unmergeState(before.state, out.state, { tolerance }),
            AccuracyError,
          );
          const { heads } = sizes;
          assertEquals(bounds[error.row * heads + error.head], error.bound);
          assertEquals([error.bound, error.tolerance], [Math.max(...bounds), tolerance]);
          refused++;
        }
      }
    }
    const label = share <= 0.5 ? share : `1 − ${(1 - share).toPrecision(1)}`;
    const found = largest > 0
      ? `error ≤ ${largest.toExponential(1)}, bound ≤ ${largestBound.toExponential(1)}, ${tightness}`
      : "no bound below 0.1";
    lines.push(`share ${label}: ${found}; ${accepted} accepted, ${refused} refused`);
    total.accepted += accepted;
    total.refused += refused;
    if (largest > 0) assertLess(tightness.median, 25, `share ${share}: the bound is loose`);
    if (share <= 0.5) assertLess(largestBound, 1e-4, `share ${share} would be refused`);
  }
  console.log(lines.join("\n"));
  assert(total.accepted > 150 && total.refused > 150, `${total.accepted} accepted, ${total.refused} refused`);
});

Deno.test("taking out what was merged in gives back what was there, within the bound", () => {
  const tightness = new Tightness();
  let refused = 0;
  const value = uniform(4), level = uniform(30);
  // ln(r / (1 − r)) for shares r from 1e-9 to 1 − 1e-9.
  const odds = uniform(20.7);
  fc.assert(
    fc.property(
      level,
      odds,
      fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 4 }),
      (L, odd, o) => {
        const rest = stateOf([L, ...o.map(([a]) => a)]);
        const part = stateOf([L + odd, ...o.map(([, b]) => b)]);
        const total = mergeStates([part, rest]);
        const { bound } = unmerge(rowOf(total, 0), rowOf(part, 0));
        const tolerance = 1e-3;
        if (!(bound <= tolerance)) {
          assertThrows(() => unmergeState(total, part, { tolerance }), AccuracyError);
          refused++;
          return;
        }
        const error = errorOf(
          rowOf(unmergeState(total, part, { tolerance }), 0),
          rowOf(rest, 0),
          total.logSumExp.data[0],
        );
        assertLessOrEqual(error, bound);
        tightness.add(bound, error);
      },
    ),
    { numRuns: 4000, seed: 7 },
  );
  console.log(`merged and taken out: ${tightness}; ${refused} of 4000 refused`);
  assert(refused > 400 && refused < 3000, `${refused} refused`);
});

/**
 * Where each term of the bound counts: the log-sum-exp of the whole, the share that is left, the values that
 * stay and that go. A little above a power of two float32 rounds by most.
 */
const CONSPIRACIES: Record<string, { level: number; left: number; stays: number; goes: number }> = {
  "log-sum-exps": { level: 8.11, left: 0.1, stays: 1, goes: -1 },
  "outputs": { level: 0.05, left: 0.1, stays: 1, goes: 1 },
  "log-sum-exps, all but nothing is left": { level: 128.1, left: 1e-4, stays: 1, goes: 4 },
  "log-sum-exps, as above with equal values": { level: 128.1, left: 1e-4, stays: 1, goes: 1 },
};

Deno.test("the bound is nearly met where roundings conspire", () => {
  const random = new Random(14);
  for (const [name, { level, left, stays, goes }] of Object.entries(CONSPIRACIES)) {
    let closest = Infinity;
    for (let round = 0; round < 100_000; round++) {
      const L = level * (1 + random.next() / 100), rest = left * (1 - random.next() / 4);
      const v = stays * (1 + random.next() / 1000), w = goes * (1 + random.next() / 1000);
      const exact = { output: [v], logSumExp: L + Math.log(rest) };
      const total = { output: [Math.fround(w + rest * (v - w))], logSumExp: Math.fround(L) };
      const part = { output: [Math.fround(w)], logSumExp: Math.fround(L + Math.log1p(-rest)) };
      const { state, bound } = unmerge(total, part);
      const rounded = { output: [Math.fround(state.output[0])], logSumExp: Math.fround(state.logSumExp) };
      const error = errorOf(rounded, exact, total.logSumExp);
      assertLessOrEqual(error, bound, name);
      closest = Math.min(closest, bound / error);
    }
    console.log(`roundings of ${name}: bound / error ${closest.toFixed(3)}`);
    assertLess(closest, 1.3, name);
  }
});

Deno.test("what little remains is computed without cancellation", () => {
  const { state } = unmerge({ output: [1], logSumExp: 0 }, { output: [1], logSumExp: -3e-13 });
  assertAlmostEquals(state.logSumExp, Math.log(3e-13), 1e-12);
});

Deno.test("the bound depends on the values that remain: huge ones in a small share differ from small ones", () => {
  const rest = stateOf([0, 1]), poison = stateOf([-7, 1e7]);
  const total = mergeStates([rest, poison]);
  const error = assertThrows(() => unmergeState(total, poison), AccuracyError);
  assert(error.bound > 1e-4 && error.bound < 1, `${error.bound}`);
  const left = unmergeState(total, poison, { tolerance: 0.02 });
  assertAlmostEquals(left.output.data[0], 1, error.bound);
});

Deno.test("values of all zeros and subnormal ones can be taken out", () => {
  const rest = stateOf([0, 0], [0, 2 ** -149], [0, -1]), part = stateOf([0, 0], [0, 2 ** -149], [0, 0]);
  const left = unmergeState(mergeStates([rest, part]), part);
  assertEquals([...left.output.data], [0, 2 ** -149, -1]);
});

Deno.test("a result that float32 could not hold stays finite", () => {
  const LAST = 2 ** 128 - 2 ** 104;
  const total = stateOf([Math.LN2, LAST]), part = stateOf([0, LAST * (1 - 2 ** -23)]);
  assert(rowOf(total, 0).output[0] * 2 - rowOf(part, 0).output[0] > LAST * (1 + 2 ** -25), "it could");
  assertEquals([...unmergeState(total, part).output.data], [LAST]);
});

Deno.test("taking out at ±1e30 is refused where the shares are unknown, and not where they are", () => {
  const total = stateOf([1e30, 1], [-1e30, 2]);
  const error = assertThrows(() => unmergeState(total, stateOf([1e30, 1], [NO, 0])), AccuracyError);
  assertEquals([error.row, error.head, error.bound], [0, 0, Infinity]);
  // The distance is not known to 1e22, and it is 1e30.
  assertEquals(bitsOf(unmergeState(total, stateOf([-1, 9], [-3e30, 9]))), bitsOf(total));
});

Deno.test("taking everything out is refused, and so is a part that outweighs the whole", () => {
  const total = stateOf([1, 1, 2], [3, 4, 5]);
  const error = assertThrows(() => unmergeState(total, total), AccuracyError);
  assertEquals([error.operation, error.bound, error.tolerance], ["unmergeState", Infinity, 1e-4]);
  assertEquals(error.name, "AccuracyError");
  assertInstanceOf(error, AttentionError);
  assertEquals(
    error.message,
    "unmergeState: row 0, head 0 may be off by Infinity of itself, expected at most 0.0001 (tolerance); " +
      "compute it from the keys that remain",
  );

  const larger = stateOf([1, 1, 2], [3.5, 4, 5]);
  const refusal = assertThrows(
    () => unmergeState({ ...total }, larger),
    InputError,
    "unmergeState: part.logSumExp is 3.5 in row 1, head 0, expected at most 3 (as total",
  );
  assertNotEquals(refusal.name, "AccuracyError");
  assertThrows(() => unmergeState(stateOf([NO, 0]), stateOf([0, 0])), InputError, "at most -Infinity");
  // One unit in the last place more is what rounding does to a part that is nearly all.
  assertThrows(() => unmergeState(stateOf([3, 1]), stateOf([3 + 2 ** -22, 1])), AccuracyError);

  const twoHeads = {
    output: matrixOf([[1, 2], [3, 4]], 2),
    logSumExp: matrixOf([[1, 1], [1, 1]], 2),
  };
  const part = { ...twoHeads, logSumExp: matrixOf([[NO, -9], [NO, 0.999]], 2) };
  const worst = assertThrows(() => unmergeState(twoHeads, part, { tolerance: 1e-7 }), AccuracyError);
  assertEquals([worst.row, worst.head, worst.tolerance], [1, 1, 1e-7]);
});
