/**
 * Answers of head rows, and how far they may be off: from the sums of their states, or, where float32 will not do, from the
 * rows at the host in float64. That is so for *steep* rows, whose numbers may overflow or whose scores are beyond what kernels
 * tell apart, for *faint* ones, whose values are so small that a device may have flushed some to 0, and for those that have
 * no state where they were computed.
 */

import { CapacityError } from "../../base/errors.ts";
import type { BackendConfig, Changes, Cohort, Copies, Watched } from "../backend.ts";
import { NOTHING } from "../since.ts";
import { keyHeadOf } from "../../numerics/head_layout.ts";
import { hasBias, sinkOf } from "../../numerics/score_rule.ts";
import type { TakenRow } from "./certificate_kernel.ts";
import { type CertifiedRows, Certifier } from "./certifier.ts";
import { BLOCK_SLOTS, DriftLedger, type NotedRow } from "./drift_ledger.ts";
import type { HostRows, RowSizes } from "./host_rows.ts";
import { Kernels, type QueryHead } from "./kernels.ts";
import { KeyReach, STEEP_SCORE } from "./key_reach.ts";
import type { KeysAt } from "./keys_at.ts";
import { NO_WEIGHT_ROUNDING, type WeightRounding } from "./host_certifier.ts";
import { MeasuredRounding, type StateError } from "./measured_rounding.ts";
import type { CertifiedTotals } from "./pair_terms.ts";
import { RowStates } from "./row_states.ts";
import { RowTotals } from "./row_totals.ts";
import { scoreRounding } from "./score_rounding.ts";
import type { HeldRow, StateStore } from "./state_store.ts";
import { ValueSpread } from "./value_spread.ts";
import type { RoundedRow } from "./weight_rounding.ts";

/** Answers and bounds of one engine's rows. */
export class RowAnswers {
  readonly spread: ValueSpread;
  /** How large keys and values are. */
  readonly reach: KeyReach;
  readonly kernels: Kernels;
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #store: StateStore;
  readonly #totals: RowTotals;
  /** As `#totals`, of rows that are computed here. */
  readonly #exactTotals: RowTotals;
  /** One state, of a row that is computed here. */
  readonly #state: RowStates;
  readonly #certifier: Certifier;
  readonly #certified: CertifiedRows;
  readonly #measured: MeasuredRounding;
  /** Head rows whose totals were computed from their keys when they were last certified. */
  readonly #exactRows = new Set<number>();
  /** By head, a norm that no query's is above. */
  readonly #largestNorms: Float64Array;
  /** Whether a query is gone that set one of them. */
  #areNormsOutdated = false;
  /** Bounds of drift, while somebody wants them. */
  #ledger: DriftLedger | null = null;
  /** Live query slots that have changed and are not in the ledger yet. */
  #unnoted: Set<number> | null = null;
  /** The number of the ledger, another one when its readings begin anew. */
  #generation = 0;
  /** By head row, how far rounding has taken its answer at most; NaN where that is not known. */
  #roundings = new Float64Array(0);
  /** Whether the totals that were taken last were computed from the keys. */
  #isExact = false;

