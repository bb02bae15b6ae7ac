/**
 * The backend for a graphics device: states are kept by kernels in WGSL, in float32. What the kernels leave
 * to others is done at the host in float64: the last division, heavy keys, certificates, and rows that are
 * steep or faint (`row_answers.ts`).
 *
 * Invariant between calls: the rows at the host are the truth. A live query has a state on the device that
 * holds the keys of one moment and is trusted, or is an orphan: the device on which it had one is gone, and
 * what is asked of it is answered from what was read of it, or computed from the rows.
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
  Work,
} from "../backend.ts";
import { attempt } from "../../base/attempt.ts";
import { emptyReadout } from "../host/empty_readout.ts";
import { GIVEN } from "../host/reason.ts";
import { NO_ROW, NOTHING } from "../since.ts";
import { queryColumns } from "../../numerics/head_layout.ts";
import { exponentOf, shiftedExp } from "../../numerics/power_shift.ts";
import type { SavedArrays } from "../../base/saved_array.ts";
import { Kernels } from "../host/kernels.ts";
import type { RowTotals } from "../host/row_totals.ts";
import { acquireDevice, type GpuDevice, holdDevice } from "./device.ts";
import { DeviceRows } from "./device_rows.ts";
import { HostRows } from "./host_rows.ts";
import { toRecordLayout } from "./record_layout.ts";
import { RowAnswers, STEEP_SCORE } from "./row_answers.ts";
import { fitsDevice, restoreMirror, saveMirror } from "./saved_states.ts";
import { StateMirror } from "./state_mirror.ts";
import type { Traffic } from "./traffic.ts";

/**
 * An exp is the operations that it takes. The other is fitted to what builds and patches of 64 and 256 keys
 * take at m = 512, n = 2048, d = dv = 64 on a software device (docs/webgpu.md): it has not been measured on
 * hardware.
 */
const COSTS: Costs = { exponential: 14, compensatedAdd: 2, rowsTogether: 1 };

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
  readonly #answers: RowAnswers;
  readonly #letGo: () => void;

  /**
   * `open` finds the device, also when the last one was lost; `letGo` is called when the backend needs it no
   * more.
   */
  constructor(config: BackendConfig, open: () => Promise<GpuDevice>, letGo: () => void = () => {}) {
    this.#letGo = letGo;
    const { layout, rule } = config;
    this.#config = config;
    this.reason = config.reason ?? GIVEN;
    this.#kernels = new Kernels(layout, rule);
    this.#rows = new HostRows(config);
    this.#mirror = new StateMirror(toRecordLayout(layout, 0));
    this.#device = new DeviceRows(config, this.#rows, this.#mirror, this.#kernels.work, open);
    this.#answers = new RowAnswers(config, this.#rows, this.#mirror, this.#kernels);
    this.keys = this.#rows.stored.source;
    this.kept = this.#rows.kept.source;
    this.queries = this.#rows.queries;
  }

  get work(): Readonly<Work> {
    return this.#kernels.work;
  }

  /** Milliseconds that the device was busy, by its own clock. */
  get deviceMs(): number | null {
    return this.#device.hasClock ? this.#device.traffic.busyMs : null;
  }

  /** Counts of the requests to the device. */
  get traffic(): Readonly<Traffic> {
    return this.#device.traffic;
  }

  bytes(): number {
    return this.#rows.bytes() + this.#mirror.bytes() + this.#answers.bytes() +
      this.#device.traffic.bufferBytes;
  }

  store(changes: Changes, kept: Uint32Array, dropped: Uint32Array): Promise<void> {
    return attempt(() => {
      const { keys, queries } = changes;
      // All that can fail, for want of memory, comes before the first change.
      this.#rows.reserve(changes, kept);
      this.#mirror.reserve(this.#rows.queries.live.length);
      this.#drop(dropped);
      this.#answers.releaseKeys(keys.slots);
      for (let t = 0; t < keys.slots.length; t++) {
        if (kept[t] === NO_ROW) continue;
        this.#device.noteKept(keys.slots[t], kept[t]);
        this.#rows.keep(keys.slots[t], kept[t]);
      }
      this.#rows.storeKeys(keys);
      this.#answers.includeKeys(keys.slots);
      this.#rows.storeQueries(queries);
      this.#device.noteChanges(changes);
      this.#forgetStates(queries.slots);
    });
  }

  async forget(dropped: Uint32Array): Promise<void> {
    this.#drop(dropped);
    const lost = this.#answers.forget(this.#liveQueries());
    this.#forgetStates(lost);
    this.#device.lose(lost);
    await this.#device.settle();
  }

  async update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    this.#forgetStates(build);
    for (const { queries } of patch) this.#forgetStates(queries);
    await this.#device.update(build, patch);
    if (build.length === this.#rows.queries.liveCount) this.#answers.refit();
  }

  async read({ queries, since }: Cohort): Promise<Readout> {
    await this.#device.fetch(queries, since);
    const { heads } = this.#config.layout;
    const readout = emptyReadout(this.#config.layout, queries.length);
    for (let at = 0; at < queries.length; at++) {
      for (let head = 0; head < heads; head++) {
        this.#write(readout, at * heads + head, this.#answers.standing(queries[at], head, since));
      }
    }
    return readout;
  }

  async certify({ queries, since }: Cohort): Promise<Float64Array<ArrayBuffer>> {
    await this.#device.fetch(queries, since);
    const { heads } = this.#config.layout;
    this.#answers.openBounds(since);
    return Float64Array.from(queries, (slot) => {
      let squared = 0;
      for (let head = 0; head < heads; head++) squared += this.#answers.bound(slot, head, since) ** 2;
      return Math.sqrt(squared);
    });
  }

  async attend({ count, rows, positions }: PassingQueries): Promise<Readout> {
    const { layout: { heads }, layout } = this.#config;
    const width = queryColumns(layout);
    const readout = emptyReadout(this.#config.layout, count);
    await this.#device.attend({ count, rows, positions }, (query, at, mirror) => {
      for (let head = 0; head < heads; head++) {
        const row = { rows, offset: query * width, head, position: positions[query], biasColumn: 0 };
        this.#write(readout, query * heads + head, this.#answers.passing(row, mirror, at));
      }
    });
    return readout;
  }

  async weights(row: number, head: number, slotCount: number): Promise<Float32Array<ArrayBuffer>> {
    const { stored } = this.#rows, { work } = this.#kernels;
    const target = new Float32Array(slotCount);
    const isSteep = this.#answers.isSteep(row, head);
    const scores = isSteep ? null : await this.#device.scores(row, head);
    const largest = scores ? scores.reduce((most, score) => Math.max(most, score), -Infinity) : 0;
    if (!scores || (largest > -Infinity && Math.abs(largest) >= STEEP_SCORE)) {
      this.#answers.select(row, head);
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
    this.#answers.forgetMeasured();
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
    const { spread, reach } = this.#answers;
    return { layout: this.#config.layout, mirror: this.#mirror, spread, reach };
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

  /** The states of some queries change. */
  #forgetStates(slots: Uint32Array): void {
    this.#mirror.forget(slots);
    this.#answers.forgetStates(slots);
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
