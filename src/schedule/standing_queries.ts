/**
 * The standing queries of one engine: the epoch of each one's state, how a state is brought up to date, and
 * what it answers.
 *
 * Keys are stored as they are edited. The state of a query slot lags behind until the slot is asked for, and
 * then catches up with the keys that changed since its epoch, or is computed from scratch, whichever is
 * cheaper.
 */

import type { Ahead, AttentionOutput, Backend, Changes, Cohort, Wanted } from "../backends/backend.ts";
import { type HeadLayout, keyColumns, valueColumns } from "../numerics/head_layout.ts";
import { NOTHING } from "../backends/since.ts";
import type { SlotTable } from "../write/slot_table.ts";
import type { LookTime } from "./bound_choice.ts";
import { CohortAnswers } from "./cohort_answers.ts";
import { KeyHistory, type Standing } from "./key_history.ts";
import type { Planner, Sizes } from "./planner.ts";
import { withCompanions } from "./query_groups.ts";

/** The parts of an engine that its standing queries depend on. */
export interface StandingConfig {
  readonly backend: Backend;
  readonly layout: HeadLayout;
  readonly keySlots: SlotTable;
  readonly querySlots: SlotTable;
}

/** A batch that is being stored. */
interface StoredBatch {
  readonly keys: Uint32Array;
  readonly queries: Uint32Array;
  readonly retained: Uint32Array;
  readonly dropped: Uint32Array;
  /** How many of the query slots were live before. */
  readonly liveBefore: number;
}

/** How far the states behind an answer lag behind the stored keys. */
export interface Lag {
  /** Changed keys that the oldest state does not include. */
  readonly pending: number;
  /** The epoch of the oldest state. */
  readonly epoch: number;
}

/** The query slots of one engine, over its backend. */
export class StandingQueries {
  /** How often every state was computed from scratch. */
  rebuilds = 0;
  /** Milliseconds spent bringing states up to date. */
  applyMs = 0;
  readonly #config: StandingConfig;
  readonly #backend: Backend;
  readonly #planner: Planner;
  readonly #history: KeyHistory;
  /** Live query slots at the backend. */
  #count: number;
  /** The live query slots, until one is inserted or deleted; only questions about all of them list them. */
  #all: Uint32Array | null = null;

  /** The query slots that were sorted last, and the history's count of changes at that time. */
  #sorted: { readonly slots: Uint32Array; readonly changes: number; readonly standing: Standing } | null =
    null;

  /** With `forgetsUndone`, a key slot that holds its earlier row again counts as unchanged. */
  constructor(config: StandingConfig, planner: Planner, forgetsUndone: boolean) {
    const { backend, layout } = config;
    this.#config = config;
    this.#backend = backend;
    this.#planner = planner;
    this.#history = new KeyHistory(backend, keyColumns(layout) + valueColumns(layout), forgetsUndone);
    const all = this.all();
    this.#count = all.length;
    this.#history.reach(all);
  }

  /** Batches stored. */
  get epoch(): number {
    return this.#history.epoch;
  }

  /** Query slots whose states lack a stored key. */
  get behind(): number {
    return this.#count - this.#history.currentCount;
  }

  /** Whether every state includes all stored keys. */
  get areCurrent(): boolean {
    return this.#history.isCurrent && this.behind === 0;
  }

  /** Replaced rows of keys that the backend retains for states that still hold them. */
  get retained(): number {
    return this.#history.retainedCount;
  }

  /** The query slots that are live at the backend, ascending. */
  all(): Uint32Array {
    return this.#all ??= this.#listAll();
  }

  #listAll(): Uint32Array {
    const { querySlots } = this.#config;
    const slots = new Uint32Array(querySlots.size);
    let count = 0;
    for (let slot = 0; slot < querySlots.size; slot++) {
      if (this.#backend.queries.isLive(slot)) slots[count++] = slot;
    }
    return slots.subarray(0, count);
  }

