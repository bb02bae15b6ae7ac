// A failure rejects one answer: the one that it belongs to, or the next one if no answer was awaited. However
// long after the edit that is, no later answer rejects with a failure of old.

import { createEngine } from "../../src/engine/create_engine.ts";
import { AttentionError, type DynamicAttention } from "../../mod.ts";
import { assertEquals } from "../../testing/assert.ts";
import { FailingBackend } from "../../testing/fake_backends.ts";

const OPTIONS = { query: [[1]], key: [[1], [2]], value: [[1], [2]], lazyThreshold: 1 } as const;

/** The results of four reads, one after the other. */
async function readFourTimes(live: DynamicAttention, repair: () => void): Promise<string[]> {
  const told: string[] = [];
  for (let read = 0; read < 4; read++) {
    const answer = live.read();
    if (read === 0) repair();
    told.push(
      await answer.then(() => "an answer", (error) => {
        if (!(error instanceof AttentionError)) throw error;
        return "a failure";
      }),
    );
  }
  return told;
}

const ONCE = ["a failure", "an answer", "an answer", "an answer"];

for (let ticks = 0; ticks < 16; ticks++) {
  Deno.test(`failure: one of a mask rejects one answer, ${ticks} ticks after the edit`, async () => {
    let isBad = false;
    await using live = await createEngine({ ...OPTIONS, mask: () => isBad ? NaN : 0 });
    isBad = true;
    live.insert([3], [3]);
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    // A read that is queued may still ask the mask after this, when its answer is good.
    const told = await readFourTimes(live, () => isBad = false);
    assertEquals(told.slice(1), ONCE.slice(1));
    if (ticks >= 8) assertEquals(told, ONCE);
  });
}

for (let turns = 0; turns < 5; turns++) {
  Deno.test(`failure: one of a backend rejects one answer, ${turns} turns after the edit`, async () => {
    const backends: FailingBackend[] = [];
    await using live = await createEngine(OPTIONS, {
      wrap: (inner) => {
        const backend = new FailingBackend(inner);
        backends.push(backend);
        return backend;
      },
    });
    let failures = 0;
    backends[0].fails = () => failures++ === 0;
    live.insert([3], [3]);
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals(await readFourTimes(live, () => {}), ONCE);
  });
}
