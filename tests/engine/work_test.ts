// Work, counted: an edit costs what changed, not what there is; an edit that was undone costs nothing.

import { DynamicAttention, type DynamicAttentionOptions, type DynamicAttentionStats } from "../../mod.ts";
import { assertEquals, assertGreater, assertLess, assertLessOrEqual } from "../../testing/assert.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";
import { Random } from "../../testing/random.ts";

const HEAD_DIM = 8, VALUE_DIM = 4, WIDTH = VALUE_DIM + 2;
/** Of engines in which waiting may pay: columns of keys and values, and queries. */
const WIDE = 16, WIDE_QUERIES = 128;
const STEPS = 500;

type Count =
  | "multiplyAdds"
  | "exponentials"
  | "rowsBuilt"
  | "rowsPatched"
  | "refreshes"
  | "rebuilds";

/** The counts that `run` adds. */
async function workOf(
  engine: DynamicAttention,
  run: () => Promise<unknown> | void,
): Promise<Record<Count, number>> {
  const before = engine.stats();
  await run();
  const after = engine.stats();
  const difference = (count: keyof DynamicAttentionStats & Count) => after[count] - before[count];
  return {
    multiplyAdds: difference("multiplyAdds"),
    exponentials: difference("exponentials"),
    rowsBuilt: difference("rowsBuilt"),
    rowsPatched: difference("rowsPatched"),
    refreshes: difference("refreshes"),
    rebuilds: difference("rebuilds"),
  };
}

const NONE: Record<Count, number> = {
  multiplyAdds: 0,
  exponentials: 0,
  rowsBuilt: 0,
  rowsPatched: 0,
  refreshes: 0,
  rebuilds: 0,
};

