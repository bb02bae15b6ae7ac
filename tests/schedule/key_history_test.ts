// The changes of keys since the epoch of each state, case by case.

import { NO_ROW } from "../../src/backends/since.ts";
import { assert, assertEquals, assertGreater, assertLess } from "../../testing/assert.ts";
import { makePlace, Place } from "../../testing/key_history_place.ts";

Deno.test("a state that missed an insert, an edit and a delete gets the rows that it still includes", () => {
  for (const forgetsUndone of [true, false]) {
    const place = makePlace(forgetsUndone);
    place.store([[2, [5, 6, 2]], [1, [3, 9, 1]]]);
    place.store([[0, null]]);
    assertEquals(place.history.epoch, 2);
    assertEquals([...place.changesSince(0)], [[2, null], [1, [3, 4, 1]], [0, [1, 2, 0]]]);
    assertEquals([...place.changesSince(1)], [[0, [1, 2, 0]]]);
    assertEquals([...place.changesSince(2)], []);
  }
});

Deno.test("after several changes of a slot, a state gets the row before the first change that it missed", () => {
  const place = makePlace();
  place.store([[0, [7, 7, 0]]]);
  place.reach(1);
  place.store([[0, null]]);
  place.store([[0, [8, 8, 4]]]);
  assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]]]);
  assertEquals([...place.changesSince(1)], [[0, [7, 7, 0]]]);
});

Deno.test("a slot that holds again what it held counts as unchanged, where that is wanted", () => {
  for (const forgetsUndone of [true, false]) {
    const place = makePlace(forgetsUndone);
    place.store([[0, [1, 9, 0]], [1, null]]);
    place.store([[0, [1, 2, 0]], [1, [3, 4, 1]]]);
    assertEquals([...place.changesSince(0)], forgetsUndone ? [] : [[0, [1, 2, 0]], [1, [3, 4, 1]]]);
    // An undone change can be made again.
    place.store([[0, [1, 9, 0]], [1, null]]);
    assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]], [1, [3, 4, 1]]]);
  }
});

Deno.test("a moment that was asked about hears of all batches since, however many there were", () => {
  for (const batches of [1, 3, 63, 64, 65, 200]) {
    const place = makePlace();
    place.store([[0, [5, 6, 0]]]);
    assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]]]);
    for (let batch = 0; batch < batches; batch++) place.store([[1, [batch, 4, 1]]]);
    assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]], [1, [3, 4, 1]]], `${batches} batches`);
    place.store([[0, [1, 2, 0]]]);
    assertEquals([...place.changesSince(0)], [[1, [3, 4, 1]]], `${batches} batches, and one undone`);
  }
});

Deno.test("a row that differs in one number alone, whichever it is, is a change", () => {
  for (const row of [[9, 2, 0], [1, 9, 0]]) {
    const place = makePlace();
    place.store([[0, row]]);
    assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]]]);
  }
});

Deno.test("an equal row at another position is a change", () => {
  const place = makePlace();
  place.store([[0, null]]);
  place.store([[0, [1, 2, 5]]]);
  assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]]]);
});

Deno.test("a slot that was empty and is empty again is unchanged in any case", () => {
  for (const forgetsUndone of [true, false]) {
    const place = makePlace(forgetsUndone);
    place.store([[2, [5, 6, 2]]]);
    assertEquals([...place.changesSince(0)], [[2, null]]);
    place.store([[2, null]]);
    assertEquals([...place.changesSince(0)], []);
  }
});

Deno.test("a batch that was not stored leaves nothing behind", () => {
  const place = makePlace();
  const [first] = place.store([[0, [7, 7, 0]]]);
  place.reach(1);
  const numbers = place.history.prepare(Uint32Array.of(0, 1, 2));
  assertEquals(place.history.retainedCount, 3);
  assertEquals(new Set([first, ...numbers]).size, 4, "slot 2 is empty");
  assertEquals(numbers[2], NO_ROW);
  place.history.abandon(numbers, new Uint32Array(0));
  assertEquals([place.history.epoch, place.history.retainedCount], [1, 1]);
  assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]]]);
  assertEquals([...place.changesSince(1)], []);
  // The numbers are given out again, and no others.
  const again = place.history.prepare(Uint32Array.of(0, 1));
  assertEquals([...again].sort(), [...numbers.subarray(0, 2)].sort());
});

