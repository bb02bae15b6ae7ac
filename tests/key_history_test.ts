// What has happened to the keys since each state's moment: cases, and any sequence of batches and states against a
// model that remembers all rows at every version.

import fc from "fast-check";
import { assert, assertEquals, assertGreater, assertGreaterOrEqual, assertLess } from "./assert.ts";
import type { RowSource, Since } from "../src/backends/backend.ts";
import { NO_ROW } from "../src/backends/since.ts";
import { KeyHistory } from "../src/lazy/key_history.ts";

const WIDTH = 2;

/** WIDTH numbers, then the position. */
type Row = readonly number[];
/** Rows by slot, or by the number under which they are kept. */
type Rows = ReadonlyMap<number, Row>;

/** Rows in a map. One that is read must be there. */
class MapSource implements RowSource {
  readonly rows = new Map<number, Row>();

  isLive(slot: number): boolean {
    return this.rows.has(slot);
  }

  element(slot: number, column: number): number {
    assertLess(column, WIDTH);
    return this.#row(slot)[column];
  }

  position(slot: number): number {
    return this.#row(slot)[WIDTH];
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    target.set(this.#row(slot).slice(0, WIDTH), offset);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    return this.#row(slot).slice(0, WIDTH).every((number, column) => rows[offset + column] === number);
  }

  #row(slot: number): Row {
    const row = this.rows.get(slot);
    assert(row, `row ${slot} was read while there is none`);
    return row;
  }
}

/** A batch: the row that each slot holds from then on, or null. */
type Edits = readonly (readonly [slot: number, row: Row | null])[];

/** A history and the rows that it speaks of, which change as a backend changes them. */
class Place {
  readonly keys = new MapSource();
  readonly kept = new MapSource();
  readonly history: KeyHistory;

  constructor(forgetsUndone = true) {
    this.history = new KeyHistory(this, WIDTH, forgetsUndone);
  }

  /** Stores a batch and says under which numbers the replaced rows are kept. */
  store(edits: Edits, lost: readonly number[] = []): number[] {
    const slots = Uint32Array.from(edits, ([slot]) => slot);
    const numbers = this.history.prepare(slots);
    edits.forEach(([slot, row], t) => {
      const replaced = this.keys.rows.get(slot);
      if (numbers[t] !== NO_ROW) {
        assert(replaced, `the row of empty slot ${slot} is to be kept`);
        this.kept.rows.set(numbers[t], replaced);
      }
      if (row) this.keys.rows.set(slot, row);
      else this.keys.rows.delete(slot);
    });
    this.history.commit(slots, numbers, Uint32Array.from(lost));
    return [...numbers];
  }

  reach(...queries: number[]): void {
    this.history.reach(Uint32Array.from(queries));
  }

  lose(...queries: number[]): void {
    this.history.lose(Uint32Array.from(queries));
  }

  /** Slot by slot, the row that a state of a version holds where the stored one is another. */
  changesSince(version: number): Map<number, Row | null> {
    return rowsBefore(this.history.since(version), this.kept.rows);
  }
}

function rowsBefore({ slots, kept }: Since, keptRows: Rows): Map<number, Row | null> {
  assertEquals(kept.length, slots.length);
  const before = new Map<number, Row | null>();
  slots.forEach((slot, t) => {
    assert(!before.has(slot), `slot ${slot} is named twice`);
    const row = kept[t] === NO_ROW ? null : keptRows.get(kept[t]);
    assert(row !== undefined, `nothing is kept under ${kept[t]}`);
    before.set(slot, row);
  });
  return before;
}

/** Slots 0 and 1 hold rows, slot 2 is empty; the states of queries 0 and 1 know that. */
function makePlace(forgetsUndone = true): Place {
  const place = new Place(forgetsUndone);
  place.keys.rows.set(0, [1, 2, 0]).set(1, [3, 4, 1]);
  place.reach(0, 1);
  return place;
}

Deno.test("a state that missed an insert, an edit and a delete is told what it still holds", () => {
  for (const forgetsUndone of [true, false]) {
    const place = makePlace(forgetsUndone);
    place.store([[2, [5, 6, 2]], [1, [3, 9, 1]]]);
    place.store([[0, null]]);
    assertEquals(place.history.version, 2);
    assertEquals([...place.changesSince(0)], [[2, null], [1, [3, 4, 1]], [0, [1, 2, 0]]]);
    assertEquals([...place.changesSince(1)], [[0, [1, 2, 0]]]);
    assertEquals([...place.changesSince(2)], []);
  }
});

