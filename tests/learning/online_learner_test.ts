// The learner: a step is the derivative of the loss, as finite differences of the oracle say it; only what
// learned is touched; calls take effect in order, or not at all.

import { DynamicAttention, type DynamicAttentionOptions, InputError, SlotError } from "../../mod.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import {
  adagrad,
  adam,
  type Example,
  type LearnerOptions,
  logisticLoss,
  type Loss,
  OnlineLearner,
  rankingLoss,
  sgd,
  squaredLoss,
  type Target,
} from "../../src/learning/mod.ts";
import { referenceAttention, type ReferenceCase } from "../../src/numerics/reference.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { SlowBackend } from "../../testing/fake_backends.ts";
import { Random } from "../../testing/random.ts";

const HEADS = 4, KV_HEADS = 2, D = 3, DV = 2, QUERIES = 3, KEYS = 6;

function optionsOf(seed: number, parts: Pick<DynamicAttentionOptions, "backend"> = {}) {
  const random = new Random(seed);
  return {
    query: random.rows(QUERIES, HEADS * D),
    key: random.rows(KEYS, KV_HEADS * D),
    value: random.rows(KEYS, KV_HEADS * DV),
    heads: HEADS,
    kvHeads: KV_HEADS,
    softcap: 3,
    scale: 0.6,
    ...parts,
  };
}

/** All rows of an engine, by slot. */
function rowsOf(live: DynamicAttention) {
  return {
    query: Array.from(live.querySlots(), (slot) => [slot, live.getQuery(slot)] as const),
    key: Array.from(live.keySlots(), (slot) => [slot, live.getKey(slot)] as const),
    value: Array.from(live.keySlots(), (slot) => [slot, live.getValue(slot)] as const),
  };
}

type Rows = { query: Float64Array[]; key: Float64Array[]; value: Float64Array[] };

/** The loss of an example by the oracle, over rows that may be moved. */
function lossOf(rows: Rows, x: Example, y: number[], loss: Loss): number {
  const truth: ReferenceCase = {
    ...rows,
    scale: 0.6,
    softcap: 3,
    heads: HEADS,
    kvHeads: KV_HEADS,
    valueDim: DV,
  };
  const { output } = referenceAttention(truth);
  const row = output["query" in x ? x.query : 0];
  const { against, offset = 0 } = x;
  const scores = against === undefined ? row.map((o) => o + offset) : [against].flat().map((slot) => {
    let sum = offset;
    for (let head = 0; head < HEADS; head++) {
      for (let c = 0; c < DV; c++) {
        sum += row[head * DV + c] * rows.value[slot as number][Math.floor(head / 2) * DV + c];
      }
    }
    return sum;
  });
  return loss.value(Float64Array.from(scores), Float64Array.from(y));
}

const STEPS: Record<string, [loss: Loss, x: Example, y: number[]]> = {
  "an output under the squared loss": [squaredLoss(), { query: 1 }, [1, 0, 2, 0, 1, 0, 1, -1]],
  "a match under the logistic loss": [logisticLoss(), { query: 0, against: 4, offset: 0.3 }, [1]],
  "a ranking of three": [rankingLoss(), { query: 2, against: [0, 3, 5] }, [1]],
};
for (const [name, [loss, x, y]] of Object.entries(STEPS)) {
  for (const backend of BACKENDS) {
    Deno.test(`a step follows the derivative of the loss: ${name}, ${backend}`, async () => {
      const options = optionsOf(3, { backend });
      await using live = await DynamicAttention.create(options);
      const rate = 0.5;
      const learner = new OnlineLearner(live, { loss, rate });
      const before: Rows = {
        query: options.query.map((row) => Float64Array.from(row)),
        key: options.key.map((row) => Float64Array.from(row)),
        value: options.value.map((row) => Float64Array.from(row)),
      };
      const { loss: told, rowsStepped } = await learner.learnOne(x, y);
      assertAlmostEquals(told, lossOf(before, x, y, loss), 1e-12);
      assertEquals(rowsStepped, 1 + 2 * KEYS, "one query, all keys and values");
      const after = rowsOf(live);
      for (const kind of ["query", "key", "value"] as const) {
        before[kind].forEach((row, slot) =>
          row.forEach((number, c) => {
            const move = (delta: number) => {
              row[c] = number + delta;
              const moved = lossOf(before, x, y, loss);
              row[c] = number;
              return moved;
            };
            const step = 1e-4;
            const derivative = (move(step) - move(-step)) / (2 * step);
            assertAlmostEquals(
              after[kind][slot][1][c],
              number - rate * derivative,
              1e-6,
              `${kind} ${slot} ${c}`,
            );
          })
        );
      }
    });
  }
}

