// Partial attention: what comes out of merging parts, and of taking one out, is judged by the oracle over the keys
// that are meant. The bound of taking out is held against the error there is, and must not be far above it.

import fc from "fast-check";
import {
  AccuracyError,
  attention,
  AttentionError,
  type AttentionState,
  attentionState,
  InputError,
  type Matrix,
  mergeStates,
  unmergeState,
} from "../mod.ts";
import { identity, merge, type RowState, unmerge } from "../src/core/attention_state.ts";
import { referenceAttention, type ReferenceCase } from "../src/core/reference.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
  assertNotEquals,
  assertStrictEquals,
  assertThrows,
} from "./assert.ts";
import { assertAccurate, largestDifference, matrixOf, rowsOf } from "./support/accuracy.ts";
import { Random } from "./support/random.ts";

const NO = -Infinity;
const ROUNDING = 2 ** -24;

/** Attention over some of the keys of a case. */
interface Part {
  readonly state: AttentionState;
  readonly truth: ReferenceCase;
}

interface Sizes {
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  /** Standard deviation of queries and keys. */
  readonly size: number;
}

function caseOf(random: Random, sizes: Sizes, bias: ReferenceCase["bias"] = () => 0): ReferenceCase {
  const { queries, keys, heads, kvHeads, headDim, valueDim, size } = sizes;
  return {
    query: random.rows(queries, heads * headDim, size),
    key: random.rows(keys, kvHeads * headDim, size),
    value: random.rows(keys, kvHeads * valueDim),
    scale: 1 / Math.sqrt(headDim),
    valueDim,
    heads,
    kvHeads,
    bias,
  };
}

/** The same question about the keys `chosen` alone. */
function restrict(truth: ReferenceCase, chosen: readonly number[]): ReferenceCase {
  const { key, value, bias = () => 0 } = truth;
  return {
    ...truth,
    key: chosen.map((j) => key[j]),
    value: chosen.map((j) => value[j]),
    bias: (i, j, head) => Math.fround(bias(i, chosen[j], head)),
  };
}

async function partOf(whole: ReferenceCase, chosen: readonly number[]): Promise<Part> {
  const truth = restrict(whole, chosen);
  const { query, key, value, scale, valueDim, heads = 1, kvHeads = heads, bias = () => 0 } = truth;
  const state = await attentionState({
    query: query as Float32Array[],
    key: matrixOf(key, whole.key[0].length),
    value: matrixOf(value, kvHeads * valueDim),
    scale,
    heads,
    kvHeads,
    mask: bias,
  });
  return { state, truth };
}

const all = ({ key }: ReferenceCase) => key.map((_, j) => j);

/** Numbers that differ in no bit; `assertEquals` of typed arrays takes 0 for −0. */
function bitsOf({ output, logSumExp }: AttentionState): unknown {
  const bits = ({ data, shape }: Matrix) => [[...new Uint32Array(data.buffer)], shape];
  return [bits(output), bits(logSumExp)];
}

function rowOf({ output, logSumExp }: AttentionState, row: number): RowState {
  const valueDim = output.shape[1] / logSumExp.shape[1];
  return {
    output: output.data.subarray(row * valueDim, (row + 1) * valueDim),
    logSumExp: logSumExp.data[row],
  };
}

/** The oracle's answer as rows, one a query and head. */
function trueRows(truth: ReferenceCase): RowState[] {
  const { output, logSumExp } = referenceAttention(truth);
  const { valueDim } = truth;
  return logSumExp.flatMap((logarithms, i) =>
    logarithms.map((L, head) => ({
      output: output[i].slice(head * valueDim, (head + 1) * valueDim),
      logSumExp: L,
    }))
  );
}

const norm = (row: ArrayLike<number>) => Array.from(row).reduce((most, o) => Math.max(most, Math.abs(o)), 0);

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return largestDifference([a], [b]);
}

