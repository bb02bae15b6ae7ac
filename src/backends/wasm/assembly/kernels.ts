// The exported functions of the module. A call takes a job and a range of blocks, so that threads with jobs
// of their own can share the work. Calls should be short, because V8 switches to optimized code only between
// calls. Functions inside take up to a dozen numbers one by one: those are registers, where the fields of a
// record would be loads in the loops.

import {
  BLOCK_BYTES,
  BLOCK_ROWS,
  CHUNK_TERMS,
  COLUMN_BYTES,
  COLUMNS,
  EXACT_TERMS,
  PAIR_COUNT,
  SCRATCH,
  SUMS,
  TERM_COUNT,
  TERM_VALUES,
  SHARED_VALUE_PAIR_COUNT,
  VALUE_DIM,
} from "../job_fields.ts";
import { chargeChunk, judge } from "./ledger.ts";
import { addChanges } from "./certificate_sums.ts";
import { difference, listMoved } from "./changed_pairs.ts";
import { multiplyAdd } from "./lanes.ts";
import { addExactly, addFour, addOneExactly, addTwo } from "./products.ts";
import { addAndRead, isSteepBlock, read, readBlock } from "./reads.ts";
import { activeRows, areFew as areFewRows } from "./rows.ts";
import { scoreChunk } from "./scores.ts";
import { clearBlock, raiseShifts, settleBlock } from "./shifts.ts";
import { addRow, addRowExactly } from "./single_rows.ts";
import { boundRows } from "./row_bounds.ts";
import { joinSharedValues, widenWeights } from "./shared_values.ts";
import { takeRows } from "./taken_rows.ts";
import { unpackKeys, unpackValues } from "./unpack.ts";
import { clearEvents, VALUES_AT, weighChunk, WEIGHTS_AT, WIDE_WEIGHTS_AT } from "./weights.ts";

export { addChanges, boundRows, difference, listMoved, read, takeRows, unpackKeys, unpackValues };

/** The bits of all rows of a block. */
const ALL_ROWS: i32 = (1 << BLOCK_ROWS) - 1;

/** The address from which on memory is free. */
export function heapBase(): usize {
  return __heap_base;
}

/** Empties the active rows of blocks `first` to `end` − 1 for a build. */
export function clear(job: usize, first: i32, end: i32): void {
  for (let block = first; block < end; block++) clearBlock(job, block);
}

/**
 * Adds the terms, which have no pairs of either kind, to active rows that are being built, and raises shifts
 * as scores require it.
 */
export function build(job: usize, first: i32, end: i32): void {
  const terms = load<i32>(job + TERM_COUNT), areFew = terms <= load<i32>(job + EXACT_TERMS);
  for (let block = first; block < end; block++) {
    const rows = activeRows(job, block);
    for (let term = 0; term < terms; term += CHUNK_TERMS) {
      const count = min(CHUNK_TERMS, terms - term);
      scoreChunk(job, block, term, count, rows);
      raiseShifts(job, block, count);
      const peaked = weighChunk(job, block, term, count, 0);
      addChunk(job, block, term, count, 0, 0, rows, areFew ? rows : rows & peaked);
    }
  }
}

/** Ends a build. */
export function settle(job: usize, first: i32, end: i32): void {
  for (let block = first; block < end; block++) settleBlock(job, block);
}

/**
 * Adds the terms to active rows or subtracts them, and flags the rows that are not trusted afterwards;
 * returns whether there are any.
 */
export function patch(job: usize, first: i32, end: i32): bool {
  let isFlagged = false;
  for (let block = first; block < end; block++) {
    patchBlock(job, block, 0, 0);
    isFlagged = judge(job, block) || isFlagged;
  }
  return isFlagged;
}

/**
 * `patch` and then `read`, a block at a time, while its sums are in registers or the nearest cache. Returns 1
 * if a row was flagged, plus 2 if one is steep.
 */
