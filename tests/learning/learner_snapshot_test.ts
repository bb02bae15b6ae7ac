// A learner that was interrupted goes on as if it had not been, to the last bit; what is no snapshot is
// refused.

import { DynamicAttention, FormatError, InputError } from "../../mod.ts";
import {
  adagrad,
  adam,
  inverseScaling,
  logisticLoss,
  OnlineLearner,
  type Optimizer,
  sgd,
} from "../../src/learning/mod.ts";
import { assertEquals, assertNotEquals, assertRejects } from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { forge } from "../../testing/forged_files.ts";
import { Random } from "../../testing/random.ts";

const STEPS = 6;

async function create(backend: (typeof BACKENDS)[number], optimizer: Optimizer) {
  const random = new Random(3);
  const live = await DynamicAttention.create({
    query: random.rows(3, 4),
    key: random.rows(6, 4),
    value: random.rows(6, 4),
    lazyThreshold: 3,
    backend,
  });
  return { live, learner: new OnlineLearner(live, rules(optimizer)) };
}

function rules(optimizer: Optimizer) {
  return {
    optimizer,
    loss: logisticLoss(),
    rate: inverseScaling(0.3),
    top: 3,
    reads: "stale",
    seed: 5,
  } as const;
}

/** Step `at`: rows come and go, the learner draws, predicts and learns. */
async function step(learner: OnlineLearner, at: number): Promise<unknown> {
  const { live, random } = learner;
  if (at % 3 === 1) live.delete(live.keySlots()[0]);
  if (at % 3 === 2) live.insert(random.normalRow(4, 1), random.normalRow(4, 1));
  const [query] = random.sample(live.querySlots(), 1), [against] = random.sample(live.keySlots(), 1);
  const predicted = await learner.predictOne({ query, against });
  return [predicted, await learner.learnOne({ query, against }, random.below(2))];
}

for (const backend of BACKENDS) {
  for (const optimizer of [sgd({ weightDecay: 0.01 }), adagrad(), adam()]) {
    Deno.test(`interrupted at any step, both go on alike: ${backend}, ${optimizer.name}`, async () => {
      for (let interruption = 0; interruption < STEPS; interruption++) {
        const { live, learner } = await create(backend, optimizer);
        for (let at = 0; at < interruption; at++) await step(learner, at);
        const bytes = await learner.save();
        const loaded = await OnlineLearner.load(bytes, { ...rules(optimizer), seed: 99 });
        assertEquals(loaded.live.stats().backend, backend);
        assertEquals(loaded.stats(), learner.stats());
        assertEquals(await loaded.save(), bytes, "the same file again");
        for (let at = interruption; at < STEPS; at++) {
          assertEquals(await step(loaded, at), await step(learner, at), `step ${at} after ${interruption}`);
        }
        assertEquals(await loaded.save(), await learner.save());
        assertNotEquals(await learner.save(), bytes);
        await loaded.live.dispose();
        await live.dispose();
      }
    });
  }
}

Deno.test("a snapshot is of its turn: calls after it are not in it", async () => {
  const { live, learner } = await create("array", adagrad());
  await step(learner, 0);
  const expected = await learner.save();
  const saving = learner.save();
  const learning = learner.learnOne({ query: 0, against: 1 }, 1);
  assertEquals(await saving, expected);
  await learning;
  await live.dispose();
});

Deno.test("other rules than those that were saved are refused", async () => {
  const { live, learner } = await create("array", adagrad());
  await step(learner, 0);
  const bytes = await learner.save();
  const load = (options: object) => OnlineLearner.load(bytes, options);
  await assertRejects(() => load(rules(adam())), InputError, "optimizer is adam(");
  await assertRejects(() => load({ optimizer: adagrad() }), InputError, "loss is squared, expected logistic");
  await assertRejects(() => load({ ...rules(adagrad()), scale: 1 }), InputError, 'option "scale" is unknown');
  await assertRejects(() => OnlineLearner.load("x" as never), InputError, "bytes are");
  await assertRejects(
    async () => OnlineLearner.load(await live.save(), rules(adagrad())),
    FormatError,
    "metadata format",
  );
  await assertRejects(() => DynamicAttention.load(bytes), FormatError, "metadata format");
  await live.dispose();
});

Deno.test("damaged files are refused, wherever they are damaged", async () => {
  const { live, learner } = await create("array", adagrad());
  for (let at = 0; at < 3; at++) await step(learner, at);
  const bytes = await learner.save();
  for (let at = 0; at < bytes.length; at += 97) {
    const damaged = bytes.slice();
    damaged[at] ^= 1;
    await assertRejects(() => OnlineLearner.load(damaged, rules(adagrad())), FormatError);
  }
  await assertRejects(() => OnlineLearner.load(bytes.subarray(0, 900), rules(adagrad())), FormatError);
  const forgeries: [Parameters<typeof forge>[1], string][] = [
    [({ metadata }) => metadata.steps = "1.5", "metadata steps"],
    [({ metadata }) => metadata.random = "-1", "metadata random"],
    [({ metadata }) => metadata.more = "1", 'metadata has "more"'],
    [({ tensors }) => tensors.more = tensors["key.slots"], "file has a tensor more"],
    [({ tensors }) => delete tensors["query.states"], "tensor query.states is missing"],
    [({ tensors }) => tensors["key.slots"].data[0] = 77, "live slots in ascending order"],
    [({ tensors }) => tensors["key.slots"].data.reverse(), "live slots in ascending order"],
    [({ tensors }) => tensors["value.states"].data[1] = NaN, "finite numbers"],
    [({ tensors }) => tensors["value.states"].shape.reverse(), "tensor value.states is F64"],
    [({ tensors }) => tensors.engine.data[40] ^= 1, "DynamicAttention.load"],
  ];
  for (const [change, message] of forgeries) {
    const forged = await forge(bytes, (content) => void change(content));
    await assertRejects(() => OnlineLearner.load(forged, rules(adagrad())), FormatError, message);
  }
  await live.dispose();
});
