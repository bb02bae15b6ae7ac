import fc from "fast-check";
import { assert, assertEquals } from "./assert.ts";
import type { RowChanges, RowSource } from "../src/backends/backend.ts";
import { EditLog } from "../src/lazy/edit_log.ts";

const WIDTH = 2;

/** Rows in a map: what a log lies on, and what it should come to be. */
class MapSource implements RowSource {
  readonly rows: Map<number, number[]>;

  constructor(rows: Iterable<readonly [number, number[]]> = []) {
    this.rows = new Map(rows);
  }

  isLive(slot: number): boolean {
    return this.rows.has(slot);
  }

  element(slot: number, column: number): number {
    return this.#row(slot)[column];
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    target.set(this.#row(slot), offset);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    return this.#row(slot).every((number, c) => rows[offset + c] === number);
  }

  #row(slot: number): number[] {
    const row = this.rows.get(slot);
    assert(row, `slot ${slot} of the base was read while empty`);
    return row;
  }
}

/** Entries as slot → row, or null for an emptied slot. */
function entriesOf({ slots, live, rows }: RowChanges): Map<number, number[] | null> {
  assertEquals([live.length, rows.length], [slots.length, slots.length * WIDTH]);
  const entries = new Map<number, number[] | null>();
  slots.forEach((slot, at) => {
    assert(!entries.has(slot), `slot ${slot} is there twice`);
    entries.set(slot, live[at] === 1 ? [...rows.subarray(at * WIDTH, (at + 1) * WIDTH)] : null);
  });
  return entries;
}

/** Live rows of a source among slots 0 … limit − 1. */
function rowsOf(source: RowSource, limit: number): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let slot = 0; slot < limit; slot++) {
    if (!source.isLive(slot)) continue;
    const copy = new Float32Array(WIDTH + 2).fill(-7);
    source.copyRow(slot, copy, 1);
    const row = [...copy.subarray(1, WIDTH + 1)];
    assertEquals([copy[0], copy[WIDTH + 1]], [-7, -7], "copyRow wrote outside of the row");
    assertEquals(row, row.map((_, c) => source.element(slot, c)));
    assert(source.equalsRow(slot, copy, 1));
    copy[WIDTH] += 1;
    assert(!source.equalsRow(slot, copy, 1));
    found.set(slot, row);
  }
  return found;
}

function makeLog(): { base: MapSource; log: EditLog } {
  const base = new MapSource([[0, [1, 2]], [1, [3, 4]], [2, [5, 6]]]);
  return { base, log: new EditLog(WIDTH, base) };
}

Deno.test("an empty log shows its base", () => {
  const { base, log } = makeLog();
  assertEquals(log.size, 0);
  assertEquals(rowsOf(log, 5), base.rows);
  assertEquals(entriesOf(log.view()), new Map());
});

Deno.test("edits of one slot are one entry, the newest", () => {
  const { log } = makeLog();
  for (let i = 0; i < 10; i++) log.write(0, Float32Array.of(i + 10), 0);
  log.write(0, Float32Array.of(-1), 1);
  log.put(2, Float32Array.of(7, 8));
  assertEquals(log.size, 2);
  assertEquals(entriesOf(log.view()), new Map([[0, [19, -1]], [2, [7, 8]]]));
  assert(log.has(0) && !log.has(1));
});

Deno.test("a part that is written leaves the rest of the row as it was", () => {
  const { log } = makeLog();
  log.write(1, Float32Array.of(9), 1);
  assertEquals(entriesOf(log.view()), new Map([[1, [3, 9]]]));
});

Deno.test("what is undone leaves the log", async (t) => {
  const undone: readonly (readonly [name: string, edits: (log: EditLog) => void])[] = [
    ["a number set back", (log) => {
      log.write(0, Float32Array.of(9), 0);
      log.write(0, Float32Array.of(1), 0);
    }],
    ["a row set back", (log) => {
      log.put(0, Float32Array.of(9, 9));
      log.put(0, Float32Array.of(1, 2));
    }],
    ["a row set back number by number", (log) => {
      log.put(0, Float32Array.of(9, 9));
      log.write(0, Float32Array.of(2), 1);
      log.write(0, Float32Array.of(1), 0);
    }],
    ["a row set to what it was", (log) => log.put(1, Float32Array.of(3, 4))],
    ["an insert and its delete", (log) => {
      log.put(3, Float32Array.of(9, 9));
      log.write(3, Float32Array.of(8), 0);
      log.delete(3);
    }],
    ["a delete and an insert of the same row", (log) => {
      log.delete(2);
      log.put(2, Float32Array.of(5, 6));
    }],
  ];
  for (const [name, edits] of undone) {
    await t.step(name, () => {
      const { base, log } = makeLog();
      edits(log);
      assertEquals(log.size, 0);
      assertEquals(rowsOf(log, 5), base.rows);
      log.put(4, Float32Array.of(1, 1));
      edits(log);
      assertEquals(entriesOf(log.view()), new Map([[4, [1, 1]]]));
    });
  }
});

