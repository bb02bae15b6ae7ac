// Edit logs on top of each other, under any sequence of steps, against layers that remember every row.

import fc from "fast-check";
import { EditLog, type Entries } from "../../src/write/edit_log.ts";
import { assertEquals } from "../../testing/assert.ts";
import { entriesOf, MapSource, rowsOf, WIDTH } from "../../testing/edit_log_base.ts";

const SLOTS = 6;

type Step =
  | {
    readonly kind: "put";
    readonly slot: number;
    readonly row: readonly number[];
    readonly position: number;
  }
  | { readonly kind: "write"; readonly slot: number; readonly column: number; readonly number: number }
  | { readonly kind: "delete"; readonly slot: number }
  | { readonly kind: "take"; readonly slots: readonly number[] }
  | { readonly kind: "seal" }
  | { readonly kind: "apply" }
  | { readonly kind: "merge" };

// Few slots and few numbers, so that edits meet and undo each other.
const slot = fc.nat({ max: SLOTS - 1 });
const number = fc.nat({ max: 2 });
const position = fc.nat({ max: 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("put"), slot, row: fc.tuple(number, number), position }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("write"), slot, column: fc.nat({ max: WIDTH - 1 }), number }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("delete"), slot }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("take"), slots: fc.uniqueArray(slot) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("seal") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("apply") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("merge") }) },
);

/** The rows after applying the entries of a log. */
function applied(rows: ReadonlyMap<number, number[]>, changes: Entries): Map<number, number[]> {
  const result = new Map(rows);
  for (const [slot, row] of entriesOf(changes)) {
    if (row) result.set(slot, row);
    else result.delete(slot);
  }
  return result;
}

/** Whether a slot is not the same in two states. */
function differs(
  a: ReadonlyMap<number, number[]>,
  b: ReadonlyMap<number, number[]>,
  slot: number,
): boolean {
  return a.get(slot)?.join() !== b.get(slot)?.join();
}

function sorted(rows: ReadonlyMap<number, number[]>): [number, number[]][] {
  return [...rows].sort(([a], [b]) => a - b);
}

/** A log, and the slots whose rows were inserted in it: what it keeps though it changes nothing. */
interface ModelLayer {
  readonly log: EditLog;
  readonly inserted: Set<number>;
}

function absorbLayer(lower: ModelLayer, upper: ModelLayer): void {
  for (const [slot, row] of entriesOf(upper.log.view())) {
    if (!row) lower.inserted.delete(slot);
    else if (upper.inserted.has(slot)) lower.inserted.add(slot);
  }
  lower.log.absorb(upper.log);
}

for (const keepsInserts of [false, true]) {
  const what = keepsInserts ? "what differs or was inserted" : "only what differs";
  Deno.test(`layers of logs hold the newest rows, and ${what}, whatever happens to them`, () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const base = new MapSource([[0, [0, 0, 0]], [1, [0, 1, 1]], [2, [2, 2, 0]]]);
        const newest = new Map(base.rows);
        // From the lowest to the top; edits go to the last.
        let layers: ModelLayer[] = [{ log: new EditLog(WIDTH, base, keepsInserts), inserted: new Set() }];
        for (const step of steps) {
          const { log: top, inserted } = layers[layers.length - 1];
          switch (step.kind) {
            case "put": {
              const row = newest.get(step.slot);
              if (row) top.put(step.slot, Float32Array.from(step.row));
              else {
                top.insert(step.slot, Float32Array.from(step.row), step.position);
                if (keepsInserts) inserted.add(step.slot);
              }
              newest.set(step.slot, [...step.row, row ? row[WIDTH] : step.position]);
              break;
            }
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
              inserted.delete(step.slot);
              break;
            case "take": {
              const taken = new Set(step.slots.filter((slot) => inserted.delete(slot)));
              layers.splice(-1, 0, { log: top.take(step.slots), inserted: taken });
              break;
            }
            case "seal":
              layers.push({ log: new EditLog(WIDTH, top, keepsInserts), inserted: new Set() });
              break;
            case "apply": {
              if (layers.length === 1) break;
              const [lowest, above] = layers;
              for (const [slot, row] of entriesOf(lowest.log.view())) {
                if (row) base.rows.set(slot, row);
                else base.rows.delete(slot);
              }
              above.log.rebase(base);
              layers = layers.slice(1);
              break;
            }
            case "merge":
              for (const upper of layers.slice(1)) absorbLayer(layers[0], upper);
              layers = [layers[0]];
              break;
          }
          assertEquals(sorted(rowsOf(layers[layers.length - 1].log, SLOTS)), sorted(newest));
          let below = new Map(base.rows);
          for (const { log, inserted } of layers) {
            const after = applied(below, log.view());
            assertEquals(
              [...log.view().slots].sort(),
              [...Array(SLOTS).keys()].filter((slot) => differs(below, after, slot) || inserted.has(slot)),
              "an entry that changes nothing, or none for a row that was inserted",
            );
            assertEquals(log.size, log.view().slots.length);
            below = after;
          }
          assertEquals(sorted(below), sorted(newest));
        }
      }),
      { numRuns: 300 },
    );
  });
}
