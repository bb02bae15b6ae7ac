// Positions as words: their order is that of the numbers, and what is in reach is what `isInReach` says, also
// where rounding decides.

import { placeOf, reachOf } from "../../src/backends/webgpu/position_range.ts";
import { isInReach } from "../../src/numerics/score_rule.ts";
import { assertEquals } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const isBefore = (a: readonly number[], b: readonly number[]) =>
  a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);

const NUMBERS = [0, -0, 1, -1, 0.5, 2 ** 40, 2 ** 40 + 0.5, -(2 ** 40) - 0.5, 1e300, -1e300, 5e-324, -5e-324]
  .concat(Number.MAX_VALUE, -Number.MAX_VALUE, 2 ** 53, 2 ** 53 + 2, 1 / 3, 1e-17, -1e-17);

Deno.test("positions as words have the order of the numbers", () => {
  for (const a of NUMBERS) {
    for (const b of NUMBERS) assertEquals(isBefore(placeOf(a), placeOf(b)), a < b, `${a} and ${b}`);
  }
});

Deno.test("a key is between the first and the last place exactly where it is in reach", () => {
  const random = new Random(3);
  const reaches = [0, 0.5, 1, 3, 1e-17, 2 ** 40, 1e300, Infinity];
  const afters = [...reaches, -1, -0.5, -1e300];
  let inside = 0, outside = 0;
  for (let round = 0; round < 3000; round++) {
    const rule = { scale: 1, softcap: 0, before: random.pick(reaches), after: random.pick(afters) };
    const query = random.pick(NUMBERS);
    const { first, last } = reachOf(rule, query);
    const edges = [query - rule.before, query + rule.after].filter(Number.isFinite);
    const keys = [
      ...NUMBERS,
      ...edges,
      ...edges.flatMap((edge) => [edge * (1 + 2 ** -52), edge * (1 - 2 ** -53)]),
    ];
    for (const key of keys.filter(Number.isFinite)) {
      const isIn = !isBefore(placeOf(key), first) && !isBefore(last, placeOf(key));
      const expected = isInReach(rule, query, key);
      assertEquals(isIn, expected, `key ${key} from ${query} with [${rule.before}, ${rule.after}]`);
      if (expected) inside++;
      else outside++;
    }
  }
  assertEquals([inside > 1000, outside > 1000], [true, true]);
});
