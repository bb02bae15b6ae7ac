/**
 * The way of an edit from the log to the rows that know of it, and of a read back.
 *
 * What waits is stored when something is asked, which costs no arithmetic. The states of rows then lag: a row is
 * brought up to date when it is asked for, by what has changed since its own moment or from scratch, whichever is
 * cheaper. So rows that nobody reads cost nothing.
 *
 * What the backend is asked runs in the order in which it was asked, and what is written is sealed at the call. So a
 * read sees exactly the edits made before the call, however many follow before it runs. When the backend fails, what
 * was not stored is put back, rows that it may have spoilt are computed anew when next asked for, and what was queued
 * behind rejects with the same error.
 */

import type { Backend, Cohort, PassingQueries, Readout } from "../backends/backend.ts";
import { keyColumns, valueColumns } from "../core/head_layout.ts";
import { CohortAnswers } from "./cohort_answers.ts";
import { ErrorBalance } from "./error_balance.ts";
import { KeyHistory } from "./key_history.ts";
import { type Layer, type LayerConfig, LayerStack, type SealedLayer } from "./layers.ts";
import { type FlushPolicy, Planner, type Sizes } from "./planner.ts";
import type { PendingEdits, Threshold } from "./threshold.ts";
import { TurnQueue } from "./turn_queue.ts";

/** What the pipeline needs to know of its engine. */
export interface PipelineConfig extends LayerConfig {
  readonly backend: Backend;
  readonly policy: FlushPolicy;
  readonly threshold: Threshold;
}

/** A stale answer and how stale it is. */
export interface StaleReadout extends Readout {
  /** For each row, how far it can be from exact. */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** Changed key slots that the row that has missed the most does not know of. */
  readonly pending: number;
  /** The epoch that the oldest row is from. */
  readonly epoch: number;
}

/** What has happened so far. */
export interface PipelineCounts {
  /** Edits accepted. */
  written: number;
  /** Edits up to this one are in every answer. */
  applied: number;
  /** Changed slots stored. */
  changesStored: number;
  /** Times that every row was computed from scratch. */
  rebuilds: number;
  /** Milliseconds spent bringing rows up to date. */
  applyMs: number;
  /** Milliseconds spent reading. */
  readMs: number;
}

/** Threshold, plans and counts over the layers, the history and the queue of one engine. */
export class EditPipeline {
  readonly counts: PipelineCounts = {
    written: 0,
    applied: 0,
    changesStored: 0,
    rebuilds: 0,
    applyMs: 0,
    readMs: 0,
  };
  readonly #config: PipelineConfig;
  readonly #backend: Backend;
  readonly #planner: Planner;
  readonly #layers: LayerStack;
  readonly #history: KeyHistory;
  readonly #queue: TurnQueue;
  readonly #balance = new ErrorBalance();
  /** No answer, not even a stale one, is older than this version. */
  #floor = 0;
  #lastStored: SealedLayer | null = null;
  /** What is being answered, for errors. */
  #operation = "";
  /** Changed keys stored since the last peek. */
  #changesSincePeek = 0;
  #flushingByItself = false;
  /** Since when something has waited; null when nothing does. */
  #waitingSince: number | null = null;

  constructor(config: PipelineConfig) {
    const { backend, layout, mask } = config;
    this.#config = config;
    this.#backend = backend;
    this.#planner = new Planner(config.policy, backend.costs);
    this.#layers = new LayerStack(config, backend);
    const width = keyColumns(layout) + valueColumns(layout);
    // What a mask function says of a row can differ from what it said of an equal one before.
    this.#history = new KeyHistory(backend, width, mask?.isFunction !== true);
    this.#history.reach(this.#storedQueries());
    this.#queue = new TurnQueue(backend.name);
  }

  /** The newest rows, and where single edits are written; tell `noteEdits` afterwards. */
  get newest(): Layer {
    return this.#layers.top;
  }

  /** Changed slots that are not known to every row yet. */
  get pending(): number {
    return this.#layers.pending;
  }

  /** Changed slots that are not stored yet. */
  get unstored(): number {
    return this.#layers.unstored;
  }

  /** Batches stored. */
  get epoch(): number {
    return this.#history.version;
  }

  /** Rows of queries that do not know all stored keys. */
  get behind(): number {
    return this.#storedQueries().length - this.#history.currentCount;
  }

