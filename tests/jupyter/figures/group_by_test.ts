import { assertEquals } from "../../../testing/assert.ts";
import { groupBy } from "../../../src/jupyter/figures/group_by.ts";

Deno.test("groups stand in the order of their first members, members in theirs", () => {
  const words = ["one", "three", "six", "four", "two", "seven"];
  const groups = groupBy(words, (word) => `${word.length}`);
  assertEquals([...groups], [["3", ["one", "six", "two"]], ["5", ["three", "seven"]], ["4", ["four"]]]);
  assertEquals([...groups], [...Map.groupBy(words, (word) => `${word.length}`)]);
});
