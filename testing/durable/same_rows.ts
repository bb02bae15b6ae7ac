// Whether a durable engine holds what a model says, to the bit, and answers what the oracle says.

import type { DurableAttention } from "../../src/durable/mod.ts";
import { assertAccurate } from "../accuracy.ts";
import { assertEquals } from "../assert.ts";
import type { MemoryModel } from "../memory_model.ts";

/** Fails unless every row has the model's bits. */
export function assertSameRows(live: DurableAttention, model: MemoryModel): void {
  assertEquals([...live.keySlots()], model.keySlots);
  assertEquals([...live.querySlots()], model.querySlots);
  for (const [slot, { key, value }] of model.keys) {
    assertEquals(bitsOf(live.getKey(slot)), bitsOf(key), `key ${slot}`);
    assertEquals(bitsOf(live.getValue(slot)), bitsOf(value), `value ${slot}`);
  }
  for (const [slot, { query }] of model.queries) {
    assertEquals(bitsOf(live.getQuery(slot)), bitsOf(query), `query ${slot}`);
  }
}

/** As `assertSameRows`, and answers are as accurate as promised. */
export async function assertSameMemory(live: DurableAttention, model: MemoryModel): Promise<void> {
  assertSameRows(live, model);
  const rows = model.querySlots;
  assertAccurate(await live.read(rows), model.standing(rows));
}

/** The bits of numbers: −0 is not 0. */
export function bitsOf(numbers: Float32Array): string {
  return Array.from(new Uint32Array(numbers.slice().buffer), (bits) => bits.toString(16)).join(" ");
}
