// Outputs of rows: o = u / l, of a block as it is, or of one that one or two terms are being added to. Both have
// the same bits, since what is stored is what is divided.

import {
  BLOCK_BYTES,
  BLOCK_ROWS,
  COLUMN_BYTES,
  COLUMNS,
  SCRATCH,
  SHIFT,
  SINK,
  SINK_POWER,
  SUMS,
  VALUE_DIM,
} from "../job_fields.ts";
import { loadNarrow, narrow } from "./lanes.ts";
import { addExactly, addOneExactly } from "./products.ts";
import { massAt, VALUES_AT, WIDE_WEIGHTS_AT } from "./weights.ts";

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
  const sums = load<usize>(job + SUMS) + <usize> block * load<usize>(job + COLUMNS) * COLUMN_BYTES;
  readFour(job, block, 0, sums, target, stride);
  readFour(job, block, 16, sums + 32, target + 4 * stride, stride);
  return isSteepBlock(job, block, steep);
}

/** Whether a row of a block has mass and a shift of `steep` or more either way. */
export function isSteepBlock(job: usize, block: i32, steep: i32): bool {
  const mass = massAt(job, block), shifts = load<usize>(job + SHIFT) + <usize> block * BLOCK_BYTES;
  const left = areSteep(v128.load(shifts), loadNarrow(mass), steep);
  return v128.any_true(v128.or(left, areSteep(v128.load(shifts, 16), loadNarrow(mass + 32), steep)));
}

@inline
function areSteep(shifts: v128, masses: v128, steep: i32): v128 {
  const isFar = i32x4.ge_s(i32x4.abs(shifts), i32x4.splat(steep));
  return v128.and(isFar, f32x4.gt(masses, f32x4.splat(0)));
}

/** Reads four rows, four columns at a time; it divides in float64. */
@inline
function readFour(job: usize, block: i32, lane: usize, sums: usize, target: usize, stride: usize): void {
  const shareLeft = sharesOf(job, block, lane), shareRight = sharesOf(job, block, lane + 8);
  const end = target + (load<usize>(job + VALUE_DIM) << 2), lastFour = end - 16;
  for (; target <= lastFour; target += 16, sums += 4 * COLUMN_BYTES) {
    const a = outputs(sums, shareLeft, shareRight);
    const b = outputs(sums + COLUMN_BYTES, shareLeft, shareRight);
    const d = outputs(sums + 2 * COLUMN_BYTES, shareLeft, shareRight);
    const e = outputs(sums + 3 * COLUMN_BYTES, shareLeft, shareRight);
    storeRows(target, stride, a, b, d, e);
  }
  for (; target < end; target += 4, sums += COLUMN_BYTES) {
    storeColumn(target, stride, outputs(sums, shareLeft, shareRight));
  }
}

/**
 * Adds the one or two terms that are left of a chunk, whose weights are in the scratch in float64, to all rows
 * of a block, as `addExactly` does, and reads them, as `readBlock` does: sums go through memory once.
 */
export function addAndRead(job: usize, block: i32, left: i32, target: usize, stride: usize): void {
  const valueDim = load<usize>(job + VALUE_DIM), values = load<usize>(job + SCRATCH) + VALUES_AT;
  const weights = load<usize>(job + SCRATCH) + WIDE_WEIGHTS_AT, column = valueDim << 2;
  const sums = load<usize>(job + SUMS) + <usize> block * load<usize>(job + COLUMNS) * COLUMN_BYTES;
  const mass = sums + valueDim * COLUMN_BYTES, far = target + 4 * stride;
  if (left == 1) {
    addOneExactly(weights, load<usize>(values) + column, 2, mass);
    addAndReadFour(job, block, 0, weights, values, false, sums, target, stride);
    addAndReadFour(job, block, 16, weights + 32, values, false, sums + 32, far, stride);
    return;
  }
  addExactly(weights, values, column, 2, 2, mass);
  addAndReadFour(job, block, 0, weights, values, true, sums, target, stride);
  addAndReadFour(job, block, 16, weights + 32, values, true, sums + 32, far, stride);
}

/** Bytes from the weights of a term to those of the next one. */
const NEXT: usize = 2 * BLOCK_BYTES;

