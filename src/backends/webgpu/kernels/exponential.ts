/**
 * exp and the softcap, as text for shaders; WGSL's own are as exact as a driver likes.
 *
 * exp(s) = p · 2^k with k the nearest integer to s·log2 e and p a polynomial in r = s − k·ln 2. ln 2 is split in two, of
 * which k times the first is exact for |k| < 2^15. Whole powers of two are taken off in the exponent field, which is
 * exact. So for |s| ≤ 22,000 exp is off by at most 2^−23 · (1 + |s|·2^−11) of itself, and a weight under one shift is the
 * weight under another times a power of two. Scores count as at most 2^21 either way.
 *
 * No division is used: a reciprocal is Newton's, from the bits of its argument.
 */

import { EMPTY_SHIFT, HEAVY_POWERS } from "../record_layout.ts";

export const EXPONENTIAL = /* wgsl */ `
const EMPTY_SHIFT = ${EMPTY_SHIFT};
const MOST_SCORE = 2097152.0;

/** The nearest integer to s · log2 e. */
fn powerOf(score: f32) -> i32 {
  return i32(round(clamp(score, -MOST_SCORE, MOST_SCORE) * 1.44269504088896341));
}

/** exp(s) · 2^−k, between 0.70 and 1.42. */
fn mantissa(score: f32, power: i32) -> f32 {
  let k = f32(power);
  let s = clamp(score, -MOST_SCORE, MOST_SCORE);
  let r = fma(-k, -2.12194440e-4, fma(-k, 0.693359375, s));
  var p = fma(r, 0.0013814540579915047, 0.00836874540620514);
  p = fma(r, p, 0.04166838899254799);
  p = fma(r, p, 0.1666652113199234);
  p = fma(r, p, 0.4999999403953552);
  return opaque(1.0 + fma(opaque(r * r), p, r));
}

/** x · 2^power, for results in the normal range. */
fn timesPower(x: f32, power: i32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) + (bitcast<u32>(power) << 23u));
}

/** 2^power; 0 below the normal range. */
fn powerOfTwo(power: i32) -> f32 {
  return select(0.0, bitcast<f32>(bitcast<u32>(max(power, -126) + 127) << 23u), power >= -126);
}

/** The power of two above which a score is heavy to a row of such a mass. */
fn ceilingOf(shift: i32, mass: f32) -> i32 {
  let power = i32(bitcast<u32>(mass) >> 23u) - 127;
  return select(shift + power + ${HEAVY_POWERS}, EMPTY_SHIFT, shift == EMPTY_SHIFT);
}

/** 1 / x for x from 2 to 2^30. */
fn reciprocal(x: f32) -> f32 {
  var y = bitcast<f32>(0x7ef311c7u - bitcast<u32>(x));
  for (var step = 0; step < 4; step++) {
    y = fma(y, fma(-x, y, 1.0), y);
  }
  return y;
}

/** c · tanh(s/c): near 0 an odd polynomial, because 1 − 2/(e^2x + 1) would cancel. */
fn capped(score: f32) -> f32 {
  let x = opaque(score * call.inverseSoftcap);
  let size = abs(x);
  let z = opaque(min(size, 1.0) * min(size, 1.0));
  var p = fma(z, -5.70498872745e-3, 2.06390887954e-2);
  p = fma(z, p, -5.37397155531e-2);
  p = fma(z, p, 1.33314422036e-1);
  p = fma(z, p, -3.33332819422e-1);
  let small = fma(opaque(x * z), p, x);
  // Beyond 10, tanh rounds to 1.
  let twice = 2.0 * min(size, 10.0);
  let power = powerOf(twice);
  let e = timesPower(mantissa(twice, power), power);
  let large = fma(-2.0, reciprocal(e + 1.0), 1.0);
  return opaque(call.softcap * select(select(large, -large, x < 0.0), small, size < 0.625));
}
`;