Deno.test("a delete with another row in its place is one entry", () => {
  const { log } = makeLog();
  log.delete(2);
  assertEquals(entriesOf(log.view()), new Map([[2, null]]));
  assert(!log.isLive(2));
  log.put(2, Float32Array.of(5, 7));
  assertEquals(entriesOf(log.view()), new Map([[2, [5, 7]]]));
  assert(log.isLive(2));
});

Deno.test("the log copies what it is given", () => {
  const { log } = makeLog();
  const row = Float32Array.of(9, 9);
  log.put(0, row);
  row[0] = 1;
  assertEquals(entriesOf(log.view()), new Map([[0, [9, 9]]]));
});

Deno.test("a snapshot stays while the log goes on; a view is of the log itself", () => {
  const { log } = makeLog();
  log.put(0, Float32Array.of(9, 9));
  log.delete(1);
  const snapshot = log.snapshot(), view = log.view();
  assertEquals(entriesOf(snapshot), entriesOf(view));
  log.put(0, Float32Array.of(8, 8));
  log.put(1, Float32Array.of(8, 8));
  assertEquals(entriesOf(snapshot), new Map([[0, [9, 9]], [1, null]]));
  assertEquals(entriesOf(view), new Map([[0, [8, 8]], [1, [8, 8]]]));
});

Deno.test("the log grows to any number of entries and shrinks again", () => {
  const { log } = makeLog();
  const count = 1000;
  for (let slot = 10; slot < 10 + count; slot++) log.put(slot, Float32Array.of(slot, -slot));
  log.delete(0);
  assertEquals(log.size, count + 1);
  const entries = entriesOf(log.view());
  for (let slot = 10; slot < 10 + count; slot++) assertEquals(entries.get(slot), [slot, -slot]);
  assertEquals(entries.get(0), null);
  for (let slot = 10; slot < 10 + count; slot += 2) log.delete(slot);
  assertEquals(log.size, count / 2 + 1);
  for (let slot = 11; slot < 10 + count; slot += 2) assertEquals(log.element(slot, 1), -slot);
});

Deno.test("absorb writes the entries of the log above, also those that undo", () => {
  const { log } = makeLog();
  log.put(0, Float32Array.of(9, 9));
  log.put(3, Float32Array.of(9, 9));
  const upper = new EditLog(WIDTH, log);
  upper.put(0, Float32Array.of(1, 2));
  upper.delete(3);
  upper.delete(1);
  upper.put(4, Float32Array.of(4, 4));
  log.absorb(upper);
  assertEquals(entriesOf(log.view()), new Map([[1, null], [4, [4, 4]]]));
});

Deno.test("take moves entries to a log in between, and nothing looks different from above", () => {
  const { base, log } = makeLog();
  log.put(0, Float32Array.of(9, 9));
  log.put(3, Float32Array.of(8, 8));
  log.delete(1);
  const before = rowsOf(log, 6);
  const taken = log.take([3, 1, 2, 5]);
  assertEquals(entriesOf(taken.view()), new Map([[3, [8, 8]], [1, null]]));
  assertEquals(entriesOf(log.view()), new Map([[0, [9, 9]]]));
  assertEquals(rowsOf(log, 6), before);
  assertEquals(rowsOf(taken, 6), new Map([[0, [1, 2]], [2, [5, 6]], [3, [8, 8]]]));
  // Undone is from now on what the taken entries say, not what the base has.
  log.put(1, Float32Array.of(3, 4));
  assertEquals(log.has(1), true);
  log.delete(1);
  assertEquals(log.has(1), false);
  log.write(3, Float32Array.of(7), 0);
  assertEquals(log.has(3), true);
  log.write(3, Float32Array.of(8), 0);
  assertEquals(log.has(3), false);
  assertEquals(base.rows.get(1), [3, 4]);
});

