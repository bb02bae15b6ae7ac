// Two worlds: one in which a user rated and was forgotten, and one in which that user never was.

import type { Ground } from "./rating_bias.ts";
import type { Film, Rating, RatingData } from "./ratings.ts";
import { Recommender, type RecommenderSettings } from "./recommender.ts";

/** How the worlds differ. */
export interface WorldDifference {
  /** Numbers that were compared, and how many of them have other bits. */
  readonly compared: number;
  readonly different: number;
  /**
   * The largest differences: of queries, of films (keys, values and counts), of outputs, and of ratings said,
   * in stars.
   */
  readonly queries: number;
  readonly films: number;
  readonly outputs: number;
  readonly stars: number;
}

/** Ratings of a user, most first. */
export function usersByRatings(
  ratings: readonly Rating[],
): { readonly user: number; readonly count: number }[] {
  const counts = new Map<number, number>();
  for (const { user } of ratings) counts.set(user, (counts.get(user) ?? 0) + 1);
  return [...counts].map(([user, count]) => ({ user, count })).sort((a, b) =>
    b.count - a.count || a.user - b.user
  );
}

/**
 * Learns with and without a user, forgets in the first world, and compares all that is kept of the others.
 */
export async function compareWorlds(
  { films, ratings }: RatingData,
  user: number,
  settings: RecommenderSettings,
  ground: () => Ground,
): Promise<WorldDifference> {
  await using after = await learned(films, ratings, settings, ground());
  await after.forget(user);
  const others = ratings.filter((rating) => rating.user !== user);
  await using never = await learned(films, others, settings, ground());
  return await differenceOf(after, never, others);
}

async function learned(
  films: readonly Film[],
  ratings: readonly Rating[],
  settings: RecommenderSettings,
  ground: Ground,
): Promise<Recommender> {
  const recommender = await Recommender.create(films, ground, settings);
  for (const rating of ratings) await recommender.learn(rating);
  return recommender;
}

async function differenceOf(
  one: Recommender,
  other: Recommender,
  others: readonly Rating[],
): Promise<WorldDifference> {
  const bits = { compared: 0, different: 0 };
  const furthest = (a: ArrayLike<number>, b: ArrayLike<number>, before: number) => {
    if (a.length !== b.length) {
      throw new Error(`compareWorlds: ${a.length} numbers, and ${b.length} in the other world`);
    }
    let most = before;
    for (let c = 0; c < a.length; c++) {
      bits.compared++;
      if (!Object.is(a[c], b[c])) bits.different++;
      most = Math.max(most, Math.abs(a[c] - b[c]));
    }
    return most;
  };
  const [{ board }, { board: otherBoard }] = [one, other];
  const slotsIn = (map: ReadonlyMap<number, number>, names: readonly number[]) =>
    names.map((name) => map.get(name) ?? -1);
  const users = [...otherBoard.users.keys()], keys = [...otherBoard.keys.keys()];
  // A film that the forgotten user alone has made a key stays one.
  bits.different += board.keys.size - keys.length + board.users.size - users.length;
  let queries = 0, films = 0, outputs = 0, stars = 0;
  const userSlots = slotsIn(board.users, users), otherUserSlots = slotsIn(otherBoard.users, users);
  userSlots.forEach((slot, at) =>
    queries = furthest(board.live.getQuery(slot), otherBoard.live.getQuery(otherUserSlots[at]), queries)
  );
  const keySlots = slotsIn(board.keys, keys), otherKeySlots = slotsIn(otherBoard.keys, keys);
  keySlots.forEach((slot, at) => {
    films = furthest(board.live.getKey(slot), otherBoard.live.getKey(otherKeySlots[at]), films);
    films = furthest(board.live.getValue(slot), otherBoard.live.getValue(otherKeySlots[at]), films);
  });
  const [read, otherRead] = await Promise.all([
    board.live.read(userSlots),
    otherBoard.live.read(otherUserSlots),
  ]);
  outputs = furthest(read.data, otherRead.data, outputs);
  // How often each film was rated, which is what popularity is.
  for (let film = 0; film < board.table.size; film++) {
    films = furthest([board.count(film)], [otherBoard.count(film)], films);
  }
  for (const { user, film } of others) {
    stars = furthest([await one.predict(user, film)], [await other.predict(user, film)], stars);
  }
  return { ...bits, queries, films, outputs, stars };
}