Deno.test("rows that no state holds are not kept", () => {
  const place = makePlace();
  assertEquals(place.store([[0, [7, 7, 0]]]).includes(NO_ROW), false);
  // Both states include the earlier row, and none includes this one.
  assertEquals(place.store([[0, [8, 8, 0]]]), [NO_ROW]);
  assertEquals(place.history.retainedCount, 1);
  place.lose(0, 1);
  assertEquals(place.store([[1, [8, 8, 1]]]), [NO_ROW], "there is no state at all");
});

Deno.test("a number is given out again when no state needs its row, and not before", () => {
  const place = makePlace();
  const [ofQuery0] = place.store([[0, [7, 7, 0]]]);
  place.reach(1);
  const [ofQuery1] = place.store([[0, [8, 8, 0]]]);
  assertEquals(place.history.retainedCount, 2);
  place.reach(1);
  // The row of query 1 is no longer needed.
  place.history.clearUp();
  assertEquals(place.history.retainedCount, 1);
  const [later] = place.store([[1, [9, 9, 1]]]);
  assertEquals(later, ofQuery1);
  const [last] = place.store([[0, [9, 9, 0]]]);
  assertEquals(new Set([ofQuery0, later, last]).size, 3);
  assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]], [1, [3, 4, 1]]]);
  assertEquals([...place.changesSince(2)], [[1, [3, 4, 1]], [0, [8, 8, 0]]]);
});

Deno.test("when every state holds the newest keys, the past is dropped", () => {
  const place = makePlace();
  place.store([[0, [7, 7, 0]], [1, null], [2, [5, 5, 5]]]);
  place.reach(0);
  assertEquals([place.history.isCurrent, place.history.retainedCount], [false, 2]);
  assertEquals(place.changesSince(0).size, 3);
  place.reach(1, 1);
  assertEquals([place.history.isCurrent, place.history.retainedCount], [true, 0]);
  assertEquals([place.history.currentCount, place.history.oldest()], [2, null]);
  assertEquals([...place.changesSince(0)], []);
  assertEquals(place.store([[2, null]]), [0], "numbers start anew");
  assertEquals([...place.changesSince(1)], [[2, [5, 5, 5]]]);
});

Deno.test("a query that has lost its state has no epoch and needs no rows", () => {
  const place = makePlace();
  place.store([[0, [7, 7, 0]]]);
  place.reach(1);
  place.lose(0, 0, 5);
  assertLess(place.history.epochOf(0), 0);
  assertLess(place.history.epochOf(1000), 0);
  assertEquals([place.history.currentCount, place.history.isCurrent], [1, true]);
  place.history.clearUp();
  assertEquals(place.history.retainedCount, 0);
  // A batch that changes queries takes their states along.
  place.store([[0, [8, 8, 0]]], [1]);
  assertLess(place.history.epochOf(1), 0);
  assertEquals([place.history.currentCount, place.history.isCurrent], [0, true]);
});

Deno.test("standing names a query once also when it hears of another for the first time", () => {
  const place = new Place(true);
  place.history.reach(Uint32Array.of(0));
  const { missing, cohorts } = place.history.standing(Uint32Array.of(0, 9, 0, 9));
  assertEquals([[...missing], cohorts.map(({ queries }) => [...queries])], [[9], [[0]]]);
});

Deno.test("standing sorts queries by moment and names each once", () => {
  const place = makePlace();
  place.reach(0, 1, 2, 3, 4);
  place.store([[0, [7, 7, 0]]], [4]);
  place.reach(3, 1);
  const { missing, cohorts } = place.history.standing(Uint32Array.of(3, 0, 3, 4, 1, 2, 0, 4, 3));
  assertEquals([...missing], [4]);
  assertEquals(cohorts.map(({ epoch, queries }) => [epoch, ...queries]), [[1, 3, 1], [0, 0, 2]]);
  assertEquals(cohorts.map(({ since }) => [...since.slots]), [[], [0]]);
  // Each question is one of its own, and unknown queries have no state.
  const next = place.history.standing(Uint32Array.of(0, 0, 4, 9));
  assertEquals([[...next.missing], ...next.cohorts.map(({ queries }) => [...queries])], [[4, 9], [0]]);
  const none = place.history.standing(new Uint32Array(0));
  assertEquals([none.missing.length, none.cohorts.length], [0, 0]);
});

