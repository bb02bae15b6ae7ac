// Own ids: a plain map of rows by id says what the engine must answer, from scratch by the oracle; whatever
// slots the rows have is none of its business.

import { DynamicAttention, IdError, InputError, type RowId, SlotError } from "../../mod.ts";
import { OnlineLearner } from "../../src/learning/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";

const D = 3, HEADS = 2;

interface Key {
  key: Float32Array;
  value: Float32Array;
  position: number;
}

interface Query {
  query: Float32Array;
  position: number;
}

/** What an engine with ids should hold. */
class NamedModel {
  readonly keys = new Map<RowId, Key>();
  readonly queries = new Map<RowId, Query>();

  /** The oracle's problem for some queries and all keys. */
  truth(queries: readonly RowId[]) {
    const rows = queries.map((id) => this.queries.get(id)!), keys = [...this.keys.values()];
    return {
      query: rows.map(({ query }) => query),
      key: keys.map(({ key }) => key),
      value: keys.map(({ value }) => value),
      scale: 1 / Math.sqrt(D),
      valueDim: D,
      heads: HEADS,
      bias: (i: number, j: number) => {
        const distance = keys[j].position - rows[i].position;
        return distance <= 0 && distance >= -40 ? biasOf(queries[i], [...this.keys.keys()][j]) : -Infinity;
      },
    };
  }
}

/** What the mask says, by ids alone. */
function biasOf(query: RowId, key: RowId): number {
  return ((String(query).length * 7 + String(key).length * 3) % 5) / 2 - 1;
}

const POOL: readonly RowId[] = [
  "a",
  "b",
  "ä",
  "",
  "1",
  1,
  1n,
  -2.5,
  10n ** 30n,
  "constructor",
  "__proto__",
  0,
];

for (const backend of QUICK_BACKENDS) {
  Deno.test(`ids, ${backend}: any order of edits answers what rows by id answer`, async () => {
    for (let seed = 1; seed <= (IS_LONG ? 20 : 4); seed++) await runStream(new Random(seed), backend);
  });
}

async function runStream(random: Random, backend: typeof QUICK_BACKENDS[number]): Promise<void> {
  const model = new NamedModel();
  const width = HEADS * D;
  const ids = POOL.slice(0, 4), queryIds: RowId[] = ["ann", 7n];
  ids.forEach((id, position) =>
    model.keys.set(id, { key: random.row(width), value: random.row(width), position })
  );
  queryIds.forEach((id, at) => model.queries.set(id, { query: random.row(width), position: 50 + at }));
  let live = await DynamicAttention.create<RowId, RowId>({
    query: [...model.queries.values()].map(({ query }) => query),
    key: [...model.keys.values()].map(({ key }) => key),
    value: [...model.keys.values()].map(({ value }) => value),
    heads: HEADS,
    keyIds: ids,
    queryIds,
    causal: true,
    window: [40, 0],
    queryPositions: [50, 51],
    mask: biasOf,
    backend,
  });
  try {
    let edits = 0;
    for (let turn = 0; turn < 120; turn++) {
      edits += editOnce(live, model, random);
      if (random.below(4) > 0) continue;
      assertEquals(live.sequence, edits);
      await checkAnswers(live, model, random);
      if (random.below(6) > 0) continue;
      const bytes = await live.save();
      await live.dispose();
      live = await DynamicAttention.load<RowId, RowId>(bytes, { mask: biasOf, backend });
    }
  } finally {
    await live.dispose();
  }
}