Deno.test("of several changes of a slot, a state is told what it held before the first that it missed", () => {
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
    // What was undone can be done again.
    place.store([[0, [1, 9, 0]], [1, null]]);
    assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]], [1, [3, 4, 1]]]);
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
  assertEquals(place.history.keptCount, 3);
  assertEquals(new Set([first, ...numbers]).size, 4, "slot 2 is empty");
  assertEquals(numbers[2], NO_ROW);
  place.history.abandon(numbers);
  assertEquals([place.history.version, place.history.keptCount], [1, 1]);
  assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]]]);
  assertEquals([...place.changesSince(1)], []);
  // The numbers are given out again, and no others.
  const again = place.history.prepare(Uint32Array.of(0, 1));
  assertEquals([...again].sort(), [...numbers.subarray(0, 2)].sort());
});

Deno.test("rows that no state holds are not kept", () => {
  const place = makePlace();
  assertEquals(place.store([[0, [7, 7, 0]]]).includes(NO_ROW), false);
  // Both states hold the row before, and nobody this one.
  assertEquals(place.store([[0, [8, 8, 0]]]), [NO_ROW]);
  assertEquals(place.history.keptCount, 1);
  place.lose(0, 1);
  assertEquals(place.store([[1, [8, 8, 1]]]), [NO_ROW], "there is no state at all");
});

Deno.test("a number is given out again when no state needs its row, and not before", () => {
  const place = makePlace();
  const [ofQuery0] = place.store([[0, [7, 7, 0]]]);
  place.reach(1);
  const [ofQuery1] = place.store([[0, [8, 8, 0]]]);
  assertEquals(place.history.keptCount, 2);
  place.reach(1);
  // What query 1 held is wanted no more.
  place.history.clearUp();
  assertEquals(place.history.keptCount, 1);
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
  assertEquals([place.history.isCurrent, place.history.keptCount], [false, 2]);
  assertEquals(place.changesSince(0).size, 3);
  place.reach(1, 1);
  assertEquals([place.history.isCurrent, place.history.keptCount], [true, 0]);
  assertEquals([place.history.currentCount, place.history.oldest()], [2, null]);
  assertEquals([...place.changesSince(0)], []);
  assertEquals(place.store([[2, null]]), [0], "numbers start anew");
  assertEquals([...place.changesSince(1)], [[2, [5, 5, 5]]]);
});

Deno.test("a query that has lost its state has no version and needs no rows", () => {
  const place = makePlace();
  place.store([[0, [7, 7, 0]]]);
  place.reach(1);
  place.lose(0, 0, 5);
  assertLess(place.history.versionOf(0), 0);
  assertLess(place.history.versionOf(1000), 0);
  assertEquals([place.history.currentCount, place.history.isCurrent], [1, true]);
  place.history.clearUp();
  assertEquals(place.history.keptCount, 0);
  // A batch that changes queries takes their states along.
  place.store([[0, [8, 8, 0]]], [1]);
  assertLess(place.history.versionOf(1), 0);
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
  assertEquals(cohorts.map(({ version, queries }) => [version, ...queries]), [[1, 3, 1], [0, 0, 2]]);
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
    const { version, queries, since } = cohort;
    moments.push([version, queries.length, ...queries, ...since.slots]);
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
  assertEquals(place.history.keptCount, 5);
  place.history.clearUp();
  assertEquals(place.history.keptCount, 5, "all three states hold another row in slot 0, in slot 1 two");
  place.lose(1);
  place.history.clearUp();
  assertEquals(place.history.keptCount, 4, "query 2 still holds the row that query 1 held in slot 1");
  assertEquals([...place.changesSince(0)], [[0, [1, 2, 0]], [1, [3, 4, 1]]]);
  assertEquals([...place.changesSince(2)], [[0, [8, 8, 0]], [1, [7, 7, 1]]]);
  place.reach(0);
  place.history.clearUp();
  assertEquals(place.history.keptCount, 2);
  assertEquals([...place.changesSince(2)], [[0, [8, 8, 0]], [1, [7, 7, 1]]]);
});

