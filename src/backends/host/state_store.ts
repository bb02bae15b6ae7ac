/**
 * The contract of a store of states: it holds the states of standing queries and computes them. Everything
 * that backends share, such as rows at the host, bounds of stale answers and head rows that float32 cannot
 * answer, is in `HostBackend`.
 *
 * The host calls one method at a time and waits for it.
 */

import type { SavedArrays } from "../../base/saved_array.ts";
import type { AttentionOutput, Changes, Cohort, Costs, LookTimes, PassingQueries } from "../backend.ts";
import { noWork, type Work } from "../work.ts";
import type { CertificateKernel } from "./certificate_kernel.ts";
import type { HostRows, RowSizes } from "./host_rows.ts";
import { ArrayTable, type NumberTable } from "./number_table.ts";
import type { RowStates } from "./row_states.ts";
import type { RoundedRow, WeightRounding } from "./weight_rounding.ts";

/** The times of what the host does in the same way for all stores. */
export const HOST_TIMES: Pick<
  LookTimes,
  | "common"
  | "exchanged"
  | "copy"
  | "copied"
  | "tried"
  | "batch"
  | "step"
  | "certified"
  | "taken"
  | "pair"
  | "pairFirst"
  | "pairAgain"
> = {
  common: 6_000,
  exchanged: 400,
  certified: 1_500,
  taken: 0,
  pair: 300,
  pairFirst: 3,
  pairAgain: 2,
  copy: 21,
  copied: 0.095,
  tried: 2_500,
  batch: 4_000,
  step: 8,
};

/** The state of a head row in float64, valid until the next call of `held`. */
export interface HeldRow {
  readonly states: RowStates;
  /** The number of its row in `states`. */
  readonly row: number;
}

/** A head row of an answer: the index of its query in the question, and its head. */
export interface AnswerPart {
  readonly at: number;
  readonly head: number;
}

/**
 * The limits of a store that computes in float32. Head rows beyond them are computed at the host in float64.
 */
export interface Float32Limits {
  /** Whether products with this scale stay within the range of float32 for all rows. */
  isInRange(scale: number): boolean;
  /** Whether a shift, the power of two of a head row's largest weight, is too far from 0. */
  isSteepShift(shift: number): boolean;
  /** Whether the largest score of a head row is too far from 0. */
  isSteepScore(score: number): boolean;
  /** A head row is faint if its magnitude per key is below this; 0 if none is faint. */
  readonly faintMagnitude: number;
  /** Bounds on the rounding errors of the weights of a head row. */
  rounding(row: RoundedRow): WeightRounding;
  /**
   * The multiply-adds that the host may spend for one question on measuring errors of states, when nothing is
   * pending; what a question may add to those that are left of the ones before it is `measuredShare` for each
   * number of its answer.
   */
  readonly measuredWork: number;
  readonly measuredShare: number;
}

/** Query slots in blocks, whose scores are looked at together. */
export interface RowsInBlocks {
  readonly rows: Uint32Array;
  /** The first slots of their blocks, multiples of 8, ascending. */
  readonly firsts: readonly number[];
  /** By head, block and lane, what is taken off a score; Infinity in a lane without a query slot. */
  readonly offsets: Float64Array;
}

/** A store of states. The methods that are not abstract have defaults for stores without anything better. */
export abstract class StateStore {
  /** The name of the backend, as in the option `backend`. */
  abstract readonly name: string;
  abstract readonly costs: Costs;
  /** The work done, which the store and the host count. */
  readonly work: Work = noWork();
  /** The limits of float32; null if states are float64. */
  abstract readonly limits: Float32Limits | null;
  /** The largest relative error of a trusted state's sums; Infinity if that is not known. */
  abstract readonly tolerance: number;
  /** Computes certificates of many rows; null where the host computes them one by one. */
  readonly certificates: CertificateKernel | null = null;
  /** Whether outputs are computed as u · (1 / l) instead of u / l. */
  readonly multipliesShares: boolean = false;
  /** Numbers of a widened value, at least dv + 2. */
  readonly valueColumns: number;

  constructor(valueColumns: number) {
    this.valueColumns = valueColumns;
  }

  /** The number of threads that have computed for it. */
  get threads(): number {
    return 1;
  }

  /** As {@link Backend.deviceMs}. */
  get deviceMs(): number | null {
    return null;
  }

  /** Makes an empty table for the numbers of keys, in the memory where the store computes. */
  makeTable(): NumberTable {
    return new ArrayTable();
  }

  /** Gives the store the rows at the host, before any other call. */
  abstract attach(rows: HostRows): void;
  /** The number of bytes that it holds, including tables of keys. */
  abstract bytes(): number;
  /** Bytes of the states for such sizes. */
  abstract bytesOf(sizes: RowSizes): number;
  /** Makes room. If it throws, nothing has changed. */
  abstract reserve(sizes: RowSizes): void;
  /**
   * Notes a batch that the host has stored: the row that the t-th slot held is retained under the id
   * `retained[t]`, unless that is `NO_ROW`, and retained rows with the ids in `dropped` were wiped first.
   * Changed queries have no state from then on.
   */
  abstract change(changes: Changes, retained: Uint32Array, dropped: Uint32Array): void;
  /** As {@link Backend.update}; null when it is done. */
  abstract update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> | null;
  /**
   * The state of a head row that was loaded; null if there is none, so that the host computes the head row.
   */
  abstract held(slot: number, head: number): HeldRow | null;
  /** Copies the states of query slots below `querySize`. */
  abstract save(querySize: number): Promise<SavedArrays>;
  /**
   * Restores saved states of all queries; false if they were computed where weights may have other bits.
   *
   * @throws {FormatError} When no backend can have saved them.
   */
  abstract restore(operation: string, saved: SavedArrays): Promise<boolean>;

  /** Makes the states of a cohort ready for `held`; null if they are. */
  load(_cohort: Cohort): Promise<void> | null {
    return null;
  }

  /** Answers a cohort by kernels. Returns the head rows that are left to the host, or null if all are. */
  read(_cohort: Cohort, _attention: AttentionOutput): readonly AnswerPart[] | null {
    return null;
  }

  /**
   * Computes passing queries and passes the state of each head row on; false if the host has to compute them.
   */
  attend(
    _queries: PassingQueries,
    _take: (query: number, head: number, held: HeldRow) => void,
  ): Promise<boolean> {
    return Promise.resolve(false);
  }

  /**
   * The scores of a head row with all stored keys by slot, −∞ for slots without a key; null if the host has
   * to compute them.
   */
  scores(_slot: number, _head: number): Promise<ArrayLike<number> | null> {
    return Promise.resolve(null);
  }

  /**
   * For blocks of 8 neighbouring query slots, passes on the largest that the score of one of them with each of
   * the key slots `keys` is above its offset: from the block number `from` on, of `count` blocks, a number for
   * each key. −∞ where there is none. Returns false if the host has to compute them.
   */
  blockLogs(
    _head: number,
    _blocks: RowsInBlocks,
    _keys: Uint32Array,
    _take: (from: number, count: number, logs: Float64Array) => void,
  ): boolean {
    return false;
  }

  /**
   * Notes that the states of these queries are no longer valid. They are computed anew before they are asked
   * for.
   */
  lose(_queries: Uint32Array): void {}

  /** Erases the traces of deleted rows, when all states are of the newest epoch. */
  forget(): Promise<void> {
    return Promise.resolve();
  }

  /** Frees all that it holds. */
  dispose(): Promise<void> {
    return Promise.resolve();
  }
}
