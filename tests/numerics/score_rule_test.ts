import { assert, assertEquals, assertLess } from "../../testing/assert.ts";
import { isInReach, looksAtPositions, score, type ScoreRule } from "../../src/numerics/score_rule.ts";
import { magnitudeOf, ratio, toExact } from "../../testing/exact.ts";
import { Random } from "../../testing/random.ts";

const UNIT_ROUNDOFF = 2 ** -53;

function exactDot(query: ArrayLike<number>, key: ArrayLike<number>): { dot: bigint; magnitude: bigint } {
  let dot = 0n, magnitude = 0n;
  for (let c = 0; c < query.length; c++) {
    const product = toExact(query[c]) * toExact(key[c]);
    dot += product;
    magnitude += magnitudeOf(product);
  }
  return { dot, magnitude };
}

Deno.test("a score is scale · Σ q k, whatever the remainder of d by the lanes", () => {
  for (let headDim = 1; headDim <= 13; headDim++) {
    // Powers of two: each product has a bit of its own, so one left out or counted twice shows.
    const query = Float64Array.from({ length: headDim }, (_, c) => 2 ** c);
    const key = Float32Array.from({ length: headDim }, (_, c) => 2 ** c);
    assertEquals(score(query, key, 0, headDim, 1, 0), (4 ** headDim - 1) / 3);
    assertEquals(score(query, key, 0, headDim, -0.25, 0), -(4 ** headDim - 1) / 12);
  }
  assertEquals(score(new Float64Array(4), Float32Array.of(1, 2, 3, 4), 0, 4, 5, 0), 0);
});

Deno.test("a score is as close to the exact one as a float64 dot may be", () => {
  const random = new Random(11);
  let worst = 0;
  for (let trial = 0; trial < 500; trial++) {
    const headDim = 1 + random.below(130);
    const size = 10 ** (random.below(20) - 10);
    const query = Float64Array.from(random.row(headDim, size));
    const key = random.row(headDim, 1 / size);
    // Products that nearly cancel, so that the order of accumulation shows.
    if (trial % 2 === 0) {
      for (let c = 1; c < headDim; c += 2) query[c] = -query[c - 1], key[c] = key[c - 1];
    }
    const { dot, magnitude } = exactDot(query, key);
    const actual = toExact(score(query, key, 0, headDim, 1, 0)) << 1074n;
    // Products of float32 numbers are exact in float64; ⌈d/4⌉ + 2 additions touch each of them.
    const bound = (Math.ceil(headDim / 4) + 3 + 2) * UNIT_ROUNDOFF;
    const error = ratio(magnitudeOf(actual - dot), magnitude);
    worst = Math.max(worst, error / bound);
    assertLess(error, bound, `d = ${headDim}`);
  }
  console.log(`score: largest error ${worst.toFixed(3)} of its bound`);
  assert(worst > 0.01, "no rounding showed: the test is blind");
});

Deno.test("a score multiplies the scale in once, at the end", () => {
  const random = new Random(12);
  for (let trial = 0; trial < 200; trial++) {
    const headDim = 1 + random.below(40);
    const query = Float64Array.from(random.row(headDim)), key = random.row(headDim);
    const scale = 1 / Math.sqrt(headDim);
    assertEquals(score(query, key, 0, headDim, scale, 0), scale * score(query, key, 0, headDim, 1, 0));
  }
});

Deno.test("a score has the same bits wherever the key lies and whatever lies around it", () => {
  const random = new Random(13);
  for (let headDim = 1; headDim <= 70; headDim++) {
    const query = Float64Array.from(random.row(headDim)), key = random.row(headDim);
    const alone = score(query, key, 0, headDim, 0.3, 0);
    for (const offset of [1, 2, 3, 4, 5, 7, 64, 101]) {
      const keys = random.row(offset + headDim + 9, 1e6);
      keys.set(key, offset);
      const wideQuery = Float64Array.from(random.row(headDim + 5, 1e6));
      wideQuery.set(query);
      assertEquals(
        score(wideQuery, keys, offset, headDim, 0.3, 0),
        alone,
        `d = ${headDim}, offset ${offset}`,
      );
    }
  }
});