Deno.test("rebase puts the log on what the base has become", () => {
  const { base, log } = makeLog();
  log.put(3, Float32Array.of(8, 8));
  const taken = log.take([3]);
  log.put(0, Float32Array.of(9, 9));
  const before = rowsOf(log, 6);
  const applied = new MapSource([...base.rows, [3, [8, 8]]]);
  log.rebase(applied);
  assertEquals(rowsOf(log, 6), before);
  taken.put(3, Float32Array.of(0, 0));
  assertEquals(log.element(3, 0), 8, "the log still reads what was applied");
  log.put(0, Float32Array.of(1, 2));
  assertEquals(log.size, 0);
});

// ---- against a model -------------------------------------------------------------------------------------

const SLOTS = 6;

type Step =
  | { readonly kind: "put"; readonly slot: number; readonly row: readonly number[] }
  | { readonly kind: "write"; readonly slot: number; readonly column: number; readonly number: number }
  | { readonly kind: "delete"; readonly slot: number }
  | { readonly kind: "take"; readonly slots: readonly number[] }
  | { readonly kind: "seal" }
  | { readonly kind: "apply" }
  | { readonly kind: "merge" };

// Few slots and few numbers, so that edits meet and undo each other.
const slot = fc.nat({ max: SLOTS - 1 });
const number = fc.nat({ max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("put"), slot, row: fc.tuple(number, number) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("write"), slot, column: fc.nat({ max: WIDTH - 1 }), number }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete"), slot }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("take"), slots: fc.uniqueArray(slot) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("seal") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("apply") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("merge") }) },
);

/** What applying the entries of a log makes of rows. */
function applied(rows: ReadonlyMap<number, number[]>, changes: RowChanges): Map<number, number[]> {
  const result = new Map(rows);
  for (const [slot, row] of entriesOf(changes)) {
    if (row) result.set(slot, row);
    else result.delete(slot);
  }
  return result;
}

/** Slots in which two states differ. */
function difference(a: ReadonlyMap<number, number[]>, b: ReadonlyMap<number, number[]>): number[] {
  return [...Array(SLOTS).keys()].filter((slot) => a.get(slot)?.join() !== b.get(slot)?.join());
}

function sorted(rows: ReadonlyMap<number, number[]>): [number, number[]][] {
  return [...rows].sort(([a], [b]) => a - b);
}

Deno.test("layers of logs hold the newest rows, and only what differs, whatever happens to them", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const base = new MapSource([[0, [0, 0]], [1, [0, 1]], [2, [2, 2]]]);
    const newest = new Map(base.rows);
    // From the lowest to the top; edits go to the last.
    let layers = [new EditLog(WIDTH, base)];
    for (const step of steps) {
      const top = layers[layers.length - 1];
      switch (step.kind) {
        case "put":
          top.put(step.slot, Float32Array.from(step.row));
          newest.set(step.slot, [...step.row]);
          break;
        case "write": {
          const row = newest.get(step.slot);
          if (!row) break;
          top.write(step.slot, Float32Array.of(step.number), step.column);
          newest.set(step.slot, row.with(step.column, step.number));
          break;
        }
        case "delete":
          if (!newest.delete(step.slot)) break;
          top.delete(step.slot);
          break;
        case "take":
          layers.splice(-1, 0, top.take(step.slots));
          break;
        case "seal":
          layers.push(new EditLog(WIDTH, top));
          break;
        case "apply": {
          if (layers.length === 1) break;
          const [lowest, above] = layers;
          for (const [slot, row] of entriesOf(lowest.view())) {
            if (row) base.rows.set(slot, row);
            else base.rows.delete(slot);
          }
          above.rebase(base);
          layers = layers.slice(1);
          break;
        }
        case "merge":
          for (const upper of layers.slice(1)) layers[0].absorb(upper);
          layers = [layers[0]];
          break;
      }
      assertEquals(sorted(rowsOf(layers[layers.length - 1], SLOTS)), sorted(newest));
      let below = new Map(base.rows);
      for (const layer of layers) {
        const after = applied(below, layer.snapshot());
        assertEquals(
          [...layer.view().slots].sort(),
          difference(below, after),
          "an entry that changes nothing",
        );
        assertEquals(layer.size, layer.view().slots.length);
        below = after;
      }
      assertEquals(sorted(below), sorted(newest));
    }
  }));
});
