// The property on which patching rests: the weight a of a pair has the same bits whether its row was built, its
// key patched in alone or with others, or overlaid, and after its row's shift has moved. Values are unit vectors,
// so that column j of the weighted sum is a_ij itself.

import type { RowChanges } from "../src/backends/backend.ts";
import { powerOfTwo } from "../src/core/power_shift.ts";
import { Kernels, type KeyBlock, type KeyPatch } from "../src/backends/array/kernels.ts";
import { RowStates } from "../src/backends/array/row_states.ts";
import { ArrayBackend } from "../src/backends/array/array_backend.ts";
import { assert, assertEquals } from "./assert.ts";
import { Random } from "./support/random.ts";

const KEYS = 37;

function blockOf(keys: Float32Array[]): KeyBlock {
  const width = KEYS + 2, headDim = keys[0].length;
  const rows = new Float32Array(KEYS * headDim);
  const values = new Float32Array(KEYS * width);
  keys.forEach((key, j) => {
    rows.set(key, j * headDim);
    values[j * width + j] = values[j * width + KEYS] = values[j * width + KEYS + 1] = 1;
  });
  return { count: KEYS, live: new Uint8Array(KEYS).fill(1), keys: rows, values };
}

/** The keys at `slots` of a block, as a patch. */
function patchOf(block: KeyBlock, slots: number[], headDim: number): KeyPatch {
  const width = KEYS + 2;
  const keys = new Float32Array(slots.length * headDim), values = new Float32Array(slots.length * width);
  slots.forEach((slot, t) => {
    keys.set(block.keys.subarray(slot * headDim, (slot + 1) * headDim), t * headDim);
    values.set(block.values.subarray(slot * width, (slot + 1) * width), t * width);
  });
  const live = new Uint8Array(slots.length).fill(1);
  return { count: slots.length, live, keys, values, slots: Uint32Array.from(slots), keyChanged: live };
}

/** The weights that a row holds, moved to shift 0; the low parts must be empty, since each column has one term. */
function weightsIn(states: RowStates): number[] {
  return Array.from({ length: KEYS }, (_, j) => {
    assertEquals(states.low[j], 0);
    return states.high[j] * powerOfTwo(states.shift[0]);
  });
}

for (const headDim of [1, 3, 4, 7, 64]) {
  for (const size of [0.3, 4]) {
    Deno.test(`bits: built, patched alone, in batches and under other shifts, d = ${headDim}, size ${size}`, () => {
      const random = new Random(headDim);
      const block = blockOf(random.rows(KEYS, headDim, size));
      const query = random.row(headDim, size / Math.sqrt(headDim));
      const kernels = new Kernels(headDim, KEYS, 1);
      kernels.reserve(KEYS, KEYS);
      const empty: KeyBlock = { ...block, live: new Uint8Array(KEYS) };
      const fresh = () => new RowStates(KEYS + 2, 1);
      const all = Array.from({ length: KEYS }, (_, j) => j);

      const built = fresh();
      kernels.buildRow(built, 0, query, 0, block, null);
      const expected = weightsIn(built);
      assert(expected.every((a) => a > 0));

      const together = fresh();
      kernels.patchRow(together, 0, query, 0, empty, patchOf(block, all.toReversed(), headDim));
      assertEquals(weightsIn(together), expected);

      const alone = fresh();
      for (const j of all) kernels.patchRow(alone, 0, query, 0, empty, patchOf(block, [j], headDim));
      assertEquals(weightsIn(alone), expected);

      const overlaid = fresh();
      const kept = { ...block, live: block.live.map((_, j) => j % 3 === 0 ? 0 : 1) };
      kernels.buildRow(overlaid, 0, query, 0, kept, patchOf(block, all.filter((j) => j % 3 === 0), headDim));
      assertEquals(weightsIn(overlaid), expected);

      const moved = fresh();
      kernels.patchRow(moved, 0, query, 0, empty, patchOf(block, all.slice(0, 20), headDim));
      moved.moveShift(0, moved.shift[0] + 400);
      kernels.patchRow(moved, 0, query, 0, empty, patchOf(block, all.slice(20), headDim));
      assertEquals(weightsIn(moved), expected);
    });
  }
}

Deno.test("bits: what a patch adds, the opposite patch takes away to the last bit", async () => {
  const random = new Random(11);
  const headDim = 5, valueDim = 4, keys = 30, rows = 6;
  const backend = new ArrayBackend({ headDim, valueDim, scale: 2, tolerance: 1e-8 });
  const none: RowChanges = { slots: new Uint32Array(0), live: new Uint8Array(0), rows: new Float32Array(0) };
  const rowsOf = (slots: number[], width: number, size: number): RowChanges => ({
    slots: Uint32Array.from(slots),
    live: new Uint8Array(slots.length).fill(1),
    rows: random.row(slots.length * width, size),
  });
  const upTo = (count: number) => Array.from({ length: count }, (_, j) => j);
  await backend.apply({
    keys: rowsOf(upTo(keys), headDim + valueDim, 1),
    queries: rowsOf(upTo(rows), headDim, 1),
  }, "rebuild");
  const before = await backend.read(Uint32Array.from(upTo(rows)), null);

  // Scores up to about 40, so that the added keys hold nearly all of the weight while they are there.
  const slots = [3, 40, 41, 17];
  const old = {
    slots: Uint32Array.from(slots),
    live: Uint8Array.of(1, 0, 0, 1),
    rows: new Float32Array(4 * 9),
  };
  for (const [t, slot] of slots.entries()) if (old.live[t]) backend.keys.copyRow(slot, old.rows, t * 9);
  for (let round = 0; round < 1000; round++) {
    await backend.apply({ keys: rowsOf(slots, headDim + valueDim, 4), queries: none }, "patch");
    await backend.apply({ keys: old, queries: none }, "patch");
  }
  const after = await backend.read(Uint32Array.from(upTo(rows)), null);
  assertEquals(after, before);
});
