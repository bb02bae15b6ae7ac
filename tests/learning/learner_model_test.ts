// Any order of predictions, steps, edits and deletions, on every backend and under any rule: the rows that a
// learner leaves are those that the derivatives and the optimizer's formula give, kept in plain arrays beside
// it.

import fc from "fast-check";
import { DynamicAttention } from "../../mod.ts";
import { attentionGradients, OnlineLearner, sgd } from "../../src/learning/mod.ts";
import { assertEquals } from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { Random } from "../../testing/random.ts";

const RATE = 0.25, DECAY = 0.125;

const setting = fc.record({
  layout: fc.constantFrom({ heads: 1, kvHeads: 1 }, { heads: 2, kvHeads: 1 }, { heads: 4, kvHeads: 2 }),
  softcap: fc.constantFrom(0, 2),
  causal: fc.constantFrom(false, { offset: 2 }),
  hasMask: fc.boolean(),
  top: fc.constantFrom(1, 3, Infinity),
  seed: fc.nat(),
  steps: fc.array(
    fc.constantFrom("learn", "learn", "learn", "insert", "delete", "forgetQuery", "insertQuery", "edit"),
    {
      minLength: 4,
      maxLength: 14,
    },
  ),
});

/** The expected rows, by slot. */
type Expected = Map<number, Float32Array>;

Deno.test("rows follow derivatives and formula, whatever happens in between", async () => {
  let learned = 0;
  await fc.assert(
    fc.asyncProperty(setting, async ({ layout, softcap, causal, hasMask, top, seed, steps }) => {
      const { heads, kvHeads } = layout, d = 3, dv = 2;
      for (const backend of BACKENDS) {
        const random = new Random(seed);
        await using live = await DynamicAttention.create({
          query: random.rows(3, heads * d),
          key: random.rows(5, kvHeads * d),
          value: random.rows(5, kvHeads * dv),
          ...layout,
          ...{ softcap, causal, backend, lazyThreshold: 4 },
          ...(hasMask ? { mask: (i: number, j: number, head: number) => (i + 2 * j + head) % 4 > 0 } : {}),
        });
        const learner = new OnlineLearner(live, { optimizer: sgd({ weightDecay: DECAY }), rate: RATE, top });
        const expected = { key: new Map(), value: new Map(), query: new Map() } as Record<string, Expected>;
        const note = () => {
          for (const slot of live.keySlots()) {
            expected.key.set(slot, live.getKey(slot));
            expected.value.set(slot, live.getValue(slot));
          }
          for (const slot of live.querySlots()) expected.query.set(slot, live.getQuery(slot));
        };
        const move = (rows: Expected, slot: number, gradient: Float64Array) => {
          if (gradient.every((g) => g === 0)) return;
          rows.set(slot, rows.get(slot)!.map((x, c) => x + (-RATE * gradient[c] - RATE * DECAY * x)));
        };
        note();
        for (const step of steps) {
          const queries = live.querySlots(), keys = live.keySlots();
          if (step === "learn" && queries.length > 0) {
            const query = random.pick([...queries]);
            const y = [...random.row(heads * dv)];
            const output = await learner.predictOne({ query });
            // The squared loss of a prediction that the learner makes from weights of its own, in float64 if
            // of all keys.
            const { prediction } = await new OnlineLearner(live, { rate: 0, top }).learnOne({ query }, y);
            output.forEach((o, c) => assertEquals(Math.abs(o - prediction[c]) < 1e-5, true));
            const g = prediction.map((o, c) => o - y[c]);
            const { query: byQuery, key, value, slots } = await attentionGradients(live, [[...g]], {
              rows: [query],
              top,
            });
            note();
            slots.forEach((slot, at) => {
              const row = (data: Float64Array, width: number) => data.subarray(at * width, (at + 1) * width);
              move(expected.key, slot, row(key.data, kvHeads * d));
              move(expected.value, slot, row(value.data, kvHeads * dv));
            });
            move(expected.query, query, byQuery.data);
            await learner.learnOne({ query }, y);
            learned++;
          } else if (step === "insert") live.insert(random.row(kvHeads * d), random.row(kvHeads * dv));
          else if (step === "insertQuery") live.insertQuery(random.row(heads * d));
          else if (step === "delete" && keys.length > 0) await learner.forgetKey(random.pick([...keys]));
          else if (step === "forgetQuery" && queries.length > 0) {
            await learner.forgetQuery(random.pick([...queries]));
          } else if (keys.length > 0) live.addToKey(random.pick([...keys]), 0, random.normal());
          if (step !== "learn") note();
          for (const slot of live.keySlots()) {
            assertEquals(live.getKey(slot), expected.key.get(slot));
            assertEquals(live.getValue(slot), expected.value.get(slot));
          }
          for (const slot of live.querySlots()) assertEquals(live.getQuery(slot), expected.query.get(slot));
        }
      }
    }),
    { numRuns: 40, seed: 21 },
  );
  assertEquals(learned > 100, true);
});
