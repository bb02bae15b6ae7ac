// Answers that are given while rows are brought up to date, and taken behind their bounds.

import { DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import type { Ahead } from "../../src/backends/backend.ts";
import { EarlyAnswer } from "../../src/schedule/early_answer.ts";
import { assert, assertEquals, assertStrictEquals } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const LAYOUT = { heads: 1, kvHeads: 1, headDim: 2, valueDim: 2 };

/** Gives numbers into the room of a question, or into an array of its own. */
function giving(numbers: readonly number[]) {
  const rooms: (Float32Array | null)[] = [];
  const early = new EarlyAnswer((_slots, ahead?: Ahead) => {
    rooms.push(ahead?.wanted.into ?? null);
    if (ahead) {
      const output = ahead.wanted.into ?? new Float32Array(numbers.length);
      output.set(numbers);
      ahead.given = { output, logSumExp: new Float64Array(0) };
    }
    return null;
  }, LAYOUT);
  return { early, rooms };
}

Deno.test("early answers: the caller's array is written when the answer is taken, and the room is wiped", () => {
  const { early, rooms } = giving([1, 2]), into = new Float32Array(2);
  early.bringUp(Uint32Array.of(0), true);
  assertEquals([...into], [0, 0]);
  assert(rooms[0] !== into);
  assertStrictEquals(early.take(into), into);
  assertEquals([...into], [1, 2]);
  assertEquals([...rooms[0]!], [0, 0]);
});

Deno.test("early answers: one whose bounds failed is not that of the next question", () => {
  const { early } = giving([1, 2]);
  early.bringUp(Uint32Array.of(0), false);
  early.begin();
  assertEquals(early.take(null), null);
});

Deno.test("early answers: large ones for an array of the caller's are left to a pass of their own", () => {
  const { early, rooms } = giving([1, 2]);
  early.bringUp(new Uint32Array(2 ** 15), true);
  assertEquals([rooms[0], early.take(new Float32Array(2 ** 16))], [null, null]);
  early.bringUp(Uint32Array.of(0), false);
  assertEquals([...early.take(null)!], [1, 2]);
});

for (const isInto of [false, true]) {
  Deno.test(`early answers: within an error of 0 they have the bits of a read, into an array or not: ${isInto}`, async () => {
    const random = new Random(4), [queries, keys, dim] = [40, 300, 8];
    const options: DynamicAttentionOptions = {
      ...{ query: random.rows(queries, dim), key: random.rows(keys, dim), value: random.rows(keys, dim) },
      backend: "wasm",
      threads: 1,
    };
    await using near = await DynamicAttention.create({ ...options, lazyThreshold: { error: 0 } });
    await using exact = await DynamicAttention.create(options);
    await exact.read();
    const array = new Float32Array(queries * dim);
    for (let step = 0; step < 12; step++) {
      const slot = random.below(keys), row = random.row(dim);
      for (const engine of [near, exact]) engine.setKey(slot, row);
      const { output } = await near.peek(undefined, isInto ? { into: array } : {}),
        { data } = await exact.read();
      if (isInto) assertStrictEquals(output.data, array);
      assertEquals(output.data, data);
    }
  });
}