/** What rounding the parts to float32, and the result once more, can do to merged rows; proven. */
function mergeRounding(parts: readonly RowState[], merged: RowState): { output: number; logSumExp: number } {
  const live = parts.filter(({ logSumExp }) => logSumExp > NO);
  const delta = ROUNDING * live.reduce((most, { logSumExp: L }) => Math.max(most, Math.abs(L)), 0);
  let diameter = 0, size = 0;
  for (const a of live) {
    size = Math.max(size, norm(a.output));
    for (const b of live) diameter = Math.max(diameter, distance(a.output, b.output));
  }
  const slack = 1e-12 * (1 + Math.abs(merged.logSumExp === NO ? 0 : merged.logSumExp));
  return {
    output: (2 * ROUNDING + 1e-12) * size + Math.tanh(delta / 2 + slack) * diameter * (1 + ROUNDING),
    logSumExp: delta + ROUNDING * Math.abs(merged.logSumExp === NO ? 0 : merged.logSumExp) + slack,
  };
}

/** Fails when merged rows are farther from the truth than the roundings of the parts explain. */
function assertMerged(
  actual: AttentionState,
  parts: readonly AttentionState[],
  truth: ReferenceCase,
): number {
  let worst = 0;
  trueRows(truth).forEach((expected, row) => {
    const got = rowOf(actual, row);
    if (expected.logSumExp === NO) {
      assertEquals([got.logSumExp, norm(got.output)], [NO, 0]);
      return;
    }
    const allowed = mergeRounding(parts.map((part) => rowOf(part, row)), expected);
    const error = distance(got.output, expected.output);
    assertLessOrEqual(error, allowed.output, `output of row ${row}`);
    assertLessOrEqual(Math.abs(got.logSumExp - expected.logSumExp), allowed.logSumExp, `row ${row}`);
    worst = Math.max(worst, error / allowed.output);
  });
  return worst;
}

const LAYOUTS = [
  { heads: 1, kvHeads: 1, headDim: 4, valueDim: 3 },
  { heads: 3, kvHeads: 3, headDim: 2, valueDim: 2 },
  { heads: 4, kvHeads: 2, headDim: 3, valueDim: 1 },
];

Deno.test("the whole from 1 to 6 parts, empty ones and ones that a mask closes to some queries among them", async () => {
  const random = new Random(11);
  let emptyParts = 0, closedRows = 0, closedForGood = 0, worst = 0, worstOfFloat32 = 0;
  for (let round = 0; round < 150; round++) {
    const size = random.pick([0.1, 1, 1, 3]);
    const keys = 1 + random.below(24), count = 1 + random.below(6);
    const home = Array.from({ length: keys }, () => random.below(count));
    // Whole parts are closed to a query, single pairs too, and now and then everything.
    const closed = new Set<string>();
    for (let i = 0; i < 4; i++) {
      for (let p = 0; p < count; p++) if (random.next() < 0.3) closed.add(`${i},${p}`);
    }
    const shifts = random.row(keys, 2);
    const bias = (i: number, j: number, head: number) =>
      closed.has(`${i},${home[j]}`) || (i + 2 * j + head) % 7 === 0 ? NO : shifts[j];
    const whole = caseOf(random, { queries: 4, keys, size, ...random.pick(LAYOUTS) }, bias);
    const groups = Array.from({ length: count }, (_, p) => all(whole).filter((j) => home[j] === p));
    const parts = await Promise.all(groups.map((chosen) => partOf(whole, chosen)));
    const states = parts.map(({ state }) => state);

    const merged = mergeStates(states);
    const { error, allowed } = assertAccurate(merged.output, restrict(whole, all(whole)));
    worst = Math.max(worst, assertMerged(merged, states, restrict(whole, all(whole))));
    worstOfFloat32 = Math.max(worstOfFloat32, error / allowed);
    emptyParts += groups.filter((chosen) => chosen.length === 0).length;
    for (let row = 0; row < merged.logSumExp.data.length; row++) {
      const isClosed = states.map(({ logSumExp }) => logSumExp.data[row] === NO);
      if (isClosed.every(Boolean)) closedForGood++;
      else if (isClosed.some(Boolean)) closedRows++;
    }
  }
  console.log(
    `merged: error / proven ${worst.toFixed(3)}, / twice float32's ${
      worstOfFloat32.toFixed(3)
    }; ${emptyParts} ` +
      `empty parts, ${closedRows} rows closed in some parts, ${closedForGood} in all`,
  );
  assert(emptyParts > 20 && closedRows > 100 && closedForGood > 20, "the scenes are too tame");
  assert(worst > 0.1, "the proven error is loose, or nothing was rounded");
});