/** One random edit of both; the number of edits. */
function editOnce(live: DynamicAttention<RowId, RowId>, model: NamedModel, random: Random): number {
  const id = random.pick(POOL), row = random.row(HEADS * D), other = random.row(HEADS * D);
  const position = random.below(2) === 0 ? {} : { position: 20 + random.below(40) };
  const next = 1 +
    Math.max(...[...model.keys.values()].map(({ position }) => position), largestPosition.get(live) ?? 0);
  const held = model.keys.get(id);
  const place = position.position ?? held?.position ?? next;
  const remember = (place: number) =>
    largestPosition.set(live, Math.max(place, largestPosition.get(live) ?? 0));
  switch (random.below(6)) {
    case 0:
    case 1:
      live.upsert(id, row, other, { position: place });
      model.keys.set(id, { key: row, value: other, position: place });
      remember(place);
      return 1;
    case 2:
      if (held) {
        assertThrows(
          () => live.insert(row, other, { id }),
          InputError,
          "names a live key, expected an id of no live",
        );
        live.delete(id);
        model.keys.delete(id);
        return 1;
      }
      assertEquals(live.insert(row, other, { id, position: place }), id);
      model.keys.set(id, { key: row, value: other, position: place });
      remember(place);
      return 1;
    case 3: {
      if (!held) {
        assertThrows(() => live.setKey(id, row), IdError, "is not there");
        return 0;
      }
      live.setKey(id, row);
      held.key = row;
      return 1;
    }
    case 4: {
      // A batch whose last edit is refused changes nothing, also not what rows are called.
      assertThrows(
        () =>
          live.edit([
            { kind: "upsert", id, key: row, value: other },
            { kind: "delete", slot: id },
            { kind: "insert", id, key: row, value: other },
            { kind: "upsertQuery", id: "new", query: row },
            { kind: "deleteQuery", slot: "new" },
            { kind: "delete", slot: "nobody" },
          ]),
        IdError,
        'edit[5].delete: key "nobody" is not there',
      );
      return 0;
    }
    default: {
      const query = random.pick(["ann", 7n, "bea", "7"] as const);
      const known = model.queries.get(query);
      if (known && model.queries.size > 1 && random.below(2) === 0) {
        live.deleteQuery(query);
        model.queries.delete(query);
        return 1;
      }
      live.upsertQuery(query, row, { position: 55 });
      model.queries.set(query, { query: row, position: 55 });
      return 1;
    }
  }
}

/** The largest position that an engine's keys have had. */
const largestPosition = new WeakMap<object, number>();

async function checkAnswers(
  live: DynamicAttention<RowId, RowId>,
  model: NamedModel,
  random: Random,
): Promise<void> {
  const sorted = (ids: Iterable<RowId>) => [...ids].map((id) => `${typeof id} ${id}`).sort();
  assertEquals(sorted(live.keyIds()), sorted(model.keys.keys()));
  assertEquals(sorted(live.queryIds()), sorted(model.queries.keys()));
  const rows = live.queryIds().filter(() => random.below(3) > 0).reverse();
  const truth = model.truth(rows);
  const names = [...model.keys.keys()], exact = referenceAttention(truth);
  const tensor = live.weightsOf(rows), read = live.read(rows);
  const ranked = rows.map((id) => live.recommend(id, 3, { exclude: names.slice(0, 1) }));
  const top = live.topKeys(rows, 2, { head: 1 });
  assertAccurate(await read, truth);
  const { data, shape, keys, queries } = await tensor;
  assertEquals([...shape], [rows.length, HEADS, names.length]);
  assertEquals([queries, sorted(keys)], [rows, sorted(names)]);
  rows.forEach((_, i) => {
    for (let h = 0; h < HEADS; h++) {
      keys.forEach((id, j) => {
        const at = (i * HEADS + h) * keys.length + j;
        assertAlmostEquals(data[at], exact.weights[i][h][names.indexOf(id)], 1e-5);
      });
    }
  });
  (await top).forEach((found, i) => {
    const expected = exact.weights[i][1].toSorted((a, b) => b - a).slice(0, 2);
    found.forEach(({ slot, weight }, at) => {
      assertAlmostEquals(weight, expected[at], 1e-5);
      assertAlmostEquals(weight, exact.weights[i][1][names.indexOf(slot)], 1e-5);
    });
  });
  (await Promise.all(ranked)).forEach((found, i) => {
    const score = (id: RowId) =>
      exact.output[i].reduce((sum, o, c) => sum + o * model.keys.get(id)!.value[c], 0);
    const expected = names.slice(1).map(score).sort((a, b) => b - a).slice(0, 3);
    assertEquals(found.length, expected.length);
    found.forEach((key, at) => {
      assertAlmostEquals(key.score, expected[at], 1e-4);
      assertAlmostEquals(key.score, score(key.slot), 1e-4);
    });
  });
  for (const id of rows) assertEquals(live.getQuery(id), model.queries.get(id)!.query);
  for (const id of names) assertEquals(live.getValue(id), model.keys.get(id)!.value);
}

/** An engine with films and people. */
function films() {
  return DynamicAttention.create({
    query: [[1, 0], [0, 1]],
    queryIds: ["ann", "bob"],
    key: [[1, 0], [0, 1], [1, 1]],
    value: [[1], [2], [3]],
    keyIds: ["Alien", "Brazil", "Casablanca"],
  });
}

