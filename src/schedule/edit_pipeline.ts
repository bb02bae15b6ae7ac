/**
 * The way of an edit from the log to the rows that know of it, and of a read back.
 *
 * What waits is stored when something is asked. What the backend is asked runs in the order in which it was asked, and
 * what is written is sealed at the call. So a read sees exactly the edits made before the call, however many follow
 * before it runs. When the backend fails, what was not stored is put back, and what was queued behind rejects with the
 * same error.
 */

import type { Backend, PassingQueries, Readout } from "../backends/backend.ts";
import { CapacityError } from "../base/errors.ts";
import { ErrorBalance } from "./error_balance.ts";
import { type Layer, type LayerConfig, LayerStack, type SealedLayer } from "../write/layers.ts";
import { type FlushPolicy, Planner } from "./planner.ts";
import { StandingRows } from "./standing_rows.ts";
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

/** What a question has at hand when its turn comes. */
export interface Turn {
  /** All keys and the queries asked about are stored there as they were at the call. */
  readonly backend: Backend;
  /** Exact attention of the queries asked about. */
  read(): Promise<Readout>;
}

/** What has happened so far. */
export interface PipelineCounts {
  /** Edits accepted. */
  written: number;
  /** Edits up to this one are in every answer. */
  applied: number;
  /** Changed slots stored. */
  changesStored: number;
  /** Milliseconds spent reading. */
  readMs: number;
}

/** Threshold and counts over the layers, the rows and the queue of one engine. */
export class EditPipeline {
  readonly counts: PipelineCounts = {
    written: 0,
    applied: 0,
    changesStored: 0,
    readMs: 0,
  };
  readonly rows: StandingRows;
  readonly #config: PipelineConfig;
  readonly #backend: Backend;
  readonly #planner: Planner;
  readonly #layers: LayerStack;
  readonly #queue: TurnQueue;
  readonly #balance = new ErrorBalance();
  /** No answer, not even a stale one, is older than this version. */
  #floor = 0;
  #lastStored: Pick<SealedLayer, "number" | "written"> | null = null;
  /** What is being answered, for errors. */
  #operation = "";
  /** Changed keys stored since the last peek. */
  #changesSincePeek = 0;
  #flushingByItself = false;
  /** Since when something has waited; null when nothing does. */
  #waitingSince: number | null = null;

