// Answers that are given while rows are brought up to date, and taken behind their bounds.

import { DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import type { Ahead } from "../../src/backends/backend.ts";
import { EarlyAnswer } from "../../src/schedule/early_answer.ts";
import { assertEquals, assertStrictEquals } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

/** Gives numbers into the caller's array, or into one of its own. */
function giving(numbers: readonly number[]) {
  const asked: (Ahead | undefined)[] = [];
  const early = new EarlyAnswer((_slots, ahead?: Ahead) => {
    asked.push(ahead);
    if (ahead) {
      const output = ahead.wanted.into ?? new Float32Array(numbers.length);
      output.set(numbers);
      ahead.given = { output, logSumExp: new Float64Array(0) };
    }
    return null;
  });
  return { early, asked };
}

Deno.test("early answers: the caller's array is written on the way only where bounds are known", () => {
  const { early, asked } = giving([1, 2]), into = new Float32Array(2), slots = Uint32Array.of(0);
  early.bringUp(slots, into, false);
  assertEquals([asked[0], early.take(), [...into]], [undefined, null, [0, 0]]);
  early.bringUp(slots, into, true);
  assertStrictEquals(early.take(), into);
  assertEquals([...into], [1, 2]);
  early.bringUp(slots, null, false);
  assertEquals([...early.take()!], [1, 2]);
  assertEquals(early.take(), null, "an answer is taken once");
});

Deno.test("early answers: one whose bounds failed is not that of the next question", () => {
  const { early } = giving([1, 2]);
  early.bringUp(Uint32Array.of(0), null, false);
  early.begin();
  assertEquals(early.take(), null);
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
