// What the figures are made of: data, labels, refusals, and what each front end gets.

import { DynamicAttention } from "../../mod.ts";
import { InputError } from "../../src/base/errors.ts";
import { PALETTES } from "../../src/jupyter/figures/palette.ts";
import { paretoFront } from "../../src/jupyter/cost_against_error.ts";
import {
  attentionChange,
  attentionHeatmap,
  type AttentionWeights,
  costAgainstError,
  DISPLAY,
  type Figure,
  figure,
  type FigureOptions,
  forecast,
  heaviestKeys,
  keyWeight,
  readAttention,
  type Renderer,
  setRenderer,
  staleness,
} from "../../src/jupyter/mod.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertFalse,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { decodePng } from "../../testing/png_reader.ts";
import { allFigures } from "./support.ts";

const MEDIA = ["text/plain", "text/html", "application/vnd.plotly.v1+json", "image/png"];

Deno.test("figures: each carries text, HTML, plotly JSON and a picture that is not blank", async (t) => {
  for (const [name, shown] of Object.entries(await allFigures())) {
    await t.step(name, async () => {
      const bundle = await shown[DISPLAY]();
      assertEquals(Object.keys(bundle).sort(), [...MEDIA].sort());
      assertEquals(bundle["text/plain"], shown.description);
      const { width, height, pixel } = await decodePng(String(bundle["image/png"]));
      assertEquals([width, height], [860 * 1.5, shown.height * 1.5]);
      const colors = new Set<string>();
      for (let y = 0; y < height; y += 3) {
        for (let x = 0; x < width; x += 3) colors.add(pixel(x, y).join());
      }
      assert(colors.size > 12, `${colors.size} colours`);
      assertEquals(pixel(0, 0), [255, 255, 255], "on paper of its own");
    });
  }
});

Deno.test("figures: the library is embedded once, and nothing in HTML or JSON is a dollar name or markup", async () => {
  const bundles = await Promise.all(Object.values(await allFigures()).map((shown) => shown[DISPLAY]()));
  const pages = bundles.map((bundle) => String(bundle["text/html"]));
  assertEquals(
    pages.filter((html) => html.includes("DecompressionStream")).length,
    0,
    "an earlier test had it",
  );
  for (const html of pages) {
    const scripts: string[] = html.match(/<script>[^]*?<\/script>/g) ?? [];
    assertEquals(scripts.length, 1);
    assertFalse(/<!--/.test(html), "a script that holds it would swallow the page");
    const rest = html.replace(scripts[0], "");
    assertFalse(/<(img src=x|svg|b>|script)/.test(rest), rest.slice(0, 300));
  }
  for (const bundle of bundles) {
    const json = JSON.stringify(bundle["application/vnd.plotly.v1+json"]);
    assertFalse(/color(scale)?":"\$/.test(json));
  }
});

