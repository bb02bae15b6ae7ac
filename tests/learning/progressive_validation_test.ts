// Test first, learn afterwards, and no sooner than y is known.

import { InputError } from "../../mod.ts";
import { MAE, progressiveValidation, RMSE } from "../../src/learning/mod.ts";
import { assertEquals, assertRejects } from "../../testing/assert.ts";

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

Deno.test("with a delay an example is learned that many predictions later, and the rest at the end", async () => {
  const model = recorder();
  async function* later() {
    for (const sample of stream) yield await Promise.resolve(sample);
  }
  assertEquals(await progressiveValidation(later(), model, [new MAE(), new MAE()], { delay: 1 }), 3);
  assertEquals(model.calls, ["predict a", "predict b", "learn a 0", "predict c", "learn b 1", "learn c 2"]);
});

Deno.test("an example that a metric refuses is counted by none, and ends the run", async () => {
  const model = recorder(), [mae, rmse] = [new MAE(), new RMSE()];
  const own = {
    name: "own",
    count: 0,
    update() {
      this.count++;
    },
    get: () => 0,
  };
  const hostile = [{ x: "a", y: 0 }, { x: "b", y: 1e200 }, { x: "c", y: 0 }];
  await assertRejects(
    () => progressiveValidation(hostile, model, [mae, own, rmse]),
    InputError,
    "RMSE.update: the measure of [1e+200] and [1] is Infinity, expected a finite number",
  );
  assertEquals([mae.count, own.count, rmse.count], [1, 1, 1]);
  assertEquals(model.calls, ["predict a", "learn a 0", "predict b"]);
  // One that cannot be asked before refuses first.
  const refuses = {
    ...own,
    update() {
      throw new Error("no");
    },
  };
  await assertRejects(() => progressiveValidation(stream, recorder(), [mae, refuses]), Error, "no");
  assertEquals(mae.count, 1);
});

Deno.test("what is predicted is what is learned, whatever becomes of the example meanwhile", async () => {
  const model = recorder();
  const samples = stream.map((sample) => ({ ...sample }));
  const change = (count: number) => {
    samples[count - 1].x = "changed";
    samples[count - 1].y = 9;
  };
  await progressiveValidation(samples, model, new MAE(), { delay: 1, onPrediction: change });
  assertEquals(model.calls.filter((call) => call.startsWith("learn")), [
    "learn a 0",
    "learn b 1",
    "learn c 2",
  ]);
});

Deno.test("bad options are refused", async () => {
  const run = (options: object) => progressiveValidation(stream, recorder(), new MAE(), options);
  const refused: [() => Promise<unknown>, string][] = [
    [() => run({ delay: -1 }), "progressiveValidation: delay is -1"],
    [() => run({ wait: 1 }), 'option "wait" is unknown'],
    [() => run({ onPrediction: 1 }), "onPrediction is 1, expected a function"],
    [() => run(null as never), "options are null"],
    [
      () => progressiveValidation(stream, {} as never, new MAE()),
      "model is an object (Object), expected an object",
    ],
    [() => progressiveValidation(stream, recorder(), [new MAE(), null as never]), "metric 1 is null"],
    [() => progressiveValidation([{ x: "a" }] as never, recorder(), []), "example 0 is an object (Object)"],
    [() => progressiveValidation([null] as never, recorder(), []), "example 0 is null"],
  ];
  for (const [call, message] of refused) await assertRejects(call, InputError, message);
});
