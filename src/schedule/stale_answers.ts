/**
 * Stale answers, with bounds. Without a limit on the error they are those of the states as they are, and each
 * bound is certified. With one they are exact, or, while that pays, copies that are kept within the limit by
 * drift.
 */

import type { AttentionOutput, Backend, Watched } from "../backends/backend.ts";
import { OUTPUT_ALONE, outputFor } from "../backends/wanted.ts";
import { type HeadLayout, outputColumns } from "../numerics/head_layout.ts";
import { type LargestErrors, storageBounds } from "../numerics/storage_bound.ts";
import { DriftTrial } from "./drift_trial.ts";
import { ExactAccounts } from "./exact_accounts.ts";
import { Mirror, type MirrorPlaces, type Refreshed } from "./mirror.ts";
import type { Planner } from "./planner.ts";
import type { Lag, StandingQueries } from "./standing_queries.ts";
import type { Threshold } from "./threshold.ts";

/** The parts of an engine that stale answers depend on. */
export interface StaleConfig {
  readonly backend: Pick<
    Backend,
    "work" | "watched" | "watch" | "unwatch" | "drift" | "driftOfCopies" | "copied" | "extents"
  >;
  readonly layout: HeadLayout;
  /** The scale of scores. */
  readonly scale: number;
  readonly queries: StandingQueries;
  readonly planner: Planner;
  readonly threshold: Threshold;
  /** Brings query slots up to date in the order of turns. */
  bringUp(slots: Uint32Array): Promise<void>;
}

/** What a stale answer is to hold. */
export interface StaleWanted {
  /** Whether bounds are wanted; without, all are Infinity if there is no limit. */
  readonly bounds: boolean;
  /** An array of the caller's for the output; null for a new one. */
  readonly into: Float32Array<ArrayBuffer> | null;
}

/** A stale answer. */
export interface StaleAttentionOutput extends Lag {
  /** A row a query asked for, H·dv numbers each. */
  readonly output: Float32Array<ArrayBuffer>;
  /** For each query slot asked for, a bound on its distance from exact. */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** Where rows are rounded, the part of `bounds` that this takes. */
  readonly storage?: Float64Array<ArrayBuffer>;
}

/** A sample has one of this number of blocks of query slots. */
const SAMPLED = 16;
/** Query slots that lie in a block. */
const BLOCK_SLOTS = 8;
/** A trial costs at least what noting this number of keys does. */
const FEW_KEYS = 8;
/**
 * Drift is begun anew when it is looser by the factor `LOOSE` than it would be then, and catching up has cost
 * `RENEWALS` times what following has.
 */
const LOOSE = 2, RENEWALS = 4;

const NO_SLOTS = new Uint32Array(0);

/** Stale answers of one engine. */
export class StaleAnswers {
  readonly #config: StaleConfig;
  readonly #trial = new DriftTrial();
  readonly #mirror: Mirror;
  /** The copies, by query slot. */
  #data = new Float32Array(0);
  readonly #accounts: ExactAccounts;
  /**
   * What catching up has cost since drift was begun, and how much of the cost of following the trial has
   * paid.
   */
  #caughtUp = 0;
  #upkeepPaid = 0;
  /**
   * By block of query slots, 1 where one was asked for, how many those are, and how many they were when all
   * of them were followed.
   */
  #isAsked = new Uint8Array(0);
  #askedBlocks = 0;
  #followedBlocks = 0;
  /** The mirrors of others. */
  readonly #held = new Set<Mirror>();

  constructor(config: StaleConfig) {
    this.#config = config;
    this.#accounts = new ExactAccounts((missed) => config.queries.costOf(1, missed));
    this.#mirror = this.#newMirror();
  }

