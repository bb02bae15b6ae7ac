// The two matrix products, which are nearly all of the work. Both compute 8 rows × 4 columns in eight vector
// registers: two loads of rows, four of single numbers into all lanes, and eight multiply-adds per step.
//
// Each lane belongs to one row and one column, and all lanes take the steps in the same order. So the bits of
// a score depend on the query and the key alone, and those of a sum on the row's own weights and values.

import { BLOCK_BYTES, COLUMN_BYTES } from "../job_fields.ts";
import { addToSums, multiplyAdd } from "./lanes.ts";

/** Scores of a block of rows with four keys, scale · q·k each, before softcap and bias. */
export function scoreFour(query: usize, key0: usize, key1: usize, key2: usize, key3: usize, headDim: i32, scale: v128, target: usize): void {
  let left0 = f32x4.splat(0), right0 = f32x4.splat(0);
  let left1 = f32x4.splat(0), right1 = f32x4.splat(0);
  let left2 = f32x4.splat(0), right2 = f32x4.splat(0);
  let left3 = f32x4.splat(0), right3 = f32x4.splat(0);
  const end = query + (headDim << 5);
  const pairsEnd = query + ((headDim & ~1) << 5);
  while (query < pairsEnd) {
    let low = v128.load(query), high = v128.load(query, 16);
    let factor = v128.load32_splat(key0, 0);
    left0 = multiplyAdd(low, factor, left0);
    right0 = multiplyAdd(high, factor, right0);
    factor = v128.load32_splat(key1, 0);
    left1 = multiplyAdd(low, factor, left1);
    right1 = multiplyAdd(high, factor, right1);
    factor = v128.load32_splat(key2, 0);
    left2 = multiplyAdd(low, factor, left2);
    right2 = multiplyAdd(high, factor, right2);
    factor = v128.load32_splat(key3, 0);
    left3 = multiplyAdd(low, factor, left3);
    right3 = multiplyAdd(high, factor, right3);
    low = v128.load(query, 32);
    high = v128.load(query, 48);
    factor = v128.load32_splat(key0, 4);
    left0 = multiplyAdd(low, factor, left0);
    right0 = multiplyAdd(high, factor, right0);
    factor = v128.load32_splat(key1, 4);
    left1 = multiplyAdd(low, factor, left1);
    right1 = multiplyAdd(high, factor, right1);
    factor = v128.load32_splat(key2, 4);
    left2 = multiplyAdd(low, factor, left2);
    right2 = multiplyAdd(high, factor, right2);
    factor = v128.load32_splat(key3, 4);
    left3 = multiplyAdd(low, factor, left3);
    right3 = multiplyAdd(high, factor, right3);
    query += 64;
    key0 += 8;
    key1 += 8;
    key2 += 8;
    key3 += 8;
  }
  if (query < end) {
    const low = v128.load(query), high = v128.load(query, 16);
    const factor0 = v128.load32_splat(key0);
    left0 = multiplyAdd(low, factor0, left0);
    right0 = multiplyAdd(high, factor0, right0);
    const factor1 = v128.load32_splat(key1);
    left1 = multiplyAdd(low, factor1, left1);
    right1 = multiplyAdd(high, factor1, right1);
    const factor2 = v128.load32_splat(key2);
    left2 = multiplyAdd(low, factor2, left2);
    right2 = multiplyAdd(high, factor2, right2);
    const factor3 = v128.load32_splat(key3);
    left3 = multiplyAdd(low, factor3, left3);
    right3 = multiplyAdd(high, factor3, right3);
  }
  v128.store(target, f32x4.mul(scale, left0), 0);
  v128.store(target, f32x4.mul(scale, right0), 16);
  v128.store(target, f32x4.mul(scale, left1), 32);
  v128.store(target, f32x4.mul(scale, right1), 48);
  v128.store(target, f32x4.mul(scale, left2), 64);
  v128.store(target, f32x4.mul(scale, right2), 80);
  v128.store(target, f32x4.mul(scale, left3), 96);
  v128.store(target, f32x4.mul(scale, right3), 112);
}

/** The same with one key. */
export function scoreOne(query: usize, key0: usize, headDim: i32, scale: v128, target: usize): void {
  let left0 = f32x4.splat(0), right0 = f32x4.splat(0);
  const end = query + (headDim << 5);
  const pairsEnd = query + ((headDim & ~1) << 5);
  while (query < pairsEnd) {
    let low = v128.load(query), high = v128.load(query, 16);
    let factor = v128.load32_splat(key0, 0);
    left0 = multiplyAdd(low, factor, left0);
    right0 = multiplyAdd(high, factor, right0);
    low = v128.load(query, 32);
    high = v128.load(query, 48);
    factor = v128.load32_splat(key0, 4);
    left0 = multiplyAdd(low, factor, left0);
    right0 = multiplyAdd(high, factor, right0);
    query += 64;
    key0 += 8;
  }
  if (query < end) {
    const low = v128.load(query), high = v128.load(query, 16);
    const factor0 = v128.load32_splat(key0);
    left0 = multiplyAdd(low, factor0, left0);
    right0 = multiplyAdd(high, factor0, right0);
  }
  v128.store(target, f32x4.mul(scale, left0), 0);
  v128.store(target, f32x4.mul(scale, right0), 16);
}

