// What the module offers. A call takes a job and a range of blocks, so that threads with jobs of their own can share
// the work; it should be short, because code tiers up between calls.

import {
  BLOCK_BYTES,
  BLOCK_ROWS,
  CHUNK_TERMS,
  COLUMNS,
  HIGH,
  LOW,
  PAIR_COUNT,
  SCRATCH,
  TERM_COUNT,
  TERM_VALUES,
  VALUE_DIM,
} from "../job_fields.ts";
import { chargeChunk, judge } from "./ledger.ts";
import { multiplyAdd } from "./lanes.ts";
import { addExactly, addFour, addTwo } from "./products.ts";
import { scoreChunk } from "./scores.ts";
import { clearBlock, raiseShifts, settleBlock } from "./shifts.ts";
import { weighChunk, WEIGHTS_AT } from "./weights.ts";

/** So few terms cost little beside what they change, and are summed in float64: edits one by one leave no rounding. */
const FEW_TERMS: i32 = 16;

/** Where memory is free. */
export function heapBase(): usize {
  return __heap_base;
}

/** Empties the active rows of blocks `first` to `end` − 1 for a build. */
export function clear(job: usize, first: i32, end: i32): void {
  for (let block = first; block < end; block++) clearBlock(job, block);
}

/** Adds the terms, which have no pairs, to active rows that are being built, raising shifts as scores ask for it. */
export function build(job: usize, first: i32, end: i32): void {
  const terms = load<i32>(job + TERM_COUNT);
  for (let block = first; block < end; block++) {
    for (let term = 0; term < terms; term += CHUNK_TERMS) {
      const count = min(CHUNK_TERMS, terms - term);
      scoreChunk(job, block, term, count);
      raiseShifts(job, block, count);
      const isPeaked = weighChunk(job, block, term, count, 0);
      addChunk(job, block, term, count, isPeaked || terms <= FEW_TERMS);
    }
  }
}

/** Ends a build. */
export function settle(job: usize, first: i32, end: i32): void {
  for (let block = first; block < end; block++) settleBlock(job, block);
}

/** Adds and takes out the terms in active rows, and flags the rows that are not to be trusted; returns whether any is. */
export function patch(job: usize, first: i32, end: i32): bool {
  const terms = load<i32>(job + TERM_COUNT), allPairs = load<i32>(job + PAIR_COUNT);
  let isFlagged = false;
  for (let block = first; block < end; block++) {
    for (let term = 0; term < terms; term += CHUNK_TERMS) {
      const count = min(CHUNK_TERMS, terms - term);
      const pairsBefore = min(term >> 1, allPairs), pairs = min(count >> 1, allPairs - pairsBefore);
      scoreChunk(job, block, term - pairsBefore, count - pairs);
      const isPeaked = weighChunk(job, block, term, count, pairs);
      addChunk(job, block, term, count, isPeaked || terms <= FEW_TERMS);
    }
    isFlagged = judge(job, block) || isFlagged;
  }
  return isFlagged;
}

/** Scores of the terms, which have no pairs, with one block, eight numbers each, to `target`. */
export function score(job: usize, block: i32, target: usize): void {
  const terms = load<i32>(job + TERM_COUNT);
  for (let term = 0; term < terms; term += CHUNK_TERMS) {
    const count = min(CHUNK_TERMS, terms - term);
    scoreChunk(job, block, term, count);
    memory.copy(target + <usize> term * BLOCK_BYTES, load<usize>(job + SCRATCH), <usize> count * BLOCK_BYTES);
  }
}

/** Weights of the terms, which have no pairs, under the shifts of one block, eight numbers each, to `target`. */
export function weigh(job: usize, block: i32, target: usize): void {
  const terms = load<i32>(job + TERM_COUNT);
  for (let term = 0; term < terms; term += CHUNK_TERMS) {
    const count = min(CHUNK_TERMS, terms - term);
    scoreChunk(job, block, term, count);
    weighChunk(job, block, term, count, 0);
    const weights = load<usize>(job + SCRATCH) + WEIGHTS_AT;
    memory.copy(target + <usize> term * BLOCK_BYTES, weights, <usize> count * BLOCK_BYTES);
  }
}

/** o = u / l of every row of the blocks, dv numbers each, from `target` on; rows without mass are 0. */
export function read(job: usize, first: i32, end: i32, target: usize): void {
  const valueDim = load<i32>(job + VALUE_DIM);
  const stride = load<usize>(job + COLUMNS) * BLOCK_BYTES;
  for (let block = first; block < end; block++) {
    for (let lane = 0; lane < BLOCK_ROWS; lane++) {
      let high = load<usize>(job + HIGH) + <usize> block * stride + (<usize> lane << 2);
      let low = load<usize>(job + LOW) + <usize> block * stride + (<usize> lane << 2);
      const massAt = <usize> valueDim * BLOCK_BYTES;
      const mass = <f64> load<f32>(high + massAt) + <f64> load<f32>(low + massAt);
      const share = mass > 0 ? 1 / mass : 0;
      for (let c = 0; c < valueDim; c++, high += BLOCK_BYTES, low += BLOCK_BYTES, target += 4) {
        store<f32>(target, <f32> ((<f64> load<f32>(high) + <f64> load<f32>(low)) * share));
      }
    }
  }
}

/** Whether a multiply-add rounds once here. */
export function isFused(): bool {
  const x = f32x4.splat(1.000244140625);
  return f32x4.extract_lane(multiplyAdd(x, x, f32x4.neg(f32x4.mul(x, x))), 0) != 0;
}

/** Multiply-adds of independent chains, which is all that a processor can do: 32 · `rounds` vectors of four. */
export function multiplyAddLimit(rounds: i32): f32 {
  // Chains that start alike would be merged into one.
  let a0 = f32x4.splat(<f32> rounds), a1 = f32x4.splat(1), a2 = f32x4.splat(2), a3 = f32x4.splat(3);
  let a4 = f32x4.splat(4), a5 = f32x4.splat(5), a6 = f32x4.splat(6), a7 = f32x4.splat(7);
  // Constants would be made anew at each use.
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

function addChunk(job: usize, block: i32, first: i32, count: i32, isExact: bool): void {
  const columns = load<usize>(job + COLUMNS), used = load<usize>(job + VALUE_DIM) + 2;
  const weights = load<usize>(job + SCRATCH) + WEIGHTS_AT;
  const values = load<usize>(job + TERM_VALUES) + (<usize> first << 2);
  const start = <usize> block * columns * BLOCK_BYTES;
  let high = load<usize>(job + HIGH) + start, low = load<usize>(job + LOW) + start;
  if (isExact) {
    for (let c: usize = 0; c < used; c++, high += BLOCK_BYTES, low += BLOCK_BYTES) {
      addExactly(weights, values, c << 2, count, high, low);
    }
  } else {
    let c: usize = 0;
    for (; c + 2 < used; c += 4, high += 4 * BLOCK_BYTES, low += 4 * BLOCK_BYTES) {
      addFour(weights, values, c << 2, count, high, low);
    }
    if (c < used) addTwo(weights, values, c << 2, count, high, low);
  }
  chargeChunk(job, block, count, isExact);
}
