// Weights of a chunk of terms: a = exp(score) · 2^−shift, negated if the term is subtracted. A heavy key, one
// whose weight is above the row's ceiling, gets the weight 0 and is reported instead. Whether a key is heavy
// depends on its score, the shift and the ceiling alone, and only a build changes the ceiling: a key that was
// heavy when it was added is heavy when it is removed.

import {
  BLOCK_BYTES,
  BLOCK_ROWS,
  CEILING,
  CHUNK_TERMS,
  COLUMN_BYTES,
  COLUMNS,
  EVENT_BYTES,
  EVENT_COUNT,
  EVENT_COUNTS,
  EVENTS,
  MASS_ERROR,
  ROW_EVENTS,
  ROW_MASK,
  SCRATCH,
  SHIFT,
  SUMS,
  TERM_SIGNS,
  TERM_VALUES,
  VALUE_DIM,
} from "../job_fields.ts";
import { clamp, mantissa, roundedPower, ROUNDER_BITS } from "./exponential.ts";
import { loadNarrow } from "./lanes.ts";

/**
 * In memory, as in exponential.ts: the least weight for which rounding is charged, 2^−78. The smallest
 * charge, 2^−47 of it, exceeds the loss by underflow, 2^−126.
 */
const LEAST_CHARGE: usize = memory.data<f32>([3.308722450212111e-24]);
/** Weights below 2^−125 are 0. */
const SMALLEST_POWER: i32 = -125;
const NOTHING: usize = memory.data<f32>([-Infinity]);

/**
 * Offsets in the scratch: scores, weights, then charged mass, charged magnitude and the largest term of each,
 * by row; then the values and weights that are left once shared-value pairs are joined, weights in float64.
 */
export const WEIGHTS_AT: usize = CHUNK_TERMS * BLOCK_BYTES;
export const CHARGES_AT: usize = 2 * CHUNK_TERMS * BLOCK_BYTES;
export const VALUES_AT: usize = CHARGES_AT + 4 * BLOCK_BYTES;
export const WIDE_WEIGHTS_AT: usize = VALUES_AT + 4 * CHUNK_TERMS;

/**
 * Turns the scores in the scratch into the weights of `count` terms, of which the first `pairs` pairs share a
 * score each; returns the rows, one bit for each, in which one of the terms is a large part.
 */
export function weighChunk(job: usize, block: i32, first: i32, count: i32, pairs: i32): i32 {
  const left = weighHalf(job, block, 0, first, count, pairs);
  const right = weighHalf(job, block, 16, first, count, pairs);
  if (left || right) reportHeavy(job, block, first, count, pairs);
  return peakedRows(job, block, 0) | (peakedRows(job, block, 16) << 4);
}

/**
 * Those of four rows in which a term is a large part of the mass or the magnitude. This depends on the row's
 * own numbers alone.
 */
@inline
function peakedRows(job: usize, block: i32, lane: usize): i32 {
  const charges = load<usize>(job + SCRATCH) + CHARGES_AT + lane, mass = massAt(job, block) + 2 * lane;
  const inMagnitude = arePeakedIn(charges + BLOCK_BYTES, mass + COLUMN_BYTES);
  return i32x4.bitmask(v128.or(arePeakedIn(charges, mass), inMagnitude));
}

/** Weights of four rows, all 0 if none of them is active. Returns whether there is a heavy key. */
function weighHalf(job: usize, block: i32, lane: usize, first: i32, count: i32, pairs: i32): bool {
  const rows = <usize> block * BLOCK_BYTES + lane;
  if (!v128.any_true(v128.load(load<usize>(job + ROW_MASK) + rows))) {
    const start = load<usize>(job + SCRATCH) + lane;
    clearRows(start + WEIGHTS_AT, count);
    clearRows(start + CHARGES_AT, 4);
    return false;
  }
  if (!v128.any_true(weighFour(job, rows, lane, first, count, pairs, false))) return false;
  weighFour(job, rows, lane, first, count, pairs, true);
  return true;
}

@inline
function clearRows(at: usize, count: i32): void {
  const nothing = f32x4.splat(0);
  for (const end = at + <usize> count * BLOCK_BYTES; at < end; at += BLOCK_BYTES) v128.store(at, nothing);
}

/** Lanes in which a term is a quarter or more of the row's next mass or, one field further, magnitude. */
@inline
function arePeakedIn(charges: usize, held: usize): v128 {
  const whole = f32x4.add(v128.load(charges), f32x4.abs(loadNarrow(held)));
  const largest = v128.load(charges, 2 * BLOCK_BYTES);
  return f32x4.gt(f32x4.mul(largest, f32x4.splat(4)), whole);
}

/** The address of the masses of a block; the magnitudes follow. */
@inline
export function massAt(job: usize, block: i32): usize {
  const column = <usize> block * load<usize>(job + COLUMNS) + load<usize>(job + VALUE_DIM);
  return load<usize>(job + SUMS) + column * COLUMN_BYTES;
}

/**
 * Four rows, whose numbers start `rows` bytes into those of all rows and `lane` bytes into those of the
 * block. Returns the lanes that may have a heavy key. Heavy keys are rare, so the loop only detects them, and
 * is run again, with `hasHeavy`, if there is one.
 */
