// Pages of recommendations kept in several ways: while some users rate, others only look at their page. What
// each way costs, how far tastes are from exact, and what that does to the next rating and to what is
// recommended.
//
// The recommender learns exactly, once. Engines beside it get the same edits, and are read as their strategy
// says.

import { DynamicAttention } from "../../mod.ts";
import { addReading, NO_DEVIATION, relativeError } from "../metrics.ts";
import { engineOptions, type Strategy, strategyName } from "../strategies.ts";
import type { FilmBoard } from "./film_board.ts";
import { pageOf } from "./ranking.ts";
import { clampStars, LIKED, type Rating } from "./ratings.ts";
import type { Recommender } from "./recommender.ts";

/** The result of one way. */
export interface PageResult {
  readonly name: string;
  readonly strategy: Strategy;
  /** Multiply-adds a rating, with the pages that are looked at meanwhile. */
  readonly cost: number;
  /** ‖read − exact‖ / ‖exact − v̄‖ over all readings. */
  readonly relativeError: number;
  /** The error of the next rating of the user who looks. */
  readonly rmse: number;
  /**
   * Of the next ten films that the user who looks will like and that are keys, the share that is on the page.
   */
  readonly hitRate: number;
}

export const EXACT_PAGES: Strategy = { family: "exact", threshold: null, error: null };

/** The ways that are compared. Thresholds count slots that changed, errors are in the units of values. */
export const PAGE_POLICIES: readonly Strategy[] = [
  { family: "everyAnswer", threshold: null, error: null },
  ...[16, 128, 1024].map((threshold) => ({ family: "original", threshold, error: null }) as const),
  ...[16, 128, 1024].map((threshold) => ({ family: "patch", threshold, error: null }) as const),
  ...[0.01, 0.03, 0.1].map((error) => ({ family: "budgetPatch", threshold: null, error }) as const),
  ...[0.01, 0.03, 0.1].map((error) => ({ family: "adaptive", threshold: null, error }) as const),
  EXACT_PAGES,
];

/** The number of films that a user will like next and that are looked for on the page. */
const LIKED_NEXT = 10;

/** Pages, kept in every way at once. */
export class PageComparison {
  readonly #recommender: Recommender;
  readonly #ratings: readonly Rating[];
  readonly #lookers: number;
  readonly #exact: Copy;
  /** One a strategy. */
  readonly #copies: readonly Copy[];
  /** Indices of the ratings of each user. */
  readonly #byUser: ReadonlyMap<number, readonly number[]>;
  #looks = 0;
  #steps = 0;

  private constructor(
    recommender: Recommender,
    ratings: readonly Rating[],
    lookers: number,
    exact: Copy,
    copies: readonly Copy[],
  ) {
    this.#recommender = recommender;
    this.#ratings = ratings;
    this.#lookers = lookers;
    this.#exact = exact;
    this.#copies = copies;
    const byUser = new Map<number, number[]>();
    ratings.forEach(({ user }, at) => byUser.set(user, [...byUser.get(user) ?? [], at]));
    this.#byUser = byUser;
  }

  /** Begins with the recommender as it is; `lookers` users look at their page after each rating. */
  static async create(
    recommender: Recommender,
    ratings: readonly Rating[],
    lookers: number,
    strategies: readonly Strategy[] = PAGE_POLICIES,
  ): Promise<PageComparison> {
    const exact = await Copy.of(recommender, EXACT_PAGES);
    const copies: Copy[] = [];
    for (const strategy of strategies) copies.push(await Copy.of(recommender, strategy));
    return new PageComparison(recommender, ratings, lookers, exact, copies);
  }

