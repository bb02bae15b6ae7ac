import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertStringIncludes,
} from "../../testing/assert.ts";
import { AttentionError, BackendError, DisposedError, InputError, SlotError } from "../../mod.ts";

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
