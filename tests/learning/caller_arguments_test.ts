// The learner's arguments are the caller's: a call has copied all of them when it returns, what it would ignore is refused,
// and arrays may come from another realm, such as a frame or a test runner's context.

import vm from "node:vm";
import { DynamicAttention, InputError, SlotError } from "../../mod.ts";
import { adagrad, type Loss, OnlineLearner, squaredLoss } from "../../src/learning/mod.ts";
import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";
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

  // Another row that has the slot by the call's turn is not left out.
  const late = learner.recommendOne({ query: 0 }, 3, { exclude: [2] });
  learner.live.delete(2);
  learner.live.insert([1, 1], [9, 9]);
  assertEquals((await late).map(({ slot }) => slot), [2, 1, 0]);
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
