/**
 * The backend for a graphics device: states are kept by kernels in WGSL, in float32. What the kernels leave to others
 * is done at the host in float64: the last division, heavy keys, certificates, and steep rows.
 *
 * Invariant between calls: the rows at the host are the truth. A live query has a state on the device that holds the
 * keys of one moment and is trusted, or is an orphan: the device on which it had one is gone, and what is asked of it
 * is answered from what was read of it, or computed from the rows.
 */

import type {
  Backend,
  BackendConfig,
  Changes,
  Cohort,
  Costs,
  PassingQueries,
  Readout,
  RowSource,
  Since,
  Work,
} from "../backend.ts";
import { attempt } from "../attempt.ts";
import { emptyReadout } from "../empty_readout.ts";
import { GIVEN } from "../reason.ts";
import { NO_ROW, NOTHING } from "../since.ts";
import { keyHeadOf, queryColumns } from "../../core/head_layout.ts";
import { exponentOf, shiftedExp } from "../../core/power_shift.ts";
import type { SavedArrays } from "../../saved_array.ts";
import { type CertifiedTotals, Certifier, NO_WEIGHT_ROUNDING, type WeightRounding } from "../certifier.ts";
import type { KeyBlock } from "../float64/key_block.ts";
import { Kernels } from "../float64/kernels.ts";
import { RowStates } from "../float64/row_states.ts";
import type { RowTotals } from "../float64/row_totals.ts";
import { KeyReach, STEEP_SCORE } from "../key_reach.ts";
import { ValueSpread } from "../value_spread.ts";
import { acquireDevice, type GpuDevice, holdDevice } from "./device.ts";
import { DeviceRows } from "./device_rows.ts";
import { HostRows } from "./host_rows.ts";
import { MeasuredRounding } from "./measured_rounding.ts";
import { toRecordLayout } from "./record_layout.ts";
import { fitsDevice, restoreMirror, saveMirror } from "./saved_states.ts";
import { StateMirror } from "./state_mirror.ts";
import type { Traffic } from "./traffic.ts";
import { weightDoubt } from "./weight_doubt.ts";

/**
 * An exp is the operations that it takes. The other is fitted to what builds and patches of 64 and 256 keys take at
 * m = 512, n = 2048, d = dv = 64 on a software device (docs/webgpu.md): it has not been measured on hardware.
 */
const COSTS: Costs = { exponential: 14, compensatedAdd: 2, rowsTogether: 1 };

/**
 * |scale| for which float32 products neither vanish nor overflow, whatever the rows are; beyond, rows are computed at the
 * host.
 */
const LEAST_SCALE = 2 ** -100, MOST_SCALE = 2 ** 60;
/**
 * Values so small beside the weights that what a device flushes to 0 is no longer below their rounding, for each key: the
 * magnitude of a row that is computed at the host for it.
 */
const FAINT = 2 ** -92;

/** Attention on a graphics device. */
export class WebgpuBackend implements Backend {
  readonly name = "webgpu";
  readonly reason: string;
  readonly costs = COSTS;
  readonly threads = 1;
  readonly keys: RowSource;
  readonly queries: RowSource;
  readonly kept: RowSource;
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #device: DeviceRows;
  readonly #mirror: StateMirror;
  readonly #kernels: Kernels;
  /** One state, of the row at hand. */
  readonly #state: RowStates;
  readonly #spread: ValueSpread;
  readonly #reach: KeyReach;
  readonly #certifier: Certifier<KeyBlock>;
  readonly #measured: MeasuredRounding;
  /** Head rows whose totals were computed from the rows when they were last certified. */
  readonly #exactRows = new Set<number>();
  /** Whether the totals at hand were computed from the rows, in float64. */
  #isExact = false;
  /** The keys of the last moment that rows were computed for. */
  #momentKeys: { readonly since: Since; readonly block: KeyBlock } | null = null;

  readonly #letGo: () => void;