Deno.test("scores of thousands, and parts whose log-sum-exps are 1000 apart", async () => {
  const random = new Random(12);
  let largest = 0;
  for (let round = 0; round < 60; round++) {
    const far = random.pick([0, 1000, -1000]);
    const bias = (_: number, j: number) => j % 3 === 0 ? far : 0;
    const sizes = { queries: 3, keys: 12, size: random.pick([1, 30, 80]), ...random.pick(LAYOUTS) };
    const whole = caseOf(random, sizes, bias);
    const groups = [0, 1, 2].map((p) => all(whole).filter((j) => j % 3 === p));
    const states = await Promise.all(groups.map(async (chosen) => (await partOf(whole, chosen)).state));
    assertMerged(mergeStates(states), states, whole);
    largest = Math.max(largest, norm(states[0].logSumExp.data));
  }
  assert(largest > 5000, `log-sum-exps up to ${largest} only`);
});

/** A state of one head: a row [L, …o] each. */
function stateOf(...rows: number[][]): AttentionState {
  return {
    output: matrixOf(rows.map(([, ...o]) => o), rows[0].length - 1),
    logSumExp: matrixOf(rows.map(([L]) => [L]), 1),
  };
}

Deno.test("log-sum-exps of any size merge: equal, far apart, ±1e30, at the end of float32", () => {
  const LAST = 2 ** 128 - 2 ** 104;
  const merged = mergeStates([
    stateOf([0, 1], [1e30, 1], [-1e30, 1], [1e30, 1], [LAST, LAST], [1000, 1], [-LAST, -LAST], [NO, 0]),
    stateOf([0, 3], [1e30, 3], [-1e30, 3], [-1e30, 3], [LAST, LAST], [0, 3], [NO, 0], [NO, 0]),
  ]);
  assertEquals([...merged.output.data], [2, 2, 2, 1, LAST, 1, -LAST, 0]);
  const logarithms = [Math.LN2, 1e30, -1e30, 1e30, LAST, 1000, -LAST, NO].map(Math.fround);
  assertEquals([...merged.logSumExp.data], logarithms);
  const third = mergeStates([stateOf([Math.log(3), 1]), stateOf([0, 5])]);
  assertAlmostEquals(third.output.data[0], 2, 1e-6);
  assertAlmostEquals(third.logSumExp.data[0], Math.log(4), 1e-6);
});

Deno.test("the state over no key changes no bit, on whichever side, and its output is not looked at", () => {
  const state = stateOf([0, -0, 1], [-0, 2 ** -149, -3], [1e30, 0.1, -0], [NO, 0, 0]);
  const nothing = stateOf([NO, 0, 0], [NO, 7, -7], [NO, -0, 1e30], [NO, 5, 5]);
  const { output, logSumExp } = stateOf([NO, 0, 0], [NO, 0, 0], [NO, 0, 0], [NO, 0, 0]);
  for (const states of [[state, nothing], [nothing, state], [nothing, state, nothing], [state]]) {
    assertEquals(bitsOf(mergeStates(states)), bitsOf(state));
  }
  assertEquals(bitsOf(mergeStates([nothing, nothing])), bitsOf({ output, logSumExp }));
  assertEquals(bitsOf(unmergeState(nothing, nothing)), bitsOf({ output, logSumExp }));
  assertEquals(bitsOf(unmergeState(state, nothing)), bitsOf(state));
  assertEquals(identity(2), { output: new Float64Array(2), logSumExp: NO });
});

/** Uniform in [−size, size]; fast-check's own doubles are mostly next to 0. */
function uniform(size: number): fc.Arbitrary<number> {
  return fc.integer({ min: -1_000_000, max: 1_000_000 }).map((whole) => size * whole / 1_000_000);
}

