// Limit: 15 minutes.
//
// The promise of a certificate: whatever edits are pending, no row is farther from exact than its bound. Exact is
// the oracle's answer. Prints how tight the bounds are. 1.5·10⁴ edits; 3·10⁵ with ATTUNE_LONG=1.

import { DynamicAttention } from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertGreater, assertLess } from "../../testing/assert.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { rowsOf } from "../../testing/accuracy.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";
import { editOne, KEYS, RULES, type Stream, STREAMS } from "../../testing/certified_streams.ts";
import { MemoryModel, type ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";

const EDITS = IS_LONG ? 300_000 : 9_000;
const QUERIES = 5;

/** Bound and distance of each row peeked, where edits wait. */
async function watch(backend: typeof QUICK_BACKENDS[number], rule: ModelRule, stream: Stream, edits: number) {
  const random = new Random(17);
  const model = new MemoryModel(rule);
  const { heads, kvHeads, headDim, valueDim } = rule;
  for (let i = 0; i < QUERIES; i++) model.insertQuery(i, random.row(heads * headDim));
  for (let j = 0; j < KEYS; j++) {
    model.insertKey(j, random.row(kvHeads * headDim), random.row(kvHeads * valueDim));
  }
  await using engine = await DynamicAttention.create({
    ...model.engineOptions(),
    lazyThreshold: 12,
    onThreshold: stream.reads ? "auto" : "patch",
    backend,
  });
  const ratios: number[] = [];
  let violations = 0, pendingSeen = 0;
  for (let edit = 0; edit < edits;) {
    for (let burst = 1 + random.below(4); burst > 0; burst--, edit++) editOne(engine, model, random, stream);
    if (stream.reads && random.below(5) === 0) await engine.read([random.below(QUERIES)]);
    const { output, bounds, pending } = await engine.peek();
    const truth = referenceAttention(model.standing()).output;
    pendingSeen += pending;
    rowsOf(output).forEach((row, i) => {
      const distance = Math.hypot(...truth[i].map((o, c) => o - row[c]));
      if (!(distance <= bounds[i])) violations++;
      if (pending > 0 && distance > 1e-6) ratios.push(bounds[i] / distance);
    });
  }
  ratios.sort((a, b) => a - b);
  const at = (share: number) => ratios[Math.min(ratios.length - 1, Math.floor(share * ratios.length))] ?? NaN;
  return { violations, pendingSeen, rows: ratios.length, median: at(0.5), ninth: at(0.9) };
}

for (const backend of QUICK_BACKENDS) {
  for (const [ruleName, rule] of Object.entries(RULES)) {
    for (const [streamName, stream] of Object.entries(STREAMS)) {
      const cases = EDITS / Object.keys(STREAMS).length / Object.keys(RULES).length;
      const edits = Math.ceil(backend === "webgpu" ? cases / 6 : cases);
      Deno.test(`certificate on ${backend}: ${streamName}, ${ruleName}`, async () => {
        const seen = await watch(backend, rule, stream, edits);
        console.log(
          `  ${streamName}, ${ruleName}: ${edits} edits, ${seen.violations} violations; ` +
            `bound / distance: median ${seen.median.toFixed(2)}, nine in ten below ${seen.ninth.toFixed(1)}`,
        );
        assertEquals(seen.violations, 0);
        assertGreater(seen.pendingSeen, edits / 4);
        assertGreater(seen.rows, 100);
        if (streamName === "entry edits") assertLess(seen.median, 2);
        if (streamName === "row edits") assertLess(seen.median, 10);
      });
    }
  }

  Deno.test(`certificate on ${backend}: nothing pending leaves a rounding`, async () => {
    await using engine = await DynamicAttention.create({
      query: [[1, 2]],
      key: [[1, 0], [0, 1]],
      value: [[3], [5]],
      backend,
    });
    const { output, bounds } = await engine.peek();
    assert(bounds[0] > 0 && bounds[0] < 1e-6 * output.data[0], String(bounds[0]));
  });

  Deno.test(`certificate on ${backend}: scores of −10⁹ lose digits, which are charged`, async () => {
    await using engine = await DynamicAttention.create({
      query: [[1]],
      key: [[0], [2 ** -10]],
      value: [[-1], [1]],
      scale: 1,
      mask: [[-1e9, -1e9]],
      backend,
    });
    const { output, bounds } = await engine.peek();
    const exact = Math.tanh(2 ** -11);
    assertGreater(bounds[0], Math.abs(output.data[0] - exact));
    assertLess(bounds[0], 1e-5);
  });

  Deno.test(`certificate on ${backend}: nothing pending is a few roundings of the largest value`, async () => {
    const random = new Random(7), ratios: number[] = [];
    for (let round = 0; round < 10; round++) {
      const rows = (count: number, width: number) => Array.from({ length: count }, () => random.row(width));
      const problem = { query: rows(8, 16), key: rows(64, 16), value: rows(64, 8) };
      await using engine = await DynamicAttention.create({ ...problem, backend });
      const { output, bounds } = await engine.peek();
      const truth = referenceAttention({ ...problem, scale: 1 / 4, valueDim: 8 }).output;
      rowsOf(output).forEach((row, i) => {
        ratios.push(bounds[i] / Math.hypot(...truth[i].map((o, c) => o - row[c])));
      });
    }
    ratios.sort((a, b) => a - b);
    assertGreater(ratios[0], 1);
    assertLess(ratios[ratios.length >> 1], 10);
  });

  Deno.test(`certificate on ${backend}: terms of a score that cancel lose digits, which are charged`, async () => {
    await using engine = await DynamicAttention.create({
      query: [[1, 1, 1]],
      key: [[0, 0, 0], [2 ** 40, 2 ** -14, -(2 ** 40)]],
      value: [[-1], [1]],
      scale: 1,
      backend,
    });
    // Float64 does not see the small term either, so that measuring against it finds no error.
    const check = async (exact: number, most: number) => {
      const { output, bounds } = await engine.peek();
      assertGreater(bounds[0], Math.abs(output.data[0] - exact));
      assertLess(bounds[0], most);
    };
    await check(Math.tanh(2 ** -15), 1e-2);
    engine.setValue(0, [-1.5]);
    await check(Math.tanh(2 ** -15) * 1.25 - 0.25, 1);
  });

  Deno.test(`certificate on ${backend}: scales of which float32 loses products below its range`, async () => {
    for (const [scale, size] of [[3e38, 2e-21], [1e-38, 1e15], [1e-43, 1e15]]) {
      for (let seed = 1; seed <= (backend === "webgpu" ? 3 : 20); seed++) {
        const random = new Random(seed);
        const rows = (count: number) =>
          random.rows(count, 64).map((row) => Array.from(row, (x) => Math.fround(size * x)));
        const query = rows(8), key = rows(2), value = [[1], [-1]];
        await using engine = await DynamicAttention.create({
          ...{ query, key, value, scale, backend },
          ...{ lazyThreshold: Infinity, onThreshold: "patch" },
        });
        for (let edit = 0; edit < 2; edit++) {
          key[edit] = key[edit].map((x) => Math.fround(x + 0.01 * size * random.normal()));
          engine.setKey(edit, key[edit]);
          const { output, bounds } = await engine.peek();
          const truth = referenceAttention({ query, key, value, scale, valueDim: 1 }).output;
          truth.forEach(([o], i) => assert(Math.abs(o - output.data[i]) <= bounds[i], `${scale}, row ${i}`));
          if (edit === 0) await engine.read();
        }
      }
    }
  });

  Deno.test(`certificate on ${backend}: of a memory that empties, fills and is far away`, async () => {
    await using engine = await DynamicAttention.create({
      query: [[1]],
      key: [[0], [50]],
      value: [[1000], [1001]],
      scale: 1,
      lazyThreshold: Infinity,
      backend,
    });
    const check = async (truth: number) => {
      const { output, bounds } = await engine.peek();
      assert(
        Math.abs(output.data[0] - truth) <= bounds[0],
        `${output.data[0]} ± ${bounds[0]}, exact ${truth}`,
      );
      assert(bounds[0] < 6000, String(bounds[0]));
    };
    engine.delete(1);
    await check(1000);
    engine.delete(0);
    await check(0);
    await engine.flush();
    const slot = engine.insert([700], [-2000]);
    await check(-2000);
    await engine.flush();
    engine.setKey(slot, [900]);
    engine.insert([899], [500]);
    await check((-2000 * Math.E + 500) / (Math.E + 1));
    engine.setKey(slot, [3e38]);
    await check(-2000);
  });
}
