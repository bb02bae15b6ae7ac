/**
 * Counts of the work that backends have done.
 */

/** Work done since a backend was made. */
export interface Work {
  /** Multiply-adds: products added to a sum, including those of the columns of mass and magnitude. */
  multiplyAdds: number;
  /** Evaluations of exp. */
  exponentials: number;
  /**
   * Head rows computed from scratch: in a rebuild, for a changed query, in a refresh or for a passing query.
   */
  rowsBuilt: number;
  /** Head rows that were patched. */
  rowsPatched: number;
  /** Head rows that were built because a patch had left them untrusted. */
  refreshes: number;
}

/** Counts of 0. */
export function noWork(): Work {
  return { multiplyAdds: 0, exponentials: 0, rowsBuilt: 0, rowsPatched: 0, refreshes: 0 };
}

/** The sums of the counts of two backends. */
export function sumOfWork(a: Readonly<Work>, b: Readonly<Work>): Work {
  return {
    multiplyAdds: a.multiplyAdds + b.multiplyAdds,
    exponentials: a.exponentials + b.exponentials,
    rowsBuilt: a.rowsBuilt + b.rowsBuilt,
    rowsPatched: a.rowsPatched + b.rowsPatched,
    refreshes: a.refreshes + b.refreshes,
  };
}
