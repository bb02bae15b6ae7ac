/**
 * The contract of kernels that compute certificates for many rows at once. The certifier says which rows and
 * which changed keys; a kernel keeps for each row the sums of `numerics/staleness_bound.ts`, and what each
 * key has in them, so that it can be taken out again.
 *
 * Rows are asked for by tile, 32 neighbouring query slots of a head, as bits of a number.
 */

/** Query slots of a tile. */
export const TILE_ROWS = 32;
/** The number of a slot's tile is its higher bits, its place there the lower ones; all rows of a tile, as bits. */
export const TILE_BITS = 5, LANES: number = TILE_ROWS - 1, ALL_ROWS = -1;

/** What is known of all values of a key head. */
export interface ValueBall {
  /** No two values are further apart. */
  readonly diameter: number;
  /** No value has a larger norm. */
  readonly size: number;
}

/** What a kernel says of the state of a row. */
export interface TakenRow {
  /** ‖o‖, or more. */
  norm: number;
  /** |scale|·‖q‖, or more. */
  reach: number;
  /** Bounds on the errors of the mass, and of each other sum, over the mass. */
  massErrorShare: number;
  sumErrorShare: number;
  /** Infinity where it makes no difference. */
  logSumExp: number;
}

/**
 * Kernels for certificates. Tiles, and what keys have in them, are named by numbers that the kernel gives.
 */
export interface CertificateKernel {
  /** Bytes of what one key has in a tile. */
  readonly pairBytes: number;
  /** The most keys that `setChanges` takes. */
  readonly mostChanges: number;
  /** Begins a question about one head; false where float32 does not suffice for such values. */
  begin(head: number, ball: ValueBall): boolean;
  /** Makes a tile, all of whose rows have yet to be taken. */
  makeTile(): number;
  /** Makes room for what a key has in a tile; 0 when there is none. */
  makePairs(): number;
  freePairs(pairs: number): void;
  /**
   * Takes the states of rows, and begins their sums; the queries of `measured` are as they were when their rows were
   * taken before. Returns the rows that it cannot answer for.
   */
  take(tile: number, tileNumber: number, rows: number, measured: number): number;
  /** What it took of a row's state; valid until the next call. */
  stateOf(tile: number, slot: number): Readonly<TakenRow>;
  /**
   * Sets bounds on what rounding did to the weights of a row: on their total variation, and on the share of the mass
   * that it hides. They stay while others are taken.
   */
  setWeights(tile: number, slot: number, variation: number, massDoubt: number): void;
  /**
   * Sets bounds on what rounding did to the state of a row, in place of those by its weights: on the total variation of
   * these, on the distance of o besides that, and on the share of the mass that it hides.
   */
  setRounding(tile: number, slot: number, variation: number, fixed: number, massDoubt: number): void;
  /**
   * Sets the changed keys of the next calls of `add`: `slots` from `first` on, whose rows before are retained
   * under `retained`; NOT_CHANGED for a key that is as in the rows' states.
   */
  setChanges(slots: Uint32Array, retained: Float64Array, first: number, count: number): void;
  /**
   * Replaces what the first `count` of these keys have in the sums of rows; `pairs` are those of each key, 0 where
   * nothing is kept. Returns the rows that it cannot answer for.
   */
  add(tile: number, tileNumber: number, rows: number, pairs: Uint32Array, count: number): number;
  /**
   * Computes the bounds of all rows of a tile; `rounded` bounds what exchanges have rounded, as a share of
   * the largest that a sum has been. Returns the rows in whose bounds that matters.
   */
  bound(tile: number, tileNumber: number, rounded: number): number;
  /**
   * Adds the bounds of `count` query slots of a tile, as of the last `bound`, or their squares: those of `slots` from
   * `first` on, at the same places of `target`.
   */
  addBounds(
    tile: number,
    slots: Uint32Array,
    first: number,
    count: number,
    target: Float64Array,
    areSquares: boolean,
  ): void;
  /** Wipes all that it has computed, and takes all tiles and pairs back. */
  forget(): void;
}

/** In the place of an id of a retained row: the key is as in the states. */
export const NOT_CHANGED = -1;