Deno.test("what nobody needs piles up only until it is cleared up, which is seldom necessary", () => {
  const place = makePlace();
  let most = 0, times = 0;
  for (let batch = 0; batch < 1000; batch++) {
    // Query 0 never catches up, query 1 always does.
    place.store([[0, [batch, batch, 0]]]);
    place.reach(1);
    most = Math.max(most, place.history.keptCount);
    if (!place.history.isGrown) continue;
    times++;
    place.history.clearUp();
    assertEquals([place.history.keptCount, place.history.isGrown], [1, false]);
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
  assertEquals([place.history.keptCount, place.history.isGrown], [498, false]);
  for (let query = 500; query < 900; query++) {
    place.store([[0, [query, query, 0]]]);
    place.reach(query);
  }
  assertEquals(place.history.isGrown, false);
});

// ---- against a model -------------------------------------------------------------------------------------

const SLOTS = 5;
const QUERIES = 4;
const ALL = [...Array(QUERIES).keys()];

/** Remembers everything, and forgets nothing. */
class Model {
  /** All rows, by version. */
  readonly rows: Rows[] = [new Map()];
  /** The slots of the batch that led to a version. */
  readonly batches: (readonly number[])[] = [[]];
  /** By version, the numbers that were given to its batch. */
  readonly numbers: (readonly number[])[] = [[]];
  /** Of the queries that have a state. */
  readonly versions = new Map<number, number>();

  get version(): number {
    return this.rows.length - 1;
  }

  get newest(): Rows {
    return this.rows[this.version];
  }

  store(edits: Edits, numbers: readonly number[]): void {
    const rows = new Map(this.newest);
    for (const [slot, row] of edits) {
      if (row) rows.set(slot, row);
      else rows.delete(slot);
    }
    this.rows.push(rows);
    this.batches.push(edits.map(([slot]) => slot));
    this.numbers.push(numbers);
  }

  /** Whether the stored row of a slot is one that a state holds. */
  isHeld(slot: number): boolean {
    const lastTouched = this.batches.findLastIndex((slots) => slots.includes(slot));
    return this.newest.has(slot) && [...this.versions.values()].some((moment) => moment >= lastTouched);
  }

  /** Number → the row that is wanted under it, for all rows that states hold though they were replaced. */
  wanted(): Map<number, Row> {
    const wanted = new Map<number, Row>(), seen = new Set<string>();
    for (const moment of this.versions.values()) {
      for (const [slot, row] of this.rows[moment]) {
        const replacedBy = this.batches.findIndex((slots, at) => at > moment && slots.includes(slot));
        const name = `${slot} replaced by ${replacedBy}`;
        if (replacedBy < 0 || seen.has(name)) continue;
        seen.add(name);
        const number = this.numbers[replacedBy][this.batches[replacedBy].indexOf(slot)];
        assert(number !== NO_ROW, `slot ${name} was not kept`);
        assert(!wanted.has(number), `two rows that are wanted are kept under ${number}`);
        wanted.set(number, row);
      }
    }
    return wanted;
  }

  /** What `since` has to name, in the order in which it first happened. */
  changedSlots(moment: number, forgetsUndone: boolean): number[] {
    const touched = new Set(this.batches.slice(moment + 1).flat());
    return [...touched].filter((slot) => {
      const before = this.rows[moment].get(slot), now = this.newest.get(slot);
      if (!before || !now) return before !== now;
      return !forgetsUndone || before.join() !== now.join();
    });
  }

  oldest(): { version: number; queries: number[] } | null {
    const version = Math.min(this.version, ...this.versions.values());
    if (version === this.version) return null;
    return { version, queries: ALL.filter((query) => this.versions.get(query) === version) };
  }
}

type Step =
  | { readonly kind: "store"; readonly edits: Edits; readonly lost: readonly number[] }
  | { readonly kind: "fail"; readonly slots: readonly number[] }
  | { readonly kind: "reach" | "lose"; readonly queries: readonly number[] }
  | { readonly kind: "clearUp" }
  | { readonly kind: "catchUp"; readonly builds: boolean };

// Few slots, numbers and positions, so that changes meet and undo each other.
const slot = fc.nat({ max: SLOTS - 1 });
const bit = fc.nat({ max: 1 });
const row = fc.option(fc.tuple(bit, bit, bit), { freq: 3 });
const query = fc.nat({ max: QUERIES - 1 });
const queries = fc.array(query, { minLength: 1, maxLength: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("store"),
      edits: fc.uniqueArray(fc.tuple(slot, row), { selector: ([slot]) => slot, maxLength: SLOTS }),
      lost: fc.oneof({ weight: 6, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: queries }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("fail"), slots: fc.uniqueArray(slot) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("reach"), queries }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose"), queries }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("clearUp") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("catchUp"), builds: fc.boolean() }) },
);

/** Takes a step in both, and checks what the step itself has to do. */
function take(step: Step, place: Place, model: Model): void {
  const { history } = place;
  switch (step.kind) {
    case "store": {
      const wanted = model.wanted(), held = step.edits.map(([slot]) => model.isHeld(slot));
      const numbers = place.store(step.edits, step.lost);
      assertEquals(numbers.map((number) => number !== NO_ROW), held);
      const given = numbers.filter((number) => number !== NO_ROW);
      assertEquals(new Set(given).size, given.length, "a number was given twice");
      assert(!given.some((number) => wanted.has(number)), "a number was given though its row is wanted");
      model.store(step.edits, numbers);
      for (const query of step.lost) model.versions.delete(query);
      break;
    }
    case "fail": {
      const before = history.keptCount;
      history.abandon(history.prepare(Uint32Array.from(step.slots)));
      assertEquals(history.keptCount, before);
      break;
    }
    case "reach":
      place.reach(...step.queries);
      for (const query of step.queries) model.versions.set(query, model.version);
      break;
    case "lose":
      place.lose(...step.queries);
      for (const query of step.queries) model.versions.delete(query);
      break;
    case "clearUp":
      history.clearUp();
      assertEquals(history.keptCount, model.wanted().size);
      break;
    case "catchUp": {
      const expected = model.oldest(), oldest = history.oldest();
      assertEquals(oldest && { version: oldest.version, queries: [...oldest.queries] }, expected);
      if (expected) take({ kind: step.builds ? "lose" : "reach", queries: expected.queries }, place, model);
      break;
    }
  }
}

/** Checks all that a history says against the model. */
function check(place: Place, model: Model, forgetsUndone: boolean): void {
  const { history, keys, kept } = place;
  const { version, versions } = model;
  const moments = new Set(versions.values());
  assertEquals(history.version, version);
  assertEquals(history.currentCount, [...versions.values()].filter((other) => other === version).length);
  assertEquals(history.isCurrent, [...moments].every((moment) => moment === version));
  const wanted = model.wanted();
  assertGreaterOrEqual(history.keptCount, wanted.size);
  for (const [number, row] of wanted) assertEquals(kept.rows.get(number), row);
  const { missing, cohorts } = history.standing(Uint32Array.from([...ALL, ...ALL]));
  assertEquals([...missing], ALL.filter((query) => !versions.has(query)));
  assertEquals(new Set(cohorts.map(({ version }) => version)), moments);
  assertEquals(cohorts.length, moments.size);
  for (const { version: moment, queries, since } of cohorts) {
    assertEquals([...queries], ALL.filter((query) => versions.get(query) === moment));
    for (const query of queries) assertEquals(history.versionOf(query), moment);
    assertEquals([...since.slots], model.changedSlots(moment, forgetsUndone));
    const rows = new Map(keys.rows);
    for (const [slot, row] of rowsBefore(since, kept.rows)) {
      if (row) rows.set(slot, row);
      else rows.delete(slot);
    }
    assertEquals(rows, model.rows[moment]);
  }
}

for (const forgetsUndone of [true, false]) {
  const what = forgetsUndone ? "what differs" : "what was touched";
  Deno.test(`whatever happens, the stored rows and ${what} since give the rows of each state`, () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps) => {
        const place = new Place(forgetsUndone), model = new Model();
        for (const step of steps) {
          take(step, place, model);
          check(place, model, forgetsUndone);
        }
      }),
      { numRuns: 200 },
    );
  });
}