export function patchAndRead(job: usize, first: i32, end: i32, target: usize, stride: usize, steep: i32): i32 {
  let found = 0;
  for (let block = first; block < end; block++, target += BLOCK_ROWS * stride) {
    const isRead = patchBlock(job, block, target, stride);
    if (judge(job, block)) found |= 1;
    if (isRead ? isSteepBlock(job, block, steep) : readBlock(job, block, target, stride, steep)) found |= 2;
  }
  return found;
}

/**
 * Patches one block. If there is a target, and the last chunk leaves one or two terms to be summed in float64,
 * the rows are read to it on the way; returns whether they were.
 */
function patchBlock(job: usize, block: i32, target: usize, stride: usize): bool {
  const terms = load<i32>(job + TERM_COUNT), allPairs = load<i32>(job + PAIR_COUNT);
  const sharedAt = 2 * allPairs, sharedEnd = sharedAt + 2 * load<i32>(job + SHARED_VALUE_PAIR_COUNT);
  const areFew = terms <= load<i32>(job + EXACT_TERMS), rows = activeRows(job, block);
  let isRead = false;
  clearEvents(job, block);
  for (let term = 0; term < terms; term += CHUNK_TERMS) {
    const count = min(CHUNK_TERMS, terms - term);
    const pairsBefore = min(term >> 1, allPairs), pairs = min(count >> 1, allPairs - pairsBefore);
    scoreChunk(job, block, term - pairsBefore, count - pairs, rows);
    const peaked = weighChunk(job, block, term, count, pairs);
    // Chunks are of even size, so no pair of either kind is parted.
    const from = max(term, sharedAt), sharedValuePairs = max(0, min(term + count, sharedEnd) - from) >> 1;
    const exact = areFew ? rows : rows & peaked, left = count - sharedValuePairs;
    if (target != 0 && left <= 2 && term + count == terms && exact == rows && !areFewRows(rows)) {
      const values = load<usize>(job + TERM_VALUES) + (<usize> term << 2);
      widenWeights(job, values, count, from - term, sharedValuePairs);
      addAndRead(job, block, left, target, stride);
      chargeChunk(job, block, count, exact);
      isRead = true;
    } else addChunk(job, block, term, count, from - term, sharedValuePairs, rows, exact);
  }
  return isRead;
}

/**
 * Scores of the terms, which have no pairs, with one block, eight numbers each, to `target`; scores of rows
 * without a bit in `rows` have no meaning.
 */
export function score(job: usize, block: i32, rows: i32, target: usize): void {
  const terms = load<i32>(job + TERM_COUNT);
  for (let term = 0; term < terms; term += CHUNK_TERMS) {
    const count = min(CHUNK_TERMS, terms - term);
    scoreChunk(job, block, term, count, rows);
    memory.copy(target + <usize> term * BLOCK_BYTES, load<usize>(job + SCRATCH), <usize> count * BLOCK_BYTES);
  }
}

/**
 * For blocks `first` to `end` − 1 and each of the terms, which have no pairs, the largest that a score is
 * above what is at `offsets` for its row, eight float64 a block: a float64 a term to `target`, blocks `stride`
 * bytes apart. What is no number counts for nothing.
 */
