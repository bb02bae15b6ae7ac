// Full suite: it is a soak.
//
// Edits, reads, moves between backends and devices that are lost in the middle: every answer that is given is
// exact as of its call, and in the end no edit is missing. Seconds long; one minute with ATTUNE_LONG=1.

import { BackendError, type BackendName, type DynamicAttention } from "../../../mod.ts";
import { acquireDevice } from "../../../src/backends/webgpu/device.ts";
import { createEngine } from "../../../src/engine/create_engine.ts";
import { assert, assertEquals } from "../../../testing/assert.ts";
import { assertAccurate } from "../../../testing/accuracy.ts";
import { GPU } from "../../backends_here.ts";
import { MemoryModel, type ModelKey, type ModelRule } from "../../../testing/memory_model.ts";
import { Random } from "../../../testing/random.ts";

const MILLISECONDS = Deno.env.get("ATTUNE_LONG") === "1" ? 30_000 : 1_500;

const RULE: ModelRule = {
  heads: 2,
  kvHeads: 1,
  headDim: 9,
  valueDim: 4,
  scale: 0.4,
  softcap: 0,
  causal: { offset: 25 },
  window: [60, Infinity],
  maskOf: (query, key, head) => (query + 3 * key + head) % 6 > 0 && (key % 5) / 4,
};

/** The engine's options, and the range of the number of keys. */
interface Memory {
  readonly name: string;
  readonly rule: ModelRule;
  readonly fewest: number;
  readonly most: number;
}

const MEMORIES: readonly Memory[] = [
  { name: "a mask, causality and a window", rule: RULE, fewest: 30, most: 60 },
  {
    name: "keys that are summed in parts",
    rule: { ...RULE, causal: false, window: [Infinity, Infinity], maskOf: null },
    fewest: 560,
    most: 640,
  },
];

function editOne(live: DynamicAttention, model: MemoryModel, random: Random, { fewest, most }: Memory): void {
  const key = random.row(RULE.headDim, random.pick([0.1, 1, 1, 20])), value = random.row(RULE.valueDim);
  const slot = random.pick(model.keySlots), held = model.keys.get(slot) as ModelKey;
  const choice = random.below(8);
  if (choice === 0 && model.keySlots.length > fewest) {
    live.delete(slot);
    model.keys.delete(slot);
  } else if (choice === 1 && model.keySlots.length < most) {
    model.insertKey(live.insert(key, value), key, value);
  } else if (choice === 2) {
    const query = random.row(RULE.heads * RULE.headDim), row = random.pick(model.querySlots);
    live.deleteQuery(row);
    model.queries.delete(row);
    model.insertQuery(live.insertQuery(query), query);
  } else if (choice === 3) {
    live.setValue(slot, value);
    held.value = value;
  } else if (choice === 4) {
    const column = random.below(RULE.headDim);
    live.addToKey(slot, column, 0.5);
    held.key[column] += 0.5;
  } else {
    live.setKey(slot, key);
    held.key = key;
  }
}

for (const memory of MEMORIES) {
  Deno.test({
    name: `webgpu soak: edits, reads, moves and lost devices, with no edit lost, ${memory.name}`,
    ...GPU,
    async fn() {
      const random = new Random(41);
      const { rule, fewest, most } = memory;
      const model = new MemoryModel(rule);
      for (let i = 0; i < 8; i++) model.insertQuery(i, random.row(RULE.heads * RULE.headDim));
      for (let j = 0; j < (fewest + most) / 2; j++) {
        model.insertKey(j, random.row(RULE.headDim), random.row(RULE.valueDim));
      }
      const { heads, kvHeads, scale, causal, window, maskOf } = rule;
      const live = await createEngine({
        ...{
          heads,
          kvHeads,
          scale,
          causal,
          window,
          ...model.matrices(),
          backend: "webgpu",
          lazyThreshold: 12,
        },
        ...(maskOf ? { mask: (i, j, head) => model.mask(i, j, head) } : {}),
      });
      const counts = { edits: 0, reads: 0, losses: 0, told: 0, moves: 0 };
      const end = performance.now() + MILLISECONDS;
      // Lasts by the clock, fails by what is read alone.
      while (performance.now() < end || counts.losses === 0 || counts.moves === 0) {
        for (let burst = random.below(6); burst > 0; burst--, counts.edits++) {
          editOne(live, model, random, memory);
        }
        const chance = random.next();
        if (chance < 0.02) {
          (await acquireDevice()).device.destroy();
          counts.losses++;
        } else if (chance < 0.05) {
          const to = random.pick<BackendName>(["webgpu", "webgpu", "wasm", "array"]);
          // A device that was lost just now may fail the move, which then changes nothing.
          await persist(() => live.moveTo(to), counts);
          assertEquals(live.stats().backend, to);
          counts.moves++;
        }
        if (random.below(3) === 0) {
          const { output, bounds } = await persist(() => live.peek(), counts);
          assert(bounds.every((bound) => bound < 1e3) && output.data.every(Number.isFinite));
        } else {
          assertAccurate(await persist(() => live.read(), counts), model.standing(), `read ${counts.reads}`);
          counts.reads++;
        }
      }
      await persist(() => live.moveTo("array"), counts);
      assertAccurate(await live.read(), model.standing(), "the last read");
      assertEquals(live.stats().keyCount, model.keySlots.length);
      console.log(`  ${Object.entries(counts).map(([what, count]) => `${count} ${what}`).join(", ")}`);
      await live.dispose();
    },
  });
}

/** Asks until there is an answer: a loss rejects one question, and another one if it happens again. */
async function persist<T>(ask: () => Promise<T>, counts: { told: number }): Promise<T> {
  for (let attempt = 0;; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof BackendError) || attempt === 3) throw error;
      counts.told++;
    }
  }
}
