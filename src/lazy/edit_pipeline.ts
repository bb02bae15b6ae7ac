/**
 * The way of an edit from the log to the backend, and of a read back.
 *
 * What the backend is asked runs in the order in which it was asked. So a read that seals or copies the top layer
 * when it is called sees exactly the edits made before the call, however many follow before it runs. A backend that
 * fails to apply a layer leaves all layers unapplied: they are put back, and what was queued on the strength of them
 * rejects with the same error.
 */

import type { Backend, PassingQueries, Plan, Readout, RowChanges } from "../backends/backend.ts";
import {
  type Layer,
  type LayerConfig,
  LayerStack,
  NO_CHANGES,
  type PendingKeys,
  type SealedLayer,
  sizeOf,
} from "./layers.ts";
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
  /** Changed key slots that the answer does not know of. */
  readonly pending: number;
  /** The epoch it is from. */
  readonly epoch: number;
}

/** What has happened so far. */
export interface PipelineCounts {
  /** Edits accepted. */
  written: number;
  /** Edits up to this one are applied. */
  applied: number;
  /** Batches applied. */
  epoch: number;
  /** Changed slots applied. */
  changesApplied: number;
  /** Batches whose keys were patched in. */
  patches: number;
  /** Batches for which every row was rebuilt. */
  rebuilds: number;
  /** Reads that overlaid pending edits. */
  overlays: number;
  /** Milliseconds spent applying. */
  applyMs: number;
  /** Milliseconds spent reading. */
  readMs: number;
}

/** Threshold, plans and counts over the layers and the queue of one engine. */
export class EditPipeline {
  readonly counts: PipelineCounts = {
    written: 0,
    applied: 0,
    epoch: 0,
    changesApplied: 0,
    patches: 0,
    rebuilds: 0,
    overlays: 0,
    applyMs: 0,
    readMs: 0,
  };
  readonly #config: PipelineConfig;
  readonly #backend: Backend;
  readonly #planner: Planner;
  readonly #layers: LayerStack;
  readonly #queue: TurnQueue;
  #flushingByItself = false;
  /** Whether nothing was pending in the top layer, and else since when something has been. */
  #wasSettled = true;
  #pendingSince = 0;

  constructor(config: PipelineConfig) {
    this.#config = config;
    this.#backend = config.backend;
    this.#planner = new Planner(config.policy, config.backend.costs);
    this.#layers = new LayerStack(config, config.backend);
    this.#queue = new TurnQueue(config.backend.name);
  }

  /** The newest rows, and where single edits are written; tell `noteEdits` afterwards. */
  get newest(): Layer {
    return this.#layers.top;
  }

  /** Changed slots that wait to be applied, those on their way included. */
  get pending(): number {
    return this.#layers.pending;
  }

  /** Runs edits on a layer of their own, which reaches the newest one only if none of them throws. */
  atomically<T>(edits: (layer: Layer) => T): T {
    return this.#layers.atomically(edits);
  }

