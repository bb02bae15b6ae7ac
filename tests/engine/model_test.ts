// Limit: 30 minutes.
//
// Model-based: any sequence of edits and reads, on every backend, against an oracle that computes each answer from
// scratch. Failing sequences shrink. ATTUNE_LONG=1 runs many more.

import fc from "fast-check";
import type { DynamicAttentionOptions, LazyThreshold } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { BACKENDS, casesOn } from "../backends_here.ts";
import { FailingBackend, SlowBackend } from "../../testing/fake_backends.ts";
import { anyExtras } from "../../testing/any_extras.ts";
import { MemoryModel } from "../../testing/memory_model.ts";
import { commands, persist, World } from "../../testing/model_commands.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { STORAGES } from "../../testing/rounded_rows.ts";
import { Random } from "../../testing/random.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";

/** A bias for every pair of labels, some of them forbidden, that differs by head. */
function maskOf(queryLabel: number, keyLabel: number, head: number): number | boolean {
  const mix = (7 * queryLabel + 5 * keyLabel + 3 * head) % 11;
  return mix < 3 ? false : mix < 6 ? true : mix / 4 - 2;
}

const setting = fc.record({
  heads: fc.constantFrom({ heads: 1, kvHeads: 1 }, { heads: 2, kvHeads: 2 }, { heads: 4, kvHeads: 2 }, {
    heads: 3,
    kvHeads: 1,
  }),
  headDim: fc.integer({ min: 1, max: 6 }),
  valueDim: fc.integer({ min: 1, max: 3 }),
  queryCount: fc.integer({ min: 0, max: 4 }),
  keyCount: fc.integer({ min: 0, max: 7 }),
  scale: fc.constantFrom(0.1, 0.5, 1, 1, 4, -1),
  softcap: fc.constantFrom(0, 0, 3),
  causal: fc.constantFrom(false, false, true, { offset: 2 }, { offset: -1 }),
  window: fc.constantFrom<readonly [number, number]>([Infinity, Infinity], [Infinity, Infinity], [2, 4], [
    Infinity,
    0,
  ]),
  maskOf: fc.constantFrom(null, null, maskOf),
  extras: anyExtras,
  storage: fc.constantFrom(undefined, undefined, ...STORAGES),
  lazyThreshold: fc.constantFrom<LazyThreshold>(
    1,
    2,
    3,
    8,
    Infinity,
    { error: 0.3 },
    { error: 0.01, edits: 6 },
    { targetError: 0.1 },
    { ageMs: 0 },
    ({ keys, queries }) => keys > 2 * queries + 1,
  ),
  onThreshold: fc.constantFrom("auto" as const, "patch" as const, "rebuild" as const),
  seed: fc.nat(),
}).map(({ heads, extras, storage, ...rest }) => ({
  ...heads,
  ...rest,
  extras: { ...extras(heads.heads), ...(storage ? { storage } : {}) },
}));

function errorOf(threshold: LazyThreshold): number {
  return typeof threshold === "object" ? threshold.error ?? threshold.targetError ?? Infinity : Infinity;
}

interface Troubles {
  /** Puts something between engine and backend. */
  wrap?: (backend: Backend, random: Random) => Backend;
}

async function runSequences(
  backend: DynamicAttentionOptions["backend"] & string,
  runs: number,
  { wrap }: Troubles,
) {
  const anySequence = setting.chain((chosen) =>
    fc.tuple(
      fc.constant(chosen),
      fc.commands(commands(chosen, errorOf(chosen.lazyThreshold), BACKENDS), {
        size: "max",
        maxCommands: LONG ? 80 : 50,
      }),
    )
  );
  const property = fc.asyncProperty(anySequence, async ([chosen, sequence]) => {
    const { queryCount, keyCount, maskOf, seed, extras, ...options } = chosen;
    const { heads, kvHeads, headDim, valueDim } = options;
    const random = new Random(seed);
    const model = new MemoryModel({ ...options, ...extras, maskOf });
    for (let i = 0; i < queryCount; i++) model.insertQuery(i, random.row(heads * headDim));
    for (let j = 0; j < keyCount; j++) {
      model.insertKey(j, random.row(kvHeads * headDim), random.row(kvHeads * valueDim));
    }
    const { headDim: _, valueDim: __, ...rest } = options;
    const engine = await createEngine({
      ...rest,
      ...model.matrices(),
      ...model.options(),
      backend,
      ...(maskOf ? { mask: (i: number, j: number, head: number) => model.mask(i, j, head) } : {}),
    }, { wrap: wrap && ((inner) => wrap(inner, random)) });
    const world = new World(model);
    await fc.asyncModelRun(() => ({ model: world, real: engine }), sequence);
    for (const problem of await Promise.all(world.open)) if (problem) throw problem;
    assertAccurate(await persist(() => engine.read()), model.standing(), "the last output");
    await engine.dispose();
  });
  await fc.assert(property, { numRuns: runs, seed: 20261124 });
}

for (const backend of BACKENDS) {
  Deno.test(`model: any sequence of calls is exact on ${backend}`, async () => {
    await runSequences(backend, casesOn(backend, LONG ? 800 : 36), {});
  });

  Deno.test(`model: also when ${backend} takes its time`, async () => {
    await runSequences(backend, casesOn(backend, LONG ? 160 : 12), {
      wrap: (inner) => new SlowBackend(inner),
    });
  });

  Deno.test(`model: no edit is lost when ${backend} fails now and then`, async () => {
    await runSequences(backend, casesOn(backend, LONG ? 160 : 12), {
      wrap: (inner, random) => {
        const failing = new FailingBackend(inner);
        let batches = 0;
        failing.fails = () => batches++ > 0 && random.next() < 0.4;
        let updates = 0;
        failing.failsToUpdate = () => updates++ > 0 && random.next() < 0.2;
        failing.failsToRead = () => random.next() < 0.1;
        return failing;
      },
    });
  });
}
