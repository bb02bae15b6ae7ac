// Test first, learn afterwards, and no sooner than y is known.

import { InputError } from "../../mod.ts";
import { MAE, progressiveValidation } from "../../src/learning/mod.ts";
import { assertEquals, assertRejects } from "../assert.ts";

function recorder() {
  const calls: string[] = [];
  return {
    calls,
    predictOne(x: string) {
      calls.push(`predict ${x}`);
      return 1;
    },
    async learnOne(x: string, y: unknown) {
      await Promise.resolve();
      calls.push(`learn ${x} ${y}`);
    },
  };
}

const stream = ["a", "b", "c"].map((x, y) => ({ x, y }));

Deno.test("without a delay each example is predicted and then learned", async () => {
  const model = recorder(), metric = new MAE();
  const counts: number[] = [];
  const count = await progressiveValidation(stream, model, metric, { onPrediction: (n) => counts.push(n) });
  assertEquals([count, metric.get(), counts], [3, 2 / 3, [1, 2, 3]]);
  assertEquals(model.calls, ["predict a", "learn a 0", "predict b", "learn b 1", "predict c", "learn c 2"]);
});

Deno.test("with a delay an example is learned so many predictions later, and what is left at the end", async () => {
  const model = recorder();
  async function* later() {
    for (const sample of stream) yield await Promise.resolve(sample);
  }
  assertEquals(await progressiveValidation(later(), model, [new MAE(), new MAE()], { delay: 1 }), 3);
  assertEquals(model.calls, ["predict a", "predict b", "learn a 0", "predict c", "learn b 1", "learn c 2"]);
});

Deno.test("bad options are refused", async () => {
  const run = (options: object) => progressiveValidation(stream, recorder(), new MAE(), options);
  await assertRejects(() => run({ delay: -1 }), InputError, "progressiveValidation: delay is -1");
  await assertRejects(() => run({ wait: 1 }), InputError, 'option "wait" is unknown');
});
