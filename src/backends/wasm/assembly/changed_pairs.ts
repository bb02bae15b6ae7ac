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
 * Raw scores of a key with a block of rows, unless they are known, and their differences. Returns the number of
 * multiply-adds in a row.
 */
export function multiply(job: usize, block: i32, change: usize, question: usize, isKnown: bool): i32 {
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
export function weighHalf(job: usize, tile: usize, block: i32, change: usize, question: usize, lane: usize): void {
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
  const origin = i32x4.add(v128.load(load<usize>(job + SHIFT) + rows), power(ROUNDER));
  const share = v128.load(at, field.SHARE);

  const clampedBefore = clamp(before), clampedAfter = clamp(after);
  const roundedBefore = roundedPower(clampedBefore), roundedAfter = roundedPower(clampedAfter);
  const powerBefore = i32x4.sub(roundedBefore, origin), powerAfter = i32x4.sub(roundedAfter, origin);
  const most = power(MOST_POWER), least = power(LEAST_POWER);
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
 * ‖c(v − o) + u(v' − v)‖ of a block of rows; they are stored where the differences were. Where the value stays, ‖v − o‖
 * may be known. Returns the number of multiply-adds in a row.
 */
export function measureDistances(job: usize, tile: usize, block: i32, change: usize, question: usize, isKnown: bool): i32 {
  const valueDim = load<usize>(job + VALUE_DIM);
  let sums = load<usize>(job + SUMS) + <usize> block * load<usize>(job + COLUMNS) * COLUMN_BYTES;
  const end = sums + valueDim * COLUMN_BYTES;
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
      for (; sums < end; sums += COLUMN_BYTES, value += 4) {
        const number = v128.load32_splat(value);
        const a = multiplySubtract(loadNarrow(sums), shareLeft, number);
        const b = multiplySubtract(loadNarrow(sums + 32), shareRight, number);
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
    for (; sums < end; sums += COLUMN_BYTES, value += 4, delta += 4) {
      const number = v128.load32_splat(value), moved = v128.load32_splat(delta);
      const near = multiplySubtract(loadNarrow(sums), shareLeft, number);
      const far = multiplySubtract(loadNarrow(sums + 32), shareRight, number);
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
