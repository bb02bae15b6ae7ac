// Full suite: it fills memories of a hundred thousand keys.
//
// A dominating key that is edited, deleted and inserted again at every step. It must cost what any edit costs, not a
// rebuild of every row it dominates, and leave the accuracy of the rows alone.

import { DynamicAttention } from "../../mod.ts";
import { assertEquals, assertLess } from "../../testing/assert.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { BACKENDS } from "../backends_here.ts";
import { MemoryModel, type ModelKey } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";

const QUERIES = 4, HEAD_DIM = 8, VALUE_DIM = 2, STEPS = 300;

const RULE = {
  heads: 1,
  kvHeads: 1,
  headDim: HEAD_DIM,
  valueDim: VALUE_DIM,
  scale: 1,
  softcap: 0,
  causal: false,
  window: [Infinity, Infinity],
  maskOf: null,
} as const;

/** Counted work of the stream, for a dominating key whose scores are about `size`. */
async function run(backend: typeof BACKENDS[number], keys: number, size: number) {
  const random = new Random(4);
  const model = new MemoryModel(RULE);
  // Every query looks along the first axis, on which the dominating key lies.
  for (let i = 0; i < QUERIES; i++) model.insertQuery(i, random.row(HEAD_DIM).with(0, 1));
  for (let j = 0; j < keys; j++) model.insertKey(j, random.row(HEAD_DIM, 0.5), random.row(VALUE_DIM));
  await using engine = await DynamicAttention.create({
    ...model.matrices(),
    scale: 1,
    lazyThreshold: 1,
    onThreshold: "patch",
    backend,
  });
  const dominating = () => {
    const row = new Float32Array(HEAD_DIM);
    row[0] = size * (1 + random.next());
    return row;
  };
  const before = engine.stats();
  let slot: number | null = null;
  for (let step = 0; step < STEPS; step++) {
    if (slot === null) {
      const key = dominating(), value = random.row(VALUE_DIM);
      slot = engine.insert(key, value);
      model.insertKey(slot, key, value);
    } else if (step % 3 === 1) {
      const key = dominating();
      engine.setKey(slot, key);
      (model.keys.get(slot) as ModelKey).key = key;
    } else {
      engine.delete(slot);
      model.keys.delete(slot);
      slot = null;
    }
    await engine.peek([0]);
    if (keys <= 10_000 && step % 30 === 0) {
      assertAccurate(await engine.read(), model.standing(), `step ${step}`);
    }
  }
  const after = engine.stats();
  return {
    multiplyAdds: (after.multiplyAdds - before.multiplyAdds) / STEPS,
    refreshes: after.refreshes - before.refreshes,
    naive: QUERIES * keys * (HEAD_DIM + VALUE_DIM),
  };
}

for (const backend of BACKENDS) {
  for (const size of [20, 60, 700]) {
    Deno.test(`hostile stream on ${backend}: a key of scores about ${size} that comes and goes`, async () => {
      const small = await run(backend, 10_000, size);
      const large = await run(backend, 100_000, size);
      console.log(
        `  scores about ${size}: ${small.multiplyAdds.toFixed(0)} multiply-adds a step at n = 10,000 and ` +
          `${
            large.multiplyAdds.toFixed(0)
          } at 100,000, where refreshing ${QUERIES} rows takes ${large.naive}`,
      );
      assertEquals([small.refreshes, large.refreshes], [0, 0]);
      assertLess(large.multiplyAdds, 1.1 * small.multiplyAdds);
      assertLess(large.multiplyAdds, large.naive / 1000);
    });
  }

  Deno.test(`hostile stream on ${backend}: more heavy keys than a row can note`, async () => {
    const random = new Random(9);
    const model = new MemoryModel(RULE);
    model.insertQuery(0, random.row(HEAD_DIM).with(0, 1));
    for (let j = 0; j < 50; j++) model.insertKey(j, random.row(HEAD_DIM, 0.1), random.row(VALUE_DIM));
    await using engine = await DynamicAttention.create({
      ...model.matrices(),
      scale: 1,
      lazyThreshold: 1,
      onThreshold: "patch",
      backend,
    });
    const slots: number[] = [];
    for (let level = 1; level <= 30; level++) {
      const key = new Float32Array(HEAD_DIM).with(0, 40 * level), value = random.row(VALUE_DIM);
      slots.push(engine.insert(key, value));
      model.insertKey(slots[slots.length - 1], key, value);
      assertAccurate(await engine.read(), model.standing(), `level ${level}`);
    }
    while (slots.length > 0) {
      const slot = slots.pop() as number;
      engine.delete(slot);
      model.keys.delete(slot);
      assertAccurate(await engine.read(), model.standing(), `${slots.length} left`);
    }
    assertLess(engine.stats().refreshes, 31);
  });
}