/**
 * Adds the contributions of `count` terms to four columns of a block's sums: products of weights and values
 * are summed in float32, and that sum is added to the sums in float64.
 */
export function addFour(weights: usize, values: usize, column: usize, count: i32, sums: usize): void {
  let left0 = f32x4.splat(0), left1 = f32x4.splat(0), left2 = f32x4.splat(0), left3 = f32x4.splat(0);
  let right0 = f32x4.splat(0), right1 = f32x4.splat(0), right2 = f32x4.splat(0), right3 = f32x4.splat(0);
  const end = values + (count << 2);
  const pairsEnd = values + ((count & ~1) << 2);
  while (values < pairsEnd) {
    const value0 = load<usize>(values, 0) + column;
    const leftWeight0 = v128.load(weights, 0), rightWeight0 = v128.load(weights, 16);
    let factor = v128.load32_splat(value0, 0);
    left0 = multiplyAdd(leftWeight0, factor, left0);
    right0 = multiplyAdd(rightWeight0, factor, right0);
    factor = v128.load32_splat(value0, 4);
    left1 = multiplyAdd(leftWeight0, factor, left1);
    right1 = multiplyAdd(rightWeight0, factor, right1);
    factor = v128.load32_splat(value0, 8);
    left2 = multiplyAdd(leftWeight0, factor, left2);
    right2 = multiplyAdd(rightWeight0, factor, right2);
    factor = v128.load32_splat(value0, 12);
    left3 = multiplyAdd(leftWeight0, factor, left3);
    right3 = multiplyAdd(rightWeight0, factor, right3);
    const value1 = load<usize>(values, 4) + column;
    const leftWeight1 = v128.load(weights, 32), rightWeight1 = v128.load(weights, 48);
    factor = v128.load32_splat(value1, 0);
    left0 = multiplyAdd(leftWeight1, factor, left0);
    right0 = multiplyAdd(rightWeight1, factor, right0);
    factor = v128.load32_splat(value1, 4);
    left1 = multiplyAdd(leftWeight1, factor, left1);
    right1 = multiplyAdd(rightWeight1, factor, right1);
    factor = v128.load32_splat(value1, 8);
    left2 = multiplyAdd(leftWeight1, factor, left2);
    right2 = multiplyAdd(rightWeight1, factor, right2);
    factor = v128.load32_splat(value1, 12);
    left3 = multiplyAdd(leftWeight1, factor, left3);
    right3 = multiplyAdd(rightWeight1, factor, right3);
    weights += 64;
    values += 8;
  }
  if (values < end) {
    const value0 = load<usize>(values, 0) + column;
    const leftWeight0 = v128.load(weights, 0), rightWeight0 = v128.load(weights, 16);
    let factor = v128.load32_splat(value0, 0);
    left0 = multiplyAdd(leftWeight0, factor, left0);
    right0 = multiplyAdd(rightWeight0, factor, right0);
    factor = v128.load32_splat(value0, 4);
    left1 = multiplyAdd(leftWeight0, factor, left1);
    right1 = multiplyAdd(rightWeight0, factor, right1);
    factor = v128.load32_splat(value0, 8);
    left2 = multiplyAdd(leftWeight0, factor, left2);
    right2 = multiplyAdd(rightWeight0, factor, right2);
    factor = v128.load32_splat(value0, 12);
    left3 = multiplyAdd(leftWeight0, factor, left3);
    right3 = multiplyAdd(rightWeight0, factor, right3);
  }
  addToSums(sums, left0);
  addToSums(sums + 32, right0);
  addToSums(sums + 64, left1);
  addToSums(sums + 96, right1);
  addToSums(sums + 128, left2);
  addToSums(sums + 160, right2);
  addToSums(sums + 192, left3);
  addToSums(sums + 224, right3);
}

