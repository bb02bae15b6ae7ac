// Patching and reading in one pass leaves the sums and gives the outputs of a patch and then a read, to the
// bit, for both builds.

import { assert, assertEquals } from "../../../testing/assert.ts";
import { type KernelBuild, supportedBuild } from "../../../src/backends/wasm/load_kernels.ts";
import { Random } from "../../../testing/random.ts";
import type { Term } from "../../../testing/placed_terms.ts";
import { type Entry, freshKernels, WasmMemory } from "../../../testing/wasm_memory.ts";

const BUILDS: readonly KernelBuild[] = supportedBuild() === "relaxed" ? ["simd128", "relaxed"] : ["simd128"];
const ROWS = 19, KEYS = 40, STEEP = 2 ** 19;

/** What changes: how many keys, how many of them keep their values, and the spread of scores. */
const CHANGES = [
  { changes: 1, keep: 1, spread: 1 },
  { changes: 1, keep: 0, spread: 1 },
  { changes: 1, keep: 1, spread: 60 },
  { changes: 3, keep: 2, spread: 1 },
  { changes: 17, keep: 17, spread: 0.01 },
  { changes: 33, keep: 20, spread: 1 },
] as const;

interface Shape {
  readonly headDim: number;
  readonly valueDim: number;
}

async function memoryOf(build: KernelBuild, { headDim, valueDim }: Shape, spread: number) {
  const random = new Random(headDim + 100 * valueDim);
  const rule = {
    headDim,
    valueDim,
    scale: spread,
    softcap: 0,
    tolerance: 1e-5,
    before: Infinity,
    after: Infinity,
  };
  const memory = new WasmMemory(await freshKernels(build), rule, random.rows(ROWS, headDim), KEYS);
  const entries = Array.from({ length: KEYS }, (): Entry => entryOf(random, { headDim, valueDim }));
  memory.apply(entries.map((entry, slot) => [slot, entry]), "build");
  return { memory, random, entries };
}

function entryOf(random: Random, { headDim, valueDim }: Shape): Entry {
  // −0 and 0 are among the products.
  const value = random.row(valueDim);
  if (random.below(4) === 0) value.fill(random.pick([0, -0]));
  return { key: random.row(headDim), value };
}

/** The outputs of all blocks, and the states, after some changes by one way of a kernel. */
async function after(build: KernelBuild, shape: Shape, of: typeof CHANGES[number], isOnePass: boolean) {
  const { memory: { kernels, rows, arena, terms }, memory, random, entries } = await memoryOf(
    build,
    shape,
    of.spread,
  );
  const target = arena.take(4 * 8 * rows.blocks * shape.valueDim), stride = 4 * shape.valueDim;
  const { headDim, valueDim } = shape;
  const place = (numbers: ArrayLike<number>, length: number) => {
    const address = arena.take(4 * length);
    arena.floats(address, numbers.length).set(Float32Array.from(numbers));
    return address;
  };
  const live = memory.liveTerms();
  const changed = Array.from({ length: of.changes }, (_, slot): Term[] => {
    const entry = entryOf(random, shape), before = live[slot];
    const columns = valueDim + 8, largest = Math.max(0, ...Array.from(entry.value, Math.abs));
    const value = slot < of.keep ? before.value : place([...Array.from(entry.value), 1, largest], columns);
    return [{ ...before, isTakenOut: true }, { key: place(entry.key, headDim), value, isTakenOut: false }];
  });
  assert(entries.length >= of.changes);
  terms.set(changed.flat(), 0, of.keep);
  // A row that is not asked for is read as it is.
  rows.activate(3, false);
  let found = 0;
  if (isOnePass) found = kernels.patchAndRead(rows.job, 0, rows.blocks, target, stride, STEEP);
  else {
    found = kernels.patch(rows.job, 0, rows.blocks);
    found += 2 * kernels.read(rows.job, 0, rows.blocks, target, stride, STEEP);
  }
  const states = Array.from(
    { length: ROWS },
    (_, row) => rows.readState(row, new Float64Array(rows.columns)),
  );
  return { found, outputs: [...arena.words(target, 8 * rows.blocks * valueDim)], states };
}

for (const build of BUILDS) {
  Deno.test(`one pass has the bits of a patch and a read (${build})`, async () => {
    for (const headDim of [1, 5, 64]) {
      for (const valueDim of [1, 3, 4, 6, 64]) {
        for (const of of CHANGES) {
          const apart = await after(build, { headDim, valueDim }, of, false);
          const onePass = await after(build, { headDim, valueDim }, of, true);
          const name = `d = ${headDim}, dv = ${valueDim}, ${JSON.stringify(of)}`;
          assertEquals(onePass, apart, name);
          assert(apart.outputs.some((word) => word !== 0), name);
        }
      }
    }
  });
}
