/**
 * Copies of answers in an array of a caller's, each kept within an error of exact while that costs less than exact
 * answers would. They begin with following drift where most query slots are wanted. It is given up when it
 * has cost more than exact answers by a small share, and tried again after ever longer pauses.
 */

import type { Backend } from "../backends/backend.ts";
import type { HeadLayout } from "../numerics/head_layout.ts";
import { BLOCK_SLOTS } from "./asked_blocks.ts";
import { DriftTrial, type Price } from "./drift_trial.ts";
import { FREE, less, LookPrices, plus } from "./look_prices.ts";
import type { Mirror, MirrorPlaces, Refreshed } from "./mirror.ts";
import type { Planner } from "./planner.ts";
import type { StandingQueries } from "./standing_queries.ts";

/** The parts of an engine that followed copies depend on. */
export interface FollowConfig {
  readonly backend: Pick<Backend, "work" | "costs" | "watched" | "watch">;
  readonly layout: HeadLayout;
  readonly queries: StandingQueries;
  readonly planner: Planner;
  /** Brings query slots up to date in the order of turns; null when it is done. */
  bringUp(slots: Uint32Array): Promise<void> | null;
  readonly mirror: Mirror;
  /** Whether drift is followed whether it pays or not. */
  readonly isAlways: boolean;
  /** The number of changed key slots stored so far. */
  stored(): number;
  /** Whether the drift that is followed has become loose. */
  isLoose(): boolean;
  /** Drift was begun, or catching up has cost this much. */
  noteBegun(): void;
  noteCaughtUp(work: number): void;
}

/** Following is begun at once where this share of the query slots is wanted. */
const MOST_SLOTS = 1 / 4;
/** Where an engine has fewer head rows, drift is followed whatever it takes, which is microseconds. */
const FEW_ROWS = 128;
/** A trial costs at least what noting this number of keys does. */
const FEW_KEYS = 8;

/** The copies of one caller. */
export class FollowedCopies {
  readonly mirror: Mirror;
  readonly #config: FollowConfig;
  readonly #trial = new DriftTrial();
  readonly #prices: LookPrices;
  /** The number of changed key slots at the last refresh; negative before the first. */
  #storedBefore = -1;

  constructor(config: FollowConfig) {
    this.#config = config;
    this.mirror = config.mirror;
    this.#prices = new LookPrices(config);
  }

  /** Whether it needs the drift of all query slots. */
  get isFollowing(): boolean {
    return this.#trial.isFollowing;
  }

  /** Makes copies anew that may be further than `error` from exact. */
  async refresh(slots: Uint32Array, error: number, places: MirrorPlaces): Promise<Refreshed> {
    const { mirror, queries, stored } = this.#config, trial = this.#trial, prices = this.#prices;
    const missed = this.#storedBefore < 0 ? 0 : stored() - this.#storedBefore;
    if (error > 0 && !this.isFollowing && this.#isDue(slots)) await this.#begin(slots);
    const isFollowed = this.isFollowing && await this.#watches(slots);
    const before = prices.workSoFar;
    const refreshed = await mirror.refresh(slots, { error, floor: 0, isFollowed }, places);
    const caughtUp = prices.workSoFar - before;
    this.#config.noteCaughtUp(caughtUp);
    this.#storedBefore = stored();
    if (missed === 0) {
      // The first copies are no answers in the place of exact ones.
      prices.ofFollowing();
      return refreshed;
    }
    const work = queries.costOf(slots.length, missed), look = prices.ofLook(0);
    trial.answered({ work, time: prices.timeOfExact(work, slots.length) });
    if (!isFollowed || this.#isAlways) return refreshed;
    const gain = less(
      plus(prices.ofExact(work, slots.length), prices.ofLook(missed)),
      prices.ofCatchingUp(caughtUp, refreshed, look),
    );
    trial.saved(gain, refreshed.made / slots.length, () => prices.ofDebt(slots));
    return refreshed;
  }

  /** Whether drift is followed whether it pays or not. */
  get #isAlways(): boolean {
    const { isAlways, queries, layout: { heads } } = this.#config;
    return isAlways || queries.all().length * heads < FEW_ROWS;
  }

  /** Whether following is worth a trial now. */
  #isDue(slots: Uint32Array): boolean {
    const count = this.#config.queries.all().length;
    if (this.#isAlways || this.#storedBefore < 0 && slots.length >= MOST_SLOTS * count) return true;
    return this.#trial.isDue(
      this.#prices.ofFew(FEW_KEYS, Math.ceil(count / BLOCK_SLOTS), BLOCK_SLOTS),
      false,
    );
  }

  /** Follows all query slots from now on. */
  async #begin(slots: Uint32Array): Promise<void> {
    const prices = this.#prices, build = prices.ofBuild();
    const cost = this.#config.backend.watched?.isWhole ? FREE : await this.#watch(slots);
    prices.ofFollowing();
    if (cost === null) return;
    this.#trial.begin(cost, { work: slots.length * build.work, time: slots.length * build.time });
  }

  /** Whether drift is followed, which is begun anew where it is not or has become loose. */
  async #watches(slots: Uint32Array): Promise<boolean> {
    const { backend, isLoose } = this.#config;
    if (backend.watched?.isWhole && !isLoose()) return true;
    const cost = await this.#watch(slots);
    if (cost !== null) this.#trial.paid(cost);
    else this.#trial.stop();
    return cost !== null;
  }

  /** Begins drift; returns what it cost beside bringing `slots` up to date, null where memory does not suffice. */
  async #watch(slots: Uint32Array): Promise<Price | null> {
    const { backend, bringUp, queries, noteBegun } = this.#config, all = queries.all(), prices = this.#prices;
    await bringUp(slots);
    const before = prices.workSoFar;
    await bringUp(all);
    noteBegun();
    if (!await backend.watch(all)) return null;
    return prices.ofBeginning(prices.workSoFar - before, all.length);
  }
}
