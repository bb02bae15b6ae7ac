/**
 * Stale answers, with bounds. Without a limit on the error they are those of the states as they are, and each
 * bound is certified, unless exact answers take less time. With one they are exact, or, while that pays, copies
 * that are kept within the limit by drift.
 */

import type { Ahead, AttentionOutput, Backend } from "../backends/backend.ts";
import type { HeadLayout } from "../numerics/head_layout.ts";
import { type LargestErrors, storageBounds } from "../numerics/storage_bound.ts";
import { BoundChoice } from "./bound_choice.ts";
import { EarlyAnswer } from "./early_answer.ts";
import { LimitedAnswers, type StaleAttentionOutput } from "./limited_answers.ts";
import { FollowedCopies } from "./followed_copies.ts";
import { Mirror } from "./mirror.ts";
import type { Planner } from "./planner.ts";
import type { StandingQueries } from "./standing_queries.ts";
import type { Threshold } from "./threshold.ts";

/** The parts of an engine that stale answers depend on. */
export interface StaleConfig {
  readonly backend: Pick<
    Backend,
    "work" | "costs" | "watched" | "watch" | "unwatch" | "drift" | "copied" | "extents"
  >;
  readonly layout: HeadLayout;
  /** The scale of scores. */
  readonly scale: number;
  readonly queries: StandingQueries;
  readonly planner: Planner;
  readonly threshold: Threshold;
  /** Brings query slots up to date in the order of turns; null when it is done. */
  bringUp(slots: Uint32Array, ahead?: Ahead): Promise<void> | null;
}

/** What a stale answer is to hold. */
export interface StaleWanted {
  /** Whether bounds are wanted; without, all are Infinity if there is no limit. */
  readonly bounds: boolean;
  /** An array of the caller's for the output; null for a new one. */
  readonly into: Float32Array<ArrayBuffer> | null;
}

export type { StaleAttentionOutput };

/** Fewer head rows, in less nanoseconds, are certified, whatever exact answers take: both take microseconds. */
const FEW_ROWS = 32, LITTLE_TIME = 100_000;

/** Stale answers of one engine. */
export class StaleAnswers {
  readonly #config: StaleConfig;
  /** The copies of others. */
  readonly #held = new Set<FollowedCopies>();
  readonly #mirror: Mirror;
  readonly #limited: LimitedAnswers;
  readonly #early: EarlyAnswer;
  readonly #choice = new BoundChoice();
  /** The number of changed key slots that had been stored when bounds were last asked for. */
  #storedAtLook = 0;

  constructor(config: StaleConfig) {
    this.#config = config;
    const mirror = this.#mirror = this.#newMirror();
    const early = this.#early = new EarlyAnswer((slots, ahead) => config.bringUp(slots, ahead));
    this.#limited = new LimitedAnswers({ ...config, mirror, early, isHeld: () => this.#isHeld });
  }

