// Heads, softcap, masks, causality, windows and positions against the oracle, where the ONNX vectors cannot see:
// large scores, masks that change with the row in a slot, positions that rows are given and take. Each scene is
// answered once, by an engine made with it, and by engines that are edited into it.

import { attention, DynamicAttention, type MaskFunction, type MaskInput, type Matrix } from "../mod.ts";
import { referenceAttention, type ReferenceCase } from "../src/core/reference.ts";
import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "./assert.ts";
import { assertAccurate, largestDifference, rowsOf } from "./support/accuracy.ts";
import { BACKENDS, casesOn } from "./support/backends.ts";
import { editInto, type Scene, sceneOptions } from "./support/edited_into.ts";
import { Random } from "./support/random.ts";

const NO = -Infinity;
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

/** The question for the oracle; what rules say of a pair is said here anew, in the words of the documentation. */
function truthOf(
  { layout, query, key, value, queryPositions, keyPositions, rules, mask }: Scene,
): ReferenceCase {
  const { heads, kvHeads, headDim, valueDim } = layout;
  const { causal = false, window } = rules;
  const offset = causal === false ? Infinity : causal === true ? 0 : causal.offset;
  const bias = (i: number, j: number, head: number) => {
    const ahead = keyPositions[j] - queryPositions[i];
    if (ahead > offset || (window && (ahead < -window[0] || ahead > window[1]))) return NO;
    const entry = mask ? mask(i, j, head) : 0;
    return typeof entry === "boolean" ? (entry ? 0 : NO) : Math.fround(entry);
  };
  const scale = rules.scale ?? 1 / Math.sqrt(headDim);
  return { query, key, value, scale, valueDim, heads, kvHeads, softcap: rules.softcap ?? 0, bias };
}

