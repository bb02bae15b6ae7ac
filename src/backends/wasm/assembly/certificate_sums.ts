// For each row the sums of what changed keys can do to its output: what a key had in them before is taken
// out, and what it has now is added.

import * as field from "../certificate_fields.ts";
import { ask, constant, isMissing, LARGEST, oddRows, promoteHigh, take, UNKNOWN, UP } from "./certificate_tables.ts";
import { measureDistances, multiply, weighHalf } from "./changed_pairs.ts";
import { multiplyAdd } from "./lanes.ts";

/**
 * Replaces what `count` changed keys have in the sums of `rows`, bits, and returns the odd ones. `changes`
 * lists addresses of the keys' records, 0 for a key that is as in the rows' states; `pairs` those of pair
 * records, 0 where none is kept.
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
  for (let at = 0; at < blocks; at++) ask(tile + <usize> at * field.TILE_BLOCK_BYTES, rows >> (at << 3) & 0xff);
  for (let t = 0; t < count; t++) {
    const change = load<usize>(changes + (<usize> t << 2)), pair = load<usize>(pairs + (<usize> t << 2));
    // Steps of all rows come one after the other, since the rows of a step do not wait for one another.
    if (change != 0) multiplyAdds += measure(job, tile, first, blocks, rows, change, pair, question);
    for (let at = 0; at < blocks << 1; at++) {
      if ((rows >> (at << 2) & 0xf) == 0) continue;
      exchangeHalf(tile + halfOf(at, field.TILE_BLOCK_BYTES), change, pair == 0 ? 0 : pair + halfOf(at, field.PAIR_BLOCK_BYTES), question + (<usize> at << 4), at & 1);
    }
  }
  for (let at = 0; at < blocks; at++) odd |= oddRows(tile + <usize> at * field.TILE_BLOCK_BYTES) << (at << 3);
  store<i32>(question, multiplyAdds, field.MULTIPLY_ADDS);
  return odd & rows;
}

/** Where four rows are among blocks of `bytes` bytes. */
@inline
function halfOf(at: i32, bytes: usize): usize {
  return <usize> (at >> 1) * bytes + (<usize> (at & 1) << 4);
}

/** Measures a changed key with rows of a tile; returns the number of multiply-adds. */
function measure(
  job: usize,
  tile: usize,
  first: i32,
  blocks: i32,
  rows: i32,
  change: usize,
  pair: usize,
  question: usize,
): i32 {
  const wasLive = load<i32>(change, field.WAS_LIVE) != 0;
  let multiplyAdds = 0, known = 0;
  for (let at = 0; at < blocks; at++) {
    const asked = rows >> (at << 3) & 0xff;
    if (asked == 0) continue;
    const lane: usize = (asked & 0xf) == 0 ? 16 : 0, areBoth = lane == 0 && asked > 0xf;
    const held = pair == 0 ? 0 : pair + <usize> at * field.PAIR_BLOCK_BYTES;
    const isKnown = recall(tile + <usize> at * field.TILE_BLOCK_BYTES, held, question + (<usize> at << 5), lane, areBoth) && wasLive;
    if (isKnown) known |= 1 << at;
    multiplyAdds += popcnt(asked) * multiply(job, first + at, change, question + (<usize> at << 5), isKnown, lane, areBoth);
  }
  for (let at = 0; at < blocks << 1; at++) {
    if ((rows >> (at << 2) & 0xf) == 0) continue;
    weighHalf(job, tile + halfOf(at, field.TILE_BLOCK_BYTES), ((first << 1) + at) << 4, change, question, <usize> at << 4);
  }
  for (let at = 0; at < blocks; at++) {
    const asked = rows >> (at << 3) & 0xff;
    if (asked == 0) continue;
    const lane: usize = (asked & 0xf) == 0 ? 16 : 0, areBoth = lane == 0 && asked > 0xf;
    const isKnown = (known >> at & 1) != 0;
    multiplyAdds += popcnt(asked) * measureDistances(job, tile + <usize> at * field.TILE_BLOCK_BYTES, first + at, change, question + (<usize> at << 5), isKnown, lane, areBoth);
  }
  // The key that there is now stands for one that there was not, and may be another at the next look.
  if (!wasLive) {
    for (let at = 0; at < blocks; at++) forgetKnown(question + (<usize> at << 5));
  }
  return multiplyAdds;
}

