// The WebAssembly kernels alone: bits, accuracy, and the truth of the ledger, for both builds.

import { assert, assertEquals, assertLess } from "../../../testing/assert.ts";
import { STEEP_SCORE } from "../../../src/backends/host/key_reach.ts";
import { type KernelBuild, supportedBuild } from "../../../src/backends/wasm/load_kernels.ts";
import type { RowRule } from "../../../src/backends/wasm/row_rule.ts";
import { referenceAttention, type ReferenceCase } from "../../../src/numerics/reference.ts";
import { accuracyOf, assertAccurate, matrixOf } from "../../../testing/accuracy.ts";
import { exactSum, magnitudeOf, ratio, toExact } from "../../../testing/exact.ts";
import { Random } from "../../../testing/random.ts";
import { type Entry, freshKernels, WasmMemory } from "../../../testing/wasm_memory.ts";

const BUILDS: readonly KernelBuild[] = supportedBuild() === "relaxed" ? ["simd128", "relaxed"] : ["simd128"];
const RULE: RowRule = {
  headDim: 8,
  valueDim: 4,
  scale: 1,
  softcap: 0,
  tolerance: 1e-5,
  before: Infinity,
  after: Infinity,
};

function eachBuild(name: string, test: (build: KernelBuild, t: Deno.TestContext) => Promise<void>): void {
  for (const build of BUILDS) Deno.test(`${name} (${build})`, (t) => test(build, t));
}

/** Numbers that a kernel writes for the terms of `memory` with one block. */
function ofBlock(memory: WasmMemory, kernel: "score" | "weigh", terms: number, block: number): Float32Array {
  const target = memory.arena.take(32 * terms);
  const { job } = memory.rows;
  if (kernel === "score") memory.kernels.score(job, block, 255, target);
  else memory.kernels.weigh(job, block, target);
  return memory.arena.floats(target, 8 * terms).slice();
}

/** The same for all rows, by row and term. */
function table(memory: WasmMemory, kernel: "score" | "weigh", rows: number, terms: number): number[][] {
  const blocks = Array.from(
    { length: Math.ceil(rows / 8) },
    (_, block) => ofBlock(memory, kernel, terms, block),
  );
  return Array.from(
    { length: rows },
    (_, row) => Array.from({ length: terms }, (_, t) => blocks[Math.floor(row / 8)][8 * t + row % 8]),
  );
}

function entry(random: Random, rule: RowRule, size = 1): Entry {
  return { key: random.row(rule.headDim, size), value: random.row(rule.valueDim) };
}

function question(rule: RowRule, queries: readonly ArrayLike<number>[], memory: WasmMemory): ReferenceCase {
  const live = memory.entries.filter((held) => held !== null);
  return {
    query: queries,
    key: live.map(({ key }) => key),
    value: live.map(({ value }) => value),
    scale: rule.scale,
    valueDim: rule.valueDim,
    softcap: rule.softcap,
  };
}

function assertRows(memory: WasmMemory, truth: ReferenceCase, what: string): void {
  const outputs = truth.query.map((_, row) => memory.output(row).output);
  assertAccurate(matrixOf(outputs, truth.valueDim), truth, what);
}

eachBuild("a score and a weight have the same bits in every tile, batch and lane", async (build) => {
  for (const headDim of [1, 3, 4, 5, 64, 67]) {
    const random = new Random(headDim);
    const rule = { ...RULE, headDim, scale: 0.3 };
    const queries = random.rows(13, headDim);
    const memory = new WasmMemory(await freshKernels(build), rule, queries, 9);
    const entries = Array.from({ length: 9 }, () => entry(random, rule));
    memory.apply(entries.map((held, slot) => [slot, held]), "build");
    const terms = memory.liveTerms();
    for (const kernel of ["score", "weigh"] as const) {
      const expected = table(memory, kernel, 13, 9);
      for (let count = 1; count < 9; count++) {
        memory.terms.set(terms.slice(9 - count));
        const batch = table(memory, kernel, 13, count);
        assertEquals(
          batch,
          expected.map((row) => row.slice(9 - count)),
          `${kernel}, d = ${headDim}, T = ${count}`,
        );
      }
      memory.terms.set(terms);
    }

    // The same rows in other lanes and blocks.
    const turned = new WasmMemory(await freshKernels(build), rule, queries.toReversed(), 9);
    turned.apply(entries.map((held, slot) => [slot, held]), "build");
    for (const kernel of ["score", "weigh"] as const) {
      assertEquals(table(turned, kernel, 13, 9).toReversed(), table(memory, kernel, 13, 9));
    }
  }
});