Deno.test("the largest float32 numbers give a finite score", () => {
  const query = new Float64Array(256).fill(Math.fround(3.4e38)), key = new Float32Array(256).fill(-3.4e38);
  assert(Number.isFinite(score(query, key, 0, 256, 3.4e38, 0)));
});

Deno.test("a softcap c caps a score to c·tanh(s/c), and 0 caps nothing", () => {
  const random = new Random(14);
  for (let trial = 0; trial < 200; trial++) {
    const headDim = 1 + random.below(40);
    const query = Float64Array.from(random.row(headDim, 3)), key = random.row(headDim, 3);
    const plain = score(query, key, 0, headDim, 0.7, 0);
    for (const softcap of [0.01, 1, 30, 1e6]) {
      assertEquals(score(query, key, 0, headDim, 0.7, softcap), softcap * Math.tanh(plain / softcap));
    }
  }
  const one = Float64Array.of(1), far = Float32Array.of(1e6);
  assertEquals(score(one, far, 0, 1, 1, 30), 30);
  assertEquals(score(one, far, 0, 1, -1, 30), -30);
  assertEquals(score(one, Float32Array.of(0), 0, 1, 1, 30), 0);
  assertLess(Math.abs(score(one, Float32Array.of(1), 0, 1, 1, 1) - 0.7615941559557649), 1e-15);
});

Deno.test("a softcap takes what float32 numbers can make", () => {
  const query = new Float64Array(256).fill(Math.fround(3.4e38)), key = new Float32Array(256).fill(-3.4e38);
  assertEquals(score(query, key, 0, 256, 3.4e38, 5), -5);
  // 1e-45 is the smallest float32: s / c is beyond float64 and tanh of it still 1.
  assertEquals(score(query, key, 0, 256, -3.4e38, 1.401298464324817e-45), 1.401298464324817e-45);
});

function ruleOf(before: number, after: number): ScoreRule {
  return { scale: 1, softcap: 0, before, after };
}

Deno.test("a key is in reach from `before` before the query to `after` after it, both ends included", () => {
  const reach = (rule: ScoreRule, query = 10) =>
    [6, 7, 8, 9, 10, 11, 12, 13].filter((key) => isInReach(rule, query, key + query - 10));
  const everywhere = [6, 7, 8, 9, 10, 11, 12, 13];
  for (const query of [10, 0, -10, 0.25]) {
    assertEquals(reach(ruleOf(2, 1), query), [8, 9, 10, 11]);
    assertEquals(reach(ruleOf(0, 0), query), [10]);
    assertEquals(reach(ruleOf(2, 0), query), [8, 9, 10]);
    assertEquals(reach(ruleOf(0, 2), query), [10, 11, 12]);
    assertEquals(reach(ruleOf(Infinity, 0), query), [6, 7, 8, 9, 10]);
    assertEquals(reach(ruleOf(Infinity, -2), query), [6, 7, 8]);
    assertEquals(reach(ruleOf(3, -2), query), [7, 8]);
    assertEquals(reach(ruleOf(1, -2), query), [], "a reach that is empty");
    assertEquals(reach(ruleOf(0, Infinity), query), [10, 11, 12, 13]);
    assertEquals(reach(ruleOf(Infinity, Infinity), query), everywhere);
  }
});

Deno.test("positions between whole numbers count as they are", () => {
  assert(isInReach(ruleOf(0.5, 0.25), 1, 0.5) && isInReach(ruleOf(0.5, 0.25), 1, 1.25));
  assert(!isInReach(ruleOf(0.5, 0.25), 1, 0.49) && !isInReach(ruleOf(0.5, 0.25), 1, 1.26));
  assert(!isInReach(ruleOf(Infinity, 0), 1, 1 + 2 ** -52));
  assert(isInReach(ruleOf(Infinity, 0), -(2 ** 53), -(2 ** 53)));
});

Deno.test("a rule looks at positions unless it limits nothing", () => {
  assertEquals(looksAtPositions(ruleOf(Infinity, Infinity)), false);
  assertEquals(looksAtPositions(ruleOf(Infinity, 0)), true);
  assertEquals(looksAtPositions(ruleOf(Infinity, -3)), true);
  assertEquals(looksAtPositions(ruleOf(0, Infinity)), true);
  assertEquals(looksAtPositions(ruleOf(1e300, Infinity)), true);
});
