// Heads, softcap, masks, causality and windows against the oracle, where the ONNX vectors cannot see: large
// scores, masks that change with the row in a slot. Each scene is answered once, by an engine made with it,
// and by engines that are edited into it.

import { attention, DynamicAttention, type MaskInput } from "../../mod.ts";
import { referenceAttention, type ReferenceCase } from "../../src/numerics/reference.ts";
import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "../../testing/assert.ts";
import { largestDifference, rowsOf } from "../../testing/accuracy.ts";
import { casesOn, QUICK_BACKENDS } from "../backends_here.ts";
import { editInto, type Scene, sceneOptions } from "../../testing/edited_into.ts";
import { Random } from "../../testing/random.ts";
import { assertRight, NO, truthOf } from "../../testing/scene_truth.ts";

const random = new Random(2024);

interface SceneSizes {
  readonly queries: number;
  readonly keys: number;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly headDim?: number;
  readonly valueDim?: number;
  /** Standard deviation of queries and keys. */
  readonly size?: number;
}

/** Random rows at positions 0, 1, 2, …, without rules. */
function sceneOf(sizes: SceneSizes, parts: Partial<Scene> = {}): Scene {
  const { queries, keys, heads = 3, kvHeads = heads, headDim = 4, valueDim = 3, size = 1 } = sizes;
  return {
    layout: { heads, kvHeads, headDim, valueDim },
    query: random.rows(queries, heads * headDim, size),
    key: random.rows(keys, kvHeads * headDim, size),
    value: random.rows(keys, kvHeads * valueDim),
    queryPositions: Array.from({ length: queries }, (_, i) => i),
    keyPositions: Array.from({ length: keys }, (_, j) => j),
    rules: {},
    mask: null,
    ...parts,
  };
}

/** Checks everything that an engine answers, for rows in the given slots. */
async function assertAnswers(
  engine: DynamicAttention,
  truth: ReferenceCase,
  querySlots: readonly number[],
  keySlots: readonly number[],
): Promise<void> {
  const heads = truth.heads ?? 1;
  const { logSumExp, weights } = referenceAttention(truth);
  const sums = await engine.logSumExp(querySlots);
  assertEquals(sums.shape, [querySlots.length, heads]);
  for (const [i, slot] of querySlots.entries()) {
    for (let head = 0; head < heads; head++) {
      const sum = sums.data[i * heads + head], expected = logSumExp[i][head];
      if (expected === NO) assertEquals(sum, NO);
      else assertAlmostEquals(sum, expected, 1e-6 * Math.max(1, Math.abs(expected)));
      const actual = await engine.weights(slot, { head });
      keySlots.forEach((key, j) => {
        assertAlmostEquals(actual[key], weights[i][head][j], 1e-6);
        if (weights[i][head][j] === 0) assertEquals(actual[key], 0);
      });
      const total = actual.reduce((sum, weight) => sum + weight, 0);
      assertAlmostEquals(total, expected === NO ? 0 : 1, 1e-5);
      const [heaviest] = await engine.topKeys(slot, 1, { head });
      if (expected !== NO) assertAlmostEquals(heaviest.weight, Math.max(...weights[i][head]), 1e-6);
    }
  }
  assertRight(await engine.read(querySlots), truth, "read()");
}

/** The mask of a scene in each form of matrices. */
function maskForms({ mask, layout, query, key }: Scene): [name: string, mask: MaskInput][] {
  if (!mask) return [];
  const rows = Array.from(
    { length: layout.heads },
    (_, head) => query.map((_, i) => key.map((_, j) => mask(i, j, head))),
  ) as number[][][] | boolean[][][];
  const shaped = rows.map((matrix) => ({
    data: matrix.flat() as number[] | boolean[],
    shape: [query.length, key.length] as const,
  }));
  const forms: [string, MaskInput][] = [["rows a head", rows], ["matrices by shape", shaped]];
  if (rows.every((matrix) => matrix.every((row, i) => row.every((entry, j) => entry === rows[0][i][j])))) {
    forms.push(["one matrix of rows", rows[0]], ["one matrix by shape", shaped[0]]);
  }
  return forms;
}

const heads4by2 = { heads: 4, kvHeads: 2 };

/** Row 0 sees nothing, row 1 nothing in head 1, row 2 one key alone. */
function fewAllowed(i: number, j: number, head: number): boolean {
  if (i === 0 || (i === 1 && head === 1)) return false;
  return i !== 2 || j === 5;
}