Deno.test("a score of the plain build is the float32 sum in order of columns", async () => {
  const f = Math.fround;
  for (const headDim of [1, 3, 4, 5, 64, 67]) {
    const random = new Random(headDim);
    const rule = { ...RULE, headDim, scale: 0.3 };
    const queries = random.rows(9, headDim);
    const memory = new WasmMemory(await freshKernels("simd128"), rule, queries, 6);
    const entries = Array.from({ length: 6 }, () => entry(random, rule));
    memory.apply(entries.map((held, slot) => [slot, held]), "build");
    const expected = queries.map((query) =>
      entries.map(({ key }) => {
        let sum = 0;
        for (let c = 0; c < headDim; c++) sum = f(sum + f(query[c] * key[c]));
        return f(f(0.3) * sum);
      })
    );
    assertEquals(table(memory, "score", 9, 6), expected);
  }
});

eachBuild(
  "exp is off by at most 2^-23 (1 + |s| / 2^11) of itself, and shifts change no bit",
  async (build) => {
    const rule = { ...RULE, headDim: 1, valueDim: 1 };
    const random = new Random(7);
    const queries = Array.from({ length: 4000 }, (_, i) => [(random.next() - 0.5) * (i % 2 ? 1300 : 6)]);
    const memory = new WasmMemory(await freshKernels(build), rule, queries, 2);
    memory.apply([[0, { key: [1], value: [1] }]], "build");
    const weights = table(memory, "weigh", 4000, 1);
    const shifts = queries.map((_, row) => memory.rows.shift(row));
    let worst = 0;
    queries.forEach(([query], row) => {
      const s = Math.fround(query);
      const error = Math.abs(weights[row][0] * 2 ** shifts[row] / Math.exp(s) - 1);
      const allowed = 2 ** -23 * (1 + Math.abs(s) / 2048);
      assert(error <= allowed, `exp ${s} is off by ${error}, allowed are ${allowed}`);
      worst = Math.max(worst, error);
    });
    assertLess(2 ** -26, worst, "nothing was rounded");

    // A second key that is larger by up to 2^40 moves the shifts.
    memory.apply([[1, { key: [1 + 2 ** -5], value: [1] }]], "build");
    memory.terms.set(memory.liveTerms().slice(0, 1));
    const moved = table(memory, "weigh", 4000, 1);
    let changed = 0;
    queries.forEach((_, row) => {
      assertEquals(moved[row][0], weights[row][0] * 2 ** (shifts[row] - memory.rows.shift(row)));
      if (memory.rows.shift(row) !== shifts[row]) changed++;
    });
    assertLess(1000, changed);
  },
);

