// Ratings of films in the order of time, and the file that they are kept in.
//
// The ratings of MovieLens may be used for research, and not be passed on: the file is written by `deno task
// ratings` and is never part of the repository.

/** A film as its catalogue describes it. */
export interface Film {
  /** Year of release; null where the catalogue names none. */
  readonly year: number | null;
  readonly genres: readonly string[];
}

/** One rating. */
export interface Rating {
  readonly user: number;
  /** Index among the films. */
  readonly film: number;
  /** 0.5 to 5 stars. */
  readonly stars: number;
  /** Seconds since 1970. */
  readonly time: number;
}

/** Films, and what was made of them, earliest first. */
export interface RatingData {
  readonly films: readonly Film[];
  readonly ratings: readonly Rating[];
}

/** A rating or film of a source, with the source's own numbers of films. */
export type SourceRating = Omit<Rating, "film"> & { readonly filmId: number };
export type SourceFilm = Film & { readonly id: number };

/** The folder into which `deno task ratings` puts them. */
export const RATINGS_FILE: URL = new URL("../../notebooks/data/movielens.json", import.meta.url);

/** Columns, so that the file is small. */
interface RatingFile {
  readonly films: readonly (readonly [year: number | null, genres: string])[];
  readonly users: readonly number[];
  readonly rated: readonly number[];
  readonly halfStars: readonly number[];
  readonly times: readonly number[];
}

/** A rating that somebody likes a film with. */
export const LIKED = 4;

/** Keeps what is said within half a star and five. */
export function clampStars(stars: number): number {
  return Math.min(5, Math.max(0.5, stars));
}

/**
 * Puts ratings in order: by time, then by user and the film's number, whatever order the source has.
 *
 * @throws {Error} When a rating is of a film that is not there, or no number of half stars from 1 to 10.
 */
export function toRatingData(films: readonly SourceFilm[], ratings: readonly SourceRating[]): RatingData {
  const inOrder = films.toSorted((a, b) => a.id - b.id);
  const places = new Map(inOrder.map(({ id }, place) => [id, place]));
  return {
    films: inOrder.map(({ year, genres }) => ({ year, genres })),
    ratings: ratings.toSorted((a, b) => a.time - b.time || a.user - b.user || a.filmId - b.filmId)
      .map(({ user, filmId, stars, time }) => {
        const film = places.get(filmId);
        if (film === undefined) {
          throw new Error(`toRatingData: film ${filmId} is rated, and is none of the films`);
        }
        if (![user, time, 2 * stars].every(Number.isInteger) || stars < 0.5 || stars > 5) {
          throw new Error(
            `toRatingData: a rating is ${stars} by ${user} at ${time}, expected half stars from 0.5 to 5`,
          );
        }
        return { user, film, stars, time };
      }),
  };
}

/** The text of the file. */
export function formatRatings({ films, ratings }: RatingData): string {
  const file: RatingFile = {
    films: films.map(({ year, genres }) => [year, genres.join("|")]),
    users: ratings.map(({ user }) => user),
    rated: ratings.map(({ film }) => film),
    halfStars: ratings.map(({ stars }) => 2 * stars),
    times: ratings.map(({ time }) => time),
  };
  return `${JSON.stringify(file)}\n`;
}

/**
 * Reads the text of the file.
 *
 * @throws {Error} When it is none.
 */
export function parseRatings(text: string): RatingData {
  const { films, users, rated, halfStars, times }: RatingFile = JSON.parse(text);
  const columns = [users, rated, halfStars, times];
  if (!Array.isArray(films) || !columns.every((column) => column?.length === users.length)) {
    throw new Error("parseRatings: columns differ in length, expected what `deno task ratings` writes");
  }
  return toRatingData(
    films.map(([year, genres], id) => ({ id, year, genres: genres.split("|") })),
    users.map((user, at) => ({ user, filmId: rated[at], stars: halfStars[at] / 2, time: times[at] })),
  );
}

/** The ratings that `deno task ratings` has fetched, or null where it has not run; needs read permission. */
export async function loadRatings(file: URL = RATINGS_FILE): Promise<RatingData | null> {
  try {
    return parseRatings(await Deno.readTextFile(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
