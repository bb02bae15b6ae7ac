// A log that is done with and used again is as good as a new one.

import { assertEquals } from "../../testing/assert.ts";
import { RowStore } from "../../src/backends/host/row_store.ts";
import { EditLog } from "../../src/write/edit_log.ts";
import { Random } from "../../testing/random.ts";

const WIDTH = 3;

function storeOf(random: Random, size: number): RowStore {
  const store = new RowStore(WIDTH);
  store.reserve(size);
  for (let slot = 0; slot < size; slot++) {
    store.mark(slot, slot % 3 === 0 ? 0 : 1, slot / 2);
    store.rows.set(random.row(WIDTH), slot * WIDTH);
  }
  return store;
}

/** The same edits whenever it is called with the same seed. */
function edit(log: EditLog, seed: number, size: number, count: number): void {
  const random = new Random(seed);
  for (let i = 0; i < count; i++) {
    const slot = random.below(size);
    if (!log.isLive(slot)) log.insert(slot, random.row(WIDTH), i);
    else if (random.below(4) === 0) log.delete(slot);
    else log.write(slot, random.row(1), random.below(WIDTH));
  }
}

function seen(log: EditLog, size: number): unknown {
  const slots = Array.from({ length: size }, (_, slot) => slot);
  const { slots: changed, live, rows, positions } = log.view();
  return {
    counts: [log.size, log.uncounted],
    entries: [[...changed], [...live], [...rows], [...positions]],
    live: slots.map((slot) => [log.isLive(slot), log.has(slot), log.replaces(slot)]),
    rows: slots.filter((slot) => log.isLive(slot)).map((slot) => {
      const row = new Float32Array(WIDTH);
      log.copyRow(slot, row, 0);
      return [...row, log.position(slot)];
    }),
  };
}

for (const keepsInserts of [false, true]) {
  for (const before of [0, 3, 2000]) {
    Deno.test(`a log is as new after ${before} edits, ${keepsInserts ? "inserts kept" : "none kept"}`, () => {
      const size = 700, random = new Random(before);
      const counted = new Set([1, 2, 3, 5, 8]);
      const base = storeOf(random, size);
      const fresh = new EditLog(WIDTH, base, keepsInserts, counted);
      const used = new EditLog(WIDTH, storeOf(random, size), keepsInserts, counted);
      edit(used, 1, size, before);
      used.clear();
      used.rebase(base);
      assertEquals(seen(used, size), seen(fresh, size));
      for (const log of [used, fresh]) edit(log, 2, size, 500);
      assertEquals(seen(used, size), seen(fresh, size));
      assertEquals(used.size > 100, true);
    });
  }
}
