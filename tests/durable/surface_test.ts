// A durable engine has every method of an engine, under its own name.

import { DynamicAttention } from "../../mod.ts";
import { DurableAttention } from "../../src/durable/mod.ts";
import { assertEquals, assertGreater, assertThrows } from "../../testing/assert.ts";
import { InputError } from "../../mod.ts";

Deno.test("every method of an engine is one of a durable engine", () => {
  const names = Reflect.ownKeys(DynamicAttention.prototype);
  assertGreater(names.length, 25);
  assertEquals(names.filter((name) => !Reflect.has(DurableAttention.prototype, name)), []);
});

Deno.test("a durable engine is made by openDurable alone", () => {
  assertThrows(
    () => Reflect.construct(DurableAttention, [{}]),
    InputError,
    "await openDurable(folder, options)",
  );
});