const SCENES: Record<string, Scene> = {
  "several heads": sceneOf({ queries: 5, keys: 20 }),
  "scores in the hundreds in several heads": sceneOf({ queries: 4, keys: 30, size: 20 }, {
    rules: { scale: 0.5 },
  }),
  "one key head for all": sceneOf({ queries: 4, keys: 15, heads: 6, kvHeads: 1 }),
  "grouped key heads, d < dv": sceneOf({ queries: 4, keys: 15, ...heads4by2, headDim: 2, valueDim: 7 }),
  "grouped key heads, d > dv": sceneOf({ queries: 4, keys: 15, ...heads4by2, headDim: 9, valueDim: 1 }),
  "a head of one number": sceneOf({ queries: 3, keys: 9, ...heads4by2, headDim: 1, valueDim: 1 }),
  "a negative scale": sceneOf({ queries: 3, keys: 12 }, { rules: { scale: -1.5 } }),
  "a softcap and causality": sceneOf({ queries: 8, keys: 8, size: 4 }, {
    rules: { softcap: 3, causal: true },
  }),
  "a softcap far below the scores": sceneOf({ queries: 4, keys: 12, size: 30 }, { rules: { softcap: 0.25 } }),
  "a softcap with a mask added after it": sceneOf({ queries: 4, keys: 12, size: 5 }, {
    rules: { softcap: 2 },
    mask: (i, j, head) => (i + 2 * j + head) % 5 - 2,
  }),
  "causal, ahead by two": sceneOf({ queries: 6, keys: 9 }, { rules: { causal: { offset: 2 } } }),
  "causal, behind by two: the first rows see nothing": sceneOf({ queries: 6, keys: 9 }, {
    rules: { causal: { offset: -2 } },
  }),
  "a window": sceneOf({ queries: 9, keys: 12 }, { rules: { window: [2, 1] } }),
  "a window of one": sceneOf({ queries: 5, keys: 5 }, { rules: { window: [0, 0] } }),
  "a window and causality": sceneOf({ queries: 9, keys: 9 }, { rules: { window: [3, 2], causal: true } }),
  "a window open to the left": sceneOf({ queries: 9, keys: 9 }, { rules: { window: [Infinity, 1] } }),
  "positions between whole numbers, some twice": sceneOf({ queries: 4, keys: 8 }, {
    queryPositions: [0.5, 2.25, 2.25, -1],
    keyPositions: [0.5, 0.25, 2.5, 2.25, -1, -1.5, 7, 2],
    rules: { window: [1.75, 0.25] },
  }),
  "positions in the past": sceneOf({ queries: 3, keys: 6 }, {
    queryPositions: [-100, -98, -101],
    keyPositions: [-99, -103, -100, -98, -102, -101],
    rules: { causal: true },
  }),
  "numbers that differ by head": sceneOf({ queries: 4, keys: 10, ...heads4by2 }, {
    mask: (i, j, head) => (3 * i + 5 * j + 7 * head) % 4 - 1.5,
  }),
  "truth values that differ by head": sceneOf({ queries: 4, keys: 10 }, {
    mask: (i, j, head) => (i + j) % 3 !== head,
  }),
  "a mask that all heads share, one key head": sceneOf({ queries: 4, keys: 10, heads: 5, kvHeads: 1 }, {
    mask: (i, j) => i === j ? NO : 0.1 * (i - j),
  }),
  "rows that nothing allows": sceneOf({ queries: 4, keys: 10 }, { mask: fewAllowed }),
  "rows that −∞ closes": sceneOf({ queries: 4, keys: 10 }, {
    mask: (i, j, head) => fewAllowed(i, j, head) ? 0 : NO,
  }),
  "−1e30, which closes nothing where all have it": sceneOf({ queries: 4, keys: 10 }, {
    mask: (i, j) => i === 0 ? -1e30 : i === 1 && j < 9 ? -1e30 : j % 2 === 0 ? -1e30 : 0,
  }),
  "+50 on one key of each row": sceneOf({ queries: 4, keys: 10 }, {
    mask: (i, j, head) => (i + head) % 10 === j ? 50 : 0,
  }),
  "−∞, −1e30, +50 and 0 in one mask": sceneOf({ queries: 6, keys: 12, ...heads4by2 }, {
    mask: (i, j, head) => [NO, -1e30, 50, 0, -3][(i + 3 * j + head) % 5],
  }),
  "a mask, causality, a window and a softcap": sceneOf({ queries: 8, keys: 10, ...heads4by2, size: 3 }, {
    rules: { softcap: 5, causal: { offset: 1 }, window: [4, 3], scale: 0.4 },
    mask: (i, j, head) => (i + j + head) % 4 === 0 ? false : (i * j) % 3,
  }),
  "one key": sceneOf({ queries: 3, keys: 1 }, { rules: { causal: true } }),
  "no key": sceneOf({ queries: 3, keys: 0 }, { rules: { softcap: 2, causal: true } }),
};

