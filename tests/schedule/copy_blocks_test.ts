// A look at blocks finds the copies that a look at each row finds, in lists of any order.

import { boundOf, CopyBlocks } from "../../src/schedule/copy_blocks.ts";
import { assertEquals, assertGreater } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const SLOTS = 70, NOW = 9;

Deno.test("a look at the blocks of copies finds those that a look at each of them finds", () => {
  const random = new Random(4);
  let stale = 0, kept = 0;
  for (let trial = 0; trial < 300; trial++) {
    const heads = 1 + random.below(3), length = random.below(40), rows = SLOTS * heads;
    const numbers = (count: number, of: () => number) => Float64Array.from({ length: count }, of);
    const slots = Uint32Array.from({ length }, () => random.below(SLOTS));
    if (random.below(2) === 0) slots.sort();
    const drifts = Array.from({ length: heads }, () => numbers(Math.ceil(SLOTS / 8), () => random.below(4)));
    const copies = {
      // Drift only grows.
      readings: Float64Array.from({ length: rows }, (_, row) => {
        const drift = drifts[row % heads][Math.floor(row / heads / 8)];
        return random.below(20) === 0 ? NaN : drift - random.below(3);
      }),
      roundings: numbers(rows, () => random.below(3) / 8),
    };
    const epochs = numbers(SLOTS, () => random.below(12) === 0 ? NOW : random.below(4));
    const limit = { drifts, error: random.below(5), floor: random.below(2), now: NOW };
    const expected = () =>
      Array.from(slots, (_, at) => at).filter((at) => {
        const slot = slots[at], epoch = epochs[slot];
        return epoch !== NOW &&
          !(epoch >= limit.floor && boundOf(slot, heads, copies, drifts) <= limit.error);
      });
    const blocks = new CopyBlocks(heads);
    blocks.take(slots, copies, epochs);
    const found = expected();
    assertEquals([...blocks.stale(copies, epochs, limit)], found);
    stale += found.length;
    kept += length - found.length;
    // Some of them are made anew, and drift goes on.
    for (const at of found) {
      epochs[slots[at]] = NOW;
      for (let head = 0; head < heads; head++) {
        const row = slots[at] * heads + head;
        copies.readings[row] = drifts[head][Math.floor(slots[at] / 8)];
        copies.roundings[row] = 0;
      }
    }
    blocks.renew(copies, epochs);
    for (const drift of drifts) for (let b = 0; b < drift.length; b++) drift[b] += random.below(2);
    epochs.forEach((epoch, slot) => epochs[slot] = epoch === NOW ? NOW - 1 : epoch);
    blocks.lose();
    blocks.take(slots, copies, epochs);
    assertEquals([...blocks.stale(copies, epochs, limit)], expected());
  }
  assertGreater(stale, 500);
  assertGreater(kept, 500);
});
