/**
 * Bounds by the drift ledger, while an engine follows drift. This file begins the ledger, tells it of changed
 * keys and rows, and adds what rounding did. A ledger that memory is refused to is let go.
 *
 * Invariant: every live row of a block that is followed is in the ledger, or among those that are not noted
 * yet and whose states are not of the stored keys.
 */

import {
  type BackendConfig,
  type Changes,
  type Cohort,
  type Copies,
  DRIFT_UP,
  type Watched,
} from "../backend.ts";
import { keyHeadOf } from "../../numerics/head_layout.ts";
import { NOTHING, type Since } from "../since.ts";
import { BLOCK_SLOTS, DriftLedger, type NotedRow } from "./drift_ledger.ts";
import type { HeadRows } from "./head_rows.ts";
import type { HostRows, RowSizes } from "./host_rows.ts";
import { STEEP_SCORE } from "./key_reach.ts";
import type { RowCertificates } from "./row_certificates.ts";
import type { RowParts, RowRounding } from "./row_rounding.ts";
import type { RowTotals } from "./row_totals.ts";
import type { RowsInBlocks, StateStore } from "./state_store.ts";
import type { ValueSpread } from "./value_spread.ts";

const DOUBLE_ROUNDING = 2 ** -50;
/** One bound on rounding serves all rows where it is at most this share of the limit. */
const LITTLE = 1 / 4;
/** Counts the ledgers of all backends, and their new beginnings. */
let generations = 0;

/** The drift of the rows of one backend. */
export class RowDrift {
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #store: StateStore;
  readonly #heads: HeadRows;
  readonly #rounding: RowRounding;
  readonly #certificates: RowCertificates;
  readonly #spread: ValueSpread;
  /** The ledger; null while no drift is followed. */
  #ledger: DriftLedger | null = null;
  /** Live query slots that have changed and are not in the ledger yet. */
  #unnoted: Set<number> | null = null;
  /** The number of the ledger, another one when its readings begin anew. */
  #generation = 0;
  /** The query slots whose weights are in the ledger, by block; null until they are wanted. */
  #followedBlocks: RowsInBlocks | null = null;
  /** By head row, how far rounding has taken its answer at most; NaN where that is not known. */
  #roundings = new Float64Array(0);
  /** The centres of the ledger, and room for an output. */
  #centres = new Float64Array(0);
  readonly #output: Float64Array<ArrayBuffer>;

  constructor(
    { config, rows, store, heads, spread }: RowParts,
    rounding: RowRounding,
    certificates: RowCertificates,
  ) {
    this.#config = config;
    this.#output = new Float64Array(config.layout.valueDim);
    this.#rows = rows;
    this.#store = store;
    this.#heads = heads;
    this.#rounding = rounding;
    this.#certificates = certificates;
    this.#spread = spread;
  }

  bytes(): number {
    return this.#roundings.byteLength + (this.#ledger?.bytes ?? 0);
  }

