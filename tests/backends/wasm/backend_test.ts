// The wasm backend under the engine: random edits of all kinds against the oracle, certificates, snapshots,
// and what does not fit.

import { CapacityError } from "../../../mod.ts";
import type { Backend } from "../../../src/backends/backend.ts";
import { NO_ROW } from "../../../src/backends/since.ts";
import { createWasmBackend } from "../../../src/backends/wasm/wasm_backend.ts";
import { referenceAttention } from "../../../src/numerics/reference.ts";
import { createEngine, loadEngine } from "../../../src/engine/create_engine.ts";
import { assert, assertEquals, assertGreater, assertRejects } from "../../../testing/assert.ts";
import { rowsOf } from "../../../testing/accuracy.ts";
import { MemoryModel, type ModelKey, type ModelRule } from "../../../testing/memory_model.ts";
import { Random } from "../../../testing/random.ts";

const TOLERANCE = 1e-8;

const PLAIN: ModelRule = {
  heads: 1,
  kvHeads: 1,
  headDim: 7,
  valueDim: 3,
  scale: 0.4,
  softcap: 0,
  causal: false,
  window: [Infinity, Infinity],
  maskOf: null,
};

const RULES: Record<string, ModelRule> = {
  "one head": PLAIN,
  "grouped heads, softcap": { ...PLAIN, heads: 4, kvHeads: 2, softcap: 5 },
  "a window and a mask that differs by head": {
    ...PLAIN,
    heads: 2,
    causal: { offset: 20 },
    window: [60, Infinity],
    maskOf: (query, key, head) => (query + 3 * key + head) % 5 > 0 && (key % 7) / 4,
  },
};

async function backendOf(
  { heads, kvHeads, headDim, valueDim, scale, softcap, causal, window, maskOf }: ModelRule,
) {
  const after = causal === false ? Infinity : causal === true ? 0 : causal.offset;
  const backend = await createWasmBackend({
    layout: { heads, kvHeads, headDim, valueDim },
    rule: { scale, softcap, before: window[0], after: Math.min(window[1], after) },
    maskHeads: maskOf ? heads : 0,
    tolerance: TOLERANCE,
  });
  assert(backend, "these tests need SIMD");
  return backend;
}

/** An engine on a wasm backend, and the model of what it holds. */
async function start(rule: ModelRule, random: Random) {
  const model = new MemoryModel(rule);
  for (let i = 0; i < 11; i++) model.insertQuery(i, random.row(rule.heads * rule.headDim));
  for (let j = 0; j < 60; j++) {
    model.insertKey(j, random.row(rule.kvHeads * rule.headDim), random.row(rule.kvHeads * rule.valueDim));
  }
  const mask = (i: number, j: number, head: number) => model.mask(i, j, head);
  const { heads, kvHeads, scale, softcap, causal, window, maskOf } = rule;
  const options = { heads, kvHeads, scale, softcap, causal, window, ...(maskOf ? { mask } : {}) };
  const backend = await backendOf(rule);
  const engine = await createEngine(
    { ...options, ...model.matrices(), tolerance: TOLERANCE, lazyThreshold: 16 },
    { wrap: () => backend },
  );
  return { engine, backend, model, options };
}

type Engine = Awaited<ReturnType<typeof createEngine>>;

/** The same edit of some engines and their model. */
function edit(engines: readonly Engine[], model: MemoryModel, random: Random): void {
  const { heads, kvHeads, headDim, valueDim } = model.rule;
  const size = random.pick([0.1, 1, 1, 1, 30]);
  const key = random.row(kvHeads * headDim, size), value = random.row(kvHeads * valueDim);
  const slot = random.pick(model.keySlots), held = model.keys.get(slot) as ModelKey;
  switch (random.below(6)) {
    case 0:
      for (const engine of engines) engine.delete(slot);
      model.keys.delete(slot);
      return;
    case 1:
      model.insertKey(engines.map((engine) => engine.insert(key, value))[0], key, value);
      return;
    case 2:
      for (const engine of engines) engine.setValue(slot, value);
      held.value = value;
      return;
    case 3: {
      const query = random.row(heads * headDim);
      model.insertQuery(engines.map((engine) => engine.insertQuery(query))[0], query);
      const gone = random.pick(model.querySlots);
      for (const engine of engines) engine.deleteQuery(gone);
      model.queries.delete(gone);
      return;
    }
    default:
      for (const engine of engines) engine.setKey(slot, key);
      held.key = key;
  }
}

/** Row by row, how far outputs are from the oracle's. */
function distances(output: Parameters<typeof rowsOf>[0], model: MemoryModel): number[] {
  const truth = referenceAttention(model.standing()).output;
  return rowsOf(output).map((row, i) => Math.hypot(...truth[i].map((o, c) => o - row[c])));
}

for (const [name, rule] of Object.entries(RULES)) {
  Deno.test(`wasm backend: 2,000 edits stay right, ${name}`, async () => {
    const random = new Random(31);
    const { engine, backend, model } = await start(rule, random);
    for (let step = 0; step < 2000; step++) {
      edit([engine], model, random);
      if (step % 3 === 0) {
        const { output, bounds } = await engine.peek();
        distances(output, model).forEach((distance, i) => assert(distance <= bounds[i], `bound at ${step}`));
      }
      if (step % 20 !== 0) continue;
      const largest = Math.max(...distances(await engine.read(), model));
      assert(largest < 5e-5, `off by ${largest} at step ${step}`);
    }
    assertGreater(backend.work.rowsPatched, 1000);
    await engine.dispose();
  });

  Deno.test(`wasm backend: a loaded engine goes on with the same bits, ${name}`, async () => {
    const random = new Random(32);
    const { engine, model, options } = await start(rule, random);
    for (let step = 0; step < 100; step++) edit([engine], model, random);
    await engine.read();
    const bytes = await engine.save();
    const inner = await backendOf(rule);
    const loaded = await loadEngine(
      bytes,
      options.mask ? { mask: options.mask } : {},
      { wrap: () => inner as Backend },
    );
    assertEquals(loaded.stats().rowsBuilt, 0);
    assertEquals(await loaded.save(), bytes);
    for (let step = 0; step < 100; step++) {
      edit([engine, loaded], model, random);
      const one = await engine.peek(), other = await loaded.peek();
      assertEquals(other.output, one.output);
      assertEquals(other.bounds, one.bounds);
    }
    assertEquals(await loaded.read(), await engine.read());
    assertEquals(await loaded.save(), await engine.save());
    await Promise.all([engine.dispose(), loaded.dispose()]);
  });
}

Deno.test("wasm backend: what addresses do not reach is refused before anything changes", async () => {
  const backend = await backendOf(PLAIN);
  const empty = { slots: new Uint32Array(0), live: new Uint8Array(0), rows: new Float32Array(0) };
  const none = { ...empty, positions: new Float64Array(0), bias: null };
  const far = {
    slots: Uint32Array.of(2 ** 30),
    live: Uint8Array.of(1),
    rows: new Float32Array(10),
    positions: Float64Array.of(0),
    bias: null,
  };
  const bytes = backend.bytes();
  const store = () => backend.store({ keys: far, queries: none }, Uint32Array.of(NO_ROW), new Uint32Array(0));
  await assertRejects(
    async () => await store(),
    CapacityError,
    "wasm: 1073741825 keys and 0 queries would take",
  );
  assertEquals([backend.bytes(), backend.keys.isLive(2 ** 30)], [bytes, false]);
  await backend.dispose();
});