  /** Counts edits that were written, and flushes when the threshold says so. */
  noteEdits(count: number): void {
    const { top } = this.#layers;
    if (this.#wasSettled) this.#pendingSince = performance.now();
    this.counts.written += count;
    if (top.keys.size === 0) this.#planner.settled();
    this.#wasSettled = sizeOf(top) === 0;
    this.#flushAtThreshold();
  }

  /** Applies everything pending; "rebuild" rebuilds every row, also when nothing is. */
  flush(operation: string, plan?: "rebuild"): Promise<void> {
    return this.#queue.tell(() => {
      const flushed = sizeOf(this.newest) === 0 && !plan
        ? this.#queue.enqueue(operation, noWork)
        : this.#applyAll(operation, plan);
      this.#layers.askMask();
      return flushed;
    });
  }

  /** Exact attention of standing queries. */
  read(operation: string, rows: Uint32Array): Promise<Readout> {
    return this.#ask(operation, rows, rows.length, (pending) => this.#backend.read(rows, pending));
  }

  /** Exact attention of passing queries. */
  attend(operation: string, queries: PassingQueries): Promise<Readout> {
    return this.#ask(operation, NO_ROWS, queries.count, (pending) => this.#backend.attend(queries, pending));
  }

  /** Exact weights of one head of a standing query. */
  weights(operation: string, row: number, head: number): Promise<Float32Array<ArrayBuffer>> {
    const slotCount = this.#config.keySlots.size;
    const ask = (pending: RowChanges | null) => this.#backend.weights(row, head, slotCount, pending);
    return this.#ask(operation, Uint32Array.of(row), 1, ask);
  }

  /** Attention as of the applied keys, which are brought up to date first when a row is off by too much. */
  peek(operation: string, rows: Uint32Array, certified: boolean): Promise<StaleReadout> {
    return this.#queue.tell(() => {
      this.#flushAtThreshold();
      this.#applyQueries(operation, rows);
      this.#layers.askMask();
      const answer = certified || this.#config.threshold.error < Infinity
        ? this.#certifiedPeek(operation, rows, this.#layers.pendingKeys())
        : this.#uncertifiedPeek(rows, this.newest.keys.size);
      return this.#queue.enqueue(operation, () => this.#timedRead(answer));
    });
  }

  /** Asks when everything pending is applied and nothing that is edited later is yet. */
  whenApplied<T>(operation: string, ask: () => Promise<T>): Promise<T> {
    return this.#queue.tell(() => {
      // Its failure reaches what is queued behind it.
      if (sizeOf(this.newest) > 0) this.#applyAll(operation).catch(ignore);
      this.#layers.askMask();
      return this.#queue.enqueue(operation, ask);
    });
  }

  /** Waits for what was asked before, then gives the backend back. */
  async dispose(): Promise<void> {
    await this.#queue.idle();
    await this.#backend.dispose();
  }

  /** Asks the backend as of now: pending keys are overlaid or flushed first, pending queries of `rows` applied. */
  #ask<T>(
    operation: string,
    rows: Uint32Array,
    queryCount: number,
    ask: (pending: RowChanges | null) => Promise<T>,
  ): Promise<T> {
    return this.#queue.tell(() => {
      const pending = this.#overlayOrFlush(operation, queryCount * this.#config.layout.heads);
      this.#applyQueries(operation, rows);
      this.#layers.askMask();
      return this.#queue.enqueue(operation, () => this.#timedRead(() => ask(pending)));
    });
  }

  /** The pending keys that a read of so many rows overlays; null when there are none, or none any more. */
  #overlayOrFlush(operation: string, rowCount: number): RowChanges | null {
    const { size } = this.newest.keys;
    if (size === 0) return null;
    if (this.#planner.planRead(this.#sizes(), rowCount, size) === "overlay") {
      this.counts.overlays++;
      return this.#layers.pendingKeys().changes;
    }
    // Its failure reaches the read, which is queued behind it.
    this.#applyAll(operation).catch(ignore);
    return null;
  }

  #uncertifiedPeek(rows: Uint32Array, pending: number): () => Promise<StaleReadout> {
    return async () => {
      const readout = await this.#backend.read(rows, null);
      const bounds = new Float64Array(rows.length).fill(Infinity);
      return { ...readout, bounds, pending, epoch: this.counts.epoch };
    };
  }

  #certifiedPeek(operation: string, rows: Uint32Array, pending: PendingKeys): () => Promise<StaleReadout> {
    return async () => {
      let bounds = await this.#backend.certify(rows, pending.changes);
      let left = pending.changes.slots.length;
      const isTooFar = left > 0 && bounds.some((bound) => bound > this.#config.threshold.error);
      const layer = isTooFar ? this.#layers.sealEarly(pending) : null;
      if (layer) {
        this.#wasSettled = sizeOf(this.newest) === 0;
        this.#planner.settled();
        await this.#applySealed(operation, layer, this.#planner.planFlush(this.#sizes(), left));
        left = 0;
        bounds = await this.#backend.certify(rows, NO_CHANGES);
      }
      const readout = await this.#backend.read(rows, null);
      return { ...readout, bounds, pending: left, epoch: this.counts.epoch };
    };
  }

  /** Applies the pending queries among `rows`; a query has no answer, not even a stale one, before it is. */
  #applyQueries(operation: string, rows: Uint32Array): void {
    const layer = this.#layers.sealQueries(rows);
    // Its failure reaches the answer, which is queued behind it.
    if (layer) this.#apply(operation, layer, "patch").catch(ignore);
  }

  #applyAll(operation: string, forced?: Plan): Promise<void> {
    const plan = forced ?? this.#planner.planFlush(this.#sizes(), this.newest.keys.size);
    const layer = this.#layers.seal(this.counts.written);
    this.#planner.settled();
    this.#wasSettled = true;
    return this.#apply(operation, layer, plan);
  }

  #apply(operation: string, layer: SealedLayer, plan: Plan): Promise<void> {
    return this.#queue.enqueue(operation, () => this.#applySealed(operation, layer, plan));
  }

  /** Applies the lowest sealed layer, which must have its turn. */
  async #applySealed(operation: string, layer: SealedLayer, plan: Plan): Promise<void> {
    const { counts } = this;
    const start = performance.now();
    try {
      await this.#backend.apply(this.#layers.changesOf(layer), plan);
    } catch (cause) {
      const failure = this.#queue.toError(operation, cause);
      this.#layers.putBack();
      this.#queue.failAll(failure);
      throw failure;
    }
    this.#layers.applied();
    counts.applyMs += performance.now() - start;
    counts.applied = layer.written ?? counts.applied;
    counts.changesApplied += sizeOf(layer);
    counts.epoch++;
    if (plan === "rebuild") counts.rebuilds++;
    else if (layer.keys.size > 0) counts.patches++;
  }

  #flushAtThreshold(): void {
    const pending = this.#pendingEdits();
    if (this.#flushingByItself || pending.edits === 0 || !this.#config.threshold.isReached(pending)) return;
    this.#flushingByItself = true;
    this.#applyAll("DynamicAttention.flush").then(
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
    const keys = this.newest.keys.size, queries = this.newest.queries.size;
    const edits = keys + queries;
    const ageMs = edits === 0 ? 0 : performance.now() - this.#pendingSince;
    return { edits, keys, queries, ageMs, keyCount: keySlots.count, queryCount: querySlots.count };
  }

  #sizes(): Sizes {
    const { layout: { heads, headDim, valueDim }, keySlots, querySlots } = this.#config;
    return { rowCount: querySlots.count * heads, keyCount: keySlots.count, headDim, valueDim };
  }

  async #timedRead<T>(read: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await read();
    this.counts.readMs += performance.now() - start;
    return result;
  }
}

const NO_ROWS = new Uint32Array(0);

function ignore(): void {}

async function noWork(): Promise<void> {}