  /** Notes, before a batch changes some key slots, weights of the keys that are in them. */
  noteBefore(sizes: RowSizes, changed: Uint32Array): void {
    this.#follow((ledger) => {
      ledger.reserve(sizes, changed.length);
      const unnoted = ledger.unnotedAmong(changed);
      if (unnoted.length === 0) return;
      const before = this.#store.work.multiplyAdds;
      this.#noteWeights(ledger, this.#followed(ledger), unnoted);
      ledger.noted(unnoted, this.#store.work.multiplyAdds - before);
    });
  }

  /** Lets the ledger follow, if there is one; a ledger that memory is refused to is let go. */
  #follow(follow: (ledger: DriftLedger) => void): void {
    if (!this.#ledger) return;
    try {
      follow(this.#ledger);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      this.unwatch();
    }
  }

  /** Keys and queries are about to be replaced. */
  measure(changes: Changes): void {
    this.#ledger?.measure(changes);
  }

  /** Keys and queries have been replaced, and balls of values hold those before and after. */
  apply(keys: Uint32Array, queries: Uint32Array): void {
    if (queries.length > 0) this.#followedBlocks = null;
    this.#ledger?.apply(keys, (keyHead) => {
      const diameter = 2 * this.#spread.radius(keyHead);
      return { diameter, furthest: Math.max(diameter, this.#spread.largestNorm(keyHead)) };
    });
    this.#follow((ledger) => {
      for (const slot of keys) if (ledger.isLoose(slot)) this.#noteKey(ledger, slot);
    });
    if (queries.length === 0) return;
    this.#followedBlocks = null;
    for (const slot of queries) if (this.#rows.queries.isLive(slot)) this.#unnoted?.add(slot);
  }

  /** The states of some queries, which were loaded, are of the stored keys. */
  reached(queries: Uint32Array): void {
    this.#follow((ledger) => {
      const unnoted = this.#unnoted;
      if (unnoted && unnoted.size > 0) {
        const changed = queries.filter((slot) => unnoted.delete(slot) && ledger.follows(slot));
        if (changed.length > 0) this.#beginRows(ledger, changed);
      }
      const areAll = queries.length === this.#rows.queries.liveCount;
      ledger.reach(areAll && !ledger.isWhole ? this.#followed(ledger).rows : queries);
    });
  }

  /** The live query slots of the same blocks. */
  neighbours(queries: Uint32Array): Uint32Array {
    const blocks = new Set<number>();
    for (const slot of queries) blocks.add(Math.floor(slot / BLOCK_SLOTS));
    return this.#rows.liveQueries().filter((slot) => blocks.has(Math.floor(slot / BLOCK_SLOTS)));
  }

  /**
   * Begins a ledger of the drift of whole blocks of query slots, whose states, which were loaded, are of the
   * stored keys. Whether it can.
   */
  watch(followed: Uint32Array): boolean {
    const { layout, rule } = this.#config, rows = this.#rows;
    const blocks = new Set<number>();
    for (const slot of followed) blocks.add(Math.floor(slot / BLOCK_SLOTS));
    const areAll = followed.length === rows.queries.liveCount;
    const queryCapacity = BLOCK_SLOTS * Math.ceil(rows.queries.size / BLOCK_SLOTS);
    // The old one is let go first, so that two are never held at once; where memory is refused there is none from
    // then on.
    this.unwatch();
    if (!DriftLedger.fits(layout, rows.size, queryCapacity)) return false;
    this.#centres = this.#spread.copyCentres();
    const parts = { rows, work: this.#store.work, centres: this.#centres };
    const ledger = new DriftLedger(layout, rule, parts, areAll ? null : blocks);
    try {
      ledger.reserve({ keys: rows.size, queryCapacity }, 0);
      this.#beginRows(ledger, followed);
    } catch (cause) {
      if (cause instanceof RangeError) return false;
      throw cause;
    }
    this.#ledger = ledger;
    this.#unnoted = new Set();
    this.#generation = ++generations;
    return true;
  }

  /** Lets the ledger go. */
  unwatch(): void {
    if (this.#ledger === null) return;
    this.#ledger = this.#unnoted = this.#followedBlocks = null;
    this.#roundings = new Float64Array(0);
  }

  /** Whether there is a ledger. */
  get isFollowed(): boolean {
    return this.#ledger !== null;
  }

  /** The ledger; null without one. */
  get watched(): Watched | null {
    const ledger = this.#ledger, generation = this.#generation;
    if (!ledger) return null;
    return {
      generation,
      drifts: ledger.drifts,
      isWhole: ledger.isWhole,
      follows: (slot) => ledger.follows(slot),
      looseness: () => ledger.looseness(),
      upkeep: () => ledger.upkeep,
      followed: ledger.followed,
    };
  }

  /** The states of some queries change. */
  changeRows(slots: Uint32Array): void {
    const { heads } = this.#config.layout, roundings = this.#roundings;
    if (roundings.length === 0) return;
    for (const slot of slots) {
      for (let row = slot * heads; row < (slot + 1) * heads; row++) roundings[row] = NaN;
    }
  }

  /** Begins the readings anew; all states are of the stored keys. */
  forget(): void {
    this.#ledger?.forget();
    this.#generation = ++generations;
  }

  /** Forgets what rounding did. */
  forgetMeasured(): void {
    this.#roundings.fill(NaN);
  }

  /**
   * Bounds like those of a certificate, by the ledger, in a few operations per query; Infinity where a row is
   * not followed. One bound on rounding serves all rows where it is little beside `limit`, and always those that
   * are up to date, which may be above it: nothing has to be kept for their drift.
   */
  bounds({ queries, since }: Cohort, limit: number): Float64Array<ArrayBuffer> {
    const ledger = this.#ledger, isCurrent = since.slots.length === 0;
    const { heads } = this.#config.layout, bounds = new Float64Array(queries.length);
    const common = this.#rounding.common(since);
    const isLittle = common <= LITTLE * limit;
    if (isCurrent) {
      // Filling a short array by the method of that name takes many times as long.
      for (let at = 0, all = Math.sqrt(heads) * common; at < bounds.length; at++) bounds[at] = all;
      return bounds;
    }
    for (let at = 0; at < queries.length; at++) {
      const slot = queries[at];
      if (!ledger?.follows(slot)) {
        bounds[at] = Infinity;
        continue;
      }
      let squared = 0;
      for (let head = 0; head < heads && squared <= limit * limit; head++) {
        const drift = ledger.sinceState(slot, head);
        const rounding = isLittle || drift > limit ? common : this.#roundingBound(slot, head, since);
        squared += (drift + rounding) ** 2;
      }
      bounds[at] = squared <= limit * limit ? Math.sqrt(squared) : Infinity;
    }
    return bounds;
  }

  /** Notes that answers of a cohort, as of its states, were copied, which are to be within `limit`. */
  copied({ queries, since }: Cohort, copies: Copies, limit: number): void {
    const ledger = this.#ledger, { heads } = this.#config.layout;
    const common = this.#rounding.common(since), isLittle = common < Infinity && common <= LITTLE * limit;
    if (isLittle && ledger === null) {
      // Without drift there are no readings, and copies of before are forgotten when it begins.
      const { roundings } = copies;
      for (let at = 0; at < queries.length; at++) {
        for (let row = queries[at] * heads; row < (queries[at] + 1) * heads; row++) roundings[row] = common;
      }
      return;
    }
    for (const slot of queries) {
      for (let head = 0; head < heads; head++) {
        const row = slot * heads + head;
        copies.readings[row] = ledger?.readingOfState(slot, head) ?? NaN;
        copies.roundings[row] = isLittle ? common : this.#roundingBound(slot, head, since);
        if (!isLittle && ledger) ledger.followed.measured++;
      }
    }
  }

  /** What rounding did to an answer at most. */
  #roundingBound(slot: number, head: number, since: Since): number {
    const row = slot * this.#config.layout.heads + head;
    if (row >= this.#roundings.length) {
      const roundings = new Float64Array(Math.max(row + 1, 2 * this.#roundings.length)).fill(NaN);
      roundings.set(this.#roundings);
      this.#roundings = roundings;
    }
    if (Number.isNaN(this.#roundings[row])) {
      const keys = this.#rows.keysAt(since), totals = this.#heads.standing(slot, head, keys);
      this.#roundings[row] = this.#certificates.roundingOf(slot, head, totals, keys);
    }
    return this.#roundings[row];
  }

  /**
   * Begins rows of query slots, whose states are of the stored keys, and notes the weights that are noted of
   * others.
   */
  #beginRows(ledger: DriftLedger, queries: Uint32Array): void {
    this.#followedBlocks = null;
    const live = queries.filter((slot) => this.#rows.queries.isLive(slot));
    const common = this.#rounding.common(NOTHING);
    for (const slot of live) {
      for (let head = 0; head < this.#config.layout.heads; head++) {
        ledger.begin(slot, head, this.#notedRow(slot, head, common));
      }
    }
    const keys = ledger.notedKeys();
    if (keys.length > 0) this.#noteWeights(ledger, this.#inBlocks(ledger, live), keys);
  }

  /** Notes the weights of keys in query slots that were begun. */
  #noteWeights(ledger: DriftLedger, blocks: RowsInBlocks, keys: Uint32Array): void {
    const { heads } = this.#config.layout, { rows, firsts } = blocks;
    for (let head = 0; head < heads; head++) {
      const take = (from: number, count: number, logs: Float64Array) => {
        ledger.noteLogs(head, firsts, from, count, keys, logs);
      };
      if (this.#store.blockLogs(head, blocks, keys, take)) continue;
      const block = this.#rows.stored.block();
      for (const slot of rows) {
        this.#heads.select(slot, head);
        for (const key of keys) ledger.note(slot, head, key, this.#heads.kernels.scoreWithBias(block, key));
      }
    }
  }

  /** The query slots whose weights are in the ledger. */
  #followed(ledger: DriftLedger): RowsInBlocks {
    return this.#followedBlocks ??= this.#inBlocks(ledger, this.#followedRows(ledger));
  }

  #inBlocks(ledger: DriftLedger, rows: Uint32Array): RowsInBlocks {
    const { heads } = this.#config.layout, firsts: number[] = [];
    const sorted = rows.slice().sort();
    for (const slot of sorted) {
      const first = slot - slot % BLOCK_SLOTS;
      if (firsts.at(-1) !== first) firsts.push(first);
    }
    const offsets = new Float64Array(heads * firsts.length * BLOCK_SLOTS).fill(Infinity);
    for (let head = 0; head < heads; head++) {
      let block = head * firsts.length - 1, last = -1;
      for (const slot of sorted) {
        const first = slot - slot % BLOCK_SLOTS;
        if (first !== last) block++;
        last = first;
        // This keeps −∞, the score of a key that a row does not see, as it is.
        offsets[block * BLOCK_SLOTS + slot - first] = Math.max(ledger.logOf(slot, head), -Number.MAX_VALUE);
      }
    }
    return { rows, firsts, offsets };
  }

  /** Notes the weights of a key that has moved far. */
  #noteKey(ledger: DriftLedger, key: number): void {
    const block = this.#rows.stored.block(), { layout } = this.#config, { reach, kernels } = this.#heads;
    ledger.noteKey(key, this.#followed(ledger).rows, (slot, head) => {
      if (this.#heads.isSteep(slot, head)) return Infinity;
      const query = this.#rows.queryHead(slot, head);
      const product = reach.largestScore(this.#rows.queryNorm(query), keyHeadOf(layout, head));
      kernels.select(query);
      // The terms of its score may cancel.
      const doubt = DOUBLE_ROUNDING * (STEEP_SCORE + (layout.headDim + 2) * product);
      return kernels.scoreWithBias(block, key) + doubt;
    });
  }

  /** The live query slots whose weights are in the ledger. */
  #followedRows(ledger: DriftLedger): Uint32Array {
    return this.#rows.liveQueries().filter((slot) => ledger.follows(slot) && !this.#unnoted?.has(slot));
  }

  /** Notes a row, whose rounding is at most `common`. */
  #notedRow(slot: number, head: number, common: number): NotedRow {
    const { layout, rule } = this.#config, keys = this.#rows.keysAt(NOTHING);
    const totals = this.#heads.standing(slot, head, keys);
    const rounding = this.#rounding.of(slot, head, totals, keys);
    const isSteep = (this.#heads.isExact && this.#store.limits !== null) || rounding.variation >= 1;
    const logSumExp = totals.logSumExp();
    const massDoubt = totals.mass > 0 ? 2 * totals.massError / totals.mass : 0;
    const score = 2 ** -48 * (Math.abs(logSumExp) + layout.headDim + 64);
    return {
      logSumExp,
      doubt: 3 * rounding.mass + massDoubt + score,
      reach: Math.abs(rule.scale) * this.#rows.queryNorm(this.#rows.queryHead(slot, head)),
      isSteep,
      distance: isSteep ? Infinity : this.#awayOf(totals, head) * DRIFT_UP +
        (common < Infinity ? common : this.#roundingBound(slot, head, NOTHING)),
    };
  }

  /** The distance of a computed output from the centre. */
  #awayOf(totals: RowTotals, head: number): number {
    const { layout } = this.#config, { valueDim } = layout, output = this.#output;
    totals.writeOutput(output, 0);
    let squared = 0;
    for (let c = 0, at = keyHeadOf(layout, head) * valueDim; c < valueDim; c++, at++) {
      squared += (output[c] - this.#centres[at]) ** 2;
    }
    output.fill(0);
    return Math.sqrt(squared);
  }
}
