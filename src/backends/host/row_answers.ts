/**
 * Answers of head rows, and how far they may be off: from the sums of their states, or, where float32 will not do, from the
 * rows at the host in float64. That is so for *steep* rows, whose numbers may overflow or whose scores are beyond what kernels
 * tell apart, for *faint* ones, whose values are so small that a device may have flushed some to 0, and for those that have
 * no state where they were computed.
 */

import type { BackendConfig, Cohort } from "../backend.ts";
import { NOTHING } from "../since.ts";
import { keyHeadOf } from "../../numerics/head_layout.ts";
import { type CertifiedTotals, Certifier, NO_WEIGHT_ROUNDING, type WeightRounding } from "./certifier.ts";
import type { HostRows } from "./host_rows.ts";
import { Kernels, type QueryHead } from "./kernels.ts";
import { KeyReach } from "./key_reach.ts";
import type { KeysAt } from "./keys_at.ts";
import { MeasuredRounding } from "./measured_rounding.ts";
import { RowStates } from "./row_states.ts";
import { RowTotals } from "./row_totals.ts";
import type { HeldRow, StateStore } from "./state_store.ts";
import { ValueSpread } from "./value_spread.ts";

/** Answers and bounds of one engine's rows. */
export class RowAnswers {
  readonly spread: ValueSpread;
  /** How large keys and values are. */
  readonly reach: KeyReach;
  readonly kernels: Kernels;
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #store: StateStore;
  readonly #totals: RowTotals;
  /** As `#totals`, of rows that are computed here. */
  readonly #exactTotals: RowTotals;
  /** One state, of a row that is computed here. */
  readonly #state: RowStates;
  readonly #certifier: Certifier;
  readonly #measured: MeasuredRounding;
  /** Head rows whose totals were computed from their keys when they were last certified. */
  readonly #exactRows = new Set<number>();
  /** By head, a norm that no query's is above. */
  readonly #largestNorms: Float64Array;
  /** Whether a query is gone that set one of them. */
  #areNormsOutdated = false;
  /** Whether the totals that were taken last were computed from the keys. */
  #isExact = false;

