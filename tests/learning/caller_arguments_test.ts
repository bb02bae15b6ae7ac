// The learner's arguments are the caller's: a call has read and copied all of them when it returns, reading them may run
// code of the caller's, and arrays may come from another realm, such as a frame or a test runner's context.

import vm from "node:vm";
import { DynamicAttention, InputError, SlotError } from "../../mod.ts";
import {
  adagrad,
  attentionGradients,
  type Loss,
  OnlineLearner,
  squaredLoss,
} from "../../src/learning/mod.ts";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";

const ROWS = { query: [[1, 0], [0, 1]], key: [[1, 0], [0, 1], [1, 1]], value: [[1, 0], [0, 2], [3, 3]] };

async function make(): Promise<OnlineLearner> {
  return new OnlineLearner(await DynamicAttention.create(ROWS), { optimizer: adagrad(), rate: 0.1 });
}

Deno.test("what recommendOne leaves out is what was named at the call", async () => {
  const learner = await make();
  const expected = await learner.recommendOne({ query: 0 }, 3, { exclude: [2] });
  assertEquals(expected.map(({ slot }) => slot), [1, 0]);
  const exclude = [2], options = { exclude };
  const later = learner.recommendOne({ query: 0 }, 3, options);
  exclude[0] = 0;
  options.exclude = [];
  assertEquals(await later, expected);

  // The row in the slot is another one by its turn: the call is refused, as those about other rows are.
  const late = learner.recommendOne({ query: 0 }, 3, { exclude: [2] });
  learner.live.delete(2);
  learner.live.insert([1, 1], [9, 9]);
  await assertRejects(() => late, InputError, "key slot 2 holds another row by now");
  await learner.live.dispose();
});

Deno.test("recommendOne refuses what it would ignore", async () => {
  const learner = await make();
  for (const x of [{ query: 0, against: 1 }, { query: 0, columns: [0] }, { row: [1, 0], against: [1] }]) {
    const error = await assertRejects(() => learner.recommendOne(x, 1), InputError, "is unknown");
    assert(error.message.startsWith("OnlineLearner.recommendOne: option "), error.message);
  }
  await assertRejects(() => learner.recommendOne({ query: 0 }, 1, { exclude: [7] }), SlotError, "key slot 7");
  assertEquals((await learner.recommendOne({ query: 0, offset: 5 }, 1)).length, 1);
  await learner.live.dispose();
});

Deno.test("an error of the caller's getters becomes the cause of one that names the call", async () => {
  const learner = await make();
  const oops = new TypeError("oops");
  const throwing = (name: string, rest: object = {}) =>
    Object.defineProperty({ ...rest }, name, {
      enumerable: true,
      get: () => {
        throw oops;
      },
    });
  const numbers = throwing("0", { length: 1, 1: 2 });
  const calls: readonly (readonly [operation: string, call: () => unknown])[] = [
    ["OnlineLearner", () => new OnlineLearner(learner.live, as(throwing("rate")))],
    ["OnlineLearner", () => new OnlineLearner(learner.live, { rates: as(throwing("keys")) })],
    [
      "OnlineLearner.load",
      async () => OnlineLearner.load(await learner.save(), as<object>(throwing("optimizer"))),
    ],
    ["OnlineLearner.predictOne", () => learner.predictOne(as(throwing("query")))],
    ["OnlineLearner.predictOne", () => learner.predictOne({ query: 0, against: as(numbers) })],
    ["OnlineLearner.predictOne", () => learner.predictOne({ row: as(numbers) })],
    ["OnlineLearner.peekOne", () => learner.peekOne(as(throwing("columns", { query: 0 })))],
    ["OnlineLearner.predictMany", () => learner.predictMany(as(numbers))],
    ["OnlineLearner.recommendOne", () => learner.recommendOne({ query: 0 }, 1, as(throwing("exclude")))],
    ["OnlineLearner.recommendOne", () => learner.recommendOne({ query: 0 }, 1, { exclude: as(numbers) })],
    ["OnlineLearner.learnOne", () => learner.learnOne({ query: 0, columns: 0 }, as(numbers))],
    ["OnlineLearner.learnOne", () => learner.learnOne({ query: 0 }, [1, 1], as(throwing("weight")))],
    ["OnlineLearner.learnMany", () => learner.learnMany(as(numbers))],
    ["OnlineLearner.learnMany", () => learner.learnMany([as(throwing("y", { x: { query: 0 } }))])],
    [
      "attentionGradients",
      () => attentionGradients(learner.live, as([throwing("0", { length: 2, 1: 2 })]), { rows: [0] }),
    ],
    ["attentionGradients", () => attentionGradients(learner.live, [[1, 1]], as(throwing("rows")))],
  ];
  for (const [operation, call] of calls) {
    const error = await Promise.try(call).then(() => null, (error) => error);
    assertInstanceOf(error, InputError, operation);
    assert(
      error.message.startsWith(`${operation}: reading the arguments threw TypeError: oops`),
      error.message,
    );
    assertEquals(error.cause, oops);
  }
  assertEquals(learner.stats().steps, 0);
  await learner.live.dispose();
});

Deno.test("an example is about the rows that are there when all of it has been read", async () => {
  const learner = await make();
  const { live } = learner;
  const against = Object.defineProperty({ length: 1 }, "0", {
    get: () => {
      live.deleteQuery(0);
      live.insertQuery([0, 5]);
      return 1;
    },
  });
  const answer = await learner.predictOne({ query: 0, against: as(against) });
  assertEquals(answer, await learner.predictOne({ query: 0, against: 1 }));
  await live.dispose();
});

Deno.test("arrays of another realm are taken like those of this one", async () => {
  const other: {
    readonly floats: (count: number) => Float32Array<ArrayBuffer>;
    readonly shared: (count: number) => Float32Array;
    readonly doubles: (list: ArrayLike<number>) => Float64Array;
    readonly bytes: (list: Uint8Array) => Uint8Array;
  } = vm.runInContext(
    `({
      floats: (count) => new Float32Array(count),
      shared: (count) => new Float32Array(new SharedArrayBuffer(4 * count)),
      doubles: (list) => Float64Array.from(list),
      bytes: (list) => Uint8Array.from(list),
    })`,
    vm.createContext({}),
  );
  const learner = await make(), { live } = learner;
  const expected = await live.read(), into = other.floats(4);
  assertEquals([...(await live.read(undefined, { into })).data], [...expected.data]);
  assertEquals([...into], [...expected.data]);
  assertEquals((await live.peek(undefined, { into })).output.data, into);
  using followed = live.follow(undefined, { into });
  assertEquals((await followed.refresh()).length, 2);
  const refused = () => live.read(undefined, { into: as(other.shared(4)) });
  await assertRejects(refused, InputError, "into lies in shared memory");
  const gone = other.floats(4);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  await assertRejects(
    () => live.attend({ data: gone, shape: [2, 2] }),
    InputError,
    "queries.data is a view of a detached buffer",
  );

  const loaded = await OnlineLearner.load(other.bytes(await learner.save()), { optimizer: adagrad() });
  assertEquals(loaded.stats(), learner.stats());
  const own = squaredLoss();
  const loss: Loss = {
    name: "other",
    check: (...given) => own.check(...given),
    predict: (scores) => as(other.doubles(own.predict(scores))),
    value: (...given) => own.value(...given),
    gradient: (...given) => as(other.doubles(own.gradient(...given))),
  };
  const foreign = new OnlineLearner(live, { loss });
  assertEquals(await foreign.predictOne({ query: 0 }), await learner.predictOne({ query: 0 }));
  await Promise.all([live.dispose(), loaded.live.dispose()]);
});