Deno.test("oldest names the states that have missed the most", () => {
  const place = makePlace();
  assertEquals(place.history.oldest(), null);
  place.reach(0, 1, 2, 3);
  place.store([[0, [7, 7, 0]]]);
  place.reach(1, 3);
  place.store([[1, [7, 7, 1]]]);
  place.reach(2);
  const moments: number[][] = [];
  for (let round = 0; round < 2; round++) {
    const cohort = place.history.oldest();
    assert(cohort);
    const { epoch, queries, since } = cohort;
    moments.push([epoch, queries.length, ...queries, ...since.slots]);
    place.history.reach(queries);
  }
  assertEquals(moments, [[0, 1, 0, 0, 1], [1, 2, 1, 3, 1]]);
  assertEquals([place.history.isCurrent, place.history.currentCount], [true, 4]);
  place.lose(0, 1, 2, 3);
  assertEquals(place.history.oldest(), null);
});

Deno.test("clearUp keeps what states need, and that only", () => {
  const place = makePlace();
  place.reach(2);
  place.store([[0, [7, 7, 0]], [1, [7, 7, 1]]]);
  place.reach(1);
  place.store([[0, [8, 8, 0]]]);
  place.reach(2);
  place.store([[0, [9, 9, 0]], [1, [9, 9, 1]]]);
  assertEquals(place.history.retainedCount, 5);
  place.history.clearUp();
  assertEquals(place.history.retainedCount, 5, "all three states hold another row in slot 0, in slot 1 two");
  place.lose(1);
  place.history.clearUp();
  assertEquals(place.history.retainedCount, 4, "query 2 still holds the row that query 1 held in slot 1");
  assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]], [1, [3, 4, 1]]]);
  assertEquals([...place.changesSince(2)], [[0, [8, 8, 0]], [1, [7, 7, 1]]]);
  place.reach(0);
  place.history.clearUp();
  assertEquals(place.history.retainedCount, 2);
  assertEquals([...place.changesSince(2)], [[0, [8, 8, 0]], [1, [7, 7, 1]]]);
});

Deno.test("entries that no state needs are kept only until they are cleared up, which is seldom necessary", () => {
  const place = makePlace();
  let most = 0, times = 0;
  for (let batch = 0; batch < 1000; batch++) {
    // Query 0 never catches up, query 1 always does.
    place.store([[0, [batch, batch, 0]]]);
    place.reach(1);
    most = Math.max(most, place.history.retainedCount);
    if (!place.history.isGrown) continue;
    times++;
    place.history.clearUp();
    assertEquals([place.history.retainedCount, place.history.isGrown], [1, false]);
  }
  assertGreater(times, 0);
  assertLess(times, 50);
  assertLess(most, 100);
  assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]]]);
});

Deno.test("what states need does not call for clearing up again and again", () => {
  const place = makePlace();
  for (let query = 2; query < 500; query++) {
    // Each state holds a row of its own.
    place.store([[0, [query, query, 0]]]);
    place.reach(query);
  }
  assertEquals(place.history.isGrown, true);
  place.history.clearUp();
  assertEquals([place.history.retainedCount, place.history.isGrown], [498, false]);
  for (let query = 500; query < 900; query++) {
    place.store([[0, [query, query, 0]]]);
    place.reach(query);
  }
  assertEquals(place.history.isGrown, false);
});

Deno.test("a batch that fails gives back as many rows as there were, however many", () => {
  const place = makePlace();
  const many = Array.from({ length: 200_000 }, (_, slot) => slot);
  place.store(many.map((slot) => [slot + 2, [slot, slot, 0]]));
  place.reach(0);
  place.reach(1);
  place.store(many.map((slot) => [slot + 2, [slot, slot, 1]]));
  place.reach(0);
  place.reach(1);
  const dropped = place.history.takeFreed();
  assertEquals(dropped.length, many.length);
  place.history.abandon(new Uint32Array(0), dropped);
  assertEquals(place.history.takeFreed(), dropped);
});

Deno.test("a batch that changes no key leaves current states current, so that one question is about all of them", () => {
  const place = makePlace();
  place.store([[0, [7, 7, 0]]]);
  place.reach(0);
  place.reach(1);
  for (let batch = 0; batch < 3; batch++) {
    place.store([]);
    assertEquals(place.history.isCurrent, true);
  }
  place.reach(2);
  const queries = Uint32Array.of(0, 1, 2);
  const { cohorts } = place.history.standing(queries);
  assertEquals(cohorts.map(({ epoch, queries, since }) => [epoch, [...queries], since.slots.length]), [
    [4, [0, 1, 2], 0],
  ]);
  // What is behind stays behind.
  place.store([[1, [8, 8, 1]]]);
  place.reach(1);
  place.store([]);
  const { cohorts: apart } = place.history.standing(queries);
  assertEquals(apart.map(({ epoch, queries, since }) => [epoch, [...queries], [...since.slots]]), [
    [4, [0, 2], [1]],
    [6, [1], []],
  ]);
});
