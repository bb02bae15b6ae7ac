/**
 * The standing rows of one engine: which moment each is of, how it is brought up to date, and what it answers.
 *
 * A row is one query with all its heads. Keys are stored as they come; the states of rows lag behind until they are
 * asked for, and then catch up by what has changed since their own moment or from scratch, whichever is cheaper.
 */

import type { Backend, Changes, Cohort, Readout } from "../backends/backend.ts";
import { type HeadLayout, keyColumns, valueColumns } from "../numerics/head_layout.ts";
import { CohortAnswers } from "./cohort_answers.ts";
import { KeyHistory } from "./key_history.ts";
import type { Planner, Sizes } from "./planner.ts";
import { withCompanions } from "./row_groups.ts";
import type { SlotTable } from "../write/slot_table.ts";

/** What rows are made of. */
export interface RowsConfig {
  readonly backend: Backend;
  readonly layout: HeadLayout;
  readonly keySlots: SlotTable;
  readonly querySlots: SlotTable;
}

/** How far the rows of an answer lag. */
export interface Lag {
  /** Changed keys that the row that has missed the most does not know of. */
  readonly pending: number;
  /** The version of the oldest row. */
  readonly version: number;
}

/** The rows of one engine over its backend. */
export class StandingRows {
  /** Times that every row was computed from scratch. */
  rebuilds = 0;
  /** Milliseconds spent bringing rows up to date. */
  applyMs = 0;
  readonly #config: RowsConfig;
  readonly #backend: Backend;
  readonly #planner: Planner;
  readonly #history: KeyHistory;
  /** How many rows there are at the backend. */
  #count: number;
  /** Their slots, until queries come or go; only what is about all of them lists them. */
  #all: Uint32Array | null = null;