  /** The query slots among `slots` whose states are older than `epoch`, or missing. */
  olderThan(epoch: number, slots: Uint32Array): Uint32Array {
    for (let at = 0; at < slots.length; at++) {
      if (this.#history.epochOf(slots[at]) < epoch) {
        return slots.filter((slot) => this.#history.epochOf(slot) < epoch);
      }
    }
    return NO_SLOTS;
  }

  /**
   * Stores a batch that changes the key slots `keys` and the query slots `queries`, all of it or nothing. null
   * when it is done; it may throw instead of rejecting.
   */
  store(keys: Uint32Array, queries: Uint32Array, toChanges: () => Changes): Promise<void> | null {
    const dropped = this.#history.takeFreed();
    const retained = this.#history.prepare(keys);
    const liveBefore = this.#liveAmong(queries);
    try {
      const storing = this.#backend.store(toChanges(), retained, dropped);
      if (storing) return this.#stored(storing, { keys, queries, retained, dropped, liveBefore });
    } catch (cause) {
      this.#history.abandon(retained, dropped);
      throw cause;
    }
    this.#noteStored(keys, queries, retained, liveBefore);
    return null;
  }

  async #stored(storing: Promise<void>, batch: StoredBatch): Promise<void> {
    try {
      await storing;
    } catch (cause) {
      this.#history.abandon(batch.retained, batch.dropped);
      throw cause;
    }
    this.#noteStored(batch.keys, batch.queries, batch.retained, batch.liveBefore);
  }

