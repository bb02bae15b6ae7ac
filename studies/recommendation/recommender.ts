// A recommender that learns from every rating: users are standing queries, films are keys and values.
//
//     r̂(u, f) = ground(u, f) + (o_u − v̄) · v_f,      o_u = Σ_j softmax_j(q_u · k_j) v_j
//
// The taste of a user is the common part of the films that the user attends to, beyond all films. A rating
// steps the user's query alone; the key and value of the film follow what its ratings say.

import { type Loss, OnlineLearner, sgd } from "../../src/learning/mod.ts";
import { InputError } from "../../src/base/errors.ts";
import { type BoardOptions, type Entry, FilmBoard } from "./film_board.ts";
import { dot, type FilmColumns, FilmTable } from "./film_table.ts";
import type { Ground } from "./rating_bias.ts";
import { placeOf } from "./ranking.ts";
import { clampStars, type Film, type Rating } from "./ratings.ts";

/** The constants, chosen on the first 30,000 ratings alone. */
export interface RecommenderSettings {
  readonly columns: FilmColumns;
  readonly entry: Entry;
  /** Rate of the queries' steps, and how much of itself a query loses at each, times the rate. */
  readonly tasteRate: number;
  readonly tasteDecay: number;
}

/** With everything that helps. */
export const USUAL_SETTINGS: RecommenderSettings = {
  columns: { sharpness: 6, yearScale: 0.5, popularityScale: 1, biasScale: 0.5 },
  entry: { ratings: 20 },
  tasteRate: 0.05,
  tasteDecay: 0.02,
};

/**
 * Keys of the catalogue alone, films that the ratings have no say in: so nothing of one user gets into
 * another's taste.
 */
export function separableSettings(films: readonly number[]): RecommenderSettings {
  return {
    ...USUAL_SETTINGS,
    columns: { ...USUAL_SETTINGS.columns, popularityScale: 0, biasScale: 0 },
    entry: { films },
  };
}

/** The prediction of a rating before it was learned from. */
export interface Said {
  readonly stars: number;
  /**
   * How many films that the user has not rated would have been recommended before this one; null when it is
   * no key.
   */
  readonly place: number | null;
}

/** The recommender. */
export class Recommender {
  readonly board: FilmBoard;
  readonly ground: Ground;
  readonly learner: OnlineLearner;
  /** Films that a user has rated, once for each rating. */
  readonly #rated = new Map<number, number[]>();

  private constructor(board: FilmBoard, ground: Ground, { tasteRate, tasteDecay }: RecommenderSettings) {
    this.board = board;
    this.ground = ground;
    this.learner = new OnlineLearner(board.live, {
      loss: tasteLoss,
      optimizer: sgd({ weightDecay: tasteDecay }),
      rates: { queries: tasteRate, keys: false, values: false },
    });
  }

  static async create(
    films: readonly Film[],
    ground: Ground,
    settings: RecommenderSettings = USUAL_SETTINGS,
    options: BoardOptions = {},
  ): Promise<Recommender> {
    const table = new FilmTable(films, settings.columns);
    return new Recommender(await FilmBoard.create(table, settings.entry, options), ground, settings);
  }

  /** The films that a user has rated. */
  rated(user: number): ReadonlySet<number> {
    return new Set(this.#rated.get(user));
  }

  /** Stars that a user is expected to give. */
  async predict(user: number, film: number): Promise<number> {
    const slot = this.board.users.get(user);
    const value = this.board.value(film, this.ground.filmBias(film));
    const taste = slot === undefined ? 0 : this.board.match((await this.board.live.read([slot])).data, value);
    return clampStars(this.ground.predict(user, film) + taste);
  }

  /** Learns from a rating. With `ranked`, what is said before includes the film's place. */
  async learn({ user, film, stars }: Rating, ranked = false): Promise<Said> {
    const { board, ground } = this;
    const query = board.admit(user);
    const value = board.value(film, ground.filmBias(film));
    // The score is o · v_f: what the taste is to add, and what v̄ · v_f takes away from it again.
    const target = stars - ground.start(user, film) + dot(board.centre(), value);
    const { prediction: output } = await this.learner.learnOne({ query }, [target, ...value]);
    const taste = board.match(output, value);
    const said = {
      stars: clampStars(ground.predict(user, film) + taste),
      place: ranked ? placeOf(board, ground, output, this.rated(user), film) : null,
    };
    ground.learn(user, film, stars, taste);
    board.note(film, ground.filmBias(film));
    const rated = this.#rated.get(user);
    if (rated) rated.push(film);
    else this.#rated.set(user, [film]);
    return said;
  }

  /** Deletes a user: the query, what the ground keeps, and the part in the counts of films. */
  async forget(user: number): Promise<void> {
    const { board, ground } = this;
    const slot = board.users.get(user);
    if (slot === undefined) return;
    await this.learner.forgetQuery(slot);
    board.dismiss(user);
    ground.forget(user);
    for (const film of this.#rated.get(user) ?? []) board.withdraw(film, ground.filmBias(film));
    this.#rated.delete(user);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.board[Symbol.asyncDispose]();
  }
}

/** ½ (o · v − y)² of the output o, with targets (y, v). */
export const tasteLoss: Loss = {
  name: "taste",
  check(operation, targets, scoreCount) {
    if (targets.length === scoreCount + 1) return;
    throw new InputError(
      operation,
      `y has ${targets.length} numbers`,
      `${scoreCount + 1}, a target and a value`,
    );
  },
  predict: (scores) => Float64Array.from(scores),
  value: (scores, targets) => missOf(scores, targets) ** 2 / 2,
  gradient(scores, targets) {
    const miss = missOf(scores, targets);
    return Float64Array.from(scores, (_, c) => miss * targets[c + 1]);
  },
};

function missOf(scores: Float64Array, targets: Float64Array): number {
  return dot(scores, targets.subarray(1)) - targets[0];
}
