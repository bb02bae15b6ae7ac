// The two forms that MovieLens comes in: the tables of GroupLens' archive, and the data frame of R's package dslabs.

import { parseCsv } from "deno-std/csv";
import {
  type RatingData,
  type SourceFilm,
  type SourceRating,
  toRatingData,
} from "../../studies/recommendation/ratings.ts";

const NO_GENRES = "(no genres listed)";

/** From `movies.csv` (movieId, title with the year behind it, genres) and `ratings.csv` (userId, movieId, rating, timestamp). */
export function fromTables(movies: string, ratings: string): RatingData {
  const films = parseCsv(movies).slice(1).map(([id, title, genres]): SourceFilm => {
    const year = /\((\d{4})\)\s*$/.exec(title)?.[1];
    return { id: Number(id), year: year === undefined ? null : Number(year), genres: toGenres(genres) };
  });
  return toRatingData(
    films,
    parseCsv(ratings).slice(1).map(([user, filmId, stars, time]): SourceRating => ({
      user: Number(user),
      filmId: Number(filmId),
      stars: Number(stars),
      time: Number(time),
    })),
  );
}

/** From the columns movieId, year, genres, userId, rating and timestamp: a row a rating, which repeats what the film is. */
export function fromDslabs(table: string): RatingData {
  const [names, ...rows] = parseCsv(table);
  const columns = ["movieId", "year", "genres", "userId", "rating", "timestamp"].map((name) => {
    const at = names.indexOf(name);
    if (at === -1) throw new Error(`fromDslabs: there is no ${name} among ${names.join(", ")}`);
    return at;
  });
  const films = new Map<number, SourceFilm>();
  const ratings = rows.map((row): SourceRating => {
    const [id, year, genres, user, stars, time] = columns.map((at) => row[at]);
    const filmId = Number(id);
    films.set(filmId, { id: filmId, year: year === "" ? null : Number(year), genres: toGenres(genres) });
    return { user: Number(user), filmId, stars: Number(stars), time: Number(time) };
  });
  return toRatingData([...films.values()], ratings);
}

function toGenres(text: string): string[] {
  return text === NO_GENRES || text === "" ? [] : text.split("|");
}