  /** `forgetsUndone`: a key that holds what it held before is as if it had never changed. */
  constructor(config: RowsConfig, planner: Planner, forgetsUndone: boolean) {
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
  get version(): number {
    return this.#history.version;
  }

  /** Rows that do not know all stored keys. */
  get behind(): number {
    return this.#count - this.#history.currentCount;
  }

  /** Whether every row knows all stored keys. */
  get areCurrent(): boolean {
    return this.#history.isCurrent && this.behind === 0;
  }

  /** Replaced rows of keys that are kept for rows that hold them still. */
  get kept(): number {
    return this.#history.keptCount;
  }

  /** Query slots that hold a row at the backend. */
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

  /** Those of some rows that are of a moment before `version`, or have no state. */
  olderThan(version: number, rows: Uint32Array): Uint32Array {
    return rows.filter((row) => this.#history.versionOf(row) < version);
  }

  /** Stores changes, of which the key slots are these; all or nothing. `toChanges` may throw. */
  async store(slots: Uint32Array, queries: Uint32Array, toChanges: () => Changes): Promise<void> {
    const dropped = this.#history.takeFreed();
    const kept = this.#history.prepare(slots);
    const liveBefore = this.#liveAmong(queries);
    try {
      await this.#backend.store(toChanges(), kept, dropped);
    } catch (cause) {
      this.#history.abandon(kept, dropped);
      throw cause;
    }
    this.#history.commit(slots, kept, queries);
    if (queries.length === 0) return;
    this.#all = null;
    this.#count += this.#liveAmong(queries) - liveBefore;
  }

  /** Forgets keys and queries that are gone, when all rows are up to date. */
  async forget(): Promise<void> {
    await this.#backend.forget(this.#history.takeFreed());
  }

  /** Brings rows up to date, each in the way that is cheaper; when it fails, they are computed anew next time. */
  async bringUp(rows: Uint32Array): Promise<void> {
    const { missing, cohorts } = this.#history.standing(this.#withCompanions(rows));
    const sizes = this.#sizes();
    const build = [missing], patch: Cohort[] = [];
    for (const cohort of cohorts) {
      const changes = cohort.since.slots.length;
      if (changes === 0) this.#history.reach(cohort.queries);
      else if (this.#planner.plan(sizes, changes) === "patch") patch.push(inSlotOrder(cohort));
      else build.push(cohort.queries);
    }
    await this.#update(joined(build), patch);
  }

  /** Computes every row from scratch. */
  async rebuild(): Promise<void> {
    const rows = this.all();
    await this.#update(rows, []);
    if (rows.length === 0) this.rebuilds++;
  }

  /** All rows have a state of the present moment, however they came by it. */
  allReached(): void {
    this.#history.reach(this.all());
  }

  /** Keeps the past from growing: rows that have missed too much are computed anew when they are next asked for. */
  async limitHistory(): Promise<void> {
    const history = this.#history;
    const sizes = this.#sizes();
    const breakEven = this.#planner.breakEven(sizes), limit = this.#planner.keptLimit(sizes);
    if (!history.isGrown && history.keptCount <= limit) return;
    history.clearUp();
    history.loseBehind(breakEven);
    // Many moments share what is left. What has missed little catches up, for no more than it would have cost before.
    while (history.keptCount > limit) {
      const cohort = history.oldest();
      if (!cohort) return;
      if (cohort.since.slots.length >= breakEven / 2) history.lose(cohort.queries);
      else await this.#update(NO_ROWS, [inSlotOrder(cohort)]);
    }
  }

  /** What bringing up so many rows that have missed so many changes costs, in multiply-adds. */
  costOf(rowCount: number, changes: number): number {
    return rowCount * this.#config.layout.heads * this.#planner.cost(this.#sizes(), changes);
  }

  /** What bringing up these rows would cost now. */
  debtOf(rows: Uint32Array): number {
    return this.#history.standing(rows).cohorts.reduce(
      (sum, { queries, since }) => sum + this.costOf(queries.length, since.slots.length),
      0,
    );
  }

  /** How far rows lag. */
  lagOf(rows: Uint32Array): Lag {
    const { cohorts } = this.#history.standing(rows);
    return {
      pending: cohorts.reduce((most, { since }) => Math.max(most, since.slots.length), 0),
      version: cohorts.reduce((least, { version }) => Math.min(least, version), this.version),
    };
  }

  /** For each row, how far it can be from what it would be if it were up to date. */
  async certify(rows: Uint32Array): Promise<Float64Array<ArrayBuffer>> {
    const bounds = new Float64Array(rows.length);
    const { cohorts } = this.#history.standing(rows);
    const answers = new CohortAnswers(rows);
    for (const cohort of cohorts) {
      answers.place(bounds, cohort.queries, await this.#backend.certify(cohort), 1);
    }
    return bounds;
  }

  /** Attention of rows as they are. */
  async read(rows: Uint32Array): Promise<Readout> {
    const { cohorts } = this.#history.standing(rows);
    if (cohorts.length === 1 && cohorts[0].queries.length === rows.length) {
      return await this.#backend.read(cohorts[0]);
    }
    const { heads, valueDim } = this.#config.layout;
    const output = new Float32Array(rows.length * heads * valueDim);
    const logSumExp = new Float64Array(rows.length * heads);
    const answers = new CohortAnswers(rows);
    for (const cohort of cohorts) {
      const part = await this.#backend.read(cohort);
      answers.place(output, cohort.queries, part.output, heads * valueDim);
      answers.place(logSumExp, cohort.queries, part.logSumExp, heads);
    }
    return { output, logSumExp };
  }

  #liveAmong(queries: Uint32Array): number {
    let count = 0;
    for (const slot of queries) if (this.#backend.queries.isLive(slot)) count++;
    return count;
  }

  #withCompanions(rows: Uint32Array): Uint32Array {
    const { rowsTogether } = this.#backend.costs;
    if (rowsTogether === 1 || rows.length === this.#count) return rows;
    return withCompanions(rows, rowsTogether, this.version, {
      isLive: (row) => this.#backend.queries.isLive(row),
      versionOf: (row) => this.#history.versionOf(row),
    });
  }

  async #update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    if (build.length + patch.length === 0) return;
    const start = performance.now();
    const queries = joined([build, ...patch.map((cohort) => cohort.queries)]);
    try {
      await this.#backend.update(build, patch);
    } catch (cause) {
      this.#history.lose(queries);
      throw cause;
    }
    this.#history.reach(queries);
    this.applyMs += performance.now() - start;
    if (build.length > 0 && build.length === this.#count) this.rebuilds++;
  }

  #sizes(): Sizes {
    const { layout: { headDim, valueDim }, keySlots } = this.#config;
    return { keyCount: keySlots.count, headDim, valueDim };
  }
}

const NO_ROWS = new Uint32Array(0);

/**
 * A cohort whose changes are in the order of their slots: the bits of a sum must not depend on the order of batches, which
 * reads of other rows decide.
 */
function inSlotOrder({ queries, since }: Cohort): Cohort {
  const { slots, kept } = since;
  if (slots.every((slot, at) => at === 0 || slots[at - 1] < slot)) return { queries, since };
  const order = Uint32Array.from(slots.keys()).sort((a, b) => slots[a] - slots[b]);
  return { queries, since: { slots: order.map((at) => slots[at]), kept: order.map((at) => kept[at]) } };
}

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
