// Scores of a chunk of terms with a block of rows: products, then softcap, biases and positions; or biases
// before the softcap.

import {
  AFTER,
  BEFORE,
  BIAS_FIRST,
  BLOCK_BIASES,
  BLOCK_BYTES,
  BLOCK_COLUMN_COUNT,
  BLOCK_ROW_COUNT,
  BLOCK_ROWS,
  DISTANCE_BIASES,
  DISTANCE_COUNT,
  FIRST_DISTANCE,
  HEAD_DIM,
  KEEP_BEFORE,
  KEY_BLOCK,
  QUERIES,
  QUERY_BLOCK,
  ROW_POSITIONS,
  SCALE,
  SCRATCH,
  SLOPE,
  SOFTCAP,
  TERM_BIASES,
  TERM_KEYS,
  TERM_POSITIONS,
} from "../job_fields.ts";
import { capScore } from "./exponential.ts";
import { scoreFour, scoreOne } from "./products.ts";
import { areFew } from "./rows.ts";
import { scoreRow } from "./single_rows.ts";

/**
 * Writes the scores of `count` keys from `first` on to the scratch; −∞ for a pair that is forbidden. Only
 * scores of the rows in `rows`, one bit for each, are used.
 */
export function scoreChunk(job: usize, block: i32, first: i32, count: i32, rows: i32): void {
  const headDim = load<i32>(job + HEAD_DIM);
  const query = load<usize>(job + QUERIES) + <usize> block * <usize> headDim * BLOCK_BYTES;
  const scale = f32x4.splat(load<f32>(job + SCALE));
  const keys = load<usize>(job + TERM_KEYS) + (<usize> first << 2);
  const scores = load<usize>(job + SCRATCH);
  if (areFew(rows)) {
    for (let left = rows; left != 0; left &= left - 1) {
      const row = <usize> ctz(left) << 2;
      scoreRow(query + row, keys, count, headDim, scale, scores + row);
    }
  } else scoreBlock(query, keys, count, headDim, scale, scores);

  const isCapped = load<f32>(job + SOFTCAP) > 0, isBiasFirst = load<u32>(job + BIAS_FIRST) != 0;
  if (isCapped && !isBiasFirst) capChunk(job, count);
  if (load<usize>(job + TERM_BIASES) != 0) addBiases(job, block, first, count);
  if (load<f64>(job + SLOPE) > 0) addSlopes(job, block, first, count);
  if (load<usize>(job + DISTANCE_BIASES) != 0) addDistances(job, block, first, count);
  if (load<usize>(job + BLOCK_BIASES) != 0) addBlocks(job, block, first, count);
  if (isCapped && isBiasFirst) capAllowed(job, count);
  if (load<usize>(job + TERM_POSITIONS) != 0) forbidOutOfReach(job, block, first, count);
}

function scoreBlock(query: usize, keys: usize, count: i32, headDim: i32, scale: v128, target: usize): void {
  let t = 0;
  for (; t + 4 <= count; t += 4) {
    scoreFour(
      query,
      load<usize>(keys),
      load<usize>(keys, 4),
      load<usize>(keys, 8),
      load<usize>(keys, 12),
      headDim,
      scale,
      target,
    );
    keys += 16;
    target += 4 * BLOCK_BYTES;
  }
  for (; t < count; t++) {
    scoreOne(query, load<usize>(keys), headDim, scale, target);
    keys += 4;
    target += BLOCK_BYTES;
  }
}

function capChunk(job: usize, count: i32): void {
  const softcap = f32x4.splat(load<f32>(job + SOFTCAP));
  let at = load<usize>(job + SCRATCH);
  const end = at + <usize> count * BLOCK_BYTES;
  for (; at < end; at += 16) v128.store(at, capScore(v128.load(at), softcap));
}

/** As `capChunk`; what is forbidden stays so. */
function capAllowed(job: usize, count: i32): void {
  const softcap = f32x4.splat(load<f32>(job + SOFTCAP)), forbidden = f32x4.splat(-Infinity);
  let at = load<usize>(job + SCRATCH);
  const end = at + <usize> count * BLOCK_BYTES;
  for (; at < end; at += 16) {
    const score = v128.load(at);
    v128.store(at, v128.bitselect(forbidden, capScore(score, softcap), f32x4.eq(score, forbidden)));
  }
}

/** Subtracts the slope times the distance, in float64. */
function addSlopes(job: usize, block: i32, first: i32, count: i32): void {
  const slope = f64x2.splat(load<f64>(job + SLOPE));
  const rows = load<usize>(job + ROW_POSITIONS) + (<usize> block << 6);
  let at = load<usize>(job + SCRATCH);
  let positions = load<usize>(job + TERM_POSITIONS) + (<usize> first << 3);
  const end = at + <usize> count * BLOCK_BYTES;
  for (; at < end; at += BLOCK_BYTES, positions += 8) {
    const key = f64x2.splat(load<f64>(positions));
    slopeFour(at, rows, key, slope);
    slopeFour(at + 16, rows + 32, key, slope);
  }
}

