import { assertEquals, assertThrows } from "./assert.ts";
import { InputError } from "../src/errors.ts";
import { type LazyThreshold, toThresholdTest } from "../src/lazy/threshold.ts";

function firstDue(threshold?: LazyThreshold): number | undefined {
  const isDue = toThresholdTest("create", threshold);
  const due = Array.from({ length: 300 }, (_, pending) => isDue(pending));
  const first = due.indexOf(true);
  if (first === -1) return undefined;
  assertEquals(due.slice(first).every(Boolean), true, "due and then not due again");
  return first;
}

Deno.test("edits are due from the threshold on", () => {
  assertEquals(firstDue(1), 1);
  assertEquals(firstDue(2), 2);
  assertEquals(firstDue(200), 200);
});

Deno.test("the threshold is 64 unless given", () => {
  assertEquals(firstDue(), 64);
});

Deno.test("with Infinity edits are never due", () => {
  assertEquals(firstDue(Infinity), undefined);
  assertEquals(toThresholdTest("create", Infinity)(2 ** 53), false);
});

Deno.test("a threshold that is no count is refused", () => {
  for (const bad of [0, -1, 1.5, NaN, -Infinity, 2 ** 53, "8", null, true, [8], {}]) {
    const error = assertThrows(() => toThresholdTest("create", bad as LazyThreshold), InputError);
    assertEquals(error.expected, "an integer ≥ 1, or Infinity");
    assertEquals(error.operation, "create");
  }
});