export function largestLogs(job: usize, first: i32, end: i32, offsets: usize, target: usize, stride: usize): void {
  const terms = load<i32>(job + TERM_COUNT);
  for (let block = first; block < end; block++, offsets += 64, target += stride) {
    const offset0 = v128.load(offsets), offset1 = v128.load(offsets, 16);
    const offset2 = v128.load(offsets, 32), offset3 = v128.load(offsets, 48);
    for (let term = 0; term < terms; term += CHUNK_TERMS) {
      const count = min(CHUNK_TERMS, terms - term);
      scoreChunk(job, block, term, count, ALL_ROWS);
      let scores = load<usize>(job + SCRATCH), at = target + (<usize> term << 3);
      for (const last = scores + <usize> count * BLOCK_BYTES; scores < last; scores += BLOCK_BYTES, at += 8) {
        let largest = f64x2.splat(-Infinity);
        largest = f64x2.pmax(largest, f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(scores)), offset0));
        largest = f64x2.pmax(largest, f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(scores, 8)), offset1));
        largest = f64x2.pmax(largest, f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(scores, 16)), offset2));
        largest = f64x2.pmax(largest, f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(scores, 24)), offset3));
        store<f64>(at, max(f64x2.extract_lane(largest, 0), f64x2.extract_lane(largest, 1)));
      }
    }
  }
}

/**
 * Weights of the terms, which have no pairs, in the active rows of one block under their shifts, eight
 * numbers each, to `target`.
 */
export function weigh(job: usize, block: i32, target: usize): void {
  const terms = load<i32>(job + TERM_COUNT);
  for (let term = 0; term < terms; term += CHUNK_TERMS) {
    const count = min(CHUNK_TERMS, terms - term);
    scoreChunk(job, block, term, count, activeRows(job, block));
    weighChunk(job, block, term, count, 0);
    const weights = load<usize>(job + SCRATCH) + WEIGHTS_AT;
    memory.copy(target + <usize> term * BLOCK_BYTES, weights, <usize> count * BLOCK_BYTES);
  }
}

/** Whether a multiply-add rounds once here. */
export function isFused(): bool {
  const x = f32x4.splat(1.000244140625);
  return f32x4.extract_lane(multiplyAdd(x, x, f32x4.neg(f32x4.mul(x, x))), 0) != 0;
}

/** Runs 32 · `rounds` vector multiply-adds in independent chains, to measure the limit of the processor. */
export function multiplyAddLimit(rounds: i32): f32 {
  // The compiler would merge chains that start with equal numbers.
  let a0 = f32x4.splat(<f32> rounds), a1 = f32x4.splat(1), a2 = f32x4.splat(2), a3 = f32x4.splat(3);
  let a4 = f32x4.splat(4), a5 = f32x4.splat(5), a6 = f32x4.splat(6), a7 = f32x4.splat(7);
  // These are no constants, which would be built anew at each use.
  const x = f32x4.splat(1 / <f32> rounds), y = f32x4.splat(0.5 / <f32> rounds);
  for (let round = 0; round < rounds; round++) {
    a0 = multiplyAdd(a0, x, y);
    a1 = multiplyAdd(a1, x, y);
    a2 = multiplyAdd(a2, x, y);
    a3 = multiplyAdd(a3, x, y);
    a4 = multiplyAdd(a4, x, y);
    a5 = multiplyAdd(a5, x, y);
    a6 = multiplyAdd(a6, x, y);
    a7 = multiplyAdd(a7, x, y);
    a0 = multiplyAdd(a0, x, y);
    a1 = multiplyAdd(a1, x, y);
    a2 = multiplyAdd(a2, x, y);
    a3 = multiplyAdd(a3, x, y);
    a4 = multiplyAdd(a4, x, y);
    a5 = multiplyAdd(a5, x, y);
    a6 = multiplyAdd(a6, x, y);
    a7 = multiplyAdd(a7, x, y);
    a0 = multiplyAdd(a0, x, y);
    a1 = multiplyAdd(a1, x, y);
    a2 = multiplyAdd(a2, x, y);
    a3 = multiplyAdd(a3, x, y);
    a4 = multiplyAdd(a4, x, y);
    a5 = multiplyAdd(a5, x, y);
    a6 = multiplyAdd(a6, x, y);
    a7 = multiplyAdd(a7, x, y);
    a0 = multiplyAdd(a0, x, y);
    a1 = multiplyAdd(a1, x, y);
    a2 = multiplyAdd(a2, x, y);
    a3 = multiplyAdd(a3, x, y);
    a4 = multiplyAdd(a4, x, y);
    a5 = multiplyAdd(a5, x, y);
    a6 = multiplyAdd(a6, x, y);
    a7 = multiplyAdd(a7, x, y);
  }
  const left = f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3));
  return f32x4.extract_lane(f32x4.add(left, f32x4.add(f32x4.add(a4, a5), f32x4.add(a6, a7))), 0);
}

