// The edit log: what is one entry, what leaves it, and what moves between logs.

import { EditLog } from "../../src/write/edit_log.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { entriesOf, makeLog, MapSource, rowsOf, WIDTH } from "../../testing/edit_log_base.ts";

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
  assertEquals(entriesOf(log.view()), new Map([[0, [19, -1, 0.5]], [2, [7, 8, -1]]]));
  assert(log.has(0) && !log.has(1));
});

Deno.test("a part that is written leaves the rest of the row, and its position, as they were", () => {
  const { log } = makeLog();
  log.write(1, Float32Array.of(9), 1);
  assertEquals(entriesOf(log.view()), new Map([[1, [3, 9, 7]]]));
  log.insert(4, Float32Array.of(1, 1), 2.25);
  log.write(4, Float32Array.of(9), 0);
  log.put(4, Float32Array.of(9, 8));
  assertEquals(entriesOf(log.view()).get(4), [9, 8, 2.25]);
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
      log.insert(3, Float32Array.of(9, 9), 3);
      log.write(3, Float32Array.of(8), 0);
      log.delete(3);
    }],
    ["a delete and an insert of the same row at the same position", (log) => {
      log.delete(2);
      log.insert(2, Float32Array.of(5, 6), -1);
    }],
    ["another row in the same place, set to the old one", (log) => {
      log.delete(2);
      log.insert(2, Float32Array.of(5, 7), -1);
      log.write(2, Float32Array.of(6), 1);
    }],
  ];
  for (const [name, edits] of undone) {
    await t.step(name, () => {
      const { base, log } = makeLog();
      edits(log);
      assertEquals(log.size, 0);
      assertEquals(rowsOf(log, 5), base.rows);
      log.insert(4, Float32Array.of(1, 1), 8);
      edits(log);
      assertEquals(entriesOf(log.view()), new Map([[4, [1, 1, 8]]]));
    });
  }
});

Deno.test("a delete with another row in its place is one entry", () => {
  const { log } = makeLog();
  log.delete(2);
  assertEquals(entriesOf(log.view()), new Map([[2, null]]));
  assert(!log.isLive(2));
  log.insert(2, Float32Array.of(5, 7), -1);
  assertEquals(entriesOf(log.view()), new Map([[2, [5, 7, -1]]]));
  assert(log.isLive(2));
});

Deno.test("the same row at another position is another row", () => {
  const { log } = makeLog();
  log.delete(2);
  log.insert(2, Float32Array.of(5, 6), -1.5);
  assertEquals(entriesOf(log.view()), new Map([[2, [5, 6, -1.5]]]));
  assertEquals(log.position(2), -1.5);
  log.put(2, Float32Array.of(5, 6));
  assertEquals(log.size, 1);
});

Deno.test("where inserts are kept, an inserted row stays though the base has the same", async (t) => {
  const same = Float32Array.of(5, 6), other = Float32Array.of(5, 7);
  const kept: readonly (readonly [name: string, edits: (log: EditLog) => void])[] = [
    ["inserted", (log) => {
      log.delete(2);
      log.insert(2, same, -1);
    }],
    ["inserted, edited and set back", (log) => {
      log.delete(2);
      log.insert(2, other, -1);
      log.put(2, same);
    }],
    ["inserted, edited and set back number by number", (log) => {
      log.delete(2);
      log.insert(2, same, -1);
      log.write(2, other, 0);
      log.write(2, Float32Array.of(6), 1);
    }],
    ["inserted twice", (log) => {
      log.delete(2);
      log.insert(2, other, 3);
      log.delete(2);
      log.insert(2, same, -1);
    }],
    ["inserted after an edit that is undone", (log) => {
      log.put(0, other);
      log.delete(2);
      log.insert(2, same, -1);
      log.put(0, Float32Array.of(1, 2));
      log.put(2, other);
      log.put(2, same);
    }],
    ["inserted above, and absorbed", (log) => {
      const upper = new EditLog(WIDTH, log, true);
      upper.delete(2);
      upper.insert(2, same, -1);
      log.absorb(upper);
      log.put(2, other);
      log.put(2, same);
    }],
    ["inserted below, edited above, absorbed and set back", (log) => {
      log.delete(2);
      log.insert(2, same, -1);
      const upper = new EditLog(WIDTH, log, true);
      upper.put(2, other);
      log.absorb(upper);
      log.put(2, same);
    }],
  ];
  for (const [name, edits] of kept) {
    await t.step(name, () => {
      const { log } = makeLog(true);
      edits(log);
      assertEquals(entriesOf(log.view()), new Map([[2, [5, 6, -1]]]));
      const taken = log.take([2]);
      assertEquals([log.size, taken.size], [0, 1]);
      taken.put(2, other);
      taken.put(2, same);
      assertEquals(entriesOf(taken.view()), new Map([[2, [5, 6, -1]]]), "as taken");
      log.put(2, other);
      log.put(2, same);
      assertEquals(log.size, 0, "an edit of a row that was inserted below is no insert");
      taken.delete(2);
      assertEquals(entriesOf(taken.view()), new Map([[2, null]]));
    });
  }
});

