/**
 * The store of the backend `wasm`: states in float32, which WebAssembly kernels compute on the caller's
 * thread or, if that is faster, on workers.
 *
 * Invariant: only calls that name their rows compute any; which ones stay active in between has no meaning.
 */

import type { SavedArrays } from "../../base/saved_array.ts";
import { attempt } from "../../base/attempt.ts";
import { queryColumns } from "../../numerics/head_layout.ts";
import { isPlainRule } from "../../numerics/score_rule.ts";
import type {
  AttentionOutput,
  BackendConfig,
  Changes,
  Cohort,
  Costs,
  PassingBias,
  PassingQueries,
} from "../backend.ts";
import type { HostRows, RowSizes } from "../host/host_rows.ts";
import { isScaleInRange, STEEP_SCORE } from "../host/key_reach.ts";
import type { NumberTable } from "../host/number_table.ts";
import { RowStates as HeldStates } from "../host/row_states.ts";
import {
  type AnswerPart,
  type Float32Limits,
  type HeldRow,
  HOST_TIMES,
  type RowsInBlocks,
  StateStore,
} from "../host/state_store.ts";
import { weightRounding } from "../host/weight_rounding.ts";
import { Arena } from "./arena.ts";
import { WasmCertificates } from "./certificates.ts";
import { BLOCK_ROWS } from "./job_fields.ts";
import type { Kernels } from "./load_kernels.ts";
import { giveMemory } from "./memory_pool.ts";
import { MemoryNumbers, MemoryTable } from "./memory_table.ts";
import { RowReader } from "./row_reader.ts";
import { columnsOf, toRowRule } from "./row_rule.ts";
import { tileSizes } from "./row_tile.ts";
import { RowStates } from "./row_states.ts";
import { RowUpdater } from "./row_updater.ts";
import type { PassingTable } from "./term_list.ts";
import { restoreStates, saveStates } from "./saved_states.ts";
import { PieceRunner, type Sharing } from "./threads/piece_runner.ts";

/**
 * Costs fitted to the times of rebuilds and patches of 64 keys at m = n = 4096, d = dv = 64
 * (docs/internals/wasm.md).
 */
const COSTS: Costs = {
  exponential: 20,
  compensatedAdd: 1.15,
  rowsTogether: BLOCK_ROWS,
  times: {
    ...HOST_TIMES,
    certified: 12,
    taken: 50,
    pair: 14,
    pairFirst: 0.42,
    pairAgain: 0.04,
    common: 3_300,
    look: 8_000,
    multiplyAdd: 0.055,
    updated: 0.4,
    answered: 0.83,
    copy: 15,
    step: 7,
    noted: 20,
    begun: 670,
  },
};
/**
 * The multiply-adds on measuring errors for one question, at the host: a fraction of a millisecond; and for each
 * number of an answer, a twentieth of its time.
 */
const MEASURED_WORK = 2 ** 18, MEASURED_SHARE = 1 / 32;
/** The number of passing queries that are computed together. */
const PASSING_ROWS = 64;

/** States in the memory of WebAssembly kernels. */
export class WasmStore extends StateStore {
  readonly name = "wasm";
  readonly costs = COSTS;
  readonly limits: Float32Limits;
  readonly tolerance: number;
  override readonly multipliesShares = true;
  override readonly certificates: WasmCertificates | null = null;
  readonly #config: BackendConfig;
  readonly #arena: Arena;
  readonly #states: RowStates;
  readonly #passing: RowStates;
  /** Biases of passing queries. */
  readonly #passingBias: MemoryTable;
  readonly #runner: PieceRunner;
  readonly #updater: RowUpdater;
  readonly #reader: RowReader;
  /** The state that `held` returned last. */
  readonly #held: HeldStates;
  readonly #isFused: boolean;
  #rows!: HostRows;

