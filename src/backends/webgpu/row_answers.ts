/**
 * Answers of rows, and how far they may be off: from the sums of their states, or, where float32 will not
 * do, from the rows at the host in float64. That is so for *steep* rows, whose numbers may overflow or whose
 * scores are beyond what kernels tell apart, for *faint* ones, whose values are so small that a device may
 * have flushed some to 0, and for those whose states went with a device.
 */

import type { BackendConfig, Since } from "../backend.ts";
import { keyHeadOf } from "../../numerics/head_layout.ts";
import {
  type CertifiedTotals,
  Certifier,
  NO_WEIGHT_ROUNDING,
  type WeightRounding,
} from "../host/certifier.ts";
import type { KeyBlock } from "../host/key_block.ts";
import type { Kernels } from "../host/kernels.ts";
import { RowStates } from "../host/row_states.ts";
import type { RowTotals } from "../host/row_totals.ts";
import { KeyReach } from "../host/key_reach.ts";
import { NOTHING } from "../since.ts";
import { ValueSpread } from "../host/value_spread.ts";
import type { HostRows } from "./host_rows.ts";
import { MeasuredRounding, type SelectedRow } from "./measured_rounding.ts";
import type { StateMirror } from "./state_mirror.ts";
import { weightDoubt } from "./weight_doubt.ts";

/** Smallest and largest |scale| with which float32 products neither vanish nor overflow. */
const LEAST_SCALE = 2 ** -100, MOST_SCALE = 2 ** 60;
/**
 * The size of a row's largest score from which on it is steep here: the kernels' exp takes off whole powers
 * of two exactly up to 22,000, and only roughly beyond.
 */
export const STEEP_SCORE = 20_000;
/**
 * A row is faint whose magnitude, for each of its keys, is less: what a device flushes to 0, below 2^−126 of
 * a weight of 1, is then no longer below a rounding.
 */
const FAINT = 2 ** -92;

/** Answers and bounds of one engine's rows. */
export class RowAnswers {
  readonly spread: ValueSpread;
  /** How large keys and values are. */
  readonly reach: KeyReach;
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #mirror: StateMirror;
  readonly #kernels: Kernels;
  /** One state, of the row at hand. */
  readonly #state: RowStates;
  readonly #certifier: Certifier<KeyBlock>;
  readonly #measured: MeasuredRounding;
  /** Head rows whose totals were computed from the rows when they were last certified. */
  readonly #exactRows = new Set<number>();
  /** Whether the totals at hand were computed from the rows. */
  #isExact = false;
  /** The keys of the last moment that rows were computed for. */
  #momentKeys: { readonly since: Since; readonly block: KeyBlock } | null = null;

