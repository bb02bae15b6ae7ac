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

/** (high, low) + term → (high, low), both in memory, with a relative error of at most 2u². */
@inline
export function addToTwoFloats(high: usize, low: usize, term: v128): void {
  const held = v128.load(high);
  const sum = f32x4.add(held, term);
  const taken = f32x4.sub(sum, held);
  const dropped = f32x4.add(f32x4.sub(held, f32x4.sub(sum, taken)), f32x4.sub(term, taken));
  const rest = f32x4.add(v128.load(low), dropped);
  const total = f32x4.add(sum, rest);
  v128.store(high, total);
  v128.store(low, f32x4.sub(rest, f32x4.sub(total, sum)));
}

/**
 * Two float32 numbers in memory as float64. A load and a conversion are one instruction, which takes no
 * shuffle as the conversion of a register does.
 */
@inline
export function loadWide(at: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(at));
}

/** The two numbers in memory at `high` and `low` as their sum in float64, for the two rows there. */
@inline
export function loadTotals(high: usize, low: usize): v128 {
  return f64x2.add(loadWide(high), loadWide(low));
}
