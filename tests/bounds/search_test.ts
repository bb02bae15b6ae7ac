// Bounds are never broken, nor is the accuracy of reads: a search for a program that breaks them, at random and by
// climbing, on every backend. `deno task bounds` searches longer.
//
// What nothing but the rounding of a score to float64 explains is counted apart: a bias of −10⁹ leaves a score ten of its
// digits.

import { assert, assertEquals, assertGreater } from "../../testing/assert.ts";
import { PROFILES } from "../../testing/bounds/profiles.ts";
import { searchBounds } from "../../testing/bounds/search.ts";
import { textOf } from "../../testing/bounds/shrink_program.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { BACKENDS } from "../backends_here.ts";

const EDITS = IS_LONG ? 25_000 : 1500;
/** An answer of a device takes some ten milliseconds. */
const DEVICE_SHARE = 50;

for (const backend of BACKENDS) {
  for (const profile of PROFILES) {
    Deno.test(`bounds on ${backend}: a search over ${profile} numbers finds none that is broken`, async () => {
      const { programs, rows, nearest, counts, broken, looseness } = await searchBounds({
        backend,
        // To move to a device and back takes a second, whatever the program does.
        others: BACKENDS.filter((name) => name !== "webgpu" || backend === "webgpu"),
        profile,
        seed: 1,
        edits: Math.ceil(backend === "webgpu" ? EDITS / DEVICE_SHARE : EDITS),
      });
      console.log(
        `  ${programs} programs, ${rows} rows; distance at most ${nearest.bound.toFixed(8)} of the bound, ` +
          `error ${nearest.accuracy.toFixed(3)} of what is promised; bound over distance ` +
          `${looseness.pending.toFixed(2)} with edits pending, ${looseness.settled.toFixed(1)} without, ${
            looseness.limited.toFixed(1)
          } so within an error, ` +
          `${looseness.followed.toFixed(1)} where rows are followed`,
      );
      const [first] = broken;
      assertEquals(counts, {}, first && `${JSON.stringify(first.violation)}\n${textOf(first.program)}`);
      assertGreater(rows, programs);
      // A search that stays far from any bound has looked at nothing.
      assert(nearest.bound > 0.9 && nearest.bound <= 1, String(nearest.bound));
    });
  }
}
