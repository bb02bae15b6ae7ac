// A context shift costs what changes: where most rows move and few stay, the few move in their place. Nothing
// of it shows but the cost.

import { attention, DynamicAttention, type DynamicAttentionOptions, InputError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertLessOrEqual,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { OnlineLearner } from "../../src/learning/mod.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { MemoryModel, type ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { BACKENDS, casesOn } from "../backends_here.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";

const RULES: Record<string, ModelRule> = {
  "causal, a window and slopes": {
    ...{ heads: 2, kvHeads: 1, headDim: 4, valueDim: 2, scale: 0.5, softcap: 0, maskOf: null },
    ...{ causal: { offset: 1 }, window: [6, Infinity] as const, alibi: [0.25, 0] },
  },
  "a table": {
    ...{ heads: 1, kvHeads: 1, headDim: 3, valueDim: 2, scale: 0.5, softcap: 0, maskOf: null },
    ...{ causal: false, window: [Infinity, Infinity] as const },
    distances: { from: -3, values: [[0, 1, -1, 0.5, 2]] },
  },
  "rotary positions": {
    ...{ heads: 2, kvHeads: 1, headDim: 4, valueDim: 2, scale: 0.5, softcap: 0, maskOf: null },
    ...{ causal: true, window: [Infinity, Infinity] as const, sinks: [0, 1] },
    rotary: { base: 100, dims: 4, interleaved: false },
  },
  "blocks of positions": {
    ...{ heads: 1, kvHeads: 1, headDim: 3, valueDim: 2, scale: 0.5, softcap: 0, maskOf: null },
    ...{ causal: true, window: [Infinity, Infinity] as const },
    blocks: {
      size: [5, 4],
      entries: [[[true, 1, false, true], [true, true, 0.5, false], [true, true, true, true]]],
    },
  },
  "first keys that stay": {
    ...{ heads: 1, kvHeads: 1, headDim: 3, valueDim: 2, scale: 0.5, softcap: 0, maskOf: null },
    ...{ causal: true, window: [2, Infinity] as const, keepFirst: 2 },
  },
};

for (const backend of BACKENDS) {
  for (const [name, rule] of Object.entries(RULES)) {
    Deno.test(`${name} on ${backend}: any order of moves, shifts, edits and files is exact`, async () => {
      const random = new Random(31);
      for (let round = 0; round < casesOn(backend, LONG ? 200 : 12); round++) {
        await live(backend, rule, random);
      }
    });
  }

  Deno.test(`a shift past a few keys costs the few, not the rest, on ${backend}`, async () => {
    const random = new Random(32), [m, n, kept] = [8, 400, 4];
    await using engine = await DynamicAttention.create({
      ...{
        query: random.rows(m, 4),
        key: random.rows(n, 4),
        value: random.rows(n, 2),
        causal: true,
        alibi: true,
        rotary: true,
      },
      queryPositions: Array.from({ length: m }, (_, i) => n + i),
      ...{ backend, lazyThreshold: Infinity, onThreshold: "patch" },
    });
    await engine.read();
    engine.edit(Array.from({ length: 50 }, (_, at) => ({ kind: "delete" as const, slot: kept + at })));
    await engine.read();
    const before = engine.stats();
    assertEquals(engine.shiftPositions(-50, { from: kept }), n - kept - 50 + m);
    assertEquals(engine.stats().pending, kept);
    await engine.read();
    const { multiplyAdds, edits } = engine.stats(), perKey = 2 * m * (4 + 2 + 2);
    assertLessOrEqual(multiplyAdds - before.multiplyAdds, kept * perKey + 8 * m * 4);
    assertEquals(edits - before.edits, n - kept - 50 + m, "all rows that moved were edited");
    assertEquals([engine.getPosition(0), engine.getPosition(n - 1), engine.getQueryPosition(0)], [
      0,
      n - 51,
      n - 50,
    ]);
    // All rows at once: nothing changes.
    const work = engine.stats().multiplyAdds, answer = await engine.read();
    assertEquals(engine.shiftPositions(1000), n - 50 + m);
    assertEquals((await engine.read()).data, answer.data);
    assertEquals(engine.stats().multiplyAdds, work);
    assertEquals(engine.getPosition(0), 1000);
    assertEquals(engine.getPosition(engine.insert([0, 0, 0, 0], [0, 0])), 1000 + n - 50);
  });
}

async function live(backend: typeof BACKENDS[number], rule: ModelRule, random: Random): Promise<void> {
  const { heads, kvHeads, headDim, valueDim, scale, softcap, causal } = rule;
  const model = new MemoryModel(rule), isWhole = random.below(3) > 0 || rule.distances !== undefined;
  const place = () => isWhole ? random.below(12) : random.below(48) / 4 + (random.below(4) === 0 ? 0.1 : 0);
  const queryCount = random.pick([0, 3, 3]);
  for (let i = 0; i < queryCount; i++) model.insertQuery(i, random.row(heads * headDim), place());
  for (let j = 0; j < 9; j++) {
    model.insertKey(j, random.row(kvHeads * headDim), random.row(kvHeads * valueDim), place());
  }
  const options: DynamicAttentionOptions = {
    ...model.matrices(),
    ...model.options(),
    ...{ heads, kvHeads, scale, softcap, causal, backend },
    queryPositions: [...model.queries.values()].map(({ position }) => position),
    keyPositions: [...model.keys.values()].map(({ position }) => position),
    lazyThreshold: random.pick([1, 4, Infinity]),
  };
  let engine = await DynamicAttention.create(options);
  const positionOf = (rows: ReadonlyMap<number, { readonly position: number }>) =>
    Math.max(0, ...[...rows.values()].map(({ position }) => position + 1));
  let next = [positionOf(model.keys), positionOf(model.queries)];
  const reach = (which: 0 | 1, position: number) => next[which] = Math.max(next[which], position + 1);
  for (let step = 0; step < 14; step++) {
    const slots = model.keySlots, slot = random.pick(slots), held = model.keys.get(slot);
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2: {
        const by = isWhole || random.below(2) === 0 ? random.below(13) - 6 : random.normal();
        const from = random.pick([-Infinity, 1, 3, 6]), to = random.pick([Infinity, Infinity, 9]);
        let moved = 0;
        for (const rows of [model.keys, model.queries]) {
          for (const row of rows.values()) {
            if (from <= row.position && row.position < to) {
              row.position += by;
              moved++;
            }
          }
        }
        assertEquals(engine.shiftPositions(by, { from, to }), moved);
        // Nothing moves where nothing is in a range that ends.
        if (moved > 0 || to === Infinity) {
          next = [model.keys, model.queries].map((rows, at) =>
            Math.max(positionOf(rows), to === Infinity ? next[at] + by : next[at])
          );
        }
        break;
      }
      case 3: {
        const position = place();
        engine.setPosition(slot, position);
        assert(held);
        held.position = position;
        reach(0, position);
        break;
      }
      case 4: {
        const key = random.row(kvHeads * headDim), value = random.row(kvHeads * valueDim);
        const given = random.below(2) === 0 ? place() : undefined;
        const at = engine.insert(key, value, given === undefined ? {} : { position: given });
        model.insertKey(at, key, value, given ?? next[0]);
        reach(0, given ?? next[0]);
        break;
      }
      case 5:
        if (slots.length > 3) {
          engine.delete(slot);
          model.keys.delete(slot);
        }
        break;
      case 6: {
        const saved = await engine.save();
        await engine.dispose();
        engine = await DynamicAttention.load(saved);
        break;
      }
      default: {
        const rows = random.rows(2, heads * headDim), positions = [place(), place()];
        assertAccurate(
          await engine.attend(rows, { positions }),
          model.caseOf(rows.map((query, at) => ({ query, position: positions[at], label: -1 }))),
          "passing",
        );
        const after = rows.map((query, at) => ({ query, position: next[1] + at, label: -1 }));
        assertAccurate(await engine.attend(rows), model.caseOf(after), "passing behind the standing ones");
      }
    }
    for (const [at, { position }] of model.keys) {
      assertLessOrEqual(Math.abs(engine.getPosition(at) - position), 1e-12 * Math.abs(position));
    }
    if (random.below(2) === 0) assertAccurate(await engine.read(), model.standing(), `step ${step}`);
  }
  assertAccurate(await engine.read(), model.standing());
  await engine.dispose();
}

