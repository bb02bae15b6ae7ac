// Model-based: any sequence of edits and reads, on every backend, against an oracle that computes each answer from
// scratch. Failing sequences shrink. ATTUNE_LONG=1 runs many more.

import fc from "fast-check";
import type { DynamicAttentionOptions } from "../mod.ts";
import type { Backend } from "../src/backends/backend.ts";
import { createEngine } from "../src/dynamic_attention.ts";
import { BACKENDS, FailingBackend, SlowBackend } from "./support/backends.ts";
import { MemoryModel } from "./support/memory_model.ts";
import { commands, persist, World } from "./support/model_commands.ts";
import { assertAccurate } from "./support/accuracy.ts";
import { Random } from "./support/random.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";

const setting = fc.record({
  headDim: fc.integer({ min: 1, max: 6 }),
  valueDim: fc.integer({ min: 1, max: 3 }),
  queryCount: fc.integer({ min: 0, max: 4 }),
  keyCount: fc.integer({ min: 0, max: 7 }),
  scale: fc.constantFrom(0.1, 0.5, 1, 1, 4, -1),
  lazyThreshold: fc.constantFrom(1, 2, 3, 8, Infinity),
  onThreshold: fc.constantFrom("auto" as const, "patch" as const, "rebuild" as const),
  seed: fc.nat(),
});

interface Troubles {
  /** Puts something between engine and backend. */
  wrap?: (backend: Backend, random: Random) => Backend;
}

async function runSequences(backend: DynamicAttentionOptions["backend"], runs: number, { wrap }: Troubles) {
  const anySequence = setting.chain((chosen) =>
    fc.tuple(
      fc.constant(chosen),
      fc.commands(commands(chosen.headDim, chosen.valueDim), { size: "max", maxCommands: LONG ? 80 : 50 }),
    )
  );
  const property = fc.asyncProperty(anySequence, async ([chosen, sequence]) => {
    const { headDim, valueDim, queryCount, keyCount, scale, lazyThreshold, onThreshold, seed } = chosen;
    const random = new Random(seed);
    const query = random.rows(queryCount, headDim), key = random.rows(keyCount, headDim);
    const value = random.rows(keyCount, valueDim);
    const matrix = (rows: Float32Array[], columns: number) => ({
      data: rows.flatMap((row) => [...row]),
      shape: [rows.length, columns] as const,
    });
    const options = {
      query: matrix(query, headDim),
      key: matrix(key, headDim),
      value: matrix(value, valueDim),
      scale,
      lazyThreshold,
      onThreshold,
      ...(backend ? { backend } : {}),
    };
    const engine = await createEngine(options, wrap && ((inner) => wrap(inner, random)));
    const world = new World(new MemoryModel({ headDim, valueDim, scale }, { query, key, value }));
    await fc.asyncModelRun(() => ({ model: world, real: engine }), sequence);
    for (const problem of await Promise.all(world.open)) if (problem) throw problem;
    assertAccurate(await persist(() => engine.read()), world.now.standing(), "the last output");
    await engine.dispose();
  });
  await fc.assert(property, { numRuns: runs, seed: 20261124, endOnFailure: false });
}

for (const backend of BACKENDS) {
  Deno.test(`model: any sequence of calls is exact on ${backend}`, async () => {
    await runSequences(backend, LONG ? 5000 : 300, {});
  });

  Deno.test(`model: also when ${backend} takes its time`, async () => {
    await runSequences(backend, LONG ? 1000 : 60, { wrap: (inner) => new SlowBackend(inner) });
  });

  Deno.test(`model: no edit is lost when ${backend} fails now and then`, async () => {
    await runSequences(backend, LONG ? 1000 : 60, {
      wrap: (inner, random) => {
        const failing = new FailingBackend(inner);
        let batches = 0;
        failing.fails = () => batches++ > 0 && random.next() < 0.4;
        failing.failsToRead = () => random.next() < 0.1;
        return failing;
      },
    });
  });
}
