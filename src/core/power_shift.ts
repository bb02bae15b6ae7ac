/**
 * exp(score − shift) with shifts that are whole powers of two: the shift of a row is c_i = `shift` · ln 2 for an
 * integer `shift`. Then moving a row to another shift multiplies everything it holds by a power of two, which is
 * exact, and a weight that was added under one shift is subtracted under another to the last bit.
 */

const LOG2_E = Math.LOG2E;
const LN_2 = Math.LN2;

// 2^k for −1074 ≤ k ≤ 1023, at index k + 1074.
const SMALLEST = -1074;
const POWERS = Float64Array.from({ length: 1023 - SMALLEST + 1 }, (_, k) => 2 ** (k + SMALLEST));

/** 2^k for an integer k ≤ 1023; 0 below the smallest float64. */
export function powerOfTwo(k: number): number {
  return k < SMALLEST ? 0 : POWERS[k - SMALLEST];
}

/** The integer e with 2^e ≤ exp(score) < 2^(e+1); −∞ for a score of −∞. */
export function exponentOf(score: number): number {
  return Math.floor(score * LOG2_E);
}

/** a = exp(score) · 2^−shift, for scores less than 1023 powers of two above the shift. */
export function shiftedExp(score: number, shift: number): number {
  const power = score * LOG2_E;
  const whole = Math.floor(power);
  return Math.exp((power - whole) * LN_2) * powerOfTwo(whole - shift);
}

/** Natural log of `mass` · 2^`shift`; −∞ for no mass. */
export function shiftedLog(mass: number, shift: number): number {
  return mass > 0 ? Math.log(mass) + shift * LN_2 : -Infinity;
}
