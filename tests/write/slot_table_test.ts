import fc from "fast-check";
import { assert, assertEquals, assertStrictEquals, assertThrows } from "../../testing/assert.ts";
import { SlotTable, type SlotWatcher } from "../../src/write/slot_table.ts";

/** A table of `count` slots at positions 0, 1, 2, … */
function makeTable(count: number): SlotTable {
  return new SlotTable(Float64Array.from({ length: count }, (_, slot) => slot));
}

Deno.test("slots are 0, 1, 2, … at first and go on from there", () => {
  const table = makeTable(3);
  assertEquals([table.count, table.size, table.next], [3, 3, 3]);
  assertEquals([...table.liveSlots()], [0, 1, 2]);
  assertEquals([table.allocate(3), table.allocate(4)], [3, 4]);
  assertEquals([table.count, table.size, table.next], [5, 5, 5]);
});

Deno.test("a free slot is given out before a new one, the one freed last first", () => {
  const table = makeTable(4);
  table.release(2);
  table.release(0);
  table.release(3);
  assertEquals([...table.liveSlots()], [1]);
  assertEquals([table.count, table.size], [1, 4]);
  const given = Array.from({ length: 4 }, () => [table.next, table.allocate(0)]);
  assertEquals(given, [[3, 3], [0, 0], [2, 2], [4, 4]]);
});

Deno.test("the next position is one more than the largest so far, wherever the slots are", () => {
  assertEquals(makeTable(0).nextPosition, 0);
  assertEquals(makeTable(3).nextPosition, 3);
  assertEquals(new SlotTable(Float64Array.of(7.5, -2, 3)).nextPosition, 8.5);
  assertEquals(new SlotTable(Float64Array.of(-9, -8.25)).nextPosition, 0);
  const table = new SlotTable(Float64Array.of(4, 1));
  table.allocate(2);
  assertEquals(table.nextPosition, 5, "a position in between");
  table.allocate(5.5);
  assertEquals(table.nextPosition, 6.5);
  table.release(3);
  assertEquals(table.nextPosition, 6.5, "a position that was taken once is not taken again");
  table.allocate(-20);
  assertEquals(table.nextPosition, 6.5);
  table.reach(5.5);
  assertEquals(table.nextPosition, 6.5);
  table.reach(6);
  assertEquals(table.nextPosition, 7, "a row has moved to less than one below the next position");
  table.atomically(() => table.reach(9));
  assertThrows(
    () =>
      table.atomically(() => {
        table.reach(9.5);
        throw new Error("taken back");
      }),
    Error,
    "taken back",
  );
  assertEquals(table.nextPosition, 10);
});

Deno.test("only a number that was given out and not freed is live", () => {
  const table = makeTable(2);
  table.release(1);
  table.allocate(2);
  table.allocate(3);
  table.release(0);
  assertEquals([0, 1, 2, 3].map((slot) => table.isLive(slot)), [false, true, true, false]);
  for (const slot of [-1, 0.5, NaN, Infinity, 2 ** 32, 2 ** 32 + 1]) assertEquals(table.isLive(slot), false);
  for (const other of ["1", null, undefined, true, [1], 1n]) {
    assertEquals(table.isLive(other as unknown as number), false, String(other));
  }
});

Deno.test("liveSlots belongs to the caller", () => {
  const table = makeTable(2);
  const slots = table.liveSlots();
  slots[0] = 9;
  table.release(1);
  assertEquals([...slots], [9, 1]);
  assertEquals([...table.liveSlots()], [0]);
});

Deno.test("atomically hands on what its changes return or throw", () => {
  const table = makeTable(1);
  assertEquals(table.atomically(() => table.allocate(1)), 1);
  const cause = new Error("no");
  assertStrictEquals(
    assertThrows(() =>
      table.atomically(() => {
        table.release(0);
        throw cause;
      }), Error),
    cause,
  );
  assertEquals([...table.liveSlots()], [0, 1]);
});

Deno.test("a batch that fails gives its positions back too", () => {
  const table = makeTable(2);
  assertThrows(() =>
    table.atomically(() => {
      table.allocate(10);
      table.allocate(20);
      table.release(0);
      assertEquals([table.next, table.nextPosition], [0, 21]);
      throw new Failure();
    }), Failure);
  assertEquals([table.next, table.nextPosition], [2, 2]);
});

/** A table and the slots that it tells as released, in order. */
function watched(count: number): { table: SlotTable; told: number[]; watcher: SlotWatcher } {
  const table = makeTable(count), told: number[] = [];
  const watcher = { released: (slot: number) => void told.push(slot) };
  table.watch(watcher);
  return { table, told, watcher };
}

Deno.test("watchers hear of a deletion at once, and of one in a batch after the batch", () => {
  const { table, told, watcher } = watched(6);
  table.release(2);
  assertEquals(told, [2]);
  table.atomically(() => {
    table.release(0);
    table.allocate(9);
    assertEquals(told, [2]);
    table.atomically(() => table.release(1));
    assertEquals(told, [2]);
    assertThrows(() =>
      table.atomically(() => {
        table.release(3);
        table.atomically(() => table.release(4));
        throw new Failure();
      }), Failure);
    table.release(5);
  });
  assertEquals(told, [2, 0, 1, 5], "not what was taken back");
  assertThrows(() =>
    table.atomically(() => {
      table.release(3);
      throw new Failure();
    }), Failure);
  assertEquals(told, [2, 0, 1, 5]);
  table.release(4);
  assertEquals(told, [2, 0, 1, 5, 4]);
  assert(watcher.released !== undefined, "held until here: the table holds it weakly");
});

