// Streams that come of a learner: the ratings of films, and steps of values towards targets.

import { DynamicAttention, type Edit } from "../../mod.ts";
import { OnlineLearner } from "../../src/learning/mod.ts";
import { makeUpRatings } from "../../studies/recommendation/made_up_ratings.ts";
import { RatingBias } from "../../studies/recommendation/rating_bias.ts";
import { loadRatings } from "../../studies/recommendation/ratings.ts";
import { Recommender } from "../../studies/recommendation/recommender.ts";
import { Random } from "../../testing/random.ts";
import type { Stream, StreamStep } from "./streams.ts";

const LOOKERS = 2;
/** The world that is made up where there are no ratings: of the size of MovieLens at the same place. */
const WORLD = { users: 411, films: 804, ratings: 60_000 };

/**
 * The pages of a recommender: a rating steps the query of its user and the key and value of its film, and two
 * users who will come back look at their pages. `share` of all ratings come before.
 */
export async function ratingsStream(count: number, share = 0.58): Promise<Stream> {
  const real = await loadRatings();
  const { films, ratings } = real ?? makeUpRatings(WORLD);
  await using recommender = await Recommender.create(films, new RatingBias());
  const { board } = recommender, from = Math.floor(share * ratings.length);
  const lastOf = new Map(ratings.map(({ user }, at) => [user, at]));
  for (let at = 0; at <= from; at++) await recommender.learn(ratings[at]);
  const { live } = board;
  const first = {
    query: Array.from(live.querySlots(), (slot) => live.getQuery(slot)),
    key: Array.from(live.keySlots(), (slot) => live.getKey(slot)),
    value: Array.from(live.keySlots(), (slot) => live.getValue(slot)),
    scale: 1,
  };
  const steps: StreamStep[] = [];
  let looks = 0, users = first.query.length, keys = first.key.length;
  for (let at = from + 1; at <= from + count && at < ratings.length; at++) {
    await recommender.learn(ratings[at]);
    const querySlot = board.users.get(ratings[at].user), keySlot = board.keys.get(ratings[at].film);
    const edits: Edit[] = [];
    if (querySlot !== undefined) {
      const query = live.getQuery(querySlot);
      edits.push(
        querySlot < users ? { kind: "setQuery", slot: querySlot, query } : { kind: "insertQuery", query },
      );
      users = Math.max(users, querySlot + 1);
    }
    if (keySlot !== undefined) {
      const row = { key: live.getKey(keySlot), value: live.getValue(keySlot) };
      edits.push(keySlot < keys ? { kind: "set", slot: keySlot, ...row } : { kind: "insert", ...row });
      keys = Math.max(keys, keySlot + 1);
    }
    const comers = [...board.users].filter(([user]) =>
      user !== ratings[at].user && (lastOf.get(user) ?? 0) > at
    );
    const rows = Array.from({ length: Math.min(LOOKERS, comers.length) }, () => {
      return comers[looks++ % comers.length][1];
    });
    steps.push({ edits, rows });
  }
  return { name: real ? "recommender" : "recommender, made up", first, steps, errors: [0.01, 0.03, 0.1] };
}

/**
 * A learner's steps: the twenty heaviest values of a query that is drawn move towards a target, and all of 128
 * rows over 2,048 keys, or one that is drawn, are looked at.
 */
export async function learnerStream(count: number, looks: "all" | "one"): Promise<Stream> {
  const random = new Random(5), dim = 32, queries = 128;
  const first = {
    query: random.rows(queries, dim),
    key: random.rows(2048, dim),
    value: random.rows(2048, dim),
  };
  await using live = await DynamicAttention.create({ ...first, threads: 1 });
  const learner = new OnlineLearner(live, { top: 20, rate: 0.02, rates: { keys: false, queries: false } });
  // The steps of a learner are the edits that it writes.
  const written: Edit[] = [], edit = live.edit.bind(live);
  live.edit = (edits) => {
    written.push(...edits);
    return edit(edits);
  };
  const steps: StreamStep[] = [];
  for (let at = 0; at < count; at++) {
    const query = random.below(queries), [...output] = await learner.predictOne({ query });
    await learner.learnOne({ query }, output.map((number) => number + random.normal()));
    steps.push({ edits: written.splice(0), rows: looks === "all" ? null : [random.below(queries)] });
  }
  return { name: `learner, looks at ${looks}`, first, steps, errors: [0.003, 0.03] };
}
