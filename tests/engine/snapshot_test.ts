// Snapshots: what is loaded cannot be told from what was saved, whatever happens to both; the same engine
// makes the same file. What is no snapshot is refused in `tests/engine/damaged_snapshot_test.ts`.

import fc from "fast-check";
import {
  type BackendName,
  DynamicAttention,
  type DynamicAttentionOptions,
  type MaskFunction,
} from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { createEngine, loadEngine } from "../../src/engine/create_engine.ts";
import { assert, assertEquals, assertNotEquals } from "../../testing/assert.ts";
import { assertAccurate, matrixOf } from "../../testing/accuracy.ts";
import { BACKENDS, casesOn } from "../backends_here.ts";
import { SlowBackend } from "../../testing/fake_backends.ts";
import { MemoryModel } from "../../testing/memory_model.ts";
import { someEngine } from "../../testing/freed_slots.ts";
import { type EditMaker, editMakers } from "../../testing/model_edits.ts";
import { forge, headerOf } from "../../testing/forged_files.ts";
import { Random } from "../../testing/random.ts";
import { askBoth, assertSame, bitsOf, editAll, type Twins } from "../../testing/twins.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";
/** More slots than the random edits of a run can take. */
const COVERED = 64;

function labelBias(queryLabel: number, keyLabel: number, head: number): number | boolean {
  const mix = (7 * queryLabel + 5 * keyLabel + 3 * head) % 11;
  return mix < 3 ? false : mix < 6 ? true : mix / 4 - 2;
}

const setting = fc.record({
  heads: fc.constantFrom({ heads: 1, kvHeads: 1 }, { heads: 2, kvHeads: 2 }, { heads: 4, kvHeads: 2 }),
  headDim: fc.integer({ min: 1, max: 9 }),
  valueDim: fc.integer({ min: 1, max: 3 }),
  queryCount: fc.integer({ min: 0, max: 4 }),
  keyCount: fc.integer({ min: 0, max: 7 }),
  scale: fc.constantFrom(0.1, 0.5, 1, 4, -1),
  softcap: fc.constantFrom(0, 0, 3),
  causal: fc.constantFrom(false, false, true, { offset: -1 }),
  window: fc.constantFrom<readonly [number, number]>([Infinity, Infinity], [Infinity, Infinity], [2, 4]),
  mask: fc.constantFrom("none", "none", "function", "matrix", "matrices"),
  lazyThreshold: fc.constantFrom(1, 3, Infinity, { error: 0.1 }, { edits: 4, error: 2 }),
  onThreshold: fc.constantFrom("auto" as const, "patch" as const, "rebuild" as const),
  tolerance: fc.constantFrom(1e-8, 1e-5, 1e-14),
  seed: fc.nat(),
}).map(({ heads, ...rest }) => ({ ...heads, ...rest, maskOf: rest.mask === "none" ? null : labelBias }));

type Setting = typeof setting extends fc.Arbitrary<infer Value> ? Value : never;

function modelOf(chosen: Setting, random: Random): MemoryModel {
  const { heads, kvHeads, headDim, valueDim, queryCount, keyCount } = chosen;
  const model = new MemoryModel(chosen);
  for (let i = 0; i < queryCount; i++) model.insertQuery(i, random.row(heads * headDim));
  for (let j = 0; j < keyCount; j++) {
    model.insertKey(j, random.row(kvHeads * headDim), random.row(kvHeads * valueDim));
  }
  return model;
}

function maskMatrix(random: Random) {
  const data = Float32Array.from(
    { length: COVERED * COVERED },
    () => random.below(4) === 0 ? -Infinity : random.normal(),
  );
  return { data, shape: [COVERED, COVERED] as const };
}

function optionsOf(chosen: Setting, model: MemoryModel, random: Random): DynamicAttentionOptions {
  const { heads, kvHeads, headDim, valueDim, mask } = chosen;
  const { scale, softcap, causal, window, lazyThreshold, onThreshold, tolerance } = chosen;
  const masks: Record<string, Pick<DynamicAttentionOptions, "mask">> = {
    none: {},
    function: { mask: (i, j, head) => model.mask(i, j, head) },
    matrix: { mask: maskMatrix(random) },
    matrices: { mask: Array.from({ length: heads }, () => maskMatrix(random)) },
  };
  return {
    ...{ heads, kvHeads, scale, softcap, causal, window, lazyThreshold, onThreshold, tolerance },
    ...masks[mask],
    query: matrixOf([...model.queries.values()].map(({ query }) => query), heads * headDim),
    key: matrixOf([...model.keys.values()].map(({ key }) => key), kvHeads * headDim),
    value: matrixOf([...model.keys.values()].map(({ value }) => value), kvHeads * valueDim),
  };
}

