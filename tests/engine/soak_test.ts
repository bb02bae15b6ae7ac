// Full suite: it is a soak.
// Limit: 15 minutes.
//
// Soak: very many adversarial edits on one engine, whose error must stay that of a from-scratch float32
// computation. Prints what it measured. 1.5·10⁴ edits; 4·10⁵ with ATTUNE_LONG=1.

import { DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import { assert, assertLess } from "../../testing/assert.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { accuracyOf } from "../../testing/accuracy.ts";
import { casesOn, QUICK_BACKENDS } from "../backends_here.ts";
import { MemoryModel, type ModelKey } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";

const EDITS = IS_LONG ? 300_000 : 15_000;
const KEYS = 48, QUERIES = 6, HEAD_DIM = 8, VALUE_DIM = 3;

/** What an edit of the mix does; sizes are those of scores, in natural log. */
type Mix = (random: Random, step: number) => { keySize: number; valueSize: number };

const MIXES: Record<string, Mix> = {
  "ordinary scores": () => ({ keySize: 1, valueSize: 1 }),
  "a dominating key that comes and goes": (_, step) => ({ keySize: step % 2 === 0 ? 30 : 1, valueSize: 1 }),
  "scores in the hundreds": (random) => ({ keySize: random.pick([1, 10, 100]), valueSize: 1 }),
  "values from 1e-6 to 1e9": (random) => ({ keySize: 1, valueSize: random.pick([1e-6, 1, 1, 1, 1e9]) }),
  "all of it": (random, step) => ({
    keySize: step % 7 === 0 ? 60 : random.pick([0, 1, 1, 5]),
    valueSize: random.pick([1e-3, 1, 1, 1e6]),
  }),
};

async function soak(backend: DynamicAttentionOptions["backend"] & string, mix: Mix, edits: number) {
  const random = new Random(7);
  const key = random.rows(KEYS, HEAD_DIM),
    value = random.rows(KEYS, VALUE_DIM),
    query = random.rows(QUERIES, HEAD_DIM);
  const model = new MemoryModel({
    heads: 1,
    kvHeads: 1,
    headDim: HEAD_DIM,
    valueDim: VALUE_DIM,
    scale: 1 / Math.sqrt(HEAD_DIM),
    softcap: 0,
    causal: false,
    window: [Infinity, Infinity],
    maskOf: null,
  });
  query.forEach((row, slot) => model.insertQuery(slot, row));
  key.forEach((row, slot) => model.insertKey(slot, row, value[slot]));
  await using engine = await DynamicAttention.create({
    query,
    key,
    value,
    backend,
    onThreshold: "patch",
    lazyThreshold: 8,
  });

  let worst = { error: 0, float32Error: 0, allowed: 1 };
  let checks = 0;
  for (let step = 0; step < edits; step++) {
    const { keySize, valueSize } = mix(random, step);
    // Some slots are edited far more often than others, and one of them most of all.
    const slot = model.keySlots[Math.floor(model.keys.size * random.next() ** 3)];
    const held = model.keys.get(slot) as ModelKey;
    const k = random.row(HEAD_DIM, keySize), v = random.row(VALUE_DIM, valueSize);
    switch (random.below(6)) {
      case 0:
        engine.set(slot, k, v);
        held.key = k;
        held.value = v;
        break;
      case 1:
        engine.setValue(slot, v);
        held.value = v;
        break;
      case 2: {
        const column = random.below(HEAD_DIM);
        engine.addToKey(slot, column, k[column]);
        held.key[column] += k[column];
        break;
      }
      case 3:
        engine.delete(slot);
        model.keys.delete(slot);
        // Falls through to an insert, so that the number of keys stays what it is.
      case 4: {
        if (model.keys.size >= KEYS) break;
        model.insertKey(engine.insert(k, v), k, v);
        break;
      }
      default:
        engine.setKey(slot, k);
        held.key = k;
    }
    // Awaiting lets the threshold apply what is pending.
    if (step % 8 === 7) await engine.peek([0]);
    if (step % 499 === 0 || step === edits - 1) {
      const accuracy = accuracyOf(await engine.read(), model.standing());
      assert(Number.isFinite(accuracy.error), `step ${step}: error ${accuracy.error}`);
      checks++;
      if (accuracy.error / accuracy.allowed > worst.error / worst.allowed) worst = accuracy;
    }
  }
  return { worst, checks, stats: engine.stats() };
}

for (const backend of QUICK_BACKENDS) {
  for (const [name, mix] of Object.entries(MIXES)) {
    // Reads of a device take their time, so that even a twelfth would be minutes.
    const edits = casesOn(backend, backend === "webgpu" ? EDITS / 4 : EDITS);
    Deno.test(`soak on ${backend}: ${edits} edits, ${name}`, async () => {
      const { worst, checks, stats } = await soak(backend, mix, edits);
      const refreshRate = stats.refreshes / (stats.edits * QUERIES);
      console.log(
        `  ${name}: largest error ${worst.error.toExponential(2)} where float32 from scratch has ` +
          `${worst.float32Error.toExponential(2)} (${checks} reads); ` +
          `${refreshRate.toExponential(2)} refreshes a row and edit`,
      );
      assert(
        worst.error <= worst.allowed,
        `error ${worst.error}, allowed ${worst.allowed} (float32 from scratch: ${worst.float32Error})`,
      );
      assertLess(stats.rebuilds, 2, "only the creation may rebuild");
    });
  }
}
