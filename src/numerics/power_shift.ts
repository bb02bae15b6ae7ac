/**
 * exp(score − shift) with shifts that are whole powers of two: the shift of a row is c_i = `shift` · ln 2 for
 * an integer `shift`. Moving a row to another shift then multiplies all its sums by a power of two, which is
 * exact, and a weight that was added under one shift has the same bits, scaled, when it is subtracted under
 * another.
 */

const LOG2_E = Math.LOG2E;
const LN_2 = Math.LN2;

// The table holds 2^k for −1074 ≤ k ≤ 1023, at index k + 1074.
const SMALLEST = -1074;
const POWERS = Float64Array.from({ length: 1023 - SMALLEST + 1 }, (_, k) => 2 ** (k + SMALLEST));

// The table holds 2^(k/32); a polynomial of degree 6 covers the numbers between two of them.
const STEPS = 32;
const ROOTS = Float64Array.from({ length: STEPS + 1 }, (_, k) => 2 ** (k / STEPS));

/** 2^k for an integer k ≤ 1023; 0 below the smallest float64. */
export function powerOfTwo(k: number): number {
  return k < SMALLEST ? 0 : POWERS[k - SMALLEST];
}

/** The integer e with 2^e ≤ exp(score) < 2^(e+1); −∞ for a score of −∞. */
export function exponentOf(score: number): number {
  return Math.floor(score * LOG2_E);
}

/**
 * a = exp(score) · 2^−shift, for scores less than 1023 powers of two above the shift. Its relative error is
 * at most (2 + |score|) · 2^−52, and it is the same for every shift: shiftedExp(s, k) = shiftedExp(s, 0) ·
 * 2^−k to the last bit unless it underflows. It takes half the time of Math.exp.
 */
export function shiftedExp(score: number, shift: number): number {
  const power = score * LOG2_E;
  const whole = Math.floor(power);
  const exponent = whole - shift;
  if (!(exponent >= SMALLEST)) return 0;
  const fraction = power - whole;
  const nearest = (fraction * STEPS + 0.5) | 0;
  const r = (fraction - nearest / STEPS) * LN_2;
  const r2 = r * r;
  const polynomial = 1 + r + r2 * (0.5 + r * (1 / 6) + r2 * (1 / 24 + r * (1 / 120) + r2 * (1 / 720)));
  return polynomial * ROOTS[nearest] * POWERS[(exponent - SMALLEST) | 0];
}

/** Natural log of `mass` · 2^`shift`; −∞ for no mass. */
export function shiftedLog(mass: number, shift: number): number {
  return mass > 0 ? Math.log(mass) + shift * LN_2 : -Infinity;
}
