// The ratings gone through once, in order: every model says a rating before it learns it, and films that are
// liked are looked for on the page of recommendations that was there before.

import { type Interval, RunningMean } from "../../src/learning/mod.ts";
import { PAGE, popularPlaceOf } from "./ranking.ts";
import { LIKED, type Rating } from "./ratings.ts";
import type { RatingModel } from "./rating_baselines.ts";
import type { Recommender } from "./recommender.ts";

/** The predictions of a model, rating by rating. */
export interface SaidAll {
  readonly name: string;
  readonly squaredErrors: Float64Array;
}

/** Whether films that were liked, and that are keys, were on the page. */
export interface PageHits {
  /** The ratings of the run. */
  readonly ratings: readonly number[];
  readonly recommended: readonly boolean[];
  readonly popular: readonly boolean[];
}

/** The results of a run. */
export interface RatingRun {
  /** The recommender first, then the others. */
  readonly models: readonly SaidAll[];
  readonly hits: PageHits;
}

/** The options of a run. */
export interface RunOptions {
  readonly name?: string;
  /** Numbers from 0 up to a count, for instance with a bar that shows how far it is. */
  readonly around?: (count: number) => Iterable<number> | AsyncIterable<number>;
  /** Whether films that are liked are looked for on pages. */
  readonly ranked?: boolean;
  /** Called after each rating, with its index. */
  readonly after?: (at: number) => Promise<void> | void;
}

/** Goes over the ratings. */
export async function followRatings(
  ratings: readonly Rating[],
  recommender: Recommender,
  others: readonly RatingModel[],
  options: RunOptions = {},
): Promise<RatingRun> {
  const { name = "attention", around = (count: number) => Array(count).keys(), ranked = true, after } =
    options;
  const models = [name, ...others.map((other) => other.name)].map((each) => ({
    name: each,
    squaredErrors: new Float64Array(ratings.length),
  }));
  const hits = { ratings: [] as number[], recommended: [] as boolean[], popular: [] as boolean[] };
  for await (const at of around(ratings.length)) {
    const rating = ratings[at], { user, film, stars } = rating;
    const isAsked = ranked && stars >= LIKED && recommender.board.keys.has(film);
    const popular = isAsked ? popularPlaceOf(recommender.board, recommender.rated(user), film) : null;
    others.forEach((other, m) => {
      models[m + 1].squaredErrors[at] = (other.predict(user, film) - stars) ** 2;
      other.learn(user, film, stars);
    });
    const said = await recommender.learn(rating, isAsked);
    models[0].squaredErrors[at] = (said.stars - stars) ** 2;
    if (popular !== null && said.place !== null) {
      hits.ratings.push(at);
      hits.recommended.push(said.place < PAGE);
      hits.popular.push(popular < PAGE);
    }
    await after?.(at);
  }
  return { models, hits };
}

/** Root mean squared error over ratings `from` to `to`. */
export function rmse({ squaredErrors }: SaidAll, from = 0, to: number = squaredErrors.length): number {
  const own = squaredErrors.subarray(from, to);
  return Math.sqrt(own.reduce((sum, square) => sum + square, 0) / own.length);
}

/** A mean difference with its 95 % interval. */
export interface Gain extends Interval {
  readonly mean: number;
}

/**
 * By how much the squared errors of `one` are smaller than those of `other` in the mean, with 95 % by batch
 * means.
 */
export function gainOver(one: SaidAll, other: SaidAll, from = 0): Gain {
  const mean = new RunningMean();
  for (let at = from; at < one.squaredErrors.length; at++) {
    mean.add(other.squaredErrors[at] - one.squaredErrors[at]);
  }
  return { mean: mean.mean, ...mean.interval({ method: "batchMeans" }) };
}

/** The share of films liked that were on the page, from rating `from` on; NaN where there are none. */
export function hitRate({ ratings, ...hits }: PageHits, who: "recommended" | "popular", from = 0): number {
  const counted = hits[who].filter((_, at) => ratings[at] >= from);
  return counted.filter((isHit) => isHit).length / counted.length;
}

/**
 * By how much the hit rate of what is recommended is above that of what is popular, from rating `from` on.
 */
export function hitGain({ ratings, recommended, popular }: PageHits, from = 0): Gain {
  const mean = new RunningMean();
  ratings.forEach((at, index) => {
    if (at >= from) mean.add(Number(recommended[index]) - Number(popular[index]));
  });
  return { mean: mean.mean, ...mean.interval({ method: "batchMeans" }) };
}
