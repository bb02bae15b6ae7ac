/**
 * The fast backend for a processor: states are kept by kernels in WebAssembly, in float32, on the thread of the caller
 * or, where that gains, on workers. What the kernels leave to others is done here in float64: heavy keys, certificates,
 * and steep rows.
 *
 * Invariant between calls: the states of a live query hold the keys of one moment and are trusted, unless the query was
 * stored and not brought up to date since; no row is active.
 */

import type {
  Backend,
  BackendConfig,
  Changes,
  Cohort,
  Costs,
  PassingQueries,
  Readout,
  RowChanges,
  RowSource,
  Work,
} from "../backend.ts";
import { attempt } from "../../base/attempt.ts";
import { emptyReadout } from "../host/empty_readout.ts";
import { GIVEN } from "../host/reason.ts";
import { NO_ROW, NOTHING } from "../since.ts";
import { keyHeadOf, queryColumns } from "../../numerics/head_layout.ts";
import { CapacityError } from "../../base/errors.ts";
import type { SavedArrays } from "../../base/saved_array.ts";
import { Certifier, NO_WEIGHT_ROUNDING, type WeightRounding } from "../host/certifier.ts";
import { RowStore } from "../host/row_store.ts";
import { ValueSpread } from "../host/value_spread.ts";
import { BLOCK_ROWS } from "./job_fields.ts";
import { KeyReach, STEEP_SCORE } from "../host/key_reach.ts";
import { KeyTable } from "./key_table.ts";
import { compileKernels, instantiateKernels, type Kernels, supportedBuild } from "./load_kernels.ts";
import { giveMemory, takeMemory } from "./memory_pool.ts";
import { Moment } from "./moment.ts";
import { PairScores } from "./pair_scores.ts";
import { Arena } from "./row_blocks.ts";
import { RowStates, toRowRule } from "./row_states.ts";
import { RowReader } from "./row_reader.ts";
import { RowTotals } from "./row_totals.ts";
import { RowUpdater } from "./row_updater.ts";
import { fitsMachine, restoreStates, saveStates } from "./saved_states.ts";
import { weightRounding } from "../host/weight_rounding.ts";
import { CREW, type Crew } from "./threads/crew.ts";
import { PieceRunner, type Sharing } from "./threads/piece_runner.ts";
import { type ThreadCount, threadsOf } from "./threads/thread_count.ts";

/** Fitted to what rebuilds and patches of 64 keys take at m = n = 4096, d = dv = 64 (docs/wasm.md). */
const COSTS: Costs = { exponential: 20, compensatedAdd: 1.15, rowsTogether: BLOCK_ROWS };
const NO_ROWS = new Uint32Array(0);

/** Passing queries that are computed together. */
const PASSING_ROWS = 64;

