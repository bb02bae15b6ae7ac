// A learner over a durable engine learns the same bits as one that nobody interrupts, however often it is opened anew.

import { DynamicAttention } from "../../mod.ts";
import { DurabilityError, openDurable } from "../../src/durable/mod.ts";
import { adagrad, attentionGradients, OnlineLearner, sgd } from "../../src/learning/mod.ts";
import { InputError } from "../../mod.ts";
import { assertEquals, assertGreater, assertRejects } from "../../testing/assert.ts";
import { bitsOf } from "../../testing/durable/same_rows.ts";
import { Random } from "../../testing/random.ts";

const random = new Random(8);
const CREATE = {
  query: random.rows(2, 4),
  key: random.rows(6, 4),
  value: random.rows(6, 1),
  backend: "array",
} as const;

/** The steps of a stream; deletions of rows take their states along. */
function steps(learner: OnlineLearner, from: number, to: number): (() => Promise<unknown>)[] {
  return Array.from({ length: to - from }, (_, at) => {
    const step = from + at;
    if (step === 7) return () => learner.forgetKey(2);
    if (step === 9) return () => Promise.resolve(learner.live.insert([1, 0, 0, 1], [3]));
    return () => learner.learnOne({ query: step % 2 }, Math.sin(step));
  });
}

Deno.test("a learner goes on with the same bits after each opening, snapshots included", async () => {
  const folder = await Deno.makeTempDir();
  await using plain = await DynamicAttention.create(CREATE);
  const untouched = new OnlineLearner(plain, { optimizer: adagrad(), rate: 0.2 });
  for (const step of steps(untouched, 0, 20)) await step();
  for (let from = 0; from < 20; from += 4) {
    await using live = await openDurable(`${folder}/memory`, { create: CREATE });
    const learner = await live.learner({ optimizer: adagrad(), rate: 0.2 });
    for (const step of steps(learner, from, from + 4)) await step();
    assertEquals(live.stats().durable.committed, live.stats().durable.sequence);
    if (from === 8) await live.snapshot();
    assertEquals((await live.verify({ deep: true })).problems, []);
  }
  await using live = await openDurable(`${folder}/memory`, { create: CREATE });
  const learner = await live.learner({ optimizer: adagrad(), rate: 0.2 });
  assertEquals(learner.stats(), untouched.stats());
  assertGreater(learner.stats().keyStates, 3);
  assertEquals([...live.keySlots()], [...plain.keySlots()]);
  for (const slot of plain.keySlots()) {
    assertEquals(bitsOf(live.getKey(slot)), bitsOf(plain.getKey(slot)), `key ${slot}`);
    assertEquals(bitsOf(live.getValue(slot)), bitsOf(plain.getValue(slot)), `value ${slot}`);
  }
  for (const slot of plain.querySlots()) {
    assertEquals(bitsOf(live.getQuery(slot)), bitsOf(plain.getQuery(slot)));
  }
  await assertRejects(
    () => live.learner({ optimizer: sgd() }),
    InputError,
    "with which it has learned",
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("what takes an engine takes a durable one; one that is looked at does not learn", async () => {
  const folder = await Deno.makeTempDir();
  await using plain = await DynamicAttention.create(CREATE);
  await using live = await openDurable(`${folder}/memory`, { create: CREATE });
  assertEquals(
    await attentionGradients(live.engine, [[1], [2]]),
    await attentionGradients(plain, [[1], [2]]),
  );
  live.engine.delete(3);
  await live.engine.read();
  assertEquals(live.stats().durable.committed, 1);
  await using look = await openDurable(`${folder}/memory`, { readOnly: true });
  assertEquals(look.stats().keyCount, 5);
  await assertRejects(() => look.learner(), DurabilityError, "to look at only");
  await Deno.remove(folder, { recursive: true });
});
