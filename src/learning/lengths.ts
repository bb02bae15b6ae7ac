/**
 * Euclidean lengths over the whole range of float64. Squares of numbers above 10¹⁵⁴ or below 10⁻¹⁶² leave
 * that range, so numbers are divided by the largest before they are squared.
 */

/** √(a² + b²), which overflows only if the length itself is beyond float64. */
export function hypot(a: number, b: number): number {
  const large = Math.max(Math.abs(a), Math.abs(b)), small = Math.min(Math.abs(a), Math.abs(b));
  if (large === 0) return 0;
  const ratio = small / large;
  return large * Math.sqrt(1 + ratio * ratio);
}

/**
 * `vector` if its length is at most `limit`, else a vector of that length in its direction; all numbers are
 * finite.
 */
export function shortened(vector: Float64Array, limit: number): Float64Array {
  if (limit === Infinity) return vector;
  const largest = vector.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  if (largest === 0) return vector;
  const length = Math.sqrt(vector.reduce((sum, x) => sum + (x / largest) ** 2, 0));
  if (length <= limit / largest) return vector;
  return vector.map((x) => (x / largest) * (limit / length));
}
