// The learner over a cluster: its derivatives are those of the oracle, its steps those of the learner on one
// engine, and what does not fit changes nothing.

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLess,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { DynamicAttention, IdError, InputError } from "../../mod.ts";
import { adagrad, logisticLoss, OnlineLearner, type Optimizer, squaredLoss } from "../../src/learning/mod.ts";
import {
  ClusterError,
  ClusterLearner,
  type ClusterLearnerOptions,
  type ClusterMemory,
  connect,
  host,
  memoryLog,
} from "../../src/cluster/mod.ts";
import { learnerGradients } from "../../src/cluster/learner_gradients.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";

const HEADS = 2, DIM = 3, VALUE_DIM = 2, KEYS = 12;

Deno.test("cluster learner: derivatives are those of the oracle, by central differences", () => {
  for (const [kvHeads, softcap] of [[1, 0], [2, 0], [1, 1.5]]) {
    const random = new Random(kvHeads + softcap), scale = 0.7;
    const layout = { heads: HEADS, kvHeads, headDim: DIM, valueDim: VALUE_DIM };
    const query = Float64Array.from(random.row(HEADS * DIM)),
      g = Float64Array.from(random.row(HEADS * VALUE_DIM));
    const key = random.rows(KEYS, kvHeads * DIM).map((row) => Float64Array.from(row));
    const value = random.rows(KEYS, kvHeads * VALUE_DIM).map((row) => Float64Array.from(row));
    const attend = () => {
      const { output, weights } = referenceAttention({
        ...{ query: [query], key, value, scale, valueDim: VALUE_DIM, heads: HEADS, kvHeads, softcap },
      });
      return { output: output[0], weights: weights[0] };
    };
    const { output, weights } = attend();
    const heavy = Array.from(
      { length: HEADS },
      (_, head) => Array.from({ length: KEYS }, (_, at) => ({ id: `${at}`, weight: weights[head][at] })),
    );
    const rows = new Map(key.map((row, at) => [`${at}`, {
      key: Float32Array.from(row),
      value: Float32Array.from(value[at]),
    }]));
    const found = learnerGradients({ layout, scale, softcap }, {
      query,
      position: 0,
      output,
      heavy,
      rows,
      logSumExp: [],
    }, g);
    const expectAt = (row: Float64Array, at: number) => {
      const was = row[at], step = 1e-5;
      const loss = () => attend().output.reduce((sum, o, c) => sum + o * g[c], 0);
      row[at] = was + step;
      const above = loss();
      row[at] = was - step;
      const below = loss();
      row[at] = was;
      return (above - below) / (2 * step);
    };
    query.forEach((_, at) => assertAlmostEquals(found.query[at], expectAt(query, at), 1e-6));
    for (let at = 0; at < KEYS; at++) {
      const own = found.keys.get(`${at}`);
      assert(own);
      own.key.forEach((number, c) => assertAlmostEquals(number, expectAt(key[at], c), 1e-6));
      own.value.forEach((number, c) => assertAlmostEquals(number, expectAt(value[at], c), 1e-6));
    }
    assertLess(Math.abs(found.leftOut), 1e-9);
    // A key that has gone meanwhile has no row, and does not learn.
    rows.delete("0");
    const without = learnerGradients({ layout, scale, softcap }, {
      query,
      position: 0,
      output,
      heavy,
      rows,
      logSumExp: [],
    }, g);
    assertEquals([without.keys.has("0"), without.keys.size], [false, KEYS - 1]);
    assertEquals(without.keys.get("1"), found.keys.get("1"));
  }
});

interface Scene {
  readonly memory: ClusterMemory;
  readonly live: DynamicAttention;
  readonly random: Random;
}

/** The same rows in a cluster and in an engine. */
async function withBoth(act: (scene: Scene) => Promise<void>): Promise<void> {
  const random = new Random(5), key = random.rows(KEYS, DIM), value = random.rows(KEYS, VALUE_DIM);
  const query = random.rows(2, HEADS * DIM), log = memoryLog();
  await using _host = await host(log);
  await using memory = await connect(log, {
    create: { dim: DIM, valueDim: VALUE_DIM, heads: HEADS, kvHeads: 1, partitions: 3 },
  });
  await memory.edit(key.map((row, at) => ({ kind: "set", id: `${at}`, key: row, value: value[at] })));
  for (const [at, row] of query.entries()) await memory.setQuery(`${at}`, row);
  await using live = await DynamicAttention.create({ query, key, value, heads: HEADS, kvHeads: 1 });
  await act({ memory, live, random });
}