  /** `open` finds the device, also when the last one was lost; `letGo` is called when the backend needs it no more. */
  constructor(config: BackendConfig, open: () => Promise<GpuDevice>, letGo: () => void = () => {}) {
    this.#letGo = letGo;
    const { layout, rule } = config;
    this.#config = config;
    this.reason = config.reason ?? GIVEN;
    this.#kernels = new Kernels(layout, rule);
    this.#rows = new HostRows(config);
    this.#mirror = new StateMirror(toRecordLayout(layout, 0));
    this.#device = new DeviceRows(config, this.#rows, this.#mirror, this.#kernels.work, open);
    this.#state = new RowStates(layout.valueDim + 2, 1);
    this.#spread = new ValueSpread(layout, layout.valueDim + 2);
    this.#reach = new KeyReach(layout, rule.scale);
    this.#measured = new MeasuredRounding(layout, rule);
    this.keys = this.#rows.stored.source;
    this.kept = this.#rows.kept.source;
    this.queries = this.#rows.queries;
    this.#certifier = new Certifier({
      layout,
      softcap: rule.softcap,
      stored: this.keys,
      kept: this.kept,
      tables: () => ({ stored: this.#rows.stored.block(), kept: this.#rows.kept.block() }),
      pairs: this.#kernels,
      spread: this.#spread,
    });
  }

  get work(): Readonly<Work> {
    return this.#kernels.work;
  }

  /** What was asked of the device. */
  get deviceMs(): number | null {
    return this.#device.hasClock ? this.#device.traffic.busyMs : null;
  }

  get traffic(): Readonly<Traffic> {
    return this.#device.traffic;
  }

  bytes(): number {
    return this.#rows.bytes() + this.#mirror.bytes() + this.#measured.bytes() + this.#certifier.bytes +
      this.#device.traffic.bufferBytes;
  }

  store(changes: Changes, kept: Uint32Array, dropped: Uint32Array): Promise<void> {
    return attempt(() => {
      const { keys, queries } = changes;
      // All that can fail, for want of memory, comes before the first change.
      this.#rows.reserve(changes, kept);
      this.#mirror.reserve(this.#rows.queries.live.length);
      this.#drop(dropped);
      const before = this.#rows.stored.block();
      for (let t = 0; t < keys.slots.length; t++) {
        this.#spread.release(before, keys.slots[t]);
        this.#reach.release(this.#rows, keys.slots[t]);
        if (kept[t] === NO_ROW) continue;
        this.#device.noteKept(keys.slots[t], kept[t]);
        this.#rows.keep(keys.slots[t], kept[t]);
      }
      this.#rows.storeKeys(keys);
      const block = this.#rows.stored.block();
      for (const slot of keys.slots) {
        this.#spread.include(block, slot);
        this.#reach.include(this.#rows, slot);
      }
      this.#certifier.changeKeys(keys.slots);
      this.#rows.storeQueries(queries);
      this.#device.noteChanges(changes);
      this.#forget(queries.slots);
      this.#momentKeys = null;
    });
  }

