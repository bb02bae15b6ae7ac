// A user + film bias that learns online, with steepest descent:
//
//     r̂ = μ + b_u + b_f,      b ← b + rate (r − r̂ − taste − shrink · b)
//
// with μ the running mean. The bias of a film starts with large steps, 1/(6 + its ratings), and goes on with
// constant ones.
//
// Invariant: what is learned from one user goes into the biases of films and from there into all that is
// learned later. It is the better ground for that, and cannot be taken apart again.

/** The ground that tastes stand on: what is said of a rating without them. */
export interface Ground {
  /** The prediction of a rating without tastes. */
  predict(user: number, film: number): number;
  /** The part of it that tastes start from when they learn: a taste explains what that leaves. */
  start(user: number, film: number): number;
  /** Learns from a rating of which tastes say `taste`. */
  learn(user: number, film: number, stars: number, taste: number): void;
  /** The bias of a film over all users, in stars. */
  filmBias(film: number): number;
  /** Deletes what is kept of a user. */
  forget(user: number): void;
}

/** Chosen on the first 30,000 ratings, as all constants of this folder. */
const USER_RATE = 0.05, FILM_RATE = 0.03, FILM_PRIOR = 6, SHRINK = 0.02;
/** The middle of the scale: what is said before the first rating. */
const FIRST_MEAN = 3;

/** An online user + film bias. */
export class RatingBias implements Ground {
  readonly #users = new Map<number, number>();
  readonly #films = new Map<number, number>();
  readonly #counts = new Map<number, number>();
  #sum = 0;
  #count = 0;

  predict(user: number, film: number): number {
    const mean = this.#count === 0 ? FIRST_MEAN : this.#sum / this.#count;
    return mean + (this.#users.get(user) ?? 0) + this.filmBias(film);
  }

  start(user: number, film: number): number {
    return this.predict(user, film);
  }

  learn(user: number, film: number, stars: number, taste: number): void {
    const error = stars - this.predict(user, film) - taste;
    const count = this.#counts.get(film) ?? 0;
    step(this.#users, user, USER_RATE, error);
    step(this.#films, film, Math.max(FILM_RATE, 1 / (FILM_PRIOR + count)), error);
    this.#counts.set(film, count + 1);
    this.#sum += stars;
    this.#count++;
  }

  filmBias(film: number): number {
    return this.#films.get(film) ?? 0;
  }

  /** Biases of films keep what they learned from the user. */
  forget(user: number): void {
    this.#users.delete(user);
  }
}

function step(biases: Map<number, number>, id: number, rate: number, error: number): void {
  const before = biases.get(id) ?? 0;
  biases.set(id, before + rate * (error - SHRINK * before));
}
