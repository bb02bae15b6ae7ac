// Moves rows to another shift: all their sums are multiplied by a power of two, which is exact unless it
// underflows.

import {
  BLOCK_BYTES,
  CEILING,
  COLUMN_BYTES,
  COLUMNS,
  EMPTY_SHIFT,
  HEAVY_POWERS,
  MASS_ERROR,
  OPEN_CEILING,
  ROW_MASK,
  SCRATCH,
  SHIFT,
  SUM_ERROR,
  SUMS,
} from "../job_fields.ts";
import { clamp, roundedPower, ROUNDER_BITS } from "./exponential.ts";
import { loadNarrow, multiplyAdd } from "./lanes.ts";
import { massAt } from "./weights.ts";

/** The error of a row whose sums underflow when it is moved. */
const VANISHING: f32 = 1.1754943508222875e-38;

/** Makes the active rows of a block states over no keys, for which no key is heavy. */
export function clearBlock(job: usize, block: i32): void {
  for (let lane: usize = 0; lane < <usize> BLOCK_BYTES; lane += 16) {
    const rows = <usize> block * BLOCK_BYTES + lane;
    const active = v128.load(load<usize>(job + ROW_MASK) + rows);
    replace(load<usize>(job + SHIFT) + rows, i32x4.splat(EMPTY_SHIFT), active);
    replace(load<usize>(job + CEILING) + rows, i32x4.splat(OPEN_CEILING), active);
    const nothing = f32x4.splat(0);
    replace(load<usize>(job + MASS_ERROR) + rows, nothing, active);
    replace(load<usize>(job + SUM_ERROR) + rows, nothing, active);
    const columns = load<usize>(job + COLUMNS);
    const left = v128.shuffle<f32>(active, active, 0, 0, 1, 1), right = v128.shuffle<f32>(active, active, 2, 2, 3, 3);
    let sums = load<usize>(job + SUMS) + <usize> block * columns * COLUMN_BYTES + 2 * lane;
    for (let c: usize = 0; c < columns; c++, sums += COLUMN_BYTES) {
      replace(sums, nothing, left);
      replace(sums + 16, nothing, right);
    }
  }
}

@inline
function replace(at: usize, by: v128, where: v128): void {
  v128.store(at, v128.bitselect(by, v128.load(at), where));
}

/** Raises the shifts of active rows to the largest power among the scores in the scratch. */
export function raiseShifts(job: usize, block: i32, count: i32): void {
  raiseFour(job, block, 0, count);
  raiseFour(job, block, 16, count);
}

function raiseFour(job: usize, block: i32, lane: usize, count: i32): void {
  let at = load<usize>(job + SCRATCH) + lane;
  const end = at + <usize> count * BLOCK_BYTES;
  let largest = f32x4.splat(-Infinity);
  for (; at < end; at += BLOCK_BYTES) largest = f32x4.pmax(largest, v128.load(at));

  const rows = <usize> block * BLOCK_BYTES + lane;
  const shifts = load<usize>(job + SHIFT) + rows;
  const active = v128.load(load<usize>(job + ROW_MASK) + rows);
  const allowed = v128.and(f32x4.gt(largest, f32x4.splat(-Infinity)), active);
  const power = i32x4.sub(roundedPower(clamp(largest)), i32x4.splat(ROUNDER_BITS));
  const shift = v128.load(shifts);
  const raised = i32x4.max_s(shift, v128.bitselect(power, shift, allowed));
  const difference = i32x4.sub(raised, shift);
  if (!v128.any_true(difference)) return;
  v128.store(shifts, raised);
  scaleFour(job, block, lane, difference);
}

/** Divides all sums and bounds of four rows by 2^difference. */
function scaleFour(job: usize, block: i32, lane: usize, difference: v128): void {
  const power = i32x4.sub(i32x4.splat(127), difference);
  const factor = v128.and(i32x4.shl(power, 23), i32x4.gt_s(power, i32x4.splat(0)));
  const rows = <usize> block * BLOCK_BYTES + lane;
  const moved = i32x4.ne(difference, i32x4.splat(0));
  const lost = v128.and(f32x4.splat(VANISHING), moved);
  const masses = massAt(job, block) + 2 * lane;
  scaleError(load<usize>(job + MASS_ERROR) + rows, factor, f32x4.mul(loadNarrow(masses), lost));
  scaleError(load<usize>(job + SUM_ERROR) + rows, factor, f32x4.mul(loadNarrow(masses + COLUMN_BYTES), lost));
  const columns = load<usize>(job + COLUMNS);
  const left = f64x2.promote_low_f32x4(factor);
  const right = f64x2.promote_low_f32x4(v128.shuffle<f64>(factor, factor, 1, 1));
  let sums = load<usize>(job + SUMS) + <usize> block * columns * COLUMN_BYTES + 2 * lane;
  for (let c: usize = 0; c < columns; c++, sums += COLUMN_BYTES) {
    scale(sums, left);
    scale(sums + 16, right);
  }
}

/** Adding 0 turns −0, which a factor of 0 makes of what is below it, into 0. */
@inline
function scale(at: usize, factor: v128): void {
  v128.store(at, f64x2.add(f64x2.mul(v128.load(at), factor), f64x2.splat(0)));
}

@inline
function scaleError(at: usize, factor: v128, lost: v128): void {
  v128.store(at, multiplyAdd(v128.load(at), factor, lost));
}

/**
 * Sets the ceilings of built rows: HEAVY_POWERS above their masses; below all powers for a row without keys.
 */
export function settleBlock(job: usize, block: i32): void {
  for (let lane: usize = 0; lane < <usize> BLOCK_BYTES; lane += 16) {
    const rows = <usize> block * BLOCK_BYTES + lane;
    const shift = v128.load(load<usize>(job + SHIFT) + rows);
    const mass = loadNarrow(massAt(job, block) + 2 * lane);
    const exponent = i32x4.sub(i32x4.shr_u(mass, 23), i32x4.splat(127));
    const ceiling = i32x4.add(i32x4.add(shift, exponent), i32x4.splat(HEAVY_POWERS));
    const isEmpty = i32x4.eq(shift, i32x4.splat(EMPTY_SHIFT));
    const active = v128.load(load<usize>(job + ROW_MASK) + rows);
    replace(load<usize>(job + CEILING) + rows, v128.bitselect(i32x4.splat(EMPTY_SHIFT), ceiling, isEmpty), active);
  }
}
