// Full suite: it goes through thousands of ratings in many ways.
//
// Recommenders over a made-up world of films and users: each way predicts as its formula says, none looks ahead,
// and what a user takes back leaves no trace.

import { DynamicAttention } from "../../../mod.ts";
import { FilmBoard } from "../../../studies/recommendation/film_board.ts";
import { dot, FilmTable } from "../../../studies/recommendation/film_table.ts";
import { compareWorlds, usersByRatings } from "../../../studies/recommendation/forgetting.ts";
import { invert } from "../../../studies/recommendation/invert.ts";
import { makeUpRatings, USUAL_WORLD } from "../../../studies/recommendation/made_up_ratings.ts";
import { EXACT_PAGES, PageComparison } from "../../../studies/recommendation/page_policies.ts";
import { PAGE, pageOf, placeOf, popularPlaceOf } from "../../../studies/recommendation/ranking.ts";
import {
  CountedBias,
  LinearTastes,
  MeanRating,
  OnlineBias,
} from "../../../studies/recommendation/rating_baselines.ts";
import { RatingBias } from "../../../studies/recommendation/rating_bias.ts";
import {
  formatRatings,
  loadRatings,
  parseRatings,
  toRatingData,
} from "../../../studies/recommendation/ratings.ts";
import {
  followRatings,
  gainOver,
  hitGain,
  hitRate,
  rmse,
} from "../../../studies/recommendation/recommendation_run.ts";
import {
  Recommender,
  separableSettings,
  tasteLoss,
  USUAL_SETTINGS,
} from "../../../studies/recommendation/recommender.ts";
import { SeparableBias } from "../../../studies/recommendation/separable_bias.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "../../../testing/assert.ts";

const SETTINGS = { ...USUAL_SETTINGS, entry: { ratings: 5 } };
const COLUMNS = { ...USUAL_SETTINGS.columns, popularityScale: 0, biasScale: 0 };

Deno.test("ratings: in the order of time, written and read back, and refused when they make no sense", async () => {
  const films = [{ id: 9, year: 1990, genres: ["Drama"] }, { id: 4, year: null, genres: [] }];
  const data = toRatingData(films, [
    { user: 2, filmId: 9, stars: 4, time: 20 },
    { user: 1, filmId: 4, stars: 0.5, time: 20 },
    { user: 3, filmId: 9, stars: 5, time: 10 },
  ]);
  assertEquals(data.ratings.map(({ user, film }) => [user, film]), [[3, 1], [1, 0], [2, 1]]);
  const made = makeUpRatings({ ratings: 300 });
  assertEquals(parseRatings(formatRatings(made)), made);
  assertEquals(await loadRatings(new URL("file:///nowhere/ratings.json")), null);
  assertThrows(
    () => toRatingData(films, [{ user: 1, filmId: 5, stars: 4, time: 0 }]),
    Error,
    "film 5 is rated",
  );
  for (const stars of [0, 5.5, 3.25, NaN]) {
    assertThrows(
      () => toRatingData(films, [{ user: 1, filmId: 4, stars, time: 0 }]),
      Error,
      `is ${stars} by 1`,
    );
  }
});

Deno.test("made-up ratings: the same for a seed, each film once a user, nothing off the scale", () => {
  const { ratings, films } = makeUpRatings();
  assertEquals(makeUpRatings().ratings, ratings);
  assert(JSON.stringify(makeUpRatings({ seed: 8 }).ratings) !== JSON.stringify(ratings));
  assertEquals(ratings.length, USUAL_WORLD.ratings);
  assertEquals(new Set(ratings.map(({ user, film }) => `${user} ${film}`)).size, ratings.length);
  assert(ratings.every(({ film, stars }) => film < films.length && stars >= 0.5 && stars <= 5));
  assert(ratings.every(({ time }, at) => at === 0 || time >= ratings[at - 1].time));
  assertThrows(() => makeUpRatings({ users: 2, films: 10, ratings: 11 }), Error, "at most half of 2 × 10");
});

Deno.test("invert: times the matrix it is the identity; what has no such inverse is refused", () => {
  const matrix = [[4, 1, 0.5], [1, 3, -1], [0.5, -1, 2]].map((line) => Float64Array.from(line));
  invert(matrix).forEach((line, row) => {
    matrix[0].forEach((_, c) => {
      const entry = line.reduce((sum, x, k) => sum + x * matrix[k][c], 0);
      assertAlmostEquals(entry, row === c ? 1 : 0, 1e-12);
    });
  });
  assertThrows(() => invert([Float64Array.of(1, 2), Float64Array.of(2, 1)]), Error, "pivot 1 is -3");
});