/** Attention over WebAssembly kernels. */
export class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly deviceMs = null;
  readonly reason: string;
  readonly costs = COSTS;
  readonly keys: RowSource;
  readonly queries: RowSource;
  readonly kept: RowSource;
  readonly #config: BackendConfig;
  readonly #arena: Arena;
  readonly #work: Work = { multiplyAdds: 0, exponentials: 0, rowsBuilt: 0, rowsPatched: 0, refreshes: 0 };
  readonly #stored: KeyTable;
  readonly #kept: KeyTable;
  readonly #queryRows: RowStore;
  readonly #states: RowStates;
  readonly #passing: RowStates;
  readonly #runner: PieceRunner;
  readonly #updater: RowUpdater;
  readonly #reader: RowReader;
  readonly #spread: ValueSpread;
  readonly #reach: KeyReach;
  readonly #scores: PairScores;
  readonly #totals: RowTotals;
  readonly #certifier: Certifier<KeyTable>;
  readonly #isFused: boolean;
  /** Head rows whose totals were taken from their keys when they were last certified. */
  readonly #exactRows = new Set<number>();
  /** By head, a norm that no query's is above. */
  readonly #largestNorms: Float64Array;
  /** Whether a query is gone that set one of them. */
  #areNormsOutdated = false;
  #isDisposed = false;

  constructor(config: BackendConfig, kernels: Kernels, memory: WebAssembly.Memory, sharing: Sharing) {
    const { layout, rule, maskHeads, tolerance } = config;
    const arena = this.#arena = new Arena(memory, kernels.heapBase());
    const work = this.#work;
    this.#isFused = kernels.isFused() === 1;
    const rowRule = toRowRule(layout, rule, tolerance);
    this.#config = config;
    this.reason = config.reason ?? GIVEN;
    this.#stored = new KeyTable(arena, layout, maskHeads);
    this.#kept = new KeyTable(arena, layout, maskHeads);
    this.#queryRows = new RowStore(queryColumns(layout));
    this.#largestNorms = new Float64Array(layout.heads);
    this.#states = new RowStates(arena, layout, rowRule);
    this.#passing = new RowStates(arena, layout, rowRule);
    this.#runner = new PieceRunner(kernels, arena, sharing);
    this.#updater = new RowUpdater(kernels, this.#runner, arena, config, work);
    this.#reader = new RowReader(kernels, arena, layout);
    this.#spread = new ValueSpread(layout, this.#stored.columns);
    this.#reach = new KeyReach(layout, rule.scale);
    const scores = this.#scores = new PairScores(arena, layout, rule, maskHeads, work);
    this.#totals = new RowTotals(arena, layout, scores, work);
    this.keys = this.#stored;
    this.kept = this.#kept;
    this.queries = this.#queryRows;
    const tables = { stored: this.#stored, kept: this.#kept };
    this.#certifier = new Certifier({
      ...tables,
      tables: () => tables,
      layout,
      softcap: rule.softcap,
      pairs: scores,
      spread: this.#spread,
    });
  }

  get work(): Readonly<Work> {
    return this.#work;
  }

  get threads(): number {
    return this.#runner.threads;
  }

  bytes(): number {
    return this.#arena.bytes + this.#stored.bytes() + this.#kept.bytes() + this.#queryRows.bytes() +
      this.#certifier.bytes;
  }

  store({ keys, queries }: Changes, kept: Uint32Array, dropped: Uint32Array): Promise<void> {
    return attempt(() => {
      // All that can fail, for want of memory, comes before the first change.
      this.#reserve(keys, queries, kept);
      for (const number of dropped) this.#kept.wipe(number);
      const before = this.#stored.valueRows();
      keys.slots.forEach((slot, t) => {
        if (kept[t] !== NO_ROW) this.#kept.copyFrom(this.#stored, slot, kept[t]);
        this.#spread.release(before, slot);
        this.#reach.release(this.#stored, slot);
      });
      this.#stored.store(keys);
      const rows = this.#stored.valueRows();
      for (const slot of keys.slots) {
        this.#spread.include(rows, slot);
        this.#reach.include(this.#stored, slot);
      }
      this.#certifier.changeKeys(keys.slots);
      this.#storeQueries(queries);
    });
  }

  forget(dropped: Uint32Array): Promise<void> {
    return attempt(() => {
      for (const number of dropped) this.#kept.wipe(number);
      this.#spread.forget(this.#stored.valueRows());
      this.#reach.forget(this.#stored);
      this.#certifier.forget();
      this.#scores.forgetQuery();
      this.#reader.forget();
      this.#updater.forget();
      this.#states.wipeScratch();
      this.#passing.wipeScratch();
      if (this.#areNormsOutdated) this.#measureNorms();
    });
  }

  async update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    const { heads } = this.#config.layout;
    for (const { queries, since } of patch) {
      const moment = this.#momentOf(since);
      this.#forgetMeasured(queries);
      for (let head = 0; head < heads; head++) {
        await this.#updater.patch(this.#states, head, queries, moment);
      }
    }
    this.#forgetMeasured(build);
    for (let head = 0; head < heads; head++) {
      await this.#updater.build(this.#states, head, build, this.#stored);
    }
    if (build.length !== this.#queryRows.liveCount) return;
    this.#spread.refit(this.#stored.valueRows());
    this.#reach.refit(this.#stored);
  }

  read({ queries, since }: Cohort): Promise<Readout> {
    return attempt(() => {
      const { layout: { heads }, layout } = this.#config;
      const readout = emptyReadout(this.#config.layout, queries.length);
      const isSteep = this.#reader.read(this.#states, queries, readout);
      const moment = this.#momentOf(since);
      for (let head = 0; head < heads; head++) {
        const mayBeSteep = isSteep || this.#reach.isSteep(this.#largestNorms[head], keyHeadOf(layout, head));
        if (!mayBeSteep && !this.#states.hasHeavyKeys(head)) continue;
        for (let at = 0; at < queries.length; at++) {
          if (!mayBeSteep && this.#states.heavyKeys(head, queries[at]).length === 0) continue;
          this.#takeStanding(queries[at], head, moment);
          this.#write(readout, at * heads + head);
        }
      }
      return readout;
    });
  }

  certify({ queries, since }: Cohort): Promise<Float64Array<ArrayBuffer>> {
    return attempt(() => {
      const { heads } = this.#config.layout;
      const moment = this.#momentOf(since);
      this.#certifier.open(since);
      return Float64Array.from(queries, (slot) => {
        let squared = 0;
        for (let head = 0; head < heads; head++) {
          const norm = this.#takeStanding(slot, head, moment);
          this.#noteExactness(slot * heads + head);
          const rounding = this.#roundingOf(norm, head, moment);
          squared += this.#certifier.bound(this.#totals, slot * heads + head, head, rounding) ** 2;
        }
        return Math.sqrt(squared);
      });
    });
  }

  async attend({ count, rows, positions }: PassingQueries): Promise<Readout> {
    const { layout: { heads }, layout } = this.#config;
    const width = queryColumns(layout);
    const moment = this.#momentOf(NOTHING);
    const readout = emptyReadout(this.#config.layout, count);
    this.#passing.reserve(Math.min(count, PASSING_ROWS));
    for (let first = 0; first < count; first += PASSING_ROWS) {
      const slots = Uint32Array.from({ length: Math.min(PASSING_ROWS, count - first) }, (_, at) => at);
      for (const at of slots) {
        this.#passing.setQuery(at, rows, (first + at) * width, positions[first + at]);
      }
      for (let head = 0; head < heads; head++) {
        await this.#updater.build(this.#passing, head, slots, this.#stored);
        for (const at of slots) {
          const query = first + at;
          this.#scores.select(rows, query * width, head, positions[query], 0);
          this.#take(this.#passing, at, head, moment, this.#normOf(rows, query * width, head));
          this.#write(readout, query * heads + head);
        }
      }
      for (const at of slots) this.#passing.wipe(at);
    }
    return readout;
  }

  weights(row: number, head: number, slotCount: number): Promise<Float32Array<ArrayBuffer>> {
    return attempt(() => {
      const target = new Float32Array(slotCount);
      const norm = this.#select(row, head);
      const isSteep = this.#reach.isSteep(norm, keyHeadOf(this.#config.layout, head));
      let scores = isSteep ? null : this.#updater.scores(this.#states, head, row, this.#stored);
      if (!scores || Math.abs(largestOf(scores)) >= STEEP_SCORE) {
        scores = this.#totals.scoresOf(this.#momentOf(NOTHING));
      }
      this.#updater.writeWeights(scores, largestOf(scores), target);
      this.#work.rowsBuilt++;
      return target;
    });
  }

  bias(keySize: number, querySize: number): Float32Array | null {
    return this.#stored.saveBias(keySize, querySize);
  }

  save(querySize: number): Promise<SavedArrays> {
    return attempt(() => saveStates(this.#savedParts(), querySize));
  }

  async restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void> {
    await this.store(rows, new Uint32Array(rows.keys.slots.length).fill(NO_ROW), NO_ROWS);
    const isRestorable = states && fitsMachine(operation, states, this.#savedParts());
    if (!isRestorable) {
      return await this.update(rows.queries.slots.filter((_, t) => rows.queries.live[t] === 1), []);
    }
    restoreStates(operation, states, this.#savedParts(), this.#stored, this.#queryRows.size);
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (await this.#runner.dispose()) giveMemory(this.#arena.memory);
  }

  #savedParts() {
    const { layout } = this.#config;
    return {
      layout,
      states: this.#states,
      spread: this.#spread,
      reach: this.#reach,
      isFused: this.#isFused,
    };
  }

  #momentOf(since: Cohort["since"]): Moment {
    return new Moment(this.#stored, this.#kept, since);
  }

  #reserve(keys: RowChanges, queries: RowChanges, kept: Uint32Array): void {
    const keyEnd = Math.max(this.#stored.size, endOf(keys.slots));
    const keptEnd = Math.max(this.#kept.size, endOf(kept));
    const [biasKeys, querySize] = this.#sizesOf(keys, queries, keyEnd);
    const capacity = this.#states.capacityFor(querySize);
    const bytes = this.#stored.bytesOf(keyEnd, biasKeys, capacity) +
      this.#kept.bytesOf(keptEnd, keptEnd, capacity) + this.#states.bytesOf(capacity) +
      this.#queryRows.bytesOf(querySize);
    CapacityError.guard("wasm", `${keyEnd} keys and ${querySize} queries`, bytes, () => {
      this.#stored.reserve(keyEnd, biasKeys, capacity);
      this.#kept.reserve(keptEnd, keptEnd, capacity);
      this.#queryRows.reserve(querySize);
      this.#states.reserve(querySize);
      this.#updater.reserve(keyEnd);
    });
  }

  /** How many key and query slots there must be room for, those that only a bias mentions included. */
  #sizesOf(keys: RowChanges, queries: RowChanges, keyEnd: number): [number, number] {
    const { maskHeads } = this.#config;
    const mentioned = ({ slots, bias }: RowChanges) =>
      bias && slots.length > 0 ? bias.length / slots.length / maskHeads : 0;
    const queryEnd = Math.max(this.#queryRows.size, endOf(queries.slots));
    return [Math.max(keyEnd, mentioned(queries)), Math.max(queryEnd, mentioned(keys))];
  }

  #storeQueries(queries: RowChanges): void {
    const { slots, live, rows, positions } = queries;
    const { width } = this.#queryRows;
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t];
      this.#releaseNorms(slot);
      this.#queryRows.mark(slot, live[t], positions[t]);
      if (live[t] === 1) {
        this.#queryRows.rows.set(rows.subarray(t * width, (t + 1) * width), slot * width);
        this.#states.setQuery(slot, rows, t * width, positions[t]);
        this.#holdNorms(rows, t * width);
      } else {
        this.#queryRows.wipe(slot);
        this.#states.wipe(slot);
      }
    }
    this.#stored.storeQueryBias(queries);
    this.#forgetMeasured(slots);
  }

  /** What was measured for certificates of some queries holds no longer, since their states change. */
  #forgetMeasured(queries: Uint32Array): void {
    const { heads } = this.#config.layout;
    for (const slot of queries) {
      for (let row = slot * heads; row < (slot + 1) * heads; row++) this.#certifier.changeRow(row);
    }
  }

  /** Measures are shares of a row's mass, which is another number once the row is answered from its keys. */
  #noteExactness(row: number): void {
    if (this.#exactRows.has(row) === this.#totals.isExact) return;
    this.#certifier.changeRow(row);
    if (this.#totals.isExact) this.#exactRows.add(row);
    else this.#exactRows.delete(row);
  }

  /** What computing the weights of the row at hand may have done to it. */
  #roundingOf(queryNorm: number, head: number, { stored, since }: Moment): WeightRounding {
    if (this.#totals.isExact) return NO_WEIGHT_ROUNDING;
    const { layout, layout: { headDim }, rule, maskHeads } = this.#config;
    const row = {
      logSumExp: this.#totals.logSumExp(),
      largestProduct: this.#reach.largestScore(queryNorm, keyHeadOf(layout, head)),
      keyCount: stored.count + since.slots.length,
    };
    return weightRounding(row, rule, headDim, maskHeads > 0);
  }

  /** Takes one head of a standing query; returns its norm. */
  #select(slot: number, head: number): number {
    const { rows, width, positions } = this.#queryRows;
    this.#scores.select(rows, slot * width, head, positions[slot], slot);
    return this.#normOf(rows, slot * width, head);
  }

  /** Takes the totals of one head of a standing query; returns its norm. */
  #takeStanding(slot: number, head: number, moment: Moment): number {
    const norm = this.#select(slot, head);
    this.#take(this.#states, slot, head, moment, norm);
    return norm;
  }

  #take(states: RowStates, row: number, head: number, moment: Moment, queryNorm: number): void {
    const totals = this.#totals;
    if (!this.#reach.isSteep(queryNorm, keyHeadOf(this.#config.layout, head))) {
      totals.take(states.heads[head], row, states.heavyKeys(head, row), moment, head);
      if (!totals.isSteep) return;
    }
    totals.takeSteep(moment, head);
  }

  /** Notes that a query, if it is live, is about to be replaced or deleted. */
  #releaseNorms(slot: number): void {
    const { rows, width } = this.#queryRows;
    if (this.#areNormsOutdated || !this.#queryRows.isLive(slot)) return;
    for (let head = 0; head < this.#largestNorms.length; head++) {
      if (this.#normOf(rows, slot * width, head) >= this.#largestNorms[head]) this.#areNormsOutdated = true;
    }
  }

  #measureNorms(): void {
    const { rows, width, size } = this.#queryRows;
    this.#areNormsOutdated = false;
    this.#largestNorms.fill(0);
    for (let slot = 0; slot < size; slot++) {
      if (this.#queryRows.isLive(slot)) this.#holdNorms(rows, slot * width);
    }
  }

  #holdNorms(rows: Float32Array, offset: number): void {
    const norms = this.#largestNorms;
    for (let head = 0; head < norms.length; head++) {
      norms[head] = Math.max(norms[head], this.#normOf(rows, offset, head));
    }
  }

  #normOf(rows: Float32Array, offset: number, head: number): number {
    const { headDim } = this.#config.layout;
    const start = offset + head * headDim;
    let squared = 0;
    for (let c = start; c < start + headDim; c++) squared += rows[c] * rows[c];
    return Math.sqrt(squared);
  }

  #write({ output, logSumExp }: Readout, at: number): void {
    this.#totals.writeOutput(output, at * this.#config.layout.valueDim);
    logSumExp[at] = this.#totals.logSumExp();
  }
}

let compiled: Promise<WebAssembly.Module> | null = null;

/** Makes an empty backend with the best of the two builds; null where neither runs. */
export async function createWasmBackend(
  config: BackendConfig,
  threads: ThreadCount = "auto",
  crew: Crew = CREW,
): Promise<WasmBackend | null> {
  const build = supportedBuild();
  if (!build) return null;
  compiled ??= compileKernels(build);
  const module = await compiled;
  const memory = takeMemory();
  const kernels = await instantiateKernels(module, memory);
  return new WasmBackend(config, kernels, memory, { crew, module, threads: threadsOf(threads) });
}

function largestOf(scores: Float64Array): number {
  let largest = -Infinity;
  for (const score of scores) largest = Math.max(largest, score);
  return largest;
}

/** One more than the largest number but for `NO_ROW`. */
function endOf(numbers: Uint32Array): number {
  let end = 0;
  for (const number of numbers) if (number !== NO_ROW) end = Math.max(end, number + 1);
  return end;
}