Deno.test("predictions are attention's, through the link of the loss", async () => {
  const options = optionsOf(4);
  await using live = await DynamicAttention.create(options);
  const output = await live.read([1]);
  const squared = new OnlineLearner(live), logistic = new OnlineLearner(live, { loss: logisticLoss() });
  assertEquals(await squared.predictOne({ query: 1 }), Float64Array.from(output.data));
  assertEquals(
    await squared.predictOne({ query: 1, columns: [6, 0], offset: 2 }),
    Float64Array.of(output.data[6] + 2, output.data[0] + 2),
  );
  const row = options.query[1];
  const passing = await squared.predictOne({ row });
  passing.forEach((x, c) => assertAlmostEquals(x, output.data[c], 1e-6));
  const [p] = await logistic.predictOne({ query: 1, columns: 3 });
  assertAlmostEquals(p, 1 / (1 + Math.exp(-output.data[3])), 1e-12);
  assertEquals([squared.stats().exactReads, squared.stats().steps], [3, 0]);
});

Deno.test("keys and values learn from a passing query, whose derivative is returned", async () => {
  const options = optionsOf(5);
  await using standing = await DynamicAttention.create(options);
  await using passing = await DynamicAttention.create(options);
  const y = [1, 2, 3, 4, 5, 6, 7, 8];
  const one = await new OnlineLearner(standing).learnOne({ query: 2 }, y);
  const other = await new OnlineLearner(passing).learnOne({ row: options.query[2] }, y);
  assertEquals(other.queryGradient, one.queryGradient);
  assertEquals(other.rowsStepped, one.rowsStepped - 1);
  assertEquals(rowsOf(passing).key, rowsOf(standing).key);
  assertEquals(rowsOf(passing).value, rowsOf(standing).value);
  assertEquals(passing.getQuery(2), options.query[2]);
});

Deno.test("only what may learn is touched", async () => {
  const y = [1, 2, 3, 4, 5, 6, 7, 8];
  const run = async (learner: LearnerOptions, x: Example, target: Target) => {
    const live = await DynamicAttention.create(optionsOf(6));
    const before = rowsOf(live);
    const { rowsStepped, leftOut } = await new OnlineLearner(live, learner).learnOne(x, target);
    const after = rowsOf(live);
    const { edits } = live.stats();
    await live.dispose();
    const changed = (kind: "query" | "key" | "value") =>
      after[kind].filter(([, row], at) => row.some((number, c) => number !== before[kind][at][1][c])).map((
        [slot],
      ) => slot);
    return {
      query: changed("query"),
      key: changed("key"),
      value: changed("value"),
      rowsStepped,
      edits,
      leftOut,
    };
  };
  const all = [0, 1, 2, 3, 4, 5];
  assertEquals(await run({}, { query: 1 }, y), {
    ...{ query: [1], key: all, value: all },
    ...{ rowsStepped: 13, edits: 7, leftOut: 0 },
  });
  const noKeys = await run({ rates: { keys: false, queries: 0 } }, { query: 1 }, y);
  assertEquals([noKeys.query, noKeys.key, noKeys.value, noKeys.edits], [[], [], all, 6]);
  const one = await run({ rowRate: (kind, slot) => kind === "value" && slot === 3 ? 1 : 0 }, { query: 1 }, y);
  assertEquals([one.query, one.key, one.value, one.edits], [[], [], [3], 1]);
  const top = await run({ top: 1 }, { query: 1 }, y);
  assert(top.key.length >= 1 && top.key.length <= HEADS, `${top.key}`);
  assertEquals([top.value, top.edits, top.rowsStepped], [
    top.key,
    top.key.length + 1,
    2 * top.key.length + 1,
  ]);
  assert(top.leftOut > 0 && top.leftOut < 1);
  const match = await run({ top: 1, loss: logisticLoss(), rates: { keys: false, queries: false } }, {
    query: 1,
    against: 2,
  }, 1);
  assert(match.value.includes(2), "the value that was matched");
  const none = await run({ rate: 0 }, { query: 1 }, y);
  assertEquals([none.edits, none.rowsStepped], [0, 0]);
});

