// exp in powers of two: exp(s) = p · 2^k with k the nearest integer to s·log2 e and p a polynomial in r = s −
// k·ln 2. Whole powers of two are taken off in the exponent field, which is exact: a weight under one shift
// is the weight under another times a power of two, to the last bit, unless it underflows to 0.
//
// ln 2 is split in two. LN2_HIGH has 9 bits, so k·LN2_HIGH is exact for |k| < 2^15 and s − k·LN2_HIGH loses
// nothing; the error of r is that of rounding k·LN2_LOW and r itself: |Δr| ≤ 2^−24 (2.13e−4·|k| + 0.35) +
// |k|·2^−43. The polynomial is the minimax one of degree 6 for (e^r − 1 − r)/r², and its evaluation rounds by
// less than 2^−23. So for |s| ≤ 22,000 the relative error of exp is at most 2^−23 · (1 + |s|·2^−11), a
// fortieth of the effect of rounding s.

import { multiplyAdd, multiplySubtract } from "./lanes.ts";

/** Bits of 1.5 · 2^23: after adding that to t with |t| < 2^22, the last bits are the nearest integer to t. */
export const ROUNDER_BITS: i32 = 0x4b400000;

/**
 * Constants of the hot loops are in memory: V8 builds a constant vector from two integers at each use, and
 * loading a number into all lanes takes a fraction of that time.
 */
const TABLE: usize = memory.data<f32>([
  1.44269504088896341, 0.693359375, -2.12194440e-4, 12582912, 2097152, -2097152, 1,
  0.4999999403953552, 0.1666652113199234, 0.04166838899254799, 0.00836874544620514, 0.0013814540579915047,
]);
const LOG2_E: usize = 0, LN2_HIGH: usize = 4, LN2_LOW: usize = 8, ROUND: usize = 12, MOST: usize = 16;
const LEAST: usize = 20, ONE: usize = 24, C2: usize = 28, C3: usize = 32, C4: usize = 36, C5: usize = 40, C6: usize = 44;

@inline
function constant(at: usize): v128 {
  return v128.load32_splat(TABLE + at);
}

/**
 * Clamps scores to ±2^21. Beyond that one unit in the last place of float32 is a quarter, so weights have no
 * accuracy anyway.
 */
@inline
export function clamp(score: v128): v128 {
  return f32x4.pmax(f32x4.pmin(score, constant(MOST)), constant(LEAST));
}

/** 1.5 · 2^23 + k, of a clamped score. */
@inline
export function roundedPower(score: v128): v128 {
  return multiplyAdd(score, constant(LOG2_E), constant(ROUND));
}

/** p = exp(s) · 2^−k, between 0.70 and 1.42. */
@inline
export function mantissa(score: v128, rounded: v128): v128 {
  const k = f32x4.sub(rounded, constant(ROUND));
  const r = multiplySubtract(k, constant(LN2_LOW), multiplySubtract(k, constant(LN2_HIGH), score));
  let p = multiplyAdd(r, constant(C6), constant(C5));
  p = multiplyAdd(r, p, constant(C4));
  p = multiplyAdd(r, p, constant(C3));
  p = multiplyAdd(r, p, constant(C2));
  // In this order all roundings but the last are of numbers below 0.42.
  return f32x4.add(constant(ONE), multiplyAdd(f32x4.mul(r, r), p, r));
}

/** c · tanh(s/c): near 0 an odd polynomial, because 1 − 2/(e^2x + 1) would cancel. */
export function capScore(score: v128, softcap: v128): v128 {
  const x = f32x4.div(score, softcap);
  const size = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = multiplyAdd(z, f32x4.splat(-5.70498872745e-3), f32x4.splat(2.06390887954e-2));
  p = multiplyAdd(z, p, f32x4.splat(-5.37397155531e-2));
  p = multiplyAdd(z, p, f32x4.splat(1.33314422036e-1));
  p = multiplyAdd(z, p, f32x4.splat(-3.33332819422e-1));
  const small = multiplyAdd(f32x4.mul(x, z), p, x);

  // Beyond 10, tanh rounds to 1.
  const twice = f32x4.add(f32x4.pmin(size, f32x4.splat(10)), f32x4.pmin(size, f32x4.splat(10)));
  const rounded = roundedPower(twice);
  const power = i32x4.shl(i32x4.sub(rounded, i32x4.splat(ROUNDER_BITS)), 23);
  const exp = i32x4.add(mantissa(twice, rounded), power);
  const one = f32x4.splat(1);
  const large = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(exp, one)));
  const signed = v128.or(large, v128.and(x, i32x4.splat(<i32> 0x80000000)));
  const isSmall = f32x4.lt(size, f32x4.splat(0.625));
  return f32x4.mul(softcap, v128.bitselect(small, signed, isSmall));
}
