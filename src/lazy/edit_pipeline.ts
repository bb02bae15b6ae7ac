/**
 * The way of an edit from the log to the backend, and of a read back.
 *
 * Edits lie in layers. The top layer takes new edits, synchronously; a layer below it is *sealed* and waits for
 * the backend or is being applied; under all of them lie the backend's applied rows. What the backend is asked
 * runs in the order in which it was asked, one at a time. So a read that seals or copies the top layer when it is
 * called sees exactly the edits made before the call, however many follow before it runs.
 *
 * A backend that fails to apply a layer leaves all layers unapplied: they are merged into the top one again, and
 * what was queued on the strength of them rejects with the same error.
 */

import type { Backend, Changes, PassingQueries, Plan, Readout, RowChanges } from "../backends/backend.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../core/head_layout.ts";
import { AttentionError, BackendError } from "../errors.ts";
import { EditLog, type Snapshot } from "./edit_log.ts";
import { type Mask, maskKeys, maskQueries, type MaskScope } from "./mask.ts";
import { type FlushPolicy, Planner, type Sizes } from "./planner.ts";
import type { SlotTable } from "./slot_table.ts";
import type { PendingEdits, Threshold } from "./threshold.ts";

/** Rows `[key | value]` and queries that differ from the layer below. */
interface Layer {
  readonly keys: EditLog;
  readonly queries: EditLog;
}

interface SealedLayer extends Layer {
  /** What the backend is told, once the mask has been asked. */
  changes: Changes | null;
  /** How many edits are applied once this layer is; null for a layer that took only some of them along. */
  readonly written: number | null;
}

/** What the pipeline needs to know of its engine. */
export interface PipelineConfig {
  readonly backend: Backend;
  readonly policy: FlushPolicy;
  readonly threshold: Threshold;
  readonly layout: HeadLayout;
  readonly mask: Mask | null;
  /** Live keys and queries as of the newest edit. */
  readonly keySlots: SlotTable;
  readonly querySlots: SlotTable;
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

/** Log, layers and queue of one engine. */
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
  #top: Layer;
  /** Sealed layers, the lowest first. */
  #sealed: SealedLayer[] = [];
  #tail: Promise<void> = Promise.resolve();
  /** Grows with each failure; what was queued before one must not run after it. */
  #generation = 0;
  #failure: AttentionError | null = null;
  /** The last failure, until a caller has been told of it. */
  #untold: AttentionError | null = null;
  #flushingByItself = false;
  /** Whether nothing was pending in the top layer, and else since when something has been. */
  #wasSettled = true;
  #pendingSince = 0;

  constructor(config: PipelineConfig) {
    this.#config = config;
    this.#backend = config.backend;
    this.#planner = new Planner(config.policy, config.backend.costs);
    this.#top = this.#layerOn({ keys: this.#backend.keys, queries: this.#backend.queries });
  }

  /** The newest rows, and where single edits are written; tell `noteEdits` afterwards. */
  get newest(): Layer {
    return this.#top;
  }

  /** Changed slots that wait to be applied, those on their way included. */
  get pending(): number {
    return this.#sealed.reduce((sum, layer) => sum + sizeOf(layer), sizeOf(this.#top));
  }

  /** Runs edits on a layer of their own, which reaches the newest one only if none of them throws. */
  atomically<T>(edits: (layer: Layer) => T): T {
    const draft = this.#layerOn(this.#top);
    const result = edits(draft);
    absorb(this.#top, draft);
    return result;
  }

  /** Counts edits that were written, and flushes when the threshold says so. */
  noteEdits(count: number): void {
    if (this.#wasSettled) this.#pendingSince = performance.now();
    this.counts.written += count;
    if (this.#top.keys.size === 0) this.#planner.settled();
    this.#wasSettled = sizeOf(this.#top) === 0;
    this.#flushAtThreshold();
  }

  /** Applies everything pending; "rebuild" rebuilds every row, also when nothing is. */
  flush(operation: string, plan?: "rebuild"): Promise<void> {
    return this.#tell(() => {
      const flushed = sizeOf(this.#top) === 0 && !plan
        ? this.#enqueue(operation, noWork)
        : this.#applyAll(operation, plan);
      this.#askMask();
      return flushed;
    });
  }

  /** Exact attention of standing queries. */
  read(operation: string, rows: Uint32Array): Promise<Readout> {
    return this.#tell(() =>
      this.#ask(operation, rows, rows.length, (pending) => this.#backend.read(rows, pending))
    );
  }

  /** Exact attention of passing queries. */
  attend(operation: string, queries: PassingQueries): Promise<Readout> {
    return this.#tell(() =>
      this.#ask(operation, NO_ROWS, queries.count, (pending) => this.#backend.attend(queries, pending))
    );
  }

  /** Exact weights of one head of a standing query. */
  weights(operation: string, row: number, head: number): Promise<Float32Array<ArrayBuffer>> {
    const slotCount = this.#config.keySlots.size;
    const ask = (pending: RowChanges | null) => this.#backend.weights(row, head, slotCount, pending);
    return this.#tell(() => this.#ask(operation, Uint32Array.of(row), 1, ask));
  }

