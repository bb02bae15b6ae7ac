// Functions of the caller's that throw, answer nonsense, edit the engine, call the learner again or dispose
// the engine: each call happened as a whole, or not at all.

import { DisposedError, DynamicAttention, InputError } from "../../mod.ts";
import {
  adagrad,
  HitRate,
  type LearnerOptions,
  type Loss,
  MeanMetric,
  OnlineLearner,
  type Optimizer,
  squaredLoss,
} from "../../src/learning/mod.ts";
import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { Random } from "../../testing/random.ts";

const QUERIES = 3, KEYS = 4, D = 3, DV = 2;

function optionsOf(seed: number) {
  const random = new Random(seed);
  return { query: random.rows(QUERIES, D), key: random.rows(KEYS, D), value: random.rows(KEYS, DV) };
}

/** All rows, by slot. */
function rowsOf(live: DynamicAttention) {
  return {
    query: Array.from(live.querySlots(), (slot) => [slot, live.getQuery(slot)] as const),
    key: Array.from(live.keySlots(), (slot) => [slot, live.getKey(slot), live.getValue(slot)] as const),
  };
}

type Callback = "check" | "predict" | "value" | "gradient" | "rate" | "rowRate" | "step" | "stateLength";
const IN_A_STEP: readonly Callback[] = ["check", "predict", "value", "gradient", "rate", "rowRate", "step"];

/** Options whose functions call `before` first, with their name and how often they were called. */
function watched(before: (callback: Callback, call: number) => void): LearnerOptions {
  const calls = new Map<Callback, number>();
  const note = (callback: Callback) => {
    calls.set(callback, (calls.get(callback) ?? 0) + 1);
    before(callback, calls.get(callback) as number);
  };
  const loss = squaredLoss(), optimizer = adagrad();
  return {
    loss: {
      name: "watched",
      check: (...given) => (note("check"), loss.check(...given)),
      predict: (scores) => (note("predict"), loss.predict(scores)),
      value: (...given) => (note("value"), loss.value(...given)),
      gradient: (...given) => (note("gradient"), loss.gradient(...given)),
    },
    optimizer: {
      name: "watched",
      stateLength: (width) => (note("stateLength"), optimizer.stateLength(width)),
      step: (...given) => (note("step"), optimizer.step(...given)),
    },
    rate: () => (note("rate"), 0.1),
    rowRate: () => (note("rowRate"), 1),
  };
}

for (const backend of BACKENDS) {
  Deno.test(`a function that throws, before or in the step, leaves everything as it was: ${backend}`, async () => {
    await using live = await DynamicAttention.create({ ...optionsOf(1), backend });
    let failing: Callback | null = null, at = 1, cause: unknown = new TypeError("oops");
    const learner = new OnlineLearner(
      live,
      watched((callback, call) => {
        if (callback === failing && call >= at) throw cause;
      }),
    );
    await learner.learnOne({ query: 1 }, [1, 2]);
    const { rowsStepped } = await learner.learnOne({ query: 1 }, [1, 2]);
    assertEquals(rowsStepped, 1 + 2 * KEYS);
    const before = await learner.save();
    for (const callback of IN_A_STEP) {
      // The first call, and one when other rows have been planned.
      for (const later of [0, 1, 3]) {
        if (later > 0 && callback !== "step" && callback !== "rowRate") continue;
        for (cause of [new TypeError("oops"), "a text", null, undefined]) {
          failing = callback;
          at = later === 0 ? 0 : 2 * (1 + 2 * KEYS) + later + 1;
          const error = await assertRejects(
            () => learner.learnOne({ query: 1 }, [3, 4]),
            InputError,
            " threw ",
          );
          assertEquals([error.operation, error.cause], ["OnlineLearner.learnOne", cause]);
          failing = null;
          assertEquals(await learner.save(), before, `${callback} ${later}`);
        }
      }
    }
    failing = "predict";
    at = 0;
    await assertRejects(
      () => learner.predictOne({ query: 0 }),
      InputError,
      "the prediction of loss watched threw",
    );
    await assertRejects(() => learner.peekOne({ query: 0 }), InputError, "OnlineLearner.peekOne");
    failing = null;
    assertEquals(learner.stats().exactReads + learner.stats().staleReads, 0, "what failed is not counted");
    assertEquals((await learner.learnOne({ query: 1 }, [3, 4])).rowsStepped, 1 + 2 * KEYS);
  });
}

