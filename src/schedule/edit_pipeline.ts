/**
 * Moves edits from the log to the backend and answers reads, in the order of the calls.
 *
 * A call seals the edits made so far and queues its turn. The turn stores what was sealed up to its call, and
 * then answers: so a read sees exactly the edits made before the call, however many follow before it runs.
 * When the backend fails, edits that were not stored become pending again, and the turns behind the failed
 * one reject with its error.
 */

import type { Ahead, AttentionOutput, Backend, PassingQueries, Wanted } from "../backends/backend.ts";
import { WHOLE } from "../backends/wanted.ts";
import { CapacityError } from "../base/errors.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import type { LargestErrors } from "../numerics/storage_bound.ts";
import { type Layer, type LayerConfig, LayerStack, type SealedLayer } from "../write/layers.ts";
import type { FrozenRows } from "../write/frozen_rows.ts";
import { type FlushPolicy, Planner } from "./planner.ts";
import type { MirrorPlaces } from "./mirror.ts";
import { StaleAnswers, type StaleAttentionOutput, type StaleWanted } from "./stale_answers.ts";
import { StandingQueries } from "./standing_queries.ts";
import type { PendingEdits, Threshold } from "./threshold.ts";
import { TurnQueue } from "./turn_queue.ts";

/** The parts of an engine that its pipeline depends on. */
export interface PipelineConfig extends LayerConfig {
  readonly backend: Backend;
  readonly rule: ScoreRule;
  readonly policy: FlushPolicy;
  readonly threshold: Threshold;
}

/** Copies of answers that are kept near to exact. */
export interface Followed {
  /**
   * Makes copies anew that may be further than `error` from exact. Returns the query slots whose copies have
   * changed.
   */
  refresh(
    operation: string,
    slots: Uint32Array,
    error: number,
    places: MirrorPlaces,
    errors?: LargestErrors | null,
  ): Promise<Uint32Array<ArrayBuffer>>;
  /** Writes the bounds of the last refresh, if they are not written yet. */
  settle(): void;
  /** How many changed key slots the oldest copy of these query slots does not include. */
  pendingOf(slots: Uint32Array): number;
  release(): void;
}

/** The state of an engine in the turn of a question. */
export interface Turn {
  /** Stores all keys, and the query slots asked for, as they were at the call. */
  readonly backend: Backend;
  /** Exact attention of the query slots asked for; at once where it was given by their update. */
  read(wanted?: Wanted): AttentionOutput | Promise<AttentionOutput>;
}

/** Stored rows that are being copied. */
export interface FrozenStore {
  readonly keys: FrozenRows;
  readonly queries: FrozenRows;
}

/** Counts since an engine was made. */
export interface PipelineCounts {
  /** Edits accepted. */
  written: number;
  /** Edits 1 to `applied` are in every answer. */
  applied: number;
  /** Changed slots stored. */
  changesStored: number;
  /** Milliseconds spent reading. */
  readMs: number;
}

/** The layers, the standing queries and the queue of one engine. */
export class EditPipeline {
  readonly counts: PipelineCounts = {
    written: 0,
    applied: 0,
    changesStored: 0,
    readMs: 0,
  };
  readonly queries: StandingQueries;
  readonly #config: PipelineConfig;
  readonly #backend: Backend;
  readonly #layers: LayerStack;
  readonly #queue: TurnQueue;
  readonly #stale: StaleAnswers;
  /** What is being copied, and until when. */
  readonly #frozen = new Set<FrozenStore>();
  readonly #copies = new Set<Promise<unknown>>();
  /** No answer, not even a stale one, is older than this epoch. */
  #floor = 0;
  #lastStored: Pick<SealedLayer, "number" | "written"> | null = null;
  /** The operation of the present turn, for errors. */
  #operation = "";
  /** Flushes at a threshold that have not ended. */
  #ownFlushes = 0;
  /** Whether one of them was refused memory, so that the next stale answer catches up in its stead. */
  #owesFlush = false;
  /** The time of the first pending edit; null when none is pending. */
  #waitingSince: number | null = null;

