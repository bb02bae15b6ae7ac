// Calls of a learner that overlap with each other, with edits, with a backend that fails and with the end of
// the engine: they take effect one after another, each as a whole or not at all.

import { BackendError, DisposedError, DynamicAttention, InputError, SlotError } from "../../mod.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { adagrad, adam, attentionGradients, OnlineLearner } from "../../src/learning/mod.ts";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "../../testing/assert.ts";
import { BACKENDS, casesOn } from "../backends_here.ts";
import { FailingBackend, SlowBackend } from "../../testing/fake_backends.ts";
import { Random } from "../../testing/random.ts";

/** Of each kind, since a slow backend takes its time; many more with ATTUNE_LONG=1. */
const SEEDS = Deno.env.get("ATTUNE_LONG") === "1" ? 60 : 3;
const QUERIES = 4, KEYS = 5, D = 3, DV = 2;

function optionsOf(seed: number) {
  const random = new Random(seed);
  return { query: random.rows(QUERIES, D), key: random.rows(KEYS, D), value: random.rows(KEYS, DV) };
}

const RULES = { optimizer: adam(), rate: 0.05 } as const;

for (const backend of BACKENDS) {
  Deno.test(`any calls, not waited for, do what they do one after another: ${backend}`, async () => {
    for (let seed = 0; seed < casesOn(backend, SEEDS); seed++) {
      const random = new Random(seed), options = { ...optionsOf(seed), backend };
      await using calm = await DynamicAttention.create(options);
      await using hasty = await createEngine(options, { wrap: (inner) => new SlowBackend(inner) });
      const [one, other] = [calm, hasty].map((live) => new OnlineLearner(live, { ...RULES, top: 3 }));
      type Call = (learner: OnlineLearner) => Promise<unknown>;
      const calls = Array.from({ length: 20 }, (): Call => {
        const query = random.below(QUERIES), y = [...random.row(DV)], against = random.below(KEYS);
        const kind = random.below(9);
        if (kind < 4) return (learner) => learner.learnOne({ query }, y);
        if (kind === 4) return (learner) => learner.learnOne({ query, against }, y[0]);
        if (kind === 5) return (learner) => learner.predictOne({ query, against });
        if (kind === 6) return (learner) => learner.save();
        if (kind === 7 && random.below(3) === 0) return (learner) => learner.forgetQuery(query);
        return (learner) => learner.learnOne({ row: y.concat(1) }, y);
      });
      const settle = (call: Promise<unknown>) => call.catch((error) => `${error}`);
      const expected: unknown[] = [];
      for (const call of calls) expected.push(await settle(call(one)));
      assertEquals(await Promise.all(calls.map((call) => settle(call(other)))), expected, `seed ${seed}`);
      assertEquals(await other.save(), await one.save());
    }
  });

  Deno.test(`calls that the end overtakes reject, and what was counted was done: ${backend}`, async () => {
    for (let seed = 0; seed < casesOn(backend, 3 * SEEDS); seed++) {
      const random = new Random(100 + seed);
      const live = await createEngine({ ...optionsOf(seed), backend }, {
        wrap: (inner) => new SlowBackend(inner),
      });
      const learner = new OnlineLearner(live, RULES);
      let resolved = 0;
      const calls = Array.from({ length: 8 }, (_, at) => {
        const call = at === 5
          ? learner.save()
          : at === 6
          ? learner.predictOne({ query: 0 })
          : learner.learnOne({ query: at % QUERIES }, [1, 2]).then(() => void resolved++);
        return call.catch((error) => assertInstanceOf(error, DisposedError, `${error}`));
      });
      for (let turns = random.below(14); turns > 0; turns--) {
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      const ended = live.dispose();
      await Promise.all(calls);
      await ended;
      assertEquals(learner.stats().steps, resolved);
      if (resolved === 0) assertEquals(learner.stats().keyStates, 0);
    }
  });

  Deno.test(`a backend that fails lets a call reject, and nothing was learned: ${backend}`, async () => {
    for (let seed = 0; seed < casesOn(backend, SEEDS); seed++) {
      const random = new Random(200 + seed), options = { ...optionsOf(seed), backend };
      const failing: FailingBackend[] = [];
      await using live = await createEngine(options, {
        wrap: (inner) => {
          failing.push(new FailingBackend(inner));
          return failing[0];
        },
      });
      await using calm = await DynamicAttention.create(options);
      const [learner, plain] = [live, calm].map((engine) => new OnlineLearner(engine, { ...RULES, top: 2 }));
      let failed = 0;
      for (let at = 0; at < 12; at++) {
        const way = random.pick(["fails", "failsToUpdate", "failsToRead"] as const);
        const x = { query: random.below(QUERIES) }, y = [...random.row(DV)];
        const before = learner.stats();
        if (random.below(2) === 0) {
          failing[0][way] = () => true;
          // Where nothing has to be stored, a backend that fails to store is not seen.
          const outcome = await learner.learnOne(x, y).then(() => "learned", (error) => error);
          failing[0][way] = () => false;
          if (outcome === "learned") {
            await plain.learnOne(x, y);
            continue;
          }
          assertInstanceOf(outcome, BackendError);
          failed++;
          assertEquals(learner.stats(), before);
        }
        await learner.learnOne(x, y);
        await plain.learnOne(x, y);
      }
      assert(failed > 0);
      for (const slot of live.querySlots()) assertEquals(live.getQuery(slot), calm.getQuery(slot), `${seed}`);
      for (const slot of live.keySlots()) assertEquals(live.getKey(slot), calm.getKey(slot), `${seed}`);
      assertEquals(learner.stats().steps, plain.stats().steps);
    }
  });
}

Deno.test("a save in flight is of its turn, whatever is edited and learned before it is done", async () => {
  const options = { ...optionsOf(3), backend: "array" } as const;
  await using live = await createEngine(options, { wrap: (inner) => new SlowBackend(inner) });
  const learner = new OnlineLearner(live, RULES);
  await learner.learnOne({ query: 0 }, [1, 2]);
  const expected = await learner.save();
  const saving = learner.save();
  const later = [learner.learnOne({ query: 1 }, [3, 4]), learner.forgetKey(1)];
  // Its turn has come; the engine has not been written down.
  await Promise.resolve();
  await Promise.resolve();
  live.setKey(0, [7, 7, 7]);
  live.delete(2);
  assertEquals(await saving, expected);
  await Promise.all(later);
  const loaded = await OnlineLearner.load(await learner.save(), RULES);
  assertEquals([...loaded.live.keySlots()], [0, 3, 4]);
  assertEquals(loaded.stats(), learner.stats());
  await loaded.live.dispose();
});

Deno.test("engine and states of a file are of one moment, whenever a row goes", async () => {
  for (let turns = 0; turns < 12; turns++) {
    await using live = await DynamicAttention.create(optionsOf(4));
    const learner = new OnlineLearner(live, RULES);
    await learner.learnOne({ query: 0 }, [1, 2]);
    const saving = learner.save();
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    live.delete(2);
    live.deleteQuery(0);
    const loaded = await OnlineLearner.load(await saving, RULES);
    const { keyStates, valueStates, queryStates } = loaded.stats();
    const isThere = loaded.live.keySlots().includes(2);
    assertEquals([keyStates, valueStates, queryStates], isThere ? [5, 5, 1] : [4, 4, 0], `${turns}`);
    await loaded.live.dispose();
  }
});

Deno.test("a queued call is about the row of the call, not about one that has its slot by then", async () => {
  await using live = await createEngine(optionsOf(5), { wrap: (inner) => new SlowBackend(inner) });
  const learner = new OnlineLearner(live, { optimizer: adagrad(), rates: { keys: false, values: false } });
  const first = learner.learnOne({ query: 0 }, [1, 2]);
  const late = [
    () => learner.learnOne({ query: 1 }, [1, 2]),
    () => learner.predictOne({ query: 1 }),
    () => learner.peekOne({ query: 1 }),
    () => learner.forgetQuery(1),
    () => learner.learnOne({ query: 0, against: [3, 2] }, [1, 2]),
    () => learner.forgetKey(2),
  ].map((call) => call().then(() => "done", (error) => error));
  live.deleteQuery(1);
  assertEquals(live.insertQuery([9, 9, 9]), 1);
  live.edit([{ kind: "delete", slot: 2 }, { kind: "insert", key: [9, 9, 9], value: [8, 8] }]);
  await first;
  const errors = await Promise.all(late);
  for (const [at, error] of errors.entries()) {
    assertInstanceOf(error, InputError, `call ${at}: ${error}`);
    const what = at < 4 ? "query slot 1" : "key slot 2";
    assert(
      error.message.includes(`${what} holds another row by now, expected the row of the call`),
      error.message,
    );
  }
  assertEquals([...live.getQuery(1), ...live.getKey(2), ...live.getValue(2)], [9, 9, 9, 9, 9, 9, 8, 8]);
  assertEquals([learner.stats().steps, learner.stats().queryStates], [1, 1]);
  live.deleteQuery(3);
  await assertRejects(
    () => learner.forgetQuery(3),
    SlotError,
    "OnlineLearner.forgetQuery: query slot 3 is not live",
  );
  await assertRejects(
    () => learner.forgetKey(17),
    SlotError,
    "OnlineLearner.forgetKey: key slot 17 is not live",
  );
});

Deno.test("derivatives are asked of rows that are there when all has been read", async () => {
  await using live = await DynamicAttention.create(optionsOf(6));
  const gradient = [[1, 0], [0, 1]];
  Object.defineProperty(gradient[1], "1", {
    get() {
      if (live.querySlots().length === QUERIES) live.deleteQuery(2);
      return 1;
    },
  });
  await assertRejects(
    () => attentionGradients(live, gradient, { rows: [0, 2] }),
    SlotError,
    "attentionGradients: query slot 2 is not live",
  );
});