/** The same for two columns, for values whose last four columns have only two in use. */
export function addTwo(weights: usize, values: usize, column: usize, count: i32, sums: usize): void {
  let left0 = f32x4.splat(0), left1 = f32x4.splat(0), right0 = f32x4.splat(0), right1 = f32x4.splat(0);
  const end = values + (count << 2);
  for (; values < end; values += 4, weights += 32) {
    const value = load<usize>(values) + column;
    const leftWeight = v128.load(weights), rightWeight = v128.load(weights, 16);
    let factor = v128.load32_splat(value);
    left0 = multiplyAdd(leftWeight, factor, left0);
    right0 = multiplyAdd(rightWeight, factor, right0);
    factor = v128.load32_splat(value, 4);
    left1 = multiplyAdd(leftWeight, factor, left1);
    right1 = multiplyAdd(rightWeight, factor, right1);
  }
  addToSums(sums, left0);
  addToSums(sums + 32, right0);
  addToSums(sums + 64, left1);
  addToSums(sums + 96, right1);
}

/**
 * The same for `columns` columns in float64, with weights in float64: products are exact, and their sum has 53
 * bits. It takes several times as long, and is used for chunks in which one term is a large part of a row.
 */
export function addExactly(weights: usize, values: usize, column: usize, columns: usize, count: i32, sums: usize): void {
  const end = values + (count << 2), last = column + (columns << 2);
  for (; column + 4 < last; column += 8, sums += 2 * COLUMN_BYTES) {
    let sum0 = f64x2.splat(0), sum1 = f64x2.splat(0), sum2 = f64x2.splat(0), sum3 = f64x2.splat(0);
    let next0 = f64x2.splat(0), next1 = f64x2.splat(0), next2 = f64x2.splat(0), next3 = f64x2.splat(0);
    for (let value = values, weight = weights; value < end; value += 4, weight += 64) {
      const at = load<usize>(value) + column;
      const factor = f64x2.splat(<f64> load<f32>(at)), next = f64x2.splat(<f64> load<f32>(at, 4));
      let weightOf = v128.load(weight);
      sum0 = f64x2.add(sum0, f64x2.mul(weightOf, factor));
      next0 = f64x2.add(next0, f64x2.mul(weightOf, next));
      weightOf = v128.load(weight, 16);
      sum1 = f64x2.add(sum1, f64x2.mul(weightOf, factor));
      next1 = f64x2.add(next1, f64x2.mul(weightOf, next));
      weightOf = v128.load(weight, 32);
      sum2 = f64x2.add(sum2, f64x2.mul(weightOf, factor));
      next2 = f64x2.add(next2, f64x2.mul(weightOf, next));
      weightOf = v128.load(weight, 48);
      sum3 = f64x2.add(sum3, f64x2.mul(weightOf, factor));
      next3 = f64x2.add(next3, f64x2.mul(weightOf, next));
    }
    addDoubles(sums, sum0, sum1);
    addDoubles(sums + 32, sum2, sum3);
    addDoubles(sums + 64, next0, next1);
    addDoubles(sums + 96, next2, next3);
  }
  if (column < last) addOneColumnExactly(weights, values, column, end, sums);
}

/** The same for one column, where it is the last of an odd number. */
function addOneColumnExactly(weights: usize, values: usize, column: usize, end: usize, sums: usize): void {
  let sum0 = f64x2.splat(0), sum1 = f64x2.splat(0), sum2 = f64x2.splat(0), sum3 = f64x2.splat(0);
  for (; values < end; values += 4, weights += 64) {
    const factor = f64x2.splat(<f64> load<f32>(load<usize>(values) + column));
    sum0 = f64x2.add(sum0, f64x2.mul(v128.load(weights), factor));
    sum1 = f64x2.add(sum1, f64x2.mul(v128.load(weights, 16), factor));
    sum2 = f64x2.add(sum2, f64x2.mul(v128.load(weights, 32), factor));
    sum3 = f64x2.add(sum3, f64x2.mul(v128.load(weights, 48), factor));
  }
  addDoubles(sums, sum0, sum1);
  addDoubles(sums + 32, sum2, sum3);
}

/**
 * As `addExactly`, of a single term to all `used` columns: its weights stay in registers. It does not begin at
 * 0 as that does, which is the same, since no sum is −0.
 */
export function addOneExactly(weights: usize, value: usize, used: usize, sums: usize): void {
  const weight0 = v128.load(weights), weight1 = v128.load(weights, 16);
  const weight2 = v128.load(weights, 32), weight3 = v128.load(weights, 48);
  for (const end = value + (used << 2); value < end; value += 4, sums += COLUMN_BYTES) {
    const factor = f64x2.splat(<f64> load<f32>(value));
    addDoubles(sums, f64x2.mul(weight0, factor), f64x2.mul(weight1, factor));
    addDoubles(sums + 32, f64x2.mul(weight2, factor), f64x2.mul(weight3, factor));
  }
}

/** Adds to the sums of four rows. */
@inline
export function addDoubles(sums: usize, left: v128, right: v128): void {
  v128.store(sums, f64x2.add(v128.load(sums), left));
  v128.store(sums, f64x2.add(v128.load(sums, 16), right), 16);
}
