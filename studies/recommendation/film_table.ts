// The features of a film as a row of numbers, and the key and value made of it.
//
// Columns of the catalogue: each genre (1/√genres where the film is of it) and the year, less their means.
// Two more follow the ratings: how popular the film is, and its bias, what all users make of it.
//
// With x the row, C the covariance of the rows of the keys and κ > 0,
//
//     value v = κ x,      key k = C⁻¹ x / κ²,
//
// so that for a small query attention is (o − v̄) · v_f ≈ q · x_f: the query is a weight for each column. The
// larger κ is, the more exactly so; a smaller one lets attention gather around what is liked most.

import { invert } from "./invert.ts";
import type { Film } from "./ratings.ts";

/** κ, and how columns are scaled. */
export interface FilmColumns {
  readonly sharpness: number;
  /** The feature value of twenty years. */
  readonly yearScale: number;
  /** The scales of popularity and bias; 0 and 0 for a table that knows the catalogue alone. */
  readonly popularityScale: number;
  readonly biasScale: number;
}

/** The statistics of a film's ratings so far. */
export interface FilmStanding {
  readonly count: number;
  readonly bias: number;
}

/** Added to C: hardly any film may be of a genre. */
const RIDGE = 0.02;
const NEUTRAL_YEAR = 1990, YEARS = 20;
/** ln(1 + count) of films is about 3 ± 2. */
const USUAL_LOG_COUNT = 3, LOG_COUNT_SPREAD = 2;

/** Rows of films. */
export class FilmTable {
  /** Numbers of a row. */
  readonly width: number;
  /** The names of the columns, in order. */
  readonly names: readonly string[];
  readonly #catalogueWidth: number;
  readonly #columns: FilmColumns;
  readonly #rows: readonly Float64Array[];
  /** C⁻¹ / κ². */
  #whitening: readonly Float64Array[];

  constructor(films: readonly Film[], columns: FilmColumns) {
    if (!(columns.sharpness > 0)) {
      throw new Error(`FilmTable: sharpness is ${columns.sharpness}, expected a number above 0`);
    }
    this.#columns = columns;
    const genres = [...new Set(films.flatMap((film) => film.genres))].sort();
    this.#rows = toRows(films, genres, columns.yearScale);
    this.#catalogueWidth = genres.length + 1;
    this.names = [...genres, "year", ...this.follows ? ["popularity", "bias"] : []];
    this.width = this.names.length;
    this.#whitening = [];
    this.whiten([]);
  }

  get size(): number {
    return this.#rows.length;
  }

  /** Whether rows follow the ratings. */
  get follows(): boolean {
    return this.#columns.popularityScale !== 0 || this.#columns.biasScale !== 0;
  }

  value(film: number, { count, bias }: FilmStanding): Float32Array<ArrayBuffer> {
    const { sharpness, popularityScale, biasScale } = this.#columns;
    const value = new Float32Array(this.width);
    value.set(this.#rows[film]);
    if (this.follows) {
      const popularity = popularityScale * (Math.log1p(count) - USUAL_LOG_COUNT) / LOG_COUNT_SPREAD;
      value.set([popularity, biasScale * bias], this.#catalogueWidth);
    }
    return value.map((x) => sharpness * x);
  }

  /** The key that belongs to a value, by the C of now. */
  key(value: Float32Array): Float32Array<ArrayBuffer> {
    return Float32Array.from(this.#whitening, (line) => dot(line, value));
  }

  /** Takes C from these values; the identity where there are none. */
  whiten(values: readonly Float32Array[]): void {
    const { sharpness } = this.#columns;
    const covariance = covarianceOf(values, this.width, sharpness);
    this.#whitening = invert(covariance).map((line) => line.map((x) => x / sharpness ** 3));
  }
}

function toRows(films: readonly Film[], genres: readonly string[], yearScale: number): Float64Array[] {
  const rows = films.map(({ year, genres: own }) => {
    const row = new Float64Array(genres.length + 1);
    for (const genre of own) row[genres.indexOf(genre)] = 1 / Math.sqrt(own.length);
    row[genres.length] = yearScale * ((year ?? NEUTRAL_YEAR) - NEUTRAL_YEAR) / YEARS;
    return row;
  });
  for (let c = 0; c <= genres.length; c++) {
    const mean = rows.reduce((sum, row) => sum + row[c], 0) / rows.length;
    for (const row of rows) row[c] -= mean;
  }
  return rows;
}

function covarianceOf(values: readonly Float32Array[], width: number, sharpness: number): Float64Array[] {
  const isEmpty = values.length === 0;
  const means = new Float64Array(width);
  for (const value of values) value.forEach((x, c) => means[c] += x / values.length);
  const sums = Array.from(
    { length: width },
    (_, c) => new Float64Array(width).fill(isEmpty ? 1 : RIDGE, c, c + 1),
  );
  for (const value of values) {
    for (let a = 0; a < width; a++) {
      const scaled = (value[a] - means[a]) / sharpness ** 2 / values.length;
      for (let b = 0; b < width; b++) sums[a][b] += scaled * (value[b] - means[b]);
    }
  }
  return sums;
}

/** Σ a_c b_c. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += a[c] * b[c];
  return sum;
}
