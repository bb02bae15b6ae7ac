// Figures of engines with ids: they show ids where they show slots of others.

import { DynamicAttention } from "../../mod.ts";
import { attentionChange, attentionHeatmap, heaviestKeys, readAttention } from "../../src/jupyter/mod.ts";
import { assert, assertEquals } from "../../testing/assert.ts";

Deno.test("labels of figures are ids", async () => {
  await using live = await DynamicAttention.create({
    query: [[1, 0]],
    queryIds: ["ann"],
    key: [[1, 0], [0, 1], [0, 0]],
    value: [[1], [2], [3]],
    keyIds: ["<b>Alien</b>", "Brazil", "Casablanca"],
  });
  const before = await readAttention(live);
  assertEquals([before.queries, before.keys], [["ann"], ["<b>Alien</b>", "Brazil", "Casablanca"]]);
  assertEquals(before.weights[0].data, (await live.weightsOf()).data);
  live.delete("Brazil");
  live.upsert("Dune", [2, 2], [4]);
  const after = await readAttention(live, { keys: ["Dune", "Brazil"] });
  assertEquals(after.weights[0].data[1], 0);
  const shown = [
    attentionHeatmap(before),
    attentionChange(before, await readAttention(live)),
    heaviestKeys(await live.topKeys("ann", 2)),
  ];
  for (const figure of shown) {
    const text = JSON.stringify(figure);
    assert(text.includes("Casablanca") || text.includes("Dune"), text);
    assert(!text.includes("<b>Alien"), text);
  }
});
