// Catching up by epochs: a key that changed is handled once for each of them, however few states are of it, and the
// prices of looks know that.

import type { DynamicAttention } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { ExactAccounts } from "../../src/schedule/exact_accounts.ts";
import { assertEquals, assertGreater, assertLess } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

Deno.test("accounts tell how much the query slot has missed that was asked for longest ago", () => {
  const accounts = new ExactAccounts((missed) => missed), keys = Uint32Array.of(0, 1, 2);
  accounts.noteStored(keys);
  accounts.ask(Uint32Array.of(0, 1), true);
  assertEquals(accounts.mostMissed, 3);
  accounts.noteStored(keys);
  accounts.ask(Uint32Array.of(0), false);
  accounts.noteStored(keys);
  accounts.ask(Uint32Array.of(0, 1), true);
  assertEquals(accounts.mostMissed, 6);
  accounts.ask(Uint32Array.of(1), false);
  assertEquals(accounts.mostMissed, 0);
});

/** Of 500 looks, those by copies while twenty values of 128 keys take small steps before each. */
async function looksByCopies(error: number): Promise<number> {
  const random = new Random(5), dim = 8;
  let inner!: Backend;
  await using live: DynamicAttention = await createEngine({
    query: random.rows(64, dim),
    key: random.rows(512, dim),
    value: random.rows(512, dim),
    backend: "wasm",
    threads: 1,
    lazyThreshold: { error },
  }, { wrap: (made) => inner = made });
  let byCopies = 0;
  for (let look = 0; look < 500; look++) {
    for (let edit = 0; edit < 20; edit++) {
      const slot = random.below(128);
      live.setValue(slot, live.getValue(slot).map((number) => number + 0.003 * random.normal()));
    }
    await live.peek();
    if (inner.watched?.isWhole) byCopies++;
  }
  return byCopies;
}

// At a tight error blocks of rows leave it one by one, each with a hundred changed keys to catch up with: copies
// would save work there, and take 1.5 times as long as exact reads.
Deno.test("following is given up where rows catch up with many keys a few at a time, and only there", async () => {
  const tight = await looksByCopies(0.01), wide = await looksByCopies(0.05);
  assertLess(tight, 200);
  assertGreater(wide, 300);
});
