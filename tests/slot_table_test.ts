import fc from "fast-check";
import { assertEquals, assertStrictEquals, assertThrows } from "./assert.ts";
import { SlotTable } from "../src/lazy/slot_table.ts";

Deno.test("slots are 0, 1, 2, … at first and go on from there", () => {
  const table = new SlotTable(3);
  assertEquals([table.count, table.size], [3, 3]);
  assertEquals([...table.liveSlots()], [0, 1, 2]);
  assertEquals([table.allocate(), table.allocate()], [3, 4]);
  assertEquals([table.count, table.size], [5, 5]);
});

Deno.test("a free slot is given out before a new one, the one freed last first", () => {
  const table = new SlotTable(4);
  table.release(2);
  table.release(0);
  table.release(3);
  assertEquals([...table.liveSlots()], [1]);
  assertEquals([table.count, table.size], [1, 4]);
  assertEquals([table.allocate(), table.allocate(), table.allocate(), table.allocate()], [3, 0, 2, 4]);
});

Deno.test("only a number that was given out and not freed is live", () => {
  const table = new SlotTable(2);
  table.release(1);
  table.allocate();
  table.allocate();
  table.release(0);
  assertEquals([0, 1, 2, 3].map((slot) => table.isLive(slot)), [false, true, true, false]);
  for (const slot of [-1, 0.5, NaN, Infinity, 2 ** 32, 2 ** 32 + 1]) assertEquals(table.isLive(slot), false);
  for (const other of ["1", null, undefined, true, [1], 1n]) {
    assertEquals(table.isLive(other as unknown as number), false, String(other));
  }
});

Deno.test("liveSlots belongs to the caller", () => {
  const table = new SlotTable(2);
  const slots = table.liveSlots();
  slots[0] = 9;
  table.release(1);
  assertEquals([...slots], [9, 1]);
  assertEquals([...table.liveSlots()], [0]);
});

Deno.test("atomically hands on what its changes return or throw", () => {
  const table = new SlotTable(1);
  assertEquals(table.atomically(() => table.allocate()), 1);
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

// ---- against a model -------------------------------------------------------------------------------------

/** The rules in the plainest words: a set of live slots and a stack of free ones. */
class Model {
  live: Set<number>;
  free: number[] = [];
  next: number;

  constructor(count: number) {
    this.live = new Set(Array(count).keys());
    this.next = count;
  }

  allocate(): number {
    const slot = this.free.pop() ?? this.next++;
    this.live.add(slot);
    return slot;
  }

  release(slot: number): void {
    this.live.delete(slot);
    this.free.push(slot);
  }

  atomically(changes: () => void): void {
    const { live, free, next } = this;
    this.live = new Set(live);
    this.free = [...free];
    try {
      changes();
    } catch (error) {
      Object.assign(this, { live, free, next });
      throw error;
    }
  }
}

interface Batch {
  readonly steps: readonly Step[];
  readonly fails: boolean;
}

type Step = "allocate" | { readonly release: number } | Batch;

function steps(batches: fc.Arbitrary<Step>[]): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.oneof(fc.constant<Step>("allocate"), fc.record({ release: fc.nat({ max: 40 }) }), ...batches),
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
  for (let slot = 0; slot < model.next + 2; slot++) assertEquals(table.isLive(slot), model.live.has(slot));
}

function perform(table: SlotTable, model: Model, steps: readonly Step[]): void {
  for (const step of steps) {
    if (step === "allocate") assertEquals(table.allocate(), model.allocate());
    else if ("release" in step) {
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
  for (let i = 0; i < 10; i++) assertEquals(table.allocate(), model.allocate());
  compare(table, model);
}

Deno.test("any mix of allocate, release and batches that fail follows the model", () => {
  fc.assert(fc.property(fc.nat({ max: 20 }), steps([batch([])]), (count, steps) => {
    const table = new SlotTable(count), model = new Model(count);
    perform(table, model, steps);
    drain(table, model);
  }));
});

Deno.test("a batch within a batch is taken back with it", () => {
  fc.assert(fc.property(fc.nat({ max: 5 }), steps([batch([batch([batch([])])])]), (count, steps) => {
    const table = new SlotTable(count), model = new Model(count);
    perform(table, model, steps);
    drain(table, model);
  }));
});
