// An engine that shows itself: on a terminal, in a notebook, and after its end.

import { inspect } from "node:util";
import { DynamicAttention } from "../../mod.ts";
import { MAE, OnlineLearner } from "../../src/learning/mod.ts";
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

Deno.test("engine: JSON has what it is, and Node shows what Deno shows", async () => {
  const live = await createLive("array");
  live.setKey(0, [2, 2]);
  const facts = {
    queryCount: 2,
    keyCount: 3,
    heads: 2,
    kvHeads: 1,
    headDim: 2,
    valueDim: 1,
    backend: "array",
  };
  const written = { type: "DynamicAttention", ...facts, sequence: 1, pending: 1 };
  assertEquals(JSON.parse(JSON.stringify({ live })), { live: written });
  // The time of what is shown goes on.
  const timeless = (text: string) => text.replace(/[\d.e−]+ ms/, "");
  assertEquals(timeless(inspect(live)), timeless(Deno.inspect(live)));
  await live.dispose();
  assertEquals(JSON.stringify(live), '{"type":"DynamicAttention","disposed":true}');
  assertEquals(inspect(live), "DynamicAttention (disposed)");
});

Deno.test("what is followed, learners and metrics show themselves, in JSON, too", async () => {
  await using live = await createLive("array");
  const followed = live.follow([1], { error: 0.5 }), learner = new OnlineLearner(live), error = new MAE();
  assertEquals(inspect(error), "MAE: NaN");
  assertEquals(JSON.stringify(error), '{"name":"MAE","value":null,"count":0}');
  await learner.learnOne({ query: 0 }, [1, 2]);
  error.update(1, 1.5);
  followed.dispose();
  for (const show of [inspect, Deno.inspect]) {
    assertEquals(show(followed), "FollowedAttention (disposed): 1 row within 0.5");
    assertEquals(
      show(learner),
      "OnlineLearner: steps 1, loss squared, optimizer sgd(weightDecay 0, clip Infinity)",
    );
    assertEquals(show(error), "MAE: 0.5");
  }
  assertEquals(JSON.stringify(error), '{"name":"MAE","value":0.5,"count":1}');
  const { type, steps, engine } = JSON.parse(JSON.stringify(learner));
  assertEquals([type, steps, engine.type], ["OnlineLearner", 1, "DynamicAttention"]);
});

Deno.test("engine: a disposed one says so", async () => {
  const live = await createLive();
  await live.dispose();
  assertEquals(Deno.inspect(live), "DynamicAttention (disposed)");
  assertEquals(await live[DISPLAY](), { "text/plain": "DynamicAttention (disposed)" });
});
