/**
 * Work that backends have done, counted where it is done.
 */

/** Work done since a backend was made. */
export interface Work {
  /** Products added to a sum, those of the two columns of upkeep (mass and magnitude) included. */
  multiplyAdds: number;
  /** Calls of exp. */
  exponentials: number;
  /** Rows (one a query and head) computed from scratch: in a rebuild, for a changed query, refreshed, attending. */
  rowsBuilt: number;
  /** Rows touched by a patch. */
  rowsPatched: number;
  /** Rows that a patch left untrusted, which were therefore built. */
  refreshes: number;
}

/** A count that begins. */
export function noWork(): Work {
  return { multiplyAdds: 0, exponentials: 0, rowsBuilt: 0, rowsPatched: 0, refreshes: 0 };
}

/** The work of two backends. */
export function sumOfWork(a: Readonly<Work>, b: Readonly<Work>): Work {
  return {
    multiplyAdds: a.multiplyAdds + b.multiplyAdds,
    exponentials: a.exponentials + b.exponentials,
    rowsBuilt: a.rowsBuilt + b.rowsBuilt,
    rowsPatched: a.rowsPatched + b.rowsPatched,
    refreshes: a.refreshes + b.refreshes,
  };
}