  /** Bytes of copies, those that others hold included, but for the arrays of those. */
  get bytes(): number {
    let bytes = this.#data.byteLength + this.#mirror.bytes + this.#accounts.bytes;
    for (const mirror of this.#held) bytes += mirror.bytes;
    return bytes;
  }

  /** Notes a stored batch of changed key slots and of query slots. */
  noteStored(keys: Uint32Array, queries: Uint32Array): void {
    this.#accounts.noteStored(keys, this.#trial.phase !== "off");
    this.#mirror.lose(queries);
    for (const mirror of this.#held) mirror.lose(queries);
  }

  /** Forgets all copies. */
  forget(): void {
    this.#letCopiesGo();
    for (const mirror of this.#held) mirror.clear();
  }

  /** Forgets the copies by which it answers itself. */
  #letCopiesGo(): void {
    this.#data = new Float32Array(0);
    this.#mirror.clear();
  }

  /** Forgets what stale answers have cost so far, and follows drift no more: a snapshot has neither. */
  reset(): void {
    this.#trial.reset();
    this.#isAsked.fill(0);
    this.#askedBlocks = this.#followedBlocks = 0;
    this.#config.backend.unwatch();
    this.forget();
    this.#caughtUp = 0;
    this.#accounts.begin();
  }

  /** An empty mirror for another; drift is followed for it, whether it pays or not, until it is released. */
  hold(): Mirror {
    const mirror = this.#newMirror();
    this.#held.add(mirror);
    return mirror;
  }

  /** Takes `hold` back. */
  release(mirror: Mirror): void {
    if (!this.#held.delete(mirror)) return;
    if (this.#held.size === 0 && this.#trial.phase === "off") this.#config.backend.unwatch();
  }

  #newMirror(): Mirror {
    const { backend, queries, layout, bringUp } = this.#config;
    const read = async (slots: Uint32Array): Promise<AttentionOutput> => {
      await bringUp(slots);
      return await queries.read(slots, OUTPUT_ALONE);
    };
    return new Mirror(
      { backend, epoch: () => queries.epoch, stored: () => this.#accounts.stored, read },
      layout.heads,
    );
  }

  /**
   * Follows the drift of all query slots, anew when it has become loose; false where memory does not suffice.
   */
  async follow(): Promise<boolean> {
    const { backend, queries, bringUp } = this.#config;
    const watched = backend.watched, all = queries.all();
    if (watched?.isWhole && !this.#isLoose(watched)) return true;
    await bringUp(all);
    this.#caughtUp = this.#upkeepPaid = 0;
    return await backend.watch(all);
  }

  /**
   * Makes the copies of a mirror anew that may be further than `error` from exact; tells which are others
   * now, and bounds.
   */
  async refresh(
    mirror: Mirror,
    slots: Uint32Array,
    error: number,
    places: MirrorPlaces,
  ): Promise<Refreshed> {
    const { planner, backend } = this.#config;
    const isFollowed = error > 0 && await this.follow();
    const spentBefore = planner.costOf(backend.work);
    const refreshed = await mirror.refresh(slots, isFollowed ? error : 0, 0, places);
    this.#caughtUp += planner.costOf(backend.work) - spentBefore;
    return refreshed;
  }

  /**
   * Answers query slots, none by what is older than epoch `floor`. Bounds that are not wanted are Infinity.
   */
  async answer(
    slots: Uint32Array,
    floor: number,
    wanted: StaleWanted,
    errors: LargestErrors | null,
  ): Promise<StaleAttentionOutput> {
    const answer = await this.#answerKept(slots, floor, wanted);
    const storage = this.addStorage(slots, answer.bounds, errors);
    return storage ? { ...answer, storage } : answer;
  }

  /**
   * Adds to bounds by kept rows how far attention of the rows given is from that of kept ones; returns that part,
   * null where rows are kept as they were given.
   */
  addStorage(
    slots: Uint32Array,
    bounds: Float64Array,
    errors: LargestErrors | null,
  ): Float64Array<ArrayBuffer> | null {
    if (errors === null) return null;
    const { backend, layout, scale } = this.#config;
    const storage = storageBounds(layout, scale, errors, backend.extents(slots));
    for (let at = 0; at < bounds.length; at++) bounds[at] += storage[at];
    return storage;
  }

  /** Answers as of the rows that are kept. */
  async #answerKept(
    slots: Uint32Array,
    floor: number,
    { bounds: areBoundsWanted, into }: StaleWanted,
  ): Promise<StaleAttentionOutput> {
    const { queries, planner, bringUp, threshold: { error } } = this.#config;
    if (error === Infinity) {
      const older = queries.olderThan(floor, slots);
      if (older.length > 0) await bringUp(older);
      const bounds = areBoundsWanted
        ? await queries.certify(slots)
        : new Float64Array(slots.length).fill(Infinity);
      const { output } = await queries.read(slots, { into, logs: false });
      return { output, bounds, ...queries.lagOf(slots) };
    }
    if (planner.policy === "rebuild") return await this.#certified(slots, error, floor, into);
    await this.#begin(slots);
    if (this.#trial.phase !== "off") return await this.#copied(slots, error, floor, into);
    const exact = this.#accounts.costOf(slots);
    const answer = await this.#exactly(slots, error, into);
    await this.#certifyAbove(slots, answer.bounds, error);
    this.#trial.answered(exact, 0, 0);
    this.#accounts.answered(slots);
    return answer;
  }

  /** Answers by states that are certified: a certificate costs less than computing a state from scratch. */
  async #certified(
    slots: Uint32Array,
    error: number,
    floor: number,
    into: Float32Array<ArrayBuffer> | null,
  ): Promise<StaleAttentionOutput> {
    const { queries, bringUp } = this.#config;
    await bringUp(queries.olderThan(floor, slots));
    let bounds = await queries.certify(slots);
    if (bounds.some((bound) => bound > error)) {
      await bringUp(queries.all());
      bounds = await queries.certify(slots);
    }
    const { output } = await queries.read(slots, { into, logs: false });
    return { output, bounds, ...queries.lagOf(slots) };
  }

  /** Answers followed query slots by copies, and the others exactly. */
  async #copied(
    slots: Uint32Array,
    error: number,
    floor: number,
    into: Float32Array<ArrayBuffer> | null,
  ): Promise<StaleAttentionOutput> {
    const { layout, backend, planner } = this.#config, trial = this.#trial, mirror = this.#mirror;
    const watched = backend.watched, width = outputColumns(layout);
    this.#reserve(slots, width);
    const places: MirrorPlaces = { data: this.#data, width, rowOf: (slot) => slot };
    const followed = watched?.isWhole ? slots : slots.filter((slot) => watched?.follows(slot));
    const others = watched?.isWhole ? NO_SLOTS : slots.filter((slot) => !watched?.follows(slot));
    const exact = this.#accounts.costOf(slots);
    const exactOfFollowed = others.length > 0 ? this.#accounts.costOf(followed) : exact;
    const spentBefore = planner.costOf(backend.work);
    const copies = await mirror.refresh(followed, error, floor, places);
    const upkeep = watched?.upkeep() ?? 0;
    const spent = planner.costOf(backend.work) - spentBefore + upkeep - this.#upkeepPaid;
    this.#caughtUp += spent;
    this.#upkeepPaid = upkeep;
    const exactly = await this.#exactly(others, error, null);
    const output = outputFor(into, slots.length * width), bounds = new Float64Array(slots.length);
    // The others come in long runs.
    for (let at = 0, copy = 0, other = 0; at < slots.length;) {
      let run = 0;
      while (other + run < others.length && slots[at + run] === others[other + run]) run++;
      output.set(exactly.output.subarray(other * width, (other + run) * width), at * width);
      bounds.set(exactly.bounds.subarray(other, other + run), at);
      other += run;
      at += run;
      for (; at < slots.length && slots[at] !== others[other]; at++) {
        const from = slots[at] * width, to = at * width;
        bounds[at] = copies.bounds[copy++];
        for (let c = 0; c < width; c++) output[to + c] = this.#data[from + c];
      }
    }
    const lag = mirror.lagOf(followed);
    await this.#certifyAbove(slots, bounds, error);
    const grown = this.#accounts.settle(followed, (slot) => mirror.knownBy(slot));
    trial.answered(exact, exactOfFollowed, exactOfFollowed - spent - grown);
    this.#accounts.answered(slots);
    if (trial.phase === "off") {
      this.#letCopiesGo();
      if (this.#held.size === 0) backend.unwatch();
    }
    return {
      output,
      bounds,
      epoch: Math.min(lag.epoch, exactly.epoch),
      pending: Math.max(lag.pending, exactly.pending),
    };
  }

  /** Exact answers of query slots; bounds that rounding takes above the limit are Infinity. */
  async #exactly(
    slots: Uint32Array,
    error: number,
    into: Float32Array<ArrayBuffer> | null,
  ): Promise<StaleAttentionOutput> {
    const { queries, bringUp } = this.#config, lag = () => queries.lagOf(slots);
    if (slots.length === 0) return { output: outputFor(into, 0), bounds: new Float64Array(0), ...lag() };
    await bringUp(slots);
    const bounds = await queries.drift(slots, error);
    const { output } = await queries.read(slots, { into, logs: false });
    return { output, bounds, ...lag() };
  }

  /** What rounding alone takes above the limit is exact, and certified. */
  async #certifyAbove(slots: Uint32Array, bounds: Float64Array, error: number): Promise<void> {
    let isAbove = false;
    for (let at = 0; at < bounds.length && !isAbove; at++) isAbove = !(bounds[at] <= error);
    if (!isAbove) return;
    const above = slots.filter((_, at) => !(bounds[at] <= error));
    const certified = await this.#config.queries.certify(above);
    for (let at = 0, next = 0; at < slots.length; at++) {
      if (!(bounds[at] <= error)) bounds[at] = Math.min(bounds[at], certified[next++]);
    }
  }

  /** Begins a trial, follows all that is asked for, or begins anew, where that is due. */
  async #begin(slots: Uint32Array): Promise<void> {
    const { backend, queries } = this.#config, trial = this.#trial;
    const watched = backend.watched;
    if (!watched && trial.phase !== "off") trial.stop();
    this.#noteBlocks(slots);
    if (trial.phase === "all") {
      if (this.#held.size > 0) await this.follow();
      else if (watched && (this.#isLoose(watched) || this.#askedBlocks >= 2 * this.#followedBlocks)) {
        trial.paid(await this.#watch(this.#inAskedBlocks(), slots));
      }
      return;
    }
    const least = queries.scoringCost(FEW_KEYS) * BLOCK_SLOTS / Math.max(1, queries.all().length);
    if (trial.hasPaid) {
      const cost = await this.#watch(this.#inAskedBlocks(), slots);
      trial.begin("all", least * this.#askedBlocks, cost);
      return;
    }
    const blocks = watched ? this.#askedBlocks : Math.ceil(this.#askedBlocks / SAMPLED);
    // Rows of the blocks that nobody asks for now are computed for the trial alone.
    const others = watched ? 0 : Math.max(0, BLOCK_SLOTS * blocks - slots.length);
    if (!trial.isDue(least * blocks + queries.buildCost * others / Math.max(1, queries.all().length))) return;
    if (watched) trial.begin("all", least * blocks, 0);
    else {
      const all = this.#inAskedBlocks(), sample = sampleOf(all);
      const cost = await this.#watch(sample, slots);
      trial.begin(sample.length < all.length ? "sample" : "all", least * blocks, cost);
    }
  }

  /**
   * Follows some query slots; returns what that has cost beside bringing `asked` up to date. Where memory
   * does not suffice, nothing is followed afterwards, and the next answer ends the phase.
   */
  async #watch(slots: Uint32Array, asked: Uint32Array): Promise<number> {
    const { backend, planner, bringUp } = this.#config;
    await bringUp(asked);
    const before = planner.costOf(backend.work);
    await bringUp(slots);
    await backend.watch(slots);
    const cost = planner.costOf(backend.work) - before;
    this.#caughtUp = this.#upkeepPaid = 0;
    this.#followedBlocks = this.#askedBlocks;
    this.#accounts.begin();
    return cost;
  }

  /** Notes that the blocks of these query slots are asked for. */
  #noteBlocks(slots: Uint32Array): void {
    for (const slot of slots) {
      const block = Math.floor(slot / BLOCK_SLOTS);
      if (block >= this.#isAsked.length) {
        const larger = new Uint8Array(2 * block + 8);
        larger.set(this.#isAsked);
        this.#isAsked = larger;
      }
      this.#askedBlocks += 1 - this.#isAsked[block];
      this.#isAsked[block] = 1;
    }
  }

  /** All query slots in blocks that are asked for. */
  #inAskedBlocks(): Uint32Array {
    return this.#config.queries.all().filter((slot) => this.#isAsked[Math.floor(slot / BLOCK_SLOTS)] === 1);
  }

  #isLoose(watched: Watched): boolean {
    const following = Math.max(watched.upkeep(), this.#config.queries.scoringCost(FEW_KEYS));
    return this.#caughtUp > RENEWALS * following && watched.looseness() > LOOSE;
  }

  /** Makes room for copies. */
  #reserve(slots: Uint32Array, width: number): void {
    let size = 0;
    for (const slot of slots) size = Math.max(size, slot + 1);
    if (this.#data.length >= size * width) return;
    const data = new Float32Array(Math.max(size * width, 2 * this.#data.length));
    data.set(this.#data);
    this.#data = data;
  }
}

/** One of `SAMPLED` blocks of ascending query slots, and the last one, which may be smaller than others. */
function sampleOf(slots: Uint32Array): Uint32Array {
  const last = Math.floor((slots.at(-1) ?? 0) / BLOCK_SLOTS);
  return slots.filter((slot) => {
    const block = Math.floor(slot / BLOCK_SLOTS);
    return block === last || (last - block) % SAMPLED === 0;
  });
}
