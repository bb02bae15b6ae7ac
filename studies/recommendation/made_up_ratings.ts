// A made-up world of ratings, for tests and for notebooks where the real ratings are missing. What everybody
// likes is known in it:
//
//     stars = 3.5 + b_u + b_f + Σ_g t_ug [f is of genre g] / √(genres of f) + noise,
//
// rounded to half stars. So biases explain a part, tastes another, and no model can be better than the noise.

import { SeededRandom } from "../../src/learning/mod.ts";
import { clampStars, type Film, type Rating, type RatingData } from "./ratings.ts";

/** How large the world is, and how much there is to learn in it. */
export interface MadeUpWorld {
  readonly users: number;
  readonly films: number;
  readonly ratings: number;
  /** Standard deviations in stars. */
  readonly biasSpread: number;
  readonly tasteSpread: number;
  readonly noise: number;
  readonly seed: number;
}

export const USUAL_WORLD: MadeUpWorld = {
  users: 60,
  films: 250,
  ratings: 6000,
  biasSpread: 0.4,
  tasteSpread: 0.8,
  noise: 0.5,
  seed: 7,
};

const GENRES = ["Action", "Comedy", "Drama", "Horror", "Musical", "Western"];
/** Users rate that many films at a sitting. */
const SITTING = 15;
const FIRST_TIME = 946_684_800, SITTING_SECONDS = 7200, FILM_SECONDS = 30;

/** The same seed makes the same world; no user rates a film twice. */
export function makeUpRatings(options: Partial<MadeUpWorld> = {}): RatingData {
  const world = { ...USUAL_WORLD, ...options };
  const { users, films, ratings, biasSpread, tasteSpread, noise, seed } = world;
  if (ratings > users * films / 2) {
    throw new Error(`makeUpRatings: ${ratings} ratings, expected at most half of ${users} × ${films}`);
  }
  const random = new SeededRandom(seed);
  const normals = (count: number, spread: number) =>
    Array.from({ length: count }, () => spread * random.normal());
  const catalogue: Film[] = Array.from({ length: films }, () => ({
    year: 1960 + random.below(50),
    genres: random.sample(GENRES.map((_, at) => at), 1 + random.below(2)).map((at) => GENRES[at]),
  }));
  const ofUser = normals(users, biasSpread), ofFilm = normals(films, biasSpread);
  const tastes = Array.from({ length: users }, () => normals(GENRES.length, tasteSpread));
  const unrated = Array.from({ length: users }, () => random.sample(catalogue.map((_, film) => film), films));
  const made: Rating[] = [];
  for (let sitting = 0; made.length < ratings; sitting++) {
    const user = random.below(users);
    for (let at = 0; at < SITTING && made.length < ratings; at++) {
      const film = unrated[user].pop();
      if (film === undefined) break;
      const { genres } = catalogue[film];
      const taste = genres.reduce((sum, genre) => sum + tastes[user][GENRES.indexOf(genre)], 0);
      const exact = 3.5 + ofUser[user] + ofFilm[film] + taste / Math.sqrt(genres.length) +
        noise * random.normal();
      const time = FIRST_TIME + SITTING_SECONDS * sitting + FILM_SECONDS * at;
      made.push({ user, film, stars: clampStars(Math.round(2 * exact) / 2), time });
    }
  }
  return { films: catalogue, ratings: made };
}
