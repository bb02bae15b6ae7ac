// The two products for single rows, for blocks with few rows to compute. Lanes are keys in the first product
// and columns in the second, so that no lane is wasted on other rows.
//
// Each lane takes the steps of products.ts in the same order, so the bits are the same.

import { multiplyAdd } from "./lanes.ts";

/** Bytes from one number of a row to its next, in queries, scores and weights, and in sums. */
const STRIDE: usize = 32, SUM_STRIDE: usize = 64;

/**
 * Scores of one row with `count` keys, scale · q·k each, before softcap and bias. `keys` is the list of their
 * addresses; eight keys are scored at a time, and those beyond the end repeat the last one, so `target` must
 * have room for them.
 */
export function scoreRow(query: usize, keys: usize, count: i32, headDim: i32, scale: v128, target: usize): void {
  const last = keys + (<usize> (count - 1) << 2);
  for (let at = keys; at <= last; at += 32, target += 8 * STRIDE) {
    scoreEight(
      query,
      load<usize>(at),
      load<usize>(min(at + 4, last)),
      load<usize>(min(at + 8, last)),
      load<usize>(min(at + 12, last)),
      load<usize>(min(at + 16, last)),
      load<usize>(min(at + 20, last)),
      load<usize>(min(at + 24, last)),
      load<usize>(min(at + 28, last)),
      headDim,
      scale,
      target,
    );
  }
}

function scoreEight(
  query: usize,
  key0: usize,
  key1: usize,
  key2: usize,
  key3: usize,
  key4: usize,
  key5: usize,
  key6: usize,
  key7: usize,
  headDim: i32,
  scale: v128,
  target: usize,
): void {
  let near = f32x4.splat(0), far = f32x4.splat(0);
  const fours = query + (<usize> (headDim & ~3) << 5), end = query + (<usize> headDim << 5);
  let c: usize = 0;
  for (; query < fours; query += 4 * STRIDE, c += 16) {
    const query0 = v128.load32_splat(query), query1 = v128.load32_splat(query, STRIDE);
    const query2 = v128.load32_splat(query, 2 * STRIDE), query3 = v128.load32_splat(query, 3 * STRIDE);
    const row0 = v128.load(key0 + c), row1 = v128.load(key1 + c);
    const row2 = v128.load(key2 + c), row3 = v128.load(key3 + c);
    const left01 = v128.shuffle<f32>(row0, row1, 0, 4, 1, 5), right01 = v128.shuffle<f32>(row0, row1, 2, 6, 3, 7);
    const left23 = v128.shuffle<f32>(row2, row3, 0, 4, 1, 5), right23 = v128.shuffle<f32>(row2, row3, 2, 6, 3, 7);
    near = multiplyAdd(query0, v128.shuffle<f64>(left01, left23, 0, 2), near);
    near = multiplyAdd(query1, v128.shuffle<f64>(left01, left23, 1, 3), near);
    near = multiplyAdd(query2, v128.shuffle<f64>(right01, right23, 0, 2), near);
    near = multiplyAdd(query3, v128.shuffle<f64>(right01, right23, 1, 3), near);
    const row4 = v128.load(key4 + c), row5 = v128.load(key5 + c);
    const row6 = v128.load(key6 + c), row7 = v128.load(key7 + c);
    const left45 = v128.shuffle<f32>(row4, row5, 0, 4, 1, 5), right45 = v128.shuffle<f32>(row4, row5, 2, 6, 3, 7);
    const left67 = v128.shuffle<f32>(row6, row7, 0, 4, 1, 5), right67 = v128.shuffle<f32>(row6, row7, 2, 6, 3, 7);
    far = multiplyAdd(query0, v128.shuffle<f64>(left45, left67, 0, 2), far);
    far = multiplyAdd(query1, v128.shuffle<f64>(left45, left67, 1, 3), far);
    far = multiplyAdd(query2, v128.shuffle<f64>(right45, right67, 0, 2), far);
    far = multiplyAdd(query3, v128.shuffle<f64>(right45, right67, 1, 3), far);
  }
  for (; query < end; query += STRIDE, c += 4) {
    const factor = v128.load32_splat(query);
    near = multiplyAdd(factor, column(key0 + c, key1 + c, key2 + c, key3 + c), near);
    far = multiplyAdd(factor, column(key4 + c, key5 + c, key6 + c, key7 + c), far);
  }
  scatter(target, f32x4.mul(scale, near));
  scatter(target + 4 * STRIDE, f32x4.mul(scale, far));
}

/** Adds the contributions of `count` terms to the first `end` columns of a row's sums, a multiple of four. */
export function addRow(weights: usize, values: usize, end: usize, count: i32, sums: usize): void {
  let c: usize = 0;
  for (; c + 32 <= end; c += 32, sums += 32 * SUM_STRIDE) addThirtyTwo(weights, values, c << 2, count, sums);
  for (; c < end; c += 4, sums += 4 * SUM_STRIDE) addFour(weights, values, c << 2, count, sums);
}

