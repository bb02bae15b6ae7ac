/**
 * The contract of kernels that compute certificates for many rows at once. The certifier says which rows and which
 * changed keys; a kernel keeps for each row the sums of `numerics/staleness_bound.ts`, and what each key has in
 * them, so that it can be taken out again.
 *
 * Rows are asked for by tile, 32 neighbouring query slots of a head, as bits of a number.
 */

/** Query slots of a tile. */
export const TILE_ROWS = 32;

/** What is known of all values of a key head. */
export interface ValueBall {
  /** No two values are further apart. */
  readonly diameter: number;
  /** No value has a larger norm. */
  readonly size: number;
}

/** What the bound of a row is computed from. */
export interface RowSums {
  /** ‖o‖, or more. */
  norm: number;
  /** |scale|·‖q‖, or more. */
  reach: number;
  /** Bounds on the errors of the mass, and of each other sum, over the mass. */
  massErrorShare: number;
  sumErrorShare: number;
  logSumExp: number;
  // The sums, and the largest that two of them have ever been together: what adding and taking out has rounded.
  moved: number;
  gained: number;
  lost: number;
  shifted: number;
  doubt: number;
  movedPeak: number;
  weightPeak: number;
}

/** Sums of a row without changed keys. */
export function noSums(): RowSums {
  return {
    ...{ norm: 0, reach: 0, massErrorShare: 0, sumErrorShare: 0, logSumExp: 0, moved: 0, gained: 0, lost: 0 },
    ...{ shifted: 0, doubt: 0, movedPeak: 0, weightPeak: 0 },
  };
}

/** Kernels for certificates. Tiles and what keys have in them are named by numbers that the kernel gives. */
export interface CertificateKernel {
  /** Bytes of what one key has in a tile. */
  readonly pairBytes: number;
  /** The rows whose sums `read` found. */
  readonly found: Readonly<RowSums>;
  /** Begins a question about one head; false where float32 does not suffice for such values. */
  begin(head: number, ball: ValueBall): boolean;
  /** Makes a tile, all of whose rows have yet to be taken. */
  makeTile(): number;
  /** Makes room for what a key has in a tile; 0 when there is none. */
  makePairs(): number;
  freePairs(pairs: number): void;
  /** Takes the states of rows, and begins their sums. Returns the rows that it cannot answer for. */
  take(tile: number, tileNumber: number, rows: number): number;
  /**
   * Sets the changed keys of the next calls of `add`: `slots` from `first` on, whose rows before are retained under
   * `retained`; NOT_CHANGED for a key that is as in the rows' states.
   */
  setChanges(slots: Uint32Array, retained: Float64Array, first: number, count: number): void;
  /** The most keys that `setChanges` takes. */
  readonly mostChanges: number;
  /**
   * Replaces what these keys have in the sums of rows; `pairs` are those of each key, 0 where nothing is kept. Returns
   * the rows that it cannot answer for.
   */
  add(tile: number, tileNumber: number, rows: number, pairs: Uint32Array): number;
  /** Reads the sums of a row. */
  read(tile: number, slot: number): void;
  /** Wipes all that it has computed, and takes all tiles and pairs back. */
  forget(): void;
}

/** In the place of an id of a retained row: the key is as in the states. */
export const NOT_CHANGED = -1;
