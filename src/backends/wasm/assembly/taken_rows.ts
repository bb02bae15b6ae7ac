// The states of rows as certificates take them: what all keys that change later are held against. Sums begin
// at 0.

import {
  BLOCK_BYTES,
  COLUMN_BYTES,
  COLUMNS,
  EMPTY_SHIFT,
  HEAD_DIM,
  MASS_ERROR,
  QUERIES,
  SCALE,
  SHIFT,
  SUM_ERROR,
  SUMS,
  VALUE_DIM,
} from "../job_fields.ts";
import * as field from "../certificate_fields.ts";
import { loadNarrow, loadWide, narrow } from "./lanes.ts";
import { ask, constant, LARGEST, oddRows, take, TINY, UP } from "./certificate_tables.ts";

/** The rounding of the division that gives o, 2^−50, in memory as in exponential.ts. */
const DIVISION: usize = memory.data<f64>([1.0 / 1125899906842624]);

/**
 * Takes the states of those of `rows`, bits, in `count` blocks from `first` on: constants of their bounds.
 * Begins their sums. The queries of `measured` are those that were measured before. Returns the odd ones; rows whose
 * shift is `steep` or more either way are.
 */
export function takeRows(
  job: usize,
  tile: usize,
  first: i32,
  count: i32,
  rows: i32,
  measured: i32,
  steep: i32,
): i32 {
  let odd = 0;
  for (let block = first; block < first + count; block++, tile += field.TILE_BLOCK_BYTES) {
    const asked = rows >> ((block - first) << 3) & 0xff;
    if (asked == 0) continue;
    ask(tile, asked);
    const unmeasured = asked & ~(measured >> ((block - first) << 3));
    if ((asked & 0xf) != 0) takeHalf(job, tile, block, 0, (unmeasured & 0xf) == 0, steep);
    if (asked > 0xf) takeHalf(job, tile, block, 16, unmeasured <= 0xf, steep);
    for (let at: usize = 0; at < 64; at += 16) {
      const isKept = v128.not(widened(load<u64>(tile + field.ASKED + (at >> 1))));
      for (let sum: usize = 0; sum <= <usize> field.WEIGHT_PEAK; sum += 64) {
        v128.store(tile + sum + at, v128.and(v128.load(tile + sum + at), isKept));
      }
    }
    odd |= oddRows(tile) << ((block - first) << 3);
  }
  return odd & rows;
}

/** A mask of two lanes of 64 bits from one of 32. */
@inline
function widened(mask: u64): v128 {
  const both = i64x2.splat(<i64> mask);
  return i64x2.extend_low_i32x4_s(both);
}

function takeHalf(job: usize, tile: usize, block: i32, lane: usize, isMeasured: bool, steep: i32): void {
  const rows = <usize> block * BLOCK_BYTES + lane, at = tile + lane;
  const valueDim = load<usize>(job + VALUE_DIM), headDim = load<usize>(job + HEAD_DIM);
  const sums = load<usize>(job + SUMS) + <usize> block * load<usize>(job + COLUMNS) * COLUMN_BYTES + 2 * lane;
  const massAt = valueDim * COLUMN_BYTES, masses = loadNarrow(sums + massAt);
  const left = f64x2.div(f64x2.splat(1), v128.load(sums + massAt));
  const right = f64x2.div(f64x2.splat(1), v128.load(sums + massAt, 16));
  const share = narrow(left, right);

  const norm = sumNorms(sums, valueDim, left, right);
  const up = constant(UP), tiny = constant(TINY);
  let reach = v128.load(at, field.REACH);
  if (!isMeasured) {
    const query = load<usize>(job + QUERIES) + <usize> block * headDim * BLOCK_BYTES + lane;
    const scale = f64x2.splat(<f64> abs(load<f32>(job + SCALE)));
    reach = f32x4.mul(norms(query, headDim, scale, scale), up);
  }
  const massError = f32x4.mul(f32x4.mul(v128.load(load<usize>(job + MASS_ERROR) + rows), share), up);
  const sumError = f32x4.mul(f32x4.mul(v128.load(load<usize>(job + SUM_ERROR) + rows), share), up);

  const asked = v128.load(at, field.ASKED), largest = constant(LARGEST);
  const shift = v128.load(load<usize>(job + SHIFT) + rows);
  let plain = v128.and(f32x4.gt(masses, f32x4.splat(0)), i32x4.ne(shift, i32x4.splat(EMPTY_SHIFT)));
  plain = v128.and(plain, i32x4.lt_s(i32x4.abs(shift), i32x4.splat(steep)));
  plain = v128.and(plain, v128.and(f32x4.lt(share, largest), f32x4.lt(reach, largest)));
  plain = v128.and(plain, v128.and(f32x4.lt(norm, largest), f32x4.lt(f32x4.add(massError, sumError), largest)));
  take(at + field.SHARE, share, asked);
  take(at + field.REACH, reach, asked);
  take(at + field.NORM, f32x4.add(f32x4.mul(norm, up), tiny), asked);
  take(at + field.MASS_ERROR_SHARE, massError, asked);
  take(at + field.SUM_ERROR_SHARE, sumError, asked);
  take(at + field.ODD, v128.not(plain), asked);
  const rootDim = f64x2.splat(sqrt(<f64> valueDim)), length = v128.load(at, field.NORM);
  roundTwo(at + lane, sumError, length, massError, asked, rootDim);
  roundTwo(at + lane + 16, highTwo(sumError), highTwo(length), highTwo(massError), highTwo(asked), rootDim);
  v128.store(at, i32x4.sub(v128.load(at, field.AGE), asked), field.AGE);
}

