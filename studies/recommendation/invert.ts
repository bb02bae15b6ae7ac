// The inverse of a small symmetric matrix that is positive definite, by elimination, which needs no pivots
// for such.

/**
 * A⁻¹.
 *
 * @throws {Error} When A is not positive definite.
 */
export function invert(matrix: readonly Float64Array[]): Float64Array[] {
  const size = matrix.length;
  const lines = matrix.map((line, at) => {
    const wide = new Float64Array(2 * size);
    wide.set(line);
    wide[size + at] = 1;
    return wide;
  });
  for (let at = 0; at < size; at++) {
    const pivot = lines[at][at];
    if (!(pivot > 0)) throw new Error(`invert: pivot ${at} is ${pivot}, expected a positive definite matrix`);
    for (let c = 0; c < 2 * size; c++) lines[at][c] /= pivot;
    for (let other = 0; other < size; other++) {
      if (other === at) continue;
      const factor = lines[other][at];
      for (let c = 0; c < 2 * size; c++) lines[other][c] -= factor * lines[at][c];
    }
  }
  return lines.map((line) => line.slice(size));
}