/** Performs edits on some engines, with a question here and there. */
async function live(
  edits: readonly EditMaker[],
  model: MemoryModel,
  engines: readonly DynamicAttention[],
  ask: () => Promise<unknown>,
  random: Random,
): Promise<void> {
  for (const make of edits) {
    editAll(make, model, engines);
    if (random.below(3) === 0) await ask();
  }
}

async function runTwins(
  backend: BackendName,
  runs: number,
  wrap?: (backend: Backend) => Backend,
): Promise<void> {
  const life = setting.chain((chosen) =>
    fc.tuple(
      fc.constant(chosen),
      fc.array(editMakers(chosen), { size: "max", maxLength: 25 }),
      fc.array(editMakers(chosen), { size: "max", maxLength: 25 }),
    )
  );
  const property = fc.asyncProperty(life, async ([any, before, after]) => {
    // What a count applies in the background of a backend that takes its time depends on when it gets there.
    const chosen = wrap ? { ...any, lazyThreshold: Infinity } : any;
    const random = new Random(chosen.seed);
    const model = modelOf(chosen, random);
    await using saved = await createEngine({ ...optionsOf(chosen, model, random), backend }, { wrap });
    await live(before, model, [saved], () => random.below(2) === 0 ? saved.peek() : saved.read(), random);

    const file = saved.save();
    const truth = model.snapshot();
    const bytes = await file;
    const { epoch } = saved.stats();
    const options = chosen.mask === "function"
      ? { mask: (i: number, j: number, h: number) => model.mask(i, j, h) }
      : {};
    await using loaded = await loadEngine(bytes, options, { wrap });
    const twins: Twins = { saved, loaded, model, epoch };
    // A larger tolerance than the usual one asks for less.
    if (chosen.tolerance <= 1e-8 && (chosen.mask === "none" || chosen.mask === "function")) {
      assertAccurate(await loaded.read(), truth.standing(), "what was loaded");
    }

    for (let asked = 0; asked < 3; asked++) await askBoth(twins, random);
    await live(after, model, [saved, loaded], () => askBoth(twins, random), random);
    await assertSame(twins);
  });
  await fc.assert(property, { numRuns: runs, seed: 20261124 });
}

for (const backend of BACKENDS) {
  Deno.test(`an engine loaded on ${backend} answers as the saved one, to the bit, through any edits`, async () => {
    await runTwins(backend, casesOn(backend, backend === "webgpu" ? 24 : LONG ? 3000 : 50));
  });

  Deno.test(`also when ${backend} takes its time`, async () => {
    await runTwins(
      backend,
      casesOn(backend, backend === "webgpu" ? 16 : LONG ? 500 : 10),
      (inner) => new SlowBackend(inner),
    );
  });
}

Deno.test("the same engine makes the same file, and so does what was loaded from it", async () => {
  await using engine = await someEngine();
  const bytes = await engine.save();
  assertEquals(await engine.save(), bytes);
  await engine.read();
  await engine.peek();
  assertEquals(await engine.save(), bytes);
  await using loaded = await DynamicAttention.load(bytes);
  assertEquals(await loaded.save(), bytes);
  engine.addToValue(0, 0, 1);
  assertNotEquals(await engine.save(), bytes);
  engine.addToValue(0, 0, -1);
  engine.delete(0);
  assertNotEquals(await engine.save(), bytes);
});

Deno.test("two engines with the same past make the same file, whatever their freed slots held", async () => {
  const mask: MaskFunction = (i, j, head) => i + j + head;
  await using one = await someEngine({ mask });
  await using other = await someEngine({ mask });
  other.setValue(5, [9, 9, 9]);
  assertEquals(other.insert([1, 2, 3, 4], [5, 6, 7]), 2);
  await other.flush();
  other.delete(2);
  await other.rebuild();
  other.setValue(5, await valueOf(one, 5));
  // As many edits, which the file counts.
  for (let edit = 0; edit < 4; edit++) one.setValue(5, one.getValue(5));
  await one.rebuild();
  await other.rebuild();
  assertEquals(one.sequence, other.sequence);
  assertEquals(await other.save(), await one.save());
});

