// The two forms that MovieLens comes in: the tables of GroupLens' archive, and the data frame of R's package dslabs.

import { parse } from "deno-std/csv";
import {
  type RatingData,
  type SourceFilm,
  type SourceRating,
  toRatingData,
} from "../../studies/recommendation/ratings.ts";
import type { Column } from "./r_data_frame.ts";

const NO_GENRES = "(no genres listed)";

/** From `movies.csv` (movieId, title with the year behind it, genres) and `ratings.csv` (userId, movieId, rating, timestamp). */
export function fromTables(movies: string, ratings: string): RatingData {
  const films = rowsOf(movies).map(([id, title, genres]): SourceFilm => {
    const year = /\((\d{4})\)\s*$/.exec(title)?.[1];
    return { id: Number(id), year: year === undefined ? null : Number(year), genres: toGenres(genres) };
  });
  return toRatingData(
    films,
    rowsOf(ratings).map(([user, filmId, stars, time]): SourceRating => ({
      user: Number(user),
      filmId: Number(filmId),
      stars: Number(stars),
      time: Number(time),
    })),
  );
}

/** From the columns movieId, year, genres, userId, rating and timestamp: a row a rating, which repeats what the film is. */
export function fromDataFrame(frame: ReadonlyMap<string, Column>): RatingData {
  const column = (name: string): Column => {
    const found = frame.get(name);
    if (!found) throw new Error(`fromDataFrame: there is no ${name} among ${[...frame.keys()].join(", ")}`);
    return found;
  };
  const [ids, years, genres] = [column("movieId"), column("year"), column("genres")];
  const [users, stars, times] = [column("userId"), column("rating"), column("timestamp")];
  const films = new Map<number, SourceFilm>();
  const ratings = ids.map((id, at): SourceRating => {
    const filmId = Number(id), year = years[at];
    films.set(filmId, {
      id: filmId,
      year: year === null ? null : Number(year),
      genres: toGenres(String(genres[at])),
    });
    return { user: Number(users[at]), filmId, stars: Number(stars[at]), time: Number(times[at]) };
  });
  return toRatingData([...films.values()], ratings);
}

function rowsOf(text: string): string[][] {
  const rows: string[][] = parse(text, { skipFirstRow: false });
  return rows.slice(1);
}

function toGenres(text: string): string[] {
  return text === NO_GENRES || text === "" ? [] : text.split("|");
}