  #noteStored(keys: Uint32Array, queries: Uint32Array, retained: Uint32Array, liveBefore: number): void {
    this.#history.commit(keys, retained, queries);
    if (queries.length === 0) return;
    this.#all = null;
    this.#count += this.#liveAmong(queries) - liveBefore;
  }

  /** Forgets deleted keys and queries; every state must be up to date. */
  async forget(): Promise<void> {
    await this.#backend.forget(this.#history.takeFreed());
  }

  /**
   * Brings states up to date, each in the cheaper way. After a failure they are computed anew when next asked
   * for. null when it is done; it may throw instead of rejecting. `ahead` is an answer of these query slots,
   * which may be given on the way.
   */
  bringUp(slots: Uint32Array, ahead: Ahead | null = null): Promise<void> | null {
    if (slots.length === 0) return null;
    const { missing, cohorts } = this.#history.standing(this.#withCompanions(slots));
    const sizes = this.#sizes();
    const build = [missing], patch: Cohort[] = [];
    for (const cohort of cohorts) {
      const changes = cohort.since.slots.length;
      if (changes === 0) this.#history.reach(cohort.queries);
      else if (this.#planner.plan(sizes, changes) === "patch") patch.push(this.#inSlotOrder(cohort));
      else build.push(cohort.queries);
    }
    return this.#update(joined(build), patch, patch[0]?.queries === slots ? ahead : null);
  }

  /** Computes every state from scratch. */
  async rebuild(): Promise<void> {
    const slots = this.all();
    await this.#update(slots, []);
    if (slots.length === 0) this.rebuilds++;
  }

  /** Notes that every query slot has a state of the newest epoch, whatever computed it. */
  allReached(): void {
    this.#history.reach(this.all());
  }

  /** Whether the past takes more memory than it should. */
  get isHistoryLong(): boolean {
    const { isGrown, retainedCount } = this.#history;
    return isGrown || retainedCount > this.#planner.retainedLimit(this.#sizes());
  }

  /**
   * Bounds the memory of the past: states that have missed too much are computed anew when next asked for.
   */
  async limitHistory(): Promise<void> {
    const history = this.#history;
    const sizes = this.#sizes();
    const breakEven = this.#planner.breakEven(sizes), limit = this.#planner.retainedLimit(sizes);
    history.clearUp();
    history.loseBehind(breakEven);
    // Many epochs share the rest. A state that has missed little catches up, for no more than it would have
    // cost.
    while (history.retainedCount > limit) {
      const cohort = history.oldest();
      if (!cohort) return;
      if (cohort.since.slots.length >= breakEven / 2) history.lose(cohort.queries);
      else await this.#update(NO_SLOTS, [this.#inSlotOrder(cohort)]);
    }
  }

  /**
   * The cost, in multiply-adds, of bringing `count` query slots up to date that have missed `changes` changed
   * keys.
   */
  costOf(count: number, changes: number): number {
    return count * this.#config.layout.heads * this.#planner.cost(this.#sizes(), changes);
  }

  /** The cost of bringing these query slots up to date now. */
  owed(slots: Uint32Array): number {
    let sum = 0;
    for (const { queries, since } of this.#standing(slots).cohorts) {
      sum += this.costOf(queries.length, since.slots.length);
    }
    return sum;
  }

  /** The cost of computing every state from scratch. */
  get buildCost(): number {
    return this.#count * this.#config.layout.heads * this.#planner.buildCost(this.#sizes());
  }

  /** n, live keys. */
  get keyCount(): number {
    return this.#config.keySlots.count;
  }

  /** The cost of a score for every query slot and each of some keys. */
  scoringCost(keyCount: number): number {
    const { heads, headDim } = this.#config.layout;
    return this.#count * heads * headDim * keyCount;
  }

  /** How far the states of these query slots lag. */
  lagOf(slots: Uint32Array): Lag {
    let pending = 0, oldest = this.epoch;
    for (const { since, epoch } of this.#standing(slots).cohorts) {
      pending = Math.max(pending, since.slots.length);
      oldest = Math.min(oldest, epoch);
    }
    return { pending, epoch: oldest };
  }

  /** A bound for each query slot on the distance of its state's answer from the exact one. */
  certify(slots: Uint32Array): Promise<Float64Array<ArrayBuffer>> {
    const { cohorts } = this.#standing(slots);
    if (cohorts.length === 1 && cohorts[0].queries.length === slots.length) {
      return this.#backend.certify(cohorts[0]);
    }
    return this.#certifyParts(slots, cohorts);
  }

  async #certifyParts(slots: Uint32Array, cohorts: readonly Cohort[]): Promise<Float64Array<ArrayBuffer>> {
    const bounds = new Float64Array(slots.length);
    const answers = new CohortAnswers(slots);
    for (const cohort of cohorts) {
      answers.place(bounds, cohort.queries, await this.#backend.certify(cohort));
    }
    return bounds;
  }

  /** Bounds as those of `certify`, by drift; Infinity where they would be above `limit`. */
  drift(slots: Uint32Array, limit: number): Promise<Float64Array<ArrayBuffer>> {
    const { cohorts } = this.#standing(slots);
    if (cohorts.length === 1 && cohorts[0].queries.length === slots.length) {
      return this.#backend.drift(cohorts[0], limit);
    }
    return this.#driftParts(slots, cohorts, limit);
  }

  /** Bounds by drift that query slots have once they are up to date; they need not be. */
  settledDrift(slots: Uint32Array, limit: number): Promise<Float64Array<ArrayBuffer>> {
    return this.#backend.drift({ queries: slots, since: NOTHING }, limit);
  }

  async #driftParts(
    slots: Uint32Array,
    cohorts: readonly Cohort[],
    limit: number,
  ): Promise<Float64Array<ArrayBuffer>> {
    const bounds = new Float64Array(slots.length);
    const answers = new CohortAnswers(slots);
    for (const cohort of cohorts) {
      answers.place(bounds, cohort.queries, await this.#backend.drift(cohort, limit));
    }
    return bounds;
  }

  /** Attention of query slots by their states as they are. */
  read(slots: Uint32Array, wanted: Wanted): Promise<AttentionOutput> {
    const { cohorts } = this.#standing(slots);
    if (cohorts.length === 1 && cohorts[0].queries.length === slots.length) {
      return this.#backend.read(cohorts[0], wanted);
    }
    return this.#backend.read({ queries: slots, since: NOTHING }, wanted, cohorts);
  }

  /**
   * Brings query slots up to date that have left the others in small groups, so that few epochs are left among
   * `slots`: from the newest on, a group joins those before it while it has no more query slots than they have
   * together. So the number of groups stays below the logarithm of that of the query slots, and each query slot
   * is brought up to date that often, while exact answers would bring up all of them each time.
   */
  gathered(slots: Uint32Array): Uint32Array {
    const { cohorts } = this.#standing(slots);
    if (cohorts.length <= FEW_COHORTS) return NO_SLOTS;
    const sorted = [...cohorts].sort((one, other) => other.epoch - one.epoch);
    let count = sorted[0].queries.length, end = 1;
    while (end < sorted.length && sorted[end].queries.length <= count) count += sorted[end++].queries.length;
    return end === 1 ? NO_SLOTS : joined(sorted.slice(0, end).map(({ queries }) => queries)).sort();
  }

  /**
   * Nanoseconds, by constants, that bounds of query slots would take; that bringing the slots up to date and bounds of
   * their new states would; and that it would if all but the last `changed` changed key slots were in their states.
   */
  boundTimes(slots: Uint32Array, changed = 0): LookTime {
    const { heads, valueDim } = this.#config.layout;
    const { multiplyAdd, updated, look, taken, certified: each } = this.#backend.costs.times;
    const { cohorts } = this.#standing(slots), ofRow = heads * (valueDim * updated + taken + each);
    const timeOf = (count: number, changes: number) => {
      return changes === 0 ? 0 : this.costOf(count, changes) * multiplyAdd + count * ofRow;
    };
    let certified = (cohorts.length - 1) * Math.min(look, COHORT_SLOT * slots.length),
      exact = 0,
      exactEachLook = 0;
    for (const cohort of cohorts) {
      const count = cohort.queries.length, changes = cohort.since.slots.length;
      certified += this.#backend.certifyTime(cohort);
      exact += timeOf(count, changes);
      exactEachLook += timeOf(count, Math.min(changes, changed));
    }
    return { certified, exact, exactEachLook };
  }

  /** Sorts query slots by epoch, once for all parts of a question: they pass the same array. */
  #standing(slots: Uint32Array): Standing {
    const { changes } = this.#history;
    if (this.#sorted?.slots !== slots || this.#sorted.changes !== changes) {
      this.#sorted = { slots, changes, standing: this.#history.standing(slots) };
    }
    return this.#sorted.standing;
  }

  /**
   * The same cohort with its changes in the order of their slots: the bits of a sum must not depend on the
   * order of the batches, which depends on reads of other query slots.
   */
  #inSlotOrder({ queries, since }: Cohort): Cohort {
    return { queries, since: this.#history.inSlotOrder(since) };
  }

  #liveAmong(queries: Uint32Array): number {
    let count = 0;
    for (const slot of queries) if (this.#backend.queries.isLive(slot)) count++;
    return count;
  }

  #withCompanions(slots: Uint32Array): Uint32Array {
    const { rowsTogether } = this.#backend.costs;
    if (rowsTogether === 1 || slots.length === this.#count) return slots;
    return withCompanions(slots, rowsTogether, this.epoch, {
      isLive: (slot) => this.#backend.queries.isLive(slot),
      epochOf: (slot) => this.#history.epochOf(slot),
    });
  }

  #update(
    build: Uint32Array,
    patch: readonly Cohort[],
    ahead: Ahead | null = null,
  ): Promise<void> | null {
    if (build.length + patch.length === 0) return null;
    const start = performance.now();
    const queries = build.length === 0 && patch.length === 1
      ? patch[0].queries
      : joined([build, ...patch.map((cohort) => cohort.queries)]);
    try {
      const updating = this.#backend.update(build, patch, ahead);
      if (updating) return this.#updateRest(updating, queries, build, start);
    } catch (cause) {
      this.#history.lose(queries);
      throw cause;
    }
    this.#updated(queries, build, start);
    return null;
  }

  async #updateRest(
    updating: Promise<void>,
    queries: Uint32Array,
    build: Uint32Array,
    start: number,
  ): Promise<void> {
    try {
      await updating;
    } catch (cause) {
      this.#history.lose(queries);
      throw cause;
    }
    this.#updated(queries, build, start);
  }

  #updated(queries: Uint32Array, build: Uint32Array, start: number): void {
    this.#history.reach(queries);
    this.applyMs += performance.now() - start;
    if (build.length > 0 && build.length === this.#count) this.rebuilds++;
  }

  #sizes(): Sizes {
    const { layout: { headDim, valueDim }, keySlots } = this.#config;
    return { keyCount: keySlots.count, headDim, valueDim };
  }
}

const NO_SLOTS = new Uint32Array(0);
/** This many epochs among the query slots of a question are left as they are. */
const FEW_COHORTS = 12;
/** Nanoseconds that an epoch more takes in certificates, for each query slot, and at most those of a look. */
const COHORT_SLOT = 40;

function joined(parts: readonly Uint32Array[]): Uint32Array {
  let only: Uint32Array | null = null, count = 0;
  for (const part of parts) {
    if (part.length === 0) continue;
    only = part;
    count++;
  }
  if (count <= 1) return only ?? NO_SLOTS;
  const all = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
