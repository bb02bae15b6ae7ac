/**
 * Certificates of head rows, from what is known of their states: bounds on what computing them did, or what
 * was measured of it.
 */

import { CapacityError } from "../../base/errors.ts";
import type { BackendConfig, Cohort } from "../backend.ts";
import { keyHeadOf } from "../../numerics/head_layout.ts";
import type { Since } from "../since.ts";
import { type CertifiedRows, Certifier, type OwedPairs } from "./certifier.ts";
import type { HeadRows } from "./head_rows.ts";
import type { HostRows } from "./host_rows.ts";
import type { KeysAt } from "./keys_at.ts";
import { MeasuredRounding, type StateError } from "./measured_rounding.ts";
import type { CertifiedTotals } from "./pair_terms.ts";
import type { RowParts, RowRounding } from "./row_rounding.ts";
import type { RowTotals } from "./row_totals.ts";
import type { StateStore } from "./state_store.ts";
import type { ValueSpread } from "./value_spread.ts";

/** The fixed part of an answer takes as long as this many of its numbers. */
const LEAST_ANSWER = 2 ** 12;

/** Certificates of the rows of one backend. */
export class RowCertificates {
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #store: StateStore;
  readonly #heads: HeadRows;
  readonly #rounding: RowRounding;
  readonly #spread: ValueSpread;
  readonly #certifier: Certifier;
  readonly #certified: CertifiedRows;
  readonly #measured: MeasuredRounding;
  /** Head rows whose totals were computed from their keys when they were last certified. */
  readonly #exactRows = new Set<number>();