Deno.test("an unknown id is refused with the nearest ones, and nothing changes", async () => {
  await using live = await films();
  const calls: readonly (readonly [() => unknown, string])[] = [
    [
      () => live.delete("alien"),
      'key "alien" is not there, expected the id of a live key; did you mean "Alien"?',
    ],
    [() => live.setValue("Casablance", [1]), 'did you mean "Casablanca"?'],
    [() => live.getKey("Zardoz"), 'key "Zardoz" is not there, expected the id of a live key'],
    [
      () => live.deleteQuery("bop"),
      'query "bop" is not there, expected the id of a live query; did you mean "bob"?',
    ],
    [() => live.delete(as(0)), "key 0 is not there"],
    [() => live.delete(as(undefined)), "key undefined is not there"],
    [() => live.delete(as({})), "key an object (Object) is not there"],
  ];
  for (const [call, message] of calls) assertThrows(call, IdError, message);
  const error = await assertRejects(() => live.read(["ann", "bobb"]), IdError, 'query "bobb" is not there');
  assertEquals([error.id, error.nearest], ["bobb", ["bob"]]);
  await assertRejects(
    () => live.recommend("ann", 1, { exclude: ["Alien", "B"] }),
    IdError,
    'key "B" is not there',
  );
  await assertRejects(() => live.read(as("ann")), InputError, 'slots is "ann", expected an array of ids');
  assertEquals([live.sequence, live.keyIds().length], [0, 3]);
});

Deno.test("an id of another type with the same text is named", async () => {
  await using live = await DynamicAttention.create<RowId>({
    query: [[1]],
    key: [[1], [2], [3]],
    value: [[1], [2], [3]],
    keyIds: ["7", 8, 9n],
  });
  assertThrows(() => live.delete(7), IdError, 'did you mean "7" or 8?');
  assertThrows(() => live.delete("8"), IdError, "did you mean 8");
  assertThrows(() => live.delete(9), IdError, "did you mean 9");
  assertEquals([live.hasKey(9n), live.hasKey(9), live.hasKey("7")], [true, false, true]);
});

Deno.test("ids at the start are checked", async () => {
  const base = { query: [[1]], key: [[1], [2]], value: [[1], [2]] };
  const mistakes: readonly (readonly [unknown, string])[] = [
    [["a"], "keyIds has 1 ids, expected 2 (one per row)"],
    [["a", "a"], 'keyIds has "a" at index 0 and 1, expected each id once'],
    [[0, -0], "keyIds has -0 at index 0 and 1"],
    [["a", NaN], "keyIds has NaN at index 1, expected text, a finite number or a bigint"],
    [["a", null], "keyIds has null at index 1"],
    ["automatic", 'keyIds is "automatic", expected an array of ids, or "auto"'],
    [7, "keyIds is 7"],
  ];
  for (const [keyIds, message] of mistakes) {
    const create = () => DynamicAttention.create({ ...base, keyIds: as<string[]>(keyIds) });
    const error = await assertRejects(create, InputError);
    assert(
      error.message.includes(message.replace("-0 at", "")) || error.message.includes("each id once"),
      error.message,
    );
  }
});

Deno.test("an insert says what an id may be", async () => {
  await using live = await films();
  assertThrows(
    () => live.insert([1, 1], [1]),
    InputError,
    "insert: id is undefined, expected text, a finite number",
  );
  assertThrows(() => live.insert([1, 1], [1], { id: as(NaN) }), InputError, "id is NaN");
  const message = 'id "Alien" names a live key, expected an id of no live key; upsert takes both';
  assertThrows(() => live.insert([1, 1], [1], { id: "Alien" }), InputError, message);
  await using plain = await DynamicAttention.create({ query: [[1]], key: [[1]], value: [[1]] });
  assertThrows(() => plain.insert([1], [1], { id: 3 }), InputError, "id is 3, expected none, or keyIds when");
  assertThrows(() => plain.upsert(0, [1], [1]), InputError, "the engine has no keyIds");
  assertThrows(() => plain.upsertQuery(0, [1]), InputError, "the engine has no queryIds");
  assertEquals([plain.keyIds(), plain.hasKey(0), plain.hasKey(1)], [[0], true, false]);
});

Deno.test('"auto" never gives a number out twice, also after a batch that was refused and a load', async () => {
  const options = { query: [[1]], key: [[1], [2]], value: [[1], [2]], keyIds: "auto" } as const;
  await using live = await DynamicAttention.create(options);
  live.delete(1);
  assertEquals(live.insert([3], [3]), 2);
  assertThrows(
    () => live.edit([{ kind: "insert", key: [4], value: [4] }, { kind: "delete", slot: 1 }]),
    IdError,
  );
  assertEquals(live.insert([4], [4]), 3);
  live.delete(3);
  assertThrows(
    () => live.setKey(1, [9]),
    IdError,
    "key 1 is not there, expected the id of a live key; did you mean 0 or 2?",
  );
  assertThrows(
    () => live.insert([1], [1], { id: 9 }),
    InputError,
    'id is 9, expected none, since keyIds is "auto"',
  );
  assertThrows(() => live.upsert(0, [1], [1]), InputError, 'keyIds is "auto"');
  await using again = await DynamicAttention.load(await live.save());
  assertEquals([again.insert([5], [5]), again.keyIds()], [4, [0, 2, 4]]);
  // The slots are taken again, and the memory is that of the live rows.
  assertEquals([...again.keySlots()], [0, 1, 2]);
});