@inline
function slopeFour(scores: usize, rows: usize, key: v128, slope: v128): void {
  const four = v128.load(scores);
  const bias0 = f64x2.mul(slope, f64x2.abs(f64x2.sub(key, v128.load(rows))));
  const bias1 = f64x2.mul(slope, f64x2.abs(f64x2.sub(key, v128.load(rows, 16))));
  const left = f64x2.sub(f64x2.promote_low_f32x4(four), bias0);
  const right = f64x2.sub(f64x2.promote_low_f32x4(v128.shuffle<f64>(four, four, 1, 1)), bias1);
  v128.store(
    scores,
    v128.shuffle<f64>(f32x4.demote_f64x2_zero(left), f32x4.demote_f64x2_zero(right), 0, 2),
  );
}

/** Adds the bias of the distance, from a table; those beyond its ends are its ends. */
function addDistances(job: usize, block: i32, first: i32, count: i32): void {
  const table = load<usize>(job + DISTANCE_BIASES), from = load<f64>(job + FIRST_DISTANCE);
  const last = <f64> load<u32>(job + DISTANCE_COUNT) - 1;
  const rows = load<usize>(job + ROW_POSITIONS) + (<usize> block << 6);
  let at = load<usize>(job + SCRATCH);
  let positions = load<usize>(job + TERM_POSITIONS) + (<usize> first << 3);
  const end = at + <usize> count * BLOCK_BYTES;
  for (; at < end; at += BLOCK_BYTES, positions += 8) {
    const key = load<f64>(positions) - from;
    for (let lane: usize = 0; lane < <usize> BLOCK_ROWS; lane++) {
      const distance = max(0, min(key - load<f64>(rows + (lane << 3)), last));
      const score = at + (lane << 2);
      store<f32>(score, load<f32>(score) + load<f32>(table + (<usize> distance << 2)));
    }
  }
}

/** Adds the biases of blocks of positions; −∞ where there is none. */
function addBlocks(job: usize, block: i32, first: i32, count: i32): void {
  const table = load<usize>(job + BLOCK_BIASES);
  const queryBlock = load<f64>(job + QUERY_BLOCK), keyBlock = load<f64>(job + KEY_BLOCK);
  const blockRows = <f64> load<u32>(job + BLOCK_ROW_COUNT), columns = load<u32>(job + BLOCK_COLUMN_COUNT);
  const rows = load<usize>(job + ROW_POSITIONS) + (<usize> block << 6);
  let at = load<usize>(job + SCRATCH);
  let positions = load<usize>(job + TERM_POSITIONS) + (<usize> first << 3);
  const end = at + <usize> count * BLOCK_BYTES;
  for (; at < end; at += BLOCK_BYTES, positions += 8) {
    const column = floor(load<f64>(positions) / keyBlock);
    const isOutside = column < 0 || column >= <f64> columns;
    for (let lane: usize = 0; lane < <usize> BLOCK_ROWS; lane++) {
      const row = floor(load<f64>(rows + (lane << 3)) / queryBlock), score = at + (lane << 2);
      if (isOutside || row < 0 || row >= blockRows) {
        store<f32>(score, -Infinity);
        continue;
      }
      const entry = table + ((<usize> row * <usize> columns + <usize> column) << 2);
      store<f32>(score, load<f32>(score) + load<f32>(entry));
    }
  }
}

function addBiases(job: usize, block: i32, first: i32, count: i32): void {
  let at = load<usize>(job + SCRATCH);
  let biases = load<usize>(job + TERM_BIASES) + (<usize> first << 2);
  const end = at + <usize> count * BLOCK_BYTES;
  for (; at < end; at += BLOCK_BYTES, biases += 4) {
    const bias = load<usize>(biases) + <usize> block * BLOCK_BYTES;
    v128.store(at, f32x4.add(v128.load(at), v128.load(bias)));
    v128.store(at, f32x4.add(v128.load(at, 16), v128.load(bias, 16)), 16);
  }
}

function forbidOutOfReach(job: usize, block: i32, first: i32, count: i32): void {
  const before = load<f64>(job + BEFORE), keepBefore = load<f64>(job + KEEP_BEFORE);
  const most = f64x2.splat(load<f64>(job + AFTER));
  const rows = load<usize>(job + ROW_POSITIONS) + (<usize> block << 6);
  let at = load<usize>(job + SCRATCH);
  let positions = load<usize>(job + TERM_POSITIONS) + (<usize> first << 3);
  const end = at + <usize> count * BLOCK_BYTES;
  for (; at < end; at += BLOCK_BYTES, positions += 8) {
    const position = load<f64>(positions), key = f64x2.splat(position);
    const least = f64x2.splat(position < keepBefore ? -Infinity : -before);
    forbidFour(at, rows, key, least, most);
    forbidFour(at + 16, rows + 32, key, least, most);
  }
}

@inline
function forbidFour(scores: usize, rows: usize, key: v128, least: v128, most: v128): void {
  const ahead0 = f64x2.sub(key, v128.load(rows)), ahead1 = f64x2.sub(key, v128.load(rows, 16));
  const seen0 = v128.and(f64x2.le(least, ahead0), f64x2.le(ahead0, most));
  const seen1 = v128.and(f64x2.le(least, ahead1), f64x2.le(ahead1, most));
  const seen = i32x4.shuffle(seen0, seen1, 0, 2, 4, 6);
  v128.store(scores, v128.bitselect(v128.load(scores), f32x4.splat(-Infinity), seen));
}