Deno.test("an InputError of a check is passed on, and other errors become a cause", async () => {
  await using live = await DynamicAttention.create(optionsOf(2));
  const learner = new OnlineLearner(live);
  const error = await assertRejects(() => learner.learnOne({ query: 0 }, 1), InputError);
  assertEquals(error.message, "OnlineLearner.learnOne: y has 1 numbers, expected 2 (one for each score)");
  const metric = new HitRate(1);
  const other = assertThrows(() => metric.update(5, [1, 2]), InputError);
  assertEquals(other.message, "HitRate@1.update: y is [5], expected an index below 2, the scores");
  const cause = new RangeError("oops");
  const own = new MeanMetric("own", () => {
    throw cause;
  });
  assertEquals(assertThrows(() => own.update(1, 1), InputError).cause, cause);
});

Deno.test("a function that answers nonsense leaves everything as it was", async () => {
  await using live = await DynamicAttention.create(optionsOf(2));
  const plain = adagrad();
  const losses: [Partial<Loss>, string][] = [
    [
      { predict: () => new Float64Array(1) },
      "the prediction of loss own is an object (Float64Array), expected",
    ],
    [{ predict: () => Float64Array.of(1, NaN) }, "the prediction of loss own has NaN at index 1"],
    [{ predict: () => [1, 2] as never }, "the prediction of loss own is [1, 2]"],
    [{ predict: () => undefined as never }, "the prediction of loss own is undefined"],
    [{ value: () => NaN }, "the loss own of"],
    [{ value: () => "1" as never }, 'is "1", expected a number'],
    [{ gradient: () => Float64Array.of(Infinity, 0) }, "the gradient of loss own has Infinity at index 0"],
    [{ gradient: () => new Float64Array(3) }, "the gradient of loss own is an object (Float64Array)"],
    [{ gradient: (async () => await new Float64Array(2)) as never }, "is an object (Promise)"],
  ];
  const optimizers: [Partial<Optimizer>, string][] = [
    [{ step: (_g, _row, _state, _rate, step) => void step.fill(NaN) }, "to NaN in column 0"],
    [{ step: (_g, _row, _state, _rate, step) => void step.fill(1e39) }, "to Infinity in column 0"],
    [{ step: (_g, _row, state) => void state.fill(-Infinity) }, "to -Infinity at index 0"],
  ];
  const others: [LearnerOptions, string][] = [
    [{ rate: () => NaN }, "the rate of step 0 is NaN"],
    [{ rate: () => "1" as never }, 'the rate of step 0 is "1"'],
    [{ rowRate: () => -1 }, "rowRate(key, 0) is -1"],
    [{ rowRate: () => undefined as never }, "rowRate(key, 0) is undefined"],
    ...losses.map(([parts, message]): [LearnerOptions, string] => [
      { loss: { ...squaredLoss(), name: "own", ...parts } },
      message,
    ]),
    ...optimizers.map(([parts, message]): [LearnerOptions, string] => [
      { optimizer: { ...plain, name: "own", ...parts } },
      message,
    ]),
  ];
  for (const [options, message] of others) {
    const learner = new OnlineLearner(live, options), before = await learner.save();
    await assertRejects(() => learner.learnOne({ query: 0 }, [1, 2]), InputError, message);
    assertEquals(await learner.save(), before);
  }
  for (
    const [length, message] of [[NaN, "is NaN"], [-1, "is -1"], [1.5, "is 1.5"], ["2", 'is "2"']] as const
  ) {
    const optimizer = { ...plain, stateLength: () => length as number };
    await assertRejects(
      async () => await new OnlineLearner(live, { optimizer }).save(),
      InputError,
      `OnlineLearner: stateLength(3) of optimizer ${plain.name} ${message}, expected an integer ≥ 0`,
    );
  }
});