Deno.test("without ids a slot is what it was", async () => {
  await using live = await DynamicAttention.create({ query: [[1]], key: [[1], [2]], value: [[1], [2]] });
  live.delete(0);
  assertThrows(() => live.setKey(0, [1]), SlotError, "key slot 0 is not live");
  assertEquals(live.insert([1], [1]), 0);
});

Deno.test("answers speak of the ids of their call, whatever becomes of the keys", async () => {
  await using live = await films();
  const top = live.topKeys("ann", 3), best = live.recommend("ann", 3), all = live.weightsOf(["ann"]);
  live.delete("Alien");
  live.upsert("Dune", [5, 5], [9]);
  live.edit([{ kind: "delete", slot: "Brazil" }, { kind: "upsert", id: "Eve", key: [1, 1], value: [1] }]);
  assertEquals((await top).map(({ slot }) => slot), ["Alien", "Casablanca", "Brazil"]);
  assertEquals((await best).map(({ slot }) => slot), ["Casablanca", "Brazil", "Alien"]);
  assertEquals((await all).keys, ["Alien", "Brazil", "Casablanca"]);
  assertEquals(
    (await live.weightsOf(["ann"])).keys,
    ["Dune", "Eve", "Casablanca"].sort((a, b) => {
      return live.keyIds().indexOf(a) - live.keyIds().indexOf(b);
    }),
  );
});

Deno.test("an error of a mask function names the ids that it was asked about", async () => {
  await using live = await DynamicAttention.create({
    query: [[1]],
    queryIds: ["ann"],
    key: [[1]],
    value: [[1]],
    keyIds: [70n],
    mask: (query, key) => query === "ann" && key === 70n ? true : NaN,
  });
  live.insert([1], [1], { id: 71n });
  const error = await assertRejects(() => live.read(), InputError);
  assert(error.message.startsWith('mask("ann", 71n, 0): answer is NaN'), error.message);
});

Deno.test("an engine that begins empty takes ids of any type, without a word about types", async () => {
  const none = { data: [], shape: [0, 1] } as const;
  await using live = await DynamicAttention.create({
    ...{ query: none, key: none, value: none },
    keyIds: [],
    queryIds: [],
  });
  live.insert([1], [5], { id: "Alien" });
  live.upsert(7n, [1], [7]);
  live.insertQuery([1], { id: "Ada" });
  const kinds: (string | number | bigint)[] = live.keyIds();
  assertEquals(kinds, ["Alien", 7n]);
  assertEquals([...(await live.read(["Ada"])).data], [6]);
});

Deno.test("ids: typed arrays of bigints name rows wherever ids are listed", async () => {
  await using live = await DynamicAttention.create({
    query: [[1, 0], [0, 1]],
    queryIds: BigInt64Array.of(-1n, 2n),
    key: [[1, 0], [0, 1]],
    value: [[1], [2]],
    keyIds: BigUint64Array.of(2n ** 63n, 7n),
  });
  assertEquals([live.keyIds(), live.queryIds()], [[2n ** 63n, 7n], [-1n, 2n]]);
  assertEquals(await live.read(BigInt64Array.of(2n)), await live.read([2n]));
  const [best] = await live.recommend(2n, 1, { exclude: BigUint64Array.of(7n) });
  assertEquals(best.slot, 2n ** 63n);
  const learner = new OnlineLearner(live);
  const x = { query: 2n, against: [7n, 2n ** 63n] };
  assertEquals(
    await learner.predictOne({ ...x, against: BigUint64Array.from(x.against) }),
    await learner.predictOne(x),
  );
  await assertRejects(() => live.read(BigInt64Array.of(3n)), IdError, "query 3n is not there");
  const detached = BigInt64Array.of(1n);
  structuredClone(detached, { transfer: [detached.buffer] });
  await assertRejects(() => live.read(detached), InputError, "slots is a view of a detached buffer");
  await using plain = await DynamicAttention.create({ query: [[1]], key: [[1]], value: [[1]] });
  await assertRejects(
    () => plain.read(BigInt64Array.of(0n) as never),
    InputError,
    "expected an array of numbers",
  );
  await using typed = await DynamicAttention.create({
    query: [[1]],
    key: [[1], [2]],
    value: [[1], [2]],
    keyIds: Uint32Array.of(10, 20),
  });
  assertEquals(typed.keyIds(), [10, 20]);
});
