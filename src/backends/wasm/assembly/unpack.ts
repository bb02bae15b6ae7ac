// Unpacks rows that are kept as float16 or int8, so that the products read float32 only. `host/packed_rows.ts`
// has the layout of packed rows; they are read eight bytes at a time, also beyond their ends.
//
// Each number is exact, so that sums have the bits that they would have had of rows of float32.

import {
  COLUMNS,
  FLOAT16,
  HEAD_DIM,
  KEY_FORMAT,
  PACKED_KEYS,
  PACKED_VALUES,
  PAIR_COUNT,
  TERM_COUNT,
  TERM_KEYS,
  TERM_VALUES,
  VALUE_DIM,
  VALUE_FORMAT,
} from "../job_fields.ts";

/** The bits of 2^112. */
const TWO_TO_112: u32 = 0x77800000;

/**
 * Unpacks the keys of the terms, from number `first` of their list on: at `target` come their addresses, which are
 * the keys of the terms from then on, and then their numbers.
 */
export function unpackKeys(job: usize, first: i32, target: usize): void {
  const count = <usize> (load<u32>(job + TERM_COUNT) - load<u32>(job + PAIR_COUNT));
  const headDim = load<usize>(job + HEAD_DIM), isHalf = load<u32>(job + KEY_FORMAT) == FLOAT16;
  const rowBytes = whole(4 * headDim);
  let row = target + whole(4 * count), from = load<usize>(job + PACKED_KEYS) + (<usize> first << 2);
  for (let at = target, end = target + 4 * count; at < end; at += 4, from += 4, row += rowBytes) {
    unpackNumbers(load<usize>(from), row, headDim, isHalf);
    store<u32>(at, <u32> row);
  }
  store<u32>(job + TERM_KEYS, <u32> target);
}

/** Unpacks the values of the terms, likewise, and widens them. */
export function unpackValues(job: usize, first: i32, target: usize): void {
  const count = <usize> load<u32>(job + TERM_COUNT), valueDim = load<usize>(job + VALUE_DIM);
  const columns = load<usize>(job + COLUMNS), isHalf = load<u32>(job + VALUE_FORMAT) == FLOAT16;
  let row = target + whole(4 * count), from = load<usize>(job + PACKED_VALUES) + (<usize> first << 2);
  for (let at = target, end = target + 4 * count; at < end; at += 4, from += 4, row += 4 * columns) {
    const packed = load<usize>(from);
    unpackNumbers(packed, row, valueDim, isHalf);
    const magnitude = isHalf
      ? f32x4.extract_lane(halves(packed + 2 * valueDim), 0)
      : load<f32>(packed) * <f32> load<i8>(packed + 4 + valueDim);
    store<f32>(row + 4 * valueDim, 1);
    store<f32>(row + 4 * valueDim + 4, magnitude);
    for (let c = valueDim + 2; c < columns; c++) store<f32>(row + 4 * c, 0);
    store<u32>(at, <u32> row);
  }
  store<u32>(job + TERM_VALUES, <u32> target);
}

/** Unpacks `count` numbers, and some more up to a multiple of four. */
@inline
function unpackNumbers(packed: usize, target: usize, count: usize, isHalf: bool): void {
  const end = target + 4 * count;
  if (isHalf) {
    for (; target < end; target += 16, packed += 8) v128.store(target, halves(packed));
    return;
  }
  const scale = v128.load32_splat(packed);
  for (packed += 4; target < end; target += 16, packed += 4) {
    const four = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(packed)));
    v128.store(target, f32x4.mul(scale, f32x4.convert_i32x4_s(four)));
  }
}

/**
 * Four numbers of binary16. Without its sign, 10 bits of fraction are moved to 23, and a product with 2^112 sets the
 * exponent right, also of subnormal numbers.
 */
@inline
function halves(packed: usize): v128 {
  const four = v128.load16x4_u(packed);
  const size = i32x4.shl(v128.and(four, i32x4.splat(0x7fff)), 13);
  const sign = i32x4.shl(v128.and(four, i32x4.splat(0x8000)), 16);
  return v128.or(f32x4.mul(size, f32x4.splat(reinterpret<f32>(TWO_TO_112))), sign);
}

/** The next multiple of 16. */
@inline
function whole(bytes: usize): usize {
  return (bytes + 15) & ~15;
}