@inline
function weighFour(job: usize, rows: usize, lane: usize, first: i32, count: i32, pairs: i32, hasHeavy: bool): v128 {
  const shift = v128.load(load<usize>(job + SHIFT) + rows);
  const active = v128.load(load<usize>(job + ROW_MASK) + rows);
  const origin = i32x4.add(shift, i32x4.splat(ROUNDER_BITS));
  const ceiling = i32x4.sub(v128.load(load<usize>(job + CEILING) + rows), shift);
  const most = v128.bitselect(ceiling, i32x4.splat(i32.MAX_VALUE), active);
  const least = v128.bitselect(i32x4.splat(SMALLEST_POWER), i32x4.splat(i32.MAX_VALUE), active);
  const magnitudeAt: usize = (load<usize>(job + VALUE_DIM) + 1) << 2;
  const charges = load<usize>(job + SCRATCH) + lane;
  let at = charges, target = charges + WEIGHTS_AT;
  const pairsEnd = at + <usize> pairs * BLOCK_BYTES, end = at + <usize> (count - pairs) * BLOCK_BYTES;
  let signs = load<usize>(job + TERM_SIGNS) + (<usize> first << 2);
  let values = load<usize>(job + TERM_VALUES) + (<usize> first << 2);
  let mass = f32x4.splat(0), magnitude = f32x4.splat(0), largest = f32x4.splat(0), widest = f32x4.splat(0);
  let highest = i32x4.splat(i32.MIN_VALUE);
  for (; at < end; at += BLOCK_BYTES) {
    const score = v128.load(at);
    const clamped = clamp(score);
    const rounded = roundedPower(clamped);
    const power = i32x4.sub(rounded, origin);
    highest = i32x4.max_s(highest, power);
    // Only −∞ gets the weight 0; NaN must be passed on.
    let held = v128.and(i32x4.ge_s(power, least), f32x4.ne(score, v128.load32_splat(NOTHING)));
    if (hasHeavy) held = v128.andnot(held, i32x4.gt_s(power, most));
    const weight = v128.and(i32x4.add(mantissa(clamped, rounded), i32x4.shl(power, 23)), held);
    const charged = f32x4.pmax(weight, v128.load32_splat(LEAST_CHARGE));
    largest = f32x4.pmax(largest, weight);
    if (at < pairsEnd) {
      const size = f32x4.mul(charged, v128.load32_splat(load<usize>(values) + magnitudeAt));
      mass = f32x4.add(mass, charged);
      widest = f32x4.pmax(widest, size);
      magnitude = f32x4.add(magnitude, size);
      v128.store(target, v128.xor(weight, v128.load32_splat(signs)));
      signs += 4;
      values += 4;
      target += BLOCK_BYTES;
    }
    const size = f32x4.mul(charged, v128.load32_splat(load<usize>(values) + magnitudeAt));
    mass = f32x4.add(mass, charged);
    widest = f32x4.pmax(widest, size);
    magnitude = f32x4.add(magnitude, size);
    v128.store(target, v128.xor(weight, v128.load32_splat(signs)));
    signs += 4;
    values += 4;
    target += BLOCK_BYTES;
  }
  v128.store(charges, mass, CHARGES_AT);
  v128.store(charges, magnitude, CHARGES_AT + BLOCK_BYTES);
  v128.store(charges, largest, CHARGES_AT + 2 * BLOCK_BYTES);
  v128.store(charges, widest, CHARGES_AT + 3 * BLOCK_BYTES);
  return i32x4.gt_s(highest, most);
}

/**
 * Writes an event for each heavy term of a row to the row's list, in the order of terms; a row whose list is
 * full is not trusted any more.
 */
function reportHeavy(job: usize, block: i32, first: i32, count: i32, pairs: i32): void {
  const scores = load<usize>(job + SCRATCH);
  for (let t = 0; t < count; t++) {
    const key = t < 2 * pairs ? t >> 1 : t - pairs;
    for (let lane = 0; lane < BLOCK_ROWS; lane++) {
      const row = block * BLOCK_ROWS + lane;
      const score = load<f32>(scores + <usize> (key * BLOCK_ROWS + lane) * 4);
      if (score == -Infinity || rowNumber(job, ROW_MASK, row) == 0) continue;
      const rounded = roundedPower(clamp(f32x4.splat(score)));
      const power = i32x4.extract_lane(rounded, 0) - ROUNDER_BITS;
      const shift = rowNumber(job, SHIFT, row);
      if (power - shift <= rowNumber(job, CEILING, row) - shift) continue;
      const events = rowNumber(job, EVENT_COUNTS, row);
      if (events == ROW_EVENTS) {
        store<f32>(load<usize>(job + MASS_ERROR) + (<usize> row << 2), Infinity);
        continue;
      }
      const event = load<usize>(job + EVENTS) + <usize> (row * ROW_EVENTS + events) * EVENT_BYTES;
      store<i32>(event, first + t);
      store<f32>(event, score, 4);
      store<i32>(load<usize>(job + EVENT_COUNTS) + (<usize> row << 2), events + 1);
      store<u32>(job + EVENT_COUNT, load<u32>(job + EVENT_COUNT) + 1);
    }
  }
}

/** Empties the lists of events of a block. */
export function clearEvents(job: usize, block: i32): void {
  const counts = load<usize>(job + EVENT_COUNTS) + <usize> block * BLOCK_BYTES, none = i32x4.splat(0);
  v128.store(counts, none);
  v128.store(counts, none, 16);
}

@inline
function rowNumber(job: usize, field: usize, row: i32): i32 {
  return load<i32>(load<usize>(job + field) + (<usize> row << 2));
}