/** Norms of sums of four rows over `count` columns, times factors of two rows each. */
function sumNorms(at: usize, count: usize, left: v128, right: v128): v128 {
  const end = at + count * COLUMN_BYTES, twosEnd = at + (count & ~1) * COLUMN_BYTES;
  let left0 = f64x2.splat(0), right0 = left0, left1 = left0, right1 = left0;
  for (; at < twosEnd; at += 2 * COLUMN_BYTES) {
    const a = v128.load(at), b = v128.load(at, 16), c = v128.load(at + COLUMN_BYTES), d = v128.load(at + COLUMN_BYTES, 16);
    left0 = f64x2.add(left0, f64x2.mul(a, a));
    right0 = f64x2.add(right0, f64x2.mul(b, b));
    left1 = f64x2.add(left1, f64x2.mul(c, c));
    right1 = f64x2.add(right1, f64x2.mul(d, d));
  }
  if (at < end) {
    const a = v128.load(at), b = v128.load(at, 16);
    left0 = f64x2.add(left0, f64x2.mul(a, a));
    right0 = f64x2.add(right0, f64x2.mul(b, b));
  }
  left0 = f64x2.mul(f64x2.sqrt(f64x2.add(left0, left1)), left);
  return narrow(left0, f64x2.mul(f64x2.sqrt(f64x2.add(right0, right1)), right));
}

/** Norms of four rows of `count` numbers, times factors of two rows each. Additions of one sum do not wait for another. */
function norms(at: usize, count: usize, left: v128, right: v128): v128 {
  const end = at + count * BLOCK_BYTES, twosEnd = at + (count & ~1) * BLOCK_BYTES;
  let left0 = f64x2.splat(0), right0 = left0, left1 = left0, right1 = left0;
  for (; at < twosEnd; at += 2 * BLOCK_BYTES) {
    const a = loadWide(at), b = loadWide(at + 8), c = loadWide(at + BLOCK_BYTES), d = loadWide(at + BLOCK_BYTES + 8);
    left0 = f64x2.add(left0, f64x2.mul(a, a));
    right0 = f64x2.add(right0, f64x2.mul(b, b));
    left1 = f64x2.add(left1, f64x2.mul(c, c));
    right1 = f64x2.add(right1, f64x2.mul(d, d));
  }
  if (at < end) {
    const a = loadWide(at), b = loadWide(at + 8);
    left0 = f64x2.add(left0, f64x2.mul(a, a));
    right0 = f64x2.add(right0, f64x2.mul(b, b));
  }
  left0 = f64x2.mul(f64x2.sqrt(f64x2.add(left0, left1)), left);
  return narrow(left0, f64x2.mul(f64x2.sqrt(f64x2.add(right0, right1)), right));
}

/** The two high ones of four numbers. */
@inline
function highTwo(numbers: v128): v128 {
  return v128.shuffle<f64>(numbers, numbers, 1, 1);
}

/** Writes what rounding the sums of two rows did to o, and to the share of the mass that is hidden. */
@inline
function roundTwo(at: usize, sumError: v128, norm: v128, massError: v128, asked: v128, rootDim: v128): void {
  const isAsked = i64x2.extend_low_i32x4_s(asked), ofMass = f64x2.promote_low_f32x4(massError);
  const wide = f64x2.promote_low_f32x4(norm);
  const ofSums = f64x2.add(f64x2.mul(rootDim, f64x2.promote_low_f32x4(sumError)), f64x2.mul(wide, ofMass));
  const fixed = f64x2.add(f64x2.add(ofSums, ofSums), f64x2.mul(wide, v128.load64_splat(DIVISION)));
  const doubt = f64x2.add(v128.load(at, field.WEIGHT_DOUBT), f64x2.add(ofMass, ofMass));
  take(at + field.FIXED, fixed, isAsked);
  take(at + field.MASS_DOUBT, doubt, isAsked);
}
