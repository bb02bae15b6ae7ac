// Models of ratings to be compared with: each is tested, then taught.

import { dot, type FilmColumns, FilmTable } from "./film_table.ts";
import { RatingBias } from "./rating_bias.ts";
import { clampStars, type Film } from "./ratings.ts";

/** Says a rating, then learns it. */
export interface RatingModel {
  readonly name: string;
  predict(user: number, film: number): number;
  learn(user: number, film: number, stars: number): void;
}

/** The mean of all ratings so far. */
export class MeanRating implements RatingModel {
  readonly name = "running mean";
  #sum = 0;
  #count = 0;

  predict(): number {
    return this.#count === 0 ? 3 : this.#sum / this.#count;
  }

  learn(_user: number, _film: number, stars: number): void {
    this.#sum += stars;
    this.#count++;
  }
}

/** μ + b_f + b_u, each b a mean of what was left, held to 0 by five ratings of none. */
export class CountedBias implements RatingModel {
  readonly name = "user + film bias, means";
  readonly #mean = new MeanRating();
  readonly #films = new ShrunkenMeans();
  readonly #users = new ShrunkenMeans();

  predict(user: number, film: number): number {
    return clampStars(this.#mean.predict() + this.#films.get(film) + this.#users.get(user));
  }

  learn(user: number, film: number, stars: number): void {
    const mean = this.#mean.predict();
    this.#users.add(user, stars - mean - this.#films.get(film));
    this.#films.add(film, stars - mean);
    this.#mean.learn(user, film, stars);
  }
}

class ShrunkenMeans {
  readonly #sums = new Map<number, readonly [sum: number, count: number]>();

  get(id: number): number {
    const [sum, count] = this.#sums.get(id) ?? [0, 0];
    return sum / (count + 5);
  }

  add(id: number, number: number): void {
    const [sum, count] = this.#sums.get(id) ?? [0, 0];
    this.#sums.set(id, [sum + number, count + 1]);
  }
}

/** The ground of the recommender, alone. */
export class OnlineBias implements RatingModel {
  readonly name = "user + film bias, online";
  readonly #bias = new RatingBias();

  predict(user: number, film: number): number {
    return clampStars(this.#bias.predict(user, film));
  }

  learn(user: number, film: number, stars: number): void {
    this.#bias.learn(user, film, stars, 0);
  }
}

/**
 * The rival that knows what attention knows: a weight of each user for each column of the films, r̂ = bias +
 * w_u · x_f.
 */
export class LinearTastes implements RatingModel {
  readonly name = "bias + linear tastes, same columns";
  readonly #bias = new RatingBias();
  readonly #table: FilmTable;
  readonly #scale: number;
  readonly #counts = new Map<number, number>();
  readonly #weights = new Map<number, Float64Array>();
  readonly #rate: number;
  readonly #decay: number;

  constructor(films: readonly Film[], columns: FilmColumns, rate: number, decay: number) {
    this.#table = new FilmTable(films, columns);
    this.#scale = 1 / columns.sharpness;
    this.#rate = rate;
    this.#decay = decay;
  }

  predict(user: number, film: number): number {
    return clampStars(this.#bias.predict(user, film) + dot(this.#of(user), this.#row(film)));
  }

  learn(user: number, film: number, stars: number): void {
    const weights = this.#of(user), row = this.#row(film);
    const taste = dot(weights, row), error = stars - this.#bias.predict(user, film) - taste;
    for (let c = 0; c < row.length; c++) {
      weights[c] += this.#rate * (error * row[c] - this.#decay * weights[c]);
    }
    this.#weights.set(user, weights);
    this.#bias.learn(user, film, stars, taste);
    this.#counts.set(film, (this.#counts.get(film) ?? 0) + 1);
  }

  #of(user: number): Float64Array {
    return this.#weights.get(user) ?? new Float64Array(this.#table.width);
  }

  #row(film: number): Float32Array {
    const standing = { count: this.#counts.get(film) ?? 0, bias: this.#bias.filmBias(film) };
    return this.#table.value(film, standing).map((x) => this.#scale * x);
  }
}
