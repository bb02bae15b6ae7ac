import { assertEquals, assertRejects, assertStrictEquals } from "../../testing/assert.ts";
import { attempt } from "../../src/base/attempt.ts";

Deno.test("attempt computes at once and gives what came of it, also of a promise", async () => {
  const calls: string[] = [];
  const number = attempt(() => calls.push("computed"));
  calls.push("returned");
  assertEquals(calls, ["computed", "returned"]);
  assertEquals(await number, 1);
  assertEquals(await attempt(() => Promise.resolve("later")), "later");
});

Deno.test("what is thrown at once becomes a rejection with the very same error", async () => {
  const thrown = new RangeError("too large");
  const promise = attempt(() => {
    throw thrown;
  });
  assertStrictEquals(await assertRejects(() => promise, RangeError), thrown);
});
