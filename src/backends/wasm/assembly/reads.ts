// Outputs of rows: o = u / l, of a block as it is, or of one that a single term is being added to. Both have
// the same bits, since what is stored is what is divided.

import {
  BLOCK_BYTES,
  BLOCK_ROWS,
  COLUMNS,
  HIGH,
  LOW,
  SCRATCH,
  SHIFT,
  SINK,
  SINK_POWER,
  VALUE_DIM,
} from "../job_fields.ts";
import { loadTotals } from "./lanes.ts";
import { addOneExactly } from "./products.ts";
import { VALUES_AT, massAt, WIDE_WEIGHTS_AT } from "./weights.ts";

/**
 * o = u / l of every row of the blocks, dv numbers each, to `target` for the first row and `stride` bytes
 * further on for each next one; rows without mass are 0. Returns whether a row with mass has a shift of
 * `steep` or more either way.
 */
export function read(job: usize, first: i32, end: i32, target: usize, stride: usize, steep: i32): bool {
  let isSteep = false;
  for (let block = first; block < end; block++, target += BLOCK_ROWS * stride) {
    isSteep = readBlock(job, block, target, stride, steep) || isSteep;
  }
  return isSteep;
}

/** The same of one block. */
export function readBlock(job: usize, block: i32, target: usize, stride: usize, steep: i32): bool {
  readFour(job, block, 0, target, stride);
  readFour(job, block, 16, target + 4 * stride, stride);
  return isSteepBlock(job, block, steep);
}

/** Whether a row of a block has mass and a shift of `steep` or more either way. */
export function isSteepBlock(job: usize, block: i32, steep: i32): bool {
  const mass = massAt(job, block), shifts = load<usize>(job + SHIFT) + <usize> block * BLOCK_BYTES;
  const left = areSteep(v128.load(shifts), v128.load(mass), steep);
  return v128.any_true(v128.or(left, areSteep(v128.load(shifts, 16), v128.load(mass, 16), steep)));
}

@inline
function areSteep(shifts: v128, masses: v128, steep: i32): v128 {
  const isFar = i32x4.ge_s(i32x4.abs(shifts), i32x4.splat(steep));
  return v128.and(isFar, f32x4.gt(masses, f32x4.splat(0)));
}

/**
 * Reads four rows, four columns at a time. The division is in float64, where the roundings of sum and
 * quotient do not matter.
 */
function readFour(job: usize, block: i32, lane: usize, target: usize, stride: usize): void {
  const valueDim = load<usize>(job + VALUE_DIM);
  const start = <usize> block * load<usize>(job + COLUMNS) * BLOCK_BYTES + lane;
  let high = load<usize>(job + HIGH) + start, low = load<usize>(job + LOW) + start;
  const shareLeft = sharesOf(job, block, lane), shareRight = sharesOf(job, block, lane + 8);
  let c: usize = 0;
  for (; c + 4 <= valueDim; c += 4, high += 4 * BLOCK_BYTES, low += 4 * BLOCK_BYTES) {
    const a = outputs(high, low, shareLeft, shareRight);
    const b = outputs(high + BLOCK_BYTES, low + BLOCK_BYTES, shareLeft, shareRight);
    const d = outputs(high + 2 * BLOCK_BYTES, low + 2 * BLOCK_BYTES, shareLeft, shareRight);
    const e = outputs(high + 3 * BLOCK_BYTES, low + 3 * BLOCK_BYTES, shareLeft, shareRight);
    storeRows(target + (c << 2), stride, a, b, d, e);
  }
  for (; c < valueDim; c++, high += BLOCK_BYTES, low += BLOCK_BYTES) {
    storeColumn(target + (c << 2), stride, outputs(high, low, shareLeft, shareRight));
  }
}

/**
 * Adds the single term that is left of a chunk, whose weights are in the scratch in float64, to all rows of a
 * block, as `addOneExactly` does, and reads them, as `readBlock` does: sums go through memory once.
 */
export function addOneAndRead(job: usize, block: i32, target: usize, stride: usize): void {
  const valueDim = load<usize>(job + VALUE_DIM), scratch = load<usize>(job + SCRATCH);
  const weights = scratch + WIDE_WEIGHTS_AT, value = load<usize>(scratch + VALUES_AT);
  const start = <usize> block * load<usize>(job + COLUMNS) * BLOCK_BYTES;
  const high = load<usize>(job + HIGH) + start, low = load<usize>(job + LOW) + start;
  const mass = valueDim * BLOCK_BYTES;
  addOneExactly(weights, value + (valueDim << 2), 2, high + mass, low + mass);
  addAndReadFour(job, block, 0, weights, value, high, low, target, stride);
  addAndReadFour(job, block, 16, weights + 32, value, high + 16, low + 16, target + 4 * stride, stride);
}

