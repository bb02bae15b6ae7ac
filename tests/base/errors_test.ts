import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "../../testing/assert.ts";
import {
  AttentionError,
  BackendError,
  DisposedError,
  DynamicAttention,
  IdError,
  InputError,
  SlotError,
} from "../../mod.ts";
import { describe } from "../../src/base/errors.ts";

Deno.test("an error names the operation in front of its detail", () => {
  const cause = new Error("why");
  const error = new AttentionError("DynamicAttention.read", "something is wrong", { cause });
  assertEquals(error.message, "DynamicAttention.read: something is wrong");
  assertEquals(error.operation, "DynamicAttention.read");
  assertEquals(error.name, "AttentionError");
  assertStrictEquals(error.cause, cause);
  assertInstanceOf(error, Error);
});

Deno.test("an InputError says what came and what was expected", () => {
  const error = new InputError("attention", "row has 63 numbers", "64 (headDim)");
  assertEquals(error.message, "attention: row has 63 numbers, expected 64 (headDim)");
  assertEquals(error.actual, "row has 63 numbers");
  assertEquals(error.expected, "64 (headDim)");
  assertEquals(error.name, "InputError");
  assertInstanceOf(error, AttentionError);
});

Deno.test("a SlotError is an InputError that holds the slot", () => {
  const error = new SlotError("DynamicAttention.setKey", "key", 7);
  assertEquals(
    error.message,
    "DynamicAttention.setKey: key slot 7 is not live, expected the number of a live key",
  );
  assertEquals(error.slot, 7);
  assertEquals(error.name, "SlotError");
  assertInstanceOf(error, InputError);
  assertStringIncludes(new SlotError("f", "query", -1).message, "query slot -1 is not live");
});

Deno.test("a DisposedError is not taken for bad input", () => {
  const error = new DisposedError("DynamicAttention.peek");
  assertEquals(error.message, "DynamicAttention.peek: the engine is disposed, expected a live one");
  assertEquals(error.name, "DisposedError");
  assertInstanceOf(error, AttentionError);
  assert(!(error instanceof InputError));
});

Deno.test("a BackendError carries what the backend threw, whatever that was", () => {
  const cause = new RangeError("out of memory");
  const error = new BackendError("DynamicAttention.flush", "array", cause);
  assertEquals(
    error.message,
    "DynamicAttention.flush: backend array failed (out of memory); the edits are kept and pending",
  );
  assertStrictEquals(error.cause, cause);
  assertEquals(error.name, "BackendError");
  assertInstanceOf(error, AttentionError);

  const bare = new BackendError("DynamicAttention.flush", "array", "a word");
  assertStringIncludes(bare.message, "(a word)");
  assertStrictEquals(bare.cause, "a word");
});

Deno.test("a bigint is told as one, so that ids that differ in nothing else can be told apart", async () => {
  assertEquals([describe(1n), describe(-3n), describe([1, 1n])], ["1n", "-3n", "[1, 1n]"]);
  await using live = await DynamicAttention.create<number | bigint | string>({
    query: [[1]],
    key: [[1], [2], [3]],
    keyIds: [1, 2n, "ann"],
    value: [[1], [2], [3]],
  });
  assertThrows(
    () => live.getKey(1n),
    IdError,
    "key 1n is not there, expected the id of a live key; did you mean 1",
  );
  assertThrows(
    () => live.getKey(2),
    IdError,
    "key 2 is not there, expected the id of a live key; did you mean 2n",
  );
  assertThrows(() => live.setValue(1, [5n] as never), InputError, "value has 5n at index 0");
  const ask = (key: unknown) => key === 2n || key === "ann" ? NaN : 0;
  for (const [id, text] of [[2n, "mask(0, 2n, 0)"], ["ann", 'mask(0, "ann", 0)']] as const) {
    const made = DynamicAttention.create<number | bigint | string>({
      ...{ query: [[1]], key: [[1]], value: [[1]], keyIds: [id], mask: (_, key) => ask(key) },
    });
    await assertRejects(() => made, InputError, text);
  }
});