  /**
   * Follows the recommender, which has learned rating `at`, and lets some of those who will come back look.
   */
  async look(at: number): Promise<void> {
    const { board, ground } = this.#recommender;
    this.#steps++;
    for (const copy of this.#all) copy.follow(board, this.#ratings[at]);
    const comers = [...board.users.keys()].filter((user) => {
      const own = this.#byUser.get(user) ?? [];
      return user !== this.#ratings[at].user && (own.at(-1) ?? 0) > at;
    });
    for (let look = 0; look < Math.min(this.#lookers, comers.length); look++) {
      const user = comers[this.#looks++ % comers.length];
      const later = (this.#byUser.get(user) ?? []).filter((index) => index > at).map((index) =>
        this.#ratings[index]
      );
      const slot = board.users.get(user) as number, rated = this.#recommender.rated(user);
      const next = later[0], nextValue = board.value(next.film, ground.filmBias(next.film));
      const wanted = later.filter(({ film, stars }) => stars >= LIKED && board.keys.has(film)).slice(
        0,
        LIKED_NEXT,
      );
      const truth = await this.#exact.read(slot), centre = board.centre();
      for (const copy of this.#copies) {
        const output = await copy.read(slot);
        const said = clampStars(ground.predict(user, next.film) + board.match(output, nextValue));
        const page = new Set(pageOf(board, ground, output, rated));
        copy.deviation = addReading(copy.deviation, centred(output, centre), centred(truth, centre), 0);
        copy.squares += (said - next.stars) ** 2;
        copy.readings++;
        copy.wanted += wanted.length;
        copy.found += wanted.filter(({ film }) => page.has(film)).length;
      }
    }
  }

  /** The results of each way so far. */
  results(): PageResult[] {
    return this.#copies.map((copy) => ({
      name: copy.strategy.family === "everyAnswer"
        ? "the row asked for, computed anew"
        : strategyName(copy.strategy),
      strategy: copy.strategy,
      cost: copy.multiplyAdds / this.#steps,
      relativeError: relativeError(copy.deviation),
      rmse: Math.sqrt(copy.squares / copy.readings),
      hitRate: copy.found / copy.wanted,
    }));
  }

  async dispose(): Promise<void> {
    for (const copy of this.#all) await copy.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  get #all(): Copy[] {
    return [this.#exact, ...this.#copies];
  }
}

function centred(output: ArrayLike<number>, centre: Float64Array): Float64Array {
  return centre.map((mean, c) => output[c] - mean);
}

/** An engine that is edited as that of the recommender, and read in its own way. */
class Copy {
  readonly strategy: Strategy;
  readonly #live: DynamicAttention;
  readonly #workBefore: number;
  deviation = NO_DEVIATION;
  squares = 0;
  readings = 0;
  wanted = 0;
  found = 0;

  private constructor(live: DynamicAttention, strategy: Strategy) {
    this.#live = live;
    this.strategy = strategy;
    this.#workBefore = live.stats().multiplyAdds;
  }

  static async of({ board: { live } }: Recommender, strategy: Strategy): Promise<Copy> {
    const copy = await DynamicAttention.create({
      query: Array.from(live.querySlots(), (slot) => live.getQuery(slot)),
      key: Array.from(live.keySlots(), (slot) => live.getKey(slot)),
      value: Array.from(live.keySlots(), (slot) => live.getValue(slot)),
      scale: 1,
      ...engineOptions(strategy),
      threads: 1,
    });
    await copy.rebuild();
    return new Copy(copy, strategy);
  }

  get multiplyAdds(): number {
    return this.#live.stats().multiplyAdds - this.#workBefore;
  }

  follow(board: FilmBoard, { user, film }: Rating): void {
    const querySlot = board.users.get(user), keySlot = board.keys.get(film);
    const live = this.#live;
    if (querySlot !== undefined) {
      const query = board.live.getQuery(querySlot);
      if (live.querySlots().includes(querySlot)) live.setQuery(querySlot, query);
      else live.insertQuery(query);
    }
    if (keySlot !== undefined) {
      const key = board.live.getKey(keySlot), value = board.live.getValue(keySlot);
      if (live.keySlots().includes(keySlot)) live.set(keySlot, key, value);
      else live.insert(key, value);
    }
  }

  async read(slot: number): Promise<Float32Array> {
    const { family, error } = this.strategy;
    if (family === "everyAnswer") return (await this.#live.attend([this.#live.getQuery(slot)])).data;
    if (family === "exact") return (await this.#live.read([slot])).data;
    return (await this.#live.peek([slot], { bounds: error !== null })).output.data;
  }

  async dispose(): Promise<void> {
    await this.#live.dispose();
  }
}
