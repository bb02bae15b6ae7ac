import { assert, assertEquals, assertLessOrEqual } from "../../testing/assert.ts";
import { exponentOf, powerOfTwo, shiftedExp, shiftedLog } from "../../src/numerics/power_shift.ts";
import { magnitudeOf, ratio, toExact } from "../../testing/exact.ts";
import { Random } from "../../testing/random.ts";

// exp in fixed point, far more digits than float64 has.
const DIGITS = 1400n;
const UNIT = 1n << DIGITS;

/** exp(s) in units of 2^−1400, for |s| ≤ 750: the series of s / 2^16, squared 16 times. */
function exactExp(s: number): bigint {
  const x = (toExact(s) << (DIGITS - 1074n)) >> 16n;
  let sum = 0n, term = UNIT;
  for (let k = 1n; term !== 0n && term !== -1n; k++) {
    sum += term;
    term = ((term * x) >> DIGITS) / k;
  }
  for (let i = 0; i < 16; i++) sum = (sum * sum) >> DIGITS;
  return sum;
}

/** |actual − exp(s)| / exp(s), for an actual of whatever power of two. */
function relativeError(actual: number, s: number): number {
  const exact = exactExp(s);
  return ratio(magnitudeOf((toExact(actual) << (DIGITS - 1074n)) - exact), exact);
}

function scores(count: number, range: number): number[] {
  const random = new Random(7);
  return Array.from({ length: count }, () => range * (2 * random.next() - 1));
}

Deno.test("the exact exp of this test is right", () => {
  assertEquals(exactExp(0), UNIT);
  assertEquals(Number((exactExp(1) * 10n ** 40n) >> DIGITS).toPrecision(16), (Math.E * 1e40).toPrecision(16));
  const product = (exactExp(12.34) * exactExp(-12.34)) >> DIGITS;
  assert(magnitudeOf(product - UNIT) < UNIT >> 1300n);
});

Deno.test("powerOfTwo is exact for every float64 power and 0 below", () => {
  let power = 1;
  for (let k = 0; k <= 1023; k++, power *= 2) assertEquals(powerOfTwo(k), power);
  power = 1;
  for (let k = 0; k >= -1074; k--, power /= 2) assertEquals(powerOfTwo(k), power);
  for (const k of [-1075, -1e6, -1e300, -Infinity]) assertEquals(powerOfTwo(k), 0);
});

Deno.test("a shift divides by its power of two to the last bit", () => {
  for (const s of [...scores(2000, 20), 0, 1, -1, Math.LN2, -Math.LN2, 5e-324, 1e-20]) {
    const unshifted = shiftedExp(s, 0);
    for (const shift of [0, 1, -1, 7, -31, 500, -500, 900, -900]) {
      assertEquals(shiftedExp(s, shift) * powerOfTwo(shift), unshifted, `score ${s}, shift ${shift}`);
      assertEquals(shiftedExp(s, shift), unshifted * powerOfTwo(-shift), `score ${s}, shift ${shift}`);
    }
  }
});

Deno.test("shiftedExp is within (2 + |s|) · 2^−52 of exp", () => {
  let worst = 0;
  for (const range of [1e-6, 0.5, 2, 30, 700]) {
    for (const s of scores(300, range)) {
      const error = relativeError(shiftedExp(s, 0), s) / 2 ** -52;
      worst = Math.max(worst, error / (2 + Math.abs(s)));
      assertLessOrEqual(error, 2 + Math.abs(s), `score ${s}`);
    }
  }
  console.log(`shiftedExp: largest error ${worst.toFixed(3)} of its bound`);
  assert(worst > 0.02, `the bound is loose: the largest error is ${worst} of it`);
});

Deno.test("shiftedExp is within 4 units in the last place of Math.exp where scores are small", () => {
  for (const s of [...scores(20000, 2), 0, -0, 1, -1, 2, -2]) {
    const expected = Math.exp(s);
    const ulp = 2 ** (Math.floor(Math.log2(expected)) - 52);
    assertLessOrEqual(Math.abs(shiftedExp(s, 0) - expected), 4 * ulp, `score ${s}`);
  }
  assertEquals(shiftedExp(0, 0), 1);
});

Deno.test("exp grows with the score, also where the table of roots changes", () => {
  for (let step = -200; step <= 200; step++) {
    const edge = step * Math.LN2 / 64;
    for (const distance of [1e-3, 1e-6, 1e-9, 1e-12]) {
      assert(shiftedExp(edge - distance, 0) < shiftedExp(edge + distance, 0), `around ${edge}, ${distance}`);
    }
  }
});

Deno.test("exponentOf puts a weight between 1 and 2", () => {
  for (const s of [...scores(5000, 30), ...scores(5000, 1e6), 1e6, -1e6, 1e30, -1e30, 0, Math.LN2]) {
    const exponent = exponentOf(s);
    assert(Number.isInteger(exponent));
    const a = shiftedExp(s, exponent);
    assert(a >= 1 && a <= 2, `score ${s} has weight ${a}`);
  }
});

Deno.test("extreme scores neither overflow nor turn into NaN under their own shift", () => {
  for (const s of [1e6, -1e6, 1e15, 1e30, -1e30, 1e300]) {
    const shift = exponentOf(s);
    assert(Number.isFinite(shift));
    assert(Number.isFinite(shiftedExp(s, shift)));
    assertEquals(shiftedExp(-Math.abs(s) - 2000, 0), 0);
  }
  // Far below the shift is nothing, whatever the shift.
  assertEquals(shiftedExp(1e6, exponentOf(1e6) + 1080), 0);
  assertEquals(shiftedExp(-1e30, exponentOf(1e30)), 0);
  assert(shiftedExp(0, 1074) > 0);
  assertEquals(shiftedExp(0, 1075), 0);
});

Deno.test("a score of −∞ has exponent −∞ and weight 0", () => {
  assertEquals(exponentOf(-Infinity), -Infinity);
  for (const shift of [0, 1000, -1000]) assertEquals(shiftedExp(-Infinity, shift), 0);
});

Deno.test("shiftedLog undoes shiftedExp, and is −∞ for no mass", () => {
  for (const s of scores(2000, 700)) {
    for (const shift of [0, exponentOf(s), exponentOf(s) - 100]) {
      const log = shiftedLog(shiftedExp(s, shift), shift);
      const size = 2 + Math.abs(s) + Math.abs(shift);
      assertLessOrEqual(Math.abs(log - s), 4 * size * 2 ** -52, `score ${s}, shift ${shift}`);
    }
  }
  assertEquals(shiftedLog(0, 5), -Infinity);
  assertEquals(shiftedLog(0, -Infinity), -Infinity);
  assertEquals(shiftedLog(1, 3), 3 * Math.LN2);
});
