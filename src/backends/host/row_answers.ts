/**
 * Answers of the head rows of one engine, and how far they may be off. Each part of it does one thing:
 * `HeadRows` has their totals, `RowRounding` what computing did to them, `RowCertificates` bounds from each
 * changed key, `RowDrift` bounds that look at no pair. This file passes changes of keys and states on to
 * them, in the order in which they need it.
 */

import type { BackendConfig, Changes } from "../backend.ts";
import { HeadRows } from "./head_rows.ts";
import type { HostRows } from "./host_rows.ts";
import { KeyReach } from "./key_reach.ts";
import { RowCertificates } from "./row_certificates.ts";
import { RowDrift } from "./row_drift.ts";
import { RowRounding } from "./row_rounding.ts";
import type { StateStore } from "./state_store.ts";
import { ValueSpread } from "./value_spread.ts";

/** Answers and bounds of one engine's rows. */
export class RowAnswers {
  readonly spread: ValueSpread;
  readonly heads: HeadRows;
  readonly certificates: RowCertificates;
  readonly drift: RowDrift;
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #store: StateStore;

  constructor(config: BackendConfig, rows: HostRows, store: StateStore) {
    const { layout, rule } = config;
    this.#config = config;
    this.#rows = rows;
    this.#store = store;
    const spread = this.spread = new ValueSpread(layout, rule.sinks);
    const heads = this.heads = new HeadRows(config, rows, store);
    const parts = { config, rows, store, heads, spread }, rounding = new RowRounding(parts);
    this.certificates = new RowCertificates(parts, rounding);
    this.drift = new RowDrift(parts, rounding, this.certificates);
  }

  /** How large keys and values are. */
  get reach(): KeyReach {
    return this.heads.reach;
  }

  bytes(): number {
    return this.certificates.bytes() + this.drift.bytes();
  }

  /** Keys and queries are about to be replaced. */
  release(changes: Changes): void {
    const block = this.#rows.stored.block();
    for (const slot of changes.keys.slots) {
      this.spread.release(block, slot);
      this.reach.release(this.#rows, slot);
    }
    for (const slot of changes.queries.slots) this.heads.norms.release(slot);
    this.drift.measure(changes);
  }

  /** Keys and queries have been replaced. */
  include(changes: Changes): void {
    const { keys: { slots: keys }, queries: { slots: queries } } = changes, block = this.#rows.stored.block();
    this.reach.includeBiases(changes.keys.bias);
    this.reach.includeBiases(changes.queries.bias);
    for (const slot of keys) {
      this.spread.include(block, slot);
      this.reach.include(this.#rows, slot);
    }
    this.certificates.changeKeys(keys);
    this.certificates.changeQueries(queries);
    for (const slot of queries) this.heads.norms.include(slot);
    this.drift.apply(keys, queries);
    this.changeRows(queries);
  }

  /** The states of some queries change. */
  changeRows(slots: Uint32Array): void {
    this.certificates.changeRows(slots);
    this.drift.changeRows(slots);
  }

  /** Measures all values and keys anew: every state is of the stored ones. */
  refit(): void {
    this.spread.refit(this.#rows.stored.block());
    this.reach.refit(this.#rows);
  }

  /**
   * Forgets what was measured of rows that are gone; all states are of the stored keys. Returns the queries
   * that are steep no more: what float32 made of them while they were is not to be relied on.
   */
  forget(): Uint32Array {
    const { layout, rule } = this.#config;
    const before = new KeyReach(layout, rule.scale);
    before.restore(this.reach.norms, this.reach.magnitudes);
    this.spread.forget(this.#rows.stored.block());
    this.reach.forget(this.#rows);
    this.certificates.forget();
    this.drift.forget();
    this.heads.wipe();
    this.heads.norms.forget();
    return this.heads.steepNoMore(before);
  }

  /** What was measured is not in a file, and would make bounds here others than those of a loaded engine. */
  forgetMeasured(): void {
    this.certificates.forgetMeasured();
    this.drift.forgetMeasured();
    this.heads.norms.forget();
    this.reach.refitBiases(this.#rows);
    // Stores in float64 do not save how large keys are.
    if (this.#store.limits === null) this.reach.refit(this.#rows);
  }
}