  /** Attention as of the applied keys, which are brought up to date first when a row is off by too much. */
  peek(operation: string, rows: Uint32Array, certified: boolean): Promise<StaleReadout> {
    const { error } = this.#config.threshold;
    return this.#tell(() => {
      this.#flushAtThreshold();
      this.#applyQueries(operation, rows);
      this.#askMask();
      const top = this.#top;
      const snapshot = top.keys.snapshot();
      const pending = maskKeys(this.#config.mask, snapshot, this.#maskScope([]));
      return this.#enqueue(operation, () =>
        this.#timedRead(async () => {
          let left = pending;
          const certify = () => {
            if (certified || error < Infinity) return this.#backend.certify(rows, left);
            return new Float64Array(rows.length).fill(Infinity);
          };
          let bounds = await certify();
          const isTooFar = bounds.some((bound) => bound > error);
          // A layer that was sealed since is queued to be applied anyway.
          if (isTooFar && pending.slots.length > 0 && this.#top === top) {
            await this.#applyEarly(pending, snapshot);
            left = NO_CHANGES;
            bounds = await certify();
          }
          const readout = await this.#backend.read(rows, null);
          return { ...readout, bounds, pending: left.slots.length, epoch: this.counts.epoch };
        }));
    });
  }

  /** Asks when everything pending is applied and nothing that is edited later is yet. */
  whenApplied<T>(operation: string, ask: () => Promise<T>): Promise<T> {
    return this.#tell(() => {
      // Its failure reaches what is queued behind it.
      if (sizeOf(this.#top) > 0) this.#applyAll(operation).catch(ignore);
      this.#askMask();
      return this.#enqueue(operation, ask);
    });
  }

  /** Waits for what was asked before, then gives the backend back. */
  async dispose(): Promise<void> {
    await this.#tail;
    await this.#backend.dispose();
  }

  #layerOn(base: { keys: Backend["keys"]; queries: Backend["queries"] }): Layer {
    const { layout, mask } = this.#config;
    const keepsInserts = mask?.isFunction === true;
    return {
      keys: new EditLog(keyColumns(layout) + valueColumns(layout), base.keys, keepsInserts),
      queries: new EditLog(queryColumns(layout), base.queries, keepsInserts),
    };
  }

  /** Asks the backend as of now: pending keys are overlaid or flushed first, pending queries of `rows` applied. */
  #ask<T>(
    operation: string,
    rows: Uint32Array,
    cost: number,
    ask: (pending: RowChanges | null) => Promise<T>,
  ): Promise<T> {
    let pending: RowChanges | null = null;
    const { keys } = this.#top;
    if (keys.size > 0) {
      const rowsRead = cost * this.#config.layout.heads;
      if (this.#planner.planRead(this.#sizes(), rowsRead, keys.size) === "overlay") {
        pending = maskKeys(this.#config.mask, keys.snapshot(), this.#maskScope([]));
        this.counts.overlays++;
      } else {
        // Its failure reaches the read, which is queued behind it.
        this.#applyAll(operation).catch(ignore);
      }
    }
    this.#applyQueries(operation, rows);
    this.#askMask();
    return this.#enqueue(operation, () => this.#timedRead(() => ask(pending)));
  }

  /** Applies the pending queries among `rows`; a query has no answer, not even a stale one, before it is. */
  #applyQueries(operation: string, rows: Uint32Array): void {
    const { keys, queries } = this.#top;
    const changed = queries.size === 0 ? [] : rows.filter((row) => queries.has(row));
    if (changed.length === 0) return;
    const layer = { keys: keys.take([]), queries: queries.take(changed), changes: null, written: null };
    this.#apply(operation, layer, "patch").catch(ignore);
  }

  #applyAll(operation: string, forced?: Plan): Promise<void> {
    const plan = forced ?? this.#planner.planFlush(this.#sizes(), this.#top.keys.size);
    const layer = { ...this.#top, changes: null, written: this.counts.written };
    this.#top = this.#layerOn(layer);
    this.#planner.settled();
    this.#wasSettled = true;
    return this.#apply(operation, layer, plan);
  }

  /**
   * Applies a snapshot of the top layer's keys, which stays where it is meanwhile. What was queued since has its own
   * snapshots: to overlay or apply a row that is applied already changes nothing.
   */
  async #applyEarly(keys: RowChanges, snapshot: Snapshot): Promise<void> {
    const { counts } = this;
    const plan = this.#planner.planFlush(this.#sizes(), keys.slots.length);
    const start = performance.now();
    await this.#backend.apply({ keys, queries: NO_CHANGES }, plan);
    this.#top.keys.settle(snapshot);
    if (sizeOf(this.#top) === 0) this.#wasSettled = true;
    this.#planner.settled();
    counts.applyMs += performance.now() - start;
    counts.changesApplied += keys.slots.length;
    counts.epoch++;
    if (plan === "rebuild") counts.rebuilds++;
    else counts.patches++;
  }

  #apply(operation: string, layer: SealedLayer, plan: Plan): Promise<void> {
    this.#sealed.push(layer);
    return this.#enqueue(operation, async () => {
      const start = performance.now();
      try {
        await this.#backend.apply(this.#changesOf(layer), plan);
      } catch (cause) {
        throw this.#putBack(
          cause instanceof AttentionError ? cause : new BackendError(operation, this.#backend.name, cause),
        );
      }
      this.#sealed.shift();
      const above = this.#sealed[0] ?? this.#top;
      above.keys.rebase(this.#backend.keys);
      above.queries.rebase(this.#backend.queries);
      const { counts } = this;
      counts.applyMs += performance.now() - start;
      counts.applied = layer.written ?? counts.applied;
      counts.changesApplied += sizeOf(layer);
      counts.epoch++;
      if (plan === "rebuild") counts.rebuilds++;
      else if (layer.keys.size > 0) counts.patches++;
    });
  }

  /**
   * Asks the mask about what is sealed. It is asked late, so that a caller who learns a slot from an insert can tell
   * the mask of it, but before a call returns that wants an answer, so that what later becomes of a slot changes
   * nothing.
   */
  #askMask(): void {
    if (!this.#config.mask) return;
    try {
      for (const layer of this.#sealed) this.#changesOf(layer);
    } catch {
      // It is asked again when the layer is applied, and what fails then rejects the answer that is queued behind.
    }
  }

  #changesOf(layer: SealedLayer): Changes {
    if (layer.changes) return layer.changes;
    const { mask } = this.#config;
    const scope = this.#maskScope([...this.#sealed.slice(this.#sealed.indexOf(layer) + 1), this.#top]);
    layer.changes = {
      keys: maskKeys(mask, layer.keys.view(), scope),
      queries: maskQueries(mask, layer.queries.view(), scope),
    };
    return layer.changes;
  }

  /** A row that a layer above replaces is no longer the one that the mask would speak of. */
  #maskScope(above: readonly Layer[]): MaskScope {
    const { keySlots, querySlots } = this.#config;
    return {
      keySize: keySlots.size,
      querySize: querySlots.size,
      hasKey: (slot) => keySlots.isLive(slot) && !above.some(({ keys }) => keys.replaces(slot)),
      hasQuery: (slot) => querySlots.isLive(slot) && !above.some(({ queries }) => queries.replaces(slot)),
    };
  }

  #pendingEdits(): PendingEdits {
    const { keySlots, querySlots } = this.#config;
    const keys = this.#top.keys.size, queries = this.#top.queries.size;
    const edits = keys + queries;
    const ageMs = edits === 0 ? 0 : performance.now() - this.#pendingSince;
    return { edits, keys, queries, ageMs, keyCount: keySlots.count, queryCount: querySlots.count };
  }

  #sizes(): Sizes {
    const { layout: { heads, headDim, valueDim }, keySlots, querySlots } = this.#config;
    return { rowCount: querySlots.count * heads, keyCount: keySlots.count, headDim, valueDim };
  }

  /** Merges all sealed layers and the top one into one that lies on the applied rows. */
  #putBack(failure: AttentionError): AttentionError {
    const [lowest, ...others] = this.#sealed;
    for (const layer of others) absorb(lowest, layer);
    absorb(lowest, this.#top);
    this.#top = lowest;
    this.#sealed = [];
    this.#generation++;
    this.#failure = this.#untold = failure;
    return failure;
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

  /**
   * What a caller waits for, begun at once. A failure that nobody was told of comes first; one that a caller is told
   * is not told again.
   */
  async #tell<T>(answer: () => Promise<T>): Promise<T> {
    const failure = this.#untold;
    this.#untold = null;
    if (failure) throw failure;
    try {
      return await answer();
    } catch (error) {
      if (error === this.#untold) this.#untold = null;
      throw error;
    }
  }

  #enqueue<T>(operation: string, run: () => Promise<T>): Promise<T> {
    const generation = this.#generation;
    const result = this.#tail.then(async () => {
      if (generation !== this.#generation) throw this.#failure;
      try {
        return await run();
      } catch (cause) {
        throw cause instanceof AttentionError
          ? cause
          : new BackendError(operation, this.#backend.name, cause);
      }
    });
    this.#tail = result.then(ignore, ignore);
    return result;
  }

  async #timedRead<T>(read: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await read();
    this.counts.readMs += performance.now() - start;
    return result;
  }
}

const NO_ROWS = new Uint32Array(0);
const NO_CHANGES: RowChanges = {
  slots: NO_ROWS,
  live: new Uint8Array(0),
  rows: new Float32Array(0),
  positions: new Float64Array(0),
  bias: null,
};

function sizeOf({ keys, queries }: Layer): number {
  return keys.size + queries.size;
}

function absorb(lower: Layer, upper: Layer): void {
  lower.keys.absorb(upper.keys);
  lower.queries.absorb(upper.queries);
}

function ignore(): void {}

async function noWork(): Promise<void> {}
