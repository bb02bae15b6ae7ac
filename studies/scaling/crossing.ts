// Where a curve of costs reaches a limit.

/** Edits and the milliseconds of them with the read after them. */
export interface CostPoint {
  readonly edits: number;
  readonly ms: number;
}

/** The edits at which the cost reaches `limitMs`, between two points on logarithmic scales; null above the last. */
export function crossing(points: readonly CostPoint[], limitMs: number): number | null {
  const sorted = points.toSorted((a, b) => a.edits - b.edits);
  const above = sorted.findIndex(({ ms }) => ms > limitMs);
  if (above === -1) return null;
  // Dearer with the fewest edits already.
  if (above === 0) return sorted[0].edits;
  const left = sorted[above - 1], right = sorted[above];
  const share = Math.log(limitMs / left.ms) / Math.log(right.ms / left.ms);
  return left.edits * (right.edits / left.edits) ** share;
}
