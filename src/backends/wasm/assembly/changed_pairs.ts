// What a changed key can do to the outputs of a block of rows, in float32 with all its roundings charged:
// docs/internals/certificates.md has the formulas.
//
// With Δ the difference of the scores and c = u − w = w(e^Δ − 1), the vector is c(v − o) + u(v' − v). Scores
// are not subtracted, but Δ = scale · q·(k' − k), so that a small change has a small error.

import {
  AFTER as AFTER_DISTANCE,
  BEFORE,
  BLOCK_BYTES,
  COLUMN_BYTES,
  COLUMNS,
  HEAD_DIM,
  QUERIES,
  ROW_POSITIONS,
  SCALE,
  SHIFT,
  SOFTCAP,
  SUMS,
  VALUE_DIM,
} from "../job_fields.ts";
import * as field from "../certificate_fields.ts";
import {
  CHARGE,
  constant,
  EIGHT,
  FIFTH,
  FIVE_FOURTHS,
  FOUR,
  FOURTH,
  HALF,
  isMissing,
  LEAST_POWER,
  MOST_DOUBT,
  MOST_POWER,
  NEVER,
  OF_FLOATS,
  OF_WEIGHT,
  power,
  promoteHigh,
  ROUNDER,
  SIXTH,
  sizesOf,
  SMALL,
  THIRD,
  TINY,
  TWENTY_FOUR,
  UP,
  VANISHING,
} from "./certificate_tables.ts";
import { capScore, clamp, mantissa, roundedPower } from "./exponential.ts";
import { loadNarrow, multiplyAdd, multiplySubtract } from "./lanes.ts";

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
 * Raw scores of a key with a block of rows, unless they are known, and their differences; only of the four rows at
 * `lane` unless `areBoth`. Returns the number of multiply-adds in a row.
 */
export function multiply(
  job: usize,
  block: i32,
  change: usize,
  question: usize,
  isKnown: bool,
  lane: usize,
  areBoth: bool,
): i32 {
  const headDim = load<usize>(job + HEAD_DIM), delta = load<usize>(change, field.KEY_DELTA);
  const start = load<usize>(job + QUERIES) + <usize> block * headDim * BLOCK_BYTES + lane;
  const scale = f32x4.splat(load<f32>(job + SCALE)), found = question + lane;
  let products = 0;
  if (!isKnown) {
    const key = load<usize>(change, field.KEY);
    if (areBoth) products8(start, key, headDim, scale, found + field.RAW);
    else products4(start, key, headDim, scale, found + field.RAW);
    products = <i32> headDim;
  }
  const count = delta == 0 ? 0 : load<i32>(change, field.MOVED_COUNT);
  // A sum that nothing was added to is 0 and adds exactly nothing.
  if (<usize> count << 1 > headDim) {
    if (areBoth) products8(start, delta, headDim, scale, found + field.DIFFERENCE);
    else products4(start, delta, headDim, scale, found + field.DIFFERENCE);
  } else {
    let left = f32x4.splat(0), right = left, at = count == 0 ? 0 : load<usize>(change, field.MOVED_LIST);
    for (const listEnd = at + (<usize> count << 2); at < listEnd; at += 4) {
      const offset = load<usize>(at), query = start + offset, moved = v128.load32_splat(delta + (offset >> 3));
      left = multiplyAdd(v128.load(query), moved, left);
      if (areBoth) right = multiplyAdd(v128.load(query, 16), moved, right);
    }
    v128.store(found, f32x4.mul(scale, left), field.DIFFERENCE);
    if (areBoth) v128.store(found, f32x4.mul(scale, right), field.DIFFERENCE + 16);
  }
  return products + count;
}

/**
 * Scaled products of eight rows with `count` numbers. Four sums of each row, whose additions do not wait for one
 * another, are added in the end.
 */