Deno.test("figures: every colour that they name is in both palettes", async () => {
  const named = Object.values(await allFigures()).flatMap(({ data, layout }) =>
    [...JSON.stringify({ data, layout }).matchAll(/color(?:scale)?":"\$(\w+)"/g)].map(([, name]) => name)
  );
  assert(named.length > 40);
  for (const name of named) assert(name in PALETTES.light && name in PALETTES.dark, name);
});

Deno.test("figures: a renderer is chosen for all or for one, and says what it knows", async () => {
  const make = (options: FigureOptions = {}) => figure({ data: [{ type: "scatter", y: [1, 2] }] }, options);
  const media = async (shown: Figure) => Object.keys(await shown[DISPLAY]()).sort();
  assertEquals(await media(make({ renderer: "json" })), ["application/vnd.plotly.v1+json", "text/plain"]);
  assertEquals(await media(make({ renderer: "png" })), ["image/png", "text/plain"]);
  const before = setRenderer("json");
  try {
    assertEquals(before, "embed");
    assertEquals((await media(make())).length, 2);
    assertEquals((await media(make({ renderer: "embed" }))).length, 4);
  } finally {
    setRenderer(before);
  }
  const remote = String((await make({ renderer: "cdn" })[DISPLAY]())["text/html"]);
  assert(/fetch\("https:\/\/cdn\.plot\.ly\/[^"]+", \{ integrity: "sha384-[\w+/]{64}" \}\)/.test(remote));
  assertThrows(() => setRenderer("svg" as Renderer), InputError, 'setRenderer: renderer is "svg"');
  assertThrows(() => make({ renderer: "svg" as Renderer }), InputError, "figure: renderer");
});

Deno.test("figures: one that cannot be drawn as a picture is shown without, and says why", async () => {
  const shown = figure({ data: [{ type: "contour", z: [[1, 2]] }], description: "hills" });
  const bundle = await shown[DISPLAY]();
  assertFalse("image/png" in bundle);
  assertEquals(
    bundle["text/plain"],
    'hills (no still picture: figure.png: a trace has the type "contour", expected one of scatter, bar, heatmap)',
  );
  await assertRejects(() => shown.png(), InputError, "contour");
  await assertRejects(
    () => shown.png({ width: 5 }),
    InputError,
    "figure.png: width is 5, expected a number from 100",
  );
  await assertRejects(() => shown.png({ theme: "sepia" as "dark" }), InputError, "theme");
});

async function createLive(heads = 2): Promise<DynamicAttention> {
  return await DynamicAttention.create({
    query: [[1, 0], [0, 1], [1, 1]],
    key: [[2, 0], [0, 2], [1, 1]],
    value: [[1, 2], [3, 4], [5, 6]],
    heads,
    causal: true,
  });
}

Deno.test("attention that is read: weights by head, live keys alone, and what the scores follow from", async () => {
  await using live = await createLive();
  live.insert([1, 2], [3, 4]);
  live.delete(1);
  const read = await readAttention(live);
  assertEquals([read.queries, read.keys, read.heads], [[0, 1, 2], [0, 2, 3], [0, 1]]);
  for (const [at, head] of read.heads.entries()) {
    const expected = await live.weights(2, { head });
    assertEquals([...read.weights[at].data.subarray(6)], read.keys.map((key) => expected[Number(key)]));
  }
  // Query 2 scores key 0 with 1 · 2 in head 0.
  const score = Math.log(read.weights[0].data[6]) + (read.logSumExp?.data[4] ?? NaN);
  assertAlmostEquals(score, 2, 1e-6);
  const some = await readAttention(live, { queries: [2], keys: [3, 0], heads: [1] });
  assertEquals([...some.weights[0].data], [read.weights[1].data[8], read.weights[1].data[6]]);
  assertEquals(some.logSumExp?.shape, [1, 1]);
  await assertRejects(() => readAttention(live, { queries: [0.5] }), InputError, "readAttention: queries");
  live.deleteQuery(0);
  live.delete(2);
  const fewer = await readAttention(live);
  assertEquals([fewer.queries, fewer.keys], [[1, 2], [0, 3]]);
});

Deno.test("attention that is read: all of it is as of the call", async () => {
  await using live = await createLive(1);
  const reading = readAttention(live);
  live.delete(2);
  live.setKey(0, [9, 9]);
  const { keys, weights } = await reading;
  assertEquals(keys, [0, 1, 2]);
  await using fresh = await createLive(1);
  assertEquals(weights, (await readAttention(fresh)).weights);
});

Deno.test("attention heatmap: no weight is a gap with a cross, equal labels are cells of their own", async () => {
  await using live = await createLive(1);
  const { data, layout } = attentionHeatmap(await readAttention(live), { keyLabels: ["the", "cat", "the"] });
  const [heatmap, marks] = data;
  const cells = heatmap.z as (number | null)[][];
  assertEquals(cells[0].slice(1), [null, null]);
  assertEquals(cells[0][0], 1);
  assertEquals([marks.x, marks.y], [[1, 2, 2], [0, 0, 1]]);
  const { ticktext, tickvals } = layout.xaxis as Record<string, unknown>;
  assertEquals([ticktext, tickvals], [["the", "cat", "the"], [0, 1, 2]]);
  const texts = heatmap.text as string[][];
  assertEquals(texts[0][1], "query 0, key cat<br>no weight");
  assert(/^query 1, key the<br>weight 0\.\d+<br>score [\d.e−]+$/.test(texts[1][0]), texts[1][0]);
  assertEquals((layout.updatemenus as unknown[]).length, 0);
});

Deno.test("attention heatmap: a menu shows one head at a time", async () => {
  await using live = await createLive();
  const { data, layout } = attentionHeatmap(await readAttention(live));
  const [menu] = layout.updatemenus as { buttons: { label: string; args: { visible: boolean[] }[] }[] }[];
  assertEquals(menu.buttons.map(({ label }) => label), ["head 0", "head 1"]);
  assertEquals(data.map(({ visible }) => visible), menu.buttons[0].args[0].visible);
  assertEquals(menu.buttons[1].args[0].visible, menu.buttons[0].args[0].visible.map((shown) => !shown));
});

Deno.test("attention change: keys of either side, one scale, a difference with its middle at 0", async () => {
  await using live = await createLive(1);
  const before = await readAttention(live);
  live.delete(1);
  const after = await readAttention(live);
  const shown = attentionChange(before, after);
  const heatmaps = shown.data.filter(({ type }) => type === "heatmap");
  const [was, is, change] = heatmaps.map(({ z }) => z as (number | null)[][]);
  assertEquals(is.map((row) => row[1]), [null, null, null], "it was deleted");
  was.forEach((row, i) =>
    row.forEach((weight, j) => assertAlmostEquals(change[i][j] ?? NaN, (is[i][j] ?? 0) - (weight ?? 0), 1e-5))
  );
  assertEquals(heatmaps[0].zmax, heatmaps[1].zmax);
  assertEquals(heatmaps[2].zmin, -Number(heatmaps[2].zmax));
  assertThrows(
    () => attentionChange(before, { ...after, queries: [0, 2, 1] }),
    InputError,
    "attentionChange: queries after are [0, 2, 1], expected those before, [0, 1, 2]",
  );
});

Deno.test("cost against error: the Pareto front, and no zero on a logarithmic axis", () => {
  const points = [[3, 1], [1, 5], [2, 5], [2, 2], [4, 1], [5, 0]].map(([cost, error]) => ({
    name: `${cost}`,
    cost,
    error,
  }));
  assertEquals(paretoFront(points).map(({ cost, error }) => [cost, error]), [[1, 5], [2, 2], [3, 1], [5, 0]]);
  const shown = costAgainstError([...points, { name: "exact", cost: 6, error: 0, isExact: true }]);
  for (const { y } of shown.data) assert((y as number[]).every((error) => error > 0));
  const [line] = shown.layout.shapes as Record<string, unknown>[];
  assertEquals([line.x0, line.x1], [6, 6]);
});

Deno.test("figures over time: gaps stay gaps, and what was promised is counted", () => {
  const shown = staleness({ times: [1, 2, 3], bounds: [0, 2, Infinity], distances: [0, 3, 1] });
  assertEquals(shown.data[0].y, [null, 2, null]);
  assertEquals(
    shown.description,
    "staleness over 3 answers: 1 of 3 answers were further off than their bound",
  );
  const [truth, said] = forecast([1, 2], [null, 4], [{ name: "a", values: [1, NaN] }]).data;
  assertEquals([truth.y, said.y], [[null, 4], [1, null]]);
});

Deno.test("figures: what does not fit is refused by name", async (t) => {
  const weights: AttentionWeights = {
    queries: [0],
    keys: [0, 1],
    heads: [0],
    weights: [{ data: Float32Array.of(0.5, 0.5), shape: [1, 2] }],
    logSumExp: null,
  };
  const huge = { data: new Float32Array(600 * 600), shape: [600, 600] as const };
  const refused: Record<string, () => Figure> = {
    "attentionHeatmap: keyLabels has 1 entries, expected 2": () =>
      attentionHeatmap(weights, { keyLabels: ["a"] }),
    "attentionHeatmap: attention is 5, expected { data, shape }": () => attentionHeatmap(5 as never),
    "attentionHeatmap: there are 360000 cells (600 queries × 600 keys × 1 heads), expected at most 250000":
      () => attentionHeatmap(huge),
    "attentionHeatmap: height is -1": () => attentionHeatmap(weights, { height: -1 }),
    "attentionChange: before is null": () => attentionChange(null as never, weights),
    "costAgainstError: there are 0 points": () => costAgainstError([]),
    "costAgainstError: points[0].cost is 0, expected a number above 0": () =>
      costAgainstError([{ name: "a", cost: 0, error: 1 }]),
    "costAgainstError: points[0].error is NaN": () => costAgainstError([{ name: "a", cost: 1, error: NaN }]),
    "staleness: bounds has 1 entries, expected 2": () => staleness({ times: [1, 2], bounds: [1] }),
    "staleness: times has NaN": () => staleness({ times: [NaN], bounds: [1] }),
    'keyWeight: times has "soon", expected finite numbers or ISO dates': () => keyWeight(["soon"], []),
    "keyWeight: keys[0].weights is undefined": () => keyWeight([1], [{ name: "a" } as never]),
    "forecast: truth has 0 entries": () => forecast([1], [], []),
    "heaviestKeys: labels has 0 entries, expected 1": () =>
      heaviestKeys([{ slot: 0, weight: 1 }], { labels: [] }),
    "figure: data is 3": () => figure({ data: 3 as never }),
  };
  for (const [message, make] of Object.entries(refused)) {
    await t.step(message, () => void assertThrows(make, InputError, message));
  }
});
