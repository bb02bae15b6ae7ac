/**
 * A backend over a store of states. It has the parts that all backends share: rows at the host, batches of
 * changes, answers, bounds, weights and snapshots. The store has the states and computes them.
 *
 * Invariant between calls: the rows at the host are authoritative. The state of a live query includes the
 * keys of one epoch and is trusted, unless the query was stored and has not been brought up to date since.
 */

import { CapacityError } from "../../base/errors.ts";
import { checkNumbers, type SavedArrays, takeNumbers } from "../../base/saved_array.ts";
import { type HeadLayout, outputColumns, queryColumns } from "../../numerics/head_layout.ts";
import { exponentOf, shiftedExp } from "../../numerics/power_shift.ts";
import { looksAtPositions, sinkOf } from "../../numerics/score_rule.ts";
import type { Extents } from "../../numerics/storage_bound.ts";
import type {
  Ahead,
  AttentionOutput,
  Backend,
  BackendConfig,
  Changes,
  Cohort,
  Copies,
  Costs,
  PassingBias,
  PassingQueries,
  RowSource,
  Wanted,
  Watched,
  Work,
} from "../backend.ts";
import { NO_ROW, NOTHING } from "../since.ts";
import { outputFor, WHOLE } from "../wanted.ts";
import { HostRows } from "./host_rows.ts";
import type { KeyBlock } from "./key_block.ts";
import type { KeysAt } from "./keys_at.ts";
import { RowAnswers } from "./row_answers.ts";
import type { RowTotals } from "./row_totals.ts";
import type { HeldRow, StateStore } from "./state_store.ts";

/** A backend whose states are in a store. */
export class HostBackend implements Backend {
  readonly reason: string;
  readonly keys: RowSource;
  readonly queries: RowSource;
  readonly retained: RowSource;
  readonly #config: BackendConfig;
  readonly #store: StateStore;
  readonly #rows: HostRows;
  readonly #answers: RowAnswers;
  #isDisposed = false;

