// The live figure as a value: what it refuses, what it displays, and that its program is the one of the sources.

import { DynamicAttention, InputError } from "../../mod.ts";
import { type FigureData, packMatrix, unpackMatrix } from "../../src/jupyter/live/figure_data.ts";
import { liveAttention, type LiveAttentionOptions } from "../../src/jupyter/mod.ts";
import { weightsPng } from "../../src/display/heatmap.ts";
import { KernelProcess } from "../../src/kernel/kernel_process.ts";
import { liveProgramSource, unpackedProgram } from "../../tools/bundle_live.ts";
import { assert, assertEquals, assertFalse, assertThrows } from "../../testing/assert.ts";
import { decodePng } from "../../testing/png_reader.ts";
import { exampleOptions, WORDS } from "../../testing/live_example.ts";

const HOSTILE = `"'><img src=x onerror="document.title='run'"></script><script>alert(1)</script>&amp;`;

/** The data in an output, as the page will read them. */
function dataIn(html: string): FigureData {
  const [, text] = /data-figure="([^"]*)"/.exec(html)!;
  const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
  return JSON.parse(text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => entities[name]));
}

Deno.test("live figure: the committed program is what the sources give", async () => {
  const { text } = await liveProgramSource();
  assert(text === await unpackedProgram(), "run `deno task live`");
});

Deno.test("live figure: data travel as they are, to the bit", async () => {
  const options = exampleOptions();
  const { "text/html": html } = await liveAttention(options).toDisplay();
  const data = dataIn(html);
  assertEquals(
    unpackMatrix(data.key).data,
    Float32Array.from((options.key as number[][]).flatMap((row) => [...row])),
  );
  assertEquals(data.window, [null, 6]);
  assertEquals([data.queryLabels, data.keyLabels, data.lazyThreshold], [WORDS, WORDS, 3]);
  const numbers = Float32Array.of(-0, 1e-45, -Infinity, 3.4e38, 0.1);
  assertEquals(unpackMatrix(packMatrix(numbers, 1, 5)), { data: numbers, shape: [1, 5] });
});

Deno.test("live figure: texts of the user are texts, and no script but its own is in the output", async () => {
  const options = { ...exampleOptions(), title: HOSTILE, labels: WORDS.with(3, HOSTILE) };
  const { "text/html": html, "text/plain": text } = await liveAttention(options).toDisplay();
  assertEquals(html.match(/<\/?script/gi), ["<script", "</script"]);
  assertEquals(html.match(/<img/g)?.length, 1);
  assertFalse(html.includes("<img src=x"));
  const data = dataIn(html);
  assertEquals([data.title, data.keyLabels[3]], [HOSTILE, HOSTILE]);
  assert(text.startsWith(HOSTILE));
});

Deno.test("live figure: in words it says the heaviest keys, with the weights of the engine", async () => {
  const options = exampleOptions();
  const { "text/plain": text } = await liveAttention(options).toDisplay();
  const { query, key, value, heads, causal } = options;
  await using engine = await DynamicAttention.create({
    ...{ query, key, value, backend: "array" },
    ...{ heads: heads as number, causal: causal as { offset: number } },
  });
  const weights = await engine.weights(0);
  const [heaviest] = [...weights.keys()].sort((a, b) => weights[b] - weights[a]);
  const [title, first] = text.split("\n");
  assertEquals(title, "Attention, live: 12 queries over 12 keys");
  assert(first.startsWith(`the → ${WORDS[heaviest]} ${weights[heaviest].toFixed(3)}`), first);
  assert(Deno.inspect(liveAttention(options)).startsWith("LiveFigure of 12 queries over 12 keys"));
});

Deno.test("live figure: the picture is a PNG of the weights, from nearly white to dark blue", async () => {
  const png = await weightsPng([Float32Array.of(0, 0.5, 1), Float32Array.of(1, 0, 0.25)], 2);
  const { width, height, pixel } = await decodePng(png.toBase64());
  assertEquals([width, height], [6, 4]);
  const white = [0xf7, 0xfa, 0xfd],
    middle = [0x6b, 0xae, 0xd6],
    light = [0xc6, 0xdb, 0xef],
    dark = [8, 0x30, 0x6b];
  const seen = [0, 2].map((y) => [0, 2, 4].map((x) => pixel(x, y)));
  assertEquals(seen, [[white, middle, dark], [dark, white, light]]);
  assertEquals(pixel(5, 1), dark);
});

const rows = (count: number, columns: number) =>
  Array.from({ length: count }, () => Array(columns).fill(0.5));
const SMALL: LiveAttentionOptions = { query: rows(2, 2), key: rows(3, 2), value: rows(3, 1) };

for (
  const [change, sentence] of [
    [{ labels: ["a"] }, "labels has 1 texts, expected 3 (one a key)"],
    [{ labels: ["a", 1, "c"] }, "labels has 1 at index 1, expected texts"],
    [{ labels: "abc" }, 'labels is "abc", expected an array of texts'],
    [{ queryLabels: ["a"] }, "queryLabels has 1 texts, expected 2 (one a query)"],
    [{ lazyThreshold: 0 }, "lazyThreshold is 0, expected an integer ≥ 1 or Infinity"],
    [
      { lazyThreshold: { error: 1 } },
      "lazyThreshold is an object (Object), expected an integer ≥ 1 or Infinity",
    ],
    [{ title: 3 }, "title is 3, expected a text"],
    [{ mask: () => true }, "mask is a function, expected matrices, which a page can carry"],
    [{ window: { left: 1, keepFirst: 1 } }, "window is an object (Object), expected [left ≥ 0, right ≥ 0]"],
    [{ scale: NaN }, "scale is NaN, expected a finite number of float32 range"],
    [{ value: rows(2, 1) }, "value has 2 rows, expected 3 (one per key)"],
    [{ query: rows(257, 2) }, "query has 257 rows, expected 1 to 256, which a figure can show"],
    [
      { key: { data: [], shape: [0, 2] }, value: { data: [], shape: [0, 1] } },
      "key has 0 rows, expected 1 to 256, which a figure can show",
    ],
    [
      { query: rows(2, 1100), key: rows(256, 1100), value: rows(256, 1) },
      "the matrices have 284056 numbers, expected at most 262144, for the page",
    ],
  ] as const
) {
  Deno.test(`live figure: refused, ${sentence}`, () => {
    const error = assertThrows(
      () => liveAttention({ ...SMALL, ...change } as LiveAttentionOptions),
      InputError,
    );
    assertEquals(error.message, `liveAttention: ${sentence}`);
  });
}

Deno.test("live figure: an option that is none is refused", () => {
  const error = assertThrows(
    () => liveAttention({ ...SMALL, backend: "wasm" } as LiveAttentionOptions),
    InputError,
  );
  assert(error.message.startsWith('liveAttention: option "backend" is unknown'), error.message);
});

Deno.test("live figure: a notebook displays the last expression of a cell", async () => {
  await using kernel = await KernelProcess.start();
  const module = new URL("../../src/jupyter/mod.ts", import.meta.url).href;
  const { outputs } = await kernel.client.execute(`
    import { liveAttention } from ${JSON.stringify(module)};
    liveAttention({ query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[1], [2]], labels: ["a", "b"] });`);
  const data = outputs[0].content.data as Record<string, string>;
  assertEquals(Object.keys(data).sort(), ["image/png", "text/html", "text/plain"]);
  assert(data["text/html"].startsWith("<div"));
  assert(data["text/plain"].includes("0 → a 0."), data["text/plain"]);
});