// ---- against a model -------------------------------------------------------------------------------------

/**
 * The rules in the plainest words: a set of live slots, a stack of free ones, and every position given out.
 */
class Model {
  live: Set<number>;
  free: number[] = [];
  next: number;
  positions: number[];

  constructor(positions: readonly number[]) {
    this.live = new Set(positions.keys());
    this.next = positions.length;
    this.positions = [...positions];
  }

  allocate(position: number): number {
    const slot = this.free.pop() ?? this.next++;
    this.live.add(slot);
    this.positions.push(position);
    return slot;
  }

  release(slot: number): void {
    this.live.delete(slot);
    this.free.push(slot);
  }

  atomically(changes: () => void): void {
    const { live, free, next, positions } = this;
    this.live = new Set(live);
    this.free = [...free];
    this.positions = [...positions];
    try {
      changes();
    } catch (error) {
      Object.assign(this, { live, free, next, positions });
      throw error;
    }
  }
}

interface Batch {
  readonly steps: readonly Step[];
  readonly fails: boolean;
}

/** `allocate` is a position, or undefined for the next one. */
type Step = { readonly allocate: number | undefined } | { readonly release: number } | Batch;

const position = fc.double({ min: -10, max: 30, noNaN: true });

function steps(batches: fc.Arbitrary<Step>[]): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.oneof(
      fc.record({ allocate: fc.option(position, { nil: undefined }) }),
      fc.record({ release: fc.nat({ max: 40 }) }),
      ...batches,
    ),
    { maxLength: 30 },
  );
}

function batch(inner: fc.Arbitrary<Step>[]): fc.Arbitrary<Step> {
  return fc.record({ steps: steps(inner), fails: fc.boolean() });
}

class Failure extends Error {}

function compare(table: SlotTable, model: Model): void {
  const live = [...model.live].sort((a, b) => a - b);
  assertEquals([...table.liveSlots()], live);
  assertEquals([table.count, table.size], [live.length, model.next]);
  assertEquals(table.next, model.free.at(-1) ?? model.next);
  assertEquals(table.nextPosition, Math.max(0, ...model.positions.map((position) => position + 1)));
  for (let slot = 0; slot < model.next + 2; slot++) assertEquals(table.isLive(slot), model.live.has(slot));
}

function perform(table: SlotTable, model: Model, steps: readonly Step[]): void {
  for (const step of steps) {
    if ("allocate" in step) {
      const { allocate: position = table.nextPosition } = step;
      assertEquals(table.allocate(position), model.allocate(position));
    } else if ("release" in step) {
      const live = [...model.live];
      if (live.length === 0) continue;
      const slot = live[step.release % live.length];
      table.release(slot);
      model.release(slot);
    } else {
      try {
        model.atomically(() =>
          table.atomically(() => {
            perform(table, model, step.steps);
            if (step.fails) throw new Failure();
          })
        );
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
      }
    }
    compare(table, model);
  }
}

/** Gives out more than ever was free, so that a free list out of order shows. */
function drain(table: SlotTable, model: Model): void {
  for (let i = 0; i < 10; i++) assertEquals(table.allocate(i), model.allocate(i));
  compare(table, model);
}

Deno.test("any mix of allocate, release and batches that fail follows the model", () => {
  fc.assert(fc.property(fc.array(position, { maxLength: 20 }), steps([batch([])]), (positions, steps) => {
    const table = new SlotTable(Float64Array.from(positions)), model = new Model(positions);
    perform(table, model, steps);
    drain(table, model);
  }));
});

Deno.test("a batch within a batch is taken back with it", () => {
  fc.assert(
    fc.property(
      fc.array(position, { maxLength: 5 }),
      steps([batch([batch([batch([])])])]),
      (positions, steps) => {
        const table = new SlotTable(Float64Array.from(positions)), model = new Model(positions);
        perform(table, model, steps);
        drain(table, model);
      },
    ),
  );
});

Deno.test("the identity of a row differs from those of earlier rows of its slot, also after a batch that failed", () => {
  const table = new SlotTable(new Float64Array(2));
  assertEquals([table.identityOf(0), table.identityOf(1), table.newestIdentity], [0, 0, 0]);
  table.release(1);
  assertEquals(table.allocate(0), 1);
  const first = table.identityOf(1);
  assert(first > 0 && first === table.newestIdentity);
  assertThrows(
    () =>
      table.atomically(() => {
        table.release(1);
        assertEquals(table.allocate(0), 1);
        assert(table.identityOf(1) > first);
        table.allocate(0);
        throw new Error("no");
      }),
    Error,
  );
  assertEquals([table.identityOf(0), table.identityOf(1)], [0, first]);
  table.release(1);
  table.allocate(0);
  assert(table.identityOf(1) > first, "no identity is given out twice");
});