Deno.test("calls that are not waited for take effect in their order, to the last bit", async () => {
  for (const backend of BACKENDS) {
    const options = optionsOf(7, { backend });
    await using calm = await DynamicAttention.create(options);
    const wrap = (inner: ConstructorParameters<typeof SlowBackend>[0]) => new SlowBackend(inner);
    await using hasty = await createEngine(options, { wrap });
    const learners = [calm, hasty].map((live) =>
      new OnlineLearner(live, { optimizer: adam(), rate: 0.05, top: 4 })
    );
    const random = new Random(2);
    const stream = Array.from({ length: 12 }, () => [random.below(QUERIES), [...random.row(8)]] as const);
    const waited: unknown[] = [];
    for (const [query, y] of stream) {
      waited.push(await learners[0].predictOne({ query }));
      waited.push(await learners[0].learnOne({ query }, y));
    }
    const asked = stream.flatMap(([query, y]) => {
      const target = [...y];
      const calls: Promise<unknown>[] = [
        learners[1].predictOne({ query }),
        learners[1].learnOne({ query }, target),
      ];
      target.fill(NaN); // What was given at the call counts.
      return calls;
    });
    assertEquals(await Promise.all(asked), waited);
    assertEquals(rowsOf(hasty), rowsOf(calm));
    assertEquals(await learners[1].save(), await learners[0].save());
  }
});

Deno.test("edits of others meanwhile are kept, and what was deleted learns nothing", async () => {
  const options = optionsOf(8);
  const wrap = (inner: ConstructorParameters<typeof SlowBackend>[0]) => new SlowBackend(inner);
  const y = [1, 2, 3, 4, 5, 6, 7, 8];
  await using calm = await DynamicAttention.create(options);
  await using live = await createEngine({ ...options, backend: calm.stats().backend as "wasm" }, { wrap });
  const learners = [calm, live].map((engine) =>
    new OnlineLearner(engine, { optimizer: adagrad(), rate: 0.1 })
  );
  const step = await learners[0].learnOne({ query: 0 }, y);
  const learning = learners[1].learnOne({ query: 0 }, y);
  // Its question is asked by now, its answer is not there.
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
  live.addToValue(1, 0, 8);
  live.delete(2);
  const reused = live.insert(new Float32Array(KV_HEADS * D).fill(9), new Float32Array(KV_HEADS * DV).fill(7));
  assertEquals(reused, 2);
  live.delete(3);
  assertEquals((await learning).prediction, step.prediction, "of the moment before");
  assertEquals(live.getKey(2), new Float32Array(KV_HEADS * D).fill(9), "another row in the slot");
  assertAlmostEquals(live.getValue(1)[0], calm.getValue(1)[0] + 8, 1e-5);
  assertEquals(live.getValue(1).slice(1), calm.getValue(1).slice(1));
  assertEquals(live.getKey(4), calm.getKey(4));
  assertEquals([learners[0].stats().keyStates, learners[1].stats().keyStates], [6, 4]);
});

