/**
 * exp and the softcap, as text for shaders. The accuracy of WGSL's own functions depends on the driver.
 *
 * exp(s) = exp(r) · 2^k with k the nearest integer to s·log2 e and r = s − k·ln 2. ln 2 is split in three
 * parts; the products of k with the first two are exact for |k| < 2^15, and the rounding error of r is kept,
 * so that the last rounding is nearly the only one: for |s| ≤ 22,000 the relative error of exp is at most 1.5
 * · 2^−24 · (1 + |s|·2^−12). Whole powers of two are taken off in the exponent field, which is exact, and so
 * a weight under one shift is the weight under another times a power of two. Scores are clamped to ±2^21.
 *
 * Scores, scale, softcap and intermediate results are two floats each, since rounding a score to one float
 * would change its weight by 2^−24·|s|. Arguments of the softcap are clamped to ±2^64. There is no division:
 * reciprocals are computed by Newton's method from the bits of the argument.
 */

import { EMPTY_SHIFT, HEAVY_POWERS } from "../record_layout.ts";

export const EXPONENTIAL = /* wgsl */ `
const EMPTY_SHIFT = ${EMPTY_SHIFT};
const MOST_SCORE = 2097152.0;
const MOST_CAPPED = 0x1p64f;

/** The nearest integer to s · log2 e. */
fn powerOf(score: f32) -> i32 {
  return i32(round(clamp(score, -MOST_SCORE, MOST_SCORE) * 1.44269504088896341));
}

/** exp(s) · 2^−k, between 0.70 and 1.42, as two floats. */
fn mantissa(score: f32, power: i32) -> TwoFloats {
  let k = f32(power);
  let s = clamp(score, -MOST_SCORE, MOST_SCORE);
  // The first two parts of k·ln 2 are exact, and so is the first difference.
  let coarse = opaque(s - opaque(k * 0.693359375));
  let fine = opaque(k * -2.12192535400390625e-4);
  let r = opaque(coarse - fine);
  let rest = opaque(dropped(coarse, -fine, r) - opaque(k * -1.9046542995e-9));
  var p = fma(r, 0.0013814540579915047, 0.00836874540620514);
  p = fma(r, p, 0.04166838899254799);
  p = fma(r, p, 0.1666652113199234);
  p = opaque(fma(r, p, 0.4999999403953552));
  let sum = opaque(1.0 + r);
  let curved = opaque(opaque(r * r) * p);
  let tail = opaque(curved + opaque(rest * opaque(sum + curved)));
  let more = opaque(opaque(r - opaque(sum - 1.0)) + tail);
  let high = opaque(sum + more);
  return TwoFloats(high, opaque(more - opaque(high - sum)));
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

/** tanh(x + rest): near 0 an odd polynomial, because 1 − 2/(e^2x + 1) would cancel. */
fn tanhOf(x: f32, rest: f32) -> TwoFloats {
  let size = abs(x);
  if (size < 0.625) {
    let z = opaque(x * x);
    var p = fma(z, -5.70498872745e-3, 2.06390887954e-2);
    p = fma(z, p, -5.37397155531e-2);
    p = fma(z, p, 1.33314422036e-1);
    p = fma(z, p, -3.33332819422e-1);
    let curved = opaque(opaque(opaque(x * z) * opaque(p)) + rest);
    let sum = opaque(x + curved);
    return TwoFloats(sum, opaque(curved - opaque(sum - x)));
  }
  // Beyond 10, tanh rounds to 1. e^2x + 1 is at most 2^29.
  let twice = 2.0 * min(size, 10.0);
  let power = powerOf(twice);
  let both = mantissa(twice, power);
  let e = both.high * powerOfTwo(power);
  let more = 2.0 * select(rest, -rest, x < 0.0);
  let tail = opaque(both.low * powerOfTwo(power) + opaque(e * select(more, 0.0, size >= 10.0)));
  let grown = opaque(e + 1.0);
  let y = reciprocal(grown);
  let product = productOf(grown, y);
  let residual = opaque(opaque(opaque(1.0 - product.high) - product.low) - opaque(opaque(dropped(e, 1.0, grown) + tail) * y));
  let sum = opaque(1.0 - 2.0 * y);
  let low = opaque(opaque(opaque(1.0 - sum) - 2.0 * y) - opaque(2.0 * y * residual));
  return TwoFloats(select(sum, -sum, x < 0.0), select(low, -low, x < 0.0));
}

/** (a + aLow) · (b + bLow), to nearly two floats. */
fn productOfBoth(a: f32, aLow: f32, b: f32, bLow: f32) -> TwoFloats {
  let product = productOf(a, b);
  let rest = opaque(product.low + opaque(opaque(a * bLow) + opaque(aLow * b)));
  let high = opaque(product.high + rest);
  return TwoFloats(high, opaque(rest - opaque(high - product.high)));
}

/** c · tanh(s/c). */
fn capped(score: TwoFloats) -> TwoFloats {
  let s = clamp(score.high, -MOST_CAPPED, MOST_CAPPED);
  let rest = select(0.0, score.low, s == score.high);
  let x = productOfBoth(s, rest, call.inverseSoftcap, call.inverseSoftcapLow);
  let tanh = tanhOf(x.high, x.low);
  return productOfBoth(call.softcap, call.softcapLow, tanh.high, tanh.low);
}
`;
