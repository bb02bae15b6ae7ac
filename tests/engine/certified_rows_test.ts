// Certificates of many rows that are looked at in parts and at different times: what a key had in the sums of a row
// is taken out again when it changes, whoever has looked at it meanwhile. Judged by the float64 oracle.
//
// Engines have a fixed plan: by themselves they would answer exactly where that takes less time than certificates.

import { DynamicAttention } from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertGreater, assertLess } from "../../testing/assert.ts";
import { editOne, KEYS, RULES, type Stream, STREAMS } from "../../testing/certified_streams.ts";
import { MemoryModel } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";

/** More than two tiles of the kernels, and a block that is not full. */
const QUERIES = 77;
const STEPS = IS_LONG ? 4000 : 45;

const HOT: Stream = { ...STREAMS["all of it, rows of different moments"], kinds: ["entry", "row", "value"] };
const WILD: Stream = { ...STREAMS["all of it, hostile"], reads: true };

for (const backend of QUICK_BACKENDS) {
  for (const [ruleName, rule] of Object.entries(RULES)) {
    for (const [name, stream] of Object.entries({ hot: HOT, wild: WILD })) {
      Deno.test(`certified rows on ${backend}: ${name} edits, looks at some rows, ${ruleName}`, async () => {
        const random = new Random(23), model = new MemoryModel(rule);
        for (let i = 0; i < QUERIES; i++) model.insertQuery(i, random.row(rule.heads * rule.headDim));
        for (let j = 0; j < KEYS; j++) {
          model.insertKey(
            j,
            random.row(rule.kvHeads * rule.headDim),
            random.row(rule.kvHeads * rule.valueDim),
          );
        }
        await using engine = await DynamicAttention.create({
          ...model.engineOptions(),
          ...{ lazyThreshold: Infinity, onThreshold: "patch", backend },
        });
        const some = () => {
          const share = random.pick([0.02, 0.3, 1]);
          return [...Array(QUERIES).keys()].filter(() => random.next() < share);
        };
        const ratios: number[] = [];
        for (let step = 0; step < (backend === "webgpu" ? STEPS / 4 : STEPS); step++) {
          for (let edits = random.below(4); edits > 0; edits--) editOne(engine, model, random, stream);
          if (random.below(6) === 0) await engine.read(some());
          const rows = some();
          if (rows.length === 0) continue;
          const { output, bounds, pending } = await engine.peek(rows);
          const truth = referenceAttention(model.standing()).output;
          rows.forEach((slot, at) => {
            const width = truth[slot].length;
            const distance = Math.hypot(...truth[slot].map((o, c) => o - output.data[at * width + c]));
            assert(distance <= bounds[at], `step ${step}, row ${slot}: ${distance} of ${bounds[at]}`);
            if (pending > 0 && distance > 1e-6) ratios.push(bounds[at] / distance);
          });
        }
        assertGreater(ratios.length, 30);
        ratios.sort((a, b) => a - b);
        if (name === "hot") assertLess(ratios[ratios.length >> 1], 3);
      });
    }
  }

  Deno.test(`certified rows on ${backend}: what is undone leaves what rounding leaves`, async () => {
    const random = new Random(4),
      query = random.rows(40, 8),
      key = random.rows(30, 8),
      value = random.rows(30, 4);
    await using engine = await DynamicAttention.create({
      query,
      key,
      value,
      backend,
      lazyThreshold: Infinity,
      onThreshold: "patch",
    });
    await engine.read();
    engine.setKey(0, random.row(8));
    const before = (await engine.peek()).bounds;
    for (let round = 0; round < 20; round++) {
      // Far more than what is left in the end.
      engine.setKey(1, random.row(8).map((number) => 30 * number));
      engine.setValue(2, random.row(4).map((number) => 1e4 * number));
      assertGreater((await engine.peek()).bounds[round], 1);
      engine.setKey(1, key[1]);
      engine.setValue(2, value[2]);
    }
    await engine.peek();
    const { bounds, pending } = await engine.peek();
    assertEquals(pending, 1);
    // The ball of all values has grown, and what rounding did to states is a share of it.
    bounds.forEach((bound, row) => assertLess(bound, before[row] * (1 + 1e-6) + 1e4 * 1e-3));
  });
}

Deno.test("certified rows on wasm: bounds of kernels are no looser than those in float64, but for their rounding", async () => {
  const random = new Random(31), sizes = { query: random.rows(70, 16), key: random.rows(50, 16) };
  const value = random.rows(50, 8);
  const bounds = new Map<string, Float64Array>();
  for (const backend of ["array", "wasm"] as const) {
    const edits = new Random(5);
    await using engine = await DynamicAttention.create({
      ...sizes,
      ...{ value, backend, lazyThreshold: Infinity, onThreshold: "patch" },
    });
    await engine.read();
    for (let edit = 0; edit < 40; edit++) {
      engine.setKey(edits.below(20), edits.row(16));
      engine.addToKey(edits.below(50), edits.below(16), 1e-3);
      engine.setValue(edits.below(30), edits.row(8));
      if (edit % 3 === 0) await engine.peek();
    }
    engine.delete(49);
    engine.insert(edits.row(16), edits.row(8));
    bounds.set(backend, (await engine.peek()).bounds);
  }
  const exact = bounds.get("array") ?? new Float64Array(0);
  bounds.get("wasm")?.forEach((bound, row) => {
    assertLess(bound, exact[row] * 1.02 + 1e-3);
    assertLess(exact[row], bound * 1.001);
  });
});

Deno.test("certified rows on wasm: more pairs than there is room for", async () => {
  const heads = 8, keys = 3200, random = new Random(8);
  const query = random.rows(128, 2 * heads), key = random.rows(keys, 2), value = random.rows(keys, 1);
  await using engine = await DynamicAttention.create({
    ...{ query, key, value, heads, kvHeads: 1, backend: "wasm" },
    ...{ lazyThreshold: Infinity, onThreshold: "patch" },
  });
  await engine.read();
  const bytesBefore = engine.stats().bytes;
  const move = (slot: number) =>
    engine.setKey(slot, key[slot] = key[slot].map((k) => k + 0.01 * random.normal()));
  for (let slot = 0; slot < keys; slot++) move(slot);
  await engine.peek();
  const held = engine.stats().bytes - bytesBefore;
  assert(held > 2 ** 25 && held < 2 ** 27, `${held} bytes are held`);
  for (let round = 0; round < 6; round++) {
    for (let slot = round; slot < keys; slot += 800) move(slot);
    const { output, bounds } = await engine.peek();
    if (round % 3 < 2) continue;
    const truth = referenceAttention({
      ...{ query, key, value, heads, kvHeads: 1, scale: Math.SQRT1_2, valueDim: 1 },
    }).output;
    truth.forEach((row, i) => {
      const distance = Math.hypot(...row.map((o, c) => o - output.data[i * heads + c]));
      assert(distance <= bounds[i], `row ${i}: ${distance} of ${bounds[i]}`);
    });
  }
});