  constructor(config: BackendConfig, rows: HostRows, mirror: StateMirror, kernels: Kernels) {
    const { layout, rule } = config;
    this.#config = config;
    this.#rows = rows;
    this.#mirror = mirror;
    this.#kernels = kernels;
    this.#state = new RowStates(layout.valueDim + 2, 1);
    this.spread = new ValueSpread(layout, layout.valueDim + 2);
    this.reach = new KeyReach(layout, rule.scale);
    this.#measured = new MeasuredRounding(layout, rule);
    this.#certifier = new Certifier({
      layout,
      softcap: rule.softcap,
      stored: rows.stored.source,
      kept: rows.kept.source,
      tables: () => ({ stored: rows.stored.block(), kept: rows.kept.block() }),
      pairs: kernels,
      spread: this.spread,
    });
  }

  bytes(): number {
    return this.#certifier.bytes + this.#measured.bytes();
  }

  /** The keys in some slots are about to be replaced. */
  releaseKeys(slots: Uint32Array): void {
    const block = this.#rows.stored.block();
    for (const slot of slots) {
      this.spread.release(block, slot);
      this.reach.release(this.#rows, slot);
    }
  }

  /** The keys in some slots have been replaced. */
  includeKeys(slots: Uint32Array): void {
    const block = this.#rows.stored.block();
    for (const slot of slots) {
      this.spread.include(block, slot);
      this.reach.include(this.#rows, slot);
    }
    this.#certifier.changeKeys(slots);
    this.#momentKeys = null;
  }

  /** The states of some queries change. */
  forgetStates(slots: Iterable<number>): void {
    const { heads } = this.#config.layout;
    this.#momentKeys = null;
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
   * Forgets what was measured of rows that are gone; all states are of the stored keys. Returns those of some
   * queries that are steep no more: what float32 made of them while they were is not to be relied on.
   */
  forget(queries: Uint32Array): Uint32Array {
    const { layout, rule } = this.#config;
    const before = new KeyReach(layout, rule.scale);
    before.restore(this.reach.norms, this.reach.magnitudes);
    this.spread.forget(this.#rows.stored.block());
    this.reach.forget(this.#rows);
    this.#certifier.forget();
    this.#kernels.forgetQuery();
    this.#measured.wipe();
    this.#state.clear(0);
    this.#momentKeys = null;
    const isSame = before.norms.every((norm, head) => norm === this.reach.norms[head]) &&
      before.magnitudes.every((size, head) => size === this.reach.magnitudes[head]);
    if (isSame) return NO_QUERIES;
    return queries.filter((slot) =>
      this.#isSteepAnywhere(slot, before) && !this.#isSteepAnywhere(slot, this.reach)
    );
  }

  /**
   * Forgets measured errors: they are not in a file, and would make bounds here others than those of an
   * engine loaded from it.
   */
  forgetMeasured(): void {
    for (const row of this.#measured.forgetAll()) this.#certifier.changeRow(row);
  }

  /** The totals of one head of a standing query, as of its state. */
  standing(slot: number, head: number, since: Since): RowTotals {
    const isKnown = this.#mirror.knows(slot);
    if (isKnown) this.#mirror.decode(slot, head, this.#state);
    return this.#totals(this.#rowOf(slot, head), since, isKnown);
  }

  /** The totals of one head of a passing query, whose state is `at` among `states`. */
  passing(row: SelectedRow, states: StateMirror, at: number): RowTotals {
    states.decode(at, row.head, this.#state);
    return this.#totals(row, NOTHING, true);
  }

  /** Whether float32 may overflow in one head of a standing query, or lose what is below its range. */
  isSteep(slot: number, head: number): boolean {
    return this.#isSteep(this.#rowOf(slot, head));
  }

  /** Makes the kernels speak of one head of a standing query. */
  select(slot: number, head: number): void {
    const { rows, offset, position, biasColumn } = this.#rowOf(slot, head);
    this.#kernels.select(rows, offset, head, position, biasColumn);
  }

  /** Takes the changed keys that the next bounds are of. */
  openBounds(since: Since): void {
    this.#certifier.open(since);
    this.#measured.begin();
  }

  /** A bound on how far one head of a standing query is from what the stored keys make it. */
  bound(slot: number, head: number, since: Since): number {
    const row = slot * this.#config.layout.heads + head;
    const totals = this.standing(slot, head, since);
    this.#noteExactness(row);
    if (this.#isExact) return this.#certifier.bound(totals, row, head, NO_WEIGHT_ROUNDING);
    if (since.slots.length === 0 && !this.#measured.errorOf(row)) this.#measure(row, slot, head, totals);
    const error = this.#measured.errorOf(row);
    if (!error) return this.#certifier.bound(totals, row, head, this.#doubtOf(slot, head, since));
    // All that is measured is what happened to o and to the mass; as the error of a sum it has the same
    // effect.
    const sumError = error.output * totals.mass / (2 * Math.sqrt(this.#config.layout.valueDim));
    const known = new MeasuredTotals(totals, sumError);
    return this.#certifier.bound(known, row, head, { mass: error.mass, variation: 0 });
  }

  /** The totals of a row: of the state at hand, or, where that will not do, from the rows. */
  #totals(row: SelectedRow, since: Since, isKnown: boolean): RowTotals {
    const { rows, offset, head, position, biasColumn } = row;
    this.#kernels.select(rows, offset, head, position, biasColumn);
    const stored = this.#rows.stored.block();
    this.#isExact = !isKnown || this.#isSteep(row) || this.#isFaint(head);
    if (!this.#isExact) {
      const exchange = since.slots.length === 0 ? null : {
        ...since,
        before: this.#rows.kept.block(),
        after: stored,
        scoreChanged: NOT_COMPARED,
      };
      const totals = this.#kernels.total(this.#state, 0, stored, exchange);
      this.#isExact = totals.mass > 0 && Math.abs(totals.shift) * Math.LN2 >= STEEP_SCORE;
      if (!this.#isExact) return totals;
    }
    const block = this.#keysAt(since);
    this.#kernels.reserve(block.count, 0);
    this.#kernels.buildRow(this.#state, 0, block);
    return this.#kernels.total(this.#state, 0, block, null);
  }

  #rowOf(slot: number, head: number): SelectedRow {
    const { rows, width, positions } = this.#rows.queries, { heads } = this.#rows.stored.bias;
    const biasColumn = slot * heads + (heads > 1 ? head : 0);
    return { rows, offset: slot * width, head, position: positions[slot], biasColumn };
  }

  #isSteep({ rows, offset, head }: SelectedRow, reach: KeyReach = this.reach): boolean {
    const { layout, rule } = this.#config, scale = Math.abs(rule.scale);
    const isInRange = scale === 0 || (scale >= LEAST_SCALE && scale <= MOST_SCALE);
    return !isInRange || reach.isSteep(this.#rows.queryNorm(rows, offset, head), keyHeadOf(layout, head));
  }

  #isSteepAnywhere(slot: number, reach: KeyReach): boolean {
    for (let head = 0; head < this.#config.layout.heads; head++) {
      if (this.#isSteep(this.#rowOf(slot, head), reach)) return true;
    }
    return false;
  }

  /** Whether the values that the state at hand has summed are so small that a device may have lost some. */
  #isFaint(head: number): boolean {
    const { layout, layout: { valueDim } } = this.#config, { shift, heavyCount, high } = this.#state;
    if (shift[0] === -Infinity || heavyCount[0] > 0) return false;
    const isTiny = high[valueDim + 1] < FAINT * (1 + this.#rows.stored.keys.liveCount);
    return isTiny && this.reach.magnitudes[keyHeadOf(layout, head)] > 0;
  }

  #keysAt(since: Since): KeyBlock {
    if (since.slots.length === 0) return this.#rows.stored.block();
    if (this.#momentKeys?.since !== since) this.#momentKeys = { since, block: this.#rows.blockAt(since) };
    return this.#momentKeys.block;
  }

  /** Measures are shares of a row's mass, which is another number once the row is answered from its keys. */
  #noteExactness(row: number): void {
    if (this.#exactRows.has(row) === this.#isExact) return;
    this.#certifier.changeRow(row);
    if (this.#isExact) this.#exactRows.add(row);
    else this.#exactRows.delete(row);
  }

  /** Measures what rounding did to the state at hand, which holds the stored keys. */
  #measure(row: number, slot: number, head: number, totals: RowTotals): void {
    const diameter = 2 * this.spread.radius(keyHeadOf(this.#config.layout, head));
    this.#measured.measure(row, this.#rowOf(slot, head), totals, this.#rows.stored.block(), diameter);
  }

  /** Bounds on the error that computing its weights caused in a row. */
  #doubtOf(slot: number, head: number, since: Since): WeightRounding {
    const { layout, layout: { headDim }, rule: { softcap } } = this.#config;
    const { rows, width } = this.#rows.queries;
    const norm = this.#rows.queryNorm(rows, slot * width, head);
    return weightDoubt({
      largestProduct: this.reach.largestScore(norm, keyHeadOf(layout, head)),
      keyCount: this.#rows.stored.keys.liveCount + since.slots.length,
      headDim,
      softcap,
    });
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
/** Of an exchange that nobody patches by. */
const NOT_COMPARED = new Uint8Array(0);