Deno.test("states go with their rows, and a row that takes the slot starts anew", async () => {
  await using live = await DynamicAttention.create(optionsOf(9));
  const learner = new OnlineLearner(live, { optimizer: adagrad(), rate: 0.1 });
  const y = [1, 2, 3, 4, 5, 6, 7, 8];
  await learner.learnOne({ query: 1 }, y);
  assertEquals([learner.stats().keyStates, learner.stats().queryStates], [6, 1]);
  const query = live.getQuery(1);
  await learner.forgetQuery(1);
  await learner.forgetKey(0);
  assertEquals([learner.stats().keyStates, learner.stats().valueStates, learner.stats().queryStates], [
    5,
    5,
    0,
  ]);
  assertEquals(live.insertQuery(query), 1);
  await using fresh = await DynamicAttention.load(await live.save());
  const other = new OnlineLearner(fresh, { optimizer: adagrad(), rate: 0.1 });
  await learner.learnOne({ query: 1 }, y);
  await other.learnOne({ query: 1 }, y);
  assertEquals(live.getQuery(1), fresh.getQuery(1), "as if nothing had been before");
  assertNotEquals(live.getKey(1), fresh.getKey(1), "the keys remember");
  assertEquals(learner.stats().queryStates, 1);
});

Deno.test("where queries alone learn, a forgotten one has never been", async () => {
  for (const backend of BACKENDS) {
    const options = optionsOf(10, { backend });
    await using live = await DynamicAttention.create(options);
    await using never = await DynamicAttention.create({ ...options, query: options.query.slice(0, 2) });
    const rules = { optimizer: adam(), rates: { keys: false, values: false } } as const;
    const learners = [new OnlineLearner(live, rules), new OnlineLearner(never, rules)];
    const random = new Random(5);
    for (let step = 0; step < 10; step++) {
      const y = [...random.row(8)];
      for (const learner of learners) await learner.learnOne({ query: step % 2 }, y);
      await learners[0].learnOne({ query: 2 }, y);
    }
    await learners[0].forgetQuery(2);
    assertEquals(rowsOf(live), rowsOf(never));
    assertEquals(await live.read(), await never.read());
    const { steps: _, ...states } = learners[0].stats();
    const { steps: __, ...expected } = learners[1].stats();
    assertEquals(states, expected);
    await assertRejects(() => learners[0].predictOne({ query: 2 }), SlotError, "query slot 2 is not live");
  }
});

Deno.test("stale predictions are within their bounds, and exact ones say so", async () => {
  const random = new Random(12);
  await using live = await DynamicAttention.create({
    ...optionsOf(11, { backend: "array" }),
    lazyThreshold: Infinity,
  });
  const learner = new OnlineLearner(live, { reads: "stale" });
  const examples: Example[] = [{ query: 0 }, { query: 1, against: [2, 4] }, { query: 2, columns: 1 }];
  let stale = 0;
  for (let turn = 0; turn < 30; turn++) {
    live.set(random.below(KEYS), random.row(KV_HEADS * D), random.row(KV_HEADS * DV));
    for (const x of examples) {
      const { prediction, bounds, pending } = await learner.peekOne(x);
      assertEquals(await learner.predictOne(x), prediction);
      const exact = await new OnlineLearner(live).predictOne({ ...x });
      // The exact read has brought the row up to date.
      assert(pending > 0);
      prediction.forEach((p, at) => assert(Math.abs(p - exact[at]) <= bounds[at] * (1 + 1e-9) + 1e-12));
      if (prediction.some((p, at) => p !== exact[at])) stale++;
      const again = await learner.peekOne(x);
      assertEquals([again.pending, again.prediction], [0, exact]);
    }
  }
  assert(stale > 80, `${stale}`);
  assertEquals(learner.stats(), {
    ...{ steps: 0, exactReads: 0, staleReads: 270, keyStates: 0, valueStates: 0, queryStates: 0 },
  });
  const passing = await learner.peekOne({ row: random.row(HEADS * D) });
  assertEquals([passing.pending, passing.bounds.every((bound) => bound === 0)], [0, true]);
});

Deno.test("a row of which nothing is proven bounds nothing but the match with a value of 0", async () => {
  class Unproven extends SlowBackend {
    override certify(cohort: Parameters<SlowBackend["certify"]>[0]) {
      return super.certify(cohort).then((bounds) => bounds.fill(Infinity));
    }
  }
  const options = optionsOf(15);
  options.value[2].fill(0);
  await using live = await createEngine(options, { wrap: (inner) => new Unproven(inner) });
  const { bounds } = await new OnlineLearner(live).peekOne({ query: 0, against: [2, 4] });
  assertEquals([...bounds], [0, Infinity]);
});

