/**
 * Answers within an error: exact ones, by the way of any exact answer, or, while that pays, copies that are
 * kept within the error by drift.
 */

import type { Backend, Watched } from "../backends/backend.ts";
import { outputFor } from "../backends/wanted.ts";
import { type HeadLayout, outputColumns } from "../numerics/head_layout.ts";
import { AskedBlocks, BLOCK_SLOTS } from "./asked_blocks.ts";
import { DriftTrial, type Price } from "./drift_trial.ts";
import type { EarlyAnswer } from "./early_answer.ts";
import { ExactAccounts } from "./exact_accounts.ts";
import { FREE, less, LookPrices, plus } from "./look_prices.ts";
import type { Mirror } from "./mirror.ts";
import type { Planner } from "./planner.ts";
import type { Lag, StandingQueries } from "./standing_queries.ts";

/** The parts of an engine that such answers depend on. */
export interface LimitedConfig {
  readonly backend: Pick<
    Backend,
    "work" | "costs" | "watched" | "watch" | "unwatch" | "copied"
  >;
  readonly layout: HeadLayout;
  readonly queries: StandingQueries;
  readonly planner: Planner;
  /** Brings query slots up to date in the order of turns; null when it is done. */
  bringUp(slots: Uint32Array): Promise<void> | null;
  /** The same, with an answer that is taken after its bounds. */
  readonly early: EarlyAnswer;
  /** Copies, which this file answers with. */
  readonly mirror: Mirror;
  /** Whether others follow the drift of all query slots. */
  readonly isHeld: () => boolean;
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

/** A question. */
export interface LimitedQuestion {
  readonly slots: Uint32Array;
  readonly error: number;
  /** No answer may be older than this epoch. */
  readonly floor: number;
  readonly into: Float32Array<ArrayBuffer> | null;
}

/** A trial costs at least what noting this number of keys does. */
const FEW_KEYS = 8;
/**
 * Drift is begun anew when it is looser by the factor `LOOSE` than it would be then, and catching up has cost
 * `RENEWALS` times what following has.
 */
const LOOSE = 2, RENEWALS = 4;
/** Drift that is not loose is looked at again when catching up has cost this multiple. */
const LATER = 9 / 8;
/** Nanoseconds that nobody notices, and a share of the time of an answer. */
const LITTLE_TIME = 5_000, LITTLE_SHARE = 1 / 16;
/** Certificates of rounding are seldom smaller than this share of the bound that is common to all rows. */
const HOPELESS = 1 / 32;

const NO_SLOTS = new Uint32Array(0);

/** Answers within an error, of one engine. */
export class LimitedAnswers {
  readonly #config: LimitedConfig;
  readonly #trial = new DriftTrial();
  readonly #prices: LookPrices;
  readonly #asked: AskedBlocks;
  readonly #accounts: ExactAccounts;
  /** The copies, by query slot. */
  #data = new Float32Array(0);
  /** The number of blocks that were asked for when all of them were followed. */
  #followedBlocks = 0;
  /** The work of catching up since drift was begun, and that until which drift need not be looked at again. */
  #caughtUp = 0;
  #tightUntil = 0;

  constructor(config: LimitedConfig) {
    this.#config = config;
    this.#prices = new LookPrices(config);
    this.#asked = new AskedBlocks(() => config.queries.all());
    this.#accounts = new ExactAccounts((missed) => config.queries.costOf(1, missed));
  }

  get bytes(): number {
    return this.#data.byteLength + this.#accounts.bytes;
  }

  /** The number of changed key slots stored so far. */
  get stored(): number {
    return this.#accounts.stored;
  }

  /** Whether it follows drift. */
  get isFollowing(): boolean {
    return this.#trial.isFollowing;
  }

  /** Notes a stored batch of changed key slots and of query slots. */
  noteStored(keys: Uint32Array): void {
    this.#accounts.noteStored(keys);
  }

  /** Forgets all copies. */
  forget(): void {
    this.#data = new Float32Array(0);
    this.#config.mirror.clear();
  }

  /** Forgets what answers have cost so far, and follows drift no more. */
  reset(): void {
    this.#trial.reset();
    this.#asked.reset();
    this.#followedBlocks = 0;
    this.forget();
    this.#caughtUp = this.#tightUntil = 0;
    this.#accounts.begin();
  }

