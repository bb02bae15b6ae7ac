// Layers of edits: what waits, and for how long.

import type { HeadLayout } from "../../src/numerics/head_layout.ts";
import { LayerStack } from "../../src/write/layers.ts";
import { SlotTable } from "../../src/write/slot_table.ts";
import { assertEquals } from "../../testing/assert.ts";
import { MapSource } from "../../testing/edit_log_base.ts";

const LAYOUT: HeadLayout = { heads: 1, kvHeads: 1, headDim: 1, valueDim: 1 };

/** A stack over three stored keys and a query, of rows of two numbers. */
function makeStack(): { stack: LayerStack; stored: MapSource } {
  const stored = new MapSource([[0, [1, 2, 0]], [1, [3, 4, 0]], [2, [5, 6, 0]]]);
  const queries = new MapSource([[0, [1, 0, 0]]]);
  const config = {
    layout: LAYOUT,
    mask: null,
    keySlots: new SlotTable(new Float64Array(3)),
    querySlots: new SlotTable(new Float64Array(1)),
  };
  return { stack: new LayerStack(config, { keys: stored, queries }), stored };
}

/** Slots that wait, those that are pending, and those that are not stored. */
function countsOf(stack: LayerStack): number[] {
  return [stack.waitingKeys, stack.pending, stack.unstored];
}

/** Tells the stack that its lowest layer, of one row, was stored. */
function store(stack: LayerStack, stored: MapSource, slot: number, row: number[]): void {
  stored.rows.set(slot, row);
  stack.stored();
}

Deno.test("layers: a key waits until every state knows of it, stored or not", () => {
  const { stack, stored } = makeStack();
  stack.top.keys.put(1, Float32Array.of(7, 8));
  assertEquals(countsOf(stack), [1, 1, 1]);
  const layer = stack.seal(1)!;
  assertEquals(countsOf(stack), [1, 1, 1]);
  store(stack, stored, 1, [7, 8, 0]);
  assertEquals(countsOf(stack), [1, 1, 0]);
  // Once more, while it waits: it is still one slot.
  stack.top.keys.put(1, Float32Array.of(9, 8));
  assertEquals(countsOf(stack), [1, 1, 1]);
  stack.settle(layer.number);
  assertEquals(countsOf(stack), [1, 1, 1]);
  stack.settle(stack.seal(2)!.number);
  store(stack, stored, 1, [9, 8, 0]);
  assertEquals(countsOf(stack), [0, 0, 0]);
});

Deno.test("layers: what was settled too early waits again, beyond its storing", () => {
  const { stack, stored } = makeStack();
  stack.top.keys.put(1, Float32Array.of(7, 8));
  stack.settle(stack.seal(1)!.number);
  assertEquals(countsOf(stack), [0, 1, 1]);
  stack.top.keys.put(2, Float32Array.of(7, 8));
  stack.waitAgain();
  assertEquals(countsOf(stack), [2, 2, 2]);
  // It is counted once, though it is in two layers.
  stack.top.keys.put(1, Float32Array.of(9, 9));
  assertEquals(countsOf(stack), [2, 2, 3]);
  store(stack, stored, 1, [7, 8, 0]);
  assertEquals(countsOf(stack), [2, 2, 2]);
});

Deno.test("layers: what is put back is one layer, and waits as it did", () => {
  const { stack } = makeStack();
  stack.top.keys.put(1, Float32Array.of(7, 8));
  stack.settle(stack.seal(1)!.number);
  stack.top.keys.put(2, Float32Array.of(7, 8));
  stack.seal(2);
  stack.top.keys.put(2, Float32Array.of(5, 6));
  stack.putBack();
  // Slot 2 is what it was.
  assertEquals(countsOf(stack), [1, 1, 1]);
  assertEquals(stack.top.keys.element(1, 0), 7);
});