  /** Bytes of copies, those that others hold included, but for the arrays of those. */
  get bytes(): number {
    let bytes = this.#mirror.bytes + this.#limited.bytes;
    for (const { mirror } of this.#held) bytes += mirror.bytes;
    return bytes;
  }

  /** Notes a stored batch of changed key slots and of query slots. */
  noteStored(keys: Uint32Array, queries: Uint32Array): void {
    this.#limited.noteStored(keys);
    if (queries.length === 0) return;
    this.#mirror.lose(queries);
    for (const { mirror } of this.#held) mirror.lose(queries);
  }

  /** Forgets all copies. */
  forget(): void {
    this.#limited.forget();
    for (const { mirror } of this.#held) mirror.clear();
  }

  /** Forgets what stale answers have cost so far, and follows drift no more: a snapshot has neither. */
  reset(): void {
    this.#config.backend.unwatch();
    this.#limited.reset();
    this.#choice.reset();
    this.forget();
  }

  /**
   * Copies for another, none yet. Drift is followed for them while that pays, or always, until they are
   * released.
   */
  hold(isAlways: boolean): FollowedCopies {
    const limited = this.#limited, { backend } = this.#config;
    const copies = new FollowedCopies({
      ...this.#config,
      mirror: this.#newMirror(),
      isAlways,
      stored: () => limited.stored,
      isLoose: () => backend.watched !== null && limited.isLoose(backend.watched),
      noteBegun: () => limited.noteBegun(),
      noteCaughtUp: (work) => limited.noteCaughtUp(work),
    });
    this.#held.add(copies);
    return copies;
  }

  /** Takes `hold` back. */
  release(copies: FollowedCopies): void {
    if (this.#held.delete(copies)) this.#letGo();
  }

  /** Whether drift is followed for others. */
  get #isHeld(): boolean {
    for (const { isFollowing } of this.#held) if (isFollowing) return true;
    return false;
  }

  /** Drift that nobody follows is let go. */
  #letGo(): void {
    if (!this.#isHeld && !this.#limited.isFollowing) this.#config.backend.unwatch();
  }

  #newMirror(): Mirror {
    const { backend, queries, layout, bringUp } = this.#config;
    const read = (slots: Uint32Array, into: Float32Array<ArrayBuffer> | null): Promise<AttentionOutput> => {
      const wanted = { into, logs: false }, ahead: Ahead = { wanted, given: null };
      const running = bringUp(slots, ahead);
      const answer = () => ahead.given ? Promise.resolve(ahead.given) : queries.read(slots, wanted);
      return running ? running.then(answer) : answer();
    };
    return new Mirror(
      { backend, epoch: () => queries.epoch, stored: () => this.#limited.stored, read },
      layout.heads,
    );
  }

  /** Copies of others were made anew. */
  noteRefreshed({ isFollowing }: FollowedCopies): void {
    if (!isFollowing) this.#letGo();
  }

  /**
   * Answers query slots, none by what is older than epoch `floor`. Bounds that are not wanted are Infinity.
   */
  answer(
    slots: Uint32Array,
    floor: number,
    wanted: StaleWanted,
    errors: LargestErrors | null,
  ): Promise<StaleAttentionOutput> {
    const { planner, threshold: { error } } = this.#config;
    if (errors !== null || error === Infinity || planner.policy === "rebuild") {
      return this.#answerStored(slots, floor, wanted, errors);
    }
    // A look at a row or two takes microseconds, and each promise on the way is a part of them.
    return this.#limited.answer({ slots, error, floor, into: wanted.into });
  }

  /** As `answer`, with what rounding of kept rows adds. */
  async #answerStored(
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
      if (planner.policy === "auto") await this.#gather(slots);
      this.#early.begin();
      const bounds = areBoundsWanted ? await this.#cheapestBounds(slots, into) : infinities(slots.length);
      const output = this.#early.take() ?? (await queries.read(slots, { into, logs: false })).output;
      return { output, bounds, ...queries.lagOf(slots) };
    }
    if (planner.policy === "rebuild") return await this.#certified(slots, error, floor, into);
    return await this.#limited.answer({ slots, error, floor, into });
  }

  /** Brings query slots up to date that have left the others a few at a time. */
  async #gather(slots: Uint32Array): Promise<void> {
    const gathered = this.#config.queries.gathered(slots);
    if (gathered.length > 0) await this.#config.bringUp(gathered);
  }

  /** Certified bounds, after catching up where that takes less time than the certificates of pending keys. */
  async #cheapestBounds(
    slots: Uint32Array,
    into: Float32Array<ArrayBuffer> | null,
  ): Promise<Float64Array<ArrayBuffer>> {
    const { queries, planner, layout } = this.#config;
    if (planner.policy === "auto") {
      const changed = this.#limited.stored - this.#storedAtLook;
      this.#storedAtLook = this.#limited.stored;
      if (queries.lagOf(slots).pending > 0) {
        const look = queries.boundTimes(slots, changed);
        const isLittle = slots.length * layout.heads < FEW_ROWS && look.certified < LITTLE_TIME;
        if (this.#choice.catchesUp(look) && !isLittle) {
          const running = this.#early.bringUp(slots, into, false);
          if (running) await running;
        }
      }
    }
    return await queries.certify(slots);
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
}

/** As `fill`, which takes longer for arrays of some hundred numbers. */
function infinities(count: number): Float64Array<ArrayBuffer> {
  const bounds = new Float64Array(count);
  for (let at = 0; at < count; at++) bounds[at] = Infinity;
  return bounds;
}
