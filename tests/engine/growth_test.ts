// No step of an edit or of a read of few rows grows with the number of standing queries, and neither does the
// memory of certificates. Counts, not clocks; `deno task bench:growth` measures times.

import { DynamicAttention } from "../../mod.ts";
import type { Backend, RowSource } from "../../src/backends/backend.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { StateEpochs } from "../../src/schedule/state_epochs.ts";
import { assert, assertEquals, assertLess } from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { Wrapped } from "../../testing/fake_backends.ts";
import { Random } from "../../testing/random.ts";

const DIM = 4, KEYS = 40;

/** Counts how often anything about a stored query is looked at. */
class Counting extends Wrapped {
  looks = 0;
  override get queries(): RowSource {
    const { queries } = this.inner;
    return {
      isLive: (slot) => (this.looks++, queries.isLive(slot)),
      element: (slot, column) => (this.looks++, queries.element(slot, column)),
      position: (slot) => (this.looks++, queries.position(slot)),
      copyRow: (slot, target, offset) => (this.looks++, queries.copyRow(slot, target, offset)),
      equalsRow: (slot, rows, offset) => (this.looks++, queries.equalsRow(slot, rows, offset)),
    };
  }
}

/** How often queries are looked at in a stream of edits and reads, queries that come and go among them. */
async function looksOf(queryCount: number): Promise<number> {
  const random = new Random(3);
  let counting!: Counting;
  await using live = await createEngine({
    query: random.rows(queryCount, DIM),
    key: random.rows(KEYS, DIM),
    value: random.rows(KEYS, DIM),
    backend: "array",
    lazyThreshold: Infinity,
  }, { wrap: (inner: Backend) => counting = new Counting(inner) });
  counting.looks = 0;
  for (let step = 0; step < 400; step++) {
    live.setKey(step % KEYS, random.row(DIM));
    await live.read([step % 10]);
    if (step % 3 === 0) await live.peek([(step + 5) % 10]);
    if (step % 5 > 0) continue;
    const slot = live.insertQuery(random.row(DIM));
    await live.read([slot, 2]);
    live.deleteQuery(slot);
  }
  return counting.looks;
}

Deno.test("growth: edits and reads of few rows look at no more queries where there are more", async () => {
  const [few, many] = [await looksOf(20), await looksOf(3000)];
  assertEquals(many, few);
});

for (const backend of BACKENDS) {
  Deno.test(`growth: certificates on ${backend} hold memory for the rows that were asked about, and say so`, async () => {
    const random = new Random(4), pending = 300;
    const bytesFor = async (queryCount: number, rows?: readonly number[]) => {
      await using live = await DynamicAttention.create({
        query: random.rows(queryCount, DIM),
        key: random.rows(pending, DIM),
        value: random.rows(pending, DIM),
        backend,
        lazyThreshold: Infinity,
        onThreshold: "patch",
      });
      for (let slot = 0; slot < pending; slot++) live.setKey(slot, random.row(DIM));
      await live.peek(rows, { bounds: false });
      const before = live.stats().bytes;
      await live.peek(rows);
      return live.stats().bytes - before;
    };
    const one = await bytesFor(16, [0]);
    assert(one > 0, "what certificates hold is not counted");
    assertEquals(await bytesFor(512, [0]), one);
    assertLess(one, 2000 * pending);
    assertLess(await bytesFor(64), 5 * one + 1);
  });
}

Deno.test("growth: the oldest epochs are found and moved in any order", () => {
  const random = new Random(5), epochs = new StateEpochs(), model = new Map<number, number>();
  let epoch = 0;
  for (let step = 0; step < 5000; step++) {
    const rows = Uint32Array.from({ length: random.below(4) }, () => random.below(12));
    if (random.below(3) === 0) epoch++;
    const to = random.below(4) === 0 ? -1 : epoch;
    epochs.move(rows, to);
    for (const row of rows) {
      if (to === -1) model.delete(row);
      else model.set(row, to);
    }
    const oldest = Math.min(...model.values()), newest = Math.max(...model.values());
    assertEquals(epochs.oldest?.epoch ?? Infinity, oldest);
    assertEquals(epochs.newest?.epoch ?? -Infinity, newest);
    const expected = [...model].filter(([, of]) => of === oldest).map(([row]) => row).sort((a, b) => a - b);
    assertEquals([...epochs.oldestSlots()], expected);
    assertEquals([...epochs.epochs()], [...new Set(model.values())].sort((a, b) => a - b));
    for (let row = 0; row < 12; row++) assertEquals(epochs.epochOf(row), model.get(row) ?? -1);
  }
});