  constructor(config: BackendConfig, store: StateStore) {
    this.#config = config;
    this.#store = store;
    this.reason = config.reason ?? "given by the caller";
    this.#rows = new HostRows(config, {
      layout: config.layout,
      maskHeads: config.maskHeads,
      columns: store.valueColumns,
      hasPositions: config.hasPositions ?? looksAtPositions(config.rule),
      makeTable: () => store.makeTable(),
    });
    store.attach(this.#rows);
    this.#answers = new RowAnswers(config, this.#rows, store);
    this.keys = this.#rows.stored;
    this.retained = this.#rows.retained;
    this.queries = this.#rows.queries;
  }

  get name(): string {
    return this.#store.name;
  }

  get costs(): Costs {
    return this.#store.costs;
  }

  get threads(): number {
    return this.#store.threads;
  }

  get deviceMs(): number | null {
    return this.#store.deviceMs;
  }

  get work(): Readonly<Work> {
    return this.#store.work;
  }

  bytes(): number {
    return this.#rows.bytes() + this.#answers.bytes() + this.#store.bytes();
  }

  store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): null {
    const { keys, queries } = changes;
    // Everything that can fail for want of memory comes before the first change.
    this.#reserve(changes, retained);
    this.#rows.drop(dropped);
    this.#answers.release(changes);
    for (let t = 0; t < keys.slots.length; t++) {
      if (retained[t] !== NO_ROW) this.#rows.retain(keys.slots[t], retained[t]);
    }
    this.#rows.stored.store(keys);
    this.#rows.storeQueries(queries);
    this.#store.change(changes, retained, dropped);
    this.#answers.include(changes);
    return null;
  }

  async forget(dropped: Uint32Array): Promise<void> {
    this.#rows.drop(dropped);
    if (dropped.length > 0) this.#store.change(NO_CHANGES, NO_SLOTS, dropped);
    const lost = this.#answers.forget();
    this.#answers.changeRows(lost);
    this.#store.lose(lost);
    await this.#store.forget();
  }

  update(build: Uint32Array, patch: readonly Cohort[], ahead: Ahead | null = null): Promise<void> | null {
    this.#answers.changeRows(build);
    for (const { queries } of patch) this.#answers.changeRows(queries);
    const running = ahead === null ? this.#store.update(build, patch) : this.#updateAhead(patch[0], ahead);
    if (running) return this.#updateRest(running, build, patch);
    const reaching = this.#reached(build, patch);
    if (reaching) return reaching.then(() => this.#updated(build));
    this.#updated(build);
    return null;
  }

  /** Patches a cohort and, if that is possible at once, answers it on the way. */
  #updateAhead(cohort: Cohort, ahead: Ahead): Promise<void> | null {
    const room = this.#roomAhead(cohort, ahead.wanted);
    if (room === null) return this.#store.update(NO_SLOTS, [cohort]);
    const isRead = this.#store.updateAndRead(cohort, room);
    if (isRead === true) ahead.given = room;
    return typeof isRead === "boolean" ? null : isRead.then(() => {});
  }

  /** null where the answer cannot be given on the way; what is wrong with its room is said by `read`. */
  #roomAhead(cohort: Cohort, wanted: Wanted): AttentionOutput | null {
    const { layout } = this.#config;
    if (!this.#store.readsAlong(cohort)) return null;
    for (let head = 0; head < layout.heads; head++) if (!this.#answers.heads.areFlat(head)) return null;
    try {
      return emptyOutput(layout, cohort.queries.length, wanted);
    } catch {
      return null;
    }
  }

  async #updateRest(running: Promise<void>, build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    await running;
    const reaching = this.#reached(build, patch);
    if (reaching) await reaching;
    this.#updated(build);
  }

  #updated(build: Uint32Array): void {
    if (build.length === this.#rows.queries.liveCount) this.#answers.refit();
  }

  async read(cohort: Cohort, wanted: Wanted, parts?: readonly Cohort[]): Promise<AttentionOutput> {
    for (const part of parts ?? [cohort]) {
      const loading = this.#store.load(part);
      if (loading) await loading;
    }
    const { heads } = this.#config.layout, { queries } = cohort;
    const attention = emptyOutput(this.#config.layout, queries.length, wanted);
    const keysOf = this.#keysOf(cohort, parts);
    const left = this.#store.read(cohort, attention);
    const answer = (at: number, head: number) => {
      const totals = this.#answers.heads.standing(queries[at], head, keysOf(queries[at]));
      this.#write(attention, at * heads + head, totals);
    };
    if (left === null) {
      for (let at = 0; at < queries.length; at++) for (let head = 0; head < heads; head++) answer(at, head);
      return attention;
    }
    for (const { at, head } of left) answer(at, head);
    for (let head = 0; head < heads; head++) {
      if (this.#answers.heads.areFlat(head)) continue;
      for (let at = 0; at < queries.length; at++) {
        if (this.#answers.heads.isSteep(queries[at], head)) answer(at, head);
      }
    }
    return attention;
  }

  /** By query slot, the keys that its state includes. */
  #keysOf({ since }: Cohort, parts?: readonly Cohort[]): (slot: number) => KeysAt {
    if (!parts) {
      const keys = this.#rows.keysAt(since);
      return () => keys;
    }
    // Stores with kernels leave few rows to the host, and most often none.
    let bySlot: Map<number, KeysAt> | null = null;
    return (slot) => {
      if (bySlot === null) {
        bySlot = new Map();
        for (const part of parts) {
          const keys = this.#rows.keysAt(part.since);
          for (const query of part.queries) bySlot.set(query, keys);
        }
      }
      return bySlot.get(slot) as KeysAt;
    };
  }

  certifyTime({ queries, since }: Cohort): number {
    const { layout: { headDim, valueDim } } = this.#config, { times } = this.#store.costs;
    const { rows, untaken, first, again } = this.#answers.certificates.owed(queries, since);
    const width = headDim + valueDim;
    return rows * times.certified + untaken * times.taken + first * (times.pair + width * times.pairFirst) +
      again * (times.pair + width * times.pairAgain);
  }

  async certify(cohort: Cohort): Promise<Float64Array<ArrayBuffer>> {
    const loading = this.#store.load(cohort);
    if (loading) await loading;
    return this.#answers.certificates.certify(cohort);
  }

  extents(queries: Uint32Array): Extents {
    const { heads, kvHeads } = this.#config.layout, norms = new Float64Array(queries.length * heads);
    for (let at = 0; at < norms.length; at++) {
      const row = this.#rows.queryHead(queries[Math.floor(at / heads)], at % heads);
      norms[at] = this.#rows.queryNorm(row);
    }
    const { spread } = this.#answers;
    const diameters = Float64Array.from({ length: kvHeads }, (_, head) => 2 * spread.radius(head));
    return { norms, diameters };
  }

  async drift(cohort: Cohort, limit: number): Promise<Float64Array<ArrayBuffer>> {
    // Bounds of rows that are up to date ask for no state.
    const loading = cohort.since.slots.length === 0 ? null : this.#store.load(cohort);
    if (loading) await loading;
    return this.#answers.drift.bounds(cohort, limit);
  }

  copied(cohort: Cohort, copies: Copies, limit: number): Promise<void> | null {
    const loading = this.#store.load(cohort);
    if (loading) return loading.then(() => this.#answers.drift.copied(cohort, copies, limit));
    this.#answers.drift.copied(cohort, copies, limit);
    return null;
  }

  async watch(queries: Uint32Array): Promise<boolean> {
    const followed = this.#answers.drift.neighbours(queries);
    await this.#store.load({ queries: followed, since: NOTHING });
    return this.#answers.drift.watch(followed);
  }

  unwatch(): void {
    this.#answers.drift.unwatch();
  }

  get watched(): Watched | null {
    return this.#answers.drift.watched;
  }

  async attend(queries: PassingQueries): Promise<AttentionOutput> {
    const { count, rows, positions, bias } = queries;
    const { layout, layout: { heads } } = this.#config;
    const attention = emptyOutput(layout, count, WHOLE), width = queryColumns(layout);
    const queryHead = (query: number, head: number) => {
      const position = positions[query], row = { rows, offset: query * width, head, position, slot: query };
      return bias === null ? row : { ...row, bias: toKeyBias(bias) };
    };
    const take = (query: number, head: number, held: HeldRow) => {
      this.#write(attention, query * heads + head, this.#answers.heads.passing(queryHead(query, head), held));
    };
    if (await this.#store.attend(queries, take)) return attention;
    const keys = this.#rows.keysAt(NOTHING);
    for (let query = 0; query < count; query++) {
      for (let head = 0; head < heads; head++) {
        this.#write(
          attention,
          query * heads + head,
          this.#answers.heads.computed(queryHead(query, head), keys),
        );
      }
    }
    return attention;
  }

  async weights(slot: number, head: number, slotCount: number): Promise<Float32Array<ArrayBuffer>> {
    const target = new Float32Array(slotCount), { limits } = this.#store;
    const scores = this.#answers.heads.isSteep(slot, head) ? null : await this.#store.scores(slot, head);
    const largest = scores ? largestOf(scores) : 0;
    if (!scores || (largest > -Infinity && limits?.isSteepScore(largest))) {
      this.#answers.heads.select(slot, head);
      this.#answers.heads.kernels.weights(this.#rows.keysAt(NOTHING), target);
      return target;
    }
    this.#store.work.rowsBuilt++;
    const sink = sinkOf(this.#config.rule, head);
    if (largest > -Infinity) {
      this.#writeWeights(scores, exponentOf(Math.max(largest, sink)), sink, target);
    }
    return target;
  }

  bias(keySize: number, querySize: number): Float32Array | null {
    return this.#rows.stored.saveBias(keySize, querySize);
  }

  async save(querySize: number): Promise<SavedArrays> {
    const { kvHeads, valueDim } = this.#config.layout, { spread, reach } = this.#answers;
    await this.#store.load({ queries: this.#rows.liveQueries(), since: NOTHING });
    this.#answers.forgetMeasured();
    const states = await this.#store.save(querySize);
    const { centres, radii } = spread.save();
    const balls = {
      centres: { shape: [kvHeads, valueDim], data: centres },
      radii: { shape: [kvHeads], data: radii },
    };
    return this.#store.limits === null ? { ...states, ...balls } : {
      ...states,
      ...balls,
      norms: { shape: [kvHeads], data: reach.norms.slice() },
      magnitudes: { shape: [kvHeads], data: reach.magnitudes.slice() },
    };
  }

  async restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void> {
    this.store(rows, new Uint32Array(rows.keys.slots.length).fill(NO_ROW), NO_SLOTS);
    const isRestored = states !== null && await this.#restoreStates(operation, states);
    if (!isRestored) await this.update(this.#rows.liveQueries(), []);
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#store.dispose();
  }

  async #restoreStates(operation: string, saved: SavedArrays): Promise<boolean> {
    const { kvHeads, valueDim } = this.#config.layout, { spread, reach } = this.#answers;
    reach.refitBiases(this.#rows);
    const bounds = this.#store.limits === null ? BALLS : [...BALLS, ...REACHES];
    const states = Object.fromEntries(Object.entries(saved).filter(([name]) => !bounds.includes(name)));
    if (!await this.#store.restore(operation, states)) return false;
    const take = (name: string, shape: readonly number[]) =>
      takeNumbers(operation, saved, name, "F64", shape);
    const centres = take("centres", [kvHeads, valueDim]), radii = take("radii", [kvHeads]);
    checkNumbers(operation, "centres", centres, Number.isFinite, "finite numbers");
    checkNumbers(operation, "radii", radii, isBound, BOUND);
    spread.restore(centres, radii);
    if (this.#store.limits === null) return true;
    const norms = take("norms", [kvHeads]), magnitudes = take("magnitudes", [kvHeads]);
    checkNumbers(operation, "norms", norms, isBound, BOUND);
    checkNumbers(operation, "magnitudes", magnitudes, isBound, BOUND);
    reach.restore(norms, magnitudes);
    return true;
  }

  #reserve(changes: Changes, retained: Uint32Array): void {
    const sizes = this.#rows.sizesFor(changes, retained);
    const bytes = this.#rows.bytesOf(sizes) + this.#store.bytesOf(sizes);
    CapacityError.guard(this.name, `${sizes.keys} keys and ${sizes.queries} queries`, bytes, () => {
      this.#rows.reserve(sizes);
      this.#store.reserve(sizes);
      this.#answers.certificates.reserve(changes.keys.slots.length);
    });
    this.#answers.drift.noteBefore(sizes, changes.keys.slots);
  }

  /** Tells the drift that is followed which states were brought up to date; null when it is done. */
  #reached(build: Uint32Array, patch: readonly Cohort[]): Promise<void> | null {
    if (!this.#answers.drift.isFollowed) return null;
    const parts = build.length > 0 ? [build] : [];
    for (const { queries } of patch) parts.push(queries);
    for (let at = 0; at < parts.length; at++) {
      const loading = this.#store.load({ queries: parts[at], since: NOTHING });
      if (loading) return this.#reachedRest(loading, parts.slice(at));
      this.#answers.drift.reached(parts[at]);
    }
    return null;
  }

  async #reachedRest(loading: Promise<void>, parts: readonly Uint32Array[]): Promise<void> {
    await loading;
    for (const queries of parts) {
      await this.#store.load({ queries, since: NOTHING });
      this.#answers.drift.reached(queries);
    }
  }

  #writeWeights(scores: ArrayLike<number>, shift: number, sink: number, target: Float32Array): void {
    const count = Math.min(scores.length, target.length), weights = new Float64Array(count);
    let mass = sink > -Infinity ? shiftedExp(sink, shift) : 0;
    for (let slot = 0; slot < count; slot++) {
      if (scores[slot] === -Infinity) continue;
      weights[slot] = shiftedExp(scores[slot], shift);
      mass += weights[slot];
      this.#store.work.exponentials++;
    }
    for (let slot = 0; slot < count; slot++) target[slot] = weights[slot] > 0 ? weights[slot] / mass : 0;
  }

  #write({ output, logSumExp }: AttentionOutput, at: number, totals: RowTotals): void {
    totals.writeOutput(output, at * this.#config.layout.valueDim);
    if (logSumExp.length > 0) logSumExp[at] = totals.logSumExp();
  }
}

const NO_SLOTS = new Uint32Array(0), NO_LOGS = new Float64Array(0);
const NO_ROWS = {
  slots: NO_SLOTS,
  live: new Uint8Array(0),
  rows: new Float32Array(0),
  positions: new Float64Array(0),
  bias: null,
};
const NO_CHANGES: Changes = { keys: NO_ROWS, queries: NO_ROWS };
/** Bounds that are saved beside states, by all stores and by those that compute in float32. */
const BALLS = ["centres", "radii"], REACHES = ["norms", "magnitudes"];
const BOUND = "finite numbers ≥ 0";

/** The biases of passing queries, as kernels read them; a passing query's slot is its number. */
function toKeyBias({ heads, keySize, numbers }: PassingBias): KeyBlock["bias"] {
  return { numbers, start: 0, keyStride: heads, queryStride: keySize * heads, headStride: 1, heads };
}

function isBound(number: number): boolean {
  return number >= 0 && number < Infinity;
}

function largestOf(scores: ArrayLike<number>): number {
  let largest = -Infinity;
  for (let at = 0; at < scores.length; at++) largest = Math.max(largest, scores[at]);
  return largest;
}

/**
 * Room for the answers of `count` queries: zeros, or the caller's array, with log-sum-exps if they are
 * wanted.
 */
function emptyOutput(layout: HeadLayout, count: number, { into, logs }: Wanted): AttentionOutput {
  const columns = outputColumns(layout), logCount = logs ? count * layout.heads : 0;
  if (into && logCount === 0) return { output: outputFor(into, count * columns), logSumExp: NO_LOGS };
  const bytes = 4 * (into ? 0 : count * columns) + 8 * logCount;
  return CapacityError.guard("read", `an answer of ${count} × ${columns} numbers`, bytes, () => ({
    output: outputFor(into, count * columns),
    logSumExp: new Float64Array(logCount),
  }));
}
