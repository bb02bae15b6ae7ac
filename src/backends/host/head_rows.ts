/**
 * The totals of head rows: from the sums of their states, or, where float32 will not do, from the rows at the
 * host in float64. That is so for *steep* rows, whose numbers may overflow or whose scores are beyond what
 * kernels tell apart, for *faint* ones, whose values are so small that a device may have flushed some to 0,
 * and for those that have no state where they were computed.
 */

import { keyHeadOf } from "../../numerics/head_layout.ts";
import type { BackendConfig } from "../backend.ts";
import { NOTHING } from "../since.ts";
import type { HostRows } from "./host_rows.ts";
import { Kernels, type QueryHead } from "./kernels.ts";
import { KeyReach } from "./key_reach.ts";
import type { KeysAt } from "./keys_at.ts";
import { QueryNorms } from "./query_norms.ts";
import { RowStates } from "./row_states.ts";
import { RowTotals } from "./row_totals.ts";
import type { HeldRow, StateStore } from "./state_store.ts";

/** The head rows of one backend. */
export class HeadRows {
  /** How large keys and values are. */
  readonly reach: KeyReach;
  readonly norms: QueryNorms;
  readonly kernels: Kernels;
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #store: StateStore;
  readonly #totals: RowTotals;
  /** As `#totals`, of rows that are computed here. */
  readonly #exactTotals: RowTotals;
  /** One state, of a row that is computed here. */
  readonly #state: RowStates;
  #isExact = false;

  constructor(config: BackendConfig, rows: HostRows, store: StateStore) {
    const { layout, rule } = config;
    this.#config = config;
    this.#rows = rows;
    this.#store = store;
    this.kernels = new Kernels(layout, rule, store.work);
    this.#totals = new RowTotals(layout, store.work, store.multipliesShares, rule.sinks);
    this.#exactTotals = new RowTotals(layout, store.work, store.multipliesShares, rule.sinks);
    this.#state = new RowStates(layout.valueDim + 2, 1);
    this.reach = new KeyReach(layout, rule.scale);
    this.norms = new QueryNorms(rows, layout.heads);
  }

  /** Whether the totals that were taken last were computed from the keys. */
  get isExact(): boolean {
    return this.#isExact;
  }

  /** Whether no row of a head can be steep. */
  areFlat(head: number): boolean {
    const keyHead = keyHeadOf(this.#config.layout, head);
    return this.#isInRange() && !this.reach.isSteep(this.norms.largest(head), keyHead);
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

  /** The live queries that were steep while keys reached as far as in `before`, and are no more. */
  steepNoMore(before: KeyReach): Uint32Array {
    const { norms, magnitudes } = this.reach;
    const isSame = before.norms.every((norm, head) => norm === norms[head]) &&
      before.magnitudes.every((size, head) => size === magnitudes[head]);
    if (isSame || this.#store.limits === null) return NO_QUERIES;
    return this.#rows.liveQueries().filter((slot) =>
      this.#isSteepAnywhere(slot, before) && !this.#isSteepAnywhere(slot, this.reach)
    );
  }

  /** Wipes what is left of the rows that were taken last. */
  wipe(): void {
    this.kernels.forgetQuery();
    this.#state.clear(0);
    this.#totals.wipe();
    this.#exactTotals.wipe();
  }

  /** The totals of a row: of its state, or, where that will not do, from the keys. */
  #take(query: QueryHead, held: HeldRow | null, keys: KeysAt): RowTotals {
    const { limits } = this.#store;
    this.kernels.select(query);
    this.#isExact = held === null || this.#isSteep(query) || this.#isFaint(held, query.head);
    if (held !== null && !this.#isExact) {
      this.#totals.take(held.states, held.row, keys, query.head);
      const { mass, keyShift } = this.#totals;
      // A sink can be far away; a row that sees no key is not.
      this.#isExact = limits !== null && mass > 0 && keyShift > -Infinity && limits.isSteepShift(keyShift);
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
}

const NO_QUERIES = new Uint32Array(0);
