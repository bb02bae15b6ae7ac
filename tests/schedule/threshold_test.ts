import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";
import { InputError } from "../../src/base/errors.ts";
import { type LazyThreshold, type PendingEdits, toThreshold } from "../../src/schedule/threshold.ts";

function pendingOf(edits: number, ageMs = 0): PendingEdits {
  return { edits, keys: edits, queries: 0, ageMs, keyCount: 10, queryCount: 3 };
}

function firstDue(threshold?: LazyThreshold): number | undefined {
  const { isReached } = toThreshold("create", threshold);
  const due = Array.from({ length: 300 }, (_, edits) => isReached(pendingOf(edits)));
  const first = due.indexOf(true);
  if (first === -1) return undefined;
  assertEquals(due.slice(first).every(Boolean), true, "due and then not due again");
  return first;
}

Deno.test("edits are due from the threshold on", () => {
  assertEquals(firstDue(1), 1);
  assertEquals(firstDue(2), 2);
  assertEquals(firstDue(200), 200);
  assertEquals(firstDue({ edits: 7 }), 7);
});

Deno.test("the threshold is 64 unless given", () => {
  assertEquals(firstDue(), 64);
});

Deno.test("with Infinity, or other limits alone, no number of edits is due", () => {
  assertEquals(firstDue(Infinity), undefined);
  assertEquals(firstDue({ error: 0.5 }), undefined);
  assertEquals(firstDue({}), undefined);
  assertEquals(toThreshold("create", Infinity).isReached(pendingOf(2 ** 53)), false);
});

Deno.test("an age is due when something is as old", () => {
  const { isReached, error } = toThreshold("create", { ageMs: 50, edits: 9 });
  assertEquals([isReached(pendingOf(1, 49)), isReached(pendingOf(1, 50)), isReached(pendingOf(0, 99))], [
    false,
    true,
    false,
  ]);
  assert(isReached(pendingOf(9, 0)));
  assertEquals(error, Infinity);
});

Deno.test("an error is a limit on the bounds of a peek", () => {
  assertEquals(toThreshold("create", { error: 0.25, edits: 3 }).error, 0.25);
  assertEquals(toThreshold("create", 3).error, Infinity);
});

Deno.test("of error and targetError the smaller one counts", () => {
  const told = (threshold: LazyThreshold) => toThreshold("create", threshold).error;
  assertEquals(told({ targetError: 0.25 }), 0.25);
  assertEquals(told({ targetError: 0.25, error: 0.5 }), 0.25);
  assertEquals(told({ targetError: 0.5, error: 0.25 }), 0.25);
  assertEquals(told({ error: 0.25 }), 0.25);
  assertEquals(told(64), Infinity);
});

Deno.test("a function decides by itself, and only true counts", () => {
  const seen: PendingEdits[] = [];
  const { isReached } = toThreshold("create", (pending) => seen.push(pending) > 1);
  assertEquals([isReached(pendingOf(1)), isReached(pendingOf(2))], [false, true]);
  assertEquals(seen, [pendingOf(1), pendingOf(2)]);
  assertEquals(
    toThreshold("create", (() => "yes") as unknown as LazyThreshold).isReached(pendingOf(1)),
    false,
  );
});

Deno.test("a threshold of another form is refused", () => {
  const bad: unknown[] = [0, -1, 1.5, NaN, -Infinity, 2 ** 53, "8", null, true, [8]];
  bad.push({ edits: 0 }, { edits: "8" }, { ageMs: -1 }, { ageMs: NaN }, { error: -1 }, { error: "small" }, {
    targetError: -1,
  }, {
    erorr: 1,
  });
  for (const threshold of bad) {
    const error = assertThrows(() => toThreshold("create", threshold as LazyThreshold), InputError);
    assertEquals(error.operation, "create");
    assert(error.message.startsWith("create: lazyThreshold"), error.message);
  }
});