/**
 * Takes what a pair record, 0 for none, knows of the key before to the question, of the four rows at `lane` alone
 * unless `areBoth`. Returns whether that is the score with all rows that are asked for.
 */
function recall(tile: usize, pair: usize, question: usize, lane: usize, areBoth: bool): bool {
  if (pair == 0) {
    forgetKnown(question);
    return false;
  }
  const isKnown = recallHalf(tile + lane, pair + lane, question + lane);
  return areBoth ? recallHalf(tile + 16, pair + 16, question + 16) && isKnown : isKnown;
}

@inline
function recallHalf(tile: usize, pair: usize, question: usize): bool {
  const isHeld = i32x4.eq(v128.load(pair, field.PAIR_AGE), v128.load(tile, field.AGE)), unknown = constant(UNKNOWN);
  const raw = v128.bitselect(v128.load(pair, field.PAIR_RAW), unknown, isHeld);
  v128.store(question, raw, field.RAW);
  v128.store(question, v128.bitselect(v128.load(pair, field.PAIR_DISTANCE), unknown, isHeld), field.FOUND_DISTANCE);
  return !isMissing(raw, tile);
}

function forgetKnown(question: usize): void {
  const unknown = constant(UNKNOWN);
  v128.store(question, unknown, field.RAW);
  v128.store(question, unknown, field.RAW + 16);
  v128.store(question, unknown, field.FOUND_DISTANCE);
  v128.store(question, unknown, field.FOUND_DISTANCE + 16);
}

/** Takes out of the sums of four rows what a key had in them, and adds what it has now. */
function exchangeHalf(at: usize, change: usize, pair: usize, found: usize, half: usize): void {
  const asked = v128.load(at, field.ASKED), nothing = f32x4.splat(0);
  let moved = nothing, c = nothing, shifted = nothing, doubt = nothing, gained = nothing, lost = nothing;
  if (change != 0) {
    moved = multiplyAdd(v128.load(found, field.DIFFERENCE), constant(UP), v128.load(found, field.FOUND_SLACK));
    c = v128.load(found, field.CHANGE);
    shifted = v128.load(found, field.FOUND_SHIFTED);
    doubt = v128.load(found, field.FOUND_DOUBT);
    gained = f32x4.pmax(c, nothing);
    lost = f32x4.sub(gained, c);
    // Comparisons with NaN are false.
    const sizes = f32x4.add(f32x4.add(moved, shifted), f32x4.add(f32x4.add(gained, lost), doubt));
    const odd = v128.load(at, field.ODD), isPlain = v128.andnot(f32x4.lt(sizes, constant(LARGEST)), odd);
    v128.store(at, v128.or(odd, v128.andnot(asked, isPlain)), field.ODD);
    const isTaken = v128.and(isPlain, asked);
    moved = v128.and(moved, isTaken);
    c = v128.and(c, isTaken);
    gained = v128.and(gained, isTaken);
    lost = v128.and(lost, isTaken);
    shifted = v128.and(shifted, isTaken);
    doubt = v128.and(doubt, isTaken);
  }
  const sums = at + (half << 4);
  if (pair == 0) return addToSums(sums, moved, shifted, gained, lost, doubt);
  const age = v128.load(at, field.AGE), isHeld = v128.and(asked, i32x4.eq(v128.load(pair, field.PAIR_AGE), age));
  const movedBefore = v128.and(v128.load(pair, field.PAIR_MOVED), isHeld);
  const cBefore = v128.and(v128.load(pair, field.PAIR_CHANGE), isHeld);
  const shiftedBefore = v128.and(v128.load(pair, field.PAIR_SHIFTED), isHeld);
  const doubtBefore = v128.and(v128.load(pair, field.PAIR_DOUBT), isHeld);
  const gainedBefore = f32x4.pmax(cBefore, nothing), lostBefore = f32x4.sub(gainedBefore, cBefore);
  if (i32x4.all_true(asked)) {
    v128.store(pair, moved, field.PAIR_MOVED);
    v128.store(pair, c, field.PAIR_CHANGE);
    v128.store(pair, shifted, field.PAIR_SHIFTED);
    v128.store(pair, doubt, field.PAIR_DOUBT);
    v128.store(pair, v128.load(found, field.RAW), field.PAIR_RAW);
    v128.store(pair, v128.load(found, field.FOUND_DISTANCE), field.PAIR_DISTANCE);
    v128.store(pair, age, field.PAIR_AGE);
  } else {
    take(pair + field.PAIR_MOVED, moved, asked);
    take(pair + field.PAIR_CHANGE, c, asked);
    take(pair + field.PAIR_SHIFTED, shifted, asked);
    take(pair + field.PAIR_DOUBT, doubt, asked);
    take(pair + field.PAIR_RAW, v128.load(found, field.RAW), asked);
    take(pair + field.PAIR_DISTANCE, v128.load(found, field.FOUND_DISTANCE), asked);
    take(pair + field.PAIR_AGE, age, asked);
  }
  addTwo(
    sums,
    f64x2.sub(low(moved), low(movedBefore)),
    f64x2.sub(low(shifted), low(shiftedBefore)),
    f64x2.sub(low(gained), low(gainedBefore)),
    f64x2.sub(low(lost), low(lostBefore)),
    f64x2.sub(low(doubt), low(doubtBefore)),
  );
  addTwo(
    sums + 16,
    f64x2.sub(promoteHigh(moved), promoteHigh(movedBefore)),
    f64x2.sub(promoteHigh(shifted), promoteHigh(shiftedBefore)),
    f64x2.sub(promoteHigh(gained), promoteHigh(gainedBefore)),
    f64x2.sub(promoteHigh(lost), promoteHigh(lostBefore)),
    f64x2.sub(promoteHigh(doubt), promoteHigh(doubtBefore)),
  );
}