/** A value as the engine has it: read through a query that sees nothing else. */
async function valueOf(engine: DynamicAttention, slot: number): Promise<Float32Array> {
  const bytes = await engine.save();
  const header = JSON.parse(headerOf(bytes));
  const { shape, data_offsets: [begin] } = header.value;
  const start = bytes.length - Math.max(
    ...Object.values<{ data_offsets?: number[] }>(header)
      .map((entry) => entry.data_offsets?.[1] ?? 0),
  ) + begin + 4 * shape[1] * slot;
  return new Float32Array(bytes.slice(start, start + 4 * shape[1]).buffer);
}

Deno.test("settings are written to the last bit", async () => {
  for (const scale of [-0, 0, 1 / 3, 1e-300, -2.5]) {
    await using engine = await someEngine({ scale, softcap: 0.1 + 0.2, window: [0, Infinity] });
    const bytes = await engine.save();
    const { __metadata__: metadata } = JSON.parse(headerOf(bytes));
    assert(
      Object.is(Number(metadata.scale), scale) && metadata.softcap === "0.30000000000000004",
      metadata.scale,
    );
    assertEquals([metadata.before, metadata.after], ["0", "Infinity"]);
    await using loaded = await DynamicAttention.load(bytes);
    assertEquals(await loaded.save(), bytes);
  }
});

Deno.test("the bytes of a file are as many as the documentation says", async () => {
  const cases = BACKENDS.flatMap((backend) => [[1, 1, false, backend], [2, 1, true, backend]] as const);
  for (const [heads, kvHeads, mask, backend] of cases) {
    const random = new Random(3);
    const m = 5, n = 7, d = 4, dv = 3;
    await using engine = await DynamicAttention.create({
      query: random.rows(m, heads * d),
      key: random.rows(n, kvHeads * d),
      value: random.rows(n, kvHeads * dv),
      heads,
      kvHeads,
      backend,
      ...(mask ? { mask: () => true } : {}),
    });
    engine.delete(2);
    const bytes = await engine.save();
    const isFloat64 = backend !== "wasm";
    const state = 8 * dv + 105 + (isFloat64 ? 8 * dv + 48 : 0) + (backend === "webgpu" ? 8 : 0);
    const numbers = m * heads * (4 * d + state) + 4 * n * kvHeads * (d + dv) + 8 * (m + n) +
      4 * 1 + (mask ? 4 * n * m * heads : 0);
    const device = JSON.parse(headerOf(bytes))["webgpu.device"]?.shape[0] ?? 0;
    const spread = 8 * kvHeads * (dv + 1 + (backend === "array" ? 0 : 2)) + (backend === "wasm" ? 1 : device);
    assertEquals(bytes.length, 8 + headerOf(bytes).length + numbers + spread);
    assert(8 + headerOf(bytes).length + spread < 3600, "the rest is small");
  }
});

Deno.test("pending edits are in the file, later ones are not", async () => {
  const options = { query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[1], [2]], lazyThreshold: Infinity };
  await using engine = await createEngine(options, { wrap: (backend) => new SlowBackend(backend) });
  engine.setValue(0, [5]);
  engine.insert([1, 1], [7]);
  const expected = engine.read();
  const file = engine.save();
  engine.setValue(1, [100]);
  engine.delete(0);
  engine.insertQuery([1, 1]);
  await using loaded = await DynamicAttention.load(await file);
  assertEquals(await loaded.read(), await expected);
  assertEquals((await loaded.weights(0)).length, 3);
  const { keyCount, queryCount, pending } = loaded.stats();
  assertEquals([keyCount, queryCount, pending], [3, 1, 0]);
  // The saved engine goes on with what came later.
  assertEquals((await engine.read()).shape, [2, 1]);
  assertEquals(engine.stats().keyCount, 2);
});