  constructor(config: BackendConfig, rows: HostRows, store: StateStore) {
    const { layout, rule } = config;
    this.#config = config;
    this.#rows = rows;
    this.#store = store;
    this.kernels = new Kernels(layout, rule, store.work);
    this.#totals = new RowTotals(layout, store.work, store.multipliesShares);
    this.#exactTotals = new RowTotals(layout, store.work, store.multipliesShares);
    this.#state = new RowStates(layout.valueDim + 2, 1);
    this.spread = new ValueSpread(layout);
    this.reach = new KeyReach(layout, rule.scale);
    this.#largestNorms = new Float64Array(layout.heads);
    this.#measured = new MeasuredRounding(layout, rule);
    this.#certifier = new Certifier({
      layout,
      softcap: rule.softcap,
      stored: rows.stored,
      retained: rows.retained,
      kernels: this.kernels,
      spread: this.spread,
    });
  }

  bytes(): number {
    return this.#certifier.bytes + this.#measured.bytes();
  }

  /** The keys and queries in some slots are about to be replaced. */
  release(keys: Uint32Array, queries: Uint32Array): void {
    const block = this.#rows.stored.block();
    for (const slot of keys) {
      this.spread.release(block, slot);
      this.reach.release(this.#rows, slot);
    }
    for (const slot of queries) this.#releaseNorms(slot);
  }

  /** The keys and queries in some slots have been replaced. */
  include(keys: Uint32Array, queries: Uint32Array): void {
    const block = this.#rows.stored.block();
    for (const slot of keys) {
      this.spread.include(block, slot);
      this.reach.include(this.#rows, slot);
    }
    this.#certifier.changeKeys(keys);
    for (const slot of queries) this.#includeNorms(slot);
    this.forgetStates(queries);
  }

  /** The states of some queries change. */
  forgetStates(slots: Uint32Array): void {
    const { heads } = this.#config.layout;
    for (const slot of slots) {
      for (let row = slot * heads; row < (slot + 1) * heads; row++) {
        this.#certifier.changeRow(row);
        this.#measured.forget(row);
      }
    }
  }

  /** Measures all values and keys anew: every state is of the stored ones. */
  refit(): void {
    this.spread.refit(this.#rows.stored.block());
    this.reach.refit(this.#rows);
  }

  /**
   * Forgets what was measured of rows that are gone; all states are of the stored keys. Returns the queries that are steep no
   * more: what float32 made of them while they were is not to be relied on.
   */
  forget(): Uint32Array {
    const { layout, rule } = this.#config;
    const before = new KeyReach(layout, rule.scale);
    before.restore(this.reach.norms, this.reach.magnitudes);
    this.spread.forget(this.#rows.stored.block());
    this.reach.forget(this.#rows);
    this.#certifier.forget();
    this.kernels.forgetQuery();
    this.#measured.wipe();
    this.#state.clear(0);
    this.#totals.wipe();
    this.#exactTotals.wipe();
    if (this.#areNormsOutdated) this.#measureNorms();
    const isSame = before.norms.every((norm, head) => norm === this.reach.norms[head]) &&
      before.magnitudes.every((size, head) => size === this.reach.magnitudes[head]);
    if (isSame || this.#store.limits === null) return NO_QUERIES;
    return this.#rows.liveQueries().filter((slot) =>
      this.#isSteepAnywhere(slot, before) && !this.#isSteepAnywhere(slot, this.reach)
    );
  }

  /** What was measured is not in a file, and would make bounds here others than those of a loaded engine. */
  forgetMeasured(): void {
    for (const row of this.#measured.forgetAll()) this.#certifier.changeRow(row);
  }

  /** Whether no row of a head can be steep. */
  areFlat(head: number): boolean {
    const { layout } = this.#config;
    return this.#isInRange() && !this.reach.isSteep(this.#largestNorms[head], keyHeadOf(layout, head));
  }

  /** The totals of one head of a standing query, as of its state, which was loaded. */
  standing(slot: number, head: number, keys: KeysAt): RowTotals {
    return this.#take(this.#rows.queryHead(slot, head), this.#store.held(slot, head), keys);
  }

  /** The totals of one head of a passing query, whose state is given. */
  passing(query: QueryHead, held: HeldRow): RowTotals {
    return this.#take(query, held, this.#rows.keysAt(NOTHING));
  }

  /** The totals of one head of any query, computed here. */
  computed(query: QueryHead, keys: KeysAt): RowTotals {
    return this.#take(query, null, keys);
  }

  /** Whether float32 may overflow in one head of a standing query, or lose what is below its range. */
  isSteep(slot: number, head: number): boolean {
    return this.#isSteep(this.#rows.queryHead(slot, head));
  }

  /** Makes the kernels speak of one head of a standing query. */
  select(slot: number, head: number): void {
    this.kernels.select(this.#rows.queryHead(slot, head));
  }

  /** Bounds on how far the rows of a cohort, whose states were loaded, are from what the stored keys make them. */
  certify({ queries, since }: Cohort): Float64Array<ArrayBuffer> {
    const keys = this.#rows.keysAt(since);
    this.#certifier.open(keys);
    this.#measured.begin();
    return Float64Array.from(queries, (slot) => {
      let squared = 0;
      for (let head = 0; head < this.#config.layout.heads; head++) {
        squared += this.#bound(slot, head, keys) ** 2;
      }
      return Math.sqrt(squared);
    });
  }

  #bound(slot: number, head: number, keys: KeysAt): number {
    const row = slot * this.#config.layout.heads + head, { limits } = this.#store;
    const totals = this.standing(slot, head, keys);
    if (limits === null) return this.#certifier.bound(totals, row, head, NO_WEIGHT_ROUNDING);
    this.#noteExactness(row);
    if (this.#isExact) return this.#certifier.bound(totals, row, head, NO_WEIGHT_ROUNDING);
    if (limits.areErrorsMeasured && keys.areStored && !this.#measured.errorOf(row)) {
      this.#measure(row, slot, head, totals, keys);
    }
    const error = this.#measured.errorOf(row);
    if (!error) return this.#certifier.bound(totals, row, head, this.#roundingOf(slot, head, totals, keys));
    // All that is measured is what happened to o and to the mass; as the error of a sum it has the same effect.
    const sumError = error.output * totals.mass / (2 * Math.sqrt(this.#config.layout.valueDim));
    const known = new MeasuredTotals(totals, sumError);
    return this.#certifier.bound(known, row, head, { mass: error.mass, variation: 0 });
  }

  /** The totals of a row: of its state, or, where that will not do, from the keys. */
  #take(query: QueryHead, held: HeldRow | null, keys: KeysAt): RowTotals {
    const { limits } = this.#store;
    this.kernels.select(query);
    this.#isExact = held === null || this.#isSteep(query) || this.#isFaint(held, query.head);
    if (held !== null && !this.#isExact) {
      this.#totals.take(held.states, held.row, keys, query.head);
      const { mass, shift } = this.#totals;
      this.#isExact = limits !== null && mass > 0 && limits.isSteepShift(shift);
      if (!this.#isExact) return this.#totals;
    }
    this.kernels.buildRow(this.#state, 0, keys);
    this.#exactTotals.take(this.#state, 0, keys, query.head);
    return this.#exactTotals;
  }

  #isInRange(): boolean {
    const { limits } = this.#store;
    return limits === null || limits.isInRange(this.#config.rule.scale);
  }

  #isSteep(query: QueryHead, reach: KeyReach = this.reach): boolean {
    if (this.#store.limits === null) return false;
    const keyHead = keyHeadOf(this.#config.layout, query.head);
    return !this.#isInRange() || reach.isSteep(this.#rows.queryNorm(query), keyHead);
  }

  #isSteepAnywhere(slot: number, reach: KeyReach): boolean {
    for (let head = 0; head < this.#config.layout.heads; head++) {
      if (this.#isSteep(this.#rows.queryHead(slot, head), reach)) return true;
    }
    return false;
  }

  /** Whether the values that a state has summed are so small that its place may have lost some. */
  #isFaint({ states, row }: HeldRow, head: number): boolean {
    const { layout, layout: { valueDim } } = this.#config, { shift, heavyCount, high, width } = states;
    const least = this.#store.limits?.faintMagnitude ?? 0;
    if (least === 0 || shift[row] === -Infinity || heavyCount[row] > 0) return false;
    const isTiny = high[row * width + valueDim + 1] < least * (1 + this.#rows.stored.count);
    return isTiny && this.reach.magnitudes[keyHeadOf(layout, head)] > 0;
  }

  /** Measures are shares of a row's mass, which is another number once the row is answered from its keys. */
  #noteExactness(row: number): void {
    if (this.#exactRows.has(row) === this.#isExact) return;
    this.#certifier.changeRow(row);
    if (this.#isExact) this.#exactRows.add(row);
    else this.#exactRows.delete(row);
  }

  /** Measures what rounding did to a state, which holds the stored keys. */
  #measure(row: number, slot: number, head: number, totals: RowTotals, keys: KeysAt): void {
    const diameter = 2 * this.spread.radius(keyHeadOf(this.#config.layout, head));
    this.#measured.measure(row, this.#rows.queryHead(slot, head), totals, keys, diameter);
  }

  /** What computing the weights of a row may have done to it. */
  #roundingOf(slot: number, head: number, totals: RowTotals, keys: KeysAt): WeightRounding {
    const { limits } = this.#store;
    if (limits === null) return NO_WEIGHT_ROUNDING;
    const norm = this.#rows.queryNorm(this.#rows.queryHead(slot, head));
    return limits.rounding({
      logSumExp: totals.logSumExp(),
      largestProduct: this.reach.largestScore(norm, keyHeadOf(this.#config.layout, head)),
      keyCount: this.#rows.stored.count + keys.since.slots.length,
    });
  }

  #releaseNorms(slot: number): void {
    if (this.#areNormsOutdated || !this.#rows.queries.isLive(slot)) return;
    for (let head = 0; head < this.#largestNorms.length; head++) {
      if (this.#normOf(slot, head) >= this.#largestNorms[head]) this.#areNormsOutdated = true;
    }
  }

  #includeNorms(slot: number): void {
    if (!this.#rows.queries.isLive(slot)) return;
    for (let head = 0; head < this.#largestNorms.length; head++) {
      this.#largestNorms[head] = Math.max(this.#largestNorms[head], this.#normOf(slot, head));
    }
  }

  #measureNorms(): void {
    this.#areNormsOutdated = false;
    this.#largestNorms.fill(0);
    for (const slot of this.#rows.liveQueries()) this.#includeNorms(slot);
  }

  #normOf(slot: number, head: number): number {
    return this.#rows.queryNorm(this.#rows.queryHead(slot, head));
  }
}

/** The totals of a row whose error was measured. */
class MeasuredTotals implements CertifiedTotals {
  readonly shift: number;
  readonly mass: number;
  readonly massError = 0;
  readonly sumError: number;
  readonly #totals: RowTotals;

  constructor(totals: RowTotals, sumError: number) {
    this.#totals = totals;
    this.shift = totals.shift;
    this.mass = totals.mass;
    this.sumError = sumError;
  }

  writeOutput(target: Float64Array, offset: number): void {
    this.#totals.writeOutput(target, offset);
  }

  logSumExp(): number {
    return this.#totals.logSumExp();
  }
}

const NO_QUERIES = new Uint32Array(0);
