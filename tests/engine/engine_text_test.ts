// An engine that shows itself: on a terminal, in a notebook, and after its end.

import { DynamicAttention } from "../../mod.ts";
import { DISPLAY } from "../../src/display/mime_bundle.ts";
import { assertEquals, assertFalse, assertMatch, assertStringIncludes } from "../../testing/assert.ts";

function createLive(backend: "auto" | "array" = "auto") {
  return DynamicAttention.create({
    query: [[1, 0, 0, 1], [0, 1, 1, 0]],
    key: [[1, 0], [0, 1], [1, 1]],
    value: [[1], [2], [3]],
    heads: 2,
    kvHeads: 1,
    lazyThreshold: Infinity,
    backend,
  });
}

Deno.test("engine: a terminal shows sizes, heads, the backend and its reason, pending edits and work", async () => {
  await using live = await createLive();
  live.setKey(0, [2, 2]);
  const text = Deno.inspect(live);
  assertMatch(text, /^DynamicAttention\n/);
  for (
    const line of [
      "2 queries over 3 keys",
      "2 heads, 1 key head of 2 numbers a key and 1 a value",
      "wasm, 1 thread: a rebuild takes ",
      "1 changed slot that a stale answer need not include",
      "1 accepted, 0 in every answer",
      "0 queries behind, ",
    ]
  ) assertStringIncludes(text, line);
  assertFalse(text.includes("the device busy"), "it computes on none");
  assertFalse(text.includes("bound"), "it would have to be measured, which takes a promise");
});

Deno.test("engine: the reason for its backend follows a move", async () => {
  await using live = await createLive("array");
  assertStringIncludes(Deno.inspect(live), `array, 1 thread: ${live.stats().backendReason}`);
  await live.moveTo("wasm");
  assertStringIncludes(Deno.inspect(live), `wasm, 1 thread: ${live.stats().backendReason}`);
});

Deno.test("engine: a notebook also shows the largest bound, and the facts from before its peek", async () => {
  await using live = await createLive();
  live.setValue(0, [2]);
  const bundle = await live[DISPLAY]();
  assertEquals(Object.keys(bundle), ["text/plain", "text/html"]);
  assertMatch(bundle["text/plain"], /bound {4}a stale answer is at most [\d.e−]+ from exact\n/);
  assertStringIncludes(bundle["text/plain"], "1 changed slot");
  assertMatch(String(bundle["text/html"]), /<th scope="row"[^>]*>bound<\/th>/);
});

Deno.test("engine: a disposed one says so", async () => {
  const live = await createLive();
  await live.dispose();
  assertEquals(Deno.inspect(live), "DynamicAttention (disposed)");
  assertEquals(await live[DISPLAY](), { "text/plain": "DynamicAttention (disposed)" });
});