  constructor(config: BackendConfig, kernels: Kernels, memory: WebAssembly.Memory, sharing: Sharing) {
    const { layout, layout: { headDim, valueDim }, rule, maskHeads, tolerance } = config;
    super(columnsOf(valueDim));
    this.#config = config;
    const arena = this.#arena = new Arena(memory, kernels.heapBase());
    const packed = tileSizes(layout);
    const rowRule = { ...toRowRule(layout, rule, tolerance), ...(packed ? { packed } : {}) };
    this.tolerance = rowRule.tolerance;
    this.#isFused = kernels.isFused() === 1;
    this.#states = new RowStates(arena, layout, rowRule);
    this.#passing = new RowStates(arena, layout, rowRule);
    this.#passingBias = new MemoryTable(arena);
    this.#runner = new PieceRunner(kernels, arena, sharing, packed?.bytes);
    this.#updater = new RowUpdater(kernels, this.#runner, arena, config, this.work);
    this.#reader = new RowReader(kernels, arena, layout, rule);
    this.certificates = isPlainRule(rule)
      ? new WasmCertificates(kernels, arena, this.#states, config, this.work)
      : null;
    this.#held = new HeldStates(valueDim + 2, 1);
    this.limits = {
      isInRange: isScaleInRange,
      isSteepShift: (shift) => Math.abs(shift) >= STEEP_SCORE,
      isSteepScore: (score) => Math.abs(score) >= STEEP_SCORE,
      faintMagnitude: 0,
      rounding: (row) => weightRounding(row, rule, headDim, maskHeads),
      measuredWork: MEASURED_WORK,
      measuredShare: MEASURED_SHARE,
    };
  }

  override get threads(): number {
    return this.#runner.threads;
  }

  override makeTable(): NumberTable {
    return new MemoryNumbers(this.#arena);
  }

  attach(rows: HostRows): void {
    this.#rows = rows;
    this.certificates?.attach(rows);
  }

  bytes(): number {
    return this.#arena.bytes + this.#updater.bytes;
  }

  bytesOf({ queryCapacity }: RowSizes): number {
    return this.#states.bytesOf(queryCapacity);
  }

  reserve({ keys, queryCapacity }: RowSizes): void {
    this.#states.reserve(queryCapacity);
    this.#updater.reserve(keys);
  }

  change({ queries: { slots, live, rows, positions } }: Changes): void {
    const width = queryColumns(this.#config.layout);
    this.#updater.noteStored();
    for (let t = 0; t < slots.length; t++) {
      if (live[t] === 1) this.#states.setQuery(slots[t], rows, t * width, positions[t]);
      else this.#states.wipe(slots[t]);
    }
  }

  update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> | null {
    const parts = (patch.length + 1) * this.#config.layout.heads;
    for (let part = 0; part < parts; part++) {
      const running = this.#updatePart(part, build, patch);
      if (running) return this.#updateRest(running, part + 1, build, patch);
    }
    return null;
  }

  override readsAlong({ queries, since }: Cohort): boolean {
    return this.#config.layout.heads === 1 && !this.#states.hasHeavyKeys(0) &&
      this.#updater.staysHere(queries.length, since.slots.length);
  }

  override updateAndRead(cohort: Cohort, attention: AttentionOutput): boolean | Promise<boolean> {
    return this.#updater.patchAndRead(this.#states, cohort, this.#rows, this.#reader, attention);
  }

  /** One head of a cohort, or of what is built after them. */
  #updatePart(part: number, build: Uint32Array, patch: readonly Cohort[]): Promise<void> | null {
    const { heads } = this.#config.layout, head = part % heads, cohort = patch[Math.floor(part / heads)];
    if (cohort === undefined) return this.#updater.build(this.#states, head, build, this.#rows);
    return this.#updater.patch(this.#states, head, cohort, this.#rows);
  }

  async #updateRest(
    running: Promise<void>,
    next: number,
    build: Uint32Array,
    patch: readonly Cohort[],
  ): Promise<void> {
    await running;
    const parts = (patch.length + 1) * this.#config.layout.heads;
    for (let part = next; part < parts; part++) await this.#updatePart(part, build, patch);
  }

  override read({ queries }: Cohort, attention: AttentionOutput): AnswerPart[] {
    return this.#reader.read(this.#states, queries, attention);
  }

  held(slot: number, head: number): HeldRow {
    this.#states.copyTo(this.#held, slot, head);
    return { states: this.#held, row: 0 };
  }

  override async attend(
    { count, rows, positions, bias }: PassingQueries,
    take: (query: number, head: number, held: HeldRow) => void,
  ): Promise<boolean> {
    const { layout: { heads }, layout } = this.#config;
    const width = queryColumns(layout);
    this.#passing.reserve(Math.min(count, PASSING_ROWS));
    for (let first = 0; first < count; first += PASSING_ROWS) {
      const slots = Uint32Array.from({ length: Math.min(PASSING_ROWS, count - first) }, (_, at) => at);
      for (const at of slots) {
        this.#passing.setQuery(at, rows, (first + at) * width, positions[first + at]);
      }
      const table = bias && this.#placeBias(bias, first, slots.length);
      for (let head = 0; head < heads; head++) {
        await this.#updater.build(this.#passing, head, slots, this.#rows, table);
        for (const at of slots) {
          this.#passing.copyTo(this.#held, at, head);
          take(first + at, head, { states: this.#held, row: 0 });
        }
      }
      for (const at of slots) this.#passing.wipe(at);
      if (bias) this.#passingBias.wipe(4 * bias.keySize * bias.heads * PASSING_ROWS);
    }
    return true;
  }

  /**
   * Writes the biases of some passing queries as kernels read them, those of neighbouring rows side by side.
   */
  #placeBias({ heads, keySize, numbers }: PassingBias, first: number, count: number): PassingTable {
    this.#passingBias.reserve(4 * keySize * heads * PASSING_ROWS);
    const { address } = this.#passingBias;
    const table = this.#arena.floats(address, keySize * heads * PASSING_ROWS);
    for (let at = 0; at < count; at++) {
      const from = (first + at) * keySize * heads;
      for (let pair = 0; pair < keySize * heads; pair++) {
        table[pair * PASSING_ROWS + at] = numbers[from + pair];
      }
    }
    const headBytes = 4 * PASSING_ROWS;
    return { address, keyBytes: heads * headBytes, headBytes: heads > 1 ? headBytes : 0 };
  }

  override scores(slot: number, head: number): Promise<Float64Array> {
    return attempt(() => this.#updater.scores(this.#states, head, slot, this.#rows));
  }

  override blockLogs(
    head: number,
    blocks: RowsInBlocks,
    keys: Uint32Array,
    take: (from: number, count: number, logs: Float64Array) => void,
  ): boolean {
    this.#updater.blockLogs(this.#states, head, blocks, keys, this.#rows, take);
    return true;
  }

  override forget(): Promise<void> {
    return attempt(() => {
      this.#reader.forget();
      this.#updater.forget();
      this.#states.wipeScratch();
      this.#passing.wipeScratch();
      this.#held.clear(0);
    });
  }

  save(querySize: number): Promise<SavedArrays> {
    return attempt(() => saveStates(this.#states, this.#config.layout, querySize, this.#isFused));
  }

  restore(operation: string, saved: SavedArrays): Promise<boolean> {
    return attempt(() =>
      restoreStates(operation, saved, this.#states, this.#config.layout, this.#rows, this.#isFused)
    );
  }

  override async dispose(): Promise<void> {
    if (await this.#runner.dispose()) giveMemory(this.#arena.memory);
  }
}