  /** Drift has become loose, so that following it is begun anew. */
  isLoose(watched: Watched): boolean {
    const following = Math.max(watched.upkeep(), this.#config.queries.scoringCost(FEW_KEYS));
    if (this.#caughtUp <= Math.max(RENEWALS * following, this.#tightUntil)) return false;
    if (watched.looseness() > LOOSE) return true;
    this.#tightUntil = LATER * this.#caughtUp;
    return false;
  }

  /** Notes what catching up has cost. */
  noteCaughtUp(work: number): void {
    this.#caughtUp += work;
  }

  /** Drift is begun. */
  noteBegun(): void {
    this.#caughtUp = this.#tightUntil = 0;
  }

  /** Answers query slots. */
  async answer(question: LimitedQuestion): Promise<StaleAttentionOutput> {
    const { slots, error, into } = question, trial = this.#trial, prices = this.#prices;
    const areAll = this.#asked.isWhole(slots);
    this.#asked.note(slots);
    if (!trial.isFollowing && this.#isDue(slots.length)) await this.#begin(slots);
    if (trial.isFollowing && await this.#watches(slots)) return await this.#copied(question, areAll);
    const before = prices.workSoFar, answer = await this.#exactly(slots, error, into);
    const work = prices.workSoFar - before;
    trial.answered({ work, time: prices.timeOfExact(work, slots.length) });
    return answer;
  }

  /** Answers followed query slots by copies, and the others exactly. */
  async #copied(question: LimitedQuestion, areAll: boolean): Promise<StaleAttentionOutput> {
    const { slots, error, floor, into } = question, { layout, backend, mirror } = this.#config;
    const watched = backend.watched, width = outputColumns(layout), prices = this.#prices;
    this.#reserve(slots, width);
    const isWhole = watched?.isWhole === true;
    const followed = isWhole ? slots : slots.filter((slot) => watched?.follows(slot));
    const copied = new Float64Array(followed.length);
    const places = { data: this.#data, width, rowOf: toItself, bounds: copied, areBoundsWanted: always };
    const others = isWhole ? NO_SLOTS : slots.filter((slot) => !watched?.follows(slot));
    const missed = this.#accounts.ask(followed, areAll && isWhole);
    const before = prices.workSoFar;
    const copies = await mirror.refresh(followed, { error, floor, isFollowed: true }, places);
    const caughtUp = prices.workSoFar - before;
    this.#caughtUp += caughtUp;
    const exactly = await this.#exactly(others, error, null);
    const output = outputFor(into, slots.length * width);
    const bounds = others.length === 0 ? copied : new Float64Array(slots.length);
    if (others.length === 0) copyRows(this.#data, slots, width, output);
    else this.#mix(slots, others, exactly, copied, output, bounds);
    const lag = mirror.lagOf(followed);
    if (isAnyAbove(bounds, error)) await this.#certifyAbove(slots, bounds, error, 0);
    const isShared = others.length > 0, look = isShared ? FREE : prices.ofLook(0);
    const exactLook = isShared ? FREE : prices.ofLook(this.#accounts.mostMissed);
    const exact = plus(prices.ofExact(missed, followed.length), exactLook);
    const spent = plus(prices.ofCopies(followed.length), prices.ofCatchingUp(caughtUp, copies, look));
    this.#trial.answered({ work: exact.work, time: prices.timeOfExact(missed, followed.length) });
    this.#trial.saved(less(exact, spent), copies.made / Math.max(1, followed.length), () => {
      return prices.ofDebt(followed);
    });
    this.#letGoUnlessTried();
    return {
      output,
      bounds,
      epoch: Math.min(lag.epoch, exactly.epoch),
      pending: Math.max(lag.pending, exactly.pending),
    };
  }

  /** Puts copies and exact answers of `others`, which come in long runs, in the order of `slots`. */
  #mix(
    slots: Uint32Array,
    others: Uint32Array,
    exactly: StaleAttentionOutput,
    copies: Float64Array,
    output: Float32Array,
    bounds: Float64Array,
  ): void {
    const width = outputColumns(this.#config.layout);
    for (let at = 0, copy = 0, other = 0; at < slots.length;) {
      let run = 0;
      while (other + run < others.length && slots[at + run] === others[other + run]) run++;
      output.set(exactly.output.subarray(other * width, (other + run) * width), at * width);
      bounds.set(exactly.bounds.subarray(other, other + run), at);
      other += run;
      at += run;
      for (; at < slots.length && slots[at] !== others[other]; at++) {
        const from = slots[at] * width, to = at * width;
        bounds[at] = copies[copy++];
        for (let c = 0; c < width; c++) output[to + c] = this.#data[from + c];
      }
    }
  }

  /**
   * Exact answers of query slots by the path of any exact read, with one bound for all rows where there is one;
   * bounds that rounding takes above the limit are certified.
   */
  async #exactly(
    slots: Uint32Array,
    error: number,
    into: Float32Array<ArrayBuffer> | null,
  ): Promise<StaleAttentionOutput> {
    const { queries, early } = this.#config, prices = this.#prices, before = prices.workSoFar;
    if (slots.length === 0) {
      return { output: outputFor(into, 0), bounds: new Float64Array(0), ...queries.lagOf(slots) };
    }
    const bounds = await queries.settledDrift(slots, error), isBounded = !isAnyAbove(bounds, error);
    const running = early.bringUp(slots, into, isBounded || areAllWithin(bounds, error / HOPELESS, Infinity));
    if (running) await running;
    if (!isBounded) {
      const time = prices.timeOfExact(prices.workSoFar - before, slots.length);
      await this.#certifyAbove(slots, bounds, error, time);
    }
    const output = early.take() ?? (await queries.read(slots, { into, logs: false })).output;
    return { output, bounds, ...queries.lagOf(slots) };
  }

  /**
   * What rounding alone takes above the limit is exact, and certified where that takes little time, or little beside
   * the answer, or nothing is known otherwise.
   */
  async #certifyAbove(slots: Uint32Array, bounds: Float64Array, error: number, time: number): Promise<void> {
    const above = slotsAbove(slots, bounds, error), { queries } = this.#config;
    // Far below what is known of rounding, a certificate would be above the limit, too.
    if (areAllWithin(bounds, error / HOPELESS, Infinity)) {
      const { certified: price } = queries.boundTimes(above);
      if (price > Math.max(LITTLE_TIME, LITTLE_SHARE * time)) return;
    }
    const certified = await queries.certify(above);
    for (let at = 0, next = 0; at < slots.length; at++) {
      if (!(bounds[at] <= error)) bounds[at] = Math.min(bounds[at], certified[next++]);
    }
  }

  /** Whether a trial is due before an answer of so many query slots. */
  #isDue(count: number): boolean {
    const blocks = this.#asked.count, { watched } = this.#config.backend;
    // Rows of the blocks that nobody asks for now are computed for the trial alone.
    const others = watched?.isWhole ? 0 : Math.max(0, BLOCK_SLOTS * blocks - count);
    const build = this.#prices.ofBuild(), unasked = { work: others * build.work, time: others * build.time };
    const least = plus(this.#prices.ofFew(FEW_KEYS, blocks, BLOCK_SLOTS), unasked);
    return this.#trial.isDue(least, BLOCK_SLOTS * others <= count);
  }

  /** Follows all that is asked for from now on. */
  async #begin(slots: Uint32Array): Promise<void> {
    const { backend, isHeld } = this.#config, all = this.#asked.all(), build = this.#prices.ofBuild();
    const cost = isHeld() && backend.watched?.isWhole ? FREE : await this.#watch(all, slots);
    this.#prices.ofFollowing();
    this.#accounts.begin();
    this.#followedBlocks = this.#asked.count;
    this.#trial.begin(cost, { work: all.length * build.work, time: all.length * build.time });
  }

  /** Whether drift is followed, which is begun anew where it has become loose or others are asked for. */
  async #watches(slots: Uint32Array): Promise<boolean> {
    const { backend, backend: { watched }, isHeld } = this.#config, asked = this.#asked;
    const isOld = watched && !isHeld() && (this.isLoose(watched) || asked.count >= 2 * this.#followedBlocks);
    if (isOld) this.#trial.paid(await this.#watch(asked.all(), slots));
    if (!backend.watched) this.#trial.stop();
    this.#letGoUnlessTried();
    return this.#trial.isFollowing;
  }

  /**
   * Follows some query slots; returns what that has cost beside bringing `asked` up to date. Where memory
   * does not suffice, nothing is followed afterwards, and the trial ends.
   */
  async #watch(slots: Uint32Array, asked: Uint32Array): Promise<Price> {
    const { backend, bringUp } = this.#config;
    await bringUp(asked);
    const before = this.#prices.workSoFar;
    await bringUp(slots);
    await backend.watch(slots);
    this.#caughtUp = this.#tightUntil = 0;
    this.#followedBlocks = this.#asked.count;
    this.#accounts.begin();
    return this.#prices.ofBeginning(this.#prices.workSoFar - before, slots.length);
  }

