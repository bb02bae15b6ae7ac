// Bounds of rows from the sums of what changed keys can do to them: those of `numerics/staleness_bound.ts`.

import { VALUE_DIM } from "../job_fields.ts";
import * as field from "../certificate_fields.ts";

/**
 * Constants of the loop are in memory, as in exponential.ts: 1; SLACK = 2^−40 as in `numerics/staleness_bound.ts`; 1 +
 * SLACK; the rounding to float32, u = 2^−24, as 1 + u and 2u; 2^−10 and 2^−20, shares from which on sums are worn.
 */
const TABLE: usize = memory.data<f64>([
  1,
  1.0 / 1099511627776,
  1 + 1.0 / 1099511627776,
  1 + 1.0 / 16777216,
  2.0 / 16777216,
  1.0 / 1024,
  1.0 / 1048576,
]);
const ONE: usize = 0, SLACK: usize = 8, UP: usize = 16, PRINTED: usize = 24, PRINTING: usize = 32;
const WORN: usize = 40, WORN_WEIGHTS: usize = 48;
/** Rounding a number to float32 where it is subnormal, 2^−150. */
const SUBNORMAL_ROUNDING: f64 = 7.006492321624085e-46;

@inline
function constant(at: usize): v128 {
  return v128.load64_splat(TABLE + at);
}

/**
 * Bounds of the rows of `count` blocks: those of `numerics/staleness_bound.ts`, with what was rounded in the
 * sums, in the states and in printing. Returns the rows, as bits, whose sums hold too much of what was taken
 * out of them.
 */
export function boundRows(job: usize, tile: usize, count: i32, question: usize): i32 {
  const printed = sqrt(<f64> load<i32>(job + VALUE_DIM)) * SUBNORMAL_ROUNDING;
  let worn = 0, target = tile + field.BOUNDS;
  for (let block = 0; block < count; block++, tile += field.TILE_BLOCK_BYTES) {
    for (let at: usize = 0; at < 64; at += 16, target += 16) {
      worn |= boundTwo(tile + at, tile + field.NORM + (at >> 1), question, printed, target) << ((block << 3) + <i32> (at >> 3));
    }
  }
  return worn;
}

@inline
function boundTwo(sums: usize, norms: usize, question: usize, subnormal: f64, target: usize): i32 {
  const one = constant(ONE);
  const diameter = v128.load64_splat(question, field.WIDE_DIAMETER), rounded = v128.load64_splat(question, field.EXCHANGED);
  const norm = f64x2.promote_low_f32x4(v128.load64_zero(norms));
  const massDoubt = v128.load(sums, field.MASS_DOUBT), grown = f64x2.add(one, massDoubt);
  const ledger = f64x2.add(f64x2.mul(v128.load(sums, field.VARIATION), diameter), v128.load(sums, field.FIXED));
  const ofMoved = f64x2.mul(rounded, v128.load(sums, field.MOVED_PEAK));
  const ofWeights = f64x2.mul(rounded, v128.load(sums, field.WEIGHT_PEAK));
  const held = v128.load(sums, field.MOVED), plus = v128.load(sums, field.GAINED), minus = v128.load(sums, field.LOST);
  const uncertain = f64x2.add(v128.load(sums, field.DOUBT), ofWeights);
  const doubt = f64x2.mul(uncertain, grown);
  const weights = f64x2.mul(f64x2.add(f64x2.add(plus, minus), uncertain), grown);
  const moved = f64x2.add(f64x2.mul(f64x2.add(held, ofMoved), grown), f64x2.mul(weights, ledger));
  const shifted = f64x2.mul(f64x2.add(v128.load(sums, field.SHIFTED), ofMoved), grown);
  const gained = f64x2.add(f64x2.mul(plus, grown), doubt), lost = f64x2.add(f64x2.mul(minus, grown), doubt);
  const both = f64x2.add(gained, lost), hidden = f64x2.add(doubt, f64x2.mul(massDoubt, weights));
  let least = f64x2.sub(f64x2.sub(f64x2.add(one, gained), lost), f64x2.add(hidden, hidden));
  least = f64x2.sub(least, f64x2.mul(constant(SLACK), f64x2.add(one, both)));
  const share = f64x2.div(one, least);
  const variation = f64x2.pmin(one, f64x2.pmax(f64x2.pmin(gained, f64x2.mul(gained, share)), lost));
  const byMeans = f64x2.add(f64x2.mul(variation, diameter), f64x2.mul(shifted, share));
  let stale = f64x2.pmin(f64x2.mul(f64x2.pmin(f64x2.mul(moved, share), byMeans), constant(UP)), diameter);
  stale = v128.bitselect(stale, f64x2.pmax(diameter, f64x2.add(norm, ledger)), f64x2.gt(least, f64x2.splat(0)));
  // These are rows of which nothing was ever exchanged.
  const isTouched = f64x2.gt(f64x2.add(v128.load(sums, field.MOVED_PEAK), v128.load(sums, field.WEIGHT_PEAK)), f64x2.splat(0));
  stale = v128.and(stale, isTouched);
  const bound = f64x2.mul(f64x2.add(stale, ledger), constant(PRINTED));
  const printed = f64x2.add(f64x2.mul(norm, constant(PRINTING)), f64x2.splat(subnormal));
  v128.store(target, f64x2.add(bound, printed));
  const isWorn = f64x2.gt(ofMoved, f64x2.add(f64x2.mul(held, constant(WORN)), ledger));
  return i64x2.bitmask(v128.or(isWorn, f64x2.gt(ofWeights, f64x2.mul(f64x2.add(one, f64x2.add(plus, minus)), constant(WORN_WEIGHTS)))));
}