eachBuild(
  "a build agrees with the oracle: softcap, bias, positions, sizes with remainders",
  async (build) => {
    for (
      const [headDim, valueDim, m, n, softcap] of [[64, 64, 20, 300, 0], [5, 3, 9, 33, 2], [1, 1, 1, 1, 0.5]]
    ) {
      const random = new Random(headDim);
      const rule = { ...RULE, headDim, valueDim, softcap, before: 40, after: 3, scale: headDim ** -0.5 };
      const queries = random.rows(m, headDim);
      const positions = queries.map((_, i) => 2 * i + 0.5);
      const memory = new WasmMemory(await freshKernels(build), rule, queries, n, positions, true);
      const entries = Array.from({ length: n }, (_, j) => ({
        ...entry(random, rule),
        bias: Float32Array.from({ length: m }, () => random.next() < 0.2 ? -Infinity : random.normal()),
        position: j / 4,
      }));
      memory.apply(entries.map((held, slot) => [slot, held]), "build");
      const truth = {
        ...question(rule, queries, memory),
        bias: (i: number, j: number) => {
          const ahead = entries[j].position - positions[i];
          return -40 <= ahead && ahead <= 3 ? entries[j].bias[i] : -Infinity;
        },
      };
      assertRows(memory, truth, `d = ${headDim}`);
      const { logSumExp } = referenceAttention(truth);
      const target = memory.arena.take(4 * 8 * Math.ceil(m / 8) * valueDim);
      memory.kernels.read(memory.rows.job, 0, Math.ceil(m / 8), target, 4 * valueDim, STEEP_SCORE);
      const read = memory.arena.floats(target, m * valueDim);
      queries.forEach((_, row) => {
        const actual = memory.output(row);
        if (logSumExp[row][0] === -Infinity) assertEquals(actual.logSumExp, -Infinity);
        else assertLess(Math.abs(actual.logSumExp - logSumExp[row][0]), 2e-6);
        const difference = (c: number) => Math.abs(read[row * valueDim + c] - actual.output[c]);
        for (let c = 0; c < valueDim; c++) {
          assertLess(difference(c), 1e-7 * Math.abs(actual.output[c]) + 1e-30);
        }
      });
    }
  },
);

eachBuild(
  "rows without a key are empty, before and after, and a call leaves other rows alone",
  async (build) => {
    const random = new Random(3);
    const queries = random.rows(10, 8);
    const memory = new WasmMemory(await freshKernels(build), RULE, queries, 4, null, true);
    const forbidden = () => ({ ...entry(random, RULE), bias: new Float32Array(10).fill(-Infinity) });
    memory.apply([], "build");
    assertEquals(memory.output(9), { output: new Float32Array(4), logSumExp: -Infinity });
    memory.apply([[0, forbidden()], [1, forbidden()]]);
    assertEquals(memory.output(0), { output: new Float32Array(4), logSumExp: -Infinity });
    memory.apply([[2, { ...forbidden(), bias: new Float32Array(10) }]]);
    const { value } = memory.entries[2]!;
    assertEquals(memory.output(4).output, Float32Array.from(value));
    memory.apply([[2, null]]);
    assertEquals(memory.output(4), { output: new Float32Array(4), logSumExp: -Infinity });
    assertEquals(memory.refreshes, 0);

    memory.apply([[3, { ...forbidden(), bias: new Float32Array(10) }]], "build");
    const before = memory.rows.sum(6, 0);
    memory.rows.activate(6, false);
    memory.terms.set([memory.liveTerms()[2]]);
    memory.patch();
    assertEquals(memory.rows.sum(6, 0), before);
    memory.rows.activate(6, true);
    memory.patch();
    assert(memory.rows.sum(6, 0) !== before, "an active row is patched");
  },
);

eachBuild("a pair of terms with one key leaves what two terms leave, heavy keys included", async (build) => {
  const random = new Random(17);
  const rule = { ...RULE, headDim: 5 };
  const queries = random.rows(13, 5);
  const entries = Array.from({ length: 40 }, () => entry(random, rule));
  const heavy = [3, 30].map((slot) => [slot, entry(random, rule, 30)] as const);
  const run = async (pairs: number) => {
    const memory = new WasmMemory(await freshKernels(build), rule, queries, 40);
    memory.apply(entries.map((held, slot) => [slot, held]), "build");
    memory.apply(heavy);
    // Every value gives way to that of the next slot.
    const live = memory.liveTerms();
    const terms = live.flatMap((held, slot) => [
      { ...held, isTakenOut: true },
      { ...held, value: live[(slot + 1) % 40].value },
    ]);
    memory.terms.set(terms, pairs);
    const events = memory.patch();
    const sums = queries.map((_, row) => Array.from({ length: 6 }, (_, c) => memory.rows.sum(row, c)));
    return { events, sums, errors: queries.map((_, row) => memory.rows.errors(row)) };
  };
  const expected = await run(0);
  assertLess(0, expected.events.length);
  for (const pairs of [1, 15, 17, 40]) {
    assertEquals(await run(pairs), expected, `${pairs} pairs`);
  }
});