@inline
function products8(query: usize, factor: usize, count: usize, scale: v128, target: usize): void {
  const nothing = f32x4.splat(0), end = query + count * BLOCK_BYTES, foursEnd = query + (count & ~3) * BLOCK_BYTES;
  let left0 = nothing, left1 = nothing, left2 = nothing, left3 = nothing;
  let right0 = nothing, right1 = nothing, right2 = nothing, right3 = nothing;
  for (; query < foursEnd; query += 4 * BLOCK_BYTES, factor += 16) {
    const one = v128.load32_splat(factor), two = v128.load32_splat(factor, 4);
    left0 = multiplyAdd(v128.load(query), one, left0);
    right0 = multiplyAdd(v128.load(query, 16), one, right0);
    left1 = multiplyAdd(v128.load(query, 32), two, left1);
    right1 = multiplyAdd(v128.load(query, 48), two, right1);
    const three = v128.load32_splat(factor, 8), four = v128.load32_splat(factor, 12);
    left2 = multiplyAdd(v128.load(query, 64), three, left2);
    right2 = multiplyAdd(v128.load(query, 80), three, right2);
    left3 = multiplyAdd(v128.load(query, 96), four, left3);
    right3 = multiplyAdd(v128.load(query, 112), four, right3);
  }
  for (; query < end; query += BLOCK_BYTES, factor += 4) {
    const one = v128.load32_splat(factor);
    left0 = multiplyAdd(v128.load(query), one, left0);
    right0 = multiplyAdd(v128.load(query, 16), one, right0);
  }
  v128.store(target, f32x4.mul(scale, f32x4.add(f32x4.add(left0, left1), f32x4.add(left2, left3))));
  v128.store(target, f32x4.mul(scale, f32x4.add(f32x4.add(right0, right1), f32x4.add(right2, right3))), 16);
}