Deno.test("a planted model is found again, from the same start every time", async () => {
  const run = async () => {
    const plan = new Random(20);
    // The likes of a reader are products of two hidden rows.
    const readers = plan.rows(4, 2), texts = plan.rows(12, 2);
    await using live = await DynamicAttention.create({
      query: { data: [], shape: [0, 4] },
      key: { data: [], shape: [0, 4] },
      value: { data: [], shape: [0, 4] },
    });
    const learner = new OnlineLearner(live, {
      optimizer: adagrad(),
      loss: logisticLoss(),
      rate: 0.2,
      seed: 3,
    });
    readers.forEach(() => live.insertQuery(learner.random.normalRow(4, 0.5)));
    texts.forEach(() => live.insert(learner.random.normalRow(4, 0.5), learner.random.normalRow(4, 0.5)));
    let right = 0;
    const turns = 1500, judged = 300;
    for (let turn = 0; turn < turns; turn++) {
      const [query] = learner.random.sample(live.querySlots(), 1),
        [against] = learner.random.sample(live.keySlots(), 1);
      const likes = readers[query][0] * texts[against][0] + readers[query][1] * texts[against][1] > 0;
      const { prediction: [p] } = await learner.learnOne({ query, against }, likes);
      if (turn >= turns - judged && (p >= 0.5) === likes) right++;
    }
    return { share: right / judged, rows: rowsOf(live) };
  };
  const first = await run();
  assert(first.share > 0.9, `${first.share}`);
  assertEquals((await run()).rows, first.rows);
});

Deno.test("what is refused changes nothing, and the next call goes on", async () => {
  await using live = await DynamicAttention.create(optionsOf(13));
  const learner = new OnlineLearner(live, { optimizer: adagrad() });
  const y = [1, 2, 3, 4, 5, 6, 7, 8];
  await learner.learnOne({ query: 0 }, y);
  const before = await learner.save();
  const refused: [unknown, unknown, string][] = [
    [{ query: 9 }, y, "OnlineLearner.learnOne: query slot 9 is not live"],
    [{ query: 0, against: 17 }, 1, "key slot 17 is not live"],
    [{ query: 0, against: [] }, 1, "against is empty"],
    [{ query: 0, columns: 8 }, 1, "column is 8"],
    [{ query: 0, columns: 1, against: 2 }, 1, "x has against and columns"],
    [{ query: 0, offset: NaN }, y, "offset is NaN"],
    [{ query: 0, weight: 1 }, y, 'option "weight" is unknown'],
    [{ query: 0, row: [1] }, y, "x has query and row"],
    [{ row: [1, 2] }, y, "row has 2 numbers, expected 12"],
    [null, y, "x is null"],
    [{ query: 0 }, 1, "y has 1 numbers, expected 8"],
    [{ query: 0 }, [1, 2, 3, 4, 5, 6, 7, NaN], "y has NaN at index 7"],
    [{ query: 0 }, "12345678", 'y is "12345678"'],
  ];
  for (const [x, target, message] of refused) {
    await assertRejects(() => learner.learnOne(x as never, target as never), InputError, message);
  }
  const wild = new OnlineLearner(live, { rate: 1e300 });
  await assertRejects(() => wild.learnOne({ query: 0 }, y), InputError, "a lower rate or a clip may help");
  const broken = new OnlineLearner(live, { rate: (step) => step === 0 ? NaN : 1 });
  await assertRejects(() => broken.learnOne({ query: 0 }, y), InputError, "the rate of step 0 is NaN");
  const nan: Loss = { ...squaredLoss(), name: "nan", value: () => NaN };
  const undefinedLoss = new OnlineLearner(live, { loss: nan });
  await assertRejects(() => undefinedLoss.learnOne({ query: 0 }, y), InputError, "the loss nan of");
  const losses: [Partial<Loss>, string][] = [
    [
      { gradient: () => [0] as never },
      "the gradient of loss own is [0], expected a Float64Array of 8 numbers",
    ],
    [{
      gradient() {
        throw new TypeError("oops");
      },
    }, "the gradient of loss own threw TypeError: oops"],
  ];
  for (const [parts, message] of losses) {
    const own = new OnlineLearner(live, { loss: { ...squaredLoss(), name: "own", ...parts } });
    await assertRejects(() => own.learnOne({ query: 0 }, y), InputError, message);
  }
  assertEquals([wild.stats().steps, broken.stats().steps, undefinedLoss.stats().steps], [0, 0, 0]);
  assertEquals(await learner.save(), before);
  await learner.learnOne({ query: 0 }, y);
  assertEquals(learner.stats().steps, 2);
  // A slot that a queued call is about may go before its turn comes.
  const forgetting = learner.forgetQuery(1), late = learner.learnOne({ query: 1 }, y);
  await forgetting;
  await assertRejects(() => late, SlotError, "query slot 1 is not live");
});

