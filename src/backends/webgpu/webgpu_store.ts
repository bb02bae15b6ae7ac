/**
 * The store of the backend `webgpu`: states in float32 on a graphics device, which WGSL kernels compute.
 * States that were read are decoded at the host, which does the last division in float64.
 *
 * Invariant between calls: a live query has a state on the device or is an orphan, whose device was lost.
 * Orphans are answered from their mirrored state, or computed from the rows.
 */

import type { SavedArrays } from "../../base/saved_array.ts";
import type { BackendConfig, Changes, Cohort, Costs, PassingQueries } from "../backend.ts";
import type { HostRows, RowSizes } from "../host/host_rows.ts";
import { isScaleInRange } from "../host/key_reach.ts";
import { RowStates } from "../host/row_states.ts";
import { type Float32Limits, type HeldRow, HOST_TIMES, StateStore } from "../host/state_store.ts";
import { NO_ROW } from "../since.ts";
import type { GpuDevice } from "./device.ts";
import { DeviceRows } from "./device_rows.ts";
import { LEAST_TOLERANCE } from "./row_rule.ts";
import { toRecordLayout } from "./record_layout.ts";
import { fitsDevice, restoreMirror, saveMirror } from "./saved_states.ts";
import { StateMirror } from "./state_mirror.ts";
import type { Traffic } from "./traffic.ts";
import { weightDoubt } from "./weight_doubt.ts";

/**
 * The multiply-adds on measuring errors for one question, at the host, which waits for the device much
 * longer.
 */
const MEASURED_WORK = 2 ** 20;
/**
 * The cost of exp is the number of its operations. The cost of a compensated addition is fitted to builds and
 * patches of 64 and 256 keys at m = 512, n = 2048, d = dv = 64 on a software device
 * (docs/internals/webgpu.md); it has not been measured on hardware.
 */
const COSTS: Costs = {
  exponential: 14,
  compensatedAdd: 2,
  rowsTogether: 1,
  times: {
    ...HOST_TIMES,
    look: 100_000,
    multiplyAdd: 0.002,
    updated: 0.1,
    answered: 0.5,
    noted: 100,
    begun: 530,
  },
};

/**
 * The kernels' exp reduces scores exactly up to 22,000 and only roughly beyond. Float32 from scratch would
 * subtract the largest score first, so such rows are computed at the host.
 */
const STEEP_SCORE = 20_000;
/**
 * Below this magnitude per key, numbers that a device flushes to 0 (below 2^−126 of a weight of 1) are no
 * longer less than a rounding.
 */
const FAINT = 2 ** -92;

/** A store of states on a graphics device. */
export class WebgpuStore extends StateStore {
  readonly name = "webgpu";
  readonly costs = COSTS;
  readonly limits: Float32Limits;
  readonly tolerance: number;
  readonly #config: BackendConfig;
  readonly #open: () => Promise<GpuDevice>;
  readonly #letGo: () => void;
  readonly #mirror: StateMirror;
  /** The state that `held` returned last. */
  readonly #held: RowStates;
  #rows!: HostRows;
  #device!: DeviceRows;

  /**
   * `open` opens the device, also after the last one was lost; `letGo` is called when the store no longer
   * needs it.
   */
  constructor(config: BackendConfig, open: () => Promise<GpuDevice>, letGo: () => void = () => {}) {
    const { layout, layout: { headDim, valueDim }, rule, tolerance } = config;
    super(valueDim + 2);
    this.#config = config;
    this.tolerance = Math.max(tolerance, LEAST_TOLERANCE);
    this.#open = open;
    this.#letGo = letGo;
    this.#mirror = new StateMirror(toRecordLayout(layout, 0));
    this.#held = new RowStates(valueDim + 2, 1);
    this.limits = {
      isInRange: isScaleInRange,
      isSteepShift: (shift) => Math.abs(shift) * Math.LN2 >= STEEP_SCORE,
      isSteepScore: (score) => Math.abs(score) >= STEEP_SCORE,
      faintMagnitude: FAINT,
      rounding: (row) => weightDoubt(row, rule, headDim),
      measuredWork: MEASURED_WORK,
      measuredShare: Infinity,
    };
  }

  override get deviceMs(): number | null {
    return this.#device.hasClock ? this.#device.traffic.busyMs : null;
  }

  /** Counts of requests to the device. */
  get traffic(): Readonly<Traffic> {
    return this.#device.traffic;
  }

  attach(rows: HostRows): void {
    this.#rows = rows;
    this.#device = new DeviceRows(this.#config, rows, this.#mirror, this.work, this.#open);
  }

  bytes(): number {
    return this.#rows.keyBytes() + this.#mirror.bytes() + this.#device.traffic.bufferBytes;
  }

  bytesOf({ queries }: RowSizes): number {
    return this.#mirror.bytesOf(queries);
  }

  reserve({ queries }: RowSizes): void {
    this.#mirror.reserve(queries);
  }

  change(changes: Changes, retained: Uint32Array, dropped: Uint32Array): void {
    const { slots } = changes.keys;
    this.#device.noteDropped(dropped);
    for (let t = 0; t < slots.length; t++) {
      if (retained[t] !== NO_ROW) this.#device.noteRetained(slots[t], retained[t]);
    }
    this.#device.noteChanges(changes);
    this.#mirror.forget(changes.queries.slots);
  }

  update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    this.#mirror.forget(build);
    for (const { queries } of patch) this.#mirror.forget(queries);
    return this.#device.update(build, patch);
  }

  override load({ queries, since }: Cohort): Promise<void> {
    return this.#device.readBack(queries, since);
  }

  held(slot: number, head: number): HeldRow | null {
    if (!this.#mirror.knows(slot)) return null;
    this.#mirror.decode(slot, head, this.#held);
    return { states: this.#held, row: 0 };
  }

  override async attend(
    queries: PassingQueries,
    take: (query: number, head: number, held: HeldRow) => void,
  ): Promise<boolean> {
    // Records of keys have biases of standing queries alone.
    if (queries.bias) return false;
    await this.#device.attend(queries, (query, at, states) => {
      for (let head = 0; head < this.#config.layout.heads; head++) {
        states.decode(at, head, this.#held);
        take(query, head, { states: this.#held, row: 0 });
      }
    });
    return true;
  }

  override async scores(slot: number, head: number): Promise<Float32Array> {
    const scores = await this.#device.scores(slot, head), { count } = this.#rows.stored;
    this.work.multiplyAdds += count * this.#config.layout.headDim;
    if (this.#config.rule.softcap > 0) this.work.exponentials += count;
    return scores;
  }

  override lose(queries: Uint32Array): void {
    this.#mirror.forget(queries);
    this.#device.lose(queries);
  }

  override async forget(): Promise<void> {
    this.#held.clear(0);
    await this.#device.settle();
  }

  async save(querySize: number): Promise<SavedArrays> {
    const { layout } = this.#config, gpu = await this.#device.gpu();
    return saveMirror(this.#mirror, layout, gpu, this.#rows.liveQueries(), querySize);
  }

  async restore(operation: string, saved: SavedArrays): Promise<boolean> {
    if (!fitsDevice(operation, saved, await this.#device.gpu())) return false;
    const missing = restoreMirror(operation, saved, this.#mirror, this.#config.layout, this.#rows);
    await this.#device.restore(this.#rows.liveQueries());
    if (missing.length > 0) await this.#device.update(missing, []);
    this.#mirror.forget(missing);
    return true;
  }

  override async dispose(): Promise<void> {
    await this.#device.dispose();
    this.#letGo();
  }
}
