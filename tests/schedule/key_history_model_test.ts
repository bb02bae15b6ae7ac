// The changes of keys since the epoch of each state: any sequence of batches and states against a model that
// remembers all rows at every epoch.

import fc from "fast-check";
import { NO_ROW } from "../../src/backends/since.ts";
import { assert, assertEquals, assertGreaterOrEqual } from "../../testing/assert.ts";
import { type Edits, Place, type Row, type Rows, rowsBefore } from "../../testing/key_history_place.ts";

const SLOTS = 5;
const QUERIES = 4;
const ALL = [...Array(QUERIES).keys()];

/** Remembers everything, and forgets nothing. */
class Model {
  /** All rows, by epoch. */
  readonly rows: Rows[] = [new Map()];
  /** The slots of the batch that led to an epoch. */
  readonly batches: (readonly number[])[] = [[]];
  /** By epoch, the numbers that were given to its batch. */
  readonly numbers: (readonly number[])[] = [[]];
  /** Of the queries that have a state. */
  readonly epochs = new Map<number, number>();

  get epoch(): number {
    return this.rows.length - 1;
  }

  get newest(): Rows {
    return this.rows[this.epoch];
  }

  store(edits: Edits, numbers: readonly number[]): void {
    const rows = new Map(this.newest);
    for (const [slot, row] of edits) {
      if (row) rows.set(slot, row);
      else rows.delete(slot);
    }
    if (edits.length === 0) {
      for (const [query, moment] of this.epochs) {
        if (moment === this.epoch) this.epochs.set(query, moment + 1);
      }
    }
    this.rows.push(rows);
    this.batches.push(edits.map(([slot]) => slot));
    this.numbers.push(numbers);
  }

  /** Whether the stored row of a slot is one that a state holds. */
  isHeld(slot: number): boolean {
    const lastTouched = this.batches.findLastIndex((slots) => slots.includes(slot));
    return this.newest.has(slot) && [...this.epochs.values()].some((moment) => moment >= lastTouched);
  }

  /** Number → the row that is wanted under it, for all rows that states hold though they were replaced. */
  wanted(): Map<number, Row> {
    const wanted = new Map<number, Row>(), seen = new Set<string>();
    for (const moment of this.epochs.values()) {
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

  /** The changes that `since` must have, in the order of their first occurrence. */
  changedSlots(moment: number, forgetsUndone: boolean): number[] {
    const touched = new Set(this.batches.slice(moment + 1).flat());
    return [...touched].filter((slot) => {
      const before = this.rows[moment].get(slot), now = this.newest.get(slot);
      if (!before || !now) return before !== now;
      return !forgetsUndone || before.join() !== now.join();
    });
  }

  oldest(): { epoch: number; queries: number[] } | null {
    const epoch = Math.min(this.epoch, ...this.epochs.values());
    if (epoch === this.epoch) return null;
    return { epoch, queries: ALL.filter((query) => this.epochs.get(query) === epoch) };
  }
}

type Step =
  | { readonly kind: "store"; readonly edits: Edits; readonly lost: readonly number[] }
  | { readonly kind: "fail"; readonly slots: readonly number[] }
  | { readonly kind: "reach" | "lose"; readonly queries: readonly number[] }
  | { readonly kind: "clearUp" }
  | { readonly kind: "loseBehind"; readonly changes: number }
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
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("loseBehind"), changes: fc.integer({ min: 1, max: SLOTS }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("catchUp"), builds: fc.boolean() }) },
);

/** Takes a step in both, and checks what the step itself has to do. */
function take(step: Step, place: Place, model: Model, forgetsUndone: boolean): void {
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
      for (const query of step.lost) model.epochs.delete(query);
      break;
    }
    case "fail": {
      const before = history.retainedCount;
      history.abandon(history.prepare(Uint32Array.from(step.slots)), history.takeFreed());
      assertEquals(history.retainedCount, before);
      break;
    }
    case "reach":
      place.reach(...step.queries);
      for (const query of step.queries) model.epochs.set(query, model.epoch);
      break;
    case "lose":
      place.lose(...step.queries);
      for (const query of step.queries) model.epochs.delete(query);
      break;
    case "clearUp":
      history.clearUp();
      assertEquals(history.retainedCount, model.wanted().size);
      break;
    case "catchUp": {
      const expected = model.oldest(), oldest = history.oldest();
      assertEquals(oldest && { epoch: oldest.epoch, queries: [...oldest.queries] }, expected);
      if (!expected) break;
      take({ kind: step.builds ? "lose" : "reach", queries: expected.queries }, place, model, forgetsUndone);
      break;
    }
    case "loseBehind":
      history.loseBehind(step.changes);
      for (let oldest = model.oldest(); oldest; oldest = model.oldest()) {
        if (model.changedSlots(oldest.epoch, forgetsUndone).length < step.changes) break;
        for (const query of oldest.queries) model.epochs.delete(query);
      }
      break;
  }
}

/** Checks all that a history says against the model. */
function check(place: Place, model: Model, forgetsUndone: boolean): void {
  const { history, keys, retained } = place;
  const { epoch, epochs } = model;
  const moments = new Set(epochs.values());
  assertEquals(history.epoch, epoch);
  assertEquals(history.currentCount, [...epochs.values()].filter((other) => other === epoch).length);
  assertEquals(history.isCurrent, [...moments].every((moment) => moment === epoch));
  const wanted = model.wanted();
  assertGreaterOrEqual(history.retainedCount, wanted.size);
  place.wipe();
  assertEquals(retained.rows.size, history.retainedCount, "rows that no state includes were not wiped");
  for (const [number, row] of wanted) assertEquals(retained.rows.get(number), row);
  const { missing, cohorts } = history.standing(Uint32Array.from([...ALL, ...ALL]));
  assertEquals([...missing], ALL.filter((query) => !epochs.has(query)));
  assertEquals(new Set(cohorts.map(({ epoch }) => epoch)), moments);
  assertEquals(cohorts.length, moments.size);
  for (const { epoch: moment, queries, since } of cohorts) {
    assertEquals([...queries], ALL.filter((query) => epochs.get(query) === moment));
    for (const query of queries) assertEquals(history.epochOf(query), moment);
    assertEquals(since.slots.toSorted(), Uint32Array.from(model.changedSlots(moment, forgetsUndone)).sort());
    const rows = new Map(keys.rows);
    for (const [slot, row] of rowsBefore(since, retained.rows)) {
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
          take(step, place, model, forgetsUndone);
          check(place, model, forgetsUndone);
        }
      }),
      { numRuns: 200 },
    );
  });
}
