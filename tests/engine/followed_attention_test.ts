// Limit: 15 minutes.
//
// The promise of `follow` and of an error budget: whatever is edited, no row is further from exact than its bound, and no bound
// is above the error but for rounding. Exact is the oracle's answer. 3,000 edits a backend; 5·10⁴ with ATTUNE_LONG=1.

import { DisposedError, DynamicAttention, type FollowedAttention, InputError, SlotError } from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { editOne, KEYS, RULES, type Stream, STREAMS } from "../../testing/certified_streams.ts";
import { MemoryModel, type ModelQuery, type ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";

const EDITS = IS_LONG ? 50_000 : 3000;
const QUERIES = 11;
/** The last one is never exceeded by ordinary streams, so that bounds have to hold over hundreds of edits. */
const ERRORS = [0, 1e-3, 0.02, 0.3, 4, 1e9];

const DRIFT: Record<string, Stream> = {
  ...STREAMS,
  "small steps": { sizes: [1e-4, 1e-3], valueSizes: [1], kinds: ["entry"] },
  "small steps and sudden ones": { sizes: [1e-4, 1e-3, 0.01, 3], valueSizes: [1], kinds: ["entry", "row"] },
};

/** Edits a random query of engine and model: another row, a new one, or one less. */
function editQuery(engine: DynamicAttention, model: MemoryModel, random: Random, size: number) {
  const { heads, headDim } = model.rule, slots = model.querySlots;
  const row = random.row(heads * headDim, size);
  const kind = random.below(3);
  if (kind === 0) {
    const slot = random.pick(slots);
    engine.setQuery(slot, row);
    (model.queries.get(slot) as ModelQuery).query = row;
  } else if (kind === 1 && slots.length < 2 * QUERIES) {
    model.insertQuery(engine.insertQuery(row), row);
  } else if (slots.length > QUERIES) {
    // The first ones are followed.
    engine.deleteQuery(slots[slots.length - 1]);
    model.queries.delete(slots[slots.length - 1]);
  }
}

interface Seen {
  violations: number;
  rewritten: number;
  rows: number;
  largest: number;
}

/** Follows some rows, and peeks at all of them within an error, while a stream of edits comes in. */
async function watch(backend: typeof QUICK_BACKENDS[number], rule: ModelRule, stream: Stream, edits: number) {
  const random = new Random(23), model = new MemoryModel(rule);
  const { heads, kvHeads, headDim, valueDim } = rule, width = heads * valueDim;
  for (let i = 0; i < QUERIES; i++) model.insertQuery(i, random.row(heads * headDim));
  for (let j = 0; j < KEYS; j++) {
    model.insertKey(j, random.row(kvHeads * headDim), random.row(kvHeads * valueDim));
  }
  await using engine = await DynamicAttention.create({
    ...model.engineOptions(),
    lazyThreshold: { error: 0.05 },
    backend,
  });
  const followed = ERRORS.map((error) => engine.follow(undefined, { error }));
  const seen: Seen = { violations: 0, rewritten: 0, rows: 0, largest: 0 };
  const judge = (row: Float32Array, truth: Float64Array | number[], bound: number) => {
    const distance = Math.hypot(...Array.from(truth, (o, c) => o - row[c]));
    if (!(distance <= bound)) seen.violations++;
  };
  for (let edit = 0; edit < edits;) {
    for (let burst = 1 + random.below(4); burst > 0; burst--, edit++) editOne(engine, model, random, stream);
    if (random.below(40) === 0) editQuery(engine, model, random, 1);
    if (random.below(50) === 0) await engine.read([random.below(QUERIES)]);
    if (random.below(500) === 0) await engine.flush();
    const truth = referenceAttention(model.standing()).output, slots = model.querySlots;
    const mirror = random.pick(followed);
    const copy = mirror.data.slice(), rewritten = new Set(await mirror.refresh());
    seen.rewritten += rewritten.size;
    seen.rows += QUERIES;
    for (let i = 0; i < QUERIES; i++) {
      const row = mirror.data.subarray(i * width, (i + 1) * width);
      judge(row, truth[slots.indexOf(mirror.slots[i])], mirror.bounds[i]);
      // A row that is not named has stayed as it was.
      if (!rewritten.has(mirror.slots[i])) assertEquals(row, copy.subarray(i * width, (i + 1) * width));
      seen.largest = Math.max(seen.largest, mirror.bounds[i] - mirror.error);
    }
    const { output, bounds } = await engine.peek();
    slots.forEach((_, i) => judge(output.data.subarray(i * width, (i + 1) * width), truth[i], bounds[i]));
  }
  return seen;
}

for (const backend of QUICK_BACKENDS) {
  for (const [ruleName, rule] of Object.entries(RULES)) {
    for (const [streamName, stream] of Object.entries(DRIFT)) {
      const cases = EDITS / Object.keys(DRIFT).length / Object.keys(RULES).length;
      const edits = Math.ceil(backend === "webgpu" ? cases / 10 : cases);
      Deno.test(`follow on ${backend}: ${streamName}, ${ruleName}`, async () => {
        const { violations, rewritten, rows, largest } = await watch(backend, rule, stream, edits);
        assertEquals(violations, 0);
        assertGreater(rewritten, 0);
        if (streamName === "small steps") assertLess(rewritten, 0.8 * rows);
        if (!streamName.includes("hostile")) assertLess(largest, 0.01);
      });
    }
  }

  Deno.test(`follow on ${backend}: rows that nothing touched stay, those that left their error are written`, async () => {
    const random = new Random(3);
    const rows = (count: number, size = 1) => Array.from({ length: count }, () => random.row(8, size));
    await using engine = await DynamicAttention.create({
      query: rows(40),
      key: rows(200),
      value: rows(200),
      backend,
    });
    const into = new Float32Array(16);
    using some = engine.follow([3, 1], { into, error: 0.05 });
    using exact = engine.follow();
    assertEquals([some.data === into, [...some.slots], some.error, exact.error], [true, [3, 1], 0.05, 0]);
    assertEquals([...some.bounds], [Infinity, Infinity]);
    assertEquals([...await some.refresh()], [3, 1]);
    assertEquals((await exact.refresh()).length, 40);
    const read = await engine.read([3, 1]);
    assertEquals(into, read.data);
    assertEquals(await some.refresh(), new Uint32Array(0));
    assertEquals(await exact.refresh(), new Uint32Array(0));

    engine.addToKey(7, 0, 1e-4);
    assertEquals(await some.refresh(), new Uint32Array(0));
    assertEquals(into, read.data);
    assertGreater((await exact.refresh()).length, 0);
    assertEquals(exact.data, (await engine.read()).data);

    for (let key = 0; key < 100; key++) engine.setValue(key, random.row(8, 9));
    assertEquals([...await some.refresh()], [3, 1]);
    assertEquals(into, (await engine.read([3, 1])).data);
    assertLessOrEqual(Math.max(...some.bounds), 0.05);

    engine.setQuery(1, random.row(8));
    assertEquals([...await some.refresh()], [1]);
    assertEquals(into, (await engine.read([3, 1])).data);
  });

  Deno.test(`follow on ${backend}: bounds are those of the last refresh, whenever they are asked for`, async () => {
    const random = new Random(8);
    const rows = (count: number) => Array.from({ length: count }, () => random.row(8));
    const options = { query: rows(20), key: rows(60), value: rows(60), heads: 2, backend };
    await using one = await DynamicAttention.create(options);
    await using other = await DynamicAttention.create(options);
    using often = one.follow(undefined, { error: 0.2 });
    using seldom = other.follow(undefined, { error: 0.2 });
    const kept = often.bounds;
    assertEquals(kept, new Float64Array(20).fill(Infinity));
    for (let look = 0; look < 60; look++) {
      const slot = random.below(60), column = random.below(8), step = 0.02 * random.normal();
      for (const engine of [one, other]) engine.addToKey(slot, column, step);
      assertEquals(await often.refresh(), await seldom.refresh());
      assert(often.bounds === kept);
      if (look % 7 !== 0) continue;
      // An edit that is not looked at, and a copy that is lost, leave what a refresh has told.
      if (look % 2 === 0) { for (const engine of [one, other]) engine.addToKey(slot, column, 1); }
      if (look % 3 === 0) await Promise.all([one.flush(), other.flush()]);
      assertEquals(seldom.bounds.slice(), kept);
      assertLess(Math.max(...kept), 0.21);
    }
  });

  Deno.test(`follow on ${backend}: a key is heavier once a heavier one has gone, and lighter once one has come`, async () => {
    await using engine = await DynamicAttention.create({
      query: [[1]],
      key: [[1], [0]],
      value: [[1], [1]],
      scale: 1,
      lazyThreshold: Infinity,
      backend,
    });
    using followed = engine.follow(undefined, { error: 100 });
    await followed.refresh();
    engine.delete(0); // All values are the same, so nothing has moved.
    await followed.refresh();
    engine.setValue(1, [2]);
    await followed.refresh();
    assertEquals(followed.data[0], 1);
    assertGreater(followed.bounds[0], 1 - 1e-6);
    const before = followed.bounds[0];
    engine.insert([9], [2]);
    await followed.refresh();
    assertEquals(followed.data[0], 1);
    assertGreater(followed.bounds[0], Math.max(before, 1 - 1e-6));
  });

  Deno.test(`follow on ${backend}: after a move, rows have the bits of the new place`, async () => {
    const random = new Random(9);
    await using engine = await DynamicAttention.create({
      query: random.rows(9, 8),
      key: random.rows(60, 8),
      value: random.rows(60, 8),
      backend,
    });
    using exact = engine.follow();
    await exact.refresh();
    await engine.moveTo(backend === "array" ? "wasm" : "array");
    await exact.refresh();
    assertEquals(exact.data, (await engine.read()).data);
  });

  Deno.test(`follow on ${backend}: what is wrong is refused, and changes nothing`, async () => {
    const engine = await DynamicAttention.create({ query: [[1], [2]], key: [[1]], value: [[1, 2]], backend });
    const shared = new Float32Array(new SharedArrayBuffer(16)) as unknown as Float32Array<ArrayBuffer>;
    for (
      const [rows, options] of [
        [[0, 0], {}],
        [[2], {}],
        [undefined, { error: -1 }],
        [undefined, { error: NaN }],
        [undefined, { into: new Float32Array(3) }],
        [undefined, { into: new Float64Array(4) as unknown as Float32Array<ArrayBuffer> }],
        [undefined, { into: shared }],
        [undefined, { errors: 1 } as object],
      ] as const
    ) assertThrows(() => engine.follow(rows, options), InputError, "DynamicAttention.follow");
    const followed = engine.follow([1, 0], { error: 0.1 });
    await followed.refresh();
    const before = followed.data.slice();
    engine.deleteQuery(0);
    await assertRejects(() => followed.refresh(), SlotError, "FollowedAttention.refresh");
    assertEquals(followed.data, before);
    followed.dispose();
    followed.dispose();
    await assertRejects(() => followed.refresh(), DisposedError);
    const late = engine.follow();
    await engine.dispose();
    await assertRejects(() => late.refresh(), DisposedError);
    late.dispose();
    assertThrows(() => engine.follow(), DisposedError);
  });

  Deno.test(`follow on ${backend}: a row that took the slot of a followed one is not shown in its place`, async () => {
    const rows = { query: [[1, 0], [0, 1]], key: [[5, 0], [0, 5]], value: [[1], [2]], backend };
    const refused = async (followed: FollowedAttention, text: string) => {
      const before = followed.data.slice();
      const refusal = await assertRejects(() => followed.refresh(), InputError, text);
      assertEquals(refusal.operation, "FollowedAttention.refresh");
      assertEquals(followed.data, before);
    };
    await using plain = await DynamicAttention.create(rows);
    using first = plain.follow([0]), second = plain.follow([1]);
    await Promise.all([first.refresh(), second.refresh()]);
    plain.deleteQuery(0);
    assertEquals(plain.insertQuery([0, 9]), 0);
    await refused(first, "query slot 0 holds another row by now");
    await second.refresh();
    assertEquals(second.data, (await plain.read([1])).data);

    await using named = await DynamicAttention.create({ ...rows, queryIds: ["Ada", "Ben"] });
    using ada = named.follow(["Ada"]);
    await ada.refresh();
    named.upsertQuery("Ada", [3, 1]); // the same row, with other numbers
    await ada.refresh();
    assertEquals(ada.data, (await named.read(["Ada"])).data);
    named.deleteQuery("Ada");
    named.insertQuery([0, 9], { id: "Cleo" });
    assertEquals([...named.querySlots()], [0, 1]);
    await refused(ada, 'query "Ada" is not there');
    named.insertQuery([1, 0], { id: "Ada" });
    await refused(ada, 'query "Ada" is another row by now');
    ada.dispose();
    await assertRejects(() => ada.refresh(), DisposedError, "the followed rows are disposed");
  });

  Deno.test(`follow on ${backend}: what is held for followed rows is counted until it is given back`, async () => {
    const random = new Random(3), queries = 300;
    const [query, key, value] = [random.rows(queries, 2), random.rows(4, 2), random.rows(4, 1)];
    await using live = await DynamicAttention.create({ query, key, value, backend });
    await live.read();
    const { bytes } = live.stats();
    const followed = live.follow();
    await followed.refresh();
    assertGreater(live.stats().bytes, bytes + 16 * queries, "an epoch and a count of changes for each");
    followed.dispose();
    assertEquals(live.stats().bytes, bytes);
  });

  Deno.test(`into on ${backend}: read and peek write to an array of the caller's, to the same bits`, async () => {
    const random = new Random(4);
    const rows = (count: number) => Array.from({ length: count }, () => random.row(6));
    for (const lazyThreshold of [64, { error: 0.5 }]) {
      await using engine = await DynamicAttention.create({
        query: rows(20),
        key: rows(50),
        value: rows(50),
        heads: 2,
        lazyThreshold,
        backend,
      });
      const into = new Float32Array(20 * 6).fill(7);
      engine.setKey(3, random.row(6));
      const answer = await engine.read(undefined, { into });
      assert(answer.data === into);
      assertEquals(into, (await engine.read()).data);
      engine.addToKey(4, 1, 0.01);
      const some = new Float32Array(3 * 6);
      const stale = await engine.peek([5, 2, 5], { into: some });
      assert(stale.output.data === some);
      assertEquals(some, (await engine.peek([5, 2, 5])).output.data);
      for (const wrong of [new Float32Array(5), [1], "a", new Float64Array(120)]) {
        const given = { into: wrong as unknown as Float32Array<ArrayBuffer> };
        await assertRejects(() => engine.read(undefined, given), InputError, "DynamicAttention.read");
        await assertRejects(() => engine.peek(undefined, given), InputError, "DynamicAttention.peek");
      }
      const gone = new Float32Array(20 * 6);
      const read = engine.read(undefined, { into: gone });
      structuredClone(gone.buffer, { transfer: [gone.buffer] });
      await assertRejects(() => read, InputError, "into");
      assertEquals((await engine.read()).shape, [20, 6]);
    }
  });
}