Deno.test("films: a small query is a weight for each column, whatever the sharpness", async () => {
  const { films } = makeUpRatings();
  for (const sharpness of [2, 6]) {
    const table = new FilmTable(films, { ...COLUMNS, sharpness });
    const standing = { count: 0, bias: 0 };
    const values = films.map((_, film) => table.value(film, standing));
    table.whiten(values);
    const query = Float64Array.from({ length: table.width }, (_, c) => 1e-3 * (c % 3 - 1));
    await using live = await DynamicAttention.create({
      query: [query],
      key: values.map((value) => table.key(value)),
      value: values,
      scale: 1,
    });
    const { data } = await live.read();
    const taste = data.map((x, c) => x - values.reduce((sum, value) => sum + value[c], 0) / values.length);
    // Genres here are common, so the ridge takes some hundredths away and no more.
    const [said, meant] = [0, 1].map((which) =>
      values.map((value) => which === 0 ? dot(taste, value) : dot(query, value) / sharpness)
    );
    const mean = meant.reduce((sum, x) => sum + x, 0) / meant.length;
    const off = Math.hypot(...said.map((x, film) => x - (meant[film] - mean)));
    assert(off <= 0.25 * Math.hypot(...meant.map((x) => x - mean)), `off by ${off}`);
  }
  assertThrows(() => new FilmTable(films, { ...COLUMNS, sharpness: 0 }), Error, "sharpness is 0");
});

Deno.test("films: popularity and bias are columns where the ratings have a say, and not otherwise", () => {
  const { films } = makeUpRatings();
  const following = new FilmTable(films, USUAL_SETTINGS.columns), fixed = new FilmTable(films, COLUMNS);
  assertEquals(following.width, fixed.width + 2);
  assertEquals(following.names.slice(-3), ["year", "popularity", "bias"]);
  const [few, many] = [2, 200].map((count) => following.value(0, { count, bias: 0.5 }));
  assert(few.at(-2) as number < (many.at(-2) as number));
  assertEquals(few.slice(0, -2), many.slice(0, -2));
  assertEquals(fixed.value(0, { count: 2, bias: 1 }), fixed.value(0, { count: 9, bias: 0 }));
});

Deno.test("taste loss: its gradient is that of its value, and targets have one number more than scores", () => {
  const scores = Float64Array.of(0.5, -1, 2), targets = Float64Array.of(0.7, 1, 2, -0.5);
  const gradient = tasteLoss.gradient(scores, targets);
  gradient.forEach((slope, c) => {
    const value = (step: number) =>
      tasteLoss.value(scores.map((score, at) => at === c ? score + step : score), targets);
    assertAlmostEquals((value(1e-5) - value(-1e-5)) / 2e-5, slope, 1e-8);
  });
  assertThrows(
    () => tasteLoss.check("learn", Float64Array.of(1, 2), 3),
    Error,
    "y has 2 numbers, expected 4",
  );
});

Deno.test("recommender: says each rating before it learns it", async () => {
  const { films, ratings } = makeUpRatings({ ratings: 200 });
  await using one = await Recommender.create(films, new RatingBias(), SETTINGS);
  await using other = await Recommender.create(films, new RatingBias(), SETTINGS);
  for (const rating of ratings) {
    const expected = await one.predict(rating.user, rating.film);
    assertAlmostEquals((await one.learn(rating)).stars, expected, 1e-5);
    // A prediction does not depend on its own rating.
    const changed = { ...rating, stars: rating.stars === 5 ? 0.5 : 5 };
    const said = await other.learn(rating === ratings[199] ? changed : rating);
    assertAlmostEquals(said.stars, expected, 1e-5);
  }
});