  constructor({ config, rows, store, heads, spread }: RowParts, rounding: RowRounding) {
    const { layout, rule } = config;
    this.#config = config;
    this.#rows = rows;
    this.#store = store;
    this.#heads = heads;
    this.#rounding = rounding;
    this.#spread = spread;
    this.#measured = new MeasuredRounding(layout, rule);
    this.#certifier = new Certifier({
      layout,
      softcap: rule.softcap,
      stored: rows.stored,
      retained: rows.retained,
      kernels: heads.kernels,
      spread,
      doubt: rounding.doubt,
      batch: store.certificates,
    });
    this.#certified = {
      areFlat: (head) => heads.areFlat(head),
      isSteep: (slot, head) => heads.isSteep(slot, head),
      roundingKind: (head, keys) => rounding.kindOf(head, keys),
      rounding: (row, head, keys) => rounding.ofKernel(row, head, keys),
      mayHaveErrors: (keys) => {
        const { isEmpty } = this.#measured;
        return !isEmpty || (keys.areStored && this.#measured.canMeasure(this.#rows.stored.count));
      },
      errorOf: (slot, head, keys) => this.#errorOf(slot, head, keys),
      hostBound: (slot, head, keys) => this.#bound(slot, head, keys),
    };
  }

  bytes(): number {
    return this.#certifier.bytes + this.#measured.bytes() + this.#rounding.doubt.bytes;
  }

  /** Makes room for a batch that changes `changes` key slots; throws before anything changes. */
  reserve(changes: number): void {
    this.#certifier.reserve(changes);
  }

  /** The keys in some slots have changed. */
  changeKeys(slots: Uint32Array): void {
    this.#certifier.changeKeys(slots);
  }

  /** Some query slots have other queries. */
  changeQueries(slots: Uint32Array): void {
    this.#certifier.changeQueries(slots);
  }

  /** The states of some queries change. */
  changeRows(slots: Uint32Array): void {
    const { heads } = this.#config.layout;
    this.#certifier.changeRows(slots);
    if (this.#measured.isEmpty) return;
    for (const slot of slots) {
      for (let row = slot * heads; row < (slot + 1) * heads; row++) this.#measured.forget(row);
    }
  }

  /** Forgets all sums, which are of rows that are gone, and the scratch of the last measurement. */
  forget(): void {
    this.#certifier.forget();
    this.#measured.wipe();
  }

  /** Forgets all that was measured. */
  forgetMeasured(): void {
    this.#measured.forgetAll();
    this.#certifier.forget();
  }

  /**
   * Bounds on how far the rows of a cohort, whose states were loaded, are from what the stored keys make
   * them.
   */
  certify(cohort: Cohort): Float64Array<ArrayBuffer> {
    const { heads, valueDim } = this.#config.layout, count = cohort.queries.length * heads;
    const { measuredWork = 0, measuredShare = 0 } = this.#store.limits ?? {};
    this.#measured.begin(measuredWork, measuredShare * (LEAST_ANSWER + count * valueDim));
    return CapacityError.guard(this.#store.name, `bounds of ${count} rows`, 128 * count, () => {
      return this.#certifier.certify(cohort, this.#rows.keysAt(cohort.since), this.#certified);
    });
  }

  /** The rows of a cohort, and the pairs with changed keys that their certificates are to exchange. */
  owed(queries: Uint32Array, since: Since): OwedPairs {
    return this.#certifier.owed(queries, since);
  }

  /** What rounding alone did at most to the answer of a head row, whose totals were taken last. */
  roundingOf(slot: number, head: number, totals: RowTotals, keys: KeysAt): number {
    return this.#certifier.rounding(totals, head, keys, this.#rounding.of(slot, head, totals, keys));
  }

  #bound(slot: number, head: number, keys: KeysAt): number {
    const row = slot * this.#config.layout.heads + head, { limits } = this.#store;
    const totals = this.#heads.standing(slot, head, keys);
    if (limits !== null) this.#noteExactness(row, slot, head);
    if (limits === null || this.#heads.isExact) {
      return this.#certifier.bound(
        totals,
        slot,
        head,
        keys,
        this.#rounding.inFloat64(slot, head, totals, keys),
      );
    }
    if (keys.areStored && !this.#measured.errorOf(row)) {
      this.#measure(row, slot, head, totals, keys);
    }
    const error = this.#measured.errorOf(row);
    if (!error) {
      return this.#certifier.bound(totals, slot, head, keys, this.#rounding.of(slot, head, totals, keys));
    }
    // All that is measured is what happened to o and to the mass; as the error of a sum it has the same
    // effect.
    const sumError = error.output * totals.mass / (2 * Math.sqrt(this.#config.layout.valueDim));
    const known = new MeasuredTotals(totals, sumError);
    return this.#certifier.bound(known, slot, head, keys, { mass: error.mass, variation: 0 });
  }

  /** The error of a row whose certificate a kernel computes, measured if there is work left for it. */
  #errorOf(slot: number, head: number, keys: KeysAt): StateError | null {
    const measured = this.#measured, row = slot * this.#config.layout.heads + head;
    if (keys.areStored && measured.canMeasure(this.#rows.stored.count) && !measured.errorOf(row)) {
      const totals = this.#heads.standing(slot, head, keys);
      if (!this.#heads.isExact) this.#measure(row, slot, head, totals, keys);
    }
    return measured.isEmpty ? null : measured.errorOf(row);
  }

  /** Measures are shares of a row's mass, which is another number once the row is answered from its keys. */
  #noteExactness(row: number, slot: number, head: number): void {
    if (this.#exactRows.has(row) === this.#heads.isExact) return;
    this.#certifier.changeRow(slot, head);
    if (this.#heads.isExact) this.#exactRows.add(row);
    else this.#exactRows.delete(row);
  }

  /** Measures what rounding did to a state, which holds the stored keys. */
  #measure(row: number, slot: number, head: number, totals: RowTotals, keys: KeysAt): void {
    const diameter = 2 * this.#spread.radius(keyHeadOf(this.#config.layout, head));
    const rounding = this.#rounding.inFloat64(slot, head, totals, keys);
    this.#measured.measure(row, this.#rows.queryHead(slot, head), totals, keys, diameter, rounding);
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
