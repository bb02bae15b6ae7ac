// Operations on four lanes of float32. Whether `multiplyAdd` rounds once (fused) or twice depends on the
// build. Within a build all kernels use this function, so that their bits agree.

@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** c − a·b */
@inline
export function multiplySubtract(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_nmadd(a, b, c);
  return f32x4.sub(c, f32x4.mul(a, b));
}

/** Adds four float32 numbers to sums of four rows in memory, with a relative error of at most 2^−53. */
@inline
export function addToSums(sums: usize, terms: v128): void {
  const left = f64x2.promote_low_f32x4(terms);
  const right = f64x2.promote_low_f32x4(v128.shuffle<f64>(terms, terms, 1, 1));
  v128.store(sums, f64x2.add(v128.load(sums), left));
  v128.store(sums, f64x2.add(v128.load(sums, 16), right), 16);
}

/** Four numbers in float64 as float32. */
@inline
export function narrow(left: v128, right: v128): v128 {
  return v128.shuffle<f64>(f32x4.demote_f64x2_zero(left), f32x4.demote_f64x2_zero(right), 0, 2);
}

/** Sums of four rows in memory as float32. */
@inline
export function loadNarrow(sums: usize): v128 {
  return narrow(v128.load(sums), v128.load(sums, 16));
}


/** Two float32 numbers in memory as float64. */
@inline
export function loadWide(at: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(at));
}