Deno.test("where inserts are kept, what is only edited and set back leaves the log all the same", () => {
  const { log } = makeLog(true);
  log.insert(3, Float32Array.of(1, 1), 3);
  log.delete(3);
  // The entry lies where the inserted one did, here and below.
  log.put(2, Float32Array.of(5, 7));
  log.put(2, Float32Array.of(5, 6));
  log.insert(3, Float32Array.of(1, 1), 3);
  log.put(2, Float32Array.of(5, 7));
  log.delete(3);
  log.put(2, Float32Array.of(5, 6));
  log.write(0, Float32Array.of(9), 0);
  log.write(0, Float32Array.of(1), 0);
  assertEquals(log.size, 0);
  const upper = new EditLog(WIDTH, log, true);
  upper.put(2, Float32Array.of(5, 7));
  log.absorb(upper);
  log.put(2, Float32Array.of(5, 6));
  assertEquals(log.size, 0);
});

Deno.test("a slot's row is replaced when it was deleted or inserted, not when it was edited", () => {
  for (const keepsInserts of [false, true]) {
    const { log } = makeLog(keepsInserts);
    const replaced = () => [0, 1, 2, 3].map((slot) => log.replaces(slot));
    assertEquals(replaced(), [false, false, false, false]);
    log.put(0, Float32Array.of(9, 9));
    log.write(1, Float32Array.of(9), 0);
    assertEquals(replaced(), [false, false, false, false]);
    log.delete(1);
    log.delete(2);
    log.insert(2, Float32Array.of(9, 9), 4);
    log.insert(3, Float32Array.of(9, 9), 5);
    assertEquals(replaced(), [false, true, true, true]);
    log.put(3, Float32Array.of(8, 8));
    assertEquals(replaced(), [false, true, true, true]);
    log.delete(3);
    const upper = new EditLog(WIDTH, log, keepsInserts);
    upper.delete(0);
    upper.put(2, Float32Array.of(7, 7));
    assertEquals([upper.replaces(0), upper.replaces(1), upper.replaces(2)], [true, false, false]);
    log.absorb(upper);
    assertEquals(replaced(), [true, true, true, false]);
  }
});

Deno.test("the log copies what it is given", () => {
  const { log } = makeLog();
  const row = Float32Array.of(9, 9), inserted = Float32Array.of(8, 8);
  log.put(0, row);
  log.insert(3, inserted, 3);
  row[0] = inserted[0] = 1;
  assertEquals(entriesOf(log.view()), new Map([[0, [9, 9, 0.5]], [3, [8, 8, 3]]]));
});

Deno.test("what is counted elsewhere is left out, also when that changes", () => {
  const { base } = makeLog();
  const elsewhere = new Set([1]);
  const log = new EditLog(WIDTH, base, false, elsewhere);
  const counts = () => [log.size, log.uncounted];
  log.put(0, Float32Array.of(9, 9));
  log.put(1, Float32Array.of(9, 9));
  assertEquals(counts(), [2, 1]);
  elsewhere.add(0);
  elsewhere.delete(1);
  log.recount();
  log.insert(3, Float32Array.of(8, 8), 3);
  assertEquals(counts(), [3, 2]);
  log.delete(3);
  assertEquals(counts(), [2, 1]);
});