function addThirtyTwo(weights: usize, values: usize, column: usize, count: i32, sums: usize): void {
  let sum0 = f32x4.splat(0), sum1 = f32x4.splat(0), sum2 = f32x4.splat(0), sum3 = f32x4.splat(0);
  let sum4 = f32x4.splat(0), sum5 = f32x4.splat(0), sum6 = f32x4.splat(0), sum7 = f32x4.splat(0);
  for (const end = values + (<usize> count << 2); values < end; values += 4, weights += STRIDE) {
    const weight = v128.load32_splat(weights);
    const value = load<usize>(values) + column;
    sum0 = multiplyAdd(weight, v128.load(value), sum0);
    sum1 = multiplyAdd(weight, v128.load(value, 16), sum1);
    sum2 = multiplyAdd(weight, v128.load(value, 32), sum2);
    sum3 = multiplyAdd(weight, v128.load(value, 48), sum3);
    sum4 = multiplyAdd(weight, v128.load(value, 64), sum4);
    sum5 = multiplyAdd(weight, v128.load(value, 80), sum5);
    sum6 = multiplyAdd(weight, v128.load(value, 96), sum6);
    sum7 = multiplyAdd(weight, v128.load(value, 112), sum7);
  }
  addSums(sums, sum0);
  addSums(sums + 4 * SUM_STRIDE, sum1);
  addSums(sums + 8 * SUM_STRIDE, sum2);
  addSums(sums + 12 * SUM_STRIDE, sum3);
  addSums(sums + 16 * SUM_STRIDE, sum4);
  addSums(sums + 20 * SUM_STRIDE, sum5);
  addSums(sums + 24 * SUM_STRIDE, sum6);
  addSums(sums + 28 * SUM_STRIDE, sum7);
}

function addFour(weights: usize, values: usize, column: usize, count: i32, sums: usize): void {
  let sum = f32x4.splat(0);
  for (const end = values + (<usize> count << 2); values < end; values += 4, weights += STRIDE) {
    sum = multiplyAdd(v128.load32_splat(weights), v128.load(load<usize>(values) + column), sum);
  }
  addSums(sums, sum);
}

/** As `addRow`, in float64, with weights at a stride of 2 · STRIDE bytes. */
export function addRowExactly(weights: usize, values: usize, end: usize, count: i32, sums: usize): void {
  for (let c: usize = 0; c < end; c += 4, sums += 4 * SUM_STRIDE) {
    addFourExactly(weights, values, c << 2, count, sums);
  }
}

function addFourExactly(weights: usize, values: usize, column: usize, count: i32, sums: usize): void {
  let left = f64x2.splat(0), right = f64x2.splat(0);
  for (const end = values + (<usize> count << 2); values < end; values += 4, weights += 2 * STRIDE) {
    const weight = v128.load64_splat(weights);
    const value = load<usize>(values) + column;
    left = f64x2.add(left, f64x2.mul(weight, f64x2.promote_low_f32x4(v128.load64_zero(value))));
    right = f64x2.add(right, f64x2.mul(weight, f64x2.promote_low_f32x4(v128.load64_zero(value, 8))));
  }
  addPair(sums, left);
  addPair(sums + 2 * SUM_STRIDE, right);
}

@inline
function addSums(sums: usize, terms: v128): void {
  addPair(sums, f64x2.promote_low_f32x4(terms));
  addPair(sums + 2 * SUM_STRIDE, f64x2.promote_low_f32x4(v128.shuffle<f64>(terms, terms, 1, 1)));
}

/** Adds to two neighbouring columns of a row. */
@inline
function addPair(sums: usize, terms: v128): void {
  store<f64>(sums, load<f64>(sums) + f64x2.extract_lane(terms, 0));
  store<f64>(sums, load<f64>(sums, SUM_STRIDE) + f64x2.extract_lane(terms, 1), SUM_STRIDE);
}

/** Four numbers of a row. */
@inline
function column(at0: usize, at1: usize, at2: usize, at3: usize): v128 {
  let numbers = v128.load32_zero(at0);
  numbers = v128.load_lane<f32>(at1, numbers, 1);
  numbers = v128.load_lane<f32>(at2, numbers, 2);
  return v128.load_lane<f32>(at3, numbers, 3);
}

@inline
function scatter(at: usize, numbers: v128): void {
  v128.store_lane<f32>(at, numbers, 0);
  v128.store_lane<f32>(at + STRIDE, numbers, 1);
  v128.store_lane<f32>(at + 2 * STRIDE, numbers, 2);
  v128.store_lane<f32>(at + 3 * STRIDE, numbers, 3);
}