Deno.test("bad options are refused", async () => {
  await using live = await DynamicAttention.create(optionsOf(14));
  const refused: [unknown, string][] = [
    [{ rates: { key: 1 } }, 'option "key" is unknown'],
    [{ learningRate: 1 }, 'option "learningRate" is unknown'],
    [{ rate: -1 }, "rate is -1"],
    [{ rates: { values: NaN } }, "rates.values is NaN"],
    [{ loss: {} }, "loss is an object (Object), expected an object with name, check, predict"],
    [{ optimizer: null }, "optimizer is null"],
    [{ optimizer: sgd }, "expected an object with name, stateLength, step; did you mean to call it?"],
    [{ top: 0 }, "top is 0"],
    [{ reads: "old" }, 'reads is "old"'],
    [{ seed: -1 }, "seed is -1"],
    [{ rowRate: 1 }, "rowRate is 1"],
    [null, "options are null"],
  ];
  for (const [options, message] of refused) {
    assertThrows(() => new OnlineLearner(live, options as never), InputError, message);
  }
  assertThrows(
    () => new OnlineLearner({} as never),
    InputError,
    "OnlineLearner: engine is an object (Object)",
  );
});

Deno.test("bad examples and targets are told apart", async () => {
  await using live = await DynamicAttention.create(optionsOf(14));
  const learner = new OnlineLearner(live);
  const refused: [x: unknown, y: unknown, message: string][] = [
    [{ querry: 0 }, 1, "x has neither query nor row, expected"],
    [{ query: 0, row: [1] }, 1, "x has query and row, expected"],
    [0, 1, "x is 0, expected an object with a query slot, or with a row"],
    [{ query: 0 }, undefined, "y is undefined, expected a number, a truth value or an array of them"],
    [{ query: 0 }, "1", 'y is "1", expected a number, a truth value or an array of them'],
  ];
  for (const [x, y, message] of refused) {
    await assertRejects(() => learner.learnOne(x as never, y as never), InputError, message);
  }
});

Deno.test("a target that says it is longer than memory is refused by its first entry", async () => {
  await using live = await DynamicAttention.create(optionsOf(15));
  const learner = new OnlineLearner(live);
  for (const y of [new Array(2 ** 32 - 1), { length: 2 ** 32 - 1 }]) {
    await assertRejects(
      () => learner.learnOne({ query: 0 }, y as number[]),
      InputError,
      "y has undefined at index 0",
    );
  }
});

Deno.test("an example's row may be sparse", async () => {
  await using live = await DynamicAttention.create({
    query: [[1, 0, 0]],
    key: [[1, 0, 2], [0, 1, 1]],
    value: [[1], [2]],
  });
  const learner = new OnlineLearner(live), sparse = { indices: [2], values: [0.5] };
  assertEquals(await learner.predictOne({ row: sparse }), await learner.predictOne({ row: [0, 0, 0.5] }));
  await learner.learnMany([{ x: { row: sparse }, y: 1 }]);
  await assertRejects(
    () => learner.predictOne({ row: { indices: [3], values: [1] } }),
    InputError,
    "row.indices has 3 at index 0, expected integers from 0 to 2 (below heads × headDim)",
  );
});