  constructor(config: PipelineConfig) {
    const { backend, mask } = config;
    this.#config = config;
    this.#backend = backend;
    this.#planner = new Planner(config.policy, backend);
    this.#layers = new LayerStack(config, backend);
    // What a mask function says of a row can differ from what it said of an equal one before.
    this.rows = new StandingRows(config, this.#planner, mask?.isFunction !== true);
    this.#queue = new TurnQueue(backend);
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
    return this.#answer(() => this.#flush(operation, { fromScratch: plan === "rebuild" }));
  }

  /** Exact attention of standing queries. */
  read(operation: string, rows: Uint32Array): Promise<Readout> {
    return this.ask(operation, rows, (turn) => turn.read());
  }

  /** Asks anything, exact as of the call, of the standing queries `rows` and all keys. */
  ask<T>(operation: string, rows: Uint32Array, ask: (turn: Turn) => Promise<T>): Promise<T> {
    const read = async () => {
      await this.#bringUp(rows);
      return await this.#timedRead(() => this.rows.read(rows));
    };
    return this.#ask(operation, rows, () => ask({ backend: this.#backend, read }));
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
      await this.#bringUp(this.rows.olderThan(this.#floor, rows));
      const { error } = this.#config.threshold;
      const bounds = certified || error < Infinity
        ? await this.#boundsWithin(rows, error)
        : new Float64Array(rows.length).fill(Infinity);
      const { pending, version } = this.rows.lagOf(rows);
      const readout = await this.#timedRead(() => this.rows.read(rows));
      return { ...readout, bounds, pending, epoch: version };
    };
    return this.#answer(() => {
      this.#flushAtThreshold();
      this.#tellThreshold();
      this.#layers.seal(this.counts.written, rows);
      return this.#inTurn(operation, answer);
    });
  }

  /** Asks when every row is up to date and nothing that is edited later is stored yet. */
  whenCurrent<T>(operation: string, ask: () => Promise<T>): Promise<T> {
    return this.#answer(() => {
      // Its failure reaches what is queued behind it.
      this.#flush(operation).catch(ignore);
      return this.#queue.enqueue(operation, () => {
        this.#balance.reset();
        this.#changesSincePeek = 0;
        return ask();
      });
    });
  }

  /**
   * Puts another backend in the place of this one; what waits goes on waiting. It is the remedy for a failure, so what
   * failed before does not stop it, and is not told after it.
   */
  move(operation: string, move: () => Promise<void>): Promise<void> {
    const takePlace = async () => {
      await move();
      this.rows.allReached();
      this.#settle();
      this.#queue.forgive();
    };
    return this.#queue.enqueue(operation, takePlace, true);
  }

  /** Answers what was asked before, takes nothing new, flushes by itself included, and then gives the backend back. */
  async dispose(): Promise<void> {
    await this.#queue.close();
    await this.#backend.dispose();
  }

  /** Asks the backend when all that is written now is stored, of the queries those of `rows`. */
  #ask<T>(operation: string, rows: Uint32Array, ask: () => Promise<T>): Promise<T> {
    return this.#answer(() => {
      this.#layers.seal(this.counts.written, rows);
      return this.#inTurn(operation, ask);
    });
  }

  /** What a caller waits for. The mask has been asked about all that the answer knows when the call returns. */
  #answer<T>(ask: () => Promise<T>): Promise<T> {
    return this.#queue.tell(() => {
      this.#tellThreshold();
      const answer = ask();
      this.#layers.askMask();
      return answer;
    });
  }

  /** Brings every row up to date; what is gone is forgotten where a caller has asked, not at each threshold. */
  #flush(operation: string, { fromScratch = false, forgets = true } = {}): Promise<void> {
    const { written } = this.counts;
    this.#sealAll();
    return this.#inTurn(operation, async () => {
      if (fromScratch) await this.#orFailAll(() => this.rows.rebuild());
      else await this.#bringUp(this.rows.all());
      if (forgets) await this.#orFailAll(() => this.rows.forget());
      this.#settle();
      this.counts.applied = written;
    });
  }

  /** From now on no answer is older than this call. */
  #raiseFloor(operation: string): Promise<void> {
    const { written } = this.counts;
    this.#sealAll();
    return this.#inTurn(operation, () => {
      this.#settle();
      this.counts.applied = written;
      return Promise.resolve();
    });
  }

  /** Seals all that is written, for a turn after which no answer lacks it. */
  #sealAll(): void {
    this.#layers.seal(this.counts.written);
    this.#layers.settle();
    this.#waitingSince = null;
  }

  /** Stores what is sealed now and runs what follows, in their turn. */
  #inTurn<T>(operation: string, run: () => Promise<T>): Promise<T> {
    const last = this.#layers.layersSealed;
    return this.#queue.enqueue(operation, async () => {
      this.#operation = operation;
      const layer = this.#layers.sealedUpTo(last);
      if (layer) await this.#store(layer);
      return await run();
    });
  }

  /**
   * When this fails, what is queued fails with it, and edits that are not stored yet are put back. Where memory was refused
   * it fails alone: what is queued behind it tries again, with edits that may have given rows back. So an answer is refused
   * memory when what it is of takes too much, and only then.
   */
  async #orFailAll(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (cause) {
      const failure = this.#queue.toError(this.#operation, cause);
      if (failure instanceof CapacityError) {
        this.#layers.waitAgain();
        throw failure;
      }
      this.#layers.putBack();
      this.#queue.failAll(failure);
      throw failure;
    }
  }

  /** Stores the lowest sealed layer, which may have nothing left to store. */
  async #store(layer: SealedLayer): Promise<void> {
    const { keys, queries, number, written } = layer;
    const [keySlots, querySlots] = [keys.view().slots, queries.view().slots];
    if (keys.size + queries.size > 0) {
      const toChanges = () => this.#layers.changesOf(layer);
      await this.#orFailAll(() => this.rows.store(keySlots, querySlots, toChanges));
    }
    this.#lastStored = { number, written };
    this.#changesSincePeek += keys.size;
    this.counts.changesStored += keys.size + queries.size;
    this.#layers.stored();
    await this.#orFailAll(() => this.rows.limitHistory());
  }

  async #bringUp(rows: Uint32Array): Promise<void> {
    await this.#orFailAll(() => this.rows.bringUp(rows));
    if (this.rows.areCurrent) this.#settle();
  }

  /** Every row knows what is stored, or will before it answers. */
  #settle(): void {
    this.#floor = this.rows.version;
    if (!this.#lastStored) return;
    this.#layers.settle(this.#lastStored.number);
    this.counts.applied = this.#lastStored.written ?? this.counts.applied;
    if (this.#layers.waitingKeys + this.#layers.waitingQueries === 0) this.#waitingSince = null;
  }

  /** Bounds of rows, of which those that are off by more than `error` are brought up to date first. */
  async #boundsWithin(rows: Uint32Array, error: number): Promise<Float64Array<ArrayBuffer>> {
    const { isAdaptive } = this.#config.threshold;
    const changes = this.#changesSincePeek;
    this.#changesSincePeek = 0;
    if (isAdaptive && !this.#balance.measures) {
      await this.#bringUp(rows);
      this.#balance.applied(this.rows.costOf(rows.length, changes));
      return await this.rows.certify(rows);
    }
    const spentBefore = this.#planner.costOf(this.#backend.work);
    let bounds = await this.rows.certify(rows);
    const tooFar = rows.filter((_, at) => bounds[at] > error);
    if (tooFar.length > 0) {
      await this.#bringUp(this.#planner.policy === "auto" ? tooFar : this.rows.all());
      bounds = await this.rows.certify(rows);
    }
    if (isAdaptive) {
      const spent = this.#planner.costOf(this.#backend.work) - spentBefore;
      const alternative = this.rows.costOf(rows.length, changes);
      this.#balance.measured(spent, alternative, this.rows.debtOf(rows));
    }
    return bounds;
  }

  /** Throws what a function of the caller's threw when it was asked after an edit, which has happened all the same. */
  #tellThreshold(): void {
    const failure = this.#config.threshold.takeFailure();
    if (failure) throw failure;
  }

  #flushAtThreshold(): void {
    if (this.#queue.isClosed) return;
    const pending = this.#pendingEdits();
    if (this.#flushingByItself || pending.edits === 0 || !this.#config.threshold.isReached(pending)) return;
    this.#flushingByItself = true;
    const operation = "DynamicAttention.flush";
    const flushed = this.#config.policy === "auto"
      ? this.#raiseFloor(operation)
      : this.#flush(operation, { forgets: false });
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

  async #timedRead<T>(read: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await read();
    this.counts.readMs += performance.now() - start;
    return result;
  }
}

const NO_ROWS = new Uint32Array(0);

function ignore(): void {}