eachBuild(
  "shared-value pairs, two terms with one value, leave what two terms leave but for rounding",
  async (build) => {
    const random = new Random(19);
    const rule = { ...RULE, headDim: 5 };
    const queries = random.rows(13, 5);
    const entries = Array.from({ length: 40 }, () => entry(random, rule));
    const heavy = [3, 30].map((slot) => [slot, entry(random, rule, 30)] as const);
    for (const changed of [2, 40]) {
      const run = async (pairs: number, sharedValuePairs: number) => {
        const memory = new WasmMemory(await freshKernels(build), rule, queries, 40);
        memory.apply(entries.map((held, slot) => [slot, held]), "build");
        memory.apply(heavy);
        const live = memory.liveTerms();
        // The values of the first slots give way to that of the next one, then the keys of others.
        const terms = live.slice(0, changed).flatMap((held, slot) => {
          const next = live[(slot + 1) % 40];
          const after = slot < pairs ? { ...held, value: next.value } : { ...held, key: next.key };
          return [{ ...held, isTakenOut: true }, after];
        });
        memory.terms.set(terms, pairs, sharedValuePairs);
        const events = memory.patch();
        const rows = queries.map((_, row) => row);
        return {
          events,
          sums: rows.map((row) => Array.from({ length: 6 }, (_, c) => memory.rows.sum(row, c))),
          errors: rows.map((row) => memory.rows.errors(row)),
        };
      };
      for (const pairs of [0, 1, 15].filter((pairs) => pairs < changed)) {
        const expected = await run(pairs, 0);
        for (
          const sharedValuePairs of [1, 16, changed - pairs].filter((sharedValuePairs) =>
            pairs + sharedValuePairs <= changed
          )
        ) {
          const actual = await run(pairs, sharedValuePairs);
          assertEquals(
            [actual.events, actual.errors],
            [expected.events, expected.errors],
            "heavy keys, charges",
          );
          actual.sums.forEach((sums, row) =>
            sums.forEach((sum, c) => {
              const bound = 2 * expected.errors[row][c === 4 ? 0 : 1];
              const difference = Math.abs(sum - expected.sums[row][c]);
              assert(
                difference <= bound,
                `${sharedValuePairs} shared-value pairs, row ${row}, column ${c}: off by ${difference} of ${bound}`,
              );
            })
          );
        }
      }
    }
  },
);

eachBuild("the ledger is true: no sum is further from exact than it says", async (build) => {
  const random = new Random(5);
  const rule = { ...RULE, headDim: 2, valueDim: 2, tolerance: 1e-3 };
  const queries = random.rows(16, 2);
  const memory = new WasmMemory(await freshKernels(build), rule, queries, 80);
  const next = () => ({
    key: random.row(2, random.pick([0.3, 1, 3])),
    value: random.row(2, random.pick([1e-6, 1, 1e6])),
  });
  memory.apply(memory.entries.map((_, slot) => [slot, next()]), "build");
  let tightest = Infinity, checked = 0;
  for (let step = 0; step < 300; step++) {
    const slots = new Set(Array.from({ length: 1 + random.below(40) }, () => random.below(80)));
    memory.apply([...slots].map((slot) => {
      const { value } = memory.entries[slot] ?? next();
      return [slot, random.next() < 0.2 ? null : random.next() < 0.5 ? next() : { ...next(), value }];
    }));
    if (step % 10 !== 0) continue;
    const live = memory.entries.filter((held) => held !== null);
    memory.terms.set(memory.liveTerms());
    const weights = table(memory, "weigh", 16, live.length);
    weights.forEach((row, i) => {
      const [massError, sumError] = memory.rows.errors(i);
      for (let c = 0; c < 3; c++) {
        // A product of two float32 numbers is exact in float64. Heavy keys have weight 0 here, as in the
        // sums.
        const exact = exactSum(live.map(({ value }, j) => row[j] * (c < 2 ? value[c] : 1)));
        const error = magnitudeOf(toExact(memory.rows.sum(i, c)) - exact);
        const bound = toExact(c < 2 ? sumError : massError);
        assert(error <= bound, `step ${step}, row ${i}, column ${c}: bound / error ${ratio(bound, error)}`);
        if (error > 0n) tightest = Math.min(tightest, ratio(bound, error));
        checked++;
      }
    });
  }
  console.log(`ledger, ${build}: ${checked} sums, smallest bound / error ${tightest.toPrecision(3)}`);
  assertLess(tightest, 1000, "the bound says nothing");
});

