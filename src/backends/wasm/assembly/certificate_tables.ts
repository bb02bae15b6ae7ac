// This file holds what all kernels for certificates share: constants of their loops, the rows that a call is about,
// and lanes of two kinds.

import * as field from "../certificate_fields.ts";

/**
 * Constants of the loops are in memory, as in exponential.ts. UP covers the roundings of bounds themselves,
 * CHARGE is a rounding with it. SMALL is the largest difference of scores for which e^Δ − 1 is the polynomial
 * of HALF to SIXTH, MOST_DOUBT the largest error of an exponent that is charged; a row with a larger one is
 * odd. OF_WEIGHT bounds the rounding of a weight besides that of its exponent, OF_FLOATS that of a distance.
 * VANISHING is more than a weight can lose by underflow, 2^−125 over a mass of 2^−60, TINY more than a
 * distance can. Bounds are below LARGEST = 2^100; those that are not make a row odd.
 */
const TABLE: usize = memory.data<f32>([
  5.962099e-8, 24, 0.35, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 8, 4, 0.2, 1.25,
  9.5367431640625e-7, 8.673617379884035e-19, 3.814697265625e-6, 3.469446951953614e-18,
  1.000244140625, -Infinity, 1.2676506002282294e30, NaN,
]);
export const CHARGE: usize = 0, TWENTY_FOUR: usize = 4, SMALL: usize = 8, SIXTH: usize = 12, FIFTH: usize = 16;
export const FOURTH: usize = 20, THIRD: usize = 24, HALF: usize = 28, EIGHT: usize = 32, FOUR: usize = 36;
export const MOST_DOUBT: usize = 40, FIVE_FOURTHS: usize = 44, OF_WEIGHT: usize = 48, VANISHING: usize = 52;
export const OF_FLOATS: usize = 56, TINY: usize = 60, UP: usize = 64, NEVER: usize = 68, LARGEST: usize = 72;
export const UNKNOWN: usize = 76;
/**
 * A weight MOST_POWER powers of two above the shift of its row makes the row odd, one LEAST_POWER below is 0.
 * ROUNDER is ROUNDER_BITS. SIZE has the bits of a float without its sign.
 */
const POWERS: usize = memory.data<i32>([100, -125, 0x4b400000, 0x7fffffff]);
export const MOST_POWER: usize = 0, LEAST_POWER: usize = 4, ROUNDER: usize = 8, SIZE: usize = 12;

/** A constant of the loops, in all lanes. */
@inline
export function constant(at: usize): v128 {
  return v128.load32_splat(TABLE + at);
}

/** One of the powers, in all lanes. */
@inline
export function power(at: usize): v128 {
  return v128.load32_splat(POWERS + at);
}

/** Sizes of floats; V8 makes the mask that its own operation takes anew each time. */
@inline
export function sizesOf(numbers: v128): v128 {
  return v128.and(numbers, power(SIZE));
}

/** Marks the rows of a block whose bits are in `rows`. */
@inline
export function ask(tile: usize, rows: i32): void {
  const bits = i32x4.splat(rows);
  const low = i32x4(1, 2, 4, 8), high = i32x4(16, 32, 64, 128);
  v128.store(tile, i32x4.eq(v128.and(bits, low), low), field.ASKED);
  v128.store(tile, i32x4.eq(v128.and(bits, high), high), field.ASKED + 16);
}

/** The odd rows of a block, as bits. */
@inline
export function oddRows(tile: usize): i32 {
  return i32x4.bitmask(v128.load(tile, field.ODD)) | (i32x4.bitmask(v128.load(tile, field.ODD + 16)) << 4);
}

/** Whether one of four numbers of rows that are asked for is NaN. */
@inline
export function isMissing(numbers: v128, tile: usize): bool {
  return v128.any_true(v128.and(f32x4.ne(numbers, numbers), v128.load(tile, field.ASKED)));
}

/** Replaces the numbers at an address in the lanes of `asked`. */
@inline
export function take(at: usize, numbers: v128, asked: v128): void {
  v128.store(at, v128.bitselect(numbers, v128.load(at), asked));
}

/** The two high ones of four numbers, in float64. */
@inline
export function promoteHigh(numbers: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f64>(numbers, numbers, 1, 1));
}