Deno.test("recommender: tastes beat biases, which beat the mean, and are as good as linear ones", async () => {
  const { films, ratings } = makeUpRatings();
  await using recommender = await Recommender.create(films, new RatingBias(), SETTINGS);
  const others = [
    new MeanRating(),
    new CountedBias(),
    new OnlineBias(),
    new LinearTastes(films, SETTINGS.columns, SETTINGS.tasteRate, SETTINGS.tasteDecay),
  ];
  const { models, hits } = await followRatings(ratings, recommender, others);
  const half = ratings.length / 2;
  const [attention, mean, counted, online, linear] = models.map((model) => rmse(model, half));
  assert(
    attention < 0.9 * online && online < mean && counted < mean,
    `${[attention, mean, counted, online]}`,
  );
  assertAlmostEquals(attention, linear, 0.05);
  // Rounding to half stars adds to the noise.
  assert(attention > USUAL_WORLD.noise);
  const { low, mean: gain } = gainOver(models[0], models[3], half);
  assertAlmostEquals(gain, online ** 2 - attention ** 2, 1e-9);
  assert(low > 0);
  assert(hitRate(hits, "recommended", half) > hitRate(hits, "popular", half));
  const more = hitGain(hits, half);
  assertAlmostEquals(
    more.mean,
    hitRate(hits, "recommended", half) - hitRate(hits, "popular", half),
    1e-12,
  );
  assert(more.low < more.mean && more.mean < more.high);
});

Deno.test("ranking: a page is the best of what is not rated, and places agree with it", async () => {
  const { films, ratings } = makeUpRatings({ ratings: 2000 });
  await using recommender = await Recommender.create(films, new RatingBias(), SETTINGS);
  for (const rating of ratings) await recommender.learn(rating);
  const { board, ground } = recommender;
  const [user, slot] = [...board.users][0], rated = recommender.rated(user);
  const { data } = await board.live.read([slot]);
  const page = pageOf(board, ground, data, rated);
  assertEquals(page.length, PAGE);
  assert(page.every((film) => !rated.has(film)) && rated.size > 0);
  page.forEach((film, place) => assertEquals(placeOf(board, ground, data, rated, film), place));
  const off = [...board.keys.keys()].find((film) => !rated.has(film) && !page.includes(film)) as number;
  assertEquals(placeOf(board, ground, data, rated, off), PAGE);
  const popular = [...board.keys.keys()].filter((film) => !rated.has(film))
    .sort((a, b) => board.count(b) - board.count(a) || (board.keys.get(a) ?? 0) - (board.keys.get(b) ?? 0));
  popular.slice(0, 5).forEach((film, place) => assertEquals(popularPlaceOf(board, rated, film), place));
  const missing = films.findIndex((_, film) => !board.keys.has(film));
  assert(missing !== -1);
  assertEquals(placeOf(board, ground, data, rated, missing), null);
});

Deno.test("board: the centre is the mean of the values, also after films have come and changed", async () => {
  const { films, ratings } = makeUpRatings({ ratings: 2000 });
  await using recommender = await Recommender.create(films, new RatingBias(), SETTINGS);
  for (const rating of ratings) await recommender.learn(rating);
  const { board } = recommender;
  assert(board.keys.size > 64, "keys were whitened more than once");
  const values = [...board.keys.values()].map((slot) => board.live.getValue(slot));
  board.centre().forEach((mean, c) => {
    assertAlmostEquals(mean, values.reduce((sum, value) => sum + value[c], 0) / values.length, 1e-6);
  });
  for (const [film, slot] of board.keys) {
    assertEquals(board.live.getValue(slot), board.value(film, recommender.ground.filmBias(film)));
  }
  const slot = board.admit(12345);
  assertEquals(board.admit(12345), slot);
  const { data } = await board.live.read([slot]);
  board.centre().forEach((mean, c) => assertAlmostEquals(data[c], mean, 1e-5));
  assertThrows(() => board.written(films.findIndex((_, film) => !board.keys.has(film))), Error, "is no key");
});

Deno.test("separable bias: a user is removed to the bit, with any ratings before and after", () => {
  const { ratings } = makeUpRatings({ ratings: 1500 });
  const users = usersByRatings(ratings).slice(0, 3).map(({ user }) => user);
  const forgetful = new SeparableBias(), never = new SeparableBias();
  for (const [at, { user, film, stars }] of ratings.entries()) {
    forgetful.learn(user, film, stars, 0.1);
    if (!users.includes(user)) never.learn(user, film, stars, 0.1);
    if (at === 900) forgetful.forget(users[1]);
  }
  assert(ratings.some(({ film }) => !Object.is(forgetful.filmBias(film), never.filmBias(film))));
  for (const user of users) forgetful.forget(user);
  forgetful.forget(999);
  for (const { user, film } of ratings) {
    assert(Object.is(forgetful.predict(user, film), never.predict(user, film)), `user ${user}, film ${film}`);
  }
});

