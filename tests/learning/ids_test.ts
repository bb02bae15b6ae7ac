// A learner of an engine with ids: what it learns has the bits of a learner of the same engine without them.

import { DynamicAttention, IdError, InputError } from "../../mod.ts";
import { attentionGradients, OnlineLearner } from "../../src/learning/mod.ts";
import { assertEquals, assertRejects } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const D = 3, KEYS = ["a", "b", "c", "d", "e"], QUERIES = [10n, 20n];

async function engines() {
  const random = new Random(4);
  const rows = { query: random.rows(2, D), key: random.rows(5, D), value: random.rows(5, D) };
  const named = await DynamicAttention.create({ ...rows, keyIds: KEYS, queryIds: QUERIES });
  return { named, plain: await DynamicAttention.create(rows) };
}

Deno.test("a learner of ids learns what a learner of slots does", async () => {
  const { named, plain } = await engines();
  const asked: [string, string | bigint][] = [];
  const rowRate = (kind: string, slot: string | bigint) => asked.push([kind, slot]) > 0 ? 1 : 1;
  const one = new OnlineLearner(named, { rate: 0.1, rowRate }),
    other = new OnlineLearner(plain, { rate: 0.1 });
  const random = new Random(6);
  for (let step = 0; step < 30; step++) {
    const [i, j, k] = [random.below(2), random.below(5), random.below(5)],
      y = [random.normal(), random.normal()];
    const learned = await Promise.all([
      one.learnOne({ query: QUERIES[i], against: [KEYS[j], KEYS[k]] }, y),
      other.learnOne({ query: i, against: [j, k] }, y),
    ]);
    assertEquals(learned[0], learned[1]);
    assertEquals(
      await one.predictOne({ query: QUERIES[i], against: KEYS[j] }),
      await other.predictOne({ query: i, against: j }),
    );
    const rankings = await Promise.all([
      one.recommendOne({ query: QUERIES[i] }, 3, { exclude: [KEYS[j]] }),
      other.recommendOne({ query: i }, 3, { exclude: [j] }),
    ]);
    assertEquals(
      rankings[0].map(({ slot, score }) => [KEYS.indexOf(slot), score]),
      rankings[1].map(({ slot, score }) => [slot, score]),
    );
    const passing = await one.recommendOne({ row: plain.getQuery(i) }, 5);
    const standing = await named.recommend(QUERIES[i], 5);
    assertEquals(passing.map(({ slot }) => slot), standing.map(({ slot }) => slot));
  }
  assertEquals(await named.read(), await plain.read());
  assertEquals(asked.some(([kind, slot]) => kind === "query" && slot === 20n), true);
  const gradients = attentionGradients(named, [[1, 0, 0]], { rows: [20n], top: 2 });
  const slots = attentionGradients(plain, [[1, 0, 0]], { rows: [1], top: 2 });
  named.delete("a");
  const { keys, ...numbers } = await gradients;
  const { keys: _, ...expected } = await slots;
  assertEquals(numbers, expected);
  assertEquals(keys, [...numbers.slots].map((slot) => KEYS[slot]));
  await Promise.all([named.dispose(), plain.dispose()]);
});

Deno.test("what a learner does not find by its id is refused, and a snapshot keeps the ids", async () => {
  const { named, plain } = await engines();
  await plain.dispose();
  const learner = new OnlineLearner(named, { rate: 0.1 });
  await learner.learnOne({ query: 10n, against: "a" }, 1);
  await assertRejects(() => learner.learnOne({ query: 30n }, [1, 1, 1]), IdError, "query 30n is not there");
  await assertRejects(
    () => learner.predictOne({ query: 10n, against: ["a", "z"] }),
    IdError,
    'key "z" is not there',
  );
  await assertRejects(() => learner.forgetKey("z"), IdError);
  await assertRejects(() => learner.recommendOne({ query: 10n }, -1), InputError, "count is -1");
  const late = learner.predictOne({ query: 20n });
  named.deleteQuery(20n);
  await assertRejects(() => late, InputError);
  await learner.forgetKey("b");
  const again = await OnlineLearner.load<string, bigint>(await learner.save(), { rate: 0.1 });
  assertEquals([again.live.keyIds(), again.live.queryIds()], [["a", "c", "d", "e"], [10n]]);
  assertEquals(await again.predictOne({ query: 10n }), await learner.predictOne({ query: 10n }));
  await Promise.all([named.dispose(), again.live.dispose()]);
});