/** As the promise, and in any case within float32 of the largest value. */
function assertRight(actual: Matrix, truth: ReferenceCase, what: string): void {
  assertAccurate(actual, truth, what);
  const largest = truth.value.reduce((most, row) => Math.max(most, ...Array.from(row, Math.abs)), 0);
  const error = largestDifference(rowsOf(actual), referenceAttention(truth).output);
  assert(error <= 1e-6 * largest, `${what} is off by ${error} at values up to ${largest}`);
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

for (const backend of BACKENDS) {
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

// ---- positions -------------------------------------------------------------------------------------------

/** An engine of zero queries and keys, so that an output is the mean of the values in reach. */
function meansOf(
  sizes: { queries: number; values: number[] },
  options: Partial<Parameters<typeof DynamicAttention.create>[0]>,
): Promise<DynamicAttention> {
  const { queries, values } = sizes;
  return DynamicAttention.create({
    query: { data: new Float32Array(queries), shape: [queries, 1] },
    key: { data: new Float32Array(values.length), shape: [values.length, 1] },
    value: { data: values, shape: [values.length, 1] },
    ...options,
  });
}

async function valuesOf(engine: DynamicAttention): Promise<number[]> {
  return [...(await engine.read()).data];
}

for (const backend of BACKENDS) {
  for (const lazyThreshold of [1, Infinity]) {
    const settings = { backend, lazyThreshold };
    const where = `on ${backend}, threshold ${lazyThreshold}`;

    Deno.test(`a window slides over keys that take the next position, ${where}`, async () => {
      await using live = await meansOf({ queries: 1, values: [1, 2, 4] }, { window: [1, 0], ...settings });
      assertEquals(await valuesOf(live), [1]);
      live.insertQuery([0]);
      assertEquals(await valuesOf(live), [1, 1.5], "the second query lies at 1");
      const slot = live.insert([0], [8]);
      live.insertQuery([0], { position: 3 });
      assertEquals(await valuesOf(live), [1, 1.5, 6], "the fourth key lies at 3");
      live.delete(slot);
      assertEquals(await valuesOf(live), [1, 1.5, 4]);
      assertEquals(live.insert([0], [16]), slot);
      assertEquals(await valuesOf(live), [1, 1.5, 4], "in the same slot, but at 4");
      live.insertQuery([0]);
      assertEquals(await valuesOf(live), [1, 1.5, 4, 16]);
    });

    Deno.test(`keys take the positions they are given, and the next lies after the largest, ${where}`, async () => {
      await using live = await meansOf({ queries: 1, values: [1] }, {
        window: [1, 0.5],
        queryPositions: [10],
        ...settings,
      });
      assertEquals(await valuesOf(live), [0]);
      live.insert([0], [2], { position: 9 });
      assertEquals(await valuesOf(live), [2]);
      live.insert([0], [4]);
      assertEquals(await valuesOf(live), [3], "it lies at 10");
      live.insert([0], [128], { position: 8.5 });
      live.insert([0], [9], { position: 10.5 });
      assertEquals(await valuesOf(live), [5]);
      const far = live.insert([0], [1000]);
      assertEquals(await valuesOf(live), [5], "it lies at 11.5");
      live.delete(far);
      assertEquals(live.insert([0], [1], { position: 10.25 }), far);
      assertEquals(await valuesOf(live), [4]);
      live.insert([0], [1000]);
      assertEquals(await valuesOf(live), [4], "it lies at 12.5, after one that is gone");
    });

    Deno.test(`an edited key stays where it is, one that comes again is where it comes, ${where}`, async () => {
      await using live = await meansOf({ queries: 3, values: [3, 6, 9] }, { causal: true, ...settings });
      assertEquals(await valuesOf(live), [3, 4.5, 6]);
      live.set(2, [0], [12]);
      live.setKey(0, [0]);
      assertEquals(await valuesOf(live), [3, 4.5, 7]);
      live.delete(2);
      assertEquals(live.insert([0], [12], { position: 0 }), 2);
      assertEquals(await valuesOf(live), [7.5, 7, 7], "the same row at another position");
      live.delete(2);
      assertEquals(live.insert([0], [12]), 2);
      assertEquals(await valuesOf(live), [3, 4.5, 4.5], "at 3 now");
    });

    Deno.test(`passing queries come after the standing ones unless they are given positions, ${where}`, async () => {
      await using live = await meansOf({ queries: 2, values: [1, 3, 5, 7] }, { window: [0, 0], ...settings });
      live.setValue(3, [9]);
      assertEquals([...(await live.attend([[0], [0]])).data], [5, 9]);
      live.insertQuery([0], { position: 0 });
      assertEquals([...(await live.attend([[0]])).data], [5]);
      assertEquals([...(await live.attend([[0], [0]], { positions: [1, 8] })).data], [3, 0]);
    });

    Deno.test(`an empty memory fills up, causal and in heads, ${where}`, async () => {
      const rows = new Random(7);
      const layout = { heads: 4, kvHeads: 2, headDim: 3, valueDim: 2 };
      const empty: Scene = {
        layout,
        query: rows.rows(5, 12),
        key: [],
        value: [],
        queryPositions: [0, 1, 2, 3, 4],
        keyPositions: [],
        rules: { causal: true, softcap: 4 },
        mask: null,
      };
      await using live = await DynamicAttention.create({ ...sceneOptions(empty), ...settings });
      assertEquals((await live.read()).data, new Float32Array(40));
      let scene = empty;
      const fill = async () => {
        scene = { ...scene, key: [], value: [], keyPositions: [] };
        for (let j = 0; j < 5; j++) {
          const [key, value] = [rows.row(6), rows.row(4)];
          const position = (3 * j) % 5;
          live.insert(key, value, { position });
          scene = {
            ...scene,
            key: [...scene.key, key],
            value: [...scene.value, value],
            keyPositions: [...scene.keyPositions, position],
          };
          assertRight(await live.read(), truthOf(scene), `${j + 1} keys`);
        }
      };
      await fill();
      for (let slot = 4; slot >= 0; slot--) live.delete(slot);
      assertEquals((await live.read()).data, new Float32Array(40));
      assertEquals((await live.logSumExp()).data, new Float32Array(20).fill(NO));
      await live.flush();
      await fill();
    });

    // ---- masks that follow rows ------------------------------------------------------------------------

    for (const [form, closed, open] of [["truth values", false, true], ["numbers", NO, 0]] as const) {
      Deno.test(`rows open and close with what lies in a slot, ${form}, ${where}`, async () => {
        const allowed = new Map<number, boolean>([[0, false], [1, false]]);
        const mask: MaskFunction = (i, j) => i === 1 || allowed.get(j) ? open : closed;
        await using live = await meansOf({ queries: 2, values: [2, 4] }, { mask, ...settings });
        assertEquals(await valuesOf(live), [0, 3]);
        assertEquals([...(await live.logSumExp()).data], [NO, Math.fround(Math.LN2)]);
        for (const isOpen of [true, false, true, true, false, false, true]) {
          live.delete(1);
          allowed.delete(1);
          assertEquals(live.insert([0], [4]), 1);
          allowed.set(1, isOpen);
          assertEquals(await valuesOf(live), [isOpen ? 4 : 0, 3], "the identical row, another answer");
          assertEquals([...await live.weights(0)], [0, isOpen ? 1 : 0]);
          assertEquals([...(await live.logSumExp([0])).data], [isOpen ? 0 : NO]);
          await live.flush();
          assertEquals(await valuesOf(live), [isOpen ? 4 : 0, 3]);
        }
        live.deleteQuery(0);
        allowed.set(0, true);
        assertEquals(live.insertQuery([0]), 0);
        assertEquals(await valuesOf(live), [3, 3], "a query that comes again is asked about");
      });
    }

    Deno.test(`a mask may learn of a slot after the insert returned it, ${where}`, async () => {
      const groups = new Map<number, number>([[0, 0], [1, 1], [2, 0]]);
      const asked: string[] = [];
      const mask: MaskFunction = (i, j, head) => {
        const group = groups.get(j);
        if (group === undefined) asked.push(`${i} ${j} ${head}`);
        return group === (i + head) % 2;
      };
      await using live = await DynamicAttention.create({
        query: { data: new Float32Array(4), shape: [2, 2] },
        key: { data: new Float32Array(3), shape: [3, 1] },
        value: { data: [1, 2, 3], shape: [3, 1] },
        heads: 2,
        kvHeads: 1,
        mask,
        ...settings,
      });
      assertEquals(await valuesOf(live), [2, 2, 2, 2]);
      groups.set(live.insert([0], [5]), 0);
      groups.set(live.insert([0], [10]), 1);
      assertEquals(await valuesOf(live), [3, 6, 6, 3]);
      const slots = live.edit([
        { kind: "delete", slot: 0 },
        { kind: "insert", key: [0], value: [1] },
        { kind: "insertQuery", query: [0, 0] },
      ]);
      groups.set(slots[1], 1);
      assertEquals(slots, [0, 0, 2]);
      assertEquals(await valuesOf(live), [4, 13 / 3, 13 / 3, 4, 4, 13 / 3].map(Math.fround));
      await live.rebuild();
      assertEquals(await valuesOf(live), [4, 13 / 3, 13 / 3, 4, 4, 13 / 3].map(Math.fround));
      assertEquals(asked, [], "asked before the slot was known");
    });

    Deno.test(`what a read saw of a mask stays, whatever the slot holds when it runs, ${where}`, async () => {
      const open = new Map<number, boolean>([[0, true]]);
      await using live = await meansOf({ queries: 2, values: [2] }, {
        mask: (_, j) => open.get(j)!,
        ...settings,
      });
      const slot = live.insert([0], [4]);
      open.set(slot, false);
      const first = valuesOf(live);
      live.delete(slot);
      assertEquals(live.insert([0], [4]), slot);
      open.set(slot, true);
      const second = valuesOf(live);
      live.delete(slot);
      assertEquals(await Promise.all([first, second, valuesOf(live)]), [[2, 2], [3, 3], [2, 2]]);
    });

    Deno.test(`a stale answer shows no pair that the mask forbids, ${where}`, async () => {
      const mask = [[true, false, true], [true, true, true]];
      await using live = await meansOf({ queries: 2, values: [2, 1000, 4] }, { mask, ...settings });
      live.delete(1);
      live.setQuery(0, [1]);
      assertEquals((await live.peek([0])).output.data[0], 3);
      live.setQuery(0, [0]);
      assertEquals((await live.peek([0])).output.data[0], 3);
    });

    Deno.test(`a stale answer shows no row under the answer for its successor in the slot, ${where}`, async () => {
      const open = new Map<number, boolean>([[0, true]]);
      await using live = await meansOf({ queries: 1, values: [2] }, {
        mask: (_, j) => open.get(j)!,
        ...settings,
      });
      const slot = live.insert([0], [1000]);
      open.set(slot, false);
      const isApplied = live.stats().epoch > 0;
      if (!isApplied && lazyThreshold === Infinity) await live.flush();
      live.delete(slot);
      assertEquals(live.insert([0], [4]), slot);
      open.set(slot, true);
      live.setQuery(0, [1]);
      assertEquals((await live.peek()).output.data[0], 3, "a changed query is answered over the newest keys");
      assertEquals(await valuesOf(live), [3]);
    });
  }

  Deno.test(`a mask function is asked about a changed key or query alone, on ${backend}`, async () => {
    const asked: string[] = [];
    await using live = await meansOf({ queries: 2, values: [1, 2, 3] }, {
      mask: (i, j) => {
        asked.push(`${i} ${j}`);
        return 0;
      },
      backend,
    });
    const pairs = () => [...new Set(asked.splice(0))].sort();
    assertEquals(pairs(), ["0 0", "0 1", "0 2", "1 0", "1 1", "1 2"]);
    await live.read();
    assertEquals(pairs(), []);
    live.insert([0], [4]);
    await live.flush();
    assertEquals(pairs(), ["0 3", "1 3"]);
    live.delete(0);
    await live.flush();
    assertEquals(pairs(), []);
    live.insertQuery([0]);
    await live.flush();
    assertEquals(pairs(), ["2 1", "2 2", "2 3"]);
    await live.rebuild();
    assertEquals(pairs(), []);
  });

  Deno.test(`a matrix serves slots that come again, up to its edge, on ${backend}`, async () => {
    const mask = [[0, NO, 0, Math.log(3)], [NO, 0, 0, 0], [NO, NO, 0, 0]];
    await using live = await meansOf({ queries: 2, values: [1, 2, 3] }, { mask, backend });
    assertEquals(await valuesOf(live), [2, 2.5]);
    assertEquals(live.insert([0], [5]), 3);
    assertEquals((await valuesOf(live)).map((value) => Math.round(value * 1e5)), [380000, 333333]);
    live.delete(0);
    assertEquals(live.insert([0], [100]), 0);
    assertEquals((await valuesOf(live)).map((value) => Math.round(value * 1e5)), [2360000, 333333]);
    assertEquals(live.insertQuery([0]), 2);
    assertEquals((await valuesOf(live)).at(-1), 4);
  });
}

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
