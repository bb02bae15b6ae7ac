// Rules of scores beside scale, softcap, mask and positions: sinks, biases by distance, windows that keep
// their first keys, biases before the softcap, and passing queries with masks of their own.

import { attention, attentionState, DynamicAttention, InputError } from "../../mod.ts";
import type { AttentionOptions } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { NO_ROW } from "../../src/backends/since.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { attentionGradients } from "../../src/learning/mod.ts";
import { alibiSlopes } from "../../src/numerics/distance_bias.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertLess, assertLessOrEqual, assertRejects } from "../../testing/assert.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { MemoryModel, type ModelExtras, type ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { BACKENDS, casesOn } from "../backends_here.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";
const NO = -Infinity;

/** Every rule alone, then all that go together. */
const EXTRAS: Record<string, ModelExtras> = {
  "sinks": { sinks: [0.5, NO, 3, -20] },
  "slopes": { alibi: [0.5, 0.25, 0, 2] },
  "one table": { distances: { from: -2, values: [[1, -1, 0.1, NO, 2]] } },
  "a table per head": {
    distances: { from: -4, values: [0, 1, 2, 3].map((h) => [h, NO, 0.5 - h, 1, 0.25, NO]) },
  },
  "first keys that stay": { keepFirst: 2 },
  "biases before the cap": { biasBeforeSoftcap: true, alibi: [1, 0.5, 0.125, 0] },
  "rotary positions": { rotary: { base: 100, dims: 4, interleaved: false } },
  "rotary positions of neighbours": {
    rotary: { base: 10_000, dims: 2, interleaved: true },
    alibi: [1, 0, 1, 0],
  },
  "blocks that all heads share": {
    blocks: { size: [4, 3], entries: [[[true, false, 0.5], [-1, true, true]]] },
  },
  "blocks per head": {
    blocks: {
      size: [3, 2],
      entries: [0, 1, 2, 3].map((h) => [[true, h % 2 === 0, 1], [h / 2, true, false], [true, true, h > 1]]),
    },
    sinks: [0, 0, NO, 1],
  },
  "all of them": {
    blocks: { size: [4, 4], entries: [[[0.5, true, false], [true, true, -0.25], [false, true, true]]] },
    rotary: { base: 10, dims: 4, interleaved: true },
    sinks: [1, 0, NO, -1],
    distances: { from: -8, values: [[-1, 0.3, 1, NO, 0.5, 0, 0.2, -0.4, 1.5]] },
    keepFirst: 3,
    biasBeforeSoftcap: true,
  },
};

const RULE: ModelRule = {
  heads: 4,
  kvHeads: 2,
  headDim: 5,
  valueDim: 3,
  scale: 0.6,
  softcap: 2.5,
  causal: { offset: 1 },
  window: [3, Infinity],
  maskOf: null,
};

function maskOf(queryLabel: number, keyLabel: number, head: number): number | boolean {
  const mix = (7 * queryLabel + 5 * keyLabel + 3 * head + 70) % 11;
  return mix < 3 ? false : mix < 6 ? true : mix / 4 - 2;
}

function modelOf(random: Random, rule: ModelRule, queries = 5, keys = 9): MemoryModel {
  const { heads, kvHeads, headDim, valueDim } = rule, model = new MemoryModel(rule);
  for (let i = 0; i < queries; i++) model.insertQuery(i, random.row(heads * headDim), 2 * i);
  for (let j = 0; j < keys; j++) {
    model.insertKey(j, random.row(kvHeads * headDim), random.row(kvHeads * valueDim));
  }
  return model;
}

function optionsOf(model: MemoryModel): AttentionOptions {
  return {
    ...model.engineOptions(),
    queryPositions: [...model.queries.values()].map(({ position }) => position),
    keyPositions: [...model.keys.values()].map(({ position }) => position),
  };
}

/** Moves a row of a model. */
function place(rows: Map<number, { position: number }>, slot: number, position: number): void {
  const row = rows.get(slot);
  assert(row);
  row.position = position;
}

for (const backend of BACKENDS) {
  for (const [name, extras] of Object.entries(EXTRAS)) {
    Deno.test(`${name} on ${backend}: once, by log-sum-exps and weights`, async () => {
      const random = new Random(5);
      for (let round = 0; round < casesOn(backend, LONG ? 200 : 6); round++) {
        const softcap = random.pick([0, 2.5]), mask = random.pick([null, maskOf]);
        const model = modelOf(random, { ...RULE, ...extras, softcap, maskOf: mask });
        const options = { ...optionsOf(model), backend }, truth = model.standing();
        const expected = referenceAttention(truth);
        assertAccurate(await attention(options), truth);
        const { logSumExp } = await attentionState(options);
        expected.logSumExp.flat().forEach((L, at) => {
          const found = logSumExp.data[at];
          assert(L === found || Math.abs(L - found) <= 1e-5 * (1 + Math.abs(L)), `${L} is ${found}`);
        });
        await using live = await DynamicAttention.create(options);
        const head = random.below(4), [row] = expected.weights.slice(3, 4);
        const weights = await live.weights(3, { head });
        row[head].forEach((weight, j) => {
          assertLessOrEqual(Math.abs(weight - weights[j]), 1e-6, `weight of key ${j}`);
        });
        const [top] = await live.topKeys(3, 1, { head });
        const heaviest = Math.max(...row[head]);
        if (heaviest > 0) assertLessOrEqual(Math.abs(top.weight - heaviest), 1e-6);
      }
    });

    Deno.test(`${name} on ${backend}: rows move, are saved, and go to another backend`, async () => {
      const random = new Random(6);
      for (let round = 0; round < casesOn(backend, LONG ? 120 : 4); round++) {
        const model = modelOf(random, { ...RULE, ...extras });
        const live = await DynamicAttention.create({
          ...optionsOf(model),
          backend,
          lazyThreshold: random.pick([1, Infinity]),
          onThreshold: random.pick(["auto", "patch"]),
        });
        await live.read();
        for (let step = 0; step < 6; step++) {
          const slot = random.below(9), query = random.below(5), position = random.below(14) - 2;
          const by = random.pick([-3, 1, 4]), from = random.pick([NO, 2, 5]);
          switch (random.below(4)) {
            case 0:
              live.setPosition(slot, position);
              place(model.keys, slot, position);
              break;
            case 1:
              live.setQueryPosition(query, position);
              place(model.queries, query, position);
              break;
            case 2:
              live.shiftPositions(by, { from });
              for (const rows of [model.keys, model.queries]) {
                for (const row of rows.values()) if (row.position >= from) row.position += by;
              }
              break;
            default: {
              const row = random.row(10), held = model.keys.get(slot);
              assert(held);
              live.setKey(slot, row);
              held.key = row;
            }
          }
          if (random.below(2) === 0) assertAccurate(await live.read(), model.standing(), `step ${step}`);
        }
        const truth = model.standing(), answer = await live.read();
        assertAccurate(answer, truth);
        await using loaded = await DynamicAttention.load(await live.save());
        assertEquals((await loaded.read()).data, (await live.read()).data, "as it was saved");
        const passing = random.rows(3, 20).map((query, at) => ({ query, position: 5 + at, label: -1 }));
        const rows = passing.map(({ query }) => query);
        const mask = model.keySlots.map(() => random.below(3) > 0);
        const masked = model.caseOf(passing), { bias } = masked;
        assertAccurate(
          await loaded.attend(rows, { positions: [5, 6, 7], mask: [mask, mask, mask] }),
          { ...masked, bias: (i, j, head) => mask[j] ? bias?.(i, j, head) ?? 0 : NO },
          "passing",
        );
        const to = random.pick(BACKENDS);
        await live.moveTo(to);
        assertAccurate(await live.read(), truth, `moved to ${to}`);
        await live.dispose();
      }
    });
  }

  Deno.test(`sinks on ${backend}: far away, and where no key is allowed`, async () => {
    const random = new Random(8),
      query = random.rows(11, 3),
      key = random.rows(7, 3),
      value = random.rows(7, 2);
    for (const sink of [-3e38, -1e6, -700, -90, 90, 700, 1e6, 3e38]) {
      await using live = await DynamicAttention.create({ query, key, value, sinks: sink, backend });
      const scale = 1 / Math.sqrt(3), truth = { query, key, value, scale, valueDim: 2, sinks: [sink] };
      assertAccurate(await live.read(), truth, `sink ${sink}`);
      const { bounds, output } = await live.peek();
      referenceAttention(truth).output.forEach((row, i) => {
        assertLessOrEqual(Math.hypot(...row.map((o, c) => o - output.data[2 * i + c])), bounds[i]);
      });
      const together = await live.read();
      for (let i = 0; i < 11; i++) {
        assertEquals((await live.read([i])).data, together.data.slice(2 * i, 2 * i + 2), `query ${i} alone`);
      }
    }
    await using empty = await DynamicAttention.create({
      query,
      key: { data: [], shape: [0, 3] },
      value: { data: [], shape: [0, 2] },
      sinks: 1.5,
      backend,
    });
    assertEquals((await empty.read()).data, new Float32Array(22));
    empty.insert([0, 0, 0], [4, 8]);
    const share = 1 / (1 + Math.exp(1.5)), [first] = (await empty.read()).data;
    assertLessOrEqual(Math.abs(first - 4 * share), 1e-6);
    assertLessOrEqual(Math.abs((await empty.weights(0))[0] - share), 1e-6);
    empty.delete(0);
    const { output, bounds } = await empty.peek();
    assertLessOrEqual(Math.hypot(output.data[0], output.data[1]), bounds[0] + 1e-30);
    assertEquals((await empty.read()).data, new Float32Array(22));
  });

  Deno.test(`positions of moments, in milliseconds, on ${backend}: slopes see each of them`, async () => {
    const random = new Random(9), now = 1.7e12;
    const query = random.rows(3, 4), key = random.rows(20, 4), value = random.rows(20, 2);
    const queryPositions = [now, now + 0.5, now + 1e4];
    const keyPositions = key.map((_, j) => now - 300 * j + 0.25);
    const options = { query, key, value, queryPositions, keyPositions, alibi: [1e-3], backend };
    assertAccurate(await attention(options), {
      ...{ query, key, value, scale: 0.5, valueDim: 2 },
      bias: (i, j) => -1e-3 * Math.abs(keyPositions[j] - queryPositions[i]),
    });
  });

  Deno.test(`a bias by distance takes no memory for pairs on ${backend}`, async () => {
    const random = new Random(10), query = random.rows(64, 4), key = random.rows(512, 4), value = key;
    const bytesWith = async (more: Partial<AttentionOptions>) => {
      await using live = await DynamicAttention.create({
        query,
        key,
        value,
        heads: 2,
        causal: true,
        backend,
        ...more,
      });
      await live.read();
      return live.stats().bytes;
    };
    const plain = await bytesWith({}), table = { from: -7, values: [1, 2, 3, 4, 5, 6, 7, 8] };
    const pairs = 4 * 64 * 512;
    assertLess(await bytesWith({ alibi: true }) - plain, pairs / 4);
    assertLess(await bytesWith({ distanceBias: table }) - plain, pairs / 4);
    const blockMask = { size: 128, entries: [[true, true, true, true]] };
    assertLess(await bytesWith({ blockMask }) - plain, pairs / 4);
    assertLess(pairs, await bytesWith({ mask: () => 0 }) - plain, "a mask takes it");
  });

  Deno.test(`moving one key under slopes costs what one key costs on ${backend}`, async () => {
    const random = new Random(11), [queries, keys, d, dv] = [16, 256, 8, 4];
    await using live = await DynamicAttention.create({
      query: random.rows(queries, d),
      key: random.rows(keys, d),
      value: random.rows(keys, dv),
      alibi: true,
      sinks: 0,
      lazyThreshold: Infinity,
      onThreshold: "patch",
      backend,
    });
    await live.read();
    const before = live.stats().multiplyAdds;
    live.setPosition(3, 77);
    await live.read();
    // The key as it was and as it is, for each query, and heavy keys that rows may have.
    assertLessOrEqual(
      live.stats().multiplyAdds - before,
      2 * queries * (d + dv + 2) + 8 * queries * (dv + 2),
    );
  });
}

Deno.test("the slopes of ALiBi are those of the paper", () => {
  assertEquals([...alibiSlopes(8)], [1, 2, 3, 4, 5, 6, 7, 8].map((k) => 2 ** -k));
  assertEquals([...alibiSlopes(2)], [2 ** -4, 2 ** -8]);
  assertEquals([...alibiSlopes(1)], [2 ** -8]);
  assertEquals([...alibiSlopes(3)], [2 ** -4, 2 ** -8, 2 ** -2]);
  assertEquals([...alibiSlopes(6)], [2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8, 2 ** -1, 2 ** -3]);
});

Deno.test("a function of the distance is asked once for each distance and head, and saved as its answers", async () => {
  const asked: string[] = [];
  const bias = (distance: number, head: number) => {
    asked.push(`${distance} ${head}`);
    return distance === -1 ? NO : distance * (head + 1) / 4;
  };
  const query = [[0, 0], [0, 0], [0, 0]], value = [[1, 1], [2, 2], [4, 4]];
  await using live = await DynamicAttention.create({
    ...{ query, key: query, value, heads: 2 },
    distanceBias: { from: -2, to: 2, bias },
  });
  assertEquals(asked, [0, 1].flatMap((head) => [-2, -1, 0, 1, 2].map((distance) => `${distance} ${head}`)));
  const before = await live.read();
  await using loaded = await DynamicAttention.load(await live.save());
  assertEquals(loaded.getPosition(2), 2);
  loaded.setKey(0, [0, 0]);
  assertEquals((await loaded.read()).data, before.data);
  assertEquals(asked.length, 10, "it is never asked again");
});

Deno.test("attend asks a mask function by the number of the query and the id of the key, once a pair", async () => {
  await using live = await DynamicAttention.create({
    query: [[0]],
    key: [[0], [0], [0]],
    value: [[1], [2], [6]],
    keyIds: ["a", "b", "c"],
    mask: () => true,
  });
  live.delete("b");
  const asked: string[] = [];
  const { data } = await live.attend([[0], [0]], {
    mask: (at, key, head) => {
      asked.push(`${at} ${key} ${head}`);
      return at === 0 || key === "c";
    },
  });
  assertEquals([...data], [3.5, 6]);
  assertEquals(asked.sort(), ["0 a 0", "0 c 0", "1 a 0", "1 c 0"]);
});

const MISTAKES: readonly (readonly [what: string, options: object, message: string])[] = [
  ["a sink too few", { sinks: [1] }, "sinks has 1 numbers, expected 2 (one per head), or one number"],
  ["a sink of NaN", { sinks: NaN }, "sinks is NaN, expected a number of float32 range, or −Infinity"],
  ["an infinite sink", { sinks: [0, Infinity] }, "sinks[1] is Infinity, expected a number of float32 range"],
  ["text for sinks", { sinks: "1" }, 'sinks is "1"'],
  ["a negative slope", { alibi: [1, -1] }, "alibi[1] is -1, expected a number from 0 to 2^60"],
  ["slopes too many", { alibi: [1, 1, 1] }, "alibi has 3 slopes, expected 2 (one per head), or true"],
  [
    "slopes and a table",
    { alibi: true, distanceBias: { from: 0, values: [1] } },
    "both alibi and distanceBias",
  ],
  [
    "a plain function",
    { distanceBias: (by: number) => -by },
    "distanceBias is a function, expected { from, values }",
  ],
  ["a plain list", { distanceBias: [0, 1] }, "distanceBias is [0, 1], expected { from, values }"],
  [
    "slopes by name",
    { alibi: { maxBias: 8 } },
    "alibi is an object (Object), expected true, or an array of slopes",
  ],
  ["no table", { distanceBias: { from: 0 } }, "distanceBias has neither values nor bias"],
  ["half a distance", { distanceBias: { from: 0.5, values: [1] } }, "distanceBias.from is 0.5"],
  ["NaN in a table", { distanceBias: { from: -1, values: [0, NaN] } }, "distanceBias is NaN at distance 0"],
  ["an empty table", { distanceBias: { from: 0, values: [] } }, "distanceBias.values has 0 numbers"],
  ["three tables", { distanceBias: { from: 0, values: [[1], [1], [1]] } }, "distanceBias.values has 3 lists"],
  [
    "tables of two lengths",
    { distanceBias: { from: 0, values: [[1], [1, 2]] } },
    "distanceBias.values[1] has 2",
  ],
  ["a range backwards", { distanceBias: { from: 0, to: -1, bias: () => 0 } }, "distanceBias.to is -1"],
  [
    "an answer that is none",
    { distanceBias: { from: 0, to: 0, bias: () => "1" } },
    'head 0 is "1" at distance 0',
  ],
  ["a misspelt window", { window: { left: 1, keepfirst: 2 } }, 'window field "keepfirst" is unknown'],
  [
    "first keys of NaN",
    { window: { left: 1, keepFirst: NaN } },
    "window.keepFirst is NaN, expected a finite number",
  ],
  ["a window below 0", { window: { left: -1 } }, "window.left is -1, expected a number ≥ 0"],
  [
    "an odd number of turned columns",
    { rotary: { dims: 1 } },
    "rotary.dims is 1, expected an even number from 2 to 1",
  ],
  ["a base of 0", { rotary: { base: 0 } }, "rotary.base is 0, expected a finite number > 0"],
  ["text for rotary", { rotary: "true" }, 'rotary is "true", expected a boolean or { base, dims'],
  ["interleaved by 1", { rotary: { dims: 2, interleaved: 1 }, heads: 1 }, "rotary.interleaved is 1"],
  [
    "a block of nothing",
    { blockMask: { size: 0, entries: [[true]] } },
    "blockMask.size is 0, expected a positive number",
  ],
  ["no blocks", { blockMask: { size: 1, entries: [] } }, "blockMask.entries is 0 × 0"],
  ["an entry that is none", { blockMask: { size: 1, entries: [["x"]] } }, '"x"'],
  ["blocks of three heads", { blockMask: { size: 1, entries: [[[1]], [[1]], [[1]]] } }, "3 matrices"],
  ["an order of 1", { biasBeforeSoftcap: 1 }, "biasBeforeSoftcap is 1, expected a boolean"],
  [
    "half a position with a table",
    { distanceBias: { from: 0, values: [1] }, keyPositions: [0.5] },
    "keyPositions is 0.5, expected a whole number within ±2^46, for distanceBias",
  ],
  [
    "a far position with slopes",
    { alibi: true, queryPositions: [1e15] },
    "queryPositions is 1000000000000000",
  ],
];

for (const [what, options, message] of MISTAKES) {
  Deno.test(`refused: ${what}`, async () => {
    const problem = { query: [[1, 2]], key: [[1, 2]], value: [[1, 2]], heads: 2, ...options };
    const error = await assertRejects(() => attention(problem as AttentionOptions), InputError);
    assert(error.message.includes(message), `${error.message} should have ${message}`);
  });
}

Deno.test("positions that a table cannot have are refused, and nothing has changed", async () => {
  await using live = await DynamicAttention.create({
    query: [[1]],
    key: [[1], [2]],
    value: [[1], [3]],
    distanceBias: { from: -1, values: [0, 1, 2] },
  });
  const before = await live.read();
  const calls = [
    () => live.setPosition(0, 0.5),
    () => live.setQueryPosition(0, 2 ** 47),
    () => live.insert([1], [1], { position: NaN }),
    () => live.insert([1], [1], { position: 1.5 }),
    () => live.shiftPositions(0.25),
    () => live.edit([{ kind: "delete", slot: 0 }, { kind: "setPosition", slot: 1, position: 0.5 }]),
    () => live.attend([[1]], { positions: [0.5] }),
    () => live.attend([[1]], { mask: [[true]] }),
    () => live.attend([[1]], { mask: [[true, "no"]] } as never),
    () => live.attend([[1]], { mask: () => NaN }),
  ];
  for (const call of calls) await assertRejects(async () => await call(), InputError);
  assertEquals((await live.read()).data, before.data);
  assertEquals(live.stats().edits, 0);
});

Deno.test("rules are read when the call is made, whatever becomes of the lists afterwards", async () => {
  const sinks = [Math.log(2)], table = [0, 0], window = { left: 4, keepFirst: 1 };
  const answer = attention({
    ...{ query: [[0]], key: [[0]], value: [[6]] },
    sinks,
    distanceBias: { from: 0, values: table },
    window,
  });
  sinks[0] = 100;
  table[0] = -Infinity;
  window.left = -1;
  assertLessOrEqual(Math.abs((await answer).data[0] - 2), 1e-6);
});

Deno.test("a durable folder keeps the rules, and refuses others", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const create = {
      ...{
        query: [[0]],
        queryPositions: [1],
        key: [[0], [0]],
        value: [[6], [3]],
        window: { left: 0, keepFirst: 1 },
      },
      distanceBias: { from: -1, values: [Math.log(2), 0] },
      sinks: [0],
    };
    const right = (2 * 6 + 3) / 4, near = (found: number) => assertLessOrEqual(Math.abs(found - right), 1e-6);
    {
      await using made = await openDurable(folder, { create });
      near((await made.read()).data[0]);
    }
    {
      await using opened = await openDurable(folder, { create });
      near((await opened.read()).data[0]);
      near((await opened.attend([[0]], { positions: [1], mask: [[true, true]] })).data[0]);
    }
    for (
      const other of [{ sinks: [1] }, { window: { left: 0 } }, { distanceBias: { from: -1, values: [1, 0] } }]
    ) {
      await assertRejects(() => openDurable(folder, { create: { ...create, ...other } }), InputError, "is ");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("rows with rotary positions come out as they were written, and derivatives are by them", async () => {
  const random = new Random(12), rotary = { base: 50, dims: 4, interleaved: false }, places = [3, 0, 7, 2.5];
  const query = random.rows(2, 4), key = random.rows(4, 4), value = random.rows(4, 3), g = random.rows(2, 3);
  const options = { query, key, value, keyPositions: places, queryPositions: [5, -1] };
  /** Turns rows by a sign, in the words of the docstring. */
  const turned = (rows: readonly ArrayLike<number>[], positions: readonly number[], sign: number) =>
    rows.map((row, at) => {
      return Float64Array.from({ length: 4 }, (_, c) => {
        const angle = sign * positions[at] * 50 ** (-2 * (c % 2) / 4);
        const [x, y] = [row[c % 2], row[c % 2 + 2]];
        return c < 2 ? x * Math.cos(angle) - y * Math.sin(angle) : x * Math.sin(angle) + y * Math.cos(angle);
      });
    });
  const float = (rows: readonly Float64Array[]) => rows.map((row) => Float32Array.from(row));
  const plain = { value, query: float(turned(query, [5, -1], 1)), key: float(turned(key, places, 1)) };
  for (const backend of BACKENDS) {
    await using live = await DynamicAttention.create({ ...options, rotary, backend });
    await using other = await DynamicAttention.create({ ...plain, backend });
    assertEquals((await live.read()).data, (await other.read()).data, "the bits of turned rows");
    key.forEach((row, slot) => assertEquals(live.getKey(slot), row));
    query.forEach((row, slot) => assertEquals(live.getQuery(slot), row));
    for (const top of [2, Infinity]) {
      const [mine, theirs] = [
        await attentionGradients(live, g, { top }),
        await attentionGradients(other, g, { top }),
      ];
      assertEquals(mine.value.data, theirs.value.data);
      const rowsOf = ({ data }: { data: Float64Array }) =>
        Array.from({ length: data.length / 4 }, (_, at) => data.subarray(4 * at, 4 * at + 4));
      const back = [
        ...turned(rowsOf(theirs.query), [5, -1], -1),
        ...turned(rowsOf(theirs.key), [...theirs.slots].map((slot) => places[slot]), -1),
      ];
      [...rowsOf(mine.query), ...rowsOf(mine.key)].forEach((row, at) =>
        row.forEach((number, c) => assertLessOrEqual(Math.abs(number - back[at][c]), 1e-12))
      );
    }
  }
});

for (const backend of BACKENDS) {
  Deno.test(`drift knows how large a bias may be that a key comes with, on ${backend}`, async () => {
    const random = new Random(13), n = 64, m = 16, queries = Uint32Array.from({ length: m }, (_, i) => i);
    const biases = [
      { blockMask: { size: [1000, n] as const, entries: [[0, 12]] } },
      { distanceBias: { from: n - 1, values: [0, 12] } },
    ];
    for (const bias of biases) {
      const [query, key] = [random.rows(m, 8, 0.1), random.rows(n, 8, 0.1)];
      const value = Array.from({ length: n }, () => [random.normal(), 1]);
      let held: Backend | null = null;
      await using live = await createEngine({
        ...{
          query,
          key,
          value,
          queryPositions: new Array<number>(m).fill(0),
          backend,
          lazyThreshold: Infinity,
        },
        ...bias,
      }, { wrap: (inner) => held = inner });
      const before = await live.read(), own = held as Backend | null;
      assert(own && await own.watch(queries));
      const coming = random.row(8, 0.1);
      live.insert(coming, [50, 1]);
      await live.peek(undefined, { bounds: false });
      const since = { slots: Uint32Array.of(n), retained: Uint32Array.of(NO_ROW) };
      const bounds = await own.drift({ queries, since }, 1e4);
      const truth = referenceAttention({
        ...{ query, key: [...key, coming], value: [...value, [50, 1]], scale: 1 / Math.sqrt(8), valueDim: 2 },
        bias: (_, j) => j === n ? 12 : 0,
      }).output;
      truth.forEach((row, i) => {
        const distance = Math.hypot(...row.map((o, c) => o - before.data[2 * i + c]));
        assertLess(40, distance);
        assertLess(bounds[i], 1e4, "a bound that says something");
        assertLessOrEqual(distance, bounds[i], `row ${i}`);
      });
    }
  });

  Deno.test(`nothing pending is a few roundings beside a sink, too, on ${backend}`, async () => {
    const random = new Random(14);
    await using live = await DynamicAttention.create({
      ...{
        query: random.rows(8, 16),
        key: random.rows(64, 16),
        value: random.rows(64, 8),
        sinks: 2,
        backend,
      },
    });
    for (const bound of (await live.peek()).bounds) assertLess(bound, 1e-5);
  });
}