interface Stream {
  readonly name: string;
  readonly keys: number;
  readonly batch: number;
  readonly keySize: readonly number[];
  readonly valueSize: readonly number[];
  /** A key whose scores are about this size comes and goes. */
  readonly dominating: number;
  /** Refreshes a row and edit. */
  readonly rate: number;
}

/**
 * Where scores are in the hundreds a single check compares two roundings of the same few scores, of which
 * either can be the luckier one: there the largest error of the stream is compared with the largest that is
 * allowed.
 */
const LUCKY = "large scores";

const STREAMS: readonly Stream[] = [
  { name: "ordinary", keys: 256, batch: 1, keySize: [0.35], valueSize: [1], dominating: 0, rate: 0.002 },
  {
    name: "batches of 64",
    keys: 256,
    batch: 64,
    keySize: [0.35],
    valueSize: [1],
    dominating: 0,
    rate: 0.002,
  },
  {
    name: "values of all sizes",
    keys: 64,
    batch: 8,
    keySize: [1],
    valueSize: [1e-6, 1, 1e6],
    dominating: 0,
    rate: 1,
  },
  { name: LUCKY, keys: 64, batch: 4, keySize: [0.1, 10, 60], valueSize: [1], dominating: 0, rate: 1 },
  {
    name: "a key comes and goes",
    keys: 64,
    batch: 1,
    keySize: [0.35],
    valueSize: [1],
    dominating: 30,
    rate: 0.002,
  },
];

for (const stream of STREAMS) {
  eachBuild(`10,000 edits keep the accuracy of float32 from scratch: ${stream.name}`, async (build) => {
    const random = new Random(11);
    const queries = random.rows(12, 8).map((row) => row.with(0, 1));
    const memory = new WasmMemory(await freshKernels(build), RULE, queries, stream.keys + 1);
    const next = () => ({
      key: random.row(8, random.pick(stream.keySize)),
      value: random.row(4, random.pick(stream.valueSize)),
    });
    memory.apply(memory.entries.slice(1).map((_, j) => [j + 1, next()]), "build");
    let edits = 0, round = 0, largest = 0, largestAllowed = 0;
    while (edits < 10_000) {
      const slots = new Set(Array.from({ length: stream.batch }, () => 1 + random.below(stream.keys)));
      const changes: [number, Entry | null][] = [...slots].map((slot) => [slot, next()]);
      if (stream.dominating > 0) {
        const key = new Float32Array(8).with(0, stream.dominating);
        changes.push([0, round % 2 === 0 ? { key, value: random.row(4) } : null]);
      }
      memory.apply(changes);
      edits += changes.length;
      if (round++ % Math.ceil(400 / stream.batch) < 2) {
        const outputs = queries.map((_, row) => memory.output(row).output);
        const { error, allowed } = accuracyOf(matrixOf(outputs, 4), question(RULE, queries, memory));
        if (stream.name !== LUCKY) {
          assert(error <= allowed, `after ${edits} edits ${error}, allowed ${allowed}`);
        }
        largest = Math.max(largest, error);
        largestAllowed = Math.max(largestAllowed, allowed);
      }
    }
    const rate = memory.refreshes / queries.length / edits;
    assert(largest <= largestAllowed, `off by ${largest}, allowed are ${largestAllowed}`);
    console.log(
      `${stream.name}, ${build}: largest error ${largest.toExponential(1)}, ${
        rate.toExponential(1)
      } refreshes a row and edit`,
    );
    assert(rate <= stream.rate, `${rate} refreshes a row and edit`);
  });
}