const logarithm = fc.oneof(
  { weight: 6, arbitrary: uniform(20) },
  { weight: 2, arbitrary: fc.constantFrom(NO, 0, -0, 1000, -1000, 1e30, -1e30) },
);
const component = uniform(10);
const rowState = fc.tuple(logarithm, component, component).map(([L, ...output]): RowState => ({
  output,
  logSumExp: L,
}));

Deno.test("merge commutes to the bit and is associative within rounding", () => {
  fc.assert(
    fc.property(rowState, rowState, rowState, (a, b, c) => {
      const ab = merge(a, b);
      if (ab.logSumExp > NO) assertEquals(merge(b, a), ab);
      const left = merge(ab, c), right = merge(a, merge(b, c));
      if (left.logSumExp === NO) return assertStrictEquals(right.logSumExp, NO);
      const scale = Math.max(1, Math.abs(left.logSumExp));
      assertLessOrEqual(Math.abs(left.logSumExp - right.logSumExp), 1e-15 * scale);
      // Two log-sum-exps of 1e30 take every other for nothing: nested or not, the order of the rest is lost.
      const delta = 1e-15 *
        [a, b, c, ab].reduce((most, { logSumExp: L }) => Math.max(most, L > NO ? Math.abs(L) : 0), 1);
      assertLessOrEqual(distance(left.output, right.output), 1e-13 + 20 * Math.tanh(delta));
    }),
    { numRuns: 2000, seed: 5 },
  );
});

Deno.test("mergeStates gives the same in any order, and merged in steps, within the roundings there are", () => {
  const states = fc.array(fc.tuple(rowState, rowState), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(states, fc.integer(), (drawn, seed) => {
      const parts = drawn.map((rows) =>
        stateOf(...rows.map(({ logSumExp, output }) => [logSumExp, ...Array.from(output)]))
      );
      const random = new Random(seed);
      const shuffled = parts.map((part) => ({ part, at: random.next() })).sort((a, b) => a.at - b.at);
      const cut = 1 + random.below(parts.length - 1);
      const once = mergeStates(parts);
      const others = [
        mergeStates(shuffled.map(({ part }) => part)),
        mergeStates([mergeStates(parts.slice(0, cut)), mergeStates(parts.slice(cut))]),
      ];
      for (const other of others) {
        for (let row = 0; row < 2; row++) {
          const expected = rowOf(once, row), got = rowOf(other, row);
          if (expected.logSumExp === NO) assertStrictEquals(got.logSumExp, NO);
          else {
            const allowed = mergeRounding(parts.map((part) => rowOf(part, row)), expected);
            assertLessOrEqual(distance(got.output, expected.output), 2 * allowed.output + 1e-12);
            assertLessOrEqual(Math.abs(got.logSumExp - expected.logSumExp), 2 * allowed.logSumExp);
          }
        }
      }
    }),
    { numRuns: 1000, seed: 6 },
  );
});

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
 * Where each term of the bound counts: the log-sum-exp of the whole, the share that is left, the values that stay and
 * that go. A little above a power of two float32 rounds by most.
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