  /** Replaced rows of keys that are kept for rows that hold them still. */
  get kept(): number {
    return this.#history.keptCount;
  }

  /** Runs edits on a layer of their own, which reaches the newest one only if none of them throws. */
  atomically<T>(edits: (layer: Layer) => T): T {
    return this.#layers.atomically(edits);
  }

  /** Counts edits that were written, and flushes when the threshold says so. */
  noteEdits(count: number): void {
    this.counts.written += count;
    this.#flushAtThreshold();
  }

  /** Brings every row up to date; "rebuild" computes all of them from scratch, whatever waits. */
  flush(operation: string, plan?: "rebuild"): Promise<void> {
    return this.#answer(() => this.#flush(operation, plan === "rebuild"));
  }

  /** Exact attention of standing queries. */
  read(operation: string, rows: Uint32Array): Promise<Readout> {
    return this.#ask(operation, rows, async () => {
      await this.#bringUp(rows);
      return await this.#timedRead(() => this.#readAsOf(rows));
    });
  }

  /** Exact attention of passing queries. */
  attend(operation: string, queries: PassingQueries): Promise<Readout> {
    return this.#ask(operation, NO_ROWS, () => this.#timedRead(() => this.#backend.attend(queries)));
  }

  /** Exact weights of one head of a standing query. */
  weights(operation: string, row: number, head: number): Promise<Float32Array<ArrayBuffer>> {
    const slotCount = this.#config.keySlots.size;
    const ask = () => this.#timedRead(() => this.#backend.weights(row, head, slotCount));
    return this.#ask(operation, Uint32Array.of(row), ask);
  }

  /** Attention as of some earlier moment, of rows that are brought up to date only when they are off by too much. */
  peek(operation: string, rows: Uint32Array, certified: boolean): Promise<StaleReadout> {
    const answer = async () => {
      await this.#bringUp(rows.filter((row) => this.#history.versionOf(row) < this.#floor));
      const { error } = this.#config.threshold;
      const bounds = certified || error < Infinity
        ? await this.#boundsWithin(rows, error)
        : new Float64Array(rows.length).fill(Infinity);
      const { cohorts } = this.#history.standing(rows);
      const readout = await this.#timedRead(() => this.#readAsOf(rows));
      const pending = cohorts.reduce((most, { since }) => Math.max(most, since.slots.length), 0);
      const epoch = cohorts.reduce((least, { version }) => Math.min(least, version), this.epoch);
      return { ...readout, bounds, pending, epoch };
    };
    return this.#answer(() => {
      this.#flushAtThreshold();
      return this.#inTurn(operation, this.#layers.seal(this.counts.written, rows), answer);
    });
  }

  /** Asks when every row is up to date and nothing that is edited later is stored yet. */
  whenCurrent<T>(operation: string, ask: () => Promise<T>): Promise<T> {
    return this.#answer(() => {
      // Its failure reaches what is queued behind it.
      this.#flush(operation, false).catch(ignore);
      return this.#queue.enqueue(operation, () => {
        this.#balance.reset();
        this.#changesSincePeek = 0;
        return ask();
      });
    });
  }

  /** Waits for what was asked before, then gives the backend back. */
  async dispose(): Promise<void> {
    await this.#queue.idle();
    await this.#backend.dispose();
  }

  /** Asks the backend when all that is written now is stored, of the queries those of `rows`. */
  #ask<T>(operation: string, rows: Uint32Array, ask: () => Promise<T>): Promise<T> {
    return this.#answer(() => this.#inTurn(operation, this.#layers.seal(this.counts.written, rows), ask));
  }

  /** What a caller waits for. The mask has been asked about all that the answer knows when the call returns. */
  #answer<T>(ask: () => Promise<T>): Promise<T> {
    return this.#queue.tell(() => {
      const answer = ask();
      this.#layers.askMask();
      return answer;
    });
  }

  #flush(operation: string, fromScratch: boolean): Promise<void> {
    const { written } = this.counts;
    const layer = this.#sealAll();
    return this.#inTurn(operation, layer, async () => {
      const queries = this.#storedQueries();
      if (fromScratch) await this.#build(queries);
      else await this.#bringUp(queries);
      this.counts.applied = written;
    });
  }

  /** From now on no answer is older than this call. */
  #raiseFloor(operation: string): Promise<void> {
    const { written } = this.counts;
    const layer = this.#sealAll();
    return this.#inTurn(operation, layer, () => {
      this.#settle();
      this.counts.applied = written;
      return Promise.resolve();
    });
  }

  /** Seals all that is written, for a turn after which no answer lacks it. */
  #sealAll(): SealedLayer | null {
    const layer = this.#layers.seal(this.counts.written);
    this.#layers.settle();
    this.#waitingSince = null;
    return layer;
  }

  /** Stores a layer and runs what follows, in their turn. */
  #inTurn<T>(operation: string, layer: SealedLayer | null, run: () => Promise<T>): Promise<T> {
    return this.#queue.enqueue(operation, async () => {
      this.#operation = operation;
      if (layer) await this.#store(layer);
      return await run();
    });
  }

  /** What is queued was built on what failed; edits that are not stored yet are put back. */
  #failAll(cause: unknown): never {
    const failure = this.#queue.toError(this.#operation, cause);
    this.#layers.putBack();
    this.#queue.failAll(failure);
    throw failure;
  }

  /** Stores the lowest sealed layer. */
  async #store(layer: SealedLayer): Promise<void> {
    const { keys, queries } = layer;
    const slots = keys.view().slots;
    const kept = this.#history.prepare(slots);
    try {
      await this.#backend.store(this.#layers.changesOf(layer), kept);
    } catch (cause) {
      this.#history.abandon(kept);
      this.#failAll(cause);
    }
    this.#layers.stored();
    this.#history.commit(slots, kept, queries.view().slots);
    this.#lastStored = layer;
    this.#changesSincePeek += keys.size;
    this.counts.changesStored += keys.size + queries.size;
    await this.#limitHistory();
  }

  /** Brings rows up to date, each in the way that is cheaper. */
  async #bringUp(queries: Uint32Array): Promise<void> {
    const { missing, cohorts } = this.#history.standing(queries);
    const sizes = this.#sizes();
    const build = [missing], patch: Cohort[] = [];
    for (const cohort of cohorts) {
      const changes = cohort.since.slots.length;
      if (changes === 0) this.#history.reach(cohort.queries);
      else if (this.#planner.plan(sizes, changes) === "patch") patch.push(cohort);
      else build.push(cohort.queries);
    }
    await this.#update(joined(build), patch);
  }

  async #build(queries: Uint32Array): Promise<void> {
    await this.#update(queries, []);
    if (queries.length === 0) this.counts.rebuilds++;
  }

  async #update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    if (build.length + patch.length > 0) {
      const start = performance.now();
      const queries = joined([build, ...patch.map((cohort) => cohort.queries)]);
      try {
        await this.#backend.update(build, patch);
      } catch (cause) {
        this.#history.lose(queries);
        this.#failAll(cause);
      }
      this.#history.reach(queries);
      this.counts.applyMs += performance.now() - start;
      if (build.length > 0 && build.length === this.#storedQueries().length) this.counts.rebuilds++;
    }
    if (this.#history.isCurrent && this.#history.currentCount === this.#storedQueries().length) {
      this.#settle();
    }
  }

  /** Every row knows what is stored, or will before it answers. */
  #settle(): void {
    this.#floor = this.#history.version;
    if (!this.#lastStored) return;
    this.#layers.settle(this.#lastStored.number);
    this.counts.applied = this.#lastStored.written ?? this.counts.applied;
    if (this.#layers.waitingKeys + this.#layers.waitingQueries === 0) this.#waitingSince = null;
  }

  /** Keeps the past from growing: rows that have missed too much are computed anew when they are next asked for. */
  async #limitHistory(): Promise<void> {
    const history = this.#history;
    const sizes = this.#sizes();
    const breakEven = this.#planner.breakEven(sizes), limit = this.#planner.keptLimit(sizes);
    if (!history.isGrown && history.keptCount <= limit) return;
    history.clearUp();
    for (
      let cohort = history.oldest();
      cohort && cohort.since.slots.length >= breakEven;
      cohort = history.oldest()
    ) {
      history.lose(cohort.queries);
      history.clearUp();
    }
    if (history.keptCount <= limit) return;
    // Many moments share it. What has missed little by little catches up, for no more than it would have cost before.
    for (let cohort = history.oldest(); cohort && history.keptCount > limit / 2; cohort = history.oldest()) {
      if (cohort.since.slots.length >= breakEven / 2) history.lose(cohort.queries);
      else await this.#update(NO_ROWS, [cohort]);
      history.clearUp();
    }
  }

  /** Bounds of rows, of which those that are off by more than `error` are brought up to date first. */
  async #boundsWithin(rows: Uint32Array, error: number): Promise<Float64Array<ArrayBuffer>> {
    const { isAdaptive } = this.#config.threshold;
    const changes = this.#changesSincePeek;
    this.#changesSincePeek = 0;
    if (isAdaptive && !this.#balance.measures) {
      await this.#bringUp(rows);
      this.#balance.applied();
      return await this.#certify(rows);
    }
    const spentBefore = this.#planner.costOf(this.#backend.work);
    let bounds = await this.#certify(rows);
    const tooFar = rows.filter((_, at) => bounds[at] > error);
    if (tooFar.length > 0) {
      await this.#bringUp(this.#planner.policy === "auto" ? tooFar : this.#storedQueries());
      bounds = await this.#certify(rows);
    }
    if (isAdaptive) {
      const spent = this.#planner.costOf(this.#backend.work) - spentBefore;
      const rowCount = rows.length * this.#config.layout.heads;
      const alternative = rowCount * this.#planner.cost(this.#sizes(), changes);
      this.#balance.measured(spent, alternative);
    }
    return bounds;
  }

  async #certify(rows: Uint32Array): Promise<Float64Array<ArrayBuffer>> {
    const bounds = new Float64Array(rows.length);
    const { cohorts } = this.#history.standing(rows);
    const answers = new CohortAnswers(rows);
    for (const cohort of cohorts) {
      answers.place(bounds, cohort.queries, await this.#backend.certify(cohort), 1);
    }
    return bounds;
  }

  /** Attention of rows as of their states. */
  async #readAsOf(rows: Uint32Array): Promise<Readout> {
    const { cohorts } = this.#history.standing(rows);
    if (cohorts.length === 1 && cohorts[0].queries.length === rows.length) {
      return await this.#backend.read({ queries: rows, since: cohorts[0].since });
    }
    const { heads, valueDim } = this.#config.layout;
    const output = new Float32Array(rows.length * heads * valueDim);
    const logSumExp = new Float32Array(rows.length * heads);
    const answers = new CohortAnswers(rows);
    for (const cohort of cohorts) {
      const part = await this.#backend.read(cohort);
      answers.place(output, cohort.queries, part.output, heads * valueDim);
      answers.place(logSumExp, cohort.queries, part.logSumExp, heads);
    }
    return { output, logSumExp };
  }

  #flushAtThreshold(): void {
    const pending = this.#pendingEdits();
    if (this.#flushingByItself || pending.edits === 0 || !this.#config.threshold.isReached(pending)) return;
    this.#flushingByItself = true;
    const operation = "DynamicAttention.flush";
    const flushed = this.#config.policy === "auto"
      ? this.#raiseFloor(operation)
      : this.#flush(operation, false);
    flushed.then(
      () => {
        this.#flushingByItself = false;
        this.#flushAtThreshold();
      },
      () => {
        this.#flushingByItself = false;
      },
    );
  }

  #pendingEdits(): PendingEdits {
    const { keySlots, querySlots } = this.#config;
    const keys = this.#layers.waitingKeys, queries = this.#layers.waitingQueries;
    const edits = keys + queries;
    this.#waitingSince = edits === 0 ? null : this.#waitingSince ?? performance.now();
    const ageMs = this.#waitingSince === null ? 0 : performance.now() - this.#waitingSince;
    return { edits, keys, queries, ageMs, keyCount: keySlots.count, queryCount: querySlots.count };
  }

  /** Query slots that hold a row at the backend. */
  #storedQueries(): Uint32Array {
    const { querySlots } = this.#config;
    const slots = new Uint32Array(querySlots.size);
    let count = 0;
    for (let slot = 0; slot < querySlots.size; slot++) {
      if (this.#backend.queries.isLive(slot)) slots[count++] = slot;
    }
    return slots.subarray(0, count);
  }

  #sizes(): Sizes {
    const { layout: { headDim, valueDim }, keySlots } = this.#config;
    return { keyCount: keySlots.count, headDim, valueDim };
  }

  async #timedRead<T>(read: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await read();
    this.counts.readMs += performance.now() - start;
    return result;
  }
}

const NO_ROWS = new Uint32Array(0);

function joined(parts: readonly Uint32Array[]): Uint32Array {
  if (parts.length === 1) return parts[0];
  const all = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function ignore(): void {}
