// Certificates and catching up: together they take little more time than exact looks would, whatever each takes.

import fc from "fast-check";
import { BoundChoice } from "../../src/schedule/bound_choice.ts";
import { assertEquals, assertLessOrEqual } from "../../testing/assert.ts";

Deno.test("bound choice: cheap certificates are computed as long as they stay cheap", () => {
  const choice = new BoundChoice();
  for (let missed = 1; missed < 200; missed++) {
    assertEquals(choice.catchesUp({ certified: 50, exact: 100 * missed, exactEachLook: 100 }), false);
  }
});

Deno.test("bound choice: states that are up to date catch up where that takes less, and nothing is held against certificates", () => {
  const choice = new BoundChoice();
  for (let look = 0; look < 20; look++) {
    assertEquals(choice.catchesUp({ certified: 150, exact: 100, exactEachLook: 100 }), true);
  }
  assertEquals(choice.catchesUp({ certified: 50, exact: 100, exactEachLook: 100 }), false);
});

Deno.test("bound choice: dear certificates of states that are behind are given up, for longer each time", () => {
  // A look after each changed key, whose certificates are dear but while states are up to date.
  const plays = fc.record({
    looks: fc.integer({ min: 1000, max: 4000 }),
    dear: fc.integer({ min: 101, max: 400 }),
  });
  fc.assert(fc.property(plays, ({ looks, dear }) => {
    const choice = new BoundChoice();
    let missed = 0, spent = 0;
    for (let look = 0; look < looks; look++) {
      missed++;
      const certified = missed === 1 ? 99 : dear, exact = 100 * missed;
      if (choice.catchesUp({ certified, exact, exactEachLook: 100 })) {
        spent += exact;
        missed = 0;
      } else spent += certified;
    }
    assertLessOrEqual(spent / looks, 150);
  }));
});