Deno.test("what functions do to the arrays that they are given, or answered, changes nothing", async () => {
  const steps = await Promise.all([false, true].map(async (spoils) => {
    const live = await DynamicAttention.create(optionsOf(3));
    const { loss, optimizer } = watched(() => {}) as { loss: Loss; optimizer: Optimizer };
    const answered: Float64Array[] = [];
    const spoil = (...arrays: readonly (ArrayLike<number> | undefined)[]) => {
      if (spoils) { for (const array of arrays) (array as Float64Array).fill(77); }
    };
    const own: LearnerOptions = {
      loss: {
        ...loss,
        check: (operation, targets, count) => (loss.check(operation, targets, count), spoil(targets)),
        predict: (scores) => {
          const prediction = loss.predict(scores);
          spoil(scores, ...answered);
          answered.push(prediction);
          return prediction;
        },
        value: (scores, targets) => {
          const value = loss.value(scores, targets);
          spoil(scores, targets, ...answered);
          return value;
        },
        gradient: (scores, targets) => {
          const gradient = loss.gradient(scores, targets);
          spoil(scores, targets, ...answered);
          answered.push(gradient);
          return gradient;
        },
      },
      optimizer: {
        ...optimizer,
        step: (gradient, row, state, rate, step) => {
          optimizer.step(gradient, row, state, rate, step);
          spoil(gradient, row);
        },
      },
    };
    const learner = new OnlineLearner(live, own);
    const target = [1, 2], against = [0, 1];
    const told: unknown[] = [];
    for (let at = 0; at < 3; at++) told.push(await learner.learnOne({ query: at, against }, target));
    spoil(...answered);
    const bytes = await learner.save();
    await live.dispose();
    return { told, bytes };
  }));
  assertEquals(steps[1], steps[0]);
});

for (const callback of ["rowRate", "step"] as const) {
  Deno.test(`a row that ${callback} deletes, before or after its step was planned, learns nothing`, async () => {
    // Rows are planned in this order: key 0, value 0, key 1, value 1, … and the query.
    for (let at = 1; at <= 1 + 2 * KEYS; at++) {
      for (const slot of [0, 1, 3]) {
        await using live = await DynamicAttention.create(optionsOf(8));
        await using calm = await DynamicAttention.create(optionsOf(8));
        await new OnlineLearner(calm, watched(() => {})).learnOne({ query: 1 }, [1, 2]);
        const learner = new OnlineLearner(
          live,
          watched((called, call) => {
            if (called === callback && call === at) live.delete(slot);
          }),
        );
        const { rowsStepped } = await learner.learnOne({ query: 1 }, [1, 2]);
        assertEquals(rowsStepped, 1 + 2 * (KEYS - 1), `call ${at}, slot ${slot}`);
        calm.delete(slot);
        assertEquals(rowsOf(live), rowsOf(calm));
        const { keyStates, valueStates, queryStates } = learner.stats();
        assertEquals([keyStates, valueStates, queryStates], [KEYS - 1, KEYS - 1, 1]);
      }
    }
  });
}

for (const callback of IN_A_STEP) {
  for (const backend of BACKENDS) {
    Deno.test(`edits that ${callback} makes meanwhile are edits of others: ${backend}`, async () => {
      const options = { ...optionsOf(4), backend };
      await using calm = await DynamicAttention.create(options);
      await using live = await DynamicAttention.create(options);
      const plain = new OnlineLearner(calm, watched(() => {}));
      let edits = () => {};
      const learner = new OnlineLearner(
        live,
        watched((called) => {
          if (called !== callback) return;
          const once = edits;
          edits = () => {};
          once();
        }),
      );
      // Edits of values do not change weights, so that the plain step says what to expect where they come too
      // late for it.
      await plain.learnOne({ query: 1 }, [1, 2]);
      edits = () => {
        live.addToKey(1, 0, 0.5);
        live.delete(3);
        assertEquals(live.insert([9, 9, 9], [7, 7]), 3, "another row in the slot");
        live.setQuery(1, [5, 5, 5]);
      };
      const { rowsStepped } = await learner.learnOne({ query: 1 }, [1, 2]);
      if (callback === "check") {
        // It is asked at the call: its edits come before the question, and the step is that of the edited
        // engine.
        await using edited = await DynamicAttention.create(options);
        edited.addToKey(1, 0, 0.5);
        edited.delete(3);
        edited.insert([9, 9, 9], [7, 7]);
        edited.setQuery(1, [5, 5, 5]);
        await new OnlineLearner(edited, watched(() => {})).learnOne({ query: 1 }, [1, 2]);
        assertEquals(rowsOf(live), rowsOf(edited));
        return;
      }
      assertEquals([live.getKey(3), live.getValue(3)].map((row) => [...row]), [[9, 9, 9], [7, 7]]);
      // The key and the value that went learned nothing.
      assertEquals([rowsStepped, learner.stats().steps], [1 + 2 * (KEYS - 1), 1]);
      assertEquals([learner.stats().keyStates, learner.stats().valueStates, learner.stats().queryStates], [
        3,
        3,
        1,
      ]);
      const start = optionsOf(4);
      for (let c = 0; c < D; c++) {
        const step = calm.getQuery(1)[c] - start.query[1][c];
        assertAlmostEquals(live.getQuery(1)[c], 5 + step, 1e-6, "added to the newest row");
        const added = c === 0 ? 0.5 : 0;
        assertAlmostEquals(live.getKey(1)[c], calm.getKey(1)[c] + added, 1e-6);
        assertEquals(live.getKey(2)[c], calm.getKey(2)[c]);
      }
      assertEquals(live.getValue(0), calm.getValue(0));
    });
  }
}