  constructor(config: BackendConfig, rows: HostRows, store: StateStore) {
    const { layout, rule } = config;
    this.#config = config;
    this.#rows = rows;
    this.#store = store;
    this.kernels = new Kernels(layout, rule, store.work);
    this.#totals = new RowTotals(layout, store.work, store.multipliesShares, rule.sinks);
    this.#exactTotals = new RowTotals(layout, store.work, store.multipliesShares, rule.sinks);
    this.#state = new RowStates(layout.valueDim + 2, 1);
    this.spread = new ValueSpread(layout, rule.sinks);
    this.reach = new KeyReach(layout, rule.scale);
    this.#largestNorms = new Float64Array(layout.heads);
    this.#measured = new MeasuredRounding(layout, rule);
    this.#certifier = new Certifier({
      layout,
      softcap: rule.softcap,
      stored: rows.stored,
      retained: rows.retained,
      kernels: this.kernels,
      spread: this.spread,
      batch: store.certificates,
    });
    this.#certified = {
      areFlat: (head) => this.areFlat(head),
      isSteep: (slot, head) => this.isSteep(slot, head),
      rounding: (row, head, keys) => this.#roundingOfKernel(row, head, keys),
      mayHaveErrors: (keys) => {
        const { isEmpty } = this.#measured;
        return !isEmpty || (keys.areStored && this.#measured.canMeasure(this.#rows.stored.count));
      },
      errorOf: (slot, head, keys) => this.#errorOf(slot, head, keys),
      hostBound: (slot, head, keys) => this.#bound(slot, head, keys),
    };
  }

  bytes(): number {
    return this.#certifier.bytes + this.#measured.bytes() + this.#roundings.byteLength +
      (this.#ledger?.bytes ?? 0);
  }

  /** Makes room for a batch that changes `changes` key slots; throws before anything changes. */
  reserve(changes: number): void {
    this.#certifier.reserve(changes);
  }

  /** Notes, before a batch changes some key slots, weights of the keys that are in them. */
  noteBefore(sizes: RowSizes, changed: Uint32Array): void {
    this.#follow((ledger) => {
      ledger.reserve(sizes, changed.length);
      const unnoted = ledger.unnotedAmong(changed);
      if (unnoted.length === 0) return;
      const before = this.#store.work.multiplyAdds;
      this.#noteWeights(ledger, this.#followedRows(ledger), unnoted);
      ledger.noted(unnoted, this.#store.work.multiplyAdds - before);
    });
  }

  /** Lets the ledger follow, if there is one; a ledger that memory is refused to is let go. */
  #follow(follow: (ledger: DriftLedger) => void): void {
    if (!this.#ledger) return;
    try {
      follow(this.#ledger);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      this.unwatch();
    }
  }

  /** Keys and queries are about to be replaced. */
  release(changes: Changes): void {
    const block = this.#rows.stored.block();
    for (const slot of changes.keys.slots) {
      this.spread.release(block, slot);
      this.reach.release(this.#rows, slot);
    }
    for (const slot of changes.queries.slots) this.#releaseNorms(slot);
    this.#ledger?.measure(changes);
  }

  /** Keys and queries have been replaced. */
  include({ keys: { slots: keys }, queries: { slots: queries } }: Changes): void {
    const block = this.#rows.stored.block();
    for (const slot of keys) {
      this.spread.include(block, slot);
      this.reach.include(this.#rows, slot);
    }
    this.#certifier.changeKeys(keys);
    this.#ledger?.apply(keys, (keyHead) => {
      const diameter = 2 * this.spread.radius(keyHead);
      return { diameter, furthest: Math.max(diameter, this.spread.largestNorm(keyHead)) };
    });
    this.#follow((ledger) => {
      for (const slot of keys) if (ledger.isLoose(slot)) this.#noteKey(ledger, slot);
    });
    for (const slot of queries) {
      this.#includeNorms(slot);
      if (this.#rows.queries.isLive(slot)) this.#unnoted?.add(slot);
    }
    this.forgetStates(queries);
  }

  /** The states of some queries, which were loaded, are of the stored keys. */
  reached(queries: Uint32Array): void {
    this.#follow((ledger) => {
      const unnoted = this.#unnoted;
      if (unnoted && unnoted.size > 0) {
        const changed = queries.filter((slot) => unnoted.delete(slot) && ledger.follows(slot));
        if (changed.length > 0) this.#beginRows(ledger, changed);
      }
      ledger.reach(queries);
    });
  }

  /** The live query slots of the same blocks. */
  neighbours(queries: Uint32Array): Uint32Array {
    const blocks = new Set<number>();
    for (const slot of queries) blocks.add(Math.floor(slot / BLOCK_SLOTS));
    return this.#rows.liveQueries().filter((slot) => blocks.has(Math.floor(slot / BLOCK_SLOTS)));
  }

  /** Begins a ledger of the drift of whole blocks of query slots, whose states, which were loaded, are of the stored keys. Whether it can. */
  watch(followed: Uint32Array): boolean {
    const { layout, rule } = this.#config, rows = this.#rows;
    const blocks = new Set<number>();
    for (const slot of followed) blocks.add(Math.floor(slot / BLOCK_SLOTS));
    const areAll = followed.length === rows.queries.liveCount;
    const queryCapacity = BLOCK_SLOTS * Math.ceil(rows.queries.size / BLOCK_SLOTS);
    // The one before is let go first, so that there is never memory for two, and stays away where there is none.
    this.unwatch();
    if (!DriftLedger.fits(layout, rows.size, queryCapacity)) return false;
    const ledger = new DriftLedger(layout, rule, rows, this.#store.work, areAll ? null : blocks);
    try {
      ledger.reserve({ keys: rows.size, queryCapacity }, 0);
      this.#beginRows(ledger, followed);
    } catch (cause) {
      if (cause instanceof RangeError) return false;
      throw cause;
    }
    this.#ledger = ledger;
    this.#unnoted = new Set();
    this.#generation = ++generations;
    return true;
  }

  /** Lets the ledger go. */
  unwatch(): void {
    this.#ledger = this.#unnoted = null;
    this.#roundings = new Float64Array(0);
  }

  /** The ledger; null without one. */
  get watched(): Watched | null {
    const ledger = this.#ledger, generation = this.#generation;
    if (!ledger) return null;
    return {
      generation,
      isWhole: ledger.isWhole,
      follows: (slot) => ledger.follows(slot),
      looseness: () => ledger.looseness(),
      upkeep: () => ledger.upkeep,
    };
  }

  /** The states of some queries change. */
  forgetStates(slots: Uint32Array): void {
    const { heads } = this.#config.layout;
    this.#certifier.changeRows(slots);
    if (this.#measured.isEmpty && this.#roundings.length === 0) return;
    for (const slot of slots) {
      for (let row = slot * heads; row < (slot + 1) * heads; row++) {
        this.#measured.forget(row);
        if (row < this.#roundings.length) this.#roundings[row] = NaN;
      }
    }
  }

  /** Measures all values and keys anew: every state is of the stored ones. */
  refit(): void {
    this.spread.refit(this.#rows.stored.block());
    this.reach.refit(this.#rows);
  }

  /**
   * Forgets what was measured of rows that are gone; all states are of the stored keys. Returns the queries that are steep no
   * more: what float32 made of them while they were is not to be relied on.
   */
  forget(): Uint32Array {
    const { layout, rule } = this.#config;
    const before = new KeyReach(layout, rule.scale);
    before.restore(this.reach.norms, this.reach.magnitudes);
    this.spread.forget(this.#rows.stored.block());
    this.reach.forget(this.#rows);
    this.#certifier.forget();
    this.#ledger?.forget();
    this.#generation = ++generations;
    this.kernels.forgetQuery();
    this.#measured.wipe();
    this.#state.clear(0);
    this.#totals.wipe();
    this.#exactTotals.wipe();
    if (this.#areNormsOutdated) this.#measureNorms();
    const isSame = before.norms.every((norm, head) => norm === this.reach.norms[head]) &&
      before.magnitudes.every((size, head) => size === this.reach.magnitudes[head]);
    if (isSame || this.#store.limits === null) return NO_QUERIES;
    return this.#rows.liveQueries().filter((slot) =>
      this.#isSteepAnywhere(slot, before) && !this.#isSteepAnywhere(slot, this.reach)
    );
  }

  /** What was measured is not in a file, and would make bounds here others than those of a loaded engine. */
  forgetMeasured(): void {
    this.#measured.forgetAll();
    this.#certifier.forget();
    this.#roundings.fill(NaN);
    if (this.#areNormsOutdated) this.#measureNorms();
    // Stores in float64 do not save how large keys are.
    if (this.#store.limits === null) this.reach.refit(this.#rows);
  }

  /** Whether no row of a head can be steep. */
  areFlat(head: number): boolean {
    const { layout } = this.#config;
    return this.#isInRange() && !this.reach.isSteep(this.#largestNorms[head], keyHeadOf(layout, head));
  }

  /** The totals of one head of a standing query, as of its state, which was loaded. */
  standing(slot: number, head: number, keys: KeysAt): RowTotals {
    return this.#take(this.#rows.queryHead(slot, head), this.#store.held(slot, head), keys);
  }

  /** The totals of one head of a passing query, whose state is given. */
  passing(query: QueryHead, held: HeldRow): RowTotals {
    return this.#take(query, held, this.#rows.keysAt(NOTHING));
  }

  /** The totals of one head of any query, computed here. */
  computed(query: QueryHead, keys: KeysAt): RowTotals {
    return this.#take(query, null, keys);
  }

  /** Whether float32 may overflow in one head of a standing query, or lose what is below its range. */
  isSteep(slot: number, head: number): boolean {
    return this.#isSteep(this.#rows.queryHead(slot, head));
  }

  /** Makes the kernels speak of one head of a standing query. */
  select(slot: number, head: number): void {
    this.kernels.select(this.#rows.queryHead(slot, head));
  }

  /** Bounds on how far the rows of a cohort, whose states were loaded, are from what the stored keys make them. */
  certify(cohort: Cohort): Float64Array<ArrayBuffer> {
    this.#measured.begin(this.#store.limits?.measuredWork ?? 0);
    const count = cohort.queries.length * this.#config.layout.heads;
    return CapacityError.guard(this.#store.name, `bounds of ${count} rows`, 128 * count, () => {
      return this.#certifier.certify(cohort, this.#rows.keysAt(cohort.since), this.#certified);
    });
  }

  #bound(slot: number, head: number, keys: KeysAt): number {
    const row = slot * this.#config.layout.heads + head, { limits } = this.#store;
    const totals = this.standing(slot, head, keys);
    if (limits !== null) this.#noteExactness(row, slot, head);
    if (limits === null || this.#isExact) {
      return this.#certifier.bound(totals, slot, head, keys, this.#scoreRounding(slot, head, totals, keys));
    }
    if (keys.areStored && !this.#measured.errorOf(row)) {
      this.#measure(row, slot, head, totals, keys);
    }
    const error = this.#measured.errorOf(row);
    if (!error) {
      return this.#certifier.bound(totals, slot, head, keys, this.#roundingOf(slot, head, totals, keys));
    }
    // All that is measured is what happened to o and to the mass; as the error of a sum it has the same effect.
    const sumError = error.output * totals.mass / (2 * Math.sqrt(this.#config.layout.valueDim));
    const known = new MeasuredTotals(totals, sumError);
    return this.#certifier.bound(known, slot, head, keys, { mass: error.mass, variation: 0 });
  }

  /** The error of a row whose certificate a kernel computes, measured if there is work left for it. */
  #errorOf(slot: number, head: number, keys: KeysAt): StateError | null {
    const measured = this.#measured, row = slot * this.#config.layout.heads + head;
    if (keys.areStored && measured.canMeasure(this.#rows.stored.count) && !measured.errorOf(row)) {
      const totals = this.standing(slot, head, keys);
      if (!this.#isExact) this.#measure(row, slot, head, totals, keys);
    }
    return measured.isEmpty ? null : measured.errorOf(row);
  }

  /** What computing the weights of a row may have done to it, which a kernel has taken. */
  #roundingOfKernel({ reach, logSumExp }: TakenRow, head: number, keys: KeysAt): WeightRounding {
    const { limits } = this.#store;
    if (limits === null) return NO_WEIGHT_ROUNDING;
    return limits.rounding({
      logSumExp,
      largestProduct: reach * this.reach.norms[keyHeadOf(this.#config.layout, head)],
      keyCount: this.#rows.stored.count + keys.since.slots.length,
    });
  }

  /**
   * Bounds as those of `certify`, by the ledger of drift, in a few operations a query; Infinity where it knows nothing. What
   * rounding did is told of all rows at once where that is little beside `limit`.
   */
  drift({ queries, since }: Cohort, limit: number): Float64Array<ArrayBuffer> {
    const ledger = this.#ledger, isCurrent = since.slots.length === 0;
    const { heads } = this.#config.layout, bounds = new Float64Array(queries.length);
    const common = this.#commonRounding(since), isLittle = common <= LITTLE * limit;
    for (let at = 0; at < queries.length; at++) {
      const slot = queries[at];
      if (!isCurrent && !ledger?.follows(slot)) {
        bounds[at] = Infinity;
        continue;
      }
      let squared = 0;
      for (let head = 0; head < heads && squared <= limit * limit; head++) {
        const drift = isCurrent ? 0 : (ledger as DriftLedger).sinceState(slot, head);
        const rounding = isLittle || drift > limit ? common : this.#roundingBound(slot, head, since);
        squared += (drift + rounding) ** 2;
      }
      bounds[at] = squared <= limit * limit ? Math.sqrt(squared) : Infinity;
    }
    return bounds;
  }

  /** As `drift`, of answers that were copied. */
  driftOfCopies(queries: Uint32Array, { readings, roundings }: Copies, bounds: Float64Array): void {
    const ledger = this.#ledger, { heads } = this.#config.layout;
    if (!ledger) {
      bounds.fill(Infinity);
      return;
    }
    bounds.fill(0);
    for (let head = 0; head < heads; head++) ledger.addSquares(queries, head, readings, roundings, bounds);
    for (let at = 0; at < bounds.length; at++) bounds[at] = Math.sqrt(bounds[at]);
  }

  /** Notes that answers of a cohort, as of its states, were copied, which are to be within `limit`. */
  copied({ queries, since }: Cohort, copies: Copies, limit: number): void {
    const ledger = this.#ledger, { heads } = this.#config.layout;
    const common = this.#commonRounding(since), isLittle = common <= LITTLE * limit;
    for (const slot of queries) {
      for (let head = 0; head < heads; head++) {
        const row = slot * heads + head;
        copies.readings[row] = ledger?.readingOfState(slot, head) ?? NaN;
        copies.roundings[row] = isLittle ? common : this.#roundingBound(slot, head, since);
      }
    }
  }

  /** What rounding did to any answer at most; Infinity where scores have biases, which have no bound that is known here. */
  #commonRounding(since: Cohort["since"]): number {
    const { layout, layout: { kvHeads, headDim, valueDim }, rule, maskHeads } = this.#config,
      { limits, tolerance } = this.#store;
    if (hasBias(rule, maskHeads)) return Infinity;
    const keyCount = this.#rows.stored.count + since.slots.length;
    let largest = 0;
    for (let keyHead = 0; keyHead < kvHeads; keyHead++) {
      let norm = 0;
      for (let head = 0; head < layout.heads; head++) {
        if (keyHeadOf(layout, head) === keyHead) norm = Math.max(norm, this.#largestNorms[head]);
      }
      const largestProduct = this.reach.largestScore(norm, keyHead);
      const rounding = limits === null
        ? { mass: 0, variation: DOUBLE_ROUNDING * (largestProduct + headDim + 64) }
        : limits.rounding({ logSumExp: Infinity, largestProduct, keyCount });
      const diameter = 2 * this.spread.radius(keyHead), size = this.spread.largestNorm(keyHead);
      const sums = 2 * tolerance * (Math.sqrt(valueDim) * this.reach.magnitudes[keyHead] + size);
      const bound = rounding.variation * diameter + sums + FLOAT32_STEP * size +
        SMALLEST_STEP * Math.sqrt(valueDim);
      largest = Math.max(largest, bound);
    }
    return largest >= 0 ? largest : Infinity;
  }

  /** What rounding did to an answer at most. */
  #roundingBound(slot: number, head: number, since: Cohort["since"]): number {
    const row = slot * this.#config.layout.heads + head;
    if (row >= this.#roundings.length) {
      const roundings = new Float64Array(Math.max(row + 1, 2 * this.#roundings.length)).fill(NaN);
      roundings.set(this.#roundings);
      this.#roundings = roundings;
    }
    if (Number.isNaN(this.#roundings[row])) {
      const keys = this.#rows.keysAt(since), totals = this.standing(slot, head, keys);
      const rounding = this.#roundingOf(slot, head, totals, keys);
      this.#roundings[row] = this.#certifier.rounding(totals, head, rounding);
    }
    return this.#roundings[row];
  }

  /** Begins rows of query slots, whose states are of the stored keys, and notes the weights that are noted of others. */
  #beginRows(ledger: DriftLedger, queries: Uint32Array): void {
    const live = queries.filter((slot) => this.#rows.queries.isLive(slot));
    for (const slot of live) {
      for (let head = 0; head < this.#config.layout.heads; head++) {
        ledger.begin(slot, head, this.#notedRow(slot, head));
      }
    }
    const keys = ledger.notedKeys();
    if (keys.length > 0) this.#noteWeights(ledger, live, keys);
  }

  /** Notes the weights of keys in query slots that were begun. */
  #noteWeights(ledger: DriftLedger, queries: Uint32Array, keys: Uint32Array): void {
    const { heads } = this.#config.layout, blocks = new Map<number, number[]>();
    for (const slot of queries) {
      const first = slot - slot % BLOCK_SLOTS, among = blocks.get(first);
      if (among) among.push(slot);
      else blocks.set(first, [slot]);
    }
    for (let head = 0; head < heads; head++) {
      // What a score is less than, by lane, to be a weight; a lane without a row gives no weight.
      const offsets = new Float64Array(BLOCK_SLOTS);
      const take = (first: number, slots: ArrayLike<number>, count: number, scores: Float32Array) => {
        offsets.fill(Infinity);
        for (const slot of blocks.get(first) ?? []) offsets[slot - first] = ledger.logOf(slot, head);
        ledger.noteBlock(first, head, slots, count, scores, offsets);
      };
      if (this.#store.blockScores(head, [...blocks.keys()], keys, take)) continue;
      const block = this.#rows.stored.block();
      for (const slot of queries) {
        this.select(slot, head);
        for (const key of keys) ledger.note(slot, head, key, this.kernels.scoreWithBias(block, key));
      }
    }
  }

  /** Notes the weights of a key that has moved far. */
  #noteKey(ledger: DriftLedger, key: number): void {
    const block = this.#rows.stored.block();
    ledger.noteKey(key, this.#followedRows(ledger), (slot, head) => {
      if (this.isSteep(slot, head)) return Infinity;
      this.select(slot, head);
      return this.kernels.scoreWithBias(block, key) + DOUBLE_ROUNDING * STEEP_SCORE;
    });
  }

  /** The live query slots whose weights are in the ledger. */
  #followedRows(ledger: DriftLedger): Uint32Array {
    return this.#rows.liveQueries().filter((slot) => ledger.follows(slot) && !this.#unnoted?.has(slot));
  }

  #notedRow(slot: number, head: number): NotedRow {
    const { layout, rule } = this.#config, keys = this.#rows.keysAt(NOTHING);
    const totals = this.standing(slot, head, keys), isSteep = this.#isExact && this.#store.limits !== null;
    const rounding = this.#roundingOf(slot, head, totals, keys);
    const logSumExp = totals.logSumExp();
    const massDoubt = totals.mass > 0 ? 2 * totals.massError / totals.mass : 0;
    const score = 2 ** -48 * (Math.abs(logSumExp) + layout.headDim + 64);
    return {
      logSumExp,
      doubt: 3 * rounding.mass + massDoubt + score,
      reach: Math.abs(rule.scale) * this.#rows.queryNorm(this.#rows.queryHead(slot, head)),
      isSteep,
    };
  }

  /** The totals of a row: of its state, or, where that will not do, from the keys. */
  #take(query: QueryHead, held: HeldRow | null, keys: KeysAt): RowTotals {
    const { limits } = this.#store;
    this.kernels.select(query);
    this.#isExact = held === null || this.#isSteep(query) || this.#isFaint(held, query.head);
    if (held !== null && !this.#isExact) {
      this.#totals.take(held.states, held.row, keys, query.head);
      const { mass, keyShift } = this.#totals;
      // A sink can be far away; a row that sees no key is not.
      this.#isExact = limits !== null && mass > 0 && keyShift > -Infinity && limits.isSteepShift(keyShift);
      if (!this.#isExact) return this.#totals;
    }
    this.kernels.buildRow(this.#state, 0, keys);
    this.#exactTotals.take(this.#state, 0, keys, query.head);
    return this.#exactTotals;
  }

  #isInRange(): boolean {
    const { limits } = this.#store;
    return limits === null || limits.isInRange(this.#config.rule.scale);
  }

  #isSteep(query: QueryHead, reach: KeyReach = this.reach): boolean {
    if (this.#store.limits === null) return false;
    const keyHead = keyHeadOf(this.#config.layout, query.head);
    return !this.#isInRange() || reach.isSteep(this.#rows.queryNorm(query), keyHead);
  }

  #isSteepAnywhere(slot: number, reach: KeyReach): boolean {
    for (let head = 0; head < this.#config.layout.heads; head++) {
      if (this.#isSteep(this.#rows.queryHead(slot, head), reach)) return true;
    }
    return false;
  }

  /** Whether the values that a state has summed are so small that its place may have lost some. */
  #isFaint({ states, row }: HeldRow, head: number): boolean {
    const { layout, layout: { valueDim } } = this.#config, { shift, heavyCount, high, width } = states;
    const least = this.#store.limits?.faintMagnitude ?? 0;
    if (least === 0 || shift[row] === -Infinity || heavyCount[row] > 0) return false;
    const isTiny = high[row * width + valueDim + 1] < least * (1 + this.#rows.stored.count);
    return isTiny && this.reach.magnitudes[keyHeadOf(layout, head)] > 0;
  }

  /** Measures are shares of a row's mass, which is another number once the row is answered from its keys. */
  #noteExactness(row: number, slot: number, head: number): void {
    if (this.#exactRows.has(row) === this.#isExact) return;
    this.#certifier.changeRow(slot, head);
    if (this.#isExact) this.#exactRows.add(row);
    else this.#exactRows.delete(row);
  }

  /** Measures what rounding did to a state, which holds the stored keys. */
  #measure(row: number, slot: number, head: number, totals: RowTotals, keys: KeysAt): void {
    const diameter = 2 * this.spread.radius(keyHeadOf(this.#config.layout, head));
    this.#measured.measure(row, this.#rows.queryHead(slot, head), totals, keys, diameter);
  }

  /** What computing the weights of a row may have done to it. */
  #roundingOf(slot: number, head: number, totals: RowTotals, keys: KeysAt): WeightRounding {
    const { limits } = this.#store;
    if (limits === null || this.#isExact) return this.#scoreRounding(slot, head, totals, keys);
    return limits.rounding(this.#roundedRow(slot, head, totals, keys));
  }

  /** Bounds on the rounding of the weights of a head row that is computed in float64. */
  #scoreRounding(slot: number, head: number, totals: RowTotals, keys: KeysAt): WeightRounding {
    const { rule, layout: { headDim }, maskHeads } = this.#config;
    const row = this.#roundedRow(slot, head, totals, keys);
    return scoreRounding(row, rule, headDim, maskHeads, sinkOf(rule, head));
  }

  #roundedRow(slot: number, head: number, totals: RowTotals, keys: KeysAt): RoundedRow {
    const norm = this.#rows.queryNorm(this.#rows.queryHead(slot, head));
    return {
      logSumExp: totals.logSumExp(),
      largestProduct: this.reach.largestScore(norm, keyHeadOf(this.#config.layout, head)),
      keyCount: this.#rows.stored.count + keys.since.slots.length,
    };
  }

  #releaseNorms(slot: number): void {
    if (this.#areNormsOutdated || !this.#rows.queries.isLive(slot)) return;
    for (let head = 0; head < this.#largestNorms.length; head++) {
      if (this.#normOf(slot, head) >= this.#largestNorms[head]) this.#areNormsOutdated = true;
    }
  }

  #includeNorms(slot: number): void {
    if (!this.#rows.queries.isLive(slot)) return;
    for (let head = 0; head < this.#largestNorms.length; head++) {
      this.#largestNorms[head] = Math.max(this.#largestNorms[head], this.#normOf(slot, head));
    }
  }

  #measureNorms(): void {
    this.#areNormsOutdated = false;
    this.#largestNorms.fill(0);
    for (const slot of this.#rows.liveQueries()) this.#includeNorms(slot);
  }

  #normOf(slot: number, head: number): number {
    return this.#rows.queryNorm(this.#rows.queryHead(slot, head));
  }
}

/** The totals of a row whose error was measured. */
class MeasuredTotals implements CertifiedTotals {
  readonly shift: number;
  readonly mass: number;
  readonly massError = 0;
  readonly sumError: number;
  readonly #totals: RowTotals;

  constructor(totals: RowTotals, sumError: number) {
    this.#totals = totals;
    this.shift = totals.shift;
    this.mass = totals.mass;
    this.sumError = sumError;
  }

  writeOutput(target: Float64Array, offset: number): void {
    this.#totals.writeOutput(target, offset);
  }

  logSumExp(): number {
    return this.#totals.logSumExp();
  }
}

const NO_QUERIES = new Uint32Array(0);
/** Counts the ledgers of all backends, and their new beginnings. */
let generations = 0;
const DOUBLE_ROUNDING = 2 ** -50;
/** Rounding a number to float32, and what rounding to float64 did to it before: as a share, and where it is subnormal. */
const FLOAT32_STEP = 3 * 2 ** -24, SMALLEST_STEP = 2 ** -149;
/** What rounding did is told of all rows at once where it is at most this share of what a bound may be. */
const LITTLE = 1 / 16;