  async forget(dropped: Uint32Array): Promise<void> {
    this.#drop(dropped);
    this.#momentKeys = null;
    this.#spread.forget(this.#rows.stored.block());
    const steep = this.#steepQueries();
    this.#reach.forget(this.#rows);
    // What float32 made of a row while it was steep is not relied on when it is so no more.
    const stillSteep = new Set(this.#steepQueries());
    const lost = steep.filter((slot) => !stillSteep.has(slot));
    this.#forget(lost);
    this.#device.lose(lost);
    this.#certifier.forget();
    this.#kernels.forgetQuery();
    this.#measured.wipe();
    this.#state.clear(0);
    await this.#device.settle();
  }

  async update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    this.#momentKeys = null;
    this.#forget(build);
    for (const { queries } of patch) this.#forget(queries);
    await this.#device.update(build, patch);
    if (build.length !== this.#rows.queries.liveCount) return;
    this.#spread.refit(this.#rows.stored.block());
    this.#reach.refit(this.#rows);
  }

  async read({ queries, since }: Cohort): Promise<Readout> {
    await this.#device.fetch(queries, since);
    const { heads } = this.#config.layout;
    const readout = emptyReadout(this.#config.layout, queries.length);
    for (let at = 0; at < queries.length; at++) {
      for (let head = 0; head < heads; head++) {
        this.#write(readout, at * heads + head, this.#takeStanding(queries[at], head, since));
      }
    }
    return readout;
  }

  async certify({ queries, since }: Cohort): Promise<Float64Array<ArrayBuffer>> {
    await this.#device.fetch(queries, since);
    const { heads } = this.#config.layout;
    this.#certifier.open(since);
    this.#measured.begin();
    return Float64Array.from(queries, (slot) => {
      let squared = 0;
      for (let head = 0; head < heads; head++) squared += this.#boundOf(slot, head, since) ** 2;
      return Math.sqrt(squared);
    });
  }

  async attend({ count, rows, positions }: PassingQueries): Promise<Readout> {
    const { layout: { heads }, layout } = this.#config;
    const width = queryColumns(layout);
    const readout = emptyReadout(this.#config.layout, count);
    await this.#device.attend({ count, rows, positions }, (query, at, mirror) => {
      for (let head = 0; head < heads; head++) {
        this.#kernels.select(rows, query * width, head, positions[query], 0);
        const norm = this.#rows.queryNorm(rows, query * width, head);
        mirror.decode(at, head, this.#state);
        this.#write(readout, query * heads + head, this.#total(norm, head, NOTHING, true));
      }
    });
    return readout;
  }

  async weights(row: number, head: number, slotCount: number): Promise<Float32Array<ArrayBuffer>> {
    const { stored } = this.#rows, { work } = this.#kernels;
    const target = new Float32Array(slotCount);
    const norm = this.#select(row, head);
    const isSteep = this.#isSteep(norm, head);
    const scores = isSteep ? null : await this.#device.scores(row, head);
    const largest = scores ? scores.reduce((most, score) => Math.max(most, score), -Infinity) : 0;
    this.#select(row, head);
    if (!scores || (largest > -Infinity && Math.abs(largest) >= STEEP_SCORE)) {
      this.#kernels.reserve(stored.keys.size, 0);
      this.#kernels.weights(stored.block(), target);
      return target;
    }
    const live = stored.keys.liveCount;
    work.multiplyAdds += live * this.#config.layout.headDim;
    if (this.#config.rule.softcap > 0) work.exponentials += live;
    work.rowsBuilt++;
    if (largest > -Infinity) this.#writeWeights(scores, exponentOf(largest), target);
    return target;
  }

  bias(keySize: number, querySize: number): Float32Array | null {
    return this.#rows.stored.bias.save(keySize, querySize);
  }

  async save(querySize: number): Promise<SavedArrays> {
    const queries = this.#liveQueries();
    await this.#device.fetch(queries, NOTHING);
    // What was measured is not in the file, and would make bounds here others than those of who loads it.
    for (const row of this.#measured.forgetAll()) this.#certifier.changeRow(row);
    return saveMirror(this.#savedParts(), await this.#device.gpu(), queries, querySize);
  }

  async restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void> {
    await this.store(rows, new Uint32Array(rows.keys.slots.length).fill(NO_ROW), new Uint32Array(0));
    if (!states || !fitsDevice(operation, states, await this.#device.gpu())) {
      return await this.update(this.#liveQueries(), []);
    }
    const { queries, stored } = this.#rows;
    const scope = { layout: this.#config.layout, keys: stored.keys, queries };
    const missing = restoreMirror(operation, states, this.#savedParts(), scope);
    await this.#device.restore(this.#liveQueries());
    if (missing.length > 0) await this.#device.update(Uint32Array.from(missing), []);
    this.#mirror.forget(missing);
  }

  async dispose(): Promise<void> {
    await this.#device.dispose();
    this.#letGo();
  }

  #savedParts() {
    return { layout: this.#config.layout, mirror: this.#mirror, spread: this.#spread, reach: this.#reach };
  }

  #liveQueries(): Uint32Array {
    const { queries } = this.#rows;
    return Uint32Array.from({ length: queries.size }, (_, slot) => slot).filter((slot) =>
      queries.isLive(slot)
    );
  }

  #drop(kept: Uint32Array): void {
    this.#rows.drop(kept);
    this.#device.noteDropped(kept);
  }

  /** Live queries of which a head is steep whatever its scores. */
  #steepQueries(): number[] {
    const { heads } = this.#config.layout, { rows, width } = this.#rows.queries;
    return [...this.#liveQueries()].filter((slot) => {
      for (let head = 0; head < heads; head++) {
        if (this.#isSteep(this.#rows.queryNorm(rows, slot * width, head), head)) return true;
      }
      return false;
    });
  }

  /** The states of some queries change. */
  #forget(slots: Iterable<number> & ArrayLike<number>): void {
    const { heads } = this.#config.layout;
    this.#mirror.forget(slots);
    for (const slot of slots) {
      for (let row = slot * heads; row < (slot + 1) * heads; row++) {
        this.#certifier.changeRow(row);
        this.#measured.forget(row);
      }
    }
  }

  /** Takes one head of a standing query; returns its norm. */
  #select(slot: number, head: number): number {
    const { rows, width, positions } = this.#rows.queries;
    this.#kernels.select(rows, slot * width, head, positions[slot], this.#biasColumn(slot, head));
    return this.#rows.queryNorm(rows, slot * width, head);
  }

  #biasColumn(slot: number, head: number): number {
    const { heads } = this.#rows.stored.bias;
    return slot * heads + (heads > 1 ? head : 0);
  }

  #takeStanding(slot: number, head: number, since: Since): RowTotals {
    const norm = this.#select(slot, head);
    const isKnown = this.#mirror.knows(slot);
    if (isKnown) this.#mirror.decode(slot, head, this.#state);
    return this.#total(norm, head, since, isKnown);
  }

  /** The totals of the selected row: of the state at hand, or, where that will not do, from the rows. */
  #total(norm: number, head: number, since: Since, isKnown: boolean): RowTotals {
    const stored = this.#rows.stored.block();
    this.#isExact = !isKnown || this.#isSteep(norm, head) || this.#isFaint(head);
    if (!this.#isExact) {
      const exchange = since.slots.length === 0 ? null : {
        ...since,
        before: this.#rows.kept.block(),
        after: stored,
        scoreChanged: NOT_COMPARED,
      };
      const totals = this.#kernels.total(this.#state, 0, stored, exchange);
      this.#isExact = totals.mass > 0 && Math.abs(totals.shift) >= STEEP_SCORE;
      if (!this.#isExact) return totals;
    }
    const block = this.#keysAt(since);
    this.#kernels.reserve(block.count, 0);
    this.#kernels.buildRow(this.#state, 0, block);
    return this.#kernels.total(this.#state, 0, block, null);
  }

  /** Whether float32 may overflow in one head of a query of this norm, or lose what is below its range. */
  #isSteep(norm: number, head: number): boolean {
    const { layout, rule } = this.#config, scale = Math.abs(rule.scale);
    const isInRange = scale === 0 || (scale >= LEAST_SCALE && scale <= MOST_SCALE);
    return !isInRange || this.#reach.isSteep(norm, keyHeadOf(layout, head));
  }

  /** Whether the values that the state at hand has summed are so small that a device may have lost some. */
  #isFaint(head: number): boolean {
    const { layout, layout: { valueDim } } = this.#config;
    if (this.#state.shift[0] === -Infinity || this.#reach.magnitudes[keyHeadOf(layout, head)] === 0) {
      return false;
    }
    return this.#state.heavyCount[0] === 0 &&
      this.#state.high[valueDim + 1] < FAINT * (1 + this.#rows.stored.keys.liveCount);
  }