for (const callback of IN_A_STEP) {
  Deno.test(`calls of the learner from ${callback} come after the call that they are made in`, async () => {
    await using calm = await DynamicAttention.create(optionsOf(5));
    await using live = await DynamicAttention.create(optionsOf(5));
    const plain = new OnlineLearner(calm, watched(() => {}));
    const inner: Promise<unknown>[] = [];
    const learner: OnlineLearner = new OnlineLearner(
      live,
      watched((called) => {
        if (called !== callback || inner.length > 0) return;
        // Before the first call, since some of the callbacks are asked at once.
        inner.push(Promise.resolve());
        inner.push(learner.predictOne({ query: 0 }), learner.learnOne({ query: 2 }, [3, 4]), learner.save());
        inner.push(learner.forgetQuery(0));
      }),
    );
    const told = await learner.learnOne({ query: 1 }, [1, 2]);
    const [, ...answers] = await Promise.all(inner);
    // The check is asked before the call has its place in the queue.
    const first = () => plain.learnOne({ query: 1 }, [1, 2]);
    const expected = callback === "check" ? [] : [await first()];
    expected.push(await plain.predictOne({ query: 0 }) as never);
    expected.push(await plain.learnOne({ query: 2 }, [3, 4]), await plain.save() as never);
    await plain.forgetQuery(0);
    expected.push(undefined as never);
    if (callback === "check") expected.unshift(await first());
    assertEquals([told, ...answers], expected as unknown[]);
    assertEquals(rowsOf(live), rowsOf(calm));
    assertEquals(learner.stats(), plain.stats());
  });

  Deno.test(`an engine that ${callback} disposes ends the call, and nothing was learned`, async () => {
    const live = await DynamicAttention.create(optionsOf(6));
    const ended: Promise<void>[] = [];
    const learner = new OnlineLearner(
      live,
      watched((called) => {
        if (called === callback) ended.push(live.dispose());
      }),
    );
    const { operation } = await assertRejects(() => learner.learnOne({ query: 1 }, [1, 2]), DisposedError);
    assertEquals(operation, "OnlineLearner.learnOne");
    await Promise.all(ended);
    const { steps, keyStates, valueStates, queryStates } = learner.stats();
    assertEquals([steps, keyStates, valueStates, queryStates], [0, 0, 0, 0]);
    for (const call of ["predictOne", "peekOne", "learnOne"] as const) {
      const error = await assertRejects(() => learner[call]({ query: 0 }, [1, 2]), DisposedError);
      assertEquals(error.operation, `OnlineLearner.${call}`);
    }
    for (const call of [() => learner.save(), () => learner.forgetQuery(0), () => learner.forgetKey(0)]) {
      assertEquals((await assertRejects(call, DisposedError)).operation.startsWith("OnlineLearner."), true);
    }
  });
}

Deno.test("getters of an example that edit the engine or call the learner do so before the call", async () => {
  await using live = await DynamicAttention.create(optionsOf(7));
  const learner = new OnlineLearner(live, watched(() => {}));
  const first: Promise<unknown>[] = [];
  const x = {
    get query() {
      first.push(learner.learnOne({ query: 1 }, [3, 4]));
      live.setQuery(2, [1, 1, 1]);
      return 2;
    },
  };
  const told = await learner.learnOne(x, [1, 2]);
  await Promise.all(first);
  await using calm = await DynamicAttention.create(optionsOf(7));
  calm.setQuery(2, [1, 1, 1]);
  const plain = new OnlineLearner(calm, watched(() => {}));
  for (let at = 0; at < first.length; at++) await plain.learnOne({ query: 1 }, [3, 4]);
  assertEquals(told, await plain.learnOne({ query: 2 }, [1, 2]));
  assertEquals(rowsOf(live), rowsOf(calm));
  // One that deletes what it names is refused, and so is one that deletes it before the rest is read.
  const gone = {
    get query() {
      live.deleteQuery(0);
      return 0;
    },
  };
  await assertRejects(() => learner.learnOne(gone, [1, 2]), InputError, "query slot 0 is not live");
  const late = {
    query: 1,
    get offset() {
      live.deleteQuery(1);
      return 0;
    },
  };
  await assertRejects(() => learner.learnOne(late, [1, 2]), InputError, "query slot 1 is not live");
});
