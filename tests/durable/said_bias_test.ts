// What a mask function has said is frozen for a snapshot: whatever is said while it is read part by part, it is what had been said
// at its moment.

import { SaidBias, Unsaid } from "../../src/durable/said_bias.ts";
import { assertEquals, assertThrows } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";

Deno.test("what is frozen stays as it was, whatever is said of old and new rows meanwhile", () => {
  for (let seed = 1; seed <= (IS_LONG ? 3000 : 200); seed++) {
    const random = new Random(seed), heads = 1 + random.below(3), said = new SaidBias(heads);
    const keyCount = random.below(7), queryCount = random.below(5);
    const live = (count: number) => Uint8Array.from({ length: count }, () => random.below(5) === 0 ? 0 : 1);
    const keyLive = live(keyCount), queryLive = live(queryCount), expected: number[] = [];
    for (let key = 0; key < keyCount; key++) {
      for (let query = 0; query < queryCount; query++) {
        for (let head = 0; head < heads; head++) {
          const bias = random.below(4) === 0 ? -Infinity : Math.fround(random.normal());
          const isLive = keyLive[key] === 1 && queryLive[query] === 1;
          if (isLive || random.below(2) === 0) said.set(query, key, head, bias);
          expected.push(isLive ? bias : -Infinity);
        }
      }
    }
    const frozen = said.freeze(keyLive, queryLive);
    assertEquals(frozen.length, expected.length);
    for (let step = 0; step < 12; step++) {
      const key = random.below(keyCount + 2), query = random.below(queryCount + 2);
      const kind = random.below(8);
      if (kind === 0) said.resetKey(key);
      else if (kind === 1) said.resetQuery(query);
      else if (kind === 2) said.reserve(key * 2, query * 2);
      else said.set(query, key, random.below(heads), 99);
      const from = random.below(expected.length + 1), end = from + random.below(expected.length + 2);
      assertEquals([...frozen.slice(from, end)], expected.slice(from, end), `seed ${seed}`);
    }
    said.release(frozen);
  }
});

Deno.test("what was not said is found when it is read, and is no copy", () => {
  const said = new SaidBias(1);
  said.set(0, 0, 0, 1);
  said.set(0, 1, 0, 2);
  said.resetKey(1);
  const both = Uint8Array.of(1, 1), one = Uint8Array.of(1);
  assertThrows(() => said.copy(both, one), Unsaid);
  assertEquals(said.copy(Uint8Array.of(1, 0), one), Float32Array.of(1, -Infinity));
  const frozen = said.freeze(both, one);
  assertEquals([...frozen.slice(0, 1)], [1]);
  // Said too late.
  said.set(0, 1, 0, 3);
  assertThrows(() => frozen.slice(0, 2), Unsaid, "has not answered");
});
