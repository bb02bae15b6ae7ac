// Full suite: a software device takes its time.
//
// Rows of many keys on a device: the keys are cut into parts, and the states of the parts become one.

import { acquireDevice } from "../../../src/backends/webgpu/device.ts";
import { PART_TERMS } from "../../../src/backends/webgpu/key_parts.ts";
import { referenceAttention } from "../../../src/numerics/reference.ts";
import { assert, assertEquals, assertGreater } from "../../../testing/assert.ts";
import { assertAccurate, rowsOf } from "../../../testing/accuracy.ts";
import { GPU } from "../../backends_here.ts";
import type { ModelKey, ModelRule } from "../../../testing/memory_model.ts";
import { RULE, saying, start, trafficOf } from "../../../testing/webgpu_engine.ts";

/** Rows of many keys: all of them in reach, few, and for the first queries none. */
const LONG_ROWS: readonly (readonly [string, ModelRule])[] = [
  ["all keys", RULE],
  ["300 keys around", { ...RULE, softcap: 20, window: [150, 150] }],
  ["keys long ago, if any", { ...RULE, causal: { offset: -2 } }],
];

for (const [what, rule] of LONG_ROWS) {
  Deno.test({
    name: `webgpu: few rows of many keys are summed in parts, ${what}`,
    ...GPU,
    async fn() {
      const sizes = { queries: 5, keys: 1500 };
      const { live, backend, model, random } = await start(rule, acquireDevice, {
        onThreshold: "patch",
        lazyThreshold: Infinity,
      }, sizes);
      const columns = rule.heads * rule.headDim;
      const compare = async (when: string) => {
        const { output, bounds } = await live.peek();
        assertAccurate(await live.read(), model.standing(), when);
        const truth = referenceAttention(model.standing()).output;
        rowsOf(output).forEach((row, i) => {
          const distance = Math.hypot(...row.map((o, c) => o - truth[i][c]));
          assert(distance <= bounds[i], `${when}: row ${i} is off by ${distance}, bound ${bounds[i]}`);
        });
        const weights = await live.weights(4, { head: 3 });
        const sum = weights.reduce((sum, weight) => sum + weight);
        assert(Math.abs(sum - (truth[4].some((o) => o !== 0) ? 1 : 0)) < 1e-5, `${when}: weights of ${sum}`);
      };
      await compare("built");
      // A key that is nearly all of a row comes and goes, so that what is left has to be built again.
      for (const slot of [2, 700, 1, 1499, 3]) {
        const held = model.keys.get(slot) as ModelKey;
        for (const size of [12, 0.1]) {
          held.key = random.row(2 * rule.headDim, size);
          live.setKey(slot, held.key);
          await compare(`key ${slot} of size ${size}`);
          await live.rebuild();
        }
      }
      if (what !== LONG_ROWS[2][0]) assertGreater(live.stats().refreshes, 0);
      const query = random.row(columns);
      model.insertQuery(live.insertQuery(query), query);
      await compare("one more query");
      // A move of the rows, a build and, where sums are worth it, a merge.
      const { isCompensated } = (await acquireDevice()).arithmetic;
      const attend = await trafficOf(backend, () => live.attend(random.rows(2, columns)));
      assertEquals([attend.submits, attend.dispatches], [1, isCompensated ? 3 : 2]);
      await live.dispose();
    },
  });
}

Deno.test({
  name: "webgpu: states are kept when room for parts is made, and when there are more of them",
  ...GPU,
  async fn() {
    const sizes = { queries: 5, keys: PART_TERMS - 10 };
    const options = { onThreshold: "patch", lazyThreshold: Infinity } as const;
    const { live, backend, model, random } = await start(RULE, acquireDevice, options, sizes);
    assertAccurate(await live.read(), model.standing(), "before");
    const { bufferBytes } = backend.traffic, { rowsBuilt } = live.stats();
    for (let more = 0; more < 20; more++) {
      const key = random.row(2 * RULE.headDim), value = random.row(2 * RULE.valueDim);
      model.insertKey(live.insert(key, value), key, value);
    }
    assertAccurate(await live.read(), model.standing(), "more keys");
    assertEquals(live.stats().rowsBuilt, rowsBuilt, "rows were patched, from what they were");
    assertGreater(backend.traffic.bufferBytes, bufferBytes + 2 * 5 * 4 * RULE.heads * 29);
    for (let more = 0; more < 20; more++) {
      const query = random.row(4 * RULE.headDim);
      model.insertQuery(live.insertQuery(query), query);
    }
    assertAccurate(await live.read(), model.standing(), "more queries");
    assertEquals(live.stats().rowsBuilt, rowsBuilt + 20 * RULE.heads);
    await live.dispose();
    assertEquals(backend.traffic.buffers, 0);
  },
});

Deno.test({
  name: "webgpu: reading one row asks the same of a device, however many others there are",
  ...GPU,
  async fn() {
    const counts: number[][] = [];
    for (const queries of [5, 200]) {
      // Room for the parts of a few rows at a time.
      const gpu = saying(await acquireDevice(), { largestBinding: 2 ** 15 });
      const options = { onThreshold: "patch", lazyThreshold: Infinity } as const;
      const { live, backend, random } = await start(RULE, () => Promise.resolve(gpu), options, {
        queries,
        keys: 2 * PART_TERMS + 10,
      });
      await live.read();
      for (const more of [1, 2]) {
        // The same slots, which lie in the same pages.
        for (const slot of [0, 1, 2]) live.set(slot, random.row(36, more), random.row(10));
        if (more === 1) await live.read([1]);
      }
      const { submits, dispatches, bytesUp, bytesDown } = await trafficOf(backend, () => live.read([1]));
      counts.push([submits, dispatches, bytesUp, bytesDown]);
      await live.dispose();
    }
    assertEquals(counts[1], counts[0]);
  },
});
