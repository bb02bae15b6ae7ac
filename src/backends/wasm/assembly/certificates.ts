// What changed keys can do to the outputs of rows, in float32 with all its roundings charged:
// docs/internals/certificates.md has the formulas. For each row and key a bound on ‖u(v' − o) − w(v − o)‖ is added
// to the row's sums, with the change u − w of the weight, and what the key had in them before is taken out.
//
// With Δ the difference of the scores and c = u − w = w(e^Δ − 1), the vector is c(v − o) + u(v' − v). Scores are
// not subtracted, but Δ = scale · q·(k' − k), so that a small change has a small error.

import {
  AFTER as AFTER_DISTANCE,
  BEFORE,
  BLOCK_BYTES,
  COLUMNS,
  EMPTY_SHIFT,
  HEAD_DIM,
  HIGH,
  LOW,
  MASS_ERROR,
  QUERIES,
  ROW_POSITIONS,
  SCALE,
  SHIFT,
  SOFTCAP,
  SUM_ERROR,
  VALUE_DIM,
} from "../job_fields.ts";
import * as field from "../certificate_fields.ts";
import { capScore, clamp, mantissa, roundedPower } from "./exponential.ts";
import { multiplyAdd, multiplySubtract } from "./lanes.ts";

/** As in `numerics/staleness_bound.ts`. */
const SLACK: f64 = 1.0 / 1099511627776;
const FLOAT32_ROUNDING: f64 = 1.0 / 16777216;
/** Rounding a number to float32 where it is subnormal, 2^−150. */
const SUBNORMAL_ROUNDING: f64 = 7.006492321624085e-46;

/**
 * Constants of the loops are in memory, as in exponential.ts. UP covers the roundings of bounds themselves, CHARGE is
 * a rounding with it. SMALL is the largest difference of scores for which e^Δ − 1 is the polynomial of HALF to SIXTH,
 * MOST_DOUBT the largest error of an exponent that is charged; a row with a larger one is odd. OF_WEIGHT bounds the
 * rounding of a weight besides that of its exponent, OF_FLOATS that of a distance. VANISHING is more than a weight can
 * lose by underflow, 2^−125 over a mass of 2^−60, TINY more than a distance can. Bounds are below LARGEST = 2^100;
 * those that are not make a row odd.
 */
const TABLE: usize = memory.data<f32>([
  5.962099e-8, 24, 0.35, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 8, 4, 0.2, 1.25,
  9.5367431640625e-7, 8.673617379884035e-19, 3.814697265625e-6, 3.469446951953614e-18,
  1.000244140625, -Infinity, 1.2676506002282294e30, NaN,
]);
const CHARGE: usize = 0, TWENTY_FOUR: usize = 4, SMALL: usize = 8, SIXTH: usize = 12, FIFTH: usize = 16;
const FOURTH: usize = 20, THIRD: usize = 24, HALF: usize = 28, EIGHT: usize = 32, FOUR: usize = 36;
const MOST_DOUBT: usize = 40, FIVE_FOURTHS: usize = 44, OF_WEIGHT: usize = 48, VANISHING: usize = 52;
const OF_FLOATS: usize = 56, TINY: usize = 60, UP: usize = 64, NEVER: usize = 68, LARGEST: usize = 72;
const UNKNOWN: usize = 76;
/**
 * A weight MOST_POWER powers of two above the shift of its row makes the row odd, one LEAST_POWER below is 0. ROUNDER
 * is ROUNDER_BITS.
 */
const POWERS: usize = memory.data<i32>([100, -125, 0x4b400000]);
const MOST_POWER: usize = 1024, LEAST_POWER: usize = 1028, ROUNDER: usize = 1032;

@inline
function constant(at: usize): v128 {
  return at < 1024 ? v128.load32_splat(TABLE + at) : v128.load32_splat(POWERS + at - 1024);
}