/** As `products8`, to the bit, of four rows. */
@inline
function products4(query: usize, factor: usize, count: usize, scale: v128, target: usize): void {
  const nothing = f32x4.splat(0), end = query + count * BLOCK_BYTES, foursEnd = query + (count & ~3) * BLOCK_BYTES;
  let sum0 = nothing, sum1 = nothing, sum2 = nothing, sum3 = nothing;
  for (; query < foursEnd; query += 4 * BLOCK_BYTES, factor += 16) {
    sum0 = multiplyAdd(v128.load(query), v128.load32_splat(factor), sum0);
    sum1 = multiplyAdd(v128.load(query, 32), v128.load32_splat(factor, 4), sum1);
    sum2 = multiplyAdd(v128.load(query, 64), v128.load32_splat(factor, 8), sum2);
    sum3 = multiplyAdd(v128.load(query, 96), v128.load32_splat(factor, 12), sum3);
  }
  for (; query < end; query += BLOCK_BYTES, factor += 4) {
    sum0 = multiplyAdd(v128.load(query), v128.load32_splat(factor), sum0);
  }
  v128.store(target, f32x4.mul(scale, f32x4.add(f32x4.add(sum0, sum1), f32x4.add(sum2, sum3))));
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
export function weighHalf(job: usize, at: usize, rows: usize, change: usize, question: usize, lane: usize): void {
  const found = question + lane;
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
    const sizes = f32x4.add(sizesOf(before), sizesOf(after));
    const ofBias = f32x4.mul(constant(FOUR), f32x4.add(sizes, f32x4.add(sizesOf(old), sizesOf(young))));
    ofDifference = f32x4.add(ofDifference, v128.and(ofBias, isOther));
  }
  if (load<u32>(question, field.HAS_POSITIONS) != 0) {
    wasSeen = v128.and(wasSeen, inReach(job, rows, load<f64>(change, field.POSITION_BEFORE)));
    isSeen = v128.and(isSeen, inReach(job, rows, load<f64>(change, field.POSITION_AFTER)));
  }
  const stays = v128.and(wasSeen, isSeen), eitherSeen = v128.or(wasSeen, isSeen);
  const origin = i32x4.add(v128.load(load<usize>(job + SHIFT) + rows), power(ROUNDER));
  const share = v128.load(at, field.SHARE);

  const clampedBefore = clamp(before), roundedBefore = roundedPower(clampedBefore);
  const powerBefore = i32x4.sub(roundedBefore, origin), most = power(MOST_POWER), least = power(LEAST_POWER);
  const w = v128.and(
    f32x4.mul(i32x4.add(mantissa(clampedBefore, roundedBefore), i32x4.shl(powerBefore, 23)), share),
    v128.and(wasSeen, i32x4.ge_s(powerBefore, least)),
  );
  let p = multiplyAdd(difference, constant(SIXTH), constant(FIFTH));
  p = multiplyAdd(difference, p, constant(FOURTH));
  p = multiplyAdd(difference, p, constant(THIRD));
  p = multiplyAdd(difference, p, constant(HALF));
  const grown = f32x4.mul(w, multiplyAdd(f32x4.mul(difference, difference), p, difference));
  const isSmall = v128.and(stays, f32x4.le(sizesOf(difference), constant(SMALL)));
  // Errors of exponents, and of weights as shares of themselves, go beside. Most often all lanes are small.
  const isAllSmall = i32x4.all_true(isSmall);
  let c = grown, u = f32x4.add(w, grown), odd = v128.and(wasSeen, i32x4.gt_s(powerBefore, most));
  let size = sizesOf(before), sizeAfter = sizesOf(after), apart = f32x4.mul(rounding, ofDifference);
  if (!isAllSmall) {
    const clampedAfter = clamp(after), roundedAfter = roundedPower(clampedAfter);
    const powerAfter = i32x4.sub(roundedAfter, origin);
    odd = v128.or(odd, v128.and(isSeen, i32x4.gt_s(powerAfter, most)));
    const directly = v128.and(
      f32x4.mul(i32x4.add(mantissa(clampedAfter, roundedAfter), i32x4.shl(powerAfter, 23)), share),
      v128.and(isSeen, i32x4.ge_s(powerAfter, least)),
    );
    c = v128.bitselect(grown, f32x4.sub(directly, w), isSmall);
    u = v128.bitselect(u, directly, isSmall);
    size = v128.and(size, wasSeen);
    sizeAfter = v128.and(sizeAfter, isSeen);
    apart = f32x4.mul(rounding, v128.bitselect(ofDifference, v128.and(ofMove, isSeen), stays));
  }
  size = f32x4.pmax(size, sizeAfter);
  const exponent = f32x4.mul(rounding, f32x4.add(ofScore, multiplyAdd(constant(EIGHT), size, constant(FOUR))));
  const isCharged = f32x4.le(f32x4.add(exponent, apart), constant(MOST_DOUBT));
  odd = v128.or(odd, v128.andnot(eitherSeen, isCharged));
  const share0 = multiplyAdd(exponent, constant(FIVE_FOURTHS), constant(OF_WEIGHT)), apart2 = f32x4.add(apart, apart);
  let ofWeights = f32x4.add(share0, apart2);
  if (!isAllSmall) ofWeights = v128.bitselect(apart2, ofWeights, isSmall);
  const size0 = sizesOf(c);
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
function inReach(job: usize, at: usize, position: f64): v128 {
  const rows = load<usize>(job + ROW_POSITIONS) + 2 * at;
  const least = f64x2.splat(-load<f64>(job + BEFORE)), most = f64x2.splat(load<f64>(job + AFTER_DISTANCE));
  const key = f64x2.splat(position);
  const ahead0 = f64x2.sub(key, v128.load(rows)), ahead1 = f64x2.sub(key, v128.load(rows, 16));
  const seen0 = v128.and(f64x2.le(least, ahead0), f64x2.le(ahead0, most));
  const seen1 = v128.and(f64x2.le(least, ahead1), f64x2.le(ahead1, most));
  return i32x4.shuffle(seen0, seen1, 0, 2, 4, 6);
}

/**
 * ‖c(v − o) + u(v' − v)‖ of a block of rows, or of the four rows at `lane` unless `areBoth`; they are stored where the
 * differences were. Where the value stays, ‖v − o‖ may be known. Returns the number of multiply-adds in a row.
 */
export function measureDistances(
  job: usize,
  tile: usize,
  block: i32,
  change: usize,
  question: usize,
  isKnown: bool,
  lane: usize,
  areBoth: bool,
): i32 {
  const valueDim = load<usize>(job + VALUE_DIM);
  const sums = load<usize>(job + SUMS) + <usize> block * load<usize>(job + COLUMNS) * COLUMN_BYTES;
  const delta = load<usize>(change, field.VALUE_DELTA);
  if (delta != 0) {
    movedDistances(sums + 2 * lane, valueDim, change, tile + lane, question + lane);
    if (areBoth) movedDistances(sums + 2 * lane + 32, valueDim, change, tile + lane + 16, question + lane + 16);
    return 2 * <i32> valueDim;
  }
  const isHeld = isKnown && areDistancesKnown(tile + lane, question + lane) &&
    (!areBoth || areDistancesKnown(tile + lane + 16, question + lane + 16));
  if (!isHeld) {
    const value = load<usize>(change, field.VALUE);
    distances(sums + 2 * lane, valueDim, value, tile + lane, question + lane);
    if (areBoth) distances(sums + 2 * lane + 32, valueDim, value, tile + lane + 16, question + lane + 16);
  }
  timesChange(question + lane);
  if (areBoth) timesChange(question + lane + 16);
  return isHeld ? 0 : <i32> valueDim;
}

@inline
function areDistancesKnown(tile: usize, question: usize): bool {
  return !isMissing(v128.load(question, field.FOUND_DISTANCE), tile);
}

@inline
function timesChange(question: usize): void {
  const distance = v128.load(question, field.FOUND_DISTANCE);
  v128.store(question, f32x4.mul(distance, sizesOf(v128.load(question, field.CHANGE))), field.DIFFERENCE);
}

/** ‖v − o‖ of four rows, in two sums. */
function distances(sums: usize, count: usize, value: usize, tile: usize, question: usize): void {
  const share = v128.load(tile, field.SHARE), end = sums + count * COLUMN_BYTES;
  const foursEnd = sums + (count & ~3) * COLUMN_BYTES;
  let sum0 = f32x4.splat(0), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  for (; sums < foursEnd; sums += 4 * COLUMN_BYTES, value += 16) {
    const a = multiplySubtract(loadNarrow(sums), share, v128.load32_splat(value));
    const b = multiplySubtract(loadNarrow(sums + COLUMN_BYTES), share, v128.load32_splat(value, 4));
    const c = multiplySubtract(loadNarrow(sums + 2 * COLUMN_BYTES), share, v128.load32_splat(value, 8));
    const d = multiplySubtract(loadNarrow(sums + 3 * COLUMN_BYTES), share, v128.load32_splat(value, 12));
    sum0 = multiplyAdd(a, a, sum0);
    sum1 = multiplyAdd(b, b, sum1);
    sum2 = multiplyAdd(c, c, sum2);
    sum3 = multiplyAdd(d, d, sum3);
  }
  for (; sums < end; sums += COLUMN_BYTES, value += 4) {
    const a = multiplySubtract(loadNarrow(sums), share, v128.load32_splat(value));
    sum0 = multiplyAdd(a, a, sum0);
  }
  const sum = f32x4.add(f32x4.add(sum0, sum1), f32x4.add(sum2, sum3));
  v128.store(question, f32x4.sqrt(sum), field.FOUND_DISTANCE);
}

/** ‖c(v − o) + u(v' − v)‖ of four rows, in two sums. */
function movedDistances(sums: usize, count: usize, change: usize, tile: usize, question: usize): void {
  let value = load<usize>(change, field.VALUE), delta = load<usize>(change, field.VALUE_DELTA);
  const share = v128.load(tile, field.SHARE), c = v128.load(question, field.CHANGE);
  const u = v128.load(question, field.AFTER), end = sums + count * COLUMN_BYTES;
  const twosEnd = sums + (count & ~1) * COLUMN_BYTES;
  let sum0 = f32x4.splat(0), sum1 = sum0;
  for (; sums < twosEnd; sums += 2 * COLUMN_BYTES, value += 8, delta += 8) {
    const near = multiplySubtract(loadNarrow(sums), share, v128.load32_splat(value));
    const far = multiplySubtract(loadNarrow(sums + COLUMN_BYTES), share, v128.load32_splat(value, 4));
    const a = multiplyAdd(near, c, f32x4.mul(v128.load32_splat(delta), u));
    const b = multiplyAdd(far, c, f32x4.mul(v128.load32_splat(delta, 4), u));
    sum0 = multiplyAdd(a, a, sum0);
    sum1 = multiplyAdd(b, b, sum1);
  }
  if (sums < end) {
    const near = multiplySubtract(loadNarrow(sums), share, v128.load32_splat(value));
    const a = multiplyAdd(near, c, f32x4.mul(v128.load32_splat(delta), u));
    sum0 = multiplyAdd(a, a, sum0);
  }
  v128.store(question, f32x4.sqrt(f32x4.add(sum0, sum1)), field.DIFFERENCE);
}
