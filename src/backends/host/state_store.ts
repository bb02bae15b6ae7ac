/**
 * The contract of a store of states: where the states of standing queries live, and what computes them. Everything that all
 * places share, rows at the host, certificates, heavy keys and rows that float32 cannot answer, is `HostBackend`'s.
 *
 * A *head row* is one head of one query slot. The host calls one method at a time and waits for it.
 */

import type { SavedArrays } from "../../base/saved_array.ts";
import type { AttentionOutput, Changes, Cohort, Costs, PassingQueries } from "../backend.ts";
import { noWork, type Work } from "../work.ts";
import type { WeightRounding } from "./certifier.ts";
import type { HostRows, RowSizes } from "./host_rows.ts";
import { ArrayTable, type NumberTable } from "./number_table.ts";
import type { RowStates } from "./row_states.ts";
import type { RoundedRow } from "./weight_rounding.ts";

/** The state of a head row, in float64, until the next one is asked for. */
export interface HeldRow {
  readonly states: RowStates;
  /** Its row among `states`. */
  readonly row: number;
}

/** A head row of an answer: which of the queries that were asked for, and which head. */
export interface AnswerPart {
  readonly at: number;
  readonly head: number;
}

/** The limits of a store that computes in float32; what is beyond them is computed at the host in float64. */
export interface Float32Limits {
  /** Whether products with this scale stay within float32's range, whatever the rows are. */
  isInRange(scale: number): boolean;
  /** Whether a shift, the power of two of a row's largest weight, is too far from 0. */
  isSteepShift(shift: number): boolean;
  /** Whether the largest score of a row is too far from 0. */
  isSteepScore(score: number): boolean;
  /** A row is faint whose magnitude is less for each of its keys; 0 where none is. */
  readonly faintMagnitude: number;
  /** Bounds on what computing the weights of a row did to them. */
  rounding(row: RoundedRow): WeightRounding;
  /** Whether errors of states are measured at the host, a few for each question, where nothing is pending. */
  readonly areErrorsMeasured: boolean;
}

/** States of standing queries. What a store has no better way for, it leaves as it is here. */
export abstract class StateStore {
  /** The name of the backend, as the option `backend` gives it. */
  abstract readonly name: string;
  abstract readonly costs: Costs;
  /** Counted by the store and by the host. */
  readonly work: Work = noWork();
  /** null where states are float64. */
  readonly limits: Float32Limits | null = null;
  /** Whether outputs are sums times 1 / l, as kernels compute them. */
  readonly multipliesShares: boolean = false;
  /** Numbers of a widened value, at least dv + 2. */
  readonly valueColumns: number;

  constructor(valueColumns: number) {
    this.valueColumns = valueColumns;
  }

  /** Threads that have computed for it. */
  get threads(): number {
    return 1;
  }

  /** As {@link Backend.deviceMs}. */
  get deviceMs(): number | null {
    return null;
  }

  /** Makes an empty table for numbers of keys, where the store computes. */
  makeTable(): NumberTable {
    return new ArrayTable();
  }

  /** Takes the rows at the host, before anything else. */
  abstract attach(rows: HostRows): void;
  /** Bytes that it holds, tables for keys included. */
  abstract bytes(): number;
  /** Bytes of states for so many rows. */
  abstract bytesOf(sizes: RowSizes): number;
  /** Makes room; throws before anything changes. */
  abstract reserve(sizes: RowSizes): void;
  /**
   * A batch was stored at the host; the row that the t-th slot held is kept under the number `kept[t]`, if it is, and rows
   * under the numbers in `dropped` were wiped before. Changed queries have no state from now on.
   */
  abstract change(changes: Changes, retained: Uint32Array, dropped: Uint32Array): void;
  /** As {@link Backend.update}. */
  abstract update(build: Uint32Array, patch: readonly Cohort[]): Promise<void>;
  /** The state of a head row that was loaded; null where there is none, and it is computed at the host. */
  abstract held(slot: number, head: number): HeldRow | null;
  /** Copies the states of query slots below `querySize`. */
  abstract save(querySize: number): Promise<SavedArrays>;
  /**
   * Takes saved states of all queries; false where they were made in a place whose weights may have other bits.
   *
   * @throws {FormatError} When no backend can have saved them.
   */
  abstract restore(operation: string, saved: SavedArrays): Promise<boolean>;

  /** Makes the states of a cohort ready for `held`. */
  load(_cohort: Cohort): Promise<void> {
    return Promise.resolve();
  }

  /** Answers a cohort by kernels; the head rows that are left to the host, or null when all are. */
  read(_cohort: Cohort, _attention: AttentionOutput): readonly AnswerPart[] | null {
    return null;
  }

  /** Computes passing queries and hands over the state of each head row; false where the host is to compute them. */
  attend(
    _queries: PassingQueries,
    _take: (query: number, head: number, held: HeldRow) => void,
  ): Promise<boolean> {
    return Promise.resolve(false);
  }

  /** Scores of a head row by slot of all stored keys, −∞ where there is none; null where the host is to compute them. */
  scores(_slot: number, _head: number): Promise<ArrayLike<number> | null> {
    return Promise.resolve(null);
  }

  /** These queries have states that are of no use from now on, and are computed anew before they are asked for. */
  lose(_queries: Uint32Array): void {}

  /** Forgets what it computed of rows that are gone; all states are of the stored rows. */
  forget(): Promise<void> {
    return Promise.resolve();
  }

  /** Gives back what it holds. */
  dispose(): Promise<void> {
    return Promise.resolve();
  }
}