Deno.test("forgetting: to the bit on separable ground, and not where all learn from all", async () => {
  const data = makeUpRatings({ ratings: 1200 });
  const [{ user }] = usersByRatings(data.ratings);
  const films = data.films.map((_, film) => film).filter((film) => film % 3 === 0);
  const exact = await compareWorlds(data, user, separableSettings(films), () => new SeparableBias());
  assertEquals(exact, { ...exact, different: 0, queries: 0, films: 0, outputs: 0, stars: 0 });
  assert(exact.compared > 1000);
  const usual = await compareWorlds(data, user, SETTINGS, () => new RatingBias());
  assert(usual.different > 0 && usual.queries > 0 && usual.films > 0 && usual.stars > 0);
});

Deno.test("forgetting: the query is gone, the ratings no longer count, and the user starts anew", async () => {
  const { films, ratings } = makeUpRatings({ ratings: 1200 });
  const [{ user, count }] = usersByRatings(ratings);
  await using recommender = await Recommender.create(films, new RatingBias(), SETTINGS);
  for (const rating of ratings) await recommender.learn(rating);
  const { board } = recommender, film = [...recommender.rated(user)][0], before = board.count(film);
  assertEquals(recommender.rated(user).size, count);
  const slot = board.users.get(user) as number;
  await recommender.forget(user);
  assertEquals([board.users.has(user), recommender.rated(user).size, board.count(film)], [
    false,
    0,
    before - 1,
  ]);
  await assertRejects(() => board.live.read([slot]), Error);
  await recommender.forget(user);
  const other = { user: 777, film };
  assertEquals(await recommender.predict(user, film), await recommender.predict(other.user, other.film));
});

Deno.test("pages: exact ways are exact, waiting is not, and budgets keep what they promise", async () => {
  const { films, ratings } = makeUpRatings({ ratings: 3000 });
  await using recommender = await Recommender.create(films, new RatingBias(), SETTINGS);
  await using stack = new AsyncDisposableStack();
  let pages: PageComparison | null = null;
  const strategies = [
    { family: "everyAnswer", threshold: null, error: null },
    { family: "original", threshold: 64, error: null },
    { family: "patch", threshold: 64, error: null },
    { family: "adaptive", threshold: null, error: 1e-4 },
    EXACT_PAGES,
  ] as const;
  await followRatings(ratings.slice(0, 2300), recommender, [], {
    ranked: false,
    after: async (at) => {
      if (at === 1999) pages = stack.use(await PageComparison.create(recommender, ratings, 3, strategies));
      else if (at >= 2000) await pages?.look(at);
    },
  });
  assert(pages !== null);
  const [anew, original, patched, adaptive, exact] = (pages as PageComparison).results();
  assertEquals(exact.relativeError, 0);
  assert(anew.relativeError < 1e-4 && adaptive.relativeError < 1e-2);
  assert(original.relativeError > 0.01 && patched.relativeError > 0.01);
  assertAlmostEquals(original.relativeError, patched.relativeError, 1e-4);
  assert(anew.cost > exact.cost && patched.cost < original.cost);
  for (const { rmse, hitRate } of [anew, adaptive]) {
    assertAlmostEquals(rmse, exact.rmse, 1e-3);
    assertAlmostEquals(hitRate, exact.hitRate, 0.01);
  }
  assert(exact.rmse > 0.3 && exact.rmse < 1.5 && exact.hitRate > 0);
});

Deno.test("board: films of a list are keys from the beginning, whatever is rated", async () => {
  const { films, ratings } = makeUpRatings({ ratings: 300 });
  await using board = await FilmBoard.create(new FilmTable(films, COLUMNS), { films: [3, 1, 4] });
  assertEquals([...board.keys], [[3, 0], [1, 1], [4, 2]]);
  const before = [...board.keys.values()].map((slot) => board.live.getKey(slot));
  for (const { film } of ratings) board.note(film, 1);
  assertEquals([...board.keys.values()].map((slot) => board.live.getKey(slot)), before);
  assertEquals(board.keys.size, 3);
});
