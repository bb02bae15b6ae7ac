// Whether a durable engine holds what a model says, to the bit, and answers what the oracle says.

import type { RowId } from "../../mod.ts";
import type { DurableAttention } from "../../src/durable/mod.ts";
import { assertAccurate } from "../accuracy.ts";
import { assertEquals } from "../assert.ts";
import type { MemoryModel, ModelKey, ModelQuery } from "../memory_model.ts";

/** An engine whose rows are called by slots or by ids. */
export type AnyDurable = DurableAttention<RowId, RowId>;

/** Fails unless every row has the model's bits, and its name. */
export function assertSameRows(live: AnyDurable, model: MemoryModel): void {
  const { names, keySlots, querySlots } = model;
  assertEquals([...live.keySlots()], keySlots);
  assertEquals([...live.querySlots()], querySlots);
  const keyNames = live.keyIds(), queryNames = live.queryIds();
  const looksAtPositions = model.rule.causal !== false;
  keySlots.forEach((slot, at) => {
    const { key, value, position, label } = model.keys.get(slot) as ModelKey, name = keyNames[at];
    assertEquals(name, names ? names.key(label) : slot);
    if (looksAtPositions) assertEquals(live.getPosition(name), position, `position of key ${slot}`);
    assertSameBits(live.getKey(name), key, `key ${slot}`);
    assertSameBits(live.getValue(name), value, `value ${slot}`);
  });
  querySlots.forEach((slot, at) => {
    const { query, position, label } = model.queries.get(slot) as ModelQuery, name = queryNames[at];
    assertEquals(name, names ? names.query(label) : slot);
    if (looksAtPositions) assertEquals(live.getQueryPosition(name), position, `position of query ${slot}`);
    assertSameBits(live.getQuery(name), query, `query ${slot}`);
  });
}

/** As `assertSameRows`, and answers are as accurate as promised. */
export async function assertSameMemory(live: AnyDurable, model: MemoryModel): Promise<void> {
  assertSameRows(live, model);
  assertAccurate(await live.read(), model.standing());
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