/** Adds to the sums of four rows. */
function addToSums(sums: usize, moved: v128, shifted: v128, gained: v128, lost: v128, doubt: v128): void {
  addTwo(sums, low(moved), low(shifted), low(gained), low(lost), low(doubt));
  const high = sums + 16;
  addTwo(high, promoteHigh(moved), promoteHigh(shifted), promoteHigh(gained), promoteHigh(lost), promoteHigh(doubt));
}

@inline
function low(numbers: v128): v128 {
  return f64x2.promote_low_f32x4(numbers);
}

/** Adds to the sums of two rows, and notes how large they have been. */
@inline
function addTwo(sums: usize, moved: v128, shifted: v128, gained: v128, lost: v128, doubt: v128): void {
  const allMoved = f64x2.add(v128.load(sums, field.MOVED), moved);
  const allShifted = f64x2.add(v128.load(sums, field.SHIFTED), shifted);
  v128.store(sums, allMoved, field.MOVED);
  v128.store(sums, allShifted, field.SHIFTED);
  v128.store(sums, f64x2.pmax(f64x2.add(allMoved, allShifted), v128.load(sums, field.MOVED_PEAK)), field.MOVED_PEAK);
  const allGained = f64x2.add(v128.load(sums, field.GAINED), gained);
  const allLost = f64x2.add(v128.load(sums, field.LOST), lost);
  const allDoubt = f64x2.add(v128.load(sums, field.DOUBT), doubt);
  v128.store(sums, allGained, field.GAINED);
  v128.store(sums, allLost, field.LOST);
  v128.store(sums, allDoubt, field.DOUBT);
  const weights = f64x2.add(f64x2.add(allGained, allLost), allDoubt);
  v128.store(sums, f64x2.pmax(weights, v128.load(sums, field.WEIGHT_PEAK)), field.WEIGHT_PEAK);
}