Deno.test("positions that are not whole come behind a shift: nothing is rounded", async () => {
  await using live = await DynamicAttention.create({
    ...{ query: [[1]], key: [[1], [2], [3]], value: [[1], [3], [9]], causal: true, queryPositions: [2] },
  });
  live.shiftPositions(2 ** 44);
  live.setPosition(0, 0.1);
  assertEquals([0, 1, 2].map((slot) => live.getPosition(slot)), [0.1, 2 ** 44 + 1, 2 ** 44 + 2]);
  assertEquals(live.getPosition(live.insert([1], [1])), 2 ** 44 + 3);
  live.shiftPositions(-(2 ** 44), { from: 1 });
  assertEquals([0, 1, 2].map((slot) => live.getPosition(slot)), [0.1, 1, 2]);
  live.setPosition(0, 0);
  live.shiftPositions(2 ** 44);
  const { data } = await live.attend([[0]], { positions: [0.1] });
  assertEquals([...data], [0], "all keys are ahead");
});

Deno.test("positions are those of rows that move one by one, to the bit, whatever the origin", async () => {
  const random = new Random(34);
  for (let round = 0; round < (LONG ? 400 : 30); round++) {
    const alibi = round % 3 === 0;
    const options = {
      ...{ query: random.rows(2, 2), key: random.rows(5, 2), value: random.rows(5, 1), causal: true },
      ...{ queryPositions: [5, 6], ...(alibi ? { alibi } : {}) },
    };
    await using live = await DynamicAttention.create({ ...options, lazyThreshold: Infinity });
    // An origin is of no use to a window that keeps its first keys, so rows alone move.
    await using plain = await DynamicAttention.create({
      ...options,
      window: { left: 2 ** 60, keepFirst: -(2 ** 60) },
    });
    const far = alibi ? 2 ** random.below(46) : 2 ** random.below(53);
    for (const engine of [live, plain]) engine.shiftPositions(far, { from: 2 });
    const pick = () => random.pick([0.1, 0.5, 1, 3, -2, -0.75, far, -far, far / 2, far + 0.5, 1 - far]);
    for (let step = 0; step < 12; step++) {
      const [by, slot, position] = [pick(), random.below(5), pick()];
      const from = random.pick([-Infinity, 0, 2, 0.3, far]), to = random.pick([Infinity, Infinity, 2, far]);
      const kind = random.below(7);
      const act = (engine: DynamicAttention) => {
        if (kind < 3) return engine.shiftPositions(by, { from, to });
        if (kind === 3) return engine.setPosition(slot, position);
        if (kind === 4) return engine.setQueryPosition(slot % 2, position);
        if (kind === 5) return engine.insert([1, 2], [3], { position });
        return engine.getPosition(engine.insert([1, 2], [3]));
      };
      const outcomes = [live, plain].map((engine) => {
        try {
          return act(engine);
        } catch (error) {
          return error instanceof Error ? error.message : error;
        }
      });
      assertEquals(outcomes[0], outcomes[1], `round ${round}, step ${step}, kind ${kind}`);
      const told = [live, plain].map((engine) => [
        ...Array.from(engine.keySlots(), (slot) => engine.getPosition(slot)),
        ...Array.from(engine.querySlots(), (slot) => engine.getQueryPosition(slot)),
      ]);
      assertEquals(told[0], told[1], `round ${round}, step ${step}, kind ${kind}`);
    }
    if (!alibi) assertEquals(await live.read(), await plain.read());
  }
});

