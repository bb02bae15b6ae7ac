// Derivatives against finite differences of the float64 oracle, under the whole score rule, by every way of
// asking; and what must hold of derivatives whatever they are.

import fc from "fast-check";
import {
  CapacityError,
  DynamicAttention,
  type DynamicAttentionOptions,
  InputError,
  SlotError,
} from "../../mod.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import {
  type AttentionGradients,
  attentionGradients,
  type GradientMatrix,
} from "../../src/learning/attention_gradients.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertLessOrEqual, assertRejects } from "../../testing/assert.ts";
import { largestDifference, matrixOf } from "../../testing/accuracy.ts";
import { BACKENDS } from "../backends_here.ts";
import { SlowBackend } from "../../testing/fake_backends.ts";
import { differencesOf, largestOf, lossOf } from "../../testing/finite_differences.ts";
import { anyExtras } from "../../testing/any_extras.ts";
import { MemoryModel, type ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";

/**
 * The accuracy of finite differences, relative to the largest derivative and to the terms that could cancel.
 */
const RELATIVE = 1e-7, OF_TERMS = 2e-12;

interface Setting extends ModelRule {
  readonly queryCount: number;
  readonly keyCount: number;
  /** Standard deviations of queries and keys, and of values. */
  readonly size: number;
  readonly valueSize: number;
  readonly seed: number;
}

function labelBias(queryLabel: number, keyLabel: number, head: number): number | boolean {
  const mix = (7 * queryLabel + 5 * keyLabel + 3 * head) % 11;
  return mix < 3 ? false : mix < 6 ? true : mix / 4 - 2;
}

const setting: fc.Arbitrary<Setting> = fc.record({
  heads: fc.constantFrom({ heads: 1, kvHeads: 1 }, { heads: 2, kvHeads: 2 }, { heads: 4, kvHeads: 2 }),
  headDim: fc.integer({ min: 1, max: 5 }),
  valueDim: fc.integer({ min: 1, max: 3 }),
  queryCount: fc.integer({ min: 0, max: 3 }),
  keyCount: fc.integer({ min: 0, max: 6 }),
  scale: fc.constantFrom(0.1, 0.5, 1, 4, -1),
  softcap: fc.constantFrom(0, 0, 0.5, 3),
  causal: fc.constantFrom(false, false, true, { offset: -1 }),
  window: fc.constantFrom<readonly [number, number]>([Infinity, Infinity], [Infinity, Infinity], [1, 2]),
  maskOf: fc.constantFrom(null, null, labelBias),
  size: fc.constantFrom(0.3, 1, 3, 12),
  valueSize: fc.constantFrom(1e-3, 1, 1e4),
  seed: fc.nat(),
  extras: anyExtras,
}).map(({ heads, extras, ...rest }) => ({ ...heads, ...rest, ...extras(heads.heads) }));

/** A model, the rows of an output gradient, and how an engine is made of the model. */
function sceneOf(chosen: Setting) {
  const { heads, kvHeads, headDim, valueDim, queryCount, keyCount, size, valueSize } = chosen;
  const random = new Random(chosen.seed);
  const model = new MemoryModel(chosen);
  for (let i = 0; i < queryCount; i++) model.insertQuery(i, random.row(heads * headDim, size));
  for (let j = 0; j < keyCount; j++) {
    model.insertKey(j, random.row(kvHeads * headDim, size), random.row(kvHeads * valueDim, valueSize));
  }
  const g = Array.from(
    { length: queryCount },
    () => Float64Array.from({ length: heads * valueDim }, () => random.normal()),
  );
  const options: DynamicAttentionOptions = model.engineOptions();
  const truth = model.caseOf(model.querySlots.map((slot) => model.queries.get(slot)!));
  return { model, g, options, truth, random };
}

function rowsOf({ data, shape: [rows, columns] }: GradientMatrix): Float64Array[] {
  return Array.from({ length: rows }, (_, at) => data.subarray(at * columns, (at + 1) * columns));
}

/** Float64 rows with a shape, as `attentionGradients` takes them, also when there are none. */
function shaped(rows: readonly Float64Array[], columns: number) {
  return { data: rows.flatMap((row) => [...row]), shape: [rows.length, columns] as const };
}

/** The largest relative error that was met, where nothing cancelled. */
let worst = 0;

function assertRight(
  actual: Pick<AttentionGradients, "query" | "key" | "value">,
  { truth, g }: Pick<ReturnType<typeof sceneOf>, "truth" | "g">,
): void {
  const expected = differencesOf(truth, g);
  const { heads = 1, scale } = truth;
  const bySlope = heads * largestOf(g) * largestOf(truth.value) * Math.abs(scale) *
    Math.max(1, g.length) * g.reduce((most, row) => Math.max(most, row.length), 1);
  const terms = {
    query: bySlope * largestOf(truth.key),
    key: bySlope * largestOf(truth.query),
    value: heads * Math.max(1, g.length) * largestOf(g) * (1 + largestOf(truth.value)),
  };
  // A score in the hundreds is itself rounded.
  const doubt = 1 + Math.abs(scale) * largestOf(truth.query) * largestOf(truth.key) * 8;
  for (const name of ["query", "key", "value"] as const) {
    const size = largestOf(expected[name]);
    const error = largestDifference(rowsOf(actual[name]), expected[name]);
    const allowed = RELATIVE * size + OF_TERMS * terms[name] * (name === "value" ? 1 : 100) * doubt;
    assert(error <= allowed, `${name} is off by ${error} of ${size}, allowed are ${allowed}`);
    if (size > 1e-2 * terms[name]) worst = Math.max(worst, error / size);
  }
}

Deno.test("derivatives are those of the oracle, under the whole score rule", async () => {
  await fc.assert(
    fc.asyncProperty(setting, async (chosen) => {
      const scene = sceneOf(chosen);
      for (const backend of BACKENDS) {
        await using live = await DynamicAttention.create({ ...scene.options, backend });
        const g = shaped(scene.g, chosen.heads * chosen.valueDim);
        const answer = await attentionGradients(live, g);
        assertEquals([...answer.slots], scene.model.keySlots);
        assertRight(answer, scene);
        if (chosen.maskOf) continue;
        const queries = scene.options.query;
        const positions = scene.truth.query.map((_, i) => i);
        const passing = await attentionGradients(live, g, { queries, positions });
        assertEquals(passing, answer, "a passing query like the standing one");
      }
    }),
    { numRuns: 60, seed: 8 },
  );
  console.log(`largest relative error against finite differences: ${worst.toExponential(1)}`);
  assert(worst > 0 && worst < 1e-6, `${worst}`);
});

const plain: Omit<Setting, "seed"> = {
  ...{ heads: 4, kvHeads: 2, headDim: 3, valueDim: 2, scale: 0.6, softcap: 0, causal: false, maskOf: null },
  ...{ window: [Infinity, Infinity], queryCount: 3, keyCount: 7, size: 1, valueSize: 1 },
};

const HOSTILE: Record<string, Partial<Setting>> = {
  "one key": { keyCount: 1 },
  "no key": { keyCount: 0 },
  "no query": { queryCount: 0 },
  "scores in the hundreds": { size: 15, scale: 1 },
  "scores beyond exp's range": { size: 300, scale: 1 },
  "a softcap far below the scores": { size: 20, softcap: 0.25 },
  "a softcap above the scores": { softcap: 40 },
  "causal: the first row sees one key": { causal: true },
  "causal: the first rows see nothing": { causal: { offset: -2 } },
  "a window and a softcap": { window: [1, 0], softcap: 2 },
  "a mask for each head": { maskOf: labelBias, softcap: 1 },
  "a mask that forbids all": { maskOf: () => false },
  "values of 1e6": { valueSize: 1e6 },
};
for (const [name, parts] of Object.entries(HOSTILE)) {
  Deno.test(`derivatives: ${name}`, async () => {
    const scene = sceneOf({ ...plain, ...parts, seed: 17 });
    for (const backend of BACKENDS) {
      await using live = await DynamicAttention.create({ ...scene.options, backend });
      const answer = await attentionGradients(live, shaped(scene.g, 8));
      assertRight(answer, scene);
      for (const { data } of [answer.query, answer.key, answer.value]) assert(data.every(Number.isFinite));
      scene.truth.query.forEach((_, i) => {
        const sees = referenceAttention(scene.truth).weights[i].some((head) => head.some((w) => w > 0));
        if (!sees) assertEquals(rowsOf(answer.query)[i].every((x) => x === 0), true, "an empty row gives 0");
      });
    }
  });
}

Deno.test("the derivative by a bias is that of the oracle, and sums to 0 over the keys of a row", async () => {
  const chosen = { ...plain, seed: 5, maskOf: labelBias, softcap: 2 };
  const scene = sceneOf(chosen);
  await using live = await DynamicAttention.create(scene.options);
  const { bias } = await attentionGradients(live, shaped(scene.g, 8), { bias: true });
  assertEquals(bias.shape, [3 * 4, 7]);
  const step = 1e-3;
  for (let i = 0; i < 3; i++) {
    for (let head = 0; head < 4; head++) {
      const row = rowsOf(bias)[i * 4 + head];
      for (let j = 0; j < 7; j++) {
        const at = (delta: number) => {
          const moved = (a: number, b: number, h: number) =>
            scene.truth.bias!(a, b, h) + (a === i && b === j && h === head ? delta : 0);
          return lossOf({ ...scene.truth, bias: moved }, scene.g);
        };
        const expected = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
        assertLessOrEqual(Math.abs(row[j] - expected), 1e-10);
      }
      assertLessOrEqual(Math.abs(row.reduce((sum, x) => sum + x, 0)), 1e-15);
    }
  }
});

Deno.test("a step along any direction changes the loss as the derivatives say", async () => {
  await fc.assert(
    fc.asyncProperty(setting, fc.nat(), async (any, seed) => {
      const chosen = { ...any, size: Math.min(any.size, 1), valueSize: 1 };
      const { options, truth, g } = sceneOf(chosen);
      await using live = await DynamicAttention.create(options);
      const answer = await attentionGradients(live, shaped(g, chosen.heads * chosen.valueDim));
      const random = new Random(seed);
      const names = ["query", "key", "value"] as const;
      const directions = {
        query: truth.query.map((row) => random.row(row.length)),
        key: truth.key.map((row) => random.row(row.length)),
        value: truth.value.map((row) => random.row(row.length)),
      };
      let expected = 0, size = 1;
      for (const name of names) {
        rowsOf(answer[name]).forEach((row, i) =>
          row.forEach((x, c) => {
            expected += x * directions[name][i][c];
            size += Math.abs(x * directions[name][i][c]);
          })
        );
      }
      const at = (step: number) => {
        const move = (name: "query" | "key" | "value") =>
          truth[name].map((row, i) => Array.from(row, (x, c) => x + step * directions[name][i][c]));
        return lossOf({ ...truth, query: move("query"), key: move("key"), value: move("value") }, g);
      };
      const step = 1e-4;
      const actual = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
      assert(Math.abs(actual - expected) <= 1e-8 * size, `${actual} for ${expected}`);
    }),
    { numRuns: 60, seed: 4 },
  );
});

Deno.test("derivatives of a sum are the sum of derivatives", async () => {
  const { options, g } = sceneOf({ ...plain, seed: 9, softcap: 2 });
  await using live = await DynamicAttention.create(options);
  const whole = await attentionGradients(live, shaped(g, 8));
  const twice = await attentionGradients(live, shaped(g.map((row) => row.map((x) => 2 * x)), 8));
  assertEquals(twice.key.data, whole.key.data.map((x) => 2 * x), "a power of two is exact");
  const parts: AttentionGradients[] = [];
  for (let i = 0; i < 3; i++) parts.push(await attentionGradients(live, [g[i]], { rows: [i] }));
  for (const name of ["key", "value"] as const) {
    whole[name].data.forEach((x, at) => {
      const sum = parts.reduce((total, part) => total + part[name].data[at], 0);
      assertLessOrEqual(Math.abs(x - sum), 1e-14);
    });
  }
  assertEquals(parts.flatMap(({ query }) => [...query.data]), [...whole.query.data]);
});

Deno.test("the heaviest keys: their derivatives are those of all, and the rest is reported", async () => {
  await fc.assert(
    fc.asyncProperty(setting, fc.integer({ min: 1, max: 7 }), async (any, top) => {
      const chosen = { ...any, keyCount: 7, size: Math.min(any.size, 3), valueSize: 1 };
      const { options, truth, g } = sceneOf(chosen);
      const columns = chosen.heads * chosen.valueDim;
      const { weights } = referenceAttention(truth);
      for (const backend of BACKENDS) {
        await using live = await DynamicAttention.create({ ...options, backend });
        const all = await attentionGradients(live, shaped(g, columns), { bias: true });
        const some = await attentionGradients(live, shaped(g, columns), { bias: true, top });
        const kept = new Set<number>();
        weights.forEach((row, i) =>
          row.forEach((own, head) => {
            const order = own.map((_, j) => j).sort((a, b) => own[b] - own[a] || a - b);
            const heaviest = order.slice(0, top);
            const sum = own.reduce((total, w) => total + w, 0);
            const left = sum === 0 ? 0 : sum - heaviest.reduce((total, j) => total + own[j], 0);
            const at = i * chosen.heads + head;
            assertLessOrEqual(Math.abs(some.leftOut.data[at] - left), 2e-5, "leftOut");
            for (const j of heaviest) kept.add(j);
            some.slots.forEach((slot, t) => {
              const actual = some.bias.data[at * some.slots.length + t];
              const isKept = heaviest.includes(slot);
              const exact = all.bias.data[at * 7 + slot];
              // Rounding decides which of two keys of equal weight is kept.
              const isTie = heaviest.length < 7 &&
                Math.abs(own[order[top - 1]] - own[order[top] ?? 0]) < 1e-4;
              if (!isTie) {
                assertLessOrEqual(Math.abs(actual - (isKept ? exact : 0)), 1e-4, `${i} ${head} ${slot}`);
              }
            });
          })
        );
        if (top >= 7) {
          assertEquals(some, all, "all keys are the heaviest");
        }
      }
    }),
    { numRuns: 40, seed: 12 },
  );
});

Deno.test("passing queries can have their heaviest keys alone, too", async () => {
  const { options, g } = sceneOf({ ...plain, seed: 21 });
  await using live = await DynamicAttention.create(options);
  const queries = options.query, positions = [0, 1, 2];
  const seen = new Set<number>();
  for (const top of [1, 2]) {
    const standing = await attentionGradients(live, shaped(g, 8), { top, bias: true });
    const passing = await attentionGradients(live, shaped(g, 8), { top, bias: true, queries, positions });
    seen.add(standing.slots.length);
    assertEquals(passing.slots, standing.slots);
    for (const name of ["query", "key", "value", "bias", "leftOut"] as const) {
      assertEquals(passing[name].shape, standing[name].shape, name);
      assertEquals(passing[name].data.length, standing[name].data.length, name);
      passing[name].data.forEach((x, at) =>
        assertLessOrEqual(Math.abs(x - standing[name].data[at]), 1e-5, name)
      );
    }
  }
  assert(Math.min(...seen) < 7, "some keys are left out");
  const { bias } = await attentionGradients(live, shaped(g, 8), { top: 1, queries, positions });
  assertEquals([bias.data.length, bias.shape[0]], [0, 0], "it was not asked for");
});

Deno.test("an answer is of the edits made before the call, however many follow", async () => {
  for (const top of [Infinity, 3]) {
    for (const backend of BACKENDS) {
      const { options, g, random, model } = sceneOf({ ...plain, seed: 33, maskOf: labelBias });
      const wrap = (inner: ConstructorParameters<typeof SlowBackend>[0]) => new SlowBackend(inner);
      await using live = await createEngine({ ...options, backend }, { wrap });
      await using calm = await DynamicAttention.create({ ...options, backend });
      const before = [random.row(6), random.row(4)] as const, newQuery = random.row(12);
      for (const engine of [live, calm]) {
        engine.set(2, ...before);
        engine.setQuery(1, newQuery);
        engine.delete(5);
      }
      model.keys.delete(5);
      const question = attentionGradients(live, shaped(g, 8), { top, bias: true });
      live.set(2, random.row(6), random.row(4));
      live.delete(0);
      live.setQuery(0, random.row(12));
      live.deleteQuery(1);
      const expected = await attentionGradients(calm, shaped(g, 8), { top, bias: true });
      assertEquals(await question, expected);
      assertEquals(expected.slots.includes(5), false);
    }
  }
});

Deno.test("bad questions are refused", async () => {
  const { options } = sceneOf({ ...plain, seed: 1 });
  await using live = await DynamicAttention.create(options);
  const ok = [[1, 2, 3, 4, 5, 6, 7, 8]];
  const refused: [unknown, unknown, string][] = [
    [ok, {}, "outputGradient has 1 rows, expected 3 rows"],
    [[[1]], { rows: [0] }, "outputGradient[0] has 1 numbers, expected 8"],
    [[[1, 2, 3, NaN, 5, 6, 7, 8]], { rows: [0] }, "NaN at index 3"],
    [{ data: [1], shape: [1, 1] }, { rows: [0] }, "shape is [1, 1], expected [1, 8]"],
    [null, { rows: [0] }, "outputGradient is null"],
    [ok, { rows: [0], top: 0 }, "top is 0"],
    [ok, { rows: [0], best: 1 }, 'option "best" is unknown'],
    [ok, { rows: [0], queries: [[1]] }, "both rows and queries"],
    [ok, { positions: [1] }, "positions are given without queries"],
    [ok, { queries: [[1]] }, "queries have 1 columns"],
  ];
  for (const [g, chosen, message] of refused) {
    await assertRejects(() => attentionGradients(live, g as never, chosen as never), InputError, message);
  }
  await assertRejects(() => attentionGradients(live, ok, { rows: [9] }), SlotError);
  await assertRejects(() => attentionGradients({} as never, ok), InputError, "engine is an object (Object)");
  await using masked = await DynamicAttention.create({ ...options, mask: () => true });
  const passing = { queries: matrixOf([new Float32Array(12)], 12) };
  await assertRejects(() => attentionGradients(masked, ok, passing), InputError, "the engine has a mask");
});

Deno.test("an output gradient may be in any list", async () => {
  await using live = await DynamicAttention.create({
    query: [[1], [2]],
    key: [[1], [2]],
    value: [[1, 2], [3, 5]],
  });
  const likes = { length: 2, 0: Float64Array.of(1, 2), 1: { length: 2, 0: 3, 1: 4 } };
  const expected = await attentionGradients(live, [[1, 2], [3, 4]]);
  for (const g of [likes, { data: { length: 4, 0: 1, 1: 2, 2: 3, 3: 4 }, shape: [2, 2] as const }]) {
    assertEquals(await attentionGradients(live, g), expected);
  }
});

Deno.test("what does not fit is refused with its bytes", async () => {
  const many = { data: new Float32Array(200_000), shape: [200_000, 1] as const };
  const query = { data: [], shape: [0, 1] as const };
  await using live = await DynamicAttention.create({ query, key: many, value: many, backend: "array" });
  const error = await assertRejects(() => attentionGradients(live, many, { queries: many }), CapacityError);
  assertEquals(error.bytes, 16 * 200_000 ** 2);
});