Deno.test("the log grows to any number of entries and shrinks again", () => {
  const { log } = makeLog(true);
  const count = 1000;
  for (let slot = 10; slot < 10 + count; slot++) log.insert(slot, Float32Array.of(slot, -slot), slot / 4);
  log.delete(0);
  log.delete(1);
  log.insert(1, Float32Array.of(3, 4), 7);
  assertEquals(log.size, count + 2);
  const entries = entriesOf(log.view());
  for (let slot = 10; slot < 10 + count; slot++) assertEquals(entries.get(slot), [slot, -slot, slot / 4]);
  assertEquals(entries.get(0), null);
  for (let slot = 10; slot < 10 + count; slot += 2) log.delete(slot);
  assertEquals(log.size, count / 2 + 2);
  for (let slot = 11; slot < 10 + count; slot += 2) {
    assertEquals([log.element(slot, 1), log.position(slot)], [-slot, slot / 4]);
  }
  log.put(1, Float32Array.of(3, 4));
  assertEquals(log.has(1), true, "that it was inserted is forgotten");
});

Deno.test("absorb writes the entries of the log above, also those that undo", () => {
  const { log } = makeLog();
  log.put(0, Float32Array.of(9, 9));
  log.insert(3, Float32Array.of(9, 9), 3);
  log.delete(2);
  const upper = new EditLog(WIDTH, log, false);
  upper.put(0, Float32Array.of(1, 2));
  upper.delete(3);
  upper.delete(1);
  upper.insert(2, Float32Array.of(5, 6), -1);
  upper.insert(4, Float32Array.of(4, 4), 4.5);
  log.absorb(upper);
  assertEquals(entriesOf(log.view()), new Map([[1, null], [4, [4, 4, 4.5]]]));
});

Deno.test("absorb moves a row that was inserted above to its new position", () => {
  const { log } = makeLog();
  log.put(1, Float32Array.of(3, 5));
  const upper = new EditLog(WIDTH, log, false);
  for (const slot of [0, 1]) {
    upper.delete(slot);
    upper.insert(slot, Float32Array.of(1, 2), 11);
  }
  log.absorb(upper);
  assertEquals(entriesOf(log.view()), new Map([[0, [1, 2, 11]], [1, [1, 2, 11]]]));
});

Deno.test("take moves entries to a log in between, and nothing looks different from above", () => {
  const { base, log } = makeLog();
  log.put(0, Float32Array.of(9, 9));
  log.insert(3, Float32Array.of(8, 8), 30);
  log.delete(1);
  const before = rowsOf(log, 6);
  const taken = log.take([3, 1, 2, 5]);
  assertEquals(entriesOf(taken.view()), new Map([[3, [8, 8, 30]], [1, null]]));
  assertEquals(entriesOf(log.view()), new Map([[0, [9, 9, 0.5]]]));
  assertEquals(rowsOf(log, 6), before);
  assertEquals(rowsOf(taken, 6), new Map([[0, [1, 2, 0.5]], [2, [5, 6, -1]], [3, [8, 8, 30]]]));
  // Undone is from now on what the taken entries say, not what the base has.
  log.insert(1, Float32Array.of(3, 4), 7);
  assertEquals(log.has(1), true);
  log.delete(1);
  assertEquals(log.has(1), false);
  log.write(3, Float32Array.of(7), 0);
  assertEquals(log.has(3), true);
  log.write(3, Float32Array.of(8), 0);
  assertEquals(log.has(3), false);
  log.delete(3);
  log.insert(3, Float32Array.of(8, 8), 31);
  assertEquals(log.has(3), true);
  assertEquals(base.rows.get(1), [3, 4, 7]);
});

Deno.test("rebase puts the log on what the base has become", () => {
  const { base, log } = makeLog();
  log.insert(3, Float32Array.of(8, 8), 3);
  const taken = log.take([3]);
  log.put(0, Float32Array.of(9, 9));
  const before = rowsOf(log, 6);
  const applied = new MapSource([...base.rows, [3, [8, 8, 3]]]);
  log.rebase(applied);
  assertEquals(rowsOf(log, 6), before);
  taken.put(3, Float32Array.of(0, 0));
  assertEquals(log.element(3, 0), 8, "the log still reads what was applied");
  log.put(0, Float32Array.of(1, 2));
  assertEquals(log.size, 0);
});