  #keysAt(since: Since): KeyBlock {
    if (since.slots.length === 0) return this.#rows.stored.block();
    if (this.#momentKeys?.since !== since) this.#momentKeys = { since, block: this.#rows.blockAt(since) };
    return this.#momentKeys.block;
  }

  /** A bound on how far one head of a standing query is from what the stored keys make it. */
  #boundOf(slot: number, head: number, since: Since): number {
    const row = slot * this.#config.layout.heads + head;
    const totals = this.#takeStanding(slot, head, since);
    this.#noteExactness(row);
    if (this.#isExact) return this.#certifier.bound(totals, row, head, NO_WEIGHT_ROUNDING);
    if (since.slots.length === 0 && !this.#measured.errorOf(row)) this.#measure(row, slot, head, totals);
    const error = this.#measured.errorOf(row);
    if (!error) return this.#certifier.bound(totals, row, head, this.#roundingOf(totals, slot, head, since));
    // All that is measured is what happened to o and to the mass; as the error of a sum it has the same effect.
    const sumError = error.output * totals.mass / (2 * Math.sqrt(this.#config.layout.valueDim));
    const known = new MeasuredTotals(totals, sumError);
    return this.#certifier.bound(known, row, head, { mass: error.mass, variation: 0 });
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
    const { rows, width, positions } = this.#rows.queries;
    const selected = {
      rows,
      offset: slot * width,
      head,
      position: positions[slot],
      biasColumn: this.#biasColumn(slot, head),
    };
    const diameter = 2 * this.#spread.radius(keyHeadOf(this.#config.layout, head));
    this.#measured.measure(row, selected, totals, this.#rows.stored.block(), diameter);
  }

  /** What computing the weights of the row at hand may have done to it. */
  #roundingOf(totals: RowTotals, slot: number, head: number, since: Since): WeightRounding {
    const { layout, layout: { headDim }, rule: { softcap } } = this.#config;
    const { rows, width } = this.#rows.queries;
    const norm = this.#rows.queryNorm(rows, slot * width, head);
    return weightDoubt({
      logSumExp: totals.logSumExp(),
      largestProduct: this.#reach.largestScore(norm, keyHeadOf(layout, head)),
      keyCount: this.#rows.stored.keys.liveCount + since.slots.length,
      headDim,
      softcap,
    });
  }

  #writeWeights(scores: Float32Array, shift: number, target: Float32Array): void {
    const count = Math.min(scores.length, target.length), weights = new Float64Array(count);
    let mass = 0;
    for (let slot = 0; slot < count; slot++) {
      if (scores[slot] === -Infinity) continue;
      weights[slot] = shiftedExp(scores[slot], shift);
      mass += weights[slot];
      this.#kernels.work.exponentials++;
    }
    for (let slot = 0; slot < count; slot++) target[slot] = weights[slot] > 0 ? weights[slot] / mass : 0;
  }

  #write({ output, logSumExp }: Readout, at: number, totals: RowTotals): void {
    totals.writeOutput(output, at * this.#config.layout.valueDim);
    logSumExp[at] = totals.logSumExp();
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

/** Of an exchange that nobody patches by. */
const NOT_COMPARED = new Uint8Array(0);

/**
 * Makes an empty backend on the device of this process.
 *
 * @throws {DeviceError} When there is none, or it is unfit: better said now than by the first question.
 */
export async function createWebgpuBackend(config: BackendConfig): Promise<WebgpuBackend> {
  const letGo = holdDevice();
  try {
    await acquireDevice();
  } catch (error) {
    letGo();
    throw error;
  }
  return new WebgpuBackend(config, acquireDevice, letGo);
}
