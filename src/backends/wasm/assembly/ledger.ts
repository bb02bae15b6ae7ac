// Bounds on the rounding errors of a row's sums in float32, with u = 2^−24.
//
// A chunk of k terms with weights a_t is summed from 0 in k multiply-adds, each of which rounds a partial sum
// no larger than p = Σ|a_t v_t| (the plain build also rounds the product): the error is at most (k+1)·u·p.
// Adding that in float64 has a relative error of at most 2^−53, which is below 2u²; it is charged as 2u².
// Rounding a product that becomes subnormal loses 2^−150. So for a column of the weighted sum, where |a_t
// v_t| ≤ a_t·‖v_t‖∞, a chunk adds at most
//
//     E ← E + (k+1)·u·p + 8u²·P + (2k+1)·2^−149,     p = Σ a_t ‖v_t‖∞,  P = the magnitude after it,
//
// and for the mass the same with Σ a_t. A chunk in which one term is a quarter of a row or more is summed for
// that row in float64, where products are exact: (k+1)·u·p is then replaced by 2^−47·p. The factor KEEP_UP
// covers the rounding of E itself: with it E is never too small, even if the added number is below its last
// digit. Shared-value pairs count as two terms: joining their weights rounds once, and then there is one
// multiply-add less.

import {
  BLOCK_BYTES,
  COLUMN_BYTES,
  EMPTY_SHIFT,
  FLAGS,
  MASS_ERROR,
  ROW_MASK,
  SCRATCH,
  SHIFT,
  SUM_ERROR,
  TOLERANCE,
  VALUE_DIM,
} from "../job_fields.ts";
import { loadNarrow, multiplyAdd } from "./lanes.ts";
import { CHARGES_AT, massAt } from "./weights.ts";

const ROUNDING: f32 = 5.9604644775390625e-8;
/**
 * What is summed in float64 is charged this multiple of its proven bound. A row is trusted
 * up to LEAST_TOLERANCE, since bounds on sums in float32 are far above what happens; these bounds are close
 * to it, and a row from which most of its mass has left would be off by that much.
 */
const CAUTION: f32 = 512;
/** 2^−47 bounds the rounding of at most 33 additions in float64 and of their products. */
const EXACT_ROUNDING: f32 = CAUTION * 7.105427357601002e-15;
/** 8u²: far above the error of two additions, which covers the error of the magnitude itself. */
const SUM_ROUNDING: f32 = CAUTION * 2.842170943040401e-14;
const SUBNORMAL_ROUNDING: f32 = 9.183549615799121e-41;
const KEEP_UP: f32 = 1.000000476837158;
/** Weights of a row whose mass is below 2^−60, under its shift, are too near to underflow. */
const LEAST_MASS: f32 = 8.673617379884035e-19;

/**
 * Adds the rounding errors of the last chunk to the bounds; the rows among `exact` were summed in float64.
 */
export function chargeChunk(job: usize, block: i32, count: i32, exact: i32): void {
  chargeFour(job, block, <usize> block * BLOCK_BYTES, 0, count, exact);
  chargeFour(job, block, <usize> block * BLOCK_BYTES + 16, 16, count, exact >> 4);
}

@inline
function chargeFour(job: usize, block: i32, rows: usize, lane: usize, count: i32, exact: i32): void {
  const charges = load<usize>(job + SCRATCH) + CHARGES_AT + lane;
  const mass = massAt(job, block) + 2 * lane;
  const bits = v128.and(i32x4.splat(exact), i32x4(1, 2, 4, 8));
  const plainSteps = f32x4.splat(<f32> (count + 1) * ROUNDING);
  const steps = v128.bitselect(plainSteps, f32x4.splat(EXACT_ROUNDING), i32x4.eq(bits, i32x4.splat(0)));
  const active = v128.load(load<usize>(job + ROW_MASK) + rows);
  charge(load<usize>(job + MASS_ERROR) + rows, v128.load(charges), loadNarrow(mass), steps, active);
  const magnitude = loadNarrow(mass + COLUMN_BYTES);
  charge(load<usize>(job + SUM_ERROR) + rows, v128.load(charges, BLOCK_BYTES), magnitude, steps, active);
}

@inline
function charge(error: usize, charged: v128, held: v128, steps: v128, active: v128): void {
  let added = multiplyAdd(charged, steps, f32x4.splat(SUBNORMAL_ROUNDING));
  const peak = f32x4.add(f32x4.abs(held), charged);
  added = multiplyAdd(peak, f32x4.splat(SUM_ROUNDING), added);
  const before = v128.load(error);
  const after = f32x4.mul(f32x4.add(before, added), f32x4.splat(KEEP_UP));
  v128.store(error, v128.bitselect(after, before, active));
}

/** Flags the rows that a patch leaves untrusted; returns whether there are any. */
export function judge(job: usize, block: i32): bool {
  const left = judgeFour(job, block, <usize> block * BLOCK_BYTES, 0);
  const right = judgeFour(job, block, <usize> block * BLOCK_BYTES + 16, 16);
  return v128.any_true(v128.or(left, right));
}

function judgeFour(job: usize, block: i32, rows: usize, lane: usize): v128 {
  const at = massAt(job, block) + 2 * lane, mass = loadNarrow(at), magnitude = loadNarrow(at + COLUMN_BYTES);
  const isEmpty = i32x4.eq(v128.load(load<usize>(job + SHIFT) + rows), i32x4.splat(EMPTY_SHIFT));
  let trusted = f32x4.ge(mass, f32x4.splat(LEAST_MASS));
  trusted = v128.and(trusted, isWithin(job, MASS_ERROR, rows, mass));
  trusted = v128.and(trusted, isWithin(job, SUM_ERROR, rows, magnitude));
  // Sums over no keys are exactly 0, whatever was charged.
  trusted = v128.or(trusted, isEmpty);
  const flags = v128.andnot(v128.load(load<usize>(job + ROW_MASK) + rows), trusted);
  v128.store(load<usize>(job + FLAGS) + rows, flags);
  return flags;
}

@inline
function isWithin(job: usize, error: usize, rows: usize, held: v128): v128 {
  const tolerance = f32x4.splat(load<f32>(job + TOLERANCE));
  return f32x4.le(v128.load(load<usize>(job + error) + rows), f32x4.mul(tolerance, held));
}