@inline
function addAndReadFour(
  job: usize,
  block: i32,
  lane: usize,
  weights: usize,
  value: usize,
  high: usize,
  low: usize,
  target: usize,
  stride: usize,
): void {
  const weightLeft = v128.load(weights), weightRight = v128.load(weights, 16);
  const shareLeft = sharesOf(job, block, lane), shareRight = sharesOf(job, block, lane + 8);
  const end = value + (load<usize>(job + VALUE_DIM) << 2), lastFour = end - 16;
  for (; value <= lastFour; value += 16, target += 16, high += 4 * BLOCK_BYTES, low += 4 * BLOCK_BYTES) {
    let factor = f64x2.splat(<f64> load<f32>(value));
    const a = addedOutputs(high, low, weightLeft, weightRight, factor, shareLeft, shareRight);
    factor = f64x2.splat(<f64> load<f32>(value, 4));
    const b = addedOutputs(high + BLOCK_BYTES, low + BLOCK_BYTES, weightLeft, weightRight, factor, shareLeft, shareRight);
    factor = f64x2.splat(<f64> load<f32>(value, 8));
    const d = addedOutputs(high + 2 * BLOCK_BYTES, low + 2 * BLOCK_BYTES, weightLeft, weightRight, factor, shareLeft, shareRight);
    factor = f64x2.splat(<f64> load<f32>(value, 12));
    const e = addedOutputs(high + 3 * BLOCK_BYTES, low + 3 * BLOCK_BYTES, weightLeft, weightRight, factor, shareLeft, shareRight);
    storeRows(target, stride, a, b, d, e);
  }
  for (; value < end; value += 4, target += 4, high += BLOCK_BYTES, low += BLOCK_BYTES) {
    const factor = f64x2.splat(<f64> load<f32>(value));
    storeColumn(target, stride, addedOutputs(high, low, weightLeft, weightRight, factor, shareLeft, shareRight));
  }
}

/** Adds a term to one column of four rows, stores the sums as `addDoubles` does, and divides what is stored. */
@inline
function addedOutputs(
  high: usize,
  low: usize,
  weightLeft: v128,
  weightRight: v128,
  factor: v128,
  shareLeft: v128,
  shareRight: v128,
): v128 {
  const nothing = f64x2.splat(0);
  const left = f64x2.add(f64x2.add(nothing, f64x2.mul(weightLeft, factor)), loadTotals(high, low));
  const right = f64x2.add(f64x2.add(nothing, f64x2.mul(weightRight, factor)), loadTotals(high + 8, low + 8));
  const left32 = f32x4.demote_f64x2_zero(left), right32 = f32x4.demote_f64x2_zero(right);
  v128.store(high, v128.shuffle<f64>(left32, right32, 0, 2));
  const leftHigh = f64x2.promote_low_f32x4(left32), rightHigh = f64x2.promote_low_f32x4(right32);
  const leftRest = f32x4.demote_f64x2_zero(f64x2.sub(left, leftHigh));
  const rightRest = f32x4.demote_f64x2_zero(f64x2.sub(right, rightHigh));
  v128.store(low, v128.shuffle<f64>(leftRest, rightRest, 0, 2));
  return quotients(
    f64x2.add(leftHigh, f64x2.promote_low_f32x4(leftRest)),
    f64x2.add(rightHigh, f64x2.promote_low_f32x4(rightRest)),
    shareLeft,
    shareRight,
  );
}

/** Four columns of four rows, as rows. */
@inline
function storeRows(target: usize, stride: usize, a: v128, b: v128, d: v128, e: v128): void {
  const leftOfAB = v128.shuffle<f32>(a, b, 0, 4, 1, 5), rightOfAB = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const leftOfDE = v128.shuffle<f32>(d, e, 0, 4, 1, 5), rightOfDE = v128.shuffle<f32>(d, e, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<f64>(leftOfAB, leftOfDE, 0, 2));
  v128.store(target + stride, v128.shuffle<f64>(leftOfAB, leftOfDE, 1, 3));
  v128.store(target + 2 * stride, v128.shuffle<f64>(rightOfAB, rightOfDE, 0, 2));
  v128.store(target + 3 * stride, v128.shuffle<f64>(rightOfAB, rightOfDE, 1, 3));
}

@inline
function storeColumn(target: usize, stride: usize, a: v128): void {
  v128.store_lane<f32>(target, a, 0);
  v128.store_lane<f32>(target + stride, a, 1);
  v128.store_lane<f32>(target + 2 * stride, a, 2);
  v128.store_lane<f32>(target + 3 * stride, a, 3);
}

@inline
function outputs(high: usize, low: usize, shareLeft: v128, shareRight: v128): v128 {
  return quotients(loadTotals(high, low), loadTotals(high + 8, low + 8), shareLeft, shareRight);
}

/** Outputs are never −0, since the sign of a sum that is 0 is accidental. */
@inline
function quotients(left: v128, right: v128, shareLeft: v128, shareRight: v128): v128 {
  const outputLeft = f32x4.demote_f64x2_zero(f64x2.mul(left, shareLeft));
  const outputRight = f32x4.demote_f64x2_zero(f64x2.mul(right, shareRight));
  return f32x4.add(v128.shuffle<f64>(outputLeft, outputRight, 0, 2), f32x4.splat(0));
}

/** 1 / l of two rows, the first of which is `lane` bytes into its block; 0 where there is no mass. */
function sharesOf(job: usize, block: i32, lane: usize): v128 {
  const high = massAt(job, block) + lane;
  let masses = loadTotals(high, high - load<usize>(job + HIGH) + load<usize>(job + LOW));
  if (load<f64>(job + SINK) > 0) {
    const shifts = load<usize>(job + SHIFT) + <usize> block * BLOCK_BYTES + lane;
    masses = f64x2.add(masses, sinkOf(job, load<i32>(shifts), load<i32>(shifts, 4)));
  }
  const shares = f64x2.div(f64x2.splat(1), masses);
  return v128.and(shares, f64x2.gt(masses, f64x2.splat(0)));
}

/** The weight of the sink in two rows, under their shifts. */
function sinkOf(job: usize, shift0: i32, shift1: i32): v128 {
  const sink = load<f64>(job + SINK), power = load<i32>(job + SINK_POWER);
  return f64x2.replace_lane(f64x2.splat(sink * powerOfTwo(power - shift0)), 1, sink * powerOfTwo(power - shift1));
}

/** 2^power, for powers within ±1000; those beyond count as that. */
function powerOfTwo(power: i32): f64 {
  const within = max(-1000, min(power, 1000));
  return reinterpret<f64>((<i64> within + 1023) << 52);
}