Deno.test("huge values in a small share are told from small ones: the bound is of what remains", () => {
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

Deno.test("the log-sum-exp of attentionState is the oracle's, its output that of attention to the bit", async () => {
  const random = new Random(15);
  for (const layout of LAYOUTS) {
    const truth = caseOf(random, { queries: 5, keys: 7, size: 1, ...layout });
    const { scale, heads, kvHeads } = truth;
    const options = {
      query: truth.query as Float32Array[],
      key: truth.key as Float32Array[],
      value: truth.value as Float32Array[],
      ...layout.heads > 1 ? { heads: heads!, kvHeads: kvHeads! } : {},
      scale,
    };
    const { output, logSumExp } = await attentionState(options);
    assertAccurate(output, truth);
    assertEquals(output, await attention({ ...options, backend: "array" }));
    assertEquals(logSumExp.shape, [5, layout.heads]);
    assertLess(largestDifference(rowsOf(logSumExp), referenceAttention(truth).logSumExp), 1e-6);
  }
  const none = {
    query: [[1]],
    key: { data: [], shape: [0, 1] },
    value: { data: [], shape: [0, 1] },
  } as const;
  assertEquals(bitsOf(await attentionState(none)), bitsOf(stateOf([NO, 0])));
  const wrong = { query: [[1, 2]], key: [[1]], value: [[1]] };
  const error = await attentionState(wrong).then(() => null, (reason) => reason);
  assertInstanceOf(error, InputError);
  assertEquals(error.message, "attentionState: key has 1 columns, expected 2 (kvHeads × headDim)");
});

/** Takes a value for one of any type, which JavaScript callers do. */
function as<T>(value: unknown): T {
  return value as T;
}

const GOOD: AttentionState = {
  output: matrixOf([[1, 2, 3, 4], [5, 6, 7, 8]], 4),
  logSumExp: matrixOf([[0, 1], [2, NO]], 2),
};
const shaped = (rows: number, columns: number): Matrix => ({
  data: new Float32Array(rows * columns),
  shape: [rows, columns],
});
const detached = () => {
  const data = new Float32Array(4);
  structuredClone(data, { transfer: [data.buffer] });
  return data;
};

/** What is wrong with a second state, and what is said of it after its name. */
const BAD_STATES: readonly (readonly [state: unknown, message: string])[] = [
  [null, " is null, expected { output, logSumExp }"],
  [undefined, " is undefined, expected { output, logSumExp }"],
  ["state", ' is "state", expected { output, logSumExp }'],
  [{}, ".output is undefined, expected"],
  [{ output: GOOD.output }, ".logSumExp is undefined, expected { data, shape }"],
  [{ ...GOOD, logSumExp: null }, ".logSumExp is null, expected { data, shape }"],
  [{ ...GOOD, logSumExp: [[1, 2], [3, 4]] }, ".logSumExp is [[1, 2], [3, 4]], expected { data, shape }"],
  [{ ...GOOD, logSumExp: { data: 1, shape: [2, 2] } }, ".logSumExp.data is 1, expected an array of numbers"],
  [{ ...GOOD, logSumExp: { data: detached(), shape: [2, 2] } }, ".logSumExp.data is a view of a detached"],
  [
    { ...GOOD, logSumExp: { data: GOOD.logSumExp.data, shape: [4] } },
    ".logSumExp.shape is [4], expected [rows ≥ 0, heads ≥ 1]",
  ],
  [{ ...GOOD, logSumExp: { data: [], shape: [2, 0] } }, ".logSumExp.shape is [2, 0], expected"],
  [{ ...GOOD, logSumExp: { data: [1], shape: [0.5, 2] } }, ".logSumExp.shape is [0.5, 2], expected"],
  [
    { ...GOOD, logSumExp: { data: [1, 2, 3], shape: [2, 2] } },
    ".logSumExp.data has 3 numbers, expected 4 (shape 2 × 2)",
  ],
  [{ ...GOOD, logSumExp: shaped(3, 2) }, ".logSumExp has 3 rows, expected 2 (as its output)"],
  [
    { ...GOOD, logSumExp: shaped(2, 3) },
    ".output has 4 columns, expected a multiple of 3 (columns of its logSumExp)",
  ],
  [{ output: shaped(3, 4), logSumExp: shaped(3, 2) }, ".output has 3 rows, expected 2 (as FIRST)"],
  [{ output: shaped(2, 6), logSumExp: shaped(2, 2) }, ".output has 6 columns, expected 4 (as FIRST)"],
  [{ output: shaped(2, 4), logSumExp: shaped(2, 1) }, ".logSumExp has 1 columns, expected 2 (as FIRST)"],
  ...[NaN, Infinity, NO].map((o) =>
    [
      { ...GOOD, output: { data: [1, 2, 3, o, 5, 6, 7, 8], shape: [2, 4] } },
      `.output has ${o} at index 3, expected finite numbers of float32 range`,
    ] as const
  ),
  ...[NaN, Infinity, 1e39, -1e39, "1", null, 1n].map((L) =>
    [
      { ...GOOD, logSumExp: { data: [0, L, 0, 0], shape: [2, 2] } },
      `.logSumExp has ${typeof L === "string" ? '"1"' : L} at index 1, expected finite numbers of float32 ` +
      "range or -Infinity",
    ] as const
  ),
  [{ ...GOOD, logSumExp: { data: new Array(4), shape: [2, 2] } }, ".logSumExp has undefined at index 0"],
];

Deno.test("bad states are refused by name, wherever they stand", () => {
  mergeStates([GOOD, GOOD]);
  for (const [state, message] of BAD_STATES) {
    const bad = as<AttentionState>(state);
    const expect = (call: () => unknown, text: string) => {
      const error = assertThrows(call, InputError);
      assert(error.message.startsWith(text), `${error.message}, expected ${text}`);
    };
    const say = (operation: string, name: string, first: string) =>
      `${operation}: ${name}${message.replace("FIRST", first)}`;
    expect(() => mergeStates([GOOD, bad]), say("mergeStates", "states[1]", "states[0]"));
    expect(() => unmergeState(GOOD, bad), say("unmergeState", "part", "total"));
    // As the first it is the other that does not fit.
    if (message.includes("FIRST")) continue;
    expect(() => mergeStates([bad]), say("mergeStates", "states[0]", ""));
    expect(() => unmergeState(bad, GOOD), say("unmergeState", "total", ""));
  }
});

Deno.test("no states, no list, and odd options are refused", () => {
  const cases: readonly (readonly [call: () => unknown, message: string])[] = [
    [
      () => mergeStates([]),
      "mergeStates: there are 0 states, expected at least 1, since the shape is unknown",
    ],
    [() => mergeStates(as(GOOD)), "mergeStates: states are an object (Object), expected an array"],
    [() => mergeStates(as(null)), "mergeStates: states are null, expected an array"],
    [() => mergeStates(new Array(1)), "mergeStates: states[0] is undefined, expected { output, logSumExp }"],
    [() => unmergeState(GOOD, GOOD, as(null)), "unmergeState: options are null, expected an object"],
    [() => unmergeState(GOOD, GOOD, as({ tolerence: 1 })), 'unmergeState: option "tolerence" is unknown'],
    ...[0, 1, -1, NaN, Infinity, "0.1", null].map((tolerance) =>
      [
        () => unmergeState(GOOD, GOOD, as({ tolerance })),
        `unmergeState: tolerance is ${
          typeof tolerance === "string" ? '"0.1"' : tolerance
        }, expected a number`,
      ] as const
    ),
  ];
  for (const [call, message] of cases) assertThrows(call, InputError, message);
});

Deno.test("numbers in plain arrays are taken too, as everywhere", () => {
  const plain = ({ data, shape }: Matrix) => ({ data: [...data], shape });
  const state = as<AttentionState>({ output: plain(GOOD.output), logSumExp: plain(GOOD.logSumExp) });
  assertEquals(bitsOf(mergeStates([state, GOOD])), bitsOf(mergeStates([GOOD, GOOD])));
});

Deno.test("results share no memory with what came in, and leave it as it was", () => {
  const part = { ...GOOD, logSumExp: matrixOf([[-1, NO], [-1, NO]], 2) };
  const before = [bitsOf(GOOD), bitsOf(part)];
  const results = [
    mergeStates([GOOD]),
    mergeStates([GOOD, part]),
    unmergeState(GOOD, { ...GOOD, logSumExp: matrixOf([[NO, NO], [NO, NO]], 2) }),
    unmergeState(GOOD, part),
  ];
  for (const { output, logSumExp } of results) {
    output.data.fill(99);
    logSumExp.data.fill(99);
    (output.shape as [number, number])[0] = 99;
    (logSumExp.shape as [number, number])[0] = 99;
  }
  assertEquals([bitsOf(GOOD), bitsOf(part)], before);
});

Deno.test("states of no queries merge and unmerge to none", () => {
  const none = { output: shaped(0, 4), logSumExp: shaped(0, 2) };
  assertEquals(mergeStates([none, none]), none);
  assertEquals(unmergeState(none, none), none);
});