Deno.test("a free slot is given out in the same order, and positions go on", async () => {
  const options = { query: [[0]], key: [[1], [2], [3], [4]], value: [[1], [2], [3], [4]], causal: true };
  await using engine = await DynamicAttention.create({ ...options, queryPositions: [9] });
  for (const slot of [2, 0, 3]) engine.delete(slot);
  await using loaded = await DynamicAttention.load(await engine.save());
  const taken = (live: DynamicAttention) => [0, 1, 2, 3].map((value) => live.insert([1], [value]));
  assertEquals(taken(engine), [3, 0, 2, 4]);
  assertEquals(taken(loaded), [3, 0, 2, 4]);
  const one = await loaded.attend([[0]]), other = await engine.attend([[0]]);
  assertEquals(bitsOf(one.data), bitsOf(other.data));
  // The positions 4 … 7 are in reach of position 9, 8 and 9 too, 10 is not.
  for (const live of [loaded, engine]) for (let more = 0; more < 3; more++) live.insert([1], [50]);
  assertEquals((await loaded.weights(0)).filter((weight) => weight === 0).length, 1);
  assertEquals(await loaded.read(), await engine.read());
});

Deno.test("a slot that nothing was ever applied to changes no bound", async () => {
  const random = new Random(5);
  const mask: MaskFunction = (i, j) => (i + j) / 4;
  const options = { query: random.rows(2, 8), key: random.rows(4, 8), value: random.rows(4, 2), mask };
  await using engine = await DynamicAttention.create({ ...options, lazyThreshold: Infinity });
  for (let more = 0; more < 3; more++) engine.deleteQuery(engine.insertQuery(random.row(8)));
  await using loaded = await DynamicAttention.load(await engine.save(), { mask });
  for (const live of [engine, loaded]) live.addToKey(1, 3, 0.01);
  const one = await engine.peek(), other = await loaded.peek();
  assertEquals(bitsOf(other.bounds), bitsOf(one.bounds));
  assertEquals(await loaded.save(), await engine.save());
});

Deno.test("a snapshot is loaded without computing a row", async () => {
  await using engine = await someEngine();
  await using loaded = await DynamicAttention.load(await engine.save());
  const { rowsBuilt, rowsPatched, exponentials, multiplyAdds } = loaded.stats();
  assertEquals([rowsBuilt, rowsPatched, exponentials, multiplyAdds], [0, 0, 0, 0]);
});

Deno.test("sums of wasm in two floats, as older files have them, are loaded without computing a row", async () => {
  const random = new Random(4), rows = (count: number) => random.rows(count, 3);
  await using engine = await DynamicAttention.create({
    query: rows(9),
    key: rows(20),
    value: rows(20),
    backend: "wasm",
  });
  const older = await forge(await engine.save(), ({ tensors }) => {
    const { shape, data } = tensors["wasm.sums"];
    const high = Float32Array.from(data as Float64Array);
    const low = Float32Array.from(high, (number, at) => (data[at] as number) - number);
    assert(low.some((number) => number !== 0));
    delete tensors["wasm.sums"];
    tensors["wasm.high"] = { shape, data: high };
    tensors["wasm.low"] = { shape, data: low };
  });
  await using loaded = await DynamicAttention.load(older);
  assertEquals(loaded.stats().rowsBuilt, 0);
  assertEquals(bitsOf((await loaded.read()).data), bitsOf((await engine.read()).data));
});

for (const backend of BACKENDS) {
  Deno.test(`what is left of a deleted query's biases changes nothing that ${backend} saves`, async () => {
    const random = new Random(3);
    const rows = (count: number, columns: number) => matrixOf(random.rows(count, columns), columns);
    const mask = (query: number, key: number) => query / 4 - key / 8;
    await using saved = await DynamicAttention.create({
      ...{ backend, mask, onThreshold: "patch" as const },
      ...{ query: rows(3, 2), key: rows(6, 2), value: rows(6, 2) },
    });
    // A query comes and goes before anything is stored.
    saved.deleteQuery(saved.insertQuery(random.row(2)));
    await using loaded = await DynamicAttention.load(await saved.save(), { mask });
    const value = random.row(2);
    const work = await Promise.all([saved, loaded].map(async (live) => {
      const { multiplyAdds } = live.stats();
      live.setValue(0, value);
      await live.read();
      return live.stats().multiplyAdds - multiplyAdds;
    }));
    // A value that changes alone needs one score, not two.
    assertEquals(work[0], work[1]);
    await assertSame({ saved, loaded });
  });
}
