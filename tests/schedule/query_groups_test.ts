// The companions of query slots that are brought up to date.

import { assertEquals } from "../../testing/assert.ts";
import { withCompanions } from "../../src/schedule/query_groups.ts";

/** Epochs of rows 0, 1, 2, …; null for a row that is not there. */
function companions(rows: readonly number[], epochs: readonly (number | null)[], newest = 9): number[] {
  const known = {
    isLive: (row: number) => (epochs[row] ?? null) !== null,
    epochOf: (row: number) => epochs[row] ?? -1,
  };
  return Array.from(withCompanions(Uint32Array.from(rows), 4, newest, known));
}

Deno.test("query slots of a group with the same epoch come along, in order and once", () => {
  assertEquals(companions([6, 1, 1], [3, 3, 3, 3, 5, 5, 5, 5, 5]), [0, 1, 2, 3, 4, 5, 6, 7]);
  assertEquals(companions([8], [3, 3, 3, 3, 5, 5, 5, 5, 5]), [8]);
});

Deno.test("query slots of other epochs stay, whichever of their group is asked for", () => {
  assertEquals(companions([1], [3, 3, 4, 9]), [0, 1]);
  assertEquals(companions([2, 1], [3, 3, 4, 9]), [0, 1, 2]);
});

Deno.test("a row that is up to date brings none, and empty slots are no rows", () => {
  assertEquals(companions([3], [3, 3, 3, 9]), []);
  assertEquals(companions([0], [3, null, 3, null]), [0, 2]);
  assertEquals(companions([0], [-1, -1, 3, null]), [0, 1]);
});