Deno.test("a fraction is not rounded by an origin that an earlier shift has left", async () => {
  const rows = { query: [[1]], key: [[1], [2], [3], [4]], value: [[1], [3], [9], [27]], queryPositions: [3] };
  await using live = await DynamicAttention.create({ ...rows, causal: true });
  live.shiftPositions(2 ** 40, { from: 2 });
  live.shiftPositions(0.1, { to: 2 });
  assertEquals([0, 1, 2, 3].map((slot) => live.getPosition(slot)), [0.1, 1.1, 2 ** 40 + 2, 2 ** 40 + 3]);
  // A row that has gone has left a fraction for those that come.
  await using again = await DynamicAttention.create({ ...rows, causal: true });
  again.setPosition(0, 5.1);
  again.setPosition(0, 0);
  again.shiftPositions(2 ** 49, { from: 1, to: 100 });
  again.shiftPositions(-(2 ** 49), { from: 100, to: 2 ** 50 });
  assertEquals(again.getPosition(again.insert([1], [1])), 2 ** 49 + 4);
});

Deno.test("a place that suits a bias by distance is judged by what it is, not by how it is held", async () => {
  const rows = { query: [[1]], key: [[1], [1]], value: [[1], [3]], alibi: true };
  await using live = await DynamicAttention.create(rows);
  assertThrows(
    () => live.shiftPositions(2 ** 47),
    InputError,
    "shiftPositions: position is 140737488355328, expected a number within ±2^46, for alibi",
  );
  live.shiftPositions(2 ** 45);
  live.insert([1], [1], { position: -(2 ** 46) });
  live.insert([1], [1], { position: 0.5 });
  assertEquals([0, 2, 3].map((slot) => live.getPosition(slot)), [2 ** 45, -(2 ** 46), 0.5]);
});

