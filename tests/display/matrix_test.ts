// Matrices that show themselves: as text, as a table with a picture, and equal to plain ones all the same.

import { attention, type Matrix, mergeStates } from "../../mod.ts";
import { encodePng } from "../../src/display/png.ts";
import { matrixBundle } from "../../src/display/matrix_bundle.ts";
import { matrixText } from "../../src/display/matrix_text.ts";
import { DISPLAY } from "../../src/display/mime_bundle.ts";
import { shownMatrix } from "../../src/display/shown_matrix.ts";
import { assert, assertEquals, assertFalse, assertLess, assertStringIncludes } from "../../testing/assert.ts";
import { decodePng } from "../../testing/png_reader.ts";

function matrixOf(rows: number, columns: number, entry: (at: number) => number): Matrix {
  return shownMatrix(Float32Array.from({ length: rows * columns }, (_, at) => entry(at)), [rows, columns]);
}

Deno.test("matrix: a small one is shown whole, with numbers in columns", () => {
  const text = Deno.inspect(matrixOf(2, 2, (at) => [0.5, -1, 1e-9, -Infinity][at]));
  assertEquals(text, "Matrix 2 × 2, float32\n   0.5  −1\n  1e−9  −∞");
});

Deno.test("matrix: of a large one its corners, and all of it where no limit is set", () => {
  const large = matrixOf(300, 200, (at) => at);
  const lines = matrixText(large).split("\n");
  assertEquals(lines.length, 1 + 11);
  assertEquals(lines[0], "Matrix 300 × 200, float32");
  assertEquals(lines[1].trim().split(/\s+/), ["0", "1", "2", "3", "…", "196", "197", "198", "199"]);
  assertEquals(lines[6].trim().split(/\s+/), ["⋮", "⋮", "⋮", "⋮", "⋱", "⋮", "⋮", "⋮", "⋮"]);
  assertEquals(Deno.inspect(large, { iterableLimit: Infinity }).split("\n").length, 1 + 300);
});

Deno.test("matrix: equals the plain object, is copied as one, and has no other keys", async () => {
  const output = await attention({ query: [[1, 2]], key: [[1, 0]], value: [[3, 4]] });
  const plain = { data: Float32Array.of(3, 4), shape: [1, 2] };
  assertEquals<unknown>(output, plain);
  assertEquals<unknown>(plain, output);
  assertEquals(Reflect.ownKeys({ ...output }), ["data", "shape"]);
  assertEquals(Object.keys(output), ["data", "shape"]);
  assertEquals<unknown>(structuredClone(output), plain);
  const merged = mergeStates([{ output, logSumExp: { data: Float32Array.of(0), shape: [1, 1] } }]);
  assertStringIncludes(Deno.inspect(merged), "Matrix 1 × 2");
});

Deno.test("matrix: a notebook gets text, a table and a picture of it", async () => {
  const matrix = matrixOf(3, 2, (at) => at);
  assert(DISPLAY in matrix && typeof matrix[DISPLAY] === "function");
  const bundle = await matrix[DISPLAY]();
  assertEquals(Object.keys(bundle), ["text/plain", "text/html", "image/png"]);
  assertEquals((bundle["text/html"].match(/<td/g) ?? []).length, 6);
  assertStringIncludes(bundle["text/html"], "Matrix 3 × 2, float32, 0 to 5");
  const { width, height, pixel } = await decodePng(bundle["image/png"]);
  assertEquals([width, height], [32, 48]); // 16 pixels an entry
  assertEquals(pixel(0, 0), [0x44, 0x01, 0x54]); // viridis from its lowest
  assertEquals(pixel(31, 47), [0xfd, 0xe7, 0x25]); // to its highest
});

Deno.test("matrix: cells that are no numbers are grey, signs have different colours, many cells are averaged", async () => {
  const odd = await decodePng(
    String((await matrixBundle(matrixOf(1, 3, (at) => [-1, NaN, 1][at])))["image/png"]),
  );
  const [less, none, more] = [0, 17, 33].map((x) => odd.pixel(x, 0));
  assertEquals(none, [128, 128, 128]);
  assert(less[2] > less[0] && more[0] > more[2], "blue below zero, orange above");
  const tall = await decodePng(String((await matrixBundle(matrixOf(2000, 1, () => 1)))["image/png"]));
  assertEquals([tall.width, tall.height], [1, 512]);
});

Deno.test("matrix: without numbers there is a table without a picture", async () => {
  const bundle = await matrixBundle(matrixOf(0, 4, () => 0));
  assertEquals(Object.keys(bundle), ["text/plain", "text/html"]);
  assertFalse(String(bundle["text/html"]).includes("∞"));
});

Deno.test("png: what is written can be read, and flat pictures are small", async () => {
  const pixels = Uint8Array.from({ length: 3 * 5 * 4 }, (_, at) => at);
  const { width, height, pixel } = await decodePng((await encodePng(pixels, 5, 4)).toBase64());
  assertEquals([width, height], [5, 4]);
  assertEquals(pixel(4, 3), [57, 58, 59]);
  assertLess((await encodePng(new Uint8Array(3 * 500 * 500), 500, 500)).length, 2000);
});
