// The judge of bounds: the exact oracle is exact, the quick one knows what it does not know, and what is out of bounds is
// seen.

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLess,
  assertLessOrEqual,
} from "../../testing/assert.ts";
import { drawProgram, PROFILES } from "../../testing/bounds/profiles.ts";
import { runProgram } from "../../testing/bounds/run_program.ts";
import { shrinkProgram, textOf } from "../../testing/bounds/shrink_program.ts";
import { varyProgram } from "../../testing/bounds/vary_program.ts";
import { carefulAttention, judge } from "../../testing/careful_attention.ts";
import { exactAttention, FRACTION, squaredDistance, toFraction } from "../../testing/exact_attention.ts";
import { MemoryModel } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { referenceAttention, type ReferenceCase } from "../../src/numerics/reference.ts";

/** Units of the exact oracle as a number. */
function toNumber(fraction: bigint): number {
  return Number(fraction) / 2 ** 700;
}

Deno.test("exact oracle: it agrees with the float64 one on ordinary numbers", () => {
  const random = new Random(5);
  for (let round = 0; round < 40; round++) {
    const question: ReferenceCase = {
      ...{ query: random.rows(2, 6), key: random.rows(5, 3, 4), value: random.rows(5, 4) },
      ...{ heads: 2, kvHeads: 1, scale: 0.7, softcap: round % 2 * 3, valueDim: 4 },
      bias: (i, j, h) => j === i ? -Infinity : (j - h) / 3,
    };
    const exact = exactAttention(question);
    referenceAttention(question).output.forEach((row, i) => {
      row.forEach((o, c) => assertAlmostEquals(toNumber(exact[i][c]), o, 1e-14));
    });
  }
});

Deno.test("exact oracle: scores of which float64 loses the difference", () => {
  const question = {
    query: [[1, 1]],
    key: [[3e38, 0], [3e38, Math.log(3)]],
    value: [[0], [1]],
    scale: 1,
    valueDim: 1,
  };
  assertAlmostEquals(toNumber(exactAttention(question)[0][0]), 0.75, 1e-15);
  assertEquals(referenceAttention(question).output, [[0.5]]);
  const biased = { ...question, key: [[0, 0], [0, Math.log(3)]], bias: () => -3e38 };
  assertAlmostEquals(toNumber(exactAttention(biased)[0][0]), 0.75, 1e-15);
  assertEquals(exactAttention({ ...question, bias: () => -Infinity }), [[0n]]);
});

Deno.test("exact oracle: exp to five hundred bits", () => {
  // Weights 1 and exp(−1): o = 1 / (1 + e).
  const [[o]] = exactAttention({ query: [[1]], key: [[0], [1]], value: [[1], [0]], scale: 1, valueDim: 1 });
  // e as the sum of 1/k!.
  const one = 1n << FRACTION;
  let e = 0n, term = one;
  for (let k = 1n; term > 0n; k++) [e, term] = [e + term, term / k];
  const apart = o - (one << FRACTION) / (one + e);
  assert(apart * apart < 1n << 2n * (FRACTION - 500n), String(apart));
});

Deno.test("quick oracle: exact attention lies within its doubt", () => {
  const random = new Random(9);
  let judged = 0;
  for (let round = 0; round < 200; round++) {
    const profile = PROFILES[round % 3];
    const { rule, query, key, value } = drawProgram(random, profile, "array", []);
    const model = new MemoryModel({ ...rule, maskOf: null });
    query.forEach((row, i) => model.insertQuery(i, row));
    key.forEach((row, j) => model.insertKey(j, row, value[j]));
    const question = model.standing();
    const { output, doubts } = carefulAttention(question);
    exactAttention(question).forEach((exact, i) => {
      if (doubts[i] === Infinity) return;
      judged++;
      const doubt = toFraction(doubts[i]) + 1n;
      assert(
        squaredDistance(exact, output[i]) <= doubt * doubt,
        `${profile} ${round}: ${output[i]} ± ${doubts[i]}`,
      );
      const size = Math.max(0, ...value.flat().map(Math.abs));
      if (profile === "ordinary") assertLessOrEqual(doubts[i], 1e-11 * size);
    });
  }
  assertLess(300, judged);
});

Deno.test("judge: a row beyond its bound is seen, to the last bit", () => {
  const question = { query: [[0]], key: [[0], [0]], value: [[1], [2]], scale: 1, valueDim: 1 };
  const careful = carefulAttention(question);
  const isWithin = (row: number, bound: number) => judge(question, careful, 0, [row], bound).isWithin;
  assertEquals(isWithin(1.5, 0), true);
  assertEquals(isWithin(1.75, 0.25), true);
  assertEquals(isWithin(1.75, 0.25 - 2 ** -54), false);
  assertEquals(isWithin(1.5 + 2 ** -40, 0), false);
  assertEquals(isWithin(NaN, Infinity), false);
  assertEquals(isWithin(1.5, NaN), false);
  assertEquals(isWithin(5, Infinity), true);
});

Deno.test("programs: they run, whatever is left out or varied", async () => {
  const random = new Random(2);
  for (let round = 0; round < 30; round++) {
    const profile = PROFILES[round % 3];
    let program = drawProgram(random, profile, "array", ["wasm"]);
    for (let step = 0; step < 5; step++) program = varyProgram(program, random, profile);
    const { edits } = await runProgram({
      ...program,
      steps: program.steps.filter(() => random.below(2) === 0),
    });
    assertLessOrEqual(edits, program.steps.length);
  }
});

Deno.test("programs: a broken one is cut down to what breaks it", async () => {
  const random = new Random(3);
  const program = drawProgram(random, "mixed", "array", []);
  const small = await shrinkProgram(
    { ...program, steps: [...program.steps, { kind: "setValue", at: 7, row: [123.456] }, ...program.steps] },
    ({ steps }) => Promise.resolve(steps.some((step) => step.kind === "setValue" && step.row[0] > 100)),
  );
  assertEquals(small.steps, [{ kind: "setValue", at: 7, row: [123] }]);
  assertEquals([small.key, small.value, small.query], [[], [], [[0]]]);
  assertEquals(small.rule, {
    ...{ heads: 1, kvHeads: 1, headDim: 1, valueDim: 1, scale: 1, softcap: 0, causal: false },
    window: [Infinity, Infinity],
  });
  assert(textOf(small).includes(`"window":[Infinity,Infinity]`), textOf(small));
});
