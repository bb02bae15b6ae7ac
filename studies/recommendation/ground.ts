// The ground that tastes stand on: what is said of a rating without them.

/** What a recommender adds tastes to. */
export interface Ground {
  /** What is said of a rating before tastes have their say. */
  predict(user: number, film: number): number;
  /** The part of it that tastes start from when they learn: a taste explains what that leaves. */
  start(user: number, film: number): number;
  /** Learns from a rating of which tastes say `taste`. */
  learn(user: number, film: number, stars: number, taste: number): void;
  /** What all users make of a film, in stars more or less than usual. */
  filmBias(film: number): number;
  /** Deletes what is kept of a user. */
  forget(user: number): void;
}
