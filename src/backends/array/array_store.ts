/**
 * The store of the backend `array`: states in float64, computed by loops over typed arrays on the caller's
 * thread. The other stores are compared with it. Weights are not stored: when a key's contribution is
 * subtracted, its weight is recomputed with the same bits.
 */

import { attempt } from "../../base/attempt.ts";
import type { SavedArrays } from "../../base/saved_array.ts";
import type { BackendConfig, Changes, Cohort, Costs, Since } from "../backend.ts";
import { NO_ROW } from "../since.ts";
import type { HostRows, RowSizes } from "../host/host_rows.ts";
import type { KeyExchange } from "../host/key_block.ts";
import { Kernels } from "../host/kernels.ts";
import type { KeysAt } from "../host/keys_at.ts";
import { RowStates } from "../host/row_states.ts";
import { RowTotals } from "../host/row_totals.ts";
import { restoreStates, saveStates } from "../host/saved_states.ts";
import { type HeldRow, HOST_TIMES, StateStore } from "../host/state_store.ts";

const COSTS: Costs = {
  exponential: 15,
  compensatedAdd: 1.6,
  rowsTogether: 1,
  times: {
    ...HOST_TIMES,
    look: 10_500,
    multiplyAdd: 1.5,
    updated: 1,
    answered: 4.4,
    noted: 100,
    begun: 530,
  },
};

/** States in typed arrays; the state of a head row is row slot · H + head. */
export class ArrayStore extends StateStore {
  readonly name = "array";
  readonly costs = COSTS;
  readonly limits = null;
  readonly tolerance: number;
  readonly #config: BackendConfig;
  readonly #kernels: Kernels;
  readonly #totals: RowTotals;
  readonly #states: RowStates;
  #rows!: HostRows;

  constructor(config: BackendConfig) {
    const { layout, rule } = config;
    super(layout.valueDim + 2);
    this.#config = config;
    this.tolerance = config.tolerance;
    this.#kernels = new Kernels(layout, rule, this.work);
    this.#totals = new RowTotals(layout, this.work);
    this.#states = new RowStates(layout.valueDim + 2);
  }

  attach(rows: HostRows): void {
    this.#rows = rows;
  }

  bytes(): number {
    return this.#rows.keyBytes() + this.#states.bytes();
  }

  bytesOf({ queries }: RowSizes): number {
    return this.#states.bytesOf(queries * this.#config.layout.heads);
  }

  reserve({ queries }: RowSizes): void {
    this.#states.reserve(queries * this.#config.layout.heads);
  }

  change({ queries }: Changes): void {
    const { heads } = this.#config.layout;
    for (const slot of queries.slots) {
      for (let row = slot * heads; row < (slot + 1) * heads; row++) this.#states.clear(row);
    }
  }

  update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    return attempt(() => {
      const now = this.#rows.keysAt({ slots: NO_SLOTS, retained: NO_SLOTS });
      const changes = Math.max(0, ...patch.map(({ since }) => since.slots.length));
      this.#kernels.reserve(now.stored.count, changes);
      for (const cohort of patch) this.#patch(cohort, now);
      for (const slot of build) this.#build(slot, now);
    });
  }

  held(slot: number, head: number): HeldRow {
    return { states: this.#states, row: slot * this.#config.layout.heads + head };
  }

  save(querySize: number): Promise<SavedArrays> {
    return attempt(() => saveStates(this.#states, this.#config.layout, querySize));
  }

  restore(operation: string, saved: SavedArrays): Promise<boolean> {
    return attempt(() => {
      restoreStates(operation, saved, this.#states, this.#config.layout, this.#rows);
      return true;
    });
  }

  override forget(): Promise<void> {
    return attempt(() => {
      this.#kernels.forgetQuery();
      this.#totals.wipe();
    });
  }

  #build(slot: number, keys: KeysAt): void {
    for (let head = 0; head < this.#config.layout.heads; head++) this.#buildHead(slot, head, keys);
  }

  #buildHead(slot: number, head: number, keys: KeysAt): void {
    this.#kernels.select(this.#rows.queryHead(slot, head));
    this.#kernels.buildRow(this.#states, slot * this.#config.layout.heads + head, keys);
  }

  /** Patches the head rows of a cohort, and builds those that are not trusted afterwards. */
  #patch({ queries, since }: Cohort, now: KeysAt): void {
    const { layout: { heads }, tolerance } = this.#config;
    const exchange = this.#toExchange(since, now);
    for (const slot of queries) {
      for (let head = 0; head < heads; head++) {
        const row = slot * heads + head;
        this.#kernels.select(this.#rows.queryHead(slot, head));
        this.#kernels.patchRow(this.#states, row, exchange);
        this.#totals.take(this.#states, row, now, head);
        if (this.#totals.isTrusted(tolerance)) continue;
        this.work.refreshes++;
        this.#buildHead(slot, head, now);
      }
    }
  }

  /** The exchange of all keys that have changed since an epoch; keys are compared once for all head rows. */
  #toExchange({ slots, retained }: Since, now: KeysAt): KeyExchange {
    const { stored, retained: retainedRows } = this.#rows;
    const scoreChanged = new Uint8Array(slots.length).fill(1);
    for (let t = 0; t < slots.length; t++) {
      const staysLive = retained[t] !== NO_ROW && stored.isLive(slots[t]);
      if (staysLive && stored.scoresAlike(slots[t], retainedRows, retained[t])) scoreChanged[t] = 0;
    }
    return { slots, retained, before: now.retained, after: now.stored, scoreChanged };
  }
}

const NO_SLOTS = new Uint32Array(0);
