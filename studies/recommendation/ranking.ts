// The ranking of recommendations: films that are liked by many, by all who know them, and by this user.
//
//     rank by ln(ratings) + 2 (b_f + (o − v̄) · v_f)

import type { FilmBoard } from "./film_board.ts";
import { dot } from "./film_table.ts";
import type { Ground } from "./rating_bias.ts";

/** The weight of a star against popularity. */
const STAR_WEIGHT = 2;
/** A page of recommendations. */
export const PAGE = 10;

type FilmScore = (film: number) => number;

/** The ranking scores of films for a user with this output. */
function scoreFor(
  board: FilmBoard,
  ground: Pick<Ground, "filmBias">,
  output: ArrayLike<number>,
): FilmScore {
  const centre = board.centre();
  const taste = Float64Array.from(centre, (mean, c) => output[c] - mean);
  return (film) => {
    const stars = ground.filmBias(film) + dot(taste, board.written(film));
    return Math.log(Math.max(1, board.count(film))) + STAR_WEIGHT * stars;
  };
}

/** The page of a user: the keys that rank highest of those that are not rated yet. */
export function pageOf(
  board: FilmBoard,
  ground: Pick<Ground, "filmBias">,
  output: ArrayLike<number>,
  rated: ReadonlySet<number>,
): number[] {
  const scoreOf = scoreFor(board, ground, output);
  const page: { readonly film: number; readonly score: number }[] = [];
  for (const film of board.keys.keys()) {
    if (rated.has(film)) continue;
    const score = scoreOf(film);
    if (page.length === PAGE && score <= page[PAGE - 1].score) continue;
    let at = page.length;
    while (at > 0 && page[at - 1].score < score) at--;
    page.splice(at, 0, { film, score });
    page.length = Math.min(page.length, PAGE);
  }
  return page.map(({ film }) => film);
}

/** How many films stand before a film for a user with this output, `PAGE` at most; null when it is no key. */
export function placeOf(
  board: FilmBoard,
  ground: Pick<Ground, "filmBias">,
  output: ArrayLike<number>,
  rated: ReadonlySet<number>,
  film: number,
): number | null {
  return place(board, rated, film, scoreFor(board, ground, output));
}

/** The same for recommending the films with the most ratings. */
export function popularPlaceOf(board: FilmBoard, rated: ReadonlySet<number>, film: number): number | null {
  return place(board, rated, film, (other) => board.count(other));
}

/** Among equals the older key comes first. */
function place(
  { keys }: FilmBoard,
  rated: ReadonlySet<number>,
  film: number,
  scoreOf: FilmScore,
): number | null {
  const slot = keys.get(film);
  if (slot === undefined) return null;
  const own = scoreOf(film);
  let before = 0;
  for (const [other, otherSlot] of keys) {
    if (other === film || rated.has(other)) continue;
    const score = scoreOf(other);
    if ((score > own || score === own && otherSlot < slot) && ++before === PAGE) break;
  }
  return before;
}