// One key holds all the weight of head 1, and little of the others'.
{
  const scene = sceneOf({ queries: 4, keys: 20 });
  scene.query.forEach((row) => row.fill(1, 4, 8));
  scene.key[13].fill(60, 4, 8);
  SCENES["one key holds all the weight, in one head"] = scene;
}

for (const backend of QUICK_BACKENDS) {
  for (const [name, scene] of Object.entries(SCENES)) {
    const truth = truthOf(scene);
    const options = { ...sceneOptions(scene), backend };
    const rows = scene.query.map((_, i) => i), columns = scene.key.map((_, j) => j);
    const asked = scene.mask ? { ...options, mask: scene.mask } : options;

    Deno.test(`surface on ${backend}: ${name}, once`, async () => {
      const answer = await attention(asked);
      assertRight(answer, truth, "attention()");
      for (const [form, mask] of maskForms(scene)) {
        assertEquals(await attention({ ...options, mask }), answer, form);
      }
    });

    Deno.test(`surface on ${backend}: ${name}, as created`, async () => {
      await using engine = await DynamicAttention.create(asked);
      await assertAnswers(engine, truth, rows, columns);
      if (!scene.mask) {
        const { queryPositions: positions } = scene;
        assertRight(await engine.attend(scene.query, { positions }), truth, "attend()");
      }
      for (const [form, mask] of maskForms(scene)) {
        await using byMatrix = await DynamicAttention.create({ ...options, mask });
        assertEquals(await byMatrix.read(), await engine.read(), form);
      }
    });

    // Each answer of a device takes its time, and these are hundreds: one way is enough there.
    for (const lazyThreshold of backend === "webgpu" ? [3] : [1, 3, Infinity]) {
      for (
        const onThreshold of backend === "webgpu" ? ["patch"] as const : ["patch", "auto", "rebuild"] as const
      ) {
        const title = `${name}, edited into, threshold ${lazyThreshold}, ${onThreshold}`;
        Deno.test(`surface on ${backend}: ${title}`, async () => {
          const order = new Random(name.length + (lazyThreshold === Infinity ? 99 : lazyThreshold));
          for (let round = 0; round < casesOn(backend, 3); round++) {
            const settings = { lazyThreshold, onThreshold, backend };
            const { engine, keySlots, querySlots } = await editInto(scene, settings, order);
            await assertAnswers(engine, truth, querySlots, keySlots);
            await engine.flush();
            await assertAnswers(engine, truth, querySlots, keySlots);
            if (!scene.mask) {
              const { queryPositions: positions } = scene;
              assertRight(await engine.attend(scene.query, { positions }), truth, "attend()");
            }
            await engine.dispose();
          }
        });
      }
    }
  }
}

Deno.test("the scenes differ by what they are named after", () => {
  for (const [name, scene] of Object.entries(SCENES)) {
    if (scene.key.length < 2) continue;
    const { output } = referenceAttention(truthOf(scene));
    const without: Scene[] = [];
    for (const rule of ["softcap", "causal", "window"] as const) {
      const { [rule]: found, ...rules } = scene.rules;
      if (found !== undefined) without.push({ ...scene, rules });
    }
    if (scene.mask) without.push({ ...scene, mask: null });
    for (const other of without) {
      const difference = largestDifference(referenceAttention(truthOf(other)).output, output);
      assert(difference > 1e-3, `${name} is the same without one of its rules`);
    }
  }
});

Deno.test("a head sees its own columns alone", async () => {
  const scene = sceneOf({ queries: 2, keys: 6, heads: 4, kvHeads: 2 });
  await using live = await DynamicAttention.create(sceneOptions(scene));
  const before = rowsOf(await live.read());
  const { headDim, valueDim } = scene.layout;
  live.addToKey(3, headDim, 1);
  const keyed = rowsOf(await live.read());
  live.addToValue(3, 0, 1);
  const valued = rowsOf(await live.read());
  before.forEach((row, i) => {
    const half = 2 * valueDim;
    assertEquals(keyed[i].slice(0, half), row.slice(0, half), "heads 0 and 1 read key head 0");
    for (let column = half; column < 2 * half; column++) assertNotEquals(keyed[i][column], row[column]);
    assertEquals(valued[i].slice(half), keyed[i].slice(half));
    for (const column of [0, valueDim]) assertNotEquals(valued[i][column], keyed[i][column]);
    for (const column of [1, valueDim + 1]) assertEquals(valued[i][column], keyed[i][column]);
  });
});
