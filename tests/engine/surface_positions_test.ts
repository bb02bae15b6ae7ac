// Causality and windows follow positions, those that rows are given, take next, and keep when others go;
// masks follow what lies in a slot.

import { DynamicAttention, type MaskFunction } from "../../mod.ts";
import { assertEquals } from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { type Scene, sceneOptions } from "../../testing/edited_into.ts";
import { Random } from "../../testing/random.ts";
import { assertRight, NO, truthOf } from "../../testing/scene_truth.ts";

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