/**
 * Takes the states of those of `rows`, bits, in `count` blocks from `first` on: constants of their bounds. Begins
 * their sums. Returns the odd ones; rows whose shift is `steep` or more either way are.
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

/** Marks the rows of a block whose bits are in `rows`. */
@inline
function ask(tile: usize, rows: i32): void {
  const bits = i32x4.splat(rows);
  const low = i32x4(1, 2, 4, 8), high = i32x4(16, 32, 64, 128);
  v128.store(tile, i32x4.eq(v128.and(bits, low), low), field.ASKED);
  v128.store(tile, i32x4.eq(v128.and(bits, high), high), field.ASKED + 16);
}

/** The odd rows of a block, as bits. */
@inline
function oddRows(tile: usize): i32 {
  return i32x4.bitmask(v128.load(tile, field.ODD)) | (i32x4.bitmask(v128.load(tile, field.ODD + 16)) << 4);
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
  const start = <usize> block * load<usize>(job + COLUMNS) * BLOCK_BYTES + lane;
  const high = load<usize>(job + HIGH) + start, low = load<usize>(job + LOW) + start;
  const massAt = valueDim * BLOCK_BYTES;
  const masses = v128.load(high + massAt), rest = v128.load(low + massAt);
  const left = f64x2.div(f64x2.splat(1), f64x2.add(f64x2.promote_low_f32x4(masses), f64x2.promote_low_f32x4(rest)));
  const right = f64x2.div(f64x2.splat(1), f64x2.add(promoteHigh(masses), promoteHigh(rest)));
  const share = join(left, right);

  let squareLeft = f64x2.splat(0), squareRight = f64x2.splat(0);
  for (let c: usize = 0; c < massAt; c += BLOCK_BYTES) {
    const numbers = v128.load(high + c);
    const a = f64x2.mul(f64x2.promote_low_f32x4(numbers), left), b = f64x2.mul(promoteHigh(numbers), right);
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
function take(at: usize, numbers: v128, asked: v128): void {
  v128.store(at, v128.bitselect(numbers, v128.load(at), asked));
}

@inline
function promoteHigh(numbers: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f64>(numbers, numbers, 1, 1));
}

@inline
function join(left: v128, right: v128): v128 {
  return v128.shuffle<f64>(f32x4.demote_f64x2_zero(left), f32x4.demote_f64x2_zero(right), 0, 2);
}

/**
 * Replaces what `count` changed keys have in the sums of `rows`, bits, and returns the odd ones. `changes` lists
 * addresses of the keys' records, 0 for a key that is as in the rows' states; `pairs` those of pair records, 0 where
 * none is kept.
 */
export function addChanges(
  job: usize,
  tile: usize,
  first: i32,
  blocks: i32,
  rows: i32,
  count: i32,
  changes: usize,
  pairs: usize,
  question: usize,
): i32 {
  let odd = 0, multiplyAdds = 0;
  for (let at = 0; at < blocks; at++, tile += field.TILE_BLOCK_BYTES) {
    const asked = (rows >> (at << 3)) & 0xff;
    if (asked == 0) continue;
    ask(tile, asked);
    for (let t = 0; t < count; t++) {
      const change = load<usize>(changes + (<usize> t << 2));
      let pair = load<usize>(pairs + (<usize> t << 2));
      if (pair != 0) pair += <usize> at * field.PAIR_BLOCK_BYTES;
      const isKnown = recall(tile, pair, question);
      if (change != 0) {
        const wasLive = load<i32>(change, field.WAS_LIVE) != 0;
        let products = multiply(job, first + at, change, question, isKnown && wasLive);
        weighHalf(job, tile, first + at, change, question, 0);
        weighHalf(job, tile, first + at, change, question, 16);
        products += measureDistances(job, tile, first + at, change, question, isKnown && wasLive);
        multiplyAdds += popcnt(asked) * products;
        // The key that there is now stands for one that there was not, and may be another at the next look.
        if (!wasLive) forgetKnown(question);
      }
      exchangeHalf(tile, change, pair, question, 0);
      exchangeHalf(tile, change, pair, question, 16);
    }
    odd |= oddRows(tile) << (at << 3);
  }
  store<i32>(question, multiplyAdds, field.MULTIPLY_ADDS);
  return odd & rows;
}

/**
 * Takes what a pair record, 0 for none, knows of the key before to the question. Returns whether that is the score
 * with all rows that are asked for.
 */
function recall(tile: usize, pair: usize, question: usize): bool {
  if (pair == 0) {
    forgetKnown(question);
    return false;
  }
  const left = recallHalf(tile, pair, question), right = recallHalf(tile + 16, pair + 16, question + 16);
  return left && right;
}

@inline
function recallHalf(tile: usize, pair: usize, question: usize): bool {
  const isHeld = i32x4.eq(v128.load(pair, field.PAIR_AGE), v128.load(tile, field.AGE)), unknown = constant(UNKNOWN);
  const raw = v128.bitselect(v128.load(pair, field.PAIR_RAW), unknown, isHeld);
  v128.store(question, raw, field.RAW);
  v128.store(question, v128.bitselect(v128.load(pair, field.PAIR_DISTANCE), unknown, isHeld), field.FOUND_DISTANCE);
  return !isMissing(raw, tile);
}

/** Whether one of four numbers of rows that are asked for is NaN. */
@inline
function isMissing(numbers: v128, tile: usize): bool {
  return v128.any_true(v128.and(f32x4.ne(numbers, numbers), v128.load(tile, field.ASKED)));
}

function forgetKnown(question: usize): void {
  const unknown = constant(UNKNOWN);
  v128.store(question, unknown, field.RAW);
  v128.store(question, unknown, field.RAW + 16);
  v128.store(question, unknown, field.FOUND_DISTANCE);
  v128.store(question, unknown, field.FOUND_DISTANCE + 16);
}

/**
 * Bounds of the rows of `count` blocks: those of `numerics/staleness_bound.ts`, with what was rounded in the sums, in
 * the states and in printing. Returns the rows, as bits, whose sums hold too much of what was taken out of them.
 */
export function boundRows(job: usize, tile: usize, count: i32, question: usize): i32 {
  const printed = sqrt(<f64> load<i32>(job + VALUE_DIM)) * SUBNORMAL_ROUNDING;
  let worn = 0;
  for (let block = 0; block < count; block++, tile += field.TILE_BLOCK_BYTES) {
    for (let at: usize = 0; at < 64; at += 16) {
      worn |= boundTwo(tile + at, tile + field.NORM + (at >> 1), question, printed) << ((block << 3) + <i32> (at >> 3));
    }
  }
  return worn;
}

@inline
function boundTwo(sums: usize, norms: usize, question: usize, subnormal: f64): i32 {
  const one = f64x2.splat(1);
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
  least = f64x2.sub(least, f64x2.mul(f64x2.splat(SLACK), f64x2.add(one, both)));
  const share = f64x2.div(one, least);
  const variation = f64x2.pmin(one, f64x2.pmax(f64x2.pmin(gained, f64x2.mul(gained, share)), lost));
  const byMeans = f64x2.add(f64x2.mul(variation, diameter), f64x2.mul(shifted, share));
  const up = f64x2.splat(1 + 1.0 / 1099511627776);
  let stale = f64x2.pmin(f64x2.mul(f64x2.pmin(f64x2.mul(moved, share), byMeans), up), diameter);
  stale = v128.bitselect(stale, f64x2.pmax(diameter, f64x2.add(norm, ledger)), f64x2.gt(least, f64x2.splat(0)));
  // Rows of which nothing was ever exchanged.
  const isTouched = f64x2.gt(f64x2.add(v128.load(sums, field.MOVED_PEAK), v128.load(sums, field.WEIGHT_PEAK)), f64x2.splat(0));
  stale = v128.and(stale, isTouched);
  const bound = f64x2.mul(f64x2.add(stale, ledger), f64x2.splat(1 + FLOAT32_ROUNDING));
  const printed = f64x2.add(f64x2.mul(norm, f64x2.splat(2 * FLOAT32_ROUNDING)), f64x2.splat(subnormal));
  v128.store(sums, f64x2.add(bound, printed), field.BOUND);
  const isWorn = f64x2.gt(ofMoved, f64x2.add(f64x2.mul(held, f64x2.splat(1.0 / 1024)), ledger));
  return i64x2.bitmask(v128.or(isWorn, f64x2.gt(ofWeights, f64x2.mul(f64x2.add(one, f64x2.add(plus, minus)), f64x2.splat(1.0 / 1048576)))));
}

/** Writes a − b, `count` numbers, to `target`; returns ‖a − b‖. */
export function difference(a: usize, b: usize, target: usize, count: i32): f64 {
  let left = f64x2.splat(0), right = f64x2.splat(0), rest: f64 = 0;
  const end = target + (<usize> count << 2), foursEnd = target + (<usize> (count & ~3) << 2);
  for (; target < foursEnd; target += 16, a += 16, b += 16) {
    const apart = f32x4.sub(v128.load(a), v128.load(b));
    v128.store(target, apart);
    const near = f64x2.promote_low_f32x4(apart), far = promoteHigh(apart);
    left = f64x2.add(left, f64x2.mul(near, near));
    right = f64x2.add(right, f64x2.mul(far, far));
  }
  for (; target < end; target += 4, a += 4, b += 4) {
    const apart = load<f32>(a) - load<f32>(b);
    store<f32>(target, apart);
    rest += <f64> apart * <f64> apart;
  }
  left = f64x2.add(left, right);
  return sqrt(f64x2.extract_lane(left, 0) + f64x2.extract_lane(left, 1) + rest);
}

/**
 * Raw scores of a key with a block of rows, unless they are known, and their differences. Returns the number of
 * multiply-adds in a row.
 */
function multiply(job: usize, block: i32, change: usize, question: usize, isKnown: bool): i32 {
  const headDim = load<usize>(job + HEAD_DIM), delta = load<usize>(change, field.KEY_DELTA);
  const start = load<usize>(job + QUERIES) + <usize> block * headDim * BLOCK_BYTES, end = start + headDim * BLOCK_BYTES;
  const scale = f32x4.splat(load<f32>(job + SCALE));
  let deltaLeft = f32x4.splat(0), deltaRight = f32x4.splat(0), products = 0;
  if (!isKnown) {
    let left = f32x4.splat(0), right = f32x4.splat(0), key = load<usize>(change, field.KEY);
    for (let query = start; query < end; query += BLOCK_BYTES, key += 4) {
      const factor = v128.load32_splat(key);
      left = multiplyAdd(v128.load(query), factor, left);
      right = multiplyAdd(v128.load(query, 16), factor, right);
    }
    v128.store(question, f32x4.mul(scale, left), field.RAW);
    v128.store(question, f32x4.mul(scale, right), field.RAW + 16);
    products = <i32> headDim;
  }
  if (delta != 0) {
    // What was not added to adds exactly nothing.
    const count = load<i32>(change, field.MOVED_COUNT);
    let at = load<usize>(change, field.MOVED_LIST);
    for (const listEnd = at + (<usize> count << 2); at < listEnd; at += 4) {
      const offset = load<usize>(at), query = start + offset, moved = v128.load32_splat(delta + (offset >> 3));
      deltaLeft = multiplyAdd(v128.load(query), moved, deltaLeft);
      deltaRight = multiplyAdd(v128.load(query, 16), moved, deltaRight);
    }
    products += count;
  }
  v128.store(question, f32x4.mul(scale, deltaLeft), field.DIFFERENCE);
  v128.store(question, f32x4.mul(scale, deltaRight), field.DIFFERENCE + 16);
  return products;
}

/** Lists where in a block of queries the numbers lie by which `delta` is not 0; returns how many. */
export function listMoved(delta: usize, count: i32, list: usize): i32 {
  let found = 0;
  for (let c = 0; c < count; c++) {
    store<i32>(list + (<usize> found << 2), c * BLOCK_BYTES);
    found += <i32> (load<f32>(delta + (<usize> c << 2)) != 0);
  }
  return found;
}

/** Weights of four rows, before and after, and the errors of both. */
function weighHalf(job: usize, tile: usize, block: i32, change: usize, question: usize, lane: usize): void {
  const rows = <usize> block * BLOCK_BYTES + lane, at = tile + lane, found = question + lane;
  const raw = v128.load(found, field.RAW), moved = v128.load(found, field.DIFFERENCE);
  const reach = v128.load(at, field.REACH), softcap = load<f32>(job + SOFTCAP);
  const headDim = <f32> load<i32>(job + HEAD_DIM), rounding = constant(CHARGE);
  const product = f32x4.mul(reach, f32x4.splat(load<f32>(change, field.KEY_NORM)));
  const shift = f32x4.mul(reach, f32x4.splat(load<f32>(change, field.KEY_SHIFT)));
  let ofScore = f32x4.mul(product, f32x4.splat(headDim + 2));
  // The score after is the one before and what it moved by, also where the key before was not seen.
  const ofMove = f32x4.mul(shift, f32x4.splat(headDim + 4));
  let ofDifference = ofMove;
  let before = raw, after = f32x4.add(raw, moved), difference = moved;
  if (softcap > 0) {
    const cap = f32x4.splat(softcap);
    before = capScore(raw, cap);
    after = capScore(after, cap);
    difference = f32x4.sub(after, before);
    ofScore = f32x4.add(ofScore, f32x4.mul(constant(TWENTY_FOUR), f32x4.pmin(product, cap)));
    ofDifference = f32x4.add(ofDifference, f32x4.add(ofScore, ofScore));
  }
  const nothing = f32x4.splat(0), all = i32x4.eq(nothing, nothing), forbidden = constant(NEVER);
  let wasSeen = load<i32>(change, field.WAS_LIVE) != 0 ? all : nothing;
  let isSeen = load<i32>(change, field.IS_LIVE) != 0 ? all : nothing;
  const biasBefore = load<usize>(change, field.BIAS_BEFORE), biasAfter = load<usize>(change, field.BIAS_AFTER);
  if (biasBefore != 0 || biasAfter != 0) {
    const old = biasBefore != 0 ? v128.load(biasBefore + rows) : nothing;
    const young = biasAfter != 0 ? v128.load(biasAfter + rows) : nothing;
    wasSeen = v128.and(wasSeen, f32x4.gt(old, forbidden));
    isSeen = v128.and(isSeen, f32x4.gt(young, forbidden));
    before = f32x4.add(before, old);
    after = f32x4.add(after, young);
    const isOther = f32x4.ne(old, young);
    difference = v128.bitselect(f32x4.add(difference, f32x4.sub(young, old)), difference, isOther);
    const sizes = f32x4.add(f32x4.abs(before), f32x4.abs(after));
    const ofBias = f32x4.mul(constant(FOUR), f32x4.add(sizes, f32x4.add(f32x4.abs(old), f32x4.abs(young))));
    ofDifference = f32x4.add(ofDifference, v128.and(ofBias, isOther));
  }
  if (load<u32>(question, field.HAS_POSITIONS) != 0) {
    wasSeen = v128.and(wasSeen, inReach(job, block, lane, load<f64>(change, field.POSITION_BEFORE)));
    isSeen = v128.and(isSeen, inReach(job, block, lane, load<f64>(change, field.POSITION_AFTER)));
  }
  const stays = v128.and(wasSeen, isSeen), eitherSeen = v128.or(wasSeen, isSeen);
  const origin = i32x4.add(v128.load(load<usize>(job + SHIFT) + rows), constant(ROUNDER));
  const share = v128.load(at, field.SHARE);

  const clampedBefore = clamp(before), clampedAfter = clamp(after);
  const roundedBefore = roundedPower(clampedBefore), roundedAfter = roundedPower(clampedAfter);
  const powerBefore = i32x4.sub(roundedBefore, origin), powerAfter = i32x4.sub(roundedAfter, origin);
  const most = constant(MOST_POWER), least = constant(LEAST_POWER);
  let odd = v128.and(wasSeen, i32x4.gt_s(powerBefore, most));
  odd = v128.or(odd, v128.and(isSeen, i32x4.gt_s(powerAfter, most)));
  const w = v128.and(
    f32x4.mul(i32x4.add(mantissa(clampedBefore, roundedBefore), i32x4.shl(powerBefore, 23)), share),
    v128.and(wasSeen, i32x4.ge_s(powerBefore, least)),
  );
  const isSmall = v128.and(stays, f32x4.le(f32x4.abs(difference), constant(SMALL)));
  let directly = nothing;
  if (!i32x4.all_true(isSmall)) {
    directly = v128.and(
      f32x4.mul(i32x4.add(mantissa(clampedAfter, roundedAfter), i32x4.shl(powerAfter, 23)), share),
      v128.and(isSeen, i32x4.ge_s(powerAfter, least)),
    );
  }
  let p = multiplyAdd(difference, constant(SIXTH), constant(FIFTH));
  p = multiplyAdd(difference, p, constant(FOURTH));
  p = multiplyAdd(difference, p, constant(THIRD));
  p = multiplyAdd(difference, p, constant(HALF));
  const grown = f32x4.mul(w, multiplyAdd(f32x4.mul(difference, difference), p, difference));
  const c = v128.bitselect(grown, f32x4.sub(directly, w), isSmall);
  const u = v128.bitselect(f32x4.add(w, grown), directly, isSmall);

  // Errors of exponents, and of weights as shares of themselves.
  const size = f32x4.pmax(v128.and(f32x4.abs(before), wasSeen), v128.and(f32x4.abs(after), isSeen));
  const exponent = f32x4.mul(rounding, f32x4.add(ofScore, multiplyAdd(constant(EIGHT), size, constant(FOUR))));
  const apart = f32x4.mul(rounding, v128.bitselect(ofDifference, v128.and(ofMove, isSeen), stays));
  const isCharged = f32x4.le(f32x4.add(exponent, apart), constant(MOST_DOUBT));
  odd = v128.or(odd, v128.andnot(eitherSeen, isCharged));
  const share0 = multiplyAdd(exponent, constant(FIVE_FOURTHS), constant(OF_WEIGHT));
  const apart2 = f32x4.add(apart, apart);
  const ofWeights = v128.bitselect(apart2, f32x4.add(share0, apart2), isSmall);
  const size0 = f32x4.abs(c);
  const held = f32x4.add(w, u);
  let doubt = multiplyAdd(held, ofWeights, multiplyAdd(size0, share0, constant(VANISHING)));
  doubt = v128.and(doubt, eitherSeen);
  const slackOfW = f32x4.mul(w, share0);

  const valueShift = f32x4.splat(load<f32>(change, field.VALUE_SHIFT));
  const diameter = f32x4.splat(load<f32>(question, field.DIAMETER)), most0 = f32x4.splat(load<f32>(question, field.SIZE));
  const mayBe = f32x4.add(u, f32x4.add(slackOfW, doubt));
  const ofFloats = f32x4.mul(multiplyAdd(size0, most0, f32x4.mul(u, valueShift)), constant(OF_FLOATS));
  let slack = multiplyAdd(doubt, f32x4.add(diameter, valueShift), f32x4.mul(slackOfW, valueShift));
  slack = f32x4.add(slack, f32x4.add(ofFloats, constant(TINY)));
  v128.store(found, c, field.CHANGE);
  v128.store(found, u, field.AFTER);
  v128.store(found, f32x4.mul(doubt, constant(UP)), field.FOUND_DOUBT);
  v128.store(found, f32x4.mul(v128.and(f32x4.mul(mayBe, valueShift), stays), constant(UP)), field.FOUND_SHIFTED);
  v128.store(found, v128.and(f32x4.mul(slack, constant(UP)), eitherSeen), field.FOUND_SLACK);
  v128.store(at, v128.or(v128.load(at, field.ODD), v128.and(odd, v128.load(at, field.ASKED))), field.ODD);
}

/** The rows of four that a key at a position may be seen from. */
function inReach(job: usize, block: i32, lane: usize, position: f64): v128 {
  const rows = load<usize>(job + ROW_POSITIONS) + (<usize> block << 6) + 2 * lane;
  const least = f64x2.splat(-load<f64>(job + BEFORE)), most = f64x2.splat(load<f64>(job + AFTER_DISTANCE));
  const key = f64x2.splat(position);
  const ahead0 = f64x2.sub(key, v128.load(rows)), ahead1 = f64x2.sub(key, v128.load(rows, 16));
  const seen0 = v128.and(f64x2.le(least, ahead0), f64x2.le(ahead0, most));
  const seen1 = v128.and(f64x2.le(least, ahead1), f64x2.le(ahead1, most));
  return i32x4.shuffle(seen0, seen1, 0, 2, 4, 6);
}

/**
 * ‖c(v − o) + u(v' − v)‖ of a block of rows, in the place of the differences. Where the value stays, ‖v − o‖ may be
 * known. Returns the number of multiply-adds in a row.
 */
function measureDistances(job: usize, tile: usize, block: i32, change: usize, question: usize, isKnown: bool): i32 {
  const valueDim = load<usize>(job + VALUE_DIM);
  let high = load<usize>(job + HIGH) + <usize> block * load<usize>(job + COLUMNS) * BLOCK_BYTES;
  const end = high + valueDim * BLOCK_BYTES;
  let value = load<usize>(change, field.VALUE), delta = load<usize>(change, field.VALUE_DELTA);
  const shareLeft = v128.load(tile, field.SHARE), shareRight = v128.load(tile, field.SHARE + 16);
  const changeLeft = v128.load(question, field.CHANGE), changeRight = v128.load(question, field.CHANGE + 16);
  let left = f32x4.splat(0), right = f32x4.splat(0), products = 0;
  if (delta == 0) {
    const knownLeft = v128.load(question, field.FOUND_DISTANCE), knownRight = v128.load(question, field.FOUND_DISTANCE + 16);
    if (isKnown && !isMissing(knownLeft, tile) && !isMissing(knownRight, tile + 16)) {
      left = knownLeft;
      right = knownRight;
    } else {
      for (; high < end; high += BLOCK_BYTES, value += 4) {
        const number = v128.load32_splat(value);
        const a = multiplySubtract(v128.load(high), shareLeft, number);
        const b = multiplySubtract(v128.load(high, 16), shareRight, number);
        left = multiplyAdd(a, a, left);
        right = multiplyAdd(b, b, right);
      }
      left = f32x4.sqrt(left);
      right = f32x4.sqrt(right);
      v128.store(question, left, field.FOUND_DISTANCE);
      v128.store(question, right, field.FOUND_DISTANCE + 16);
      products = <i32> valueDim;
    }
    left = f32x4.mul(left, f32x4.abs(changeLeft));
    right = f32x4.mul(right, f32x4.abs(changeRight));
  } else {
    const afterLeft = v128.load(question, field.AFTER), afterRight = v128.load(question, field.AFTER + 16);
    for (; high < end; high += BLOCK_BYTES, value += 4, delta += 4) {
      const number = v128.load32_splat(value), moved = v128.load32_splat(delta);
      const near = multiplySubtract(v128.load(high), shareLeft, number);
      const far = multiplySubtract(v128.load(high, 16), shareRight, number);
      const a = multiplyAdd(near, changeLeft, f32x4.mul(moved, afterLeft));
      const b = multiplyAdd(far, changeRight, f32x4.mul(moved, afterRight));
      left = multiplyAdd(a, a, left);
      right = multiplyAdd(b, b, right);
    }
    left = f32x4.sqrt(left);
    right = f32x4.sqrt(right);
    products = 2 * <i32> valueDim;
  }
  v128.store(question, left, field.DIFFERENCE);
  v128.store(question, right, field.DIFFERENCE + 16);
  return products;
}

/** Takes out of the sums of four rows what a key had in them, and adds what it has now. */
function exchangeHalf(tile: usize, change: usize, pair: usize, question: usize, lane: usize): void {
  const at = tile + lane, found = question + lane, asked = v128.load(at, field.ASKED);
  const age = v128.load(at, field.AGE), nothing = f32x4.splat(0);
  let moved = nothing, c = nothing, shifted = nothing, doubt = nothing;
  if (change != 0) {
    const up = constant(UP), largest = constant(LARGEST);
    moved = multiplyAdd(v128.load(found, field.DIFFERENCE), up, v128.load(found, field.FOUND_SLACK));
    c = v128.load(found, field.CHANGE);
    shifted = v128.load(found, field.FOUND_SHIFTED);
    doubt = v128.load(found, field.FOUND_DOUBT);
    // Comparisons with NaN are false.
    const sizes = f32x4.add(f32x4.add(moved, shifted), f32x4.add(f32x4.abs(c), doubt));
    const isPlain = v128.andnot(f32x4.lt(sizes, largest), v128.load(at, field.ODD));
    v128.store(at, v128.or(v128.load(at, field.ODD), v128.andnot(asked, isPlain)), field.ODD);
    const isTaken = v128.and(isPlain, asked);
    moved = v128.and(moved, isTaken);
    c = v128.and(c, isTaken);
    shifted = v128.and(shifted, isTaken);
    doubt = v128.and(doubt, isTaken);
  }
  let movedBefore = nothing, cBefore = nothing, shiftedBefore = nothing, doubtBefore = nothing;
  if (pair != 0) {
    pair += lane;
    const isHeld = v128.and(asked, i32x4.eq(v128.load(pair, field.PAIR_AGE), age));
    movedBefore = v128.and(v128.load(pair, field.PAIR_MOVED), isHeld);
    cBefore = v128.and(v128.load(pair, field.PAIR_CHANGE), isHeld);
    shiftedBefore = v128.and(v128.load(pair, field.PAIR_SHIFTED), isHeld);
    doubtBefore = v128.and(v128.load(pair, field.PAIR_DOUBT), isHeld);
    take(pair + field.PAIR_MOVED, moved, asked);
    take(pair + field.PAIR_CHANGE, c, asked);
    take(pair + field.PAIR_SHIFTED, shifted, asked);
    take(pair + field.PAIR_DOUBT, doubt, asked);
    take(pair + field.PAIR_RAW, v128.load(found, field.RAW), asked);
    take(pair + field.PAIR_DISTANCE, v128.load(found, field.FOUND_DISTANCE), asked);
    take(pair + field.PAIR_AGE, age, asked);
  }
  const minus = f32x4.neg(c), minusBefore = f32x4.neg(cBefore);
  const sums = tile + 2 * lane;
  exchange(sums + field.MOVED, moved, movedBefore);
  exchange(sums + field.SHIFTED, shifted, shiftedBefore);
  exchange(sums + field.GAINED, f32x4.pmax(c, nothing), f32x4.pmax(cBefore, nothing));
  exchange(sums + field.LOST, f32x4.pmax(minus, nothing), f32x4.pmax(minusBefore, nothing));
  exchange(sums + field.DOUBT, doubt, doubtBefore);
  notePeaks(sums);
  notePeaks(sums + 16);
}

@inline
function exchange(sum: usize, now: v128, before: v128): void {
  const left = f64x2.sub(f64x2.promote_low_f32x4(now), f64x2.promote_low_f32x4(before));
  const right = f64x2.sub(promoteHigh(now), promoteHigh(before));
  v128.store(sum, f64x2.add(v128.load(sum), left));
  v128.store(sum, f64x2.add(v128.load(sum, 16), right), 16);
}

@inline
function notePeaks(sums: usize): void {
  const moved = f64x2.add(v128.load(sums, field.MOVED), v128.load(sums, field.SHIFTED));
  const weights = f64x2.add(v128.load(sums, field.GAINED), v128.load(sums, field.LOST));
  v128.store(sums, f64x2.pmax(moved, v128.load(sums, field.MOVED_PEAK)), field.MOVED_PEAK);
  const all = f64x2.add(weights, v128.load(sums, field.DOUBT));
  v128.store(sums, f64x2.pmax(all, v128.load(sums, field.WEIGHT_PEAK)), field.WEIGHT_PEAK);
}
