// Whether a durable engine holds what a model says, to the bit, and answers what the oracle says.

import type { DurableAttention } from "../../src/durable/mod.ts";
import { assertAccurate } from "../accuracy.ts";
import { assertEquals } from "../assert.ts";
import type { MemoryModel } from "../memory_model.ts";

/** Fails unless every row has the model's bits. */
export function assertSameRows(live: DurableAttention, model: MemoryModel): void {
  assertEquals([...live.keySlots()], model.keySlots);
  assertEquals([...live.querySlots()], model.querySlots);
  const looksAtPositions = model.rule.causal !== false;
  for (const [slot, { key, value, position }] of model.keys) {
    if (looksAtPositions) assertEquals(live.getPosition(slot), position, `position of key ${slot}`);
    assertSameBits(live.getKey(slot), key, `key ${slot}`);
    assertSameBits(live.getValue(slot), value, `value ${slot}`);
  }
  for (const [slot, { query, position }] of model.queries) {
    if (looksAtPositions) assertEquals(live.getQueryPosition(slot), position, `position of query ${slot}`);
    assertSameBits(live.getQuery(slot), query, `query ${slot}`);
  }
}

/** As `assertSameRows`, and answers are as accurate as promised. */
export async function assertSameMemory(live: DurableAttention, model: MemoryModel): Promise<void> {
  assertSameRows(live, model);
  const rows = model.querySlots;
  assertAccurate(await live.read(rows), model.standing(rows));
}

function assertSameBits(actual: Float32Array, expected: Float32Array, what: string): void {
  const isSame = actual.length === expected.length &&
    actual.every((number, at) => Object.is(number, expected[at]));
  if (!isSame) assertEquals(bitsOf(actual), bitsOf(expected), what);
}

/** The bits of numbers: −0 is not 0. */
export function bitsOf(numbers: Float32Array): string {
  return Array.from(new Uint32Array(numbers.slice().buffer), (bits) => bits.toString(16)).join(" ");
}
