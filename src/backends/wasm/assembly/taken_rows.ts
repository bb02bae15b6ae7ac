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
import { loadNarrow } from "./lanes.ts";
import { ask, constant, LARGEST, oddRows, promoteHigh, take, TINY, UP } from "./certificate_tables.ts";

/**
 * Takes the states of those of `rows`, bits, in `count` blocks from `first` on: constants of their bounds.
 * Begins their sums. Returns the odd ones; rows whose shift is `steep` or more either way are.
 */
export function takeRows(job: usize, tile: usize, first: i32, count: i32, rows: i32, steep: i32): i32 {
  let odd = 0;
  for (let block = first; block < first + count; block++, tile += field.TILE_BLOCK_BYTES) {
    ask(tile, rows >> ((block - first) << 3));
    takeHalf(job, tile, block, 0, steep);
    takeHalf(job, tile, block, 16, steep);
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

function takeHalf(job: usize, tile: usize, block: i32, lane: usize, steep: i32): void {
  const rows = <usize> block * BLOCK_BYTES + lane, at = tile + lane;
  const valueDim = load<usize>(job + VALUE_DIM), headDim = load<usize>(job + HEAD_DIM);
  const sums = load<usize>(job + SUMS) + <usize> block * load<usize>(job + COLUMNS) * COLUMN_BYTES + 2 * lane;
  const massAt = valueDim * COLUMN_BYTES, masses = loadNarrow(sums + massAt);
  const left = f64x2.div(f64x2.splat(1), v128.load(sums + massAt));
  const right = f64x2.div(f64x2.splat(1), v128.load(sums + massAt, 16));
  const share = join(left, right);

  let squareLeft = f64x2.splat(0), squareRight = f64x2.splat(0);
  for (let c: usize = 0; c < massAt; c += COLUMN_BYTES) {
    const a = f64x2.mul(v128.load(sums + c), left), b = f64x2.mul(v128.load(sums + c, 16), right);
    squareLeft = f64x2.add(squareLeft, f64x2.mul(a, a));
    squareRight = f64x2.add(squareRight, f64x2.mul(b, b));
  }
  const norm = join(f64x2.sqrt(squareLeft), f64x2.sqrt(squareRight));
  squareLeft = f64x2.splat(0);
  squareRight = f64x2.splat(0);
  const query = load<usize>(job + QUERIES) + <usize> block * headDim * BLOCK_BYTES + lane;
  for (let c: usize = 0; c < headDim * BLOCK_BYTES; c += BLOCK_BYTES) {
    const numbers = v128.load(query + c);
    const a = f64x2.promote_low_f32x4(numbers), b = promoteHigh(numbers);
    squareLeft = f64x2.add(squareLeft, f64x2.mul(a, a));
    squareRight = f64x2.add(squareRight, f64x2.mul(b, b));
  }
  const scale = f64x2.splat(<f64> abs(load<f32>(job + SCALE)));
  const reach = join(f64x2.mul(scale, f64x2.sqrt(squareLeft)), f64x2.mul(scale, f64x2.sqrt(squareRight)));
  const up = constant(UP), tiny = constant(TINY);
  const massError = f32x4.mul(f32x4.mul(v128.load(load<usize>(job + MASS_ERROR) + rows), share), up);
  const sumError = f32x4.mul(f32x4.mul(v128.load(load<usize>(job + SUM_ERROR) + rows), share), up);

  const asked = v128.load(at, field.ASKED), largest = constant(LARGEST);
  const shift = v128.load(load<usize>(job + SHIFT) + rows);
  let plain = v128.and(f32x4.gt(masses, f32x4.splat(0)), i32x4.ne(shift, i32x4.splat(EMPTY_SHIFT)));
  plain = v128.and(plain, i32x4.lt_s(i32x4.abs(shift), i32x4.splat(steep)));
  plain = v128.and(plain, v128.and(f32x4.lt(share, largest), f32x4.lt(reach, largest)));
  plain = v128.and(plain, v128.and(f32x4.lt(norm, largest), f32x4.lt(f32x4.add(massError, sumError), largest)));
  take(at + field.SHARE, share, asked);
  take(at + field.REACH, f32x4.mul(reach, up), asked);
  take(at + field.NORM, f32x4.add(f32x4.mul(norm, up), tiny), asked);
  take(at + field.MASS_ERROR_SHARE, massError, asked);
  take(at + field.SUM_ERROR_SHARE, sumError, asked);
  take(at + field.ODD, v128.not(plain), asked);
  v128.store(at, i32x4.sub(v128.load(at, field.AGE), asked), field.AGE);
}

@inline
function join(left: v128, right: v128): v128 {
  return v128.shuffle<f64>(f32x4.demote_f64x2_zero(left), f32x4.demote_f64x2_zero(right), 0, 2);
}