Deno.test("a mask that refuses passing queries leaves what is pending as it was", async () => {
  const rows = { query: [[1]], key: [[1], [2], [3]], value: [[1], [3], [9]], causal: true };
  await using live = await DynamicAttention.create({ ...rows, lazyThreshold: Infinity });
  live.shiftPositions(8);
  await assertRejects(
    () => live.attend([[1]], { positions: [0.5], mask: () => NaN }),
    InputError,
    "answer is NaN",
  );
  assertEquals(live.stats().pending, 0);
});

Deno.test("a durable engine writes down where rows to come begin behind a shift", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const create = { query: [[1]], key: [[1], [2], [3]], value: [[1], [3], [9]], causal: true };
    {
      await using live = await openDurable(folder, { create });
      assertEquals(live.shiftPositions(-2, { from: 2 }), 1);
      assertEquals(live.getPosition(2), 0);
      await live.committed();
    }
    await using opened = await openDurable(folder);
    assertEquals(opened.getPosition(opened.insert([1], [1])), 2, "one more than the largest that is left");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (const backend of BACKENDS) {
  Deno.test(`rotary positions on ${backend}: a key that is written back costs nothing, zeros are no key's`, async () => {
    const random = new Random(33), key = random.rows(12, 4);
    const rows = { query: random.rows(3, 4), key, value: random.rows(12, 2) };
    await using live = await DynamicAttention.create({
      ...rows,
      ...{ rotary: true, backend, lazyThreshold: Infinity, onThreshold: "patch" },
    });
    const before = await live.read(), { multiplyAdds } = live.stats();
    live.setKey(2, [1, 2, 3, 4]);
    await live.peek(undefined, { bounds: false });
    live.setKey(2, key[2]);
    assertEquals((await live.read()).data, before.data);
    assertEquals(live.stats().multiplyAdds, multiplyAdds, "no pair was looked at");
    live.setKey(2, [5, 6, 7, 8]);
    await live.peek(undefined, { bounds: false });
    live.setKey(2, [0, 0, 0, 0]);
    const answer = await live.read();
    const zeroed = key.with(2, new Float32Array(4)), scratch = { ...rows, key: zeroed, rotary: true };
    (await attention(scratch)).data.forEach((o, at) =>
      assertLessOrEqual(Math.abs(o - answer.data[at]), 1e-5)
    );
  });
}

Deno.test("a shift where there has never been a row moves where rows to come begin, and a file of it loads", async () => {
  for (const by of [3, 0.5, -2]) {
    const none = { data: [], shape: [0, 1] as const };
    await using live = await DynamicAttention.create({ query: none, key: none, value: none, causal: true });
    live.shiftPositions(by);
    await using again = await DynamicAttention.load(await live.save());
    for (const one of [live, again]) {
      const place = Math.max(0, by);
      assertEquals([one.getPosition(one.insert([1], [2])), one.getPosition(one.insert([1], [4]))], [
        place,
        place + 1,
      ]);
      assertEquals(one.getQueryPosition(one.insertQuery([1])), place);
      assertEquals((await one.read()).data[0], 2);
    }
  }
});

Deno.test("a learner's passing rows are where they say behind a shift, to predict and to learn", async () => {
  const rows = { query: [[1]], key: [[1], [2], [3]], value: [[1], [3], [9]], causal: true };
  const answers = [];
  for (const by of [0, 1000]) {
    await using live = await DynamicAttention.create(rows);
    live.shiftPositions(by);
    const learner = new OnlineLearner(live, { rate: 0.1 });
    const x = { row: [0.5], position: by + 1, columns: [0] };
    const before = await learner.predictOne(x);
    await learner.learnOne(x, 5);
    answers.push([before, await learner.predictOne(x), ...live.getValue(0), ...live.getValue(2)]);
  }
  assertEquals(answers[0], answers[1]);
});
