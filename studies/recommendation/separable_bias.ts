// A user + film bias from which a user can be taken out again, to the bit:
//
//     r̂ = c_u + S_f / (N_f + 5),      S_f = Σ (r − c_u − taste_u) over the ratings of f
//
// with c_u a running centre of the user's own ratings. Invariants: c_u depends on no other user's ratings,
// and so does each term of S_f, provided that tastes do not either. Terms are rounded to 2⁻²⁰ stars, so that
// sums are exact and what was added can be subtracted, in any order; each user's terms are kept with the user
// for that.

import type { Ground } from "./rating_bias.ts";

const FIRST_CENTRE = 3.5, CENTRE_RATE = 0.02, CENTRE_PRIOR = 10, FILM_PRIOR = 5;
const UNITS = 2 ** 20;

interface UserRecord {
  centre: number;
  /** Terms by film. A film that is rated twice has two. */
  readonly terms: [film: number, units: number][];
}

interface FilmSum {
  readonly units: number;
  readonly count: number;
}

/** A bias that forgets exactly. */
export class SeparableBias implements Ground {
  readonly #users = new Map<number, UserRecord>();
  readonly #films = new Map<number, FilmSum>();

  predict(user: number, film: number): number {
    return this.start(user, film) + this.filmBias(film);
  }

  start(user: number, _film: number): number {
    return this.#users.get(user)?.centre ?? FIRST_CENTRE;
  }

  learn(user: number, film: number, stars: number, taste: number): void {
    const record = this.#users.get(user) ?? { centre: FIRST_CENTRE, terms: [] };
    const error = stars - record.centre - taste;
    const units = Math.round(UNITS * error);
    this.#add(film, units, 1);
    record.centre += Math.max(CENTRE_RATE, 1 / (CENTRE_PRIOR + record.terms.length)) * error;
    record.terms.push([film, units]);
    this.#users.set(user, record);
  }

  filmBias(film: number): number {
    const { units, count } = this.#films.get(film) ?? { units: 0, count: 0 };
    return units / UNITS / (count + FILM_PRIOR);
  }

  forget(user: number): void {
    for (const [film, units] of this.#users.get(user)?.terms ?? []) this.#add(film, -units, -1);
    this.#users.delete(user);
  }

  #add(film: number, units: number, count: number): void {
    const before = this.#films.get(film) ?? { units: 0, count: 0 };
    const after = { units: before.units + units, count: before.count + count };
    if (after.count === 0) this.#films.delete(film);
    else this.#films.set(film, after);
  }
}