/**
 * Adds to `rows` a chunk of `count` terms, of which `sharedValuePairs` shared-value pairs start at its term
 * `from`: in float64 to the rows among `exact`, in float32 to the others. The bits of a row do not depend on
 * the way that other rows take.
 */
function addChunk(
  job: usize,
  block: i32,
  first: i32,
  count: i32,
  from: i32,
  sharedValuePairs: i32,
  rows: i32,
  exact: i32,
): void {
  const values = load<usize>(job + TERM_VALUES) + (<usize> first << 2);
  const plain = rows & ~exact;
  // If both ways occur, rows are computed one by one, since a whole block can be computed only in one way.
  const areMixed = exact != 0 && plain != 0;
  // The weights are widened before the plain sums join the shared-value pairs among them.
  if (exact != 0) addExactChunk(job, block, values, count, from, sharedValuePairs, exact, areMixed || areFewRows(exact));
  if (plain != 0) addPlainChunk(job, block, values, count, from, sharedValuePairs, plain, areMixed || areFewRows(plain));
  chargeChunk(job, block, count, exact);
}

function addExactChunk(
  job: usize,
  block: i32,
  values: usize,
  count: i32,
  from: i32,
  sharedValuePairs: i32,
  rows: i32,
  oneByOne: bool,
): void {
  const columns = load<usize>(job + COLUMNS), scratch = load<usize>(job + SCRATCH);
  let sums = load<usize>(job + SUMS) + <usize> block * columns * COLUMN_BYTES;
  const left = widenWeights(job, values, count, from, sharedValuePairs);
  if (oneByOne) {
    for (let asked = rows; asked != 0; asked &= asked - 1) {
      const row = <usize> ctz(asked) << 2, weights = scratch + WIDE_WEIGHTS_AT + 2 * row;
      addRowExactly(weights, scratch + VALUES_AT, columns, left, sums + 2 * row);
    }
    return;
  }
  const used = load<usize>(job + VALUE_DIM) + 2;
  if (left == 1) {
    addOneExactly(scratch + WIDE_WEIGHTS_AT, load<usize>(scratch + VALUES_AT), used, sums);
    return;
  }
  addExactly(scratch + WIDE_WEIGHTS_AT, scratch + VALUES_AT, 0, used, left, sums);
}

function addPlainChunk(
  job: usize,
  block: i32,
  values: usize,
  count: i32,
  from: i32,
  sharedValuePairs: i32,
  rows: i32,
  oneByOne: bool,
): void {
  const columns = load<usize>(job + COLUMNS), scratch = load<usize>(job + SCRATCH);
  let sums = load<usize>(job + SUMS) + <usize> block * columns * COLUMN_BYTES;
  let left = count;
  if (sharedValuePairs > 0) {
    left = joinSharedValues(job, values, count, from, sharedValuePairs);
    values = scratch + VALUES_AT;
  }
  const weights = scratch + WEIGHTS_AT;
  if (oneByOne) {
    for (let asked = rows; asked != 0; asked &= asked - 1) {
      const row = <usize> ctz(asked) << 2;
      addRow(weights + row, values, columns, left, sums + 2 * row);
    }
    return;
  }
  const used = load<usize>(job + VALUE_DIM) + 2;
  let c: usize = 0;
  for (; c + 2 < used; c += 4, sums += 4 * COLUMN_BYTES) addFour(weights, values, c << 2, left, sums);
  if (c < used) addTwo(weights, values, c << 2, left, sums);
}