  constructor(config: PipelineConfig) {
    const { backend, mask } = config;
    this.#config = config;
    this.#backend = backend;
    this.#layers = new LayerStack(config, backend);
    this.#queue = new TurnQueue(backend);
    const planner = new Planner(config.policy, backend);
    // A mask function, or an edited mask, may say something else of a row that equals an earlier one.
    const saysAnew = mask !== null && (mask.isFunction || mask.isEditable);
    this.queries = new StandingQueries(config, planner, !saysAnew);
    const bringUp = (slots: Uint32Array, ahead?: Ahead) => this.#bringUp(slots, ahead);
    this.#stale = new StaleAnswers({
      backend,
      layout: config.layout,
      scale: config.rule.scale,
      queries: this.queries,
      planner,
      threshold: config.threshold,
      bringUp,
    });
  }

  /** The newest rows. Single edits are written here; `noteEdits` counts them afterwards. */
  get newest(): Layer {
    return this.#layers.top;
  }

  /** Changed slots that some state does not include yet. */
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

  /** Counts edits that were written, and flushes when the threshold is reached. */
  noteEdits(count: number): void {
    this.counts.written += count;
    this.#flushAtThreshold();
  }

  /** Brings every state up to date; "rebuild" computes all of them from scratch. */
  flush(operation: string, plan?: "rebuild"): Promise<void> {
    return this.#answer(() => this.#flush(operation, { fromScratch: plan === "rebuild" }));
  }

  /** Exact attention of query slots. */
  read(operation: string, slots: Uint32Array, wanted: Wanted): Promise<AttentionOutput> {
    return this.ask(operation, slots, (turn) => turn.read(wanted));
  }

  /** Asks any question about the query slots `slots` and all keys, as of the call. */
  ask<T>(operation: string, slots: Uint32Array, ask: (turn: Turn) => T | Promise<T>): Promise<T> {
    const read = (wanted = WHOLE) => {
      const ahead: Ahead = { wanted, given: null };
      const running = this.#bringUp(slots, ahead);
      if (ahead.given) return ahead.given;
      const answer = () => this.#timedRead(() => this.queries.read(slots, wanted));
      return running ? running.then(answer) : answer();
    };
    return this.#ask(operation, slots, () => ask({ backend: this.#backend, read }));
  }

  /** Exact attention of passing queries. */
  attend(operation: string, queries: PassingQueries): Promise<AttentionOutput> {
    return this.#ask(operation, NO_SLOTS, () => this.#timedRead(() => this.#backend.attend(queries)));
  }

  /** Exact weights of one head of a query slot. */
  weights(operation: string, slot: number, head: number): Promise<Float32Array<ArrayBuffer>> {
    const slotCount = this.#config.keySlots.size;
    const ask = () => this.#timedRead(() => this.#backend.weights(slot, head, slotCount));
    return this.#ask(operation, Uint32Array.of(slot), ask);
  }

  /**
   * Attention of query slots by states that may lag; those whose error is above the limit are brought up to
   * date.
   */
  peek(
    operation: string,
    slots: Uint32Array,
    wanted: StaleWanted,
    errors: LargestErrors | null = null,
  ): Promise<StaleAttentionOutput> {
    const read = () => this.#timedRead(() => this.#stale.answer(slots, this.#floor, wanted, errors));
    const answer = async () => {
      if (this.#owesFlush) await this.#bringUp(this.queries.all());
      return await read();
    };
    return this.#answer(() => {
      // A flush that runs does not include edits that were made since.
      this.#flushAtThreshold({ alsoDuringAnother: true });
      this.#tellThreshold();
      this.#layers.seal(this.counts.written, slots);
      return this.#inTurn(operation, answer);
    });
  }

  /** Stores the edits made so far; when the call returns, the mask has been asked about them. */
  store(operation: string): Promise<void> {
    this.#layers.seal(this.counts.written);
    const stored = this.#inTurn(operation, () => Promise.resolve());
    this.#layers.askMask();
    return stored;
  }

  /**
   * Freezes what the backend stores when every state is up to date and no later edit is stored yet, and
   * copies it while other turns run.
   */
  async copy<F extends FrozenStore, T>(
    operation: string,
    freeze: () => Promise<F>,
    copy: (frozen: F) => Promise<T>,
  ): Promise<T> {
    const { copied } = await this.#whenCurrent(operation, async () => {
      const frozen = await freeze();
      this.#frozen.add(frozen);
      const copied = copy(frozen).finally(() => this.#frozen.delete(frozen));
      this.#copies.add(copied);
      copied.catch(ignore).then(() => this.#copies.delete(copied));
      return { copied };
    });
    try {
      return await copied;
    } catch (cause) {
      throw this.#queue.toError(operation, cause);
    }
  }

  #whenCurrent<T>(operation: string, ask: () => Promise<T>): Promise<T> {
    return this.#answer(() => {
      // A failure of the flush reaches the turn behind it.
      this.#flush(operation).catch(ignore);
      return this.#queue.enqueue(operation, () => {
        this.#stale.reset();
        return ask();
      });
    });
  }

  /** Bytes that stale answers hold. */
  get bytes(): number {
    return this.#stale.bytes;
  }

  /**
   * Copies of answers, which `refresh` keeps near to exact, by following drift while that pays, or always;
   * memory is held for them until they are released.
   */
  follow(isAlways: boolean): Followed {
    const copies = this.#stale.hold(isAlways), { mirror } = copies;
    return {
      refresh: (operation, slots, error, places, errors = null) => {
        return this.#ask(operation, slots, async () => {
          const { changed } = await copies.refresh(slots, error, places);
          this.#stale.noteRefreshed(copies);
          if (errors !== null) {
            // They are of the newest rows at the call.
            mirror.settle();
            this.#stale.addStorage(slots, places.bounds, errors);
          }
          return changed;
        });
      },
      settle: () => mirror.settle(),
      pendingOf: (slots) => mirror.lagOf(slots).pending,
      release: () => this.#stale.release(copies),
    };
  }

  /**
   * Replaces the backend; pending edits stay pending. A move is the remedy for a failure: earlier failures
   * neither stop it nor reach a later call.
   */
  move(operation: string, move: () => Promise<void>): Promise<void> {
    const takePlace = async () => {
      await move();
      // Copies have the bits of the backend before.
      this.#stale.forget();
      this.queries.allReached();
      this.#settle();
      this.#queue.clearFailure();
    };
    return this.#queue.enqueue(operation, takePlace, true);
  }

  /**
   * Refuses new turns, flushes at a threshold included, waits for the queued ones and gives the backend back.
   */
  async dispose(): Promise<void> {
    await this.#queue.close();
    await Promise.allSettled(this.#copies);
    await this.#backend.dispose();
  }

  /**
   * Asks the backend when the edits made so far are stored: all edits of keys, and those of the query slots
   * asked for.
   */
  #ask<T>(operation: string, slots: Uint32Array, ask: () => T | Promise<T>): Promise<T> {
    return this.#answer(() => {
      this.#layers.seal(this.counts.written, slots);
      return this.#inTurn(operation, ask);
    });
  }

  /**
   * Begins an answer for a caller. When the call returns, the mask has been asked about all edits before it.
   */
  #answer<T>(ask: () => Promise<T>): Promise<T> {
    return this.#queue.tell(() => {
      this.#tellThreshold();
      const answer = ask();
      this.#layers.askMask();
      return answer;
    });
  }

  /**
   * Brings every state up to date. Deleted rows are forgotten when a caller asks for it, not at each
   * threshold.
   */
  #flush(operation: string, { fromScratch = false, forgets = true } = {}): Promise<void> {
    const { written } = this.counts;
    this.#sealAll();
    return this.#inTurn(operation, async () => {
      if (fromScratch) await this.#orFailAll(() => this.queries.rebuild());
      else await this.#bringUp(this.queries.all());
      if (forgets) {
        this.#stale.forget();
        await this.#orFailAll(() => this.queries.forget());
      }
      this.#settle();
      this.counts.applied = written;
    });
  }

  /** Ensures that no later answer is older than this call. */
  #raiseFloor(operation: string): Promise<void> {
    const { written } = this.counts;
    this.#sealAll();
    return this.#inTurn(operation, () => {
      this.#settle();
      this.counts.applied = written;
      return Promise.resolve();
    });
  }

  /** Seals all edits for a turn after which every answer includes them. */
  #sealAll(): void {
    this.#layers.seal(this.counts.written);
    this.#layers.settle();
    this.#waitingSince = null;
  }

  /** Queues a turn that stores the layers sealed so far and then runs `run`. */
  #inTurn<T>(operation: string, run: () => T | Promise<T>): Promise<T> {
    const last = this.#layers.layersSealed;
    return this.#queue.enqueue(operation, () => {
      this.#operation = operation;
      const layer = this.#layers.sealedUpTo(last);
      const storing = layer && this.#store(layer);
      return storing ? storing.then(run) : run();
    });
  }

  /**
   * Runs a part of a turn on which the turns behind it build. When it fails, they fail with it, and edits
   * that are not stored become pending again. A refusal of memory fails this turn alone: the next one tries
   * again, with edits that may have deleted rows. So memory is refused to an answer only if its own part
   * takes too much.
   */
  #orFailAll(run: () => Promise<void> | null): Promise<void> | null {
    try {
      const running = run();
      return running && running.catch((cause) => this.#failAll(cause));
    } catch (cause) {
      this.#failAll(cause);
    }
  }

  #failAll(cause: unknown): never {
    const failure = this.#queue.toError(this.#operation, cause);
    if (failure instanceof CapacityError) {
      this.#layers.waitAgain();
      if (this.#ownFlushes > 0) this.#owesFlush = true;
      throw failure;
    }
    this.#layers.putBack();
    this.#queue.failAll(failure);
    throw failure;
  }

  /** Stores the lowest sealed layer, which may be empty by now; null when it is done. */
  #store(layer: SealedLayer): Promise<void> | null {
    const { keys, queries } = layer;
    const keySlots = keys.view().slots, querySlots = queries.view().slots;
    if (keys.size + queries.size > 0) {
      const storing = this.#orFailAll(() => {
        for (const frozen of this.#frozen) {
          for (const slot of keySlots) frozen.keys.keep(slot);
          for (const slot of querySlots) frozen.queries.keep(slot);
        }
        return this.queries.store(keySlots, querySlots, () => this.#layers.changesOf(layer));
      });
      if (storing) return storing.then(() => this.#stored(layer, keySlots, querySlots) ?? undefined);
    }
    return this.#stored(layer, keySlots, querySlots);
  }

  #stored(
    { keys, queries, number, written }: SealedLayer,
    keySlots: Uint32Array,
    querySlots: Uint32Array,
  ): Promise<void> | null {
    this.#lastStored = { number, written };
    this.#stale.noteStored(keySlots, querySlots);
    this.counts.changesStored += keys.size + queries.size;
    this.#layers.stored();
    return this.queries.isHistoryLong ? this.#orFailAll(() => this.queries.limitHistory()) : null;
  }

  /** Brings query slots up to date; null when it is done. */
  #bringUp(slots: Uint32Array, ahead: Ahead | null = null): Promise<void> | null {
    const running = this.#orFailAll(() => this.queries.bringUp(slots, ahead));
    if (running) return running.then(() => this.#broughtUp());
    this.#broughtUp();
    return null;
  }

  #broughtUp(): void {
    if (this.queries.areCurrent) this.#settle();
  }

  /** Notes that every state includes all that is stored, or is brought up to date before it answers. */
  #settle(): void {
    this.#floor = this.queries.epoch;
    this.#owesFlush = false;
    if (!this.#lastStored) return;
    this.#layers.settle(this.#lastStored.number);
    this.counts.applied = this.#lastStored.written ?? this.counts.applied;
    if (this.#layers.waitingKeys + this.#layers.waitingQueries === 0) this.#waitingSince = null;
  }

  /**
   * Throws the failure of a threshold function that was asked after an edit; the edit itself was accepted.
   */
  #tellThreshold(): void {
    const failure = this.#config.threshold.takeFailure();
    if (failure) throw failure;
  }

  #flushAtThreshold({ alsoDuringAnother = false } = {}): void {
    if (this.#queue.isClosed || (this.#ownFlushes > 0 && !alsoDuringAnother)) return;
    const pending = this.#pendingEdits();
    if (pending.edits === 0 || !this.#config.threshold.isReached(pending)) return;
    this.#ownFlushes++;
    const operation = "DynamicAttention.flush";
    const flushed = this.#config.policy === "auto"
      ? this.#raiseFloor(operation)
      : this.#flush(operation, { forgets: false });
    flushed.then(
      () => {
        this.#ownFlushes--;
        this.#flushAtThreshold();
      },
      () => {
        this.#ownFlushes--;
      },
    );
  }

  #pendingEdits(): PendingEdits {
    const { keySlots, querySlots } = this.#config;
    const keys = this.#layers.waitingKeys, queries = this.#layers.waitingQueries;
    const edits = keys + queries;
    let ageMs = 0;
    if (edits === 0) this.#waitingSince = null;
    else if (this.#waitingSince === null) this.#waitingSince = performance.now();
    else ageMs = performance.now() - this.#waitingSince;
    return { edits, keys, queries, ageMs, keyCount: keySlots.count, queryCount: querySlots.count };
  }

  async #timedRead<T>(read: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await read();
    this.counts.readMs += performance.now() - start;
    return result;
  }
}

const NO_SLOTS = new Uint32Array(0);

function ignore(): void {}