Deno.test("cluster learner: its steps are those of the learner on one engine", async () => {
  await withBoth(async ({ memory, live, random }) => {
    const options: ClusterLearnerOptions = { optimizer: adagrad(), rate: 0.1, top: KEYS };
    const one = new OnlineLearner(live, options), many = new ClusterLearner(memory, options);
    const judged = {
      optimizer: adagrad(),
      loss: logisticLoss(),
      rate: 0.05,
      rates: { keys: 0.2 },
      top: KEYS,
    };
    const oneJudge = new OnlineLearner(live, judged), manyJudge = new ClusterLearner(memory, judged);
    for (let step = 0; step < 12; step++) {
      const query = step % 2, y = [...random.row(2)], columns = [0, 3], weight = 1 + step % 3;
      const expected = await one.learnOne({ query, columns, offset: 0.5 }, y, { weight });
      const found = await many.learnOne({ query: `${query}`, columns, offset: 0.5 }, y, { weight });
      found.prediction.forEach((number, at) => assertAlmostEquals(number, expected.prediction[at], 1e-5));
      assertAlmostEquals(found.loss, expected.loss, 1e-4);
      assertEquals(found.rowsStepped, expected.rowsStepped);
      assertLess(found.leftOut, 1e-9);
      const against = [step % KEYS, 3], likes = [Number(step % 3 > 0), 0];
      await oneJudge.learnOne({ query, against }, likes);
      const { token } = await manyJudge.learnOne({ query: `${query}`, against: against.map(String) }, likes);
      assertEquals(Object.keys(token.partitions).length > 0 && token.query > 0, true);
      const [a] = await oneJudge.predictOne({ query, against: 7 });
      const [b] = await manyJudge.predictOne({ query: `${query}`, against: "7" });
      assertAlmostEquals(b, a, 1e-5);
    }
    assertEquals(many.steps, 12);
    const stored = await memory.getKeys(Array.from({ length: KEYS }, (_, at) => `${at}`));
    stored.forEach((row, at) => {
      live.getKey(at).forEach((number, c) => assertAlmostEquals(row?.key[c] ?? NaN, number, 1e-5));
      live.getValue(at).forEach((number, c) => assertAlmostEquals(row?.value[c] ?? NaN, number, 1e-5));
    });
  });
});

Deno.test("cluster learner: calls are queued, and only what learns is set", async () => {
  await withBoth(async ({ memory }) => {
    const before = await memory.getKeys(["0"]), [query] = await memory.getQueries(["1"]);
    const learner = new ClusterLearner(memory, { rate: 0.3, rates: { keys: false, values: false } });
    const steps = await Promise.all(
      Array.from({ length: 20 }, () => learner.learnOne({ query: "1", columns: 0 }, 0.2)),
    );
    assertLess(steps[19].loss, steps[0].loss / 2);
    assert(steps.every(({ rowsStepped }) => rowsStepped === 1));
    assertEquals(await memory.getKeys(["0"]), before);
    const [after, none] = await memory.getQueries(["1", "nobody"]);
    assert(after !== null && query !== null && after.some((number, c) => number !== query[c]));
    assertEquals(none, null);
    // What is left out is told.
    const few = new ClusterLearner(memory, { rate: 0.1, top: 2 });
    const { leftOut, rowsStepped } = await few.learnOne({ query: "0" }, new Array(HEADS * VALUE_DIM).fill(0));
    assert(leftOut > 0.1 && leftOut < 1 && rowsStepped <= 9);
  });
});

Deno.test("cluster learner: what does not fit is refused by its name, and nothing has changed", async () => {
  await withBoth(async ({ memory, live }) => {
    const before = await memory.getKeys(["0", "1"]);
    assertThrows(() => new ClusterLearner(live as unknown as ClusterMemory), InputError, "memory");
    assertThrows(() => new ClusterLearner(memory, { top: 5000 }), InputError, "top is 5000");
    assertThrows(() => new ClusterLearner(memory, { rate: -1 }), InputError, "rate is -1");
    const learner = new ClusterLearner(memory, { rate: 1e38 });
    await assertRejects(() => learner.learnOne({ query: "0", columns: 0 }, 1e9), InputError, "a lower rate");
    await assertRejects(() => learner.learnOne({ query: "nobody", columns: 0 }, 1), IdError, "nobody");
    await assertRejects(() => learner.learnOne({ query: "0", against: "gone" }, 1), IdError, "gone");
    await assertRejects(
      () => learner.learnOne({ query: "0", against: "1", columns: 0 }, 1),
      InputError,
      "one of them",
    );
    await assertRejects(() => learner.learnOne({ query: "0", columns: 9 }, 1), InputError, "numbers below 4");
    await assertRejects(
      () => learner.learnOne({ query: "0", columns: 0 }, [1, 2]),
      InputError,
      "y has 2 numbers",
    );
    await assertRejects(
      () => learner.predictOne({ query: "0", columns: [] }),
      InputError,
      "columns is empty",
    );
    const failing: Optimizer = {
      name: "failing",
      stateLength: () => 0,
      step: () => {
        throw new Error("no");
      },
    };
    const other = new ClusterLearner(memory, { optimizer: failing, loss: squaredLoss() });
    await assertRejects(() => other.learnOne({ query: "0", columns: 0 }, 1), InputError, "failing");
    const late = new ClusterLearner(memory, {
      rate: () => {
        throw new Error("no rate");
      },
    });
    await assertRejects(
      () => late.learnOne({ query: "0", columns: 0 }, 1),
      InputError,
      "the rate of step 0 threw",
    );
    assertEquals([learner.steps, other.steps, late.steps], [0, 0, 0]);
    assertEquals(await memory.getKeys(["0", "1"]), before);
    // A cluster without keys has nothing to learn from, and says so by its counts.
    const log = memoryLog();
    await using _host = await host(log);
    await using empty = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 2 } });
    await empty.setQuery("q", [1]);
    const { rowsStepped, prediction } = await new ClusterLearner(empty).learnOne({ query: "q" }, 1);
    assertEquals([rowsStepped, ...prediction], [0, 0]);
    await using alone = await connect(memoryLog(), { create: { dim: 1, valueDim: 1 }, timeoutMs: 50 });
    await alone.setQuery("q", [1]);
    await assertRejects(() => new ClusterLearner(alone).learnOne({ query: "q" }, 1), ClusterError, "missing");
  });
});