for (const backend of QUICK_BACKENDS) {
  const engineOf = (queries: number, keys: number, more = {}) => {
    const random = new Random(3);
    return DynamicAttention.create({
      query: { data: random.row(queries * HEAD_DIM), shape: [queries, HEAD_DIM] },
      key: { data: random.row(keys * HEAD_DIM), shape: [keys, HEAD_DIM] },
      value: { data: random.row(keys * VALUE_DIM), shape: [keys, VALUE_DIM] },
      lazyThreshold: Infinity,
      backend,
      ...more,
    });
  };

  const wideEngineOf = (more: Partial<DynamicAttentionOptions>) => {
    const random = new Random(3);
    const rows = (count: number) => ({ data: random.row(count * WIDE), shape: [count, WIDE] as const });
    return DynamicAttention.create({
      query: rows(WIDE_QUERIES),
      key: rows(500),
      value: rows(500),
      backend,
      ...more,
    });
  };

  Deno.test(`work on ${backend}: an edit costs the same at 1,000 and at 100,000 keys`, async () => {
    const works = [];
    for (const keys of [1_000, 100_000]) {
      await using engine = await engineOf(4, keys);
      const random = new Random(8);
      works.push(
        await workOf(engine, async () => {
          engine.setKey(17, random.row(HEAD_DIM));
          engine.addToKey(18, 3, 0.5);
          engine.setValue(19, random.row(VALUE_DIM));
          engine.delete(20);
          engine.insert(random.row(HEAD_DIM), random.row(VALUE_DIM));
          await engine.flush();
        }),
      );
    }
    assertEquals(works[0], works[1]);
    // Slot 20 was taken again: four slots changed, of which one kept its key.
    assertEquals(works[0].rowsPatched, 4);
    assertEquals(works[0].exponentials, 4 * (3 * 2 + 1));
    // Slots 17 and 18 kept their values, which wasm multiplies once.
    const values = backend === "wasm" ? 6 : 8;
    assertEquals(works[0].multiplyAdds, 4 * ((3 * 2 + 1) * HEAD_DIM + values * WIDTH));
    assertEquals([works[0].rebuilds, works[0].rowsBuilt], [0, 0]);
  });

  Deno.test(`work on ${backend}: edits alone do none`, async () => {
    await using engine = await engineOf(4, 50);
    const work = await workOf(engine, () => {
      for (let step = 0; step < 100; step++) engine.addToKey(step % 50, 1, 0.25);
    });
    assertEquals(work, NONE);
    assertEquals(engine.stats().pending, 50);
  });

  Deno.test(`work on ${backend}: an edit that is undone does none`, async () => {
    await using engine = await engineOf(4, 50);
    const random = new Random(3);
    random.row(4 * HEAD_DIM);
    const key = random.row(50 * HEAD_DIM), value = random.row(50 * VALUE_DIM);
    const keyOf = (slot: number) => key.subarray(slot * HEAD_DIM, (slot + 1) * HEAD_DIM);
    const valueOf = (slot: number) => value.subarray(slot * VALUE_DIM, (slot + 1) * VALUE_DIM);
    const work = await workOf(engine, async () => {
      engine.setKey(3, random.row(HEAD_DIM));
      engine.setKey(3, keyOf(3));
      engine.setValue(4, random.row(VALUE_DIM));
      engine.set(4, keyOf(4), valueOf(4));
      engine.delete(engine.insert(random.row(HEAD_DIM), random.row(VALUE_DIM)));
      engine.delete(5);
      assertEquals(engine.insert(keyOf(5), valueOf(5)), 5);
      engine.deleteQuery(engine.insertQuery(random.row(HEAD_DIM)));
      assertEquals(engine.stats().pending, 0);
      await engine.flush();
      await engine.read();
      await engine.peek();
    });
    assertEquals(work, NONE);
    const { edits, coalesced, applied } = engine.stats();
    assertEquals([edits, coalesced, applied], [10, 10, 10]);
  });

  Deno.test(`work on ${backend}: ten edits of a key cost one`, async () => {
    const costs = [];
    for (const repetitions of [1, 10]) {
      await using engine = await engineOf(4, 50);
      costs.push(
        await workOf(engine, async () => {
          for (let step = 0; step < repetitions; step++) engine.addToKey(7, 2, 0.125);
          await engine.flush();
        }),
      );
      assertEquals(engine.stats().coalesced, repetitions - 1);
    }
    assertEquals(costs[0], costs[1]);
  });

  Deno.test(`work on ${backend}: a read touches the rows that are read and their companions, once`, async () => {
    // The wasm kernels compute blocks of eight rows.
    const touched = 2 * (backend === "wasm" ? 8 : 1);
    await using engine = await engineOf(100, 50);
    engine.setKey(1, new Float32Array(HEAD_DIM).fill(0.5));
    const reading = () => workOf(engine, () => engine.read([5, 9]));
    const { rowsPatched, rowsBuilt } = await reading();
    assertEquals([rowsPatched, rowsBuilt], [touched, 0]);
    assertEquals(await reading(), NONE);
    assertEquals([engine.stats().pending, engine.stats().behind], [1, 100 - touched]);
  });

  Deno.test(`work on ${backend}: a changed query builds its own row`, async () => {
    await using engine = await engineOf(20, 50);
    const work = await workOf(engine, async () => {
      engine.setQuery(3, new Float32Array(HEAD_DIM).fill(1));
      await engine.read([3]);
    });
    assertEquals(work, {
      ...NONE,
      rowsBuilt: 1,
      exponentials: 50,
      multiplyAdds: 50 * (HEAD_DIM + WIDTH),
    });
    assertEquals((await workOf(engine, () => engine.read())).rowsBuilt, 0);
  });

  Deno.test(`work on ${backend}: a certificate is measured once for a pending edit, whatever n is`, async () => {
    const works = [];
    for (const keys of [50, 5000]) {
      // By itself an engine would catch up where that takes less time.
      await using engine = await engineOf(20, keys, { onThreshold: "patch" });
      engine.setKey(1, new Float32Array(HEAD_DIM).fill(0.5));
      engine.delete(2);
      const peek = async () => assertEquals((await engine.peek()).pending, 2);
      works.push(await workOf(engine, peek));
      assertEquals(await workOf(engine, peek), NONE);
      // Another value of a key whose weights are known, and an edit of one number of it.
      engine.addToKey(3, 1, 0.25);
      await engine.peek();
      engine.addToKey(3, 1, 0.25);
      const again = await workOf(engine, () => engine.peek());
      // The score and the distance of the key before are remembered, and one number of it has moved.
      assertEquals(again, { ...NONE, exponentials: 40, multiplyAdds: 20 });
    }
    assertEquals(works[0], works[1]);
    // Of the edited key a score, its difference and a distance, of the deleted one a score and a distance. Large
    // differences of scores are told from both scores.
    const least = 20 * (3 * HEAD_DIM + 2 * VALUE_DIM);
    assertLessOrEqual(least, works[0].multiplyAdds);
    assertLessOrEqual(works[0].multiplyAdds, least + 20 * HEAD_DIM);
    assertEquals([works[0].rowsBuilt, works[0].rowsPatched], [0, 0]);
  });

  Deno.test(`work on ${backend}: a changed query leaves what was measured of other rows`, async () => {
    await using engine = await engineOf(20, 50);
    engine.setKey(1, new Float32Array(HEAD_DIM).fill(0.5));
    await engine.peek();
    const work = await workOf(engine, async () => {
      engine.setQuery(3, new Float32Array(HEAD_DIM).fill(1));
      await engine.peek();
    });
    // Its row is built over the newest keys, so that there is nothing to measure.
    assertEquals(work, { ...NONE, rowsBuilt: 1, exponentials: 50, multiplyAdds: 50 * (HEAD_DIM + WIDTH) });
  });

  Deno.test(`work on ${backend}: a peek without bounds computes nothing and promises nothing`, async () => {
    await using engine = await engineOf(20, 50);
    engine.setKey(1, new Float32Array(HEAD_DIM).fill(0.5));
    engine.delete(2);
    const work = await workOf(engine, async () => {
      const { pending, bounds } = await engine.peek([3, 4], { bounds: false });
      assertEquals([pending, ...bounds], [2, Infinity, Infinity]);
    });
    assertEquals(work, NONE);
  });

  Deno.test(`work on ${backend}: an error budget leaves rows as they are until a peek would be off by more`, async () => {
    for (const onThreshold of ["auto", "patch"] as const) {
      await using engine = await wideEngineOf({ lazyThreshold: { error: 0.05 }, onThreshold });
      let patched = 0, stale = 0;
      for (let step = 0; step < STEPS; step++) {
        engine.addToKey(step % 5, step % WIDE, step % 2 === 0 ? 1e-3 : -1e-3);
        const { rowsPatched } = await workOf(engine, async () => {
          const { bounds, pending } = await engine.peek();
          assertLessOrEqual(Math.max(...bounds), 0.05);
          stale += pending > 0 ? 1 : 0;
        });
        patched += rowsPatched / WIDE_QUERIES;
      }
      assertLess(patched, 0.4 * STEPS);
      assertGreater(stale, 0.5 * STEPS);
    }
  });

  for (const limit of ["error", "targetError"]) {
    Deno.test(`work on ${backend}: ${limit} costs little more than exact reads where waiting does not pay`, async () => {
      const costs = [];
      for (const lazyThreshold of [Infinity, { [limit]: 1e-4 }]) {
        await using engine = await wideEngineOf({ lazyThreshold });
        const random = new Random(5);
        const { multiplyAdds } = await workOf(engine, async () => {
          for (let step = 0; step < STEPS; step++) {
            engine.setKey(step % 50, random.row(WIDE));
            if (lazyThreshold === Infinity) await engine.read();
            else assertLessOrEqual(Math.max(...(await engine.peek()).bounds), 1e-4);
          }
        });
        costs.push(multiplyAdds);
      }
      assertLess(costs[1], 1.05 * costs[0]);
    });

    Deno.test(`work on ${backend}: ${limit} costs little more than exact reads of few rows, from the start`, async () => {
      const cases = [[1, 1], [1, 16], [16, 1], [16, 16], [WIDE_QUERIES, 1], [WIDE_QUERIES, 64]];
      const plans = ["auto", "patch"] as const;
      for (
        const [[asked, edits], onThreshold] of cases.flatMap((one) =>
          plans.map((plan) => [one, plan] as const)
        )
      ) {
        const rows = Array.from({ length: asked }, (_, at) => at), costs: number[][] = [];
        for (const lazyThreshold of [Infinity, { [limit]: 1e-3 }]) {
          await using engine = await wideEngineOf({ lazyThreshold, onThreshold });
          const random = new Random(6), sums: number[] = [];
          const workSoFar = () => {
            const { multiplyAdds, exponentials } = engine.stats();
            return multiplyAdds + 16 * exponentials;
          };
          const begun = workSoFar();
          let key = 0;
          for (let step = 1; step <= (backend === "webgpu" ? 40 : 100); step++) {
            for (let edit = 0; edit < edits; edit++) {
              engine.set(key++ % 500, random.row(WIDE), random.row(WIDE));
            }
            if (lazyThreshold === Infinity) await engine.read(rows);
            else await engine.peek(rows);
            if (step % 10 === 0) sums.push(workSoFar() - begun);
          }
          costs.push(sums);
        }
        costs[1].forEach((cost, at) => {
          assertLess(cost, 1.1 * costs[0][at], `${asked} rows, ${edits} edits, ${10 * (at + 1)} looks`);
        });
      }
    });

    Deno.test(`work on ${backend}: ${limit} waits where edits overtake each other`, async () => {
      const costs = [];
      for (const lazyThreshold of [Infinity, { [limit]: 0.5 }]) {
        await using engine = await wideEngineOf({ lazyThreshold });
        const { multiplyAdds } = await workOf(engine, async () => {
          for (let step = 0; step < 2 * STEPS; step++) {
            engine.addToKey(3, 1, step % 2 === 0 ? 0.01 : -0.011);
            if (lazyThreshold === Infinity) await engine.read();
            else assertLessOrEqual(Math.max(...(await engine.peek()).bounds), 0.5);
          }
        });
        costs.push(multiplyAdds);
      }
      assertLess(costs[1], 0.6 * costs[0]);
    });
  }

  if (backend !== "webgpu") {
    Deno.test(`work on ${backend}: a memory that drifts is followed for a third of what exact reads cost`, async () => {
      const costs: Record<string, number> = {};
      for (const way of ["read", "peek", "follow"]) {
        await using engine = await wideEngineOf({
          lazyThreshold: way === "peek" ? { error: 0.2 } : Infinity,
        });
        using followed = engine.follow(undefined, { error: 0.2 });
        await followed.refresh();
        const random = new Random(7);
        const { multiplyAdds } = await workOf(engine, async () => {
          for (let look = 0; look < 400; look++) {
            for (let edit = 0; edit < 4; edit++) {
              const slot = (4 * look + edit) % 250,
                [key, value] = [engine.getKey(slot), engine.getValue(slot)];
              const steps = random.row(2 * WIDE, 1e-3);
              engine.set(slot, key.map((x, c) => x + steps[c]), value.map((x, c) => x + steps[WIDE + c]));
            }
            if (way === "read") await engine.read();
            else if (way === "peek") await engine.peek();
            else await followed.refresh();
          }
        });
        costs[way] = multiplyAdds;
      }
      assertLess(costs.peek, costs.read / 3);
      assertLess(costs.follow, costs.read / 3);
    });

    Deno.test(`work on ${backend}: following costs little more than exact reads where it does not pay`, async () => {
      const costs: number[] = [];
      for (const isFollowed of [false, true]) {
        await using engine = await wideEngineOf({});
        using followed = engine.follow(undefined, { error: 1e-3 });
        if (isFollowed) await followed.refresh();
        const random = new Random(5);
        const { multiplyAdds } = await workOf(engine, async () => {
          for (let step = 0; step < STEPS; step++) {
            engine.setKey(step % 50, random.row(WIDE));
            await (isFollowed ? followed.refresh() : engine.read());
          }
        });
        costs.push(multiplyAdds);
      }
      assertLess(costs[1], 1.05 * costs[0]);
    });
  }

  Deno.test(`work on ${backend}: the original's full recalculation rebuilds all rows, the patch none`, async () => {
    for (const onThreshold of ["rebuild", "patch"] as const) {
      await using engine = await engineOf(20, 50, { onThreshold, lazyThreshold: 4 });
      const work = await workOf(engine, async () => {
        for (let slot = 0; slot < 4; slot++) engine.setKey(slot, new Float32Array(HEAD_DIM).fill(0.1 * slot));
        await engine.peek();
      });
      const built = onThreshold === "rebuild" ? 20 : 0;
      assertEquals([work.rowsBuilt, work.rowsPatched, work.rebuilds], [built, 20 - built, built / 20]);
    }
  });

  Deno.test(`work on ${backend}: "auto" patches few changes and rebuilds for many`, async () => {
    for (const changes of [1, 50]) {
      await using engine = await engineOf(20, 50);
      const work = await workOf(engine, async () => {
        for (let slot = 0; slot < changes; slot++) engine.setKey(slot, new Float32Array(HEAD_DIM).fill(0.1));
        await engine.flush();
      });
      assertEquals([work.rowsPatched, work.rebuilds], changes === 1 ? [20, 0] : [0, 1]);
    }
  });

  Deno.test(`work on ${backend}: a row that loses its dominating key is refreshed, and it alone`, async () => {
    await using engine = await DynamicAttention.create({
      query: [[1, 0], [0, 1], [0, -1]],
      key: [[120, 0], [0, 0.5], [0.1, 0.1]],
      value: [[1], [2], [3]],
      scale: 1,
      lazyThreshold: Infinity,
      onThreshold: "patch",
      backend,
    });
    const work = await workOf(engine, async () => {
      engine.delete(0);
      await engine.flush();
      // A device decides by itself what it refreshes, and tells with the next answer.
      await engine.read();
    });
    assertEquals([work.rowsPatched, work.refreshes, work.rowsBuilt], [3, 1, 1]);
  });
}
