// What the documentation says of River is what its run has given, and the scripts name the version that ran.

import { assert, assertEquals, assertStringIncludes } from "../../testing/assert.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));
const { births, ratings } = JSON.parse(await read("notebooks/data/river.json"));
const page = await read("docs/benchmarks.md");

/** The cells of the row of a name in the page's tables. */
function rowOf(name: string): string[] {
  const rows = page.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const found = rows.filter(([first]) => first === name);
  assertEquals(found.length, 1, name);
  return found[0].slice(1);
}

Deno.test("the documentation quotes River's errors on the births as they are kept", () => {
  assertEquals([births.horizons, births.days], [[1, 7, 28], 4805]);
  assert(births.models.length >= 4);
  for (const { name, errors, tried } of births.models) {
    assertEquals(rowOf(name), [...errors, tried].map(String));
  }
});

Deno.test("the documentation quotes River's errors on the ratings as they are kept", () => {
  assert(ratings.models.length >= 3);
  for (const { name, rmse, tried } of ratings.models) {
    assertEquals(rowOf(name), [rmse.all.toFixed(4), rmse.others.toFixed(4), String(tried)]);
  }
});

Deno.test("River's version is one, where it is installed, where it ran and where it is told", async () => {
  assertEquals(ratings.river, births.river);
  assertEquals((await read("studies/river/requirements.txt")).trim(), `river==${births.river}`);
  assertStringIncludes(page, `[River](https://riverml.xyz) ${births.river}`);
});