  /** Lets copies, and drift that nobody else follows, go when a trial is over. */
  #letGoUnlessTried(): void {
    if (this.#trial.isFollowing) return;
    this.forget();
    if (!this.#config.isHeld()) this.#config.backend.unwatch();
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

function toItself(slot: number): number {
  return slot;
}

function always(): boolean {
  return true;
}

function isAnyAbove(bounds: Float64Array, error: number): boolean {
  for (let at = 0; at < bounds.length; at++) if (!(bounds[at] <= error)) return true;
  return false;
}

/** The query slots whose bounds are above an error: the same array where all are. */
function slotsAbove(slots: Uint32Array, bounds: Float64Array, error: number): Uint32Array {
  let count = 0;
  for (let at = 0; at < slots.length; at++) if (!(bounds[at] <= error)) count++;
  if (count === slots.length) return slots;
  const above = new Uint32Array(count);
  for (let at = 0, next = 0; at < slots.length; at++) if (!(bounds[at] <= error)) above[next++] = slots[at];
  return above;
}

/** Whether numbers are above `least` and below `most`. */
function areAllWithin(numbers: Float64Array, least: number, most: number): boolean {
  for (let at = 0; at < numbers.length; at++) if (!(numbers[at] > least && numbers[at] < most)) return false;
  return true;
}

/** Copies rows of `width` numbers, by query slot, runs of neighbours at once. */
function copyRows(from: Float32Array, slots: Uint32Array, width: number, to: Float32Array): void {
  for (let at = 0, end = 0; at < slots.length; at = end) {
    for (end = at + 1; end < slots.length && slots[end] === slots[end - 1] + 1;) end++;
    to.set(from.subarray(slots[at] * width, (slots[at] + end - at) * width), at * width);
  }
}