@inline
function addAndReadFour(
  job: usize,
  block: i32,
  lane: usize,
  weights: usize,
  values: usize,
  areTwo: bool,
  sums: usize,
  target: usize,
  stride: usize,
): void {
  const left = v128.load(weights), right = v128.load(weights, 16);
  const left1 = areTwo ? v128.load(weights, NEXT) : left, right1 = areTwo ? v128.load(weights, NEXT + 16) : right;
  const shareLeft = sharesOf(job, block, lane), shareRight = sharesOf(job, block, lane + 8);
  let at = load<usize>(values), at1 = areTwo ? load<usize>(values, 4) : 0;
  const end = target + (load<usize>(job + VALUE_DIM) << 2), lastFour = end - 16;
  for (; target <= lastFour; target += 16, sums += 4 * COLUMN_BYTES) {
    let factor = f64x2.splat(<f64> load<f32>(at)), factor1 = areTwo ? f64x2.splat(<f64> load<f32>(at1)) : factor;
    const a = added(sums, left, right, factor, left1, right1, factor1, areTwo, shareLeft, shareRight);
    factor = f64x2.splat(<f64> load<f32>(at, 4));
    if (areTwo) factor1 = f64x2.splat(<f64> load<f32>(at1, 4));
    const b = added(sums + COLUMN_BYTES, left, right, factor, left1, right1, factor1, areTwo, shareLeft, shareRight);
    factor = f64x2.splat(<f64> load<f32>(at, 8));
    if (areTwo) factor1 = f64x2.splat(<f64> load<f32>(at1, 8));
    const d = added(sums + 2 * COLUMN_BYTES, left, right, factor, left1, right1, factor1, areTwo, shareLeft, shareRight);
    factor = f64x2.splat(<f64> load<f32>(at, 12));
    if (areTwo) factor1 = f64x2.splat(<f64> load<f32>(at1, 12));
    const e = added(sums + 3 * COLUMN_BYTES, left, right, factor, left1, right1, factor1, areTwo, shareLeft, shareRight);
    storeRows(target, stride, a, b, d, e);
    at += 16;
    if (areTwo) at1 += 16;
  }
  for (; target < end; at += 4, at1 += 4, target += 4, sums += COLUMN_BYTES) {
    const factor = f64x2.splat(<f64> load<f32>(at)), factor1 = areTwo ? f64x2.splat(<f64> load<f32>(at1)) : factor;
    storeColumn(target, stride, added(sums, left, right, factor, left1, right1, factor1, areTwo, shareLeft, shareRight));
  }
}

/** Adds one or two terms to one column of four rows, and divides what is stored. */
@inline
function added(
  sums: usize,
  left: v128,
  right: v128,
  factor: v128,
  left1: v128,
  right1: v128,
  factor1: v128,
  areTwo: bool,
  shareLeft: v128,
  shareRight: v128,
): v128 {
  let termLeft = f64x2.mul(left, factor), termRight = f64x2.mul(right, factor);
  if (areTwo) {
    termLeft = f64x2.add(termLeft, f64x2.mul(left1, factor1));
    termRight = f64x2.add(termRight, f64x2.mul(right1, factor1));
  }
  const sumLeft = f64x2.add(v128.load(sums), termLeft), sumRight = f64x2.add(v128.load(sums, 16), termRight);
  v128.store(sums, sumLeft);
  v128.store(sums, sumRight, 16);
  return quotients(sumLeft, sumRight, shareLeft, shareRight);
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
function storeColumn(target: usize, stride: usize, column: v128): void {
  v128.store_lane<f32>(target, column, 0);
  v128.store_lane<f32>(target + stride, column, 1);
  v128.store_lane<f32>(target + 2 * stride, column, 2);
  v128.store_lane<f32>(target + 3 * stride, column, 3);
}

@inline
function outputs(sums: usize, shareLeft: v128, shareRight: v128): v128 {
  return quotients(v128.load(sums), v128.load(sums, 16), shareLeft, shareRight);
}

/** Outputs are never −0, since the sign of a sum that is 0 is accidental. */
@inline
function quotients(left: v128, right: v128, shareLeft: v128, shareRight: v128): v128 {
  return f32x4.add(narrow(f64x2.mul(left, shareLeft), f64x2.mul(right, shareRight)), f32x4.splat(0));
}

/** 1 / l of two rows, the first of which is `lane` bytes into its block; 0 where there is no mass. */
function sharesOf(job: usize, block: i32, lane: usize): v128 {
  let masses = v128.load(massAt(job, block) + 2 * lane);
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
